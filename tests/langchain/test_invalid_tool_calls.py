"""Arguments of tool calls: incomplete or malformed ones make an invalid call."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
    message_chunk_to_message,
    messages_from_dict,
    messages_to_dict,
)

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Simulator, tool_call
from tests.langchain.conftest import CallModel, Mode
from tests.langchain.scripted_replies import (
    arguments_delta,
    call_delta,
    complete_and_streamed,
    complete_reply,
    streamed_reply,
    tool_call_message,
)

NESTED = (
    '{"what": "a\\"b", "list": [1, {"x": [true, null, "\\u00e9"]}], "n": -1.5e3, "y": {"z": {}}}'
)
MALFORMED = [
    '{"what": "a"} and more',
    "[1]",
    "5",
    '"x"',
    "null",
    "{'what': 1}",
    '{"what": }',
    "not JSON",
]
TRUNCATED = [NESTED[:end] for end in range(1, len(NESTED))]


def incomplete_arguments() -> Iterator[Any]:
    """Yield arguments that are not a complete object, and finish reasons."""
    for arguments in [*TRUNCATED, *MALFORMED]:
        yield pytest.param(arguments, "tool_calls", id=arguments)
    yield pytest.param(NESTED[:40], "length", id="length")
    yield pytest.param("", "length", id="length, no arguments")


@pytest.mark.parametrize(("arguments", "finish_reason"), list(incomplete_arguments()))
def test_incomplete_arguments_are_an_invalid_call(
    llm: ChatOneRouter, sim: Simulator, arguments: str, finish_reason: str
) -> None:
    """Complete replies and added chunks agree; the raw text is kept."""
    sim.script(
        complete_reply(tool_call_message(tool_call("remember", arguments, "c")), finish_reason),
        streamed_reply(
            [
                call_delta("remember", "c"),
                arguments_delta(arguments[:5]),
                arguments_delta(arguments[5:]),
            ],
            finish_reason,
        ),
    )
    complete, total = llm.invoke("Hi"), reduce(add, llm.stream("Hi"))
    assert complete.tool_calls == []
    (invalid_call,) = complete.invalid_tool_calls
    assert (invalid_call["name"], invalid_call["id"], invalid_call["args"]) == (
        "remember",
        "c",
        arguments,
    )
    assert invalid_call["error"]
    assert (total.tool_calls, total.invalid_tool_calls) == ([], complete.invalid_tool_calls)
    assert total.additional_kwargs == complete.additional_kwargs


def test_empty_arguments_are_invalid_only_after_a_length_limit(
    llm: ChatOneRouter, sim: Simulator
) -> None:
    """Otherwise they are an empty object."""
    sim.script(
        streamed_reply([call_delta("remember", "c")], "length"),
        streamed_reply([call_delta("remember", "c")]),
    )
    after_limit = reduce(add, llm.stream("Hi"))
    assert (len(after_limit.tool_calls), len(after_limit.invalid_tool_calls)) == (0, 1)
    after_stop = reduce(add, llm.stream("Hi"))
    assert [call["args"] for call in after_stop.tool_calls] == [{}]


def test_a_valid_call_beside_an_invalid_one(llm: ChatOneRouter, sim: Simulator, mode: Mode) -> None:
    """Each call is parsed on its own."""
    valid_call, invalid_call = tool_call("f", '{"a": 1}', "c"), tool_call("g", '{"a": "', "d")
    deltas = [
        call_delta("f", "c"),
        arguments_delta('{"a": 1}'),
        call_delta("g", "d", 1),
        arguments_delta('{"a": "', 1),
    ]
    complete, total = complete_and_streamed(
        llm,
        sim,
        mode,
        complete_reply(tool_call_message(valid_call, invalid_call)),
        streamed_reply(deltas),
    )
    for message in (complete, total):
        assert [call["name"] for call in message.tool_calls] == ["f"]
        assert [call["name"] for call in message.invalid_tool_calls] == ["g"]
    assert total.invalid_tool_calls == complete.invalid_tool_calls


def test_arguments_as_an_object(llm: ChatOneRouter, sim: Simulator, call_model: CallModel) -> None:
    """Some gateways send an object instead of a string."""
    call = tool_call("f", "", "c")
    call["function"]["arguments"] = {"a": [1]}
    sim.script(complete_reply(tool_call_message(call)))
    assert call_model(llm, "Hi").tool_calls[0]["args"] == {"a": [1]}


def test_a_call_without_an_id_gets_one(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """A tool result needs it; two calls of a reply get different ids."""
    calls = [{**tool_call("f", "{}"), "id": None} for _ in range(2)]
    sim.script(complete_reply(tool_call_message(*calls)))
    ids = {call["id"] for call in call_model(llm, "Hi").tool_calls}
    assert len(ids) == 2
    assert all(ids)


# --- sums of chunks ---

CUT = [call_delta("remember", "c"), arguments_delta('{"what": "Par')]


class Messages(BaseCallbackHandler):
    """Callback handler that keeps the messages of the results."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def on_llm_end(self, response: Any, **_: Any) -> None:
        """Keep the message."""
        self.messages.append(response.generations[0][0].message)


