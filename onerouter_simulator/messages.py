"""The message of a reply: an answer cut to measure, with everything that was asked for besides.

Knows what a request may ask an answer to carry. Knows neither the rules of what is said nor how it
is sent.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from typing import Any

from onerouter_simulator.bodies import JSON, tool_call
from onerouter_simulator.conversation import Conversation
from onerouter_simulator.counting import LETTERS_PER_TOKEN
from onerouter_simulator.field_values import phrases
from onerouter_simulator.rules import Answer

REASONING_FORMAT = "simulated-v1"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
SILENCE = base64.b64encode(
    b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
    b"data\x08\0\0\0" + bytes(8)
).decode()
AN_HOUR = 3600


def message_of(request: JSON, said: Answer) -> tuple[JSON, str]:
    """Return the message, and why it ends."""
    room = room_for(request)
    text, reason = cut(said.text, request, room) if said.text is not None else (None, "stop")
    message: JSON = {"role": "assistant", "content": text}
    if said.refusal is not None:
        message["refusal"] = said.refusal
    if said.calls:
        message["tool_calls"], reason = written_calls(said.calls, room)
    if reasoning_wanted(request):
        message |= reasoning(request, said.rule)
    return message | extras(request, message), reason


def room_for(request: JSON) -> int | None:
    """How many characters the answer may have."""
    limit = request.get("max_tokens", request.get("max_completion_tokens"))
    return None if limit is None else limit * LETTERS_PER_TOKEN


def cut(text: str, request: JSON, room: int | None) -> tuple[str, str]:
    """Cut a text before the first stop sequence, then to the room there is."""
    stop = request.get("stop", [])
    for ending in [stop] if isinstance(stop, str) else stop:
        text = text.partition(ending)[0]
    return (text, "stop") if room is None or len(text) <= room else (text[:room], "length")


def written_calls(calls: tuple[tuple[str, str], ...], room: int | None) -> tuple[list[JSON], str]:
    """Return the tool calls, the last of them cut short where there is no room for it."""
    written: list[JSON] = []
    for name, arguments in calls:
        if room is not None and len(arguments) > room:
            return [*written, tool_call(name, arguments[:room], call_id())], "length"
        room = None if room is None else room - len(arguments)
        written.append(tool_call(name, arguments, call_id()))
    return written, "tool_calls"


def call_id() -> str:
    """Return an id for a tool call."""
    return f"call_{secrets.token_hex(12)}"


def reasoning_wanted(request: JSON) -> bool:
    """Whether the request asks to see reasoning."""
    wish = request.get("reasoning", {})
    return wish.get("effort", "none") != "none" or "max_tokens" in wish


def reasoning(request: JSON, rule: str) -> JSON:
    """Reasoning that is true: it says which rule made the answer."""
    asked = phrases(Conversation(request["messages"]).user_text)[0]
    text = f"The request says: {asked}. The rule to follow: {rule}."
    detail = {
        "type": "reasoning.text",
        "text": text,
        "format": REASONING_FORMAT,
        "index": 0,
        "signature": hashlib.sha256(text.encode()).hexdigest(),
    }
    return {"reasoning": text, "reasoning_details": [detail]}


def extras(request: JSON, message: JSON) -> JSON:
    """Citations and media, where they are asked for."""
    found: JSON = {}
    modalities = request.get("modalities", ())
    if "web_search_options" in request and message["content"] is not None:
        found["annotations"] = [citation(message["content"])]
    if "image" in modalities:
        url = f"data:image/png;base64,{PIXEL}"
        found["images"] = [{"type": "image_url", "image_url": {"url": url}, "index": 0}]
    if "audio" in modalities and message["content"] is not None:
        found |= {"content": None, "audio": audio(message["content"])}
    return found


def citation(text: str) -> JSON:
    """Return the page that a web search would have found."""
    page = {
        "url": "https://example.com/simulated",
        "title": "A simulated search result",
        "content": "No search took place.",
        "start_index": 0,
        "end_index": len(text),
    }
    return {"type": "url_citation", "url_citation": page}


def audio(transcript: str) -> JSON:
    """Return the answer as a recording of silence."""
    return {
        "id": f"audio_{secrets.token_hex(8)}",
        "data": SILENCE,
        "transcript": transcript,
        "expires_at": int(time.time()) + AN_HOUR,
    }


def logprobs(request: JSON, text: str) -> JSON | None:
    """Return a log probability for each token of a text, where they are asked for."""
    if not request.get("logprobs") or not text:
        return None
    pieces = pieces_of(text, LETTERS_PER_TOKEN)
    return {"content": [token(piece, request.get("top_logprobs", 0)) for piece in pieces]}


def token(text: str, alternatives: int) -> JSON:
    """One token, its alternatives ever less likely."""
    ranks: list[dict[str, Any]] = [
        {"token": text + "~" * rank, "logprob": -0.5 - rank, "bytes": list(text.encode())}
        for rank in range(max(1, alternatives))
    ]
    return ranks[0] | {"top_logprobs": ranks[:alternatives]}


def pieces_of(text: str, size: int) -> Iterator[str]:
    """Yield a text in pieces of some size."""
    return (text[start : start + size] for start in range(0, len(text), size))
