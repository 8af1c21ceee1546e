"""Quirks 41 to 52: fields of a message beside its text, and those that must come back.

Some of these servers refuse the turn after a tool call if a field does not come back unchanged.
Each row names a server that does it, and the report that shows it.
"""

import hashlib
from collections.abc import Callable, Iterator

from onerouter_simulator.conversation import JSON
from onerouter_simulator.errors import bad_request
from onerouter_simulator.messages import is_reasoning_requested
from onerouter_simulator.quirks.changes import (
    in_bodies,
    in_calls,
    in_choices,
    in_messages,
    join,
    without,
)
from onerouter_simulator.quirks.quirk import GITHUB, Check, Play, Quirk
from onerouter_simulator.request_log import RecordedRequest

# Base64 text, as Google's signatures are.
SIGNATURE = {"thought_signature": "c2ltdWxhdGVkIHNpZ25hdHVyZQ=="}
EXTRA_CONTENT = {"google": SIGNATURE}
REASONING_KEYS = ("reasoning", "reasoning_details")


# --- checks of the turn after a tool call ---


def turns_with_calls(request: JSON) -> Iterator[JSON]:
    """Yield the assistant messages with tool calls since the last user message."""
    for message in reversed(request["messages"]):
        if message["role"] == "user":
            return
        if message.get("tool_calls"):
            yield message


def check_calls(key: str, value: JSON) -> Check:
    """Return a check that each call of the current turn has this value under the key."""

    def check(recorded: RecordedRequest) -> None:
        for message in turns_with_calls(recorded.body):
            if any(call.get(key) != value for call in message["tool_calls"]):
                raise bad_request("Function call is missing a thought_signature", "messages")

    return check


def check_reasoning_content(recorded: RecordedRequest) -> None:
    """Check that messages with tool calls have `reasoning_content`, if only an empty one."""
    for message in turns_with_calls(recorded.body):
        if not isinstance(message.get("reasoning_content"), str):
            text = "The `reasoning_content` in the thinking mode must be passed back to the API."
            raise bad_request(text, "messages")


def check_if_reasoning(check: Check) -> Check:
    """Return a check that is made only if the request asks for reasoning."""

    def check_request(recorded: RecordedRequest) -> None:
        if is_reasoning_requested(recorded.body):
            check(recorded)

    return check_request


def check_details(is_valid: Callable[[JSON], bool]) -> Check:
    """Return a check that messages with tool calls have reasoning details, and valid ones."""

    def check(recorded: RecordedRequest) -> None:
        for message in turns_with_calls(recorded.body):
            details = message.get("reasoning_details", [])
            if not details or not all(map(is_valid, details)):
                raise bad_request("Invalid `signature` in `thinking` block", "messages")

    return check_if_reasoning(check)


def is_signed(detail: JSON) -> bool:
    """Whether the signature of a reasoning detail is that of its text."""
    digest = hashlib.sha256(detail.get("text", "").encode("utf-8", "surrogatepass")).hexdigest()
    return bool(detail.get("signature") == digest)


# --- replies ---


def add_to_last(fields: JSON) -> Play:
    """Return a play that adds fields to a message, or to the delta with the finish reason."""

    def change(choice: JSON) -> JSON:
        key = "message" if "message" in choice else "delta"
        return choice | {key: choice[key] | fields} if choice["finish_reason"] else choice

    return in_choices(change)


def rename_reasoning(message: JSON) -> JSON:
    """Return a message with its reasoning under `reasoning_content`, and without details."""
    renamed = {"reasoning_content": message["reasoning"]} if "reasoning" in message else {}
    return without(message, *REASONING_KEYS) | renamed


def empty_reasoning(message: JSON) -> JSON:
    """Return a message, or its first delta, with an empty `reasoning_content`."""
    empty = {"reasoning_content": ""} if "role" in message else {}
    return without(message, *REASONING_KEYS) | empty


def encrypt_details(message: JSON) -> JSON:
    """Return a message whose reasoning is in one encrypted detail; a delta with the signature."""
    details = message.get("reasoning_details", [])
    signatures = [detail["signature"] for detail in details if "signature" in detail]
    encrypted = [
        {"type": "reasoning.encrypted", "data": data, "format": "openai-responses-v1", "index": 0}
        for data in signatures
    ]
    return without(message, *REASONING_KEYS) | (
        {"reasoning_details": encrypted} if encrypted else {}
    )


def to_thinking_parts(message: JSON) -> JSON:
    """Return a message whose content has a part with the reasoning, and one with the text."""
    reasoning, text = message.get("reasoning"), message.get("content")
    message = without(message, *REASONING_KEYS)
    if not reasoning:
        return message
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": reasoning}]}
    return message | {"content": [thinking, *text_parts(text)]}


def to_text_parts(message: JSON) -> JSON:
    """Return a message whose content is a list of one part."""
    parts = text_parts(message.get("content"))
    return message | {"content": parts} if parts else message


def text_parts(text: str | None) -> list[JSON]:
    """Return the text as a part; no part without a text."""
    return [{"type": "text", "text": text}] if text else []


