"""Helpers of the quirk tests: the body or the chunks that a simulator with quirks sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

from onerouter_simulator import Simulator
from tests.simulator.conftest import INTEGER, JSON, MULTIPLY, STRING, authorization, function

ADD = function("add", a=INTEGER, b=INTEGER)
NOTE = function("note", text=STRING)
STATUS = {"type": "function", "function": {"name": "get_status"}}
TOOLS = [STATUS, NOTE, ADD, MULTIPLY]
ONE_CALL = "Please multiply 12 and 7."
TWO_CALLS = "Please add and multiply 12 and 7."
REASONING = {"effort": "low"}
ARGUMENTS = '{"a": 12, "b": 7}'


def post(quirks: tuple[str, ...], question: str | list[JSON], **body: Any) -> httpx.Response:
    """Return the response of a simulator that plays these quirks."""
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
    request = {"model": "acme/some-model-1.5", "messages": messages, "usage": {"include": True}}
    with Simulator(quirks=quirks) as sim:
        url = f"{sim.base_url}/chat/completions"
        return httpx.post(url, json=request | body, headers=authorization(sim))


def send(quirk: str, question: str | list[JSON] = "Hello", **body: Any) -> Any:
    """Return the completion of a simulator that plays a quirk."""
    return post((quirk,), question, **body).json()


def stream(quirk: str, question: str | list[JSON] = "Hello", **body: Any) -> list[JSON]:
    """Return the chunks of a simulator that plays a quirk."""
    return chunks_in(post((quirk,), question, stream=True, **body).text)


def chunks_in(text: str) -> list[JSON]:
    """Return the chunks in the text of a stream."""
    lines = (line.removeprefix("data:").strip() for line in text.splitlines())
    return [json.loads(line) for line in lines if line.startswith("{")]


def message_of(completion: JSON) -> JSON:
    """Return the message of a completion."""
    message: JSON = completion["choices"][0]["message"]
    return message


def deltas_of(chunks: list[JSON]) -> list[JSON]:
    """Return the deltas of a stream."""
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def call_deltas(chunks: list[JSON]) -> list[list[JSON]]:
    """Return the tool-call deltas of each chunk that has some, without their ids and types."""
    lists = [delta["tool_calls"] for delta in deltas_of(chunks) if "tool_calls" in delta]
    return [[{k: d[k] for k in d if k not in {"id", "type"}} for d in deltas] for deltas in lists]


def arguments_of(deltas: list[JSON]) -> str:
    """Return the arguments that the deltas of one call add up to."""
    return "".join(delta["function"].get("arguments", "") for delta in deltas)


def finish_reasons(chunks: list[JSON]) -> list[str]:
    """Return the finish reasons of a stream."""
    choices = (choice for chunk in chunks for choice in chunk["choices"])
    return [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]


def tool_turn(result: str = "84", **call: Any) -> list[JSON]:
    """Return a question, a call of the tool multiply with more fields, and its result."""
    return [
        {"role": "user", "content": ONE_CALL},
        {"role": "assistant", "content": None, "tool_calls": [call_of_multiply(**call)]},
        {"role": "tool", "tool_call_id": "c1", "content": result},
    ]


def call_of_multiply(**fields: Any) -> JSON:
    """Return a call of the tool multiply with more fields."""
    function = {"name": "multiply", "arguments": ARGUMENTS}
    return {"id": "c1", "type": "function", "function": function} | fields


def texts(chunks: list[JSON], key: str = "content") -> Iterator[str]:
    """Yield the texts under a key of the deltas."""
    return (delta[key] for delta in deltas_of(chunks) if delta.get(key))
