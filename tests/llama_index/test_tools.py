"""Tools and tool calls: encoded tools, valid and invalid calls, and calls in a history."""

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
from tests.llama_index.conftest import LLMFactory, Mode, user_messages


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def search(query: str, limit: int = 5) -> str:
    """Search."""
    return f"{limit} pages on {query}"


ADD = FunctionTool.from_defaults(add)
SEARCH = FunctionTool.from_defaults(search, name="web.search")


def sent_body(llm: OneRouterLLM, sim: Simulator, *tools: Any, **kwargs: Any) -> Any:
    """Return the body of a request that offers tools."""
    llm.chat_with_tools(list(tools), "Hello", **kwargs)
    return sim.last.body


def tool_call_reply(*calls: Any, finish_reason: str = "tool_calls") -> Script:
    """Return a reply with tool calls."""
    message = {"tool_calls": list(calls)}
    return Script(json=completion(None, message=message, finish_reason=finish_reason))


def tool_call_stream(*deltas: Any, finish_reason: str = "tool_calls") -> Script:
    """Return a stream of tool-call deltas."""
    events = [chunk({"tool_calls": [delta]}) for delta in deltas]
    return Script(events=[*events, chunk({}, finish_reason=finish_reason)])


# --- tools in the request ---


def test_a_tool_is_sent_with_name_description_and_schema(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """There is no `tool_choice` by default, and one call per answer."""
    mode.call(llm, "chat_with_tools", [ADD], "Hello")
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


def test_a_request_without_tools_has_no_tool_keys(llm: OneRouterLLM, sim: Simulator) -> None:
    """Also if `tool_required` and `tool_choice` are given."""
    body = sent_body(llm, sim, tool_required=True, tool_choice="any")
    assert body.keys() == {"model", "messages", "usage"}


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_field_parallel_tool_calls_is_not_sent_without_tools(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, *, is_streamed: bool
) -> None:
    """OpenAI rejects it."""
    llm = make_llm(parallel_tool_calls=False)
    (mode.stream_chat if is_streamed else mode.chat)(llm, user_messages("Hello"))
    assert "parallel_tool_calls" not in sim.last.body


def test_allow_parallel_tool_calls_sends_no_key(llm: OneRouterLLM, sim: Simulator) -> None:
    """Parallel calls are the API's default."""
    assert "parallel_tool_calls" not in sent_body(llm, sim, ADD, allow_parallel_tool_calls=True)


@pytest.mark.parametrize(
    ("choice", "encoded"),
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
def test_each_form_of_tool_choice_is_encoded(
    llm: OneRouterLLM, sim: Simulator, choice: Any, encoded: Any
) -> None:
    """`tool_choice` takes precedence over `tool_required`."""
    body = sent_body(llm, sim, ADD, SEARCH, tool_choice=choice, tool_required=True)
    assert body["tool_choice"] == encoded


def test_tool_required_sends_tool_choice_required(llm: OneRouterLLM, sim: Simulator) -> None:
    """`tool_required` is LlamaIndex's keyword."""
    assert sent_body(llm, sim, ADD, tool_required=True)["tool_choice"] == "required"


def test_a_tool_choice_that_names_no_offered_tool_raises(llm: OneRouterLLM, sim: Simulator) -> None:
    """Nothing is sent."""
    with pytest.raises(ConfigurationError, match="names no tool"):
        sent_body(llm, sim, ADD, tool_choice="subtract")
    assert sim.requests == []


def test_strict_is_sent_only_with_a_strict_schema(llm: OneRouterLLM, sim: Simulator) -> None:
    """Without `strict` the key is missing."""
    function = sent_body(llm, sim, SEARCH, strict=True)["tools"][0]["function"]
    assert function["strict"] is True
    assert function["parameters"]["additionalProperties"] is False
    assert function["parameters"]["required"] == ["query", "limit"]
    assert "strict" not in sent_body(llm, sim, SEARCH, strict=False)["tools"][0]["function"]


def test_chat_history_is_not_changed(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """The user message, a string or a ChatMessage, is added to a copy."""
    history = user_messages("first")
    mode.call(llm, "chat_with_tools", [ADD], "second", chat_history=history)
    assert history == user_messages("first")
    assert [m["content"] for m in sim.last.body["messages"]] == ["first", "second"]
    mode.call(llm, "chat_with_tools", [ADD], ChatMessage("only"))
    assert [m["content"] for m in sim.last.body["messages"]] == ["only"]


def test_chat_accepts_tools_in_every_form(llm: OneRouterLLM) -> None:
    """A BaseTool, a Tool and a mapping in the API's form give the same body."""
    core_tool = Tool("add", ADD.metadata.description, ADD.metadata.get_parameters_dict())
    preview = llm.preview(user_messages("x"), tools=[ADD], tool_choice=NamedTool("add"))
    assert llm.preview(user_messages("x"), tools=[core_tool], tool_choice="add") == preview
    assert llm.preview(user_messages("x"), tools=preview["tools"], tool_choice="add") == preview
    with pytest.raises(ConfigurationError, match="not a tool"):
        llm.preview(user_messages("x"), tools=["add"])


class Node(BaseModel):
    """A tree."""

    value: int
    children: list[Node] = []


def test_a_recursive_argument_schema_is_complete(llm: OneRouterLLM) -> None:
    """LlamaIndex drops the `$ref` at the root; it is restored."""
    tool = FunctionTool.from_defaults(lambda **_: None, name="grow", fn_schema=Node)
    parameters = llm.preview(user_messages("x"), tools=[tool])["tools"][0]["function"]["parameters"]
    assert parameters["type"] == "object"
    assert parameters["properties"].keys() == {"value", "children"}
    assert "Node" in parameters["$defs"]


def test_a_tool_without_fn_schema_takes_one_string(llm: OneRouterLLM) -> None:
    """LlamaIndex's default schema has one required string, `input`."""
    tool = FunctionTool.from_defaults(add)
    tool.metadata.fn_schema = None
    parameters = llm.preview(user_messages("x"), tools=[tool])["tools"][0]["function"]["parameters"]
    assert parameters["required"] == ["input"]


# --- tool calls in the response ---


def test_a_tool_call_is_a_block_an_entry_and_a_selection(mode: Mode, llm: OneRouterLLM) -> None:
    """Id, name and arguments are the same in all three."""
    response = mode.call(llm, "chat_with_tools", [SEARCH], "x", tool_required=True)
    (block,) = response.message.blocks
    (entry,) = response.message.additional_kwargs["tool_calls"]
    (selection,) = llm.get_tool_calls_from_response(response)
    assert block.tool_name == entry.function.name == selection.tool_name == "web.search"
    assert block.tool_call_id == entry["id"] == selection.tool_id
    assert block.tool_kwargs == json.loads(entry.function.arguments) == selection.tool_kwargs
    assert json.dumps(entry)


def test_stream_items_have_the_arguments_so_far(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The last item has the complete call."""
    sim.script(
        tool_call_stream(
            tool_call("web_search", "", "c1", index=0),
            {"index": 0, "function": {"arguments": '{"query": "blue'}},
            {"index": 0, "function": {"arguments": ' whales"}'}},
        )
    )
    items = mode.collect(llm, "stream_chat_with_tools", [SEARCH], "x")
    selections = [llm.get_tool_calls_from_response(item)[0] for item in items]
    assert [selection.tool_kwargs for selection in selections] == [
        {},
        {"query": "blue"},
        {"query": "blue whales"},
        {"query": "blue whales"},
    ]
    assert {(each.tool_id, each.tool_name) for each in selections} == {("c1", "web.search")}
    for item in items:
        assert item.delta == ""
        assert item.message.additional_kwargs["tool_calls"][0].function.name == "web.search"


def test_only_the_first_call_is_kept_without_parallel_tool_calls(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Streamed or not; `raw` keeps all calls. Some models ignore the option."""
    two = [tool_call("add", {"a": 1, "b": 2}, "c1"), tool_call("add", {"a": 3, "b": 4}, "c2")]
    deltas = [{"index": index, **call} for index, call in enumerate(two)]
    for parallel in (False, True):
        sim.script(tool_call_reply(*two), tool_call_stream(*deltas))
        options = {"allow_parallel_tool_calls": parallel}
        complete = mode.call(llm, "chat_with_tools", [ADD], "x", **options)
        items = mode.collect(llm, "stream_chat_with_tools", [ADD], "x", **options)
        for response in (complete, items[-2], items[-1]):
            assert len(response.message.blocks) == (2 if parallel else 1)
            assert len(response.message.additional_kwargs["tool_calls"]) == (2 if parallel else 1)
        assert len(complete.raw.choices[0].message.tool_calls) == 2


@pytest.mark.parametrize(
    ("arguments", "finish_reason"),
    [('{"a": 1, "b"', "length"), ("", "length"), ('{"a": 1,, }', "tool_calls"), ("[1]", "stop")],
)
def test_a_call_with_invalid_arguments_selects_no_tool(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, arguments: str, finish_reason: str
) -> None:
    """The selection's name has the error; the block keeps the text."""
    call = tool_call("add", arguments, "c1")
    sim.script(
        tool_call_reply(call, finish_reason=finish_reason),
        tool_call_stream({"index": 0, **call}, finish_reason=finish_reason),
    )
    complete = mode.chat(llm, user_messages("x"), tools=[ADD])
    last = mode.stream_chat(llm, user_messages("x"), tools=[ADD])[-1]
    restored = ChatResponse(message=ChatMessage(**complete.message.model_dump()))
    for response in (complete, last, restored):
        (selection,) = llm.get_tool_calls_from_response(response)
        assert selection.tool_name.startswith("add (not run: The arguments ")
        assert selection.tool_kwargs == {}
        assert response.message.blocks[0].tool_kwargs == arguments  # type: ignore[union-attr]


def test_invalid_arguments_are_sent_back_as_valid_json(llm: OneRouterLLM, sim: Simulator) -> None:
    """Strict upstreams reject a history with invalid arguments."""
    sim.script(tool_call_reply(tool_call("add", '{"a": 1', "c1"), finish_reason="length"))
    answer = llm.chat(user_messages("x"), tools=[ADD]).message
    sent_back = llm.preview([*user_messages("x"), answer])["messages"][1]["tool_calls"][0][
        "function"
    ]
    assert json.loads(sent_back["arguments"]) == {"invalid_arguments": '{"a": 1'}


@pytest.mark.parametrize("name", ["add", "subtract"])
def test_predict_and_call_raises_for_a_call_that_cannot_run(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, name: str
) -> None:
    """Invalid arguments or an unknown tool: MalformedReplyError with the tool's name."""
    sim.script(tool_call_reply(tool_call(name, '{"a": 1,' if name == "add" else {})))
    with pytest.raises(MalformedReplyError, match=name):
        mode.call(llm, "predict_and_call", [ADD], "x")


def test_predict_and_call_keeps_a_key_error_of_other_code(mode: Mode, make_llm: LLMFactory) -> None:
    """Only a KeyError of LlamaIndex's tool lookup is translated."""
    llm = make_llm(api_key=lambda: {}["MY_KEY"])
    with pytest.raises(KeyError, match="MY_KEY"):
        mode.call(llm, "predict_and_call", [ADD], "x")


@pytest.mark.parametrize("call_id", ["id", "toolUseId"])
def test_flat_tool_call_entries_of_anthropic_and_bedrock_are_sent(
    llm: OneRouterLLM, call_id: str
) -> None:
    """Their older classes store name and input beside the id."""
    entry = {call_id: "t1", "name": "add", "input": {"a": 1, "b": 2}}
    call_message = ChatMessage("", role="assistant", additional_kwargs={"tool_calls": [entry]})
    result_message = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "t1"})
    call, result = llm.preview([*user_messages("x"), call_message, result_message])["messages"][1:]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "t1"
    function = call["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("add", {"a": 1, "b": 2})


def test_predict_and_call_runs_a_tool_whose_name_has_a_dot(mode: Mode, llm: OneRouterLLM) -> None:
    """The API does not allow a dot in a name."""
    result = mode.call(llm, "predict_and_call", [SEARCH], "search for whales")
    assert result.sources[0].tool_name == "web.search"
    assert str(result) == str(search(**result.sources[0].raw_input["kwargs"]))


def test_no_tool_call_raises_value_error_or_gives_an_empty_list(llm: OneRouterLLM) -> None:
    """`error_on_no_tool_call` decides."""
    response = llm.chat(user_messages("x"))
    with pytest.raises(ValueError, match="at least one tool call"):
        llm.get_tool_calls_from_response(response)
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []


# --- tool calls in a history ---


def sent_tool_calls(message: ChatMessage, llm: OneRouterLLM) -> Any:
    """Return the tool calls of a message as they are sent."""
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
def test_tool_call_blocks_are_sent_back(
    llm: OneRouterLLM, block: ToolCallBlock, call_id: str, arguments: str
) -> None:
    """A block without an id is sent with its name as id."""
    message = ChatMessage(role="assistant", blocks=[block])
    function = {"name": "f", "arguments": arguments}
    assert sent_tool_calls(message, llm) == [
        {"id": call_id, "type": "function", "function": function}
    ]


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
def test_tool_calls_in_additional_kwargs_are_sent_back(llm: OneRouterLLM, entry: Any) -> None:
    """Other models store them as dicts or as objects."""
    message = ChatMessage(role="assistant", additional_kwargs={"tool_calls": [entry]})
    assert sent_tool_calls(message, llm) == [ENTRY]
    (selection,) = llm.get_tool_calls_from_response(ChatResponse(message=message))
    assert (selection.tool_id, selection.tool_kwargs) == ("c", {"a": 1})


def test_a_stored_error_keeps_a_call_invalid(llm: OneRouterLLM) -> None:
    """The arguments are not parsed again."""
    entry = {**ENTRY, "function": {"name": "f", "arguments": ""}, "error": "cut"}
    message = ChatMessage(role="assistant", additional_kwargs={"tool_calls": [entry]})
    (selection,) = llm.get_tool_calls_from_response(ChatResponse(message=message))
    assert selection.tool_name == "f (not run: cut)"


def test_a_tool_call_and_its_result_are_sent_back(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """The ids match, and the name is the encoded one."""
    llm = make_llm()
    answer = mode.call(llm, "chat_with_tools", [SEARCH], "x", tool_required=True).message
    call_id = answer.blocks[0].tool_call_id
    result = ChatMessage("5 pages", role="tool", additional_kwargs={"tool_call_id": call_id})
    final = mode.chat(llm, [*user_messages("x"), answer, result], tools=[SEARCH])
    assert "5 pages" in final.message.content
    _, call, sent_result = sim.last.body["messages"]
    assert call["content"] is None
    assert call["tool_calls"][0]["function"]["name"] == "web_search"
    assert sent_result["tool_call_id"] == call["tool_calls"][0]["id"] == call_id
