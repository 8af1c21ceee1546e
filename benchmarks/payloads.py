"""What is asked and what is answered: made before the clock runs, the same for every target.

This module knows the gateway's JSON and the sizes of things. It knows no client.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

MODEL = "vendor/model"
KEY = "key"
STAMP = b"00000000000000000000"
"""Where the server writes its clock, as many digits."""

_HEAD = {"id": "chatcmpl-1", "created": 1677652288, "model": MODEL}
_WORD = " word"
_ARGUMENTS = ('{"path": "notes.md", "text": "', '"}')
_CALLED = {"index": 0, "id": "call_1", "type": "function"}


@dataclass(frozen=True)
class Ask:
    """One call: how it is answered, after how many messages, and with how many tools.

    `answer` is a kind and a size, as "text-200": 200 streamed words. `delivery` is how it comes:
    "now", all at once; "paced", event by event; "together", when nobody else asks any more;
    "stamped", with the server's clock in the first event.
    """

    answer: str
    delivery: str = "now"
    history: int = 1
    tools: int = 0

    @property
    def path(self) -> str:
        """Return where the server gives this answer."""
        return f"/{self.delivery}/{self.answer}/v1"

    @property
    def kind(self) -> str:
        """Return what is answered: text, reasoning, tool, or a whole answer unstreamed."""
        return self.answer.partition("-")[0]

    @property
    def size(self) -> int:
        """Return how many words or pieces are answered."""
        return int(self.answer.partition("-")[2])

    def messages(self) -> list[dict[str, str]]:
        """Return a conversation that ends with a question."""
        roles = ("user" if (self.history - i) % 2 else "assistant" for i in range(self.history))
        return [{"role": role, "content": f"{i}: " + _WORD * 40} for i, role in enumerate(roles)]

    def body(self, *, stream: bool) -> dict[str, Any]:
        """Return the request as the API page has it."""
        tools = [spelled(tool) for tool in functions(self.tools)]
        more = {"tools": tools} if tools else {}
        usage = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        return {"model": MODEL, "messages": self.messages(), **more, **usage}


# --- tools ---


@cache
def functions(count: int) -> tuple[Callable[..., str], ...]:
    """Return functions that differ in name, to be made tools of."""
    return tuple(_function(number) for number in range(count))


def _function(number: int) -> Callable[..., str]:
    def look_up(city: str, days: int = 3, units: list[str] | None = None) -> str:
        """Look the weather up, for a city and some days ahead."""
        return f"{city} {days} {units}"

    look_up.__name__ = f"look_up_{number}"
    return look_up


def spelled(function: Callable[..., str]) -> dict[str, Any]:
    """Return a tool as the API page spells it."""
    several = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}
    properties = {
        "city": {"type": "string"},
        "days": {"type": "integer", "default": 3},
        "units": {**several, "default": None},
    }
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    about = {"name": function.__name__, "description": function.__doc__, "parameters": parameters}
    return {"type": "function", "function": about}


# --- answers ---


@cache
def events(answer: str) -> tuple[bytes, ...]:
    """Return a stream's events; a whole answer is one, which is none."""
    kind, _, size = answer.partition("-")
    if kind == "whole":
        return (_whole(int(size)),)
    deltas = {"text": _text, "reasoning": _reasoning, "tool": _tool, "stamp": _stamp}
    last = _event({}, "tool_calls" if kind == "tool" else "stop", usage=_usage(int(size)))
    return (*deltas[kind](int(size)), last, b"data: [DONE]\n\n")


def _text(size: int) -> list[bytes]:
    return [_event({"content": _WORD})] * size


def _reasoning(size: int) -> list[bytes]:
    return [_event({"reasoning": _WORD})] * size + _text(1)


def _stamp(size: int) -> list[bytes]:
    return [_event({"content": STAMP.decode()}), *_text(size)]


def _tool(size: int) -> list[bytes]:
    """Spell a call whose arguments come four characters at a time."""
    head, tail = _ARGUMENTS
    whole = head + "word\\n " * size
    text = whole[: 4 * size - len(tail)].rstrip("\\") + tail
    pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
    first = {**_CALLED, "function": {"name": "look_up_0", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    return [_event({"tool_calls": [call]}) for call in (first, *rest)]


def _event(delta: dict[str, Any], reason: str | None = None, **root: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice], **root}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _whole(size: int) -> bytes:
    message = {"role": "assistant", "content": _WORD * size}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    said = {**_HEAD, "object": "chat.completion", "system_fingerprint": None}
    said |= {"choices": [choice], "usage": _usage(size)}
    return json.dumps(said).encode()


def _usage(size: int) -> dict[str, int]:
    return {"prompt_tokens": 5, "completion_tokens": size, "total_tokens": 5 + size}
