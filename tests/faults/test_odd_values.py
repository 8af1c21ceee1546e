"""Odd values in replies: whatever a server says, the answer or the error can be used as any other.

It can be printed, written as JSON, pickled, deep-copied, added up, recorded in the ledger and sent
back. A value of a good reply is replaced by an odd one, or an odd key is added.
"""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import traceback
from functools import reduce
from operator import add
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, ChatResponse

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import Ledger, OneRouterError
from onerouter_core.errors import MalformedReplyError
from tests.faults.http_scripts import DONE, EVENTS, response
from tests.faults.server import HTTPScript, Server

Path = tuple[str | int, ...]
Json = dict[str, Any]
MODES = ("complete", "stream")
CLASSES = (ChatOneRouter, OneRouterLLM)
HALF = "\ud83d"


class Nested:
    """A value that is nested this deep, in lists or objects; written by `write`."""

    def __init__(self, levels: int, *, in_lists: bool = True) -> None:
        before, after = ("[", "]") if in_lists else ('{"a":', "}")
        self.text = before * levels + "1" + after * levels

    def __repr__(self) -> str:
        return f"{self.text[:12]}... of {len(self.text)} characters"


TOKEN = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}
PYTHON_NAMES = ("copy", "keys", "items", "get", "__deepcopy__", "__reduce_ex__", "__getstate__")
ODD_VALUES: tuple[Any, ...] = (
    *(HALF, f"a{HALF}\ude00\ude00", float("nan"), float("inf"), 10**30, 10**400, -1, 0, 1.5),
    *(True, None, "", "NaN", [], {}, [None], [HALF], {HALF: HALF}, [[{}]], "/images/a.png"),
    *(Nested(80), Nested(80, in_lists=False), Nested(150), Nested(400), Nested(5000)),
    *(Nested(400, in_lists=False), Nested(1500, in_lists=False)),
    dict.fromkeys((*PYTHON_NAMES, "type", "content", "index"), 1),
    [{"index": 0, "type": "a", "logprob": 0.5}, {"index": 0, "type": "b", "logprob": 0.25}],
    [1, HALF, None, {"bytes": [300, -1, "x", 1.5]}],
)
ODD_KEYS = ("type", "content", "logprobs", "text", "error", "headers", "model_name", *PYTHON_NAMES)
REPLY: Json = {
    "id": "gen-1",
    "model": "vendor/model",
    "provider": "alibaba",
    "request_id": "r-1",
    "system_fingerprint": "fp",
    "cost": 0.1,
    "cost_details": {"input": 0.1},
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
    },
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": {"content": [{**TOKEN, "top_logprobs": [TOKEN]}]},
            "message": {
                "role": "assistant",
                "content": "Hi",
                "reasoning": "Hm",
                "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "index": 0}],
                "refusal": None,
                "images": [{"type": "image_url", "image_url": {"url": "http://a.example/b.png"}}],
                "audio": {"id": "a", "data": "UklGRg==", "transcript": "Hi"},
                "annotations": [{"type": "url_citation", "url_citation": {"url": "http://a"}}],
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a": 1}'},
                        "extra_content": {"google": {"thought_signature": "s"}},
                    }
                ],
                "extra_content": {"google": {"thought_signature": "s"}},
                "x_unknown": "x",
            },
        }
    ],
}


# --- mutated replies ---


def paths(value: Any, path: Path = ()) -> list[Path]:
    """Return the paths of all values within a value, itself included."""
    if not isinstance(value, dict | list):
        return [path]
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(found for key, item in pairs for found in paths(item, (*path, key)))]


def at(value: Any, path: Path) -> Any:
    """Return the value at a path."""
    return reduce(lambda inner, key: inner[key], path, value)


PATHS = paths(REPLY)[1:]
OBJECTS = [path for path in paths(REPLY) if isinstance(at(REPLY, path), dict)]
places = st.sampled_from(PATHS) | st.builds(
    lambda path, key: (*path, key), st.sampled_from(OBJECTS), st.sampled_from(ODD_KEYS)
)


def mutated(path: Path, odd: Any) -> Json:
    """Return the reply with an odd value at a path."""
    reply = copy.deepcopy(REPLY)
    at(reply, path[:-1])[path[-1]] = odd
    return reply