def sums(chunks: list[Any]) -> dict[str, Any]:
    """Return the sums of chunks, added in the ways of LangChain and its users."""
    total = reduce(add, chunks)
    (restored,) = messages_from_dict(json.loads(json.dumps(messages_to_dict([total]))))
    return {
        "pairwise": total,
        "list": chunks[0] + chunks[1:],
        "with one more": total + AIMessageChunk(""),
        "message": message_chunk_to_message(total),
        "from JSON": restored,
    }


def test_an_invalid_call_stays_invalid_in_every_sum(
    llm: ChatOneRouter, sim: Simulator, mode: Mode
) -> None:
    """LangChain parses the arguments again in each: they would be a valid call."""
    sim.script(streamed_reply(CUT, "length"))
    for total in sums(mode.stream(llm, "Hi")).values():
        assert total.tool_calls == []
        assert [call["id"] for call in total.invalid_tool_calls] == ["c"]
        (kept,) = total.additional_kwargs["invalid_tool_calls"]
        assert (kept["args"], kept["error"][:27]) == (
            '{"what": "Par',
            "The arguments were cut off.",
        )


@pytest.mark.parametrize("form", ["pairwise", "list", "with one more", "message", "from JSON"])
def test_an_invalid_call_of_a_sum_is_sent_as_received(
    llm: ChatOneRouter, sim: Simulator, mode: Mode, form: str
) -> None:
    """Its arguments are a JSON object with the received text."""
    sim.script(streamed_reply(CUT, "length"))
    total = sums(mode.stream(llm, "Hi"))[form]
    sim.script(complete_reply({"content": "Sorry."}))
    mode.invoke(llm, [HumanMessage("Hi"), total, ToolMessage("No.", tool_call_id="c")])
    (call,) = sim.requests[-1].body["messages"][1]["tool_calls"]
    assert call["function"]["arguments"] == '{"invalid_arguments": "{\\"what\\": \\"Par"}'


def test_callbacks_get_the_invalid_call_as_received(
    llm: ChatOneRouter, sim: Simulator, mode: Mode
) -> None:
    """LangChain adds the chunks in a list for them."""
    sim.script(streamed_reply(CUT, "length"), complete_reply(cut_message(), "length"))
    handler = Messages()
    mode.stream(llm, "Hi", config={"callbacks": [handler]})
    mode.invoke(llm, "Hi", config={"callbacks": [handler]})
    streamed, complete = handler.messages
    assert (streamed.tool_calls, streamed.invalid_tool_calls) == ([], complete.invalid_tool_calls)


def cut_message() -> dict[str, Any]:
    """Return the message of the API with the cut call."""
    return tool_call_message(tool_call("remember", '{"what": "Par', "c"))


def test_kept_calls_of_another_form_are_ignored(
    llm: ChatOneRouter, sim: Simulator, mode: Mode
) -> None:
    """Other programs may use the key."""
    invalid = {"id": "c", "name": "f", "args": "{", "error": None}
    for kept in (None, "x", [5], [{"id": "other", "args": "[", "error": "no"}]):
        message: BaseMessage = AIMessage(
            "", invalid_tool_calls=[invalid], additional_kwargs={"invalid_tool_calls": kept}
        )
        sim.script(complete_reply({"content": "Sorry."}))
        mode.invoke(llm, [HumanMessage("Hi"), message, ToolMessage("No.", tool_call_id="c")])
        (call,) = sim.requests[-1].body["messages"][1]["tool_calls"]
        assert call["function"]["arguments"] == '{"invalid_arguments": "{"}'


def test_the_last_chunk_is_serialized_as_one_of_langchain(
    llm: ChatOneRouter, sim: Simulator, mode: Mode
) -> None:
    """It is of a class of its own only in memory."""
    sim.script(streamed_reply(CUT, "length"))
    *_, last = mode.stream(llm, "Hi")
    assert dumpd(last)["id"] == AIMessageChunk.lc_id()
    assert messages_from_dict(messages_to_dict([last]))[0].__class__ is AIMessageChunk
    assert copy.deepcopy(last) == last
