"""Tools out and calls in, also where the model breaks the rules."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_core import NamedTool, Tool
from onerouter_core.errors import ConfigurationError, MalformedReplyError
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.llama_index.conftest import Colour, Make, say


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def search(words: str, limit: int = 5) -> str:
    """Search."""
    return f"{limit} pages on {words}"


ADD = FunctionTool.from_defaults(add)
SEARCH = FunctionTool.from_defaults(search, name="web.search")


def offered(llm: OneRouterLLM, sim: Simulator, *tools: Any, **kwargs: Any) -> Any:
    """Return the body of a call that offers tools."""
    llm.chat_with_tools(list(tools), "Hello", **kwargs)
    return sim.last.body


def called(*calls: Any, finish_reason: str = "tool_calls") -> Script:
    """Return an answer that calls."""
    message = {"tool_calls": list(calls)}
    return Script(json=completion(None, message=message, finish_reason=finish_reason))


def streamed(*deltas: Any, finish_reason: str = "tool_calls") -> Script:
    """Return a stream of tool call deltas."""
    events = [chunk({"tool_calls": [delta]}) for delta in deltas]
    return Script(events=[*events, chunk({}, finish_reason=finish_reason)])


# --- out ---


def test_a_tool_goes_out(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """Name, description and schema are the tool's; nothing is said that need not be."""
    colour.call(llm, "chat_with_tools", [ADD], "Hello")
    body = sim.last.body
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "add",
                "description": ADD.metadata.description,
                "parameters": ADD.metadata.get_parameters_dict(),
            },
        }
    ]
    assert body["parallel_tool_calls"] is False
    assert "tool_choice" not in body


def test_without_tools_nothing_is_said_of_them(llm: OneRouterLLM, sim: Simulator) -> None:
    """No tools, no tool keys, whatever else is asked."""
    body = offered(llm, sim, tool_required=True, tool_choice="any")
    assert body.keys() == {"model", "messages", "usage"}


def test_parallel_calls_are_the_rule_of_the_api(llm: OneRouterLLM, sim: Simulator) -> None:
    """Only the exception is said."""
    assert "parallel_tool_calls" not in offered(llm, sim, ADD, allow_parallel_tool_calls=True)


@pytest.mark.parametrize(
    ("choice", "spelled"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("any", "required"),
        ("required", "required"),
        ("add", {"type": "function", "function": {"name": "add"}}),
        ("web.search", {"type": "function", "function": {"name": "web_search"}}),
        (
            {"type": "function", "function": {"name": "add"}},
            {"type": "function", "function": {"name": "add"}},
        ),
    ],
)
def test_tool_choices(llm: OneRouterLLM, sim: Simulator, choice: Any, spelled: Any) -> None:
    """Every way to choose that is in use is understood; a choice beats `tool_required`."""
    body = offered(llm, sim, ADD, SEARCH, tool_choice=choice, tool_required=True)
    assert body["tool_choice"] == spelled


def test_a_tool_may_be_required(llm: OneRouterLLM, sim: Simulator) -> None:
    """`tool_required` is LlamaIndex's word for it."""
    assert offered(llm, sim, ADD, tool_required=True)["tool_choice"] == "required"


def test_a_choice_of_no_tool_never_leaves(llm: OneRouterLLM, sim: Simulator) -> None:
    """A tool that was not offered cannot be chosen."""
    with pytest.raises(ConfigurationError, match="names no tool"):
        offered(llm, sim, ADD, tool_choice="subtract")
    assert sim.requests == []


def test_strict_is_said_only_when_it_is_so(llm: OneRouterLLM, sim: Simulator) -> None:
    """A strict tool has a strict schema; for others the word is not sent."""
    function = offered(llm, sim, SEARCH, strict=True)["tools"][0]["function"]
    assert function["strict"] is True
    assert function["parameters"]["additionalProperties"] is False
    assert function["parameters"]["required"] == ["words", "limit"]
    assert "strict" not in offered(llm, sim, SEARCH, strict=False)["tools"][0]["function"]