def write(value: Any) -> bytes:
    """Return a value as JSON; NaN and halves of surrogate pairs are written, too."""
    nested: dict[str, str] = {}

    def hold(item: Nested) -> str:
        nested[f'"{id(item)}"'] = item.text
        return str(id(item))

    text = json.dumps(value, default=hold)
    for mark, inner in nested.items():
        text = text.replace(mark, inner)
    return text.encode()


def script(reply: Any, mode: str) -> HTTPScript:
    """Return a response with a reply; a stream has its message as a delta, twice, and its end."""
    if mode == "complete":
        return response(write(reply))
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return response(b"data: " + write(reply) + b"\n\n" + DONE, kind=EVENTS)
    message, rest = choice.get("message"), {k: v for k, v in choice.items() if k != "message"}
    first = {**rest, "delta": message, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": rest.get("finish_reason")}
    events = [{**reply, "choices": [one]} for one in (first, first, last)]
    body = b"".join(b"data: " + write(one) + b"\n\n" for one in events)
    return response(body + DONE, kind=EVENTS)


# --- calls ---


def answers_of(llm: Any, mode: str) -> list[Any]:
    """Return the answer, or the chunks or responses of the stream."""
    if isinstance(llm, ChatOneRouter):
        return [llm.invoke("Hi")] if mode == "complete" else list(llm.stream("Hi"))
    history = [ChatMessage("Hi")]
    return [llm.chat(history)] if mode == "complete" else list(llm.stream_chat(history))


async def aanswers_of(llm: Any, mode: str) -> list[Any]:
    """Return the answer, or the chunks or responses of the stream."""
    if isinstance(llm, ChatOneRouter):
        return (
            [await llm.ainvoke("Hi")]
            if mode == "complete"
            else [c async for c in llm.astream("Hi")]
        )
    history = [ChatMessage("Hi")]
    if mode == "complete":
        return [await llm.achat(history)]
    return [item async for item in await llm.astream_chat(history)]


def check_use(
    model_class: Any, mode: str, server: Server, reply: Any, *, is_async: bool = False
) -> Any:
    """Call; check that the answer or the error can be used; return it."""
    good = response({"choices": [{"message": {"content": "Fine."}, "finish_reason": "stop"}]})
    ledger = Ledger()
    llm = model_class(
        model="vendor/model",
        api_key="sk-canary-0123456789",
        max_retries=0,
        base_url=server.endpoint(script(reply, mode), good).base_url,
        ledger=ledger,
    )
    try:
        items = asyncio.run(aanswers_of(llm, mode)) if is_async else answers_of(llm, mode)
    except OneRouterError as error:
        check_error(error)
        result: Any = error
    else:
        for item in items:
            check_answer(item)
        result = reduce(add, items) if model_class is ChatOneRouter else items[-1]
        check_answer(result)
        send_back(llm, result)
    check_ledger(ledger)
    llm.close()
    return result


def check_error(error: OneRouterError) -> None:
    """Print, pickle and copy an error and its partial reply."""
    for text in (str(error), repr(error), *traceback.format_exception(error)):
        text.encode()
    for copied in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):  # noqa: S301
        assert str(copied) == str(error)
    if error.partial is not None:
        json.dumps(error.partial.raw, allow_nan=False, ensure_ascii=False).encode()


def check_answer(answer: Any) -> None:
    """Print, dump, pickle and copy a message or a response."""
    for text in (str(answer), repr(answer), answer.model_dump_json()):
        text.encode()
    dumped = answer.model_dump(mode="json" if isinstance(answer, ChatResponse) else "python")
    json.dumps(dumped, allow_nan=False, ensure_ascii=False).encode()
    for copied in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):  # noqa: S301
        assert copied == answer
    if isinstance(answer, ChatResponse):
        assert answer.model_copy(deep=True).raw == answer.raw
    else:
        dumps(answer).encode()


def send_back(llm: Any, answer: Any) -> None:
    """Send an answer in the history of the next call."""
    if isinstance(answer, ChatResponse):
        llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        llm.chat([ChatMessage("Hi"), answer.message, ChatMessage("Go on.")])
    else:
        calls = [*answer.tool_calls, *answer.invalid_tool_calls]
        results = [ToolMessage("Saved.", tool_call_id=call["id"]) for call in calls]
        llm.invoke([HumanMessage("Hi"), answer, *results])


def check_ledger(ledger: Ledger) -> None:
    """Write the rows of a ledger, and read them again."""
    rows = ledger.to_rows()
    json.dumps(rows, allow_nan=False, ensure_ascii=False).encode()
    assert Ledger.from_rows(rows) == ledger


# --- tests ---

