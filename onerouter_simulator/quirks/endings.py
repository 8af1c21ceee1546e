"""Quirks 57 to 75: how answers end, and finish reasons under other names.

Each row names a server that does it, and the page or report that shows it.
"""

from onerouter_simulator.conversation import JSON, Conversation
from onerouter_simulator.quirks.changes import choice_of, in_choices, in_events
from onerouter_simulator.quirks.quirk import GITHUB, STREAM, Play, Quirk, Rewrite

GEMINI_REASONS = GITHUB + "HKUDS/Vibe-Trading/pull/308"
GLM_REASONS = GITHUB + "BerriAI/litellm/pull/24373"


def after_tool_result(**fields: str | None) -> Rewrite:
    """Return a rewrite that leaves only these fields in a message after a tool result."""

    def rewrite(message: JSON, request: JSON) -> JSON:
        is_end = Conversation(request["messages"]).tool_results and not message.get("tool_calls")
        return {"role": "assistant", **fields} if is_end else message

    return rewrite


def withhold(message: JSON, _: JSON) -> JSON:
    """Return a message without content."""
    return {"role": message["role"], "content": None}


def finish_with(reason: str, *replaced: str) -> Play:
    """Return a play that ends with this reason, or with it in place of some reasons only."""

    def change(choice: JSON) -> JSON:
        ordinary = choice["finish_reason"]
        if ordinary is None or (replaced and ordinary not in replaced):
            return choice
        return choice | {"finish_reason": reason}

    return in_choices(change)


def upper_case(choice: JSON) -> JSON:
    """Return a choice whose finish reason is in capitals."""
    reason = choice["finish_reason"]
    return choice | {"finish_reason": reason and reason.upper()}


def name_length_natively(choice: JSON) -> JSON:
    """Return a choice that only its native finish reason says to be cut."""
    if choice["finish_reason"] != "length":
        return choice
    return choice | {"finish_reason": "stop", "native_finish_reason": "MAX_TOKENS"}


def repeat_finish_reason(chunks: list[JSON]) -> list[JSON]:
    """Repeat the finish reason in the chunk with usage, or else in one more chunk."""
    finished = next(chunk for chunk in reversed(chunks) if choice_of(chunk).get("finish_reason"))
    choices = [choice_of(finished) | {"delta": {"role": "assistant", "content": ""}}]
    if choice_of(chunks[-1]):
        return [*chunks, chunks[-1] | {"choices": choices}]
    return [*chunks[:-1], chunks[-1] | {"choices": choices}]


def failure_reason(number: int, reason: str, sender: str, source: str) -> Quirk:
    """Return the quirk of a finish reason that means that the server has failed."""
    return Quirk(
        number=number,
        name=f"finish-{reason.replace('_', '-')}",
        sender=sender,
        source=source,
        sends=f"An answer that a failure of the server has cut has the finish reason `{reason}`.",
        play=finish_with(reason),
    )


def length_reason(number: int, name: str, reason: str, sender: str, source: str) -> Quirk:
    """Return the quirk of a finish reason that means that a limit of tokens was reached."""
    return Quirk(
        number=number,
        name=name,
        sender=sender,
        source=source,
        sends=f"An answer that was cut at a limit of tokens has the finish reason `{reason}`.",
        play=finish_with(reason, "length"),
    )


def moderation_reason(number: int, reason: str, sender: str, source: str) -> Quirk:
    """Return the quirk of a finish reason that means that moderation withheld the answer."""
    return Quirk(
        number=number,
        name=f"finish-{reason.lower().replace('_', '-')}",
        sender=sender,
        source=source,
        sends=f"An answer that moderation withheld is empty, with the finish reason `{reason}`.",
        rewrite=withhold,
        play=finish_with(reason),
    )