def test_the_history_is_not_changed(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """The user's message is added to a copy; it may be a string or a message."""
    history = say("first")
    colour.call(llm, "chat_with_tools", [ADD], "second", chat_history=history)
    assert history == say("first")
    assert [m["content"] for m in sim.last.body["messages"]] == ["first", "second"]
    colour.call(llm, "chat_with_tools", [ADD], ChatMessage("only"))
    assert [m["content"] for m in sim.last.body["messages"]] == ["only"]


def test_chat_takes_tools_in_every_form(llm: OneRouterLLM) -> None:
    """A BaseTool, a value of ours and a dict in the API's form are the same tool."""
    as_value = Tool("add", ADD.metadata.description, ADD.metadata.get_parameters_dict())
    preview = llm.preview(say("x"), tools=[ADD], tool_choice=NamedTool("add"))
    assert llm.preview(say("x"), tools=[as_value], tool_choice="add") == preview
    assert llm.preview(say("x"), tools=preview["tools"], tool_choice="add") == preview
    with pytest.raises(ConfigurationError, match="not a tool"):
        llm.preview(say("x"), tools=["add"])


class Node(BaseModel):
    """A tree."""

    value: int
    children: list[Node] = []


def test_a_recursive_schema_is_whole(llm: OneRouterLLM) -> None:
    """LlamaIndex leaves the reference at the root out; it is put back."""
    tool = FunctionTool.from_defaults(lambda **_: None, name="grow", fn_schema=Node)
    parameters = llm.preview(say("x"), tools=[tool])["tools"][0]["function"]["parameters"]
    assert parameters["type"] == "object"
    assert parameters["properties"].keys() == {"value", "children"}
    assert "Node" in parameters["$defs"]


def test_a_tool_without_a_schema(llm: OneRouterLLM) -> None:
    """LlamaIndex's oldest tools take one string."""
    tool = FunctionTool.from_defaults(add)
    tool.metadata.fn_schema = None
    parameters = llm.preview(say("x"), tools=[tool])["tools"][0]["function"]["parameters"]
    assert parameters["required"] == ["input"]


# --- in ---


def test_a_call_comes_back(colour: Colour, llm: OneRouterLLM) -> None:
    """A call is a block, an entry in additional_kwargs, and a selection under the tool's name."""
    response = colour.call(llm, "chat_with_tools", [SEARCH], "x", tool_required=True)
    (block,) = response.message.blocks
    (entry,) = response.message.additional_kwargs["tool_calls"]
    (selection,) = llm.get_tool_calls_from_response(response)
    assert block.tool_name == entry.function.name == selection.tool_name == "web.search"
    assert block.tool_call_id == entry["id"] == selection.tool_id
    assert block.tool_kwargs == json.loads(entry.function.arguments) == selection.tool_kwargs
    assert json.dumps(entry)


def test_a_streamed_call_grows(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """Items show the arguments so far; the last one has the whole call."""
    sim.script(
        streamed(
            tool_call("web_search", "", "c1", index=0),
            {"index": 0, "function": {"arguments": '{"words": "blue'}},
            {"index": 0, "function": {"arguments": ' whales"}'}},
        )
    )
    items = colour.collect(llm, "stream_chat_with_tools", [SEARCH], "x")
    shown = [llm.get_tool_calls_from_response(item)[0] for item in items]
    assert [one.tool_kwargs for one in shown] == [
        {},
        {"words": "blue"},
        {"words": "blue whales"},
        {"words": "blue whales"},
    ]
    assert {(one.tool_id, one.tool_name) for one in shown} == {("c1", "web.search")}
    for item in items:
        assert item.delta == ""
        assert item.message.additional_kwargs["tool_calls"][0].function.name == "web.search"


def test_one_call_if_one_was_asked_for(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """Models that cannot be told to make one call are held to it, streamed or not."""
    two = [tool_call("add", {"a": 1, "b": 2}, "c1"), tool_call("add", {"a": 3, "b": 4}, "c2")]
    deltas = [{"index": index, **call} for index, call in enumerate(two)]
    for several in (False, True):
        sim.script(called(*two), streamed(*deltas))
        options = {"allow_parallel_tool_calls": several}
        whole = colour.call(llm, "chat_with_tools", [ADD], "x", **options)
        items = colour.collect(llm, "stream_chat_with_tools", [ADD], "x", **options)
        for response in (whole, items[-2], items[-1]):
            assert len(response.message.blocks) == (2 if several else 1)
            assert len(response.message.additional_kwargs["tool_calls"]) == (2 if several else 1)
        assert len(whole.raw.choices[0].message.tool_calls) == 2


@pytest.mark.parametrize(
    ("arguments", "finish_reason"),
    [('{"a": 1, "b"', "length"), ("", "length"), ('{"a": 1,, }', "tool_calls"), ("[1]", "stop")],
)
def test_invalid_arguments_are_never_run(
    colour: Colour, llm: OneRouterLLM, sim: Simulator, arguments: str, finish_reason: str
) -> None:
    """A call that is cut or broken names no tool of the user's, and says why."""
    call = tool_call("add", arguments, "c1")
    sim.script(
        called(call, finish_reason=finish_reason),
        streamed({"index": 0, **call}, finish_reason=finish_reason),
    )
    whole = colour.chat(llm, say("x"), tools=[ADD])
    last = colour.stream_chat(llm, say("x"), tools=[ADD])[-1]
    restored = ChatResponse(message=ChatMessage(**whole.message.model_dump()))
    for response in (whole, last, restored):
        (selection,) = llm.get_tool_calls_from_response(response)
        assert selection.tool_name.startswith("add (not run: The arguments ")
        assert selection.tool_kwargs == {}
        assert response.message.blocks[0].tool_kwargs == arguments  # type: ignore[union-attr]


def test_invalid_arguments_go_back_as_valid_json(llm: OneRouterLLM, sim: Simulator) -> None:
    """A strict upstream does not refuse a history because of a broken call in it."""
    sim.script(called(tool_call("add", '{"a": 1', "c1"), finish_reason="length"))
    answer = llm.chat(say("x"), tools=[ADD]).message
    sent_back = llm.preview([*say("x"), answer])["messages"][1]["tool_calls"][0]["function"]
    assert json.loads(sent_back["arguments"]) == {"invalid_arguments": '{"a": 1'}


@pytest.mark.parametrize("name", ["add", "subtract"])
def test_predict_and_call_says_what_cannot_be_called(
    colour: Colour, llm: OneRouterLLM, sim: Simulator, name: str
) -> None:
    """A broken call, or a tool that nobody has, is a typed error."""
    sim.script(called(tool_call(name, '{"a": 1,' if name == "add" else {})))
    with pytest.raises(MalformedReplyError, match=name):
        colour.call(llm, "predict_and_call", [ADD], "x")


def test_a_key_that_somebody_else_missed(colour: Colour, make: Make) -> None:
    """A KeyError of the user's own code is no call of the model's."""
    llm = make(api_key=lambda: {}["MY_KEY"])
    with pytest.raises(KeyError, match="MY_KEY"):
        colour.call(llm, "predict_and_call", [ADD], "x")


@pytest.mark.parametrize("call_id", ["id", "toolUseId"])
def test_calls_as_anthropic_and_bedrock_keep_them(llm: OneRouterLLM, call_id: str) -> None:
    """Their older classes keep a call's name and input beside its id."""
    kept = {call_id: "t1", "name": "add", "input": {"a": 1, "b": 2}}
    asked = ChatMessage("", role="assistant", additional_kwargs={"tool_calls": [kept]})
    answered = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "t1"})
    call, result = llm.preview([*say("x"), asked, answered])["messages"][1:]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "t1"
    function = call["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("add", {"a": 1, "b": 2})


def test_predict_and_call_runs_the_tool(colour: Colour, llm: OneRouterLLM) -> None:
    """A tool whose name the API would refuse is found by its own name."""
    result = colour.call(llm, "predict_and_call", [SEARCH], "search for whales")
    assert result.sources[0].tool_name == "web.search"
    assert str(result) == str(search(**result.sources[0].raw_input["kwargs"]))


def test_no_call_is_an_error_if_one_was_needed(llm: OneRouterLLM) -> None:
    """LlamaIndex asks for a ValueError, or for an empty list."""
    response = llm.chat(say("x"))
    with pytest.raises(ValueError, match="at least one tool call"):
        llm.get_tool_calls_from_response(response)
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []


# --- histories ---


def history(message: ChatMessage, llm: OneRouterLLM) -> Any:
    """Return the tool calls that a message is sent back with."""
    return llm.preview([message])["messages"][0]["tool_calls"]


@pytest.mark.parametrize(
    ("block", "call_id", "arguments"),
    [
        (ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs={"ä": 1}), "c", '{"ä": 1}'),
        (ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs='{"a":1}'), "c", '{"a":1}'),
        (ToolCallBlock(tool_name="f"), "f", "{}"),
    ],
    ids=["dict", "string", "no id"],
)
def test_calls_in_blocks_go_back(
    llm: OneRouterLLM, block: ToolCallBlock, call_id: str, arguments: str
) -> None:
    """An answer's calls are sent as they were; where a vendor gave no id the name stands in."""
    message = ChatMessage(role="assistant", blocks=[block])
    function = {"name": "f", "arguments": arguments}
    assert history(message, llm) == [{"id": call_id, "type": "function", "function": function}]