Kind = tuple[Any, str]
each_mode = pytest.mark.parametrize(
    "kind",
    [(model_class, mode) for model_class in CLASSES for mode in MODES],
    ids=lambda kind: f"{kind[0].__name__}-{kind[1]}",
)


@each_mode
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(place=places, odd=st.sampled_from(ODD_VALUES), is_async=st.booleans())
def test_whatever_a_server_says_can_be_used(
    server: Server, kind: Kind, place: Path, odd: Any, is_async: bool
) -> None:
    """Any odd value in any place."""
    check_use(*kind, server, mutated(place, odd), is_async=is_async)


CHOICE: Path = ("choices", 0)
MESSAGE: Path = (*CHOICE, "message")
FUNCTION: Path = (*MESSAGE, "tool_calls", 0, "function")
TOKENS: Path = (*CHOICE, "logprobs", "content")
PLACES: dict[str, tuple[Path, Any]] = {
    **{f"half in {path[-1]}": (path, HALF) for path in [("model",), ("provider",), ("id",)]},
    "half in an error": (("error",), {"message": HALF, "code": HALF, "type": HALF}),
    "half in a token": (TOKENS, [{"token": HALF, "logprob": -1}]),
    "half instead of tokens": (TOKENS, HALF),
    "odd bytes": (TOKENS, [{"token": "a", "logprob": -1, "bytes": [300, -1, "x", None, 1.5]}]),
    "tokens with an index": (TOKENS, [{"index": 0, "logprob": 0.5}, {"index": 0, "logprob": 0.25}]),
    "unknown key type": ((*MESSAGE, "type"), "message"),
    "unknown key content": ((*CHOICE, "content"), [1]),
    "unknown key logprobs": ((*MESSAGE, "logprobs"), "x"),
    "Python's names": (("usage",), dict.fromkeys(PYTHON_NAMES, 1)),
    "relative URL": ((*MESSAGE, "images", 0, "image_url", "url"), "/images/a.png"),
    "odd audio": ((*MESSAGE, "audio", "data"), f"{HALF}!"),
    "infinite numbers": ((*MESSAGE, "annotations"), [{"a": float("inf"), "b": float("nan")}]),
}


@each_mode
@pytest.mark.parametrize("name", PLACES)
def test_an_odd_value_in_its_place(server: Server, kind: Kind, name: str) -> None:
    """The answer arrives: only an error of the server is one."""
    result = check_use(*kind, server, mutated(*PLACES[name]))
    assert isinstance(result, OneRouterError) is (name == "half in an error")
    if not isinstance(result, OneRouterError):
        text = result.message.content if isinstance(result, ChatResponse) else result.text
        assert text == ("Hi" if kind[1] == "complete" else "HiHi")


@each_mode
@pytest.mark.parametrize("levels", [150, 400, 5000])
@pytest.mark.parametrize("path", [(*MESSAGE, "reasoning_details"), (*MESSAGE, "x_unknown"), ("x",)])
def test_a_reply_nested_too_deeply_is_malformed(
    server: Server, kind: Kind, levels: int, path: Path
) -> None:
    """The error says so; it is no RecursionError, and no answer that cannot be copied."""
    reply = mutated(path, Nested(levels))
    error = check_use(*kind, server, reply)
    assert isinstance(error, MalformedReplyError)
    assert "nested too deeply" in error.message


@each_mode
@pytest.mark.parametrize("levels", [150, 400, 5000])
@pytest.mark.parametrize("before", ['{"a":', "[", '{"a":['])
def test_arguments_nested_too_deeply_are_an_invalid_call(
    server: Server, kind: Kind, levels: int, before: str
) -> None:
    """The answer is there, and no call runs, whether its text is whole or was cut."""
    after = {'{"a":': "}", "[": "]", '{"a":[': "]}"}[before]
    texts = (before * levels + "1" + after * levels, before * levels)
    functions = [{"name": f"f{n}", "arguments": text} for n, text in enumerate(texts)]
    calls = [{"id": f"c{n}", "index": n, "function": f} for n, f in enumerate(functions)]
    message = {"content": "Hi", "tool_calls": calls}
    reply = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    result = check_use(*kind, server, reply)
    if isinstance(result, ChatResponse):
        selections = OneRouterLLM(model="m").get_tool_calls_from_response(result)
        assert all("not run" in selection.tool_name for selection in selections)
    else:
        assert result.tool_calls == []
        assert result.invalid_tool_calls
