"""Assistant message of a reply: an answer cut to its limits, with the requested extras.

Knows which extras a request can ask for. Knows neither the rules of the answers nor how a reply is
sent.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from typing import Any

from onerouter_simulator.bodies import JSON, tool_call
from onerouter_simulator.conversation import Conversation
from onerouter_simulator.counting import CHARACTERS_PER_TOKEN
from onerouter_simulator.field_values import split_phrases
from onerouter_simulator.rules import Answer

REASONING_FORMAT = "simulated-v1"
# A PNG image of one pixel.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
# A WAV recording of four samples, all zero.
SILENCE = base64.b64encode(
    b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
    b"data\x08\0\0\0" + bytes(8)
).decode()
AUDIO_LIFETIME = 3600  # seconds


def build_message(request: JSON, answer: Answer) -> tuple[JSON, str]:
    """Return the assistant message and its finish reason."""
    limit = character_limit(request)
    text, reason = None, "stop"
    if answer.text is not None:
        text, reason = cut_text(answer.text, request, limit)
    message: JSON = {"role": "assistant", "content": text}
    if answer.refusal is not None:
        message["refusal"] = answer.refusal
    if answer.calls:
        message["tool_calls"], reason = build_tool_calls(answer.calls, limit)
    if is_reasoning_requested(request):
        message |= build_reasoning(request, answer.rule)
    return message | build_extras(request, message), reason


def character_limit(request: JSON) -> int | None:
    """Return the characters that max_tokens (or max_completion_tokens) allows; None: no limit."""
    limit = request.get("max_tokens", request.get("max_completion_tokens"))
    return None if limit is None else limit * CHARACTERS_PER_TOKEN


def cut_text(text: str, request: JSON, limit: int | None) -> tuple[str, str]:
    """Cut a text before the first stop sequence, then to the limit; return it and its reason."""
    stop = request.get("stop", [])
    for sequence in [stop] if isinstance(stop, str) else stop:
        text = text.partition(sequence)[0]
    return (text, "stop") if limit is None or len(text) <= limit else (text[:limit], "length")


def build_tool_calls(
    calls: tuple[tuple[str, str], ...], limit: int | None
) -> tuple[list[JSON], str]:
    """Return the tool calls and the finish reason; the limit may cut the arguments of the last."""
    built: list[JSON] = []
    for name, arguments in calls:
        if limit is not None and len(arguments) > limit:
            return [*built, tool_call(name, arguments[:limit], new_call_id())], "length"
        limit = None if limit is None else limit - len(arguments)
        built.append(tool_call(name, arguments, new_call_id()))
    return built, "tool_calls"


def new_call_id() -> str:
    """Return a random id for a tool call."""
    return f"call_{secrets.token_hex(12)}"


def is_reasoning_requested(request: JSON) -> bool:
    """Whether the request asks for reasoning, by effort or by max_tokens."""
    reasoning = request.get("reasoning", {})
    return reasoning.get("effort", "none") != "none" or "max_tokens" in reasoning


def build_reasoning(request: JSON, rule: str) -> JSON:
    """Return reasoning text and details that name the rule of the answer."""
    phrase = split_phrases(Conversation(request["messages"]).user_text)[0]
    text = f"The request says: {phrase}. The rule to follow: {rule}."
    detail = {
        "type": "reasoning.text",
        "text": text,
        "format": REASONING_FORMAT,
        "index": 0,
        "signature": hashlib.sha256(text.encode()).hexdigest(),
    }
    return {"reasoning": text, "reasoning_details": [detail]}


def build_extras(request: JSON, message: JSON) -> JSON:
    """Return the requested citations, images and audio; audio replaces the text."""
    extras: JSON = {}
    modalities = request.get("modalities", ())
    if "web_search_options" in request and message["content"] is not None:
        extras["annotations"] = [build_citation(message["content"])]
    if "image" in modalities:
        url = f"data:image/png;base64,{PIXEL}"
        extras["images"] = [{"type": "image_url", "image_url": {"url": url}, "index": 0}]
    if "audio" in modalities and message["content"] is not None:
        extras |= {"content": None, "audio": build_audio(message["content"])}
    return extras


def build_citation(text: str) -> JSON:
    """Return a URL citation, for a simulated search result, of the whole text."""
    citation = {
        "url": "https://example.com/simulated",
        "title": "A simulated search result",
        "content": "No search took place.",
        "start_index": 0,
        "end_index": len(text),
    }
    return {"type": "url_citation", "url_citation": citation}


def build_audio(transcript: str) -> JSON:
    """Return the answer as audio: silence with a transcript."""
    return {
        "id": f"audio_{secrets.token_hex(8)}",
        "data": SILENCE,
        "transcript": transcript,
        "expires_at": int(time.time()) + AUDIO_LIFETIME,
    }


def build_logprobs(request: JSON, text: str) -> JSON | None:
    """Return a log probability for each token of a text; None if not requested."""
    if not request.get("logprobs") or not text:
        return None
    tokens = split_text(text, CHARACTERS_PER_TOKEN)
    return {"content": [build_token(token, request.get("top_logprobs", 0)) for token in tokens]}


def build_token(text: str, alternatives: int) -> JSON:
    """Return the log probability of a token, with alternatives that are each less likely."""
    ranks: list[dict[str, Any]] = [
        {"token": text + "~" * rank, "logprob": -0.5 - rank, "bytes": list(text.encode())}
        for rank in range(max(1, alternatives))
    ]
    return ranks[0] | {"top_logprobs": ranks[:alternatives]}


def split_text(text: str, size: int) -> Iterator[str]:
    """Split a text into parts of `size` characters; the last may be shorter."""
    return (text[start : start + size] for start in range(0, len(text), size))