ENTRY = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        SimpleNamespace(id="c", function=SimpleNamespace(name="f", arguments='{"a": 1}')),
        {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}},
    ],
    ids=["dict", "object", "parsed"],
)
def test_calls_beside_blocks_go_back(llm: OneRouterLLM, entry: Any) -> None:
    """Histories of other models keep calls in additional_kwargs, as dicts or as objects."""
    message = ChatMessage(role="assistant", additional_kwargs={"tool_calls": [entry]})
    assert history(message, llm) == [ENTRY]
    (selection,) = llm.get_tool_calls_from_response(ChatResponse(message=message))
    assert (selection.tool_id, selection.tool_kwargs) == ("c", {"a": 1})


def test_a_broken_call_beside_blocks_stays_broken(llm: OneRouterLLM) -> None:
    """What was found invalid once is not read again."""
    entry = {**ENTRY, "function": {"name": "f", "arguments": ""}, "error": "cut"}
    message = ChatMessage(role="assistant", additional_kwargs={"tool_calls": [entry]})
    (selection,) = llm.get_tool_calls_from_response(ChatResponse(message=message))
    assert selection.tool_name == "f (not run: cut)"


def test_a_round_trip_with_a_tool(colour: Colour, make: Make, sim: Simulator) -> None:
    """Call and result go back as the API wants them, and the model answers."""
    llm = make()
    answer = colour.call(llm, "chat_with_tools", [SEARCH], "x", tool_required=True).message
    call_id = answer.blocks[0].tool_call_id
    result = ChatMessage("5 pages", role="tool", additional_kwargs={"tool_call_id": call_id})
    final = colour.chat(llm, [*say("x"), answer, result], tools=[SEARCH])
    assert "5 pages" in final.message.content
    _, call, sent_result = sim.last.body["messages"]
    assert call["content"] is None
    assert call["tool_calls"][0]["function"]["name"] == "web_search"
    assert sent_result["tool_call_id"] == call["tool_calls"][0]["id"] == call_id