ENDINGS = (
    Quirk(
        number=57,
        name="null-after-tool-result",
        sender="Kimi K2.5, Gemini, Claude",
        source=GITHUB + "getkimchi/kimchi/pull/64",
        sends="After a tool result, the content is null, and the finish reason `stop`.",
        rewrite=after_tool_result(content=None),
    ),
    Quirk(
        number=58,
        name="empty-text-after-tool-result",
        sender="models on OpenRouter",
        source=GITHUB + "earendil-works/pi/issues/8462",
        sends="After a tool result, the content is an empty text, and the finish reason `stop`.",
        rewrite=after_tool_result(content=""),
    ),
    Quirk(
        number=59,
        name="reasoning-alone-after-tool-result",
        sender="Kimi K2.6 on Azure, K2.7 on vLLM 0.19 and 0.28",
        source=GITHUB + "MoonshotAI/kimi-code/issues/520",
        sends="After a tool result, there is reasoning alone, and the finish reason `stop`.",
        rewrite=after_tool_result(content=None, reasoning="All is done."),
    ),
    Quirk(
        number=60,
        name="finish-upper-case",
        sender="gateways in front of Gemini",
        source=GITHUB + "QwenLM/qwen-code/issues/9882",
        sends="Finish reasons are in capitals: `STOP`, `TOOL_CALLS`, `LENGTH`.",
        play=in_choices(upper_case),
    ),
    Quirk(
        number=61,
        name="finish-repeated",
        sender="OpenRouter",
        source=GITHUB + "skye-harris/hass_local_openai_llm/pull/92",
        sends="The chunk with usage has a choice that repeats the finish reason.",
        play=in_events(repeat_finish_reason),
        stage=STREAM,
    ),
    failure_reason(
        62, "error", "OpenRouter; Google, in Mastra", GITHUB + "mastra-ai/mastra/pull/20302"
    ),
    failure_reason(
        63,
        "insufficient_system_resource",
        "DeepSeek",
        "https://docs.rs/crate/ds-api/latest/source/src/raw/response/non_streaming/finish_reason.rs",
    ),
    failure_reason(64, "network_error", "Zhipu GLM", GLM_REASONS),
    failure_reason(65, "abort", "vLLM, Zhipu GLM", GITHUB + "vllm-project/vllm/issues/57082"),
    Quirk(
        number=66,
        name="finish-malformed-function-call",
        sender="Gemini 2.5, with large schemas of tools",
        source=GITHUB + "mastra-ai/mastra/pull/20302",
        sends="An answer that the server could not read has the reason `MALFORMED_FUNCTION_CALL`.",
        rewrite=withhold,
        play=finish_with("MALFORMED_FUNCTION_CALL"),
    ),
    length_reason(
        67,
        "finish-max-tokens-upper-case",
        "MAX_TOKENS",
        "gateways in front of Gemini",
        GITHUB + "Portkey-AI/gateway/issues/1200",
    ),
    length_reason(
        68,
        "finish-max-tokens",
        "max_tokens",
        "Merge Gateway",
        "https://raw.githubusercontent.com/api-evangelist/merge/refs/heads/main/json-schema/"
        "merge-outputmessagefinishreason-schema.json",
    ),
    length_reason(
        69,
        "finish-model-context-window-exceeded",
        "model_context_window_exceeded",
        "Anthropic, Zhipu GLM",
        GITHUB + "earendil-works/pi/pull/1868",
    ),
    Quirk(
        number=70,
        name="finish-native-length",
        sender="OpenRouter",
        source=GITHUB + "reVrost/go-openrouter/pull/43",
        sends="An answer that was cut at a limit has the finish reason `stop`, and a native one.",
        play=in_choices(name_length_natively),
    ),
    moderation_reason(71, "SAFETY", "Gemini's OpenAI-compatible endpoint", GEMINI_REASONS),
    moderation_reason(72, "RECITATION", "Gemini's OpenAI-compatible endpoint", GEMINI_REASONS),
    moderation_reason(
        73, "PROHIBITED_CONTENT", "Gemini's OpenAI-compatible endpoint", GEMINI_REASONS
    ),
    moderation_reason(74, "BLOCKLIST", "Gemini's OpenAI-compatible endpoint", GEMINI_REASONS),
    moderation_reason(75, "sensitive", "Zhipu GLM", GLM_REASONS),
)
