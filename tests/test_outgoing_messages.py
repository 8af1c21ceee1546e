"""Requests of both classes as strict upstreams take them: results, ids, names, texts, schemas."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import StructuredTool
from llama_index.core.base.llms.types import (
    ChatMessage,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel
from typing_extensions import TypedDict

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import ConfigurationError
from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator

PIXEL = "data:image/png;base64,iVBORw0KGgo="
ODD_ID = "functions.find:0"
NO_RESULT = "There is no result of this call."
MODES = ["invoke", "ainvoke", "stream", "astream"]

Turn = tuple[str, Any]
"""A turn: ("user" or "answer", text or texts), ("calls", ids), or (an id, a result's text)."""


def to_langchain(turns: list[Turn]) -> list[BaseMessage]:
    """Return a history of LangChain."""
    messages: list[BaseMessage] = []
    for kind, value in turns:
        content: Any = (
            value if isinstance(value, str) else [{"type": "text", "text": t} for t in value]
        )
        if kind == "user":
            messages.append(HumanMessage(content))
        elif kind == "answer":
            messages.append(AIMessage(content))
        elif kind == "calls":
            calls = [{"id": i, "name": "find", "args": {}, "type": "tool_call"} for i in value]
            messages.append(AIMessage("", tool_calls=calls))
        else:
            messages.append(ToolMessage(content, tool_call_id=kind))
    return messages


def to_llama_index(turns: list[Turn]) -> list[ChatMessage]:
    """Return a history of LlamaIndex."""
    messages = []
    for kind, value in turns:
        texts = [value] if isinstance(value, str) else value
        blocks: list[Any] = [TextBlock(text=text) for text in texts]
        role, extra = {"user": MessageRole.USER}.get(kind, MessageRole.ASSISTANT), {}
        if kind == "calls":
            blocks = [
                ToolCallBlock(tool_call_id=i, tool_name="find", tool_kwargs={}) for i in value
            ]
        elif kind not in {"user", "answer"}:
            role, extra = MessageRole.TOOL, {"tool_call_id": kind}
        messages.append(ChatMessage(role=role, blocks=blocks, additional_kwargs=extra))
    return messages


def ask_langchain(sim: Simulator, messages: Any, mode: str, **kwargs: Any) -> Any:
    """Call ChatOneRouter in one mode; return the (last) message."""
    llm = ChatOneRouter(model="openai/gpt-5", base_url=sim.base_url, api_key=sim.api_key)
    if mode == "stream":
        return [*llm.stream(messages, **kwargs)][-1]
    if mode == "invoke":
        return llm.invoke(messages, **kwargs)

    async def ask() -> Any:
        if mode == "ainvoke":
            return await llm.ainvoke(messages, **kwargs)
        return [chunk async for chunk in llm.astream(messages, **kwargs)][-1]

    return asyncio.run(ask())


def ask_llama_index(sim: Simulator, messages: Any, mode: str, **kwargs: Any) -> Any:
    """Call OneRouterLLM in one mode; return the (last) message."""
    llm = OneRouterLLM(model="openai/gpt-5", base_url=sim.base_url, api_key=sim.api_key)
    if mode == "stream":
        return [*llm.stream_chat(messages, **kwargs)][-1].message
    if mode == "invoke":
        return llm.chat(messages, **kwargs).message

    async def ask() -> Any:
        if mode == "ainvoke":
            return (await llm.achat(messages, **kwargs)).message
        return [item async for item in await llm.astream_chat(messages, **kwargs)][-1].message

    return asyncio.run(ask())


Ask = Callable[..., Any]
FRAMEWORKS = [(to_langchain, ask_langchain), (to_llama_index, ask_llama_index)]


@pytest.fixture(params=FRAMEWORKS, ids=["langchain", "llama_index"])
def framework(request: pytest.FixtureRequest) -> tuple[Callable[[list[Turn]], Any], Ask]:
    """Provide the history's maker and the asker of one framework."""
    pair: tuple[Callable[[list[Turn]], Any], Ask] = request.param
    return pair


def sent_by(sim: Simulator, framework: Any, turns: list[Turn], mode: str = "invoke") -> list[Any]:
    """Send a history; return the messages that the simulator received."""
    make, ask = framework
    ask(sim, make(turns), mode)
    messages: list[Any] = sim.requests[-1].body["messages"]
    return messages


def outline(messages: list[Any]) -> list[tuple[str, Any]]:
    """Return roles and contents."""
    return [(message["role"], message["content"]) for message in messages]


# --- results and ids ---


@pytest.mark.parametrize("mode", MODES)
def test_late_results_are_sent_behind_their_calls(
    sim: Simulator, framework: Any, mode: str
) -> None:
    """Behind messages of users and of the assistant; the model is never told that they miss."""
    turns = [
        ("user", "Find."),
        ("calls", ["1", "2"]),
        ("1", "a"),
        ("user", "Handed over."),
        ("answer", "Wait."),
        ("2", "b"),
        ("user", "So?"),
    ]
    assert outline(sent_by(sim, framework, turns, mode)) == [
        ("user", "Find."),
        ("assistant", None),
        ("tool", "a"),
        ("tool", "b"),
        ("user", "Handed over."),
        ("assistant", "Wait."),
        ("user", "So?"),
    ]


def test_a_call_without_any_result_is_told_so(sim: Simulator, framework: Any) -> None:
    """And only then."""
    messages = sent_by(sim, framework, [("user", "Find."), ("calls", ["1"]), ("user", "So?")])
    assert outline(messages)[2] == ("tool", NO_RESULT)


@pytest.mark.parametrize("mode", MODES)
def test_ids_are_legal_distinct_and_paired(sim: Simulator, framework: Any, mode: str) -> None:
    """A long one, a foreign one, and one that two turns have."""
    turns = [
        ("user", "Find."),
        ("calls", ["x" * 60, ODD_ID, "call_1"]),
        ("call_1", "c"),
        (ODD_ID, "b"),
        ("x" * 60, "a"),
        ("calls", ["call_1"]),
        ("call_1", "d"),
    ]
    messages = sent_by(sim, framework, turns, mode)
    ids = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    results = {m["tool_call_id"]: m["content"] for m in messages if m["role"] == "tool"}
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,40}", call_id) for call_id in ids)
    assert [results[call_id] for call_id in ids] == ["a", "b", "c", "d"]
    assert ids[2] == "call_1"