def add_unknown_keys(choice: JSON) -> JSON:
    """Return a choice with two unknown keys, in a stream in two fragments each."""
    fragments: list[JSON] = [
        {"vendor_notes": "First, ", "vendor_sources": [{"page": 1}]},
        {"vendor_notes": "then.", "vendor_sources": [{"page": 2}]},
    ]
    if "message" in choice:
        return choice | {"message": choice["message"] | join(fragments[0], fragments[1])}
    delta = choice["delta"] | (fragments[0] if "role" in choice["delta"] else {})
    return choice | {"delta": delta | (fragments[1] if choice["finish_reason"] else {})}


def respell_model(respell: Callable[[str], str]) -> Play:
    """Return a play that spells the model's id in another way."""
    return in_bodies(lambda body: body | {"model": respell(body["model"].rpartition("/")[2])})


def with_date(name: str) -> str:
    """Return the name of a snapshot: dashes for dots, and a date."""
    return f"{name.replace('.', '-')}-20250929"


def capitalise(name: str) -> str:
    """Return a name as it is on a model's page: each word with a capital."""
    return "-".join(word.capitalize() for word in name.split("-"))


CARRIED_FIELDS = (
    Quirk(
        number=41,
        name="thought-signature-on-calls",
        sender="Gemini 3, also through new-api",
        source=GITHUB + "THU-MAIC/OpenMAIC/issues/1556",
        sends="Calls have a signature in `extra_content`; the next request must have it.",
        play=in_calls(lambda call: call | {"extra_content": EXTRA_CONTENT}),
        check=check_calls("extra_content", EXTRA_CONTENT),
    ),
    Quirk(
        number=42,
        name="thought-signature-on-messages",
        sender="Gemini 3",
        source="https://ai.google.dev/gemini-api/docs/thought-signatures#openai",
        sends="A message has a thought signature in `extra_content`; it should come back.",
        play=add_to_last({"extra_content": EXTRA_CONTENT}),
    ),
    Quirk(
        number=43,
        name="provider-specific-fields",
        sender="LiteLLM 1.88 in front of Gemini 3",
        source=GITHUB + "langbot-app/LangBot/pull/2265",
        sends="Calls have it in `provider_specific_fields`; the next request must have it.",
        play=in_calls(lambda call: call | {"provider_specific_fields": SIGNATURE}),
        check=check_calls("provider_specific_fields", SIGNATURE),
    ),
    Quirk(
        number=44,
        name="reasoning-content",
        sender="DeepSeek, Kimi",
        source=GITHUB + "earendil-works/pi/issues/3636",
        sends="Reasoning is in `reasoning_content`; the request after a call must have it.",
        play=in_messages(rename_reasoning),
        check=check_if_reasoning(check_reasoning_content),
    ),
    Quirk(
        number=45,
        name="reasoning-content-empty",
        sender="DeepSeek, Kimi K2.5 and K2.6",
        source=GITHUB + "Lapis0x0/obsidian-yolo/pull/243",
        sends="`reasoning_content` is an empty text; the request after a call must have it.",
        play=in_messages(empty_reasoning),
        check=check_reasoning_content,
    ),
    Quirk(
        number=46,
        name="reasoning-details-signed",
        sender="OpenRouter in front of Anthropic",
        source="https://openrouter.ai/openrouter/aurora-alpha/api",
        sends="Reasoning is in signed details only; the request after a call must have them.",
        play=in_messages(lambda message: without(message, "reasoning")),
        check=check_details(is_signed),
    ),
    Quirk(
        number=47,
        name="reasoning-encrypted",
        sender="OpenRouter in front of OpenAI",
        source="https://openrouter.ai/docs/agent-sdk/typescript/models/schema2reasoningencrypted",
        sends="Reasoning is one encrypted detail; the request after a call must have it.",
        play=in_messages(encrypt_details),
        check=check_details(
            lambda detail: len(detail.get("data", "")) == hashlib.sha256().digest_size * 2
        ),
    ),
    Quirk(
        number=48,
        name="model-id-with-date",
        sender="OpenAI, Anthropic",
        source=GITHUB + "vllm-project/vllm/pull/25054",
        sends="The model id is that of a snapshot; signed reasoning must come back.",
        play=respell_model(with_date),
        check=check_details(is_signed),
    ),
    Quirk(
        number=49,
        name="model-id-capitalised",
        sender="servers that use the name of the weights (Kimi-K2-Instruct on SGLang)",
        source=GITHUB + "sgl-project/sglang/issues/8613",
        sends="The model id has capitals and no vendor; signed reasoning must come back.",
        play=respell_model(capitalise),
        check=check_details(is_signed),
    ),
    Quirk(
        number=50,
        name="thinking-parts",
        sender="Mistral (Magistral, Medium and Small with reasoning)",
        source=GITHUB + "agentjido/req_llm/issues/742",
        sends="The content is a list, and reasoning is its part of type `thinking`.",
        play=in_messages(to_thinking_parts),
    ),
    Quirk(
        number=51,
        name="content-as-parts",
        sender="Mistral",
        source=GITHUB + "langchain4j/langchain4j/pull/4474",
        sends="The content is a list of text parts, in deltas, too.",
        play=in_messages(to_text_parts),
    ),
    Quirk(
        number=52,
        name="unknown-keys-in-fragments",
        sender="reported of vendors with fields of their own; Helicone kept the last fragment",
        source=GITHUB + "microsoft/agent-framework/issues/5327",
        sends="A key that the API does not have comes in fragments: a text, and a list.",
        play=in_choices(add_unknown_keys),
    ),
)