def test_the_user_has_the_ids_of_the_model(sim: Simulator, framework: Any) -> None:
    """The history is not changed, and an answer's ids are as they came."""
    make, ask = framework
    function = {"name": "find", "arguments": "{}"}
    call = {"id": ODD_ID, "type": "function", "function": function}
    sim.script(Script(json=completion({"content": None, "tool_calls": [call]})))
    history = make([("user", "Find."), ("calls", [ODD_ID]), (ODD_ID, "b")])
    before = [message.model_copy(deep=True) for message in history]
    answer = ask(sim, history, "invoke")
    assert history == before
    assert ODD_ID in repr(answer)


def completion(message: dict[str, Any]) -> dict[str, Any]:
    """Return a completion with one answer."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return {
        "id": "gen-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }


# --- names and texts ---


def test_names_of_agents_are_legal(sim: Simulator) -> None:
    """In both frameworks."""
    ask_langchain(sim, [HumanMessage("x", name="Ada L."), AIMessage("y", name="Agent 1")], "invoke")
    assert [m["name"] for m in sim.requests[-1].body["messages"]] == ["Ada_L_", "Agent_1"]
    message = ChatMessage("x", additional_kwargs={"name": "Ada L."})
    ask_llama_index(sim, [message], "invoke")
    assert sim.requests[-1].body["messages"][0]["name"] == "Ada_L_"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("blank", ["", " \n"])
def test_no_blank_text_is_sent(sim: Simulator, framework: Any, mode: str, blank: str) -> None:
    """Not among others, not as a turn of its own, not as a result."""
    turns = [
        ("user", [blank, "Hi"]),
        ("answer", [blank, "Ho", blank]),
        ("user", blank),
        ("answer", blank),
        ("calls", ["1"]),
        ("1", blank),
    ]
    messages = sent_by(sim, framework, turns, mode)
    assert outline(messages) == [
        ("user", "Hi"),
        ("assistant", "Ho"),
        ("assistant", None),
        ("tool", "The result is empty."),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_alone_goes_back(sim: Simulator, framework: Any, mode: str) -> None:
    """The turn has a text, and a user message has the picture."""
    make, ask = framework
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    sim.script(Script(json=completion({"content": None, "images": [image]})))
    answer = ask(sim, make([("user", "Draw.")]), "invoke")
    ask(sim, [*make([("user", "Draw.")]), answer, *make([("user", "More.")])], mode)
    assert outline(sim.requests[-1].body["messages"])[1:3] == [
        ("assistant", "The content follows in a user message."),
        ("user", [{"type": "text", "text": "Content of the answer above:"}, image]),
    ]


# --- schemas ---


class Place(BaseModel):
    """A place."""

    city: str
    note: str = ""


class TypedPlace(TypedDict):
    """A place."""

    city: str
    note: str


def models(sim: Simulator, **fields: Any) -> tuple[ChatOneRouter, OneRouterLLM]:
    """Return a model of each framework."""
    fields |= {"model": "openai/gpt-5", "base_url": sim.base_url, "api_key": sim.api_key}
    return ChatOneRouter(**fields), OneRouterLLM(**fields)


def kwargs_of(bound: Any) -> dict[str, Any]:
    """Return the arguments bound to a model."""
    kwargs: dict[str, Any] = bound.kwargs
    return kwargs


@pytest.mark.parametrize("parameters", [{}, {"type": "object"}, {"additionalProperties": False}])
def test_every_tool_has_properties(sim: Simulator, parameters: dict[str, Any]) -> None:
    """A BaseTool of MCP and dicts, bound and per call."""
    llm, index = models(sim)
    function = {"name": "t", "description": "d", "parameters": parameters}
    raw = {"type": "function", "function": function}
    mcp = StructuredTool.from_function(
        lambda: "", name="t", description="d", args_schema=parameters
    )
    bodies = [
        llm.preview("x", **kwargs_of(llm.bind_tools([raw]))),
        llm.preview("x", tools=[raw]),
        index.preview([ChatMessage("x")], tools=[raw]),
    ]
    if parameters.get("type"):  # LangChain reads a type in a tool's schema
        bodies.append(llm.preview("x", **kwargs_of(llm.bind_tools([mcp]))))
    for body in bodies:
        sent = body["tools"][0]["function"]["parameters"]
        assert (sent["type"], sent["properties"]) == ("object", {})


def test_a_strict_tool_is_strict_wherever_it_comes_from(sim: Simulator) -> None:
    """A dict per call, bound, and LlamaIndex's tools."""
    llm, index = models(sim)
    schema = Place.model_json_schema()
    raw = {"type": "function", "function": {"name": "t", "parameters": schema, "strict": True}}
    tool = FunctionTool.from_defaults(lambda city, note="": city, name="t", fn_schema=Place)
    index.chat_with_tools([tool], user_msg="x", strict=True)
    for body in (
        llm.preview("x", tools=[raw]),
        llm.preview("x", **kwargs_of(llm.bind_tools([raw]))),
        llm.preview("x", **kwargs_of(llm.bind_tools([Place], strict=True))),
        index.preview([ChatMessage("x")], tools=[raw]),
        sim.requests[-1].body,
    ):
        sent = body["tools"][0]["function"]
        assert sent["strict"] is True
        assert sent["parameters"]["required"] == ["city", "note"]
        assert sent["parameters"]["additionalProperties"] is False


def test_a_strategy_that_is_strict_sends_a_strict_schema(sim: Simulator) -> None:
    """LangChain's agents give its response format as a dict."""
    llm, index = models(sim)
    options = ProviderStrategy(Place, strict=True).to_model_kwargs()
    for body in (llm.preview("x", **options), index.preview([ChatMessage("x")], **options)):
        json_schema = body["response_format"]["json_schema"]
        assert json_schema["schema"]["required"] == ["city", "note"]
        assert json_schema["schema"]["additionalProperties"] is False


@pytest.mark.parametrize("cls", [Place, TypedPlace])
def test_a_class_is_a_response_format_everywhere(sim: Simulator, cls: type) -> None:
    """Per call, bound, in the constructor and in LlamaIndex's additional_kwargs."""
    llm, index = models(sim)
    made_llm, made_index = models(sim, response_format=cls)
    user = [ChatMessage("x")]
    bodies = [
        llm.preview("x", response_format=cls),
        llm.preview("x", **kwargs_of(llm.bind(response_format=cls))),
        llm.preview("x", **kwargs_of(llm.bind_tools([], response_format=cls))),
        made_llm.preview("x"),
        index.preview(user, response_format=cls),
        made_index.preview(user),
        OneRouterLLM(model="m", additional_kwargs={"response_format": cls}).preview(user),
    ]
    formats = [body["response_format"] for body in bodies]
    assert all(response_format == formats[0] for response_format in formats)
    assert formats[0]["json_schema"]["name"] == cls.__name__
    assert formats[0]["json_schema"]["strict"] is True


@pytest.mark.parametrize("mode", MODES)
def test_a_class_per_call_is_answered(sim: Simulator, framework: Any, mode: str) -> None:
    """The request goes out in every mode."""
    make, ask = framework
    ask(sim, make([("user", "Where is Paris?")]), mode, response_format=Place)
    assert sim.requests[-1].body["response_format"]["json_schema"]["name"] == "Place"


@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"properties": {"a": {"type": "string"}}}]
)
def test_a_schema_without_a_title_is_rejected(sim: Simulator, schema: dict[str, Any]) -> None:
    """Wherever a name is needed; the message says so."""
    llm, _ = models(sim)
    for offer in (
        lambda: llm.bind_tools([schema]),
        lambda: llm.preview("x", tools=[schema]),
        lambda: llm.with_structured_output(schema),
        lambda: llm.with_structured_output(schema, method="function_calling"),
    ):
        with pytest.raises(ConfigurationError, match="title"):
            offer()
