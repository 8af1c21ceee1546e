"""Tools out: every kind a user may bind, every way to choose, and names there and back."""

from __future__ import annotations

import copy
import json
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableBinding
from langchain_core.tools import BaseTool, StructuredTool, Tool, tool
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1
from pydantic.v1 import Field as FieldV1

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import ConfigurationError
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.langchain.conftest import Ask, Colour

X = {"type": "integer", "description": "A number."}
PARAMETERS = {"type": "object", "properties": {"x": X}, "required": ["x"]}
STRICT = {**PARAMETERS, "additionalProperties": False}
EMPTY = {"type": "object", "properties": {}}
MARK = {"cache_control": {"type": "ephemeral"}}


def double(x: Annotated[int, "A number."]) -> int:
    """Double it."""
    return 2 * x


class Double(BaseTool):
    """A tool of one's own class."""

    name: str = "double"
    description: str = "Double it."

    def _run(self, x: Annotated[int, "A number."]) -> int:
        return 2 * x


class DoubleArguments(BaseModel):
    """Double it."""

    x: int = Field(description="A number.")


class DoubleV1(BaseModelV1):
    """Double it."""

    x: int = FieldV1(description="A number.")


class DoubleDict(TypedDict):
    """Double it."""

    x: Annotated[int, ..., "A number."]


class Tree(BaseModel):
    """A tree."""

    name: str
    branches: list[Tree]


FUNCTION = {"name": "double", "description": "Double it.", "parameters": PARAMETERS}
OPENAI = {"type": "function", "function": FUNCTION}
ANTHROPIC = {"name": "double", "description": "Double it.", "input_schema": PARAMETERS}

KINDS: dict[str, tuple[Any, str]] = {
    "a function": (double, "double"),
    "a decorated function": (tool(double), "double"),
    "a StructuredTool": (StructuredTool.from_function(double), "double"),
    "a BaseTool": (Double(), "double"),
    "a pydantic class": (DoubleArguments, "DoubleArguments"),
    "a pydantic v1 class": (DoubleV1, "DoubleV1"),
    "a TypedDict": (DoubleDict, "DoubleDict"),
    "OpenAI's form": (OPENAI, "double"),
    "OpenAI's function": (FUNCTION, "double"),
    "Anthropic's form": (ANTHROPIC, "double"),
    "a JSON schema": ({"title": "double", "description": "Double it.", **PARAMETERS}, "double"),
}


def bound(llm: ChatOneRouter, sim: Simulator, *tools: Any, **options: Any) -> dict[str, Any]:
    """Return the body that arrives with these tools."""
    sim.script(Script(json=completion()))
    llm.bind_tools(list(tools), **options).invoke("Hi")
    return sim.last.body


def without_titles(schema: Any) -> Any:
    """Return a schema without what only documents it."""
    if not isinstance(schema, dict):
        return schema
    return {key: without_titles(value) for key, value in schema.items() if key != "title"}


@pytest.mark.parametrize(("kind", "name"), KINDS.values(), ids=KINDS)
def test_every_kind_of_tool(llm: ChatOneRouter, sim: Simulator, kind: Any, name: str) -> None:
    """All are functions on the wire, with name, description and schema; none is changed."""
    before = copy.deepcopy(kind) if isinstance(kind, dict) else None
    (sent,) = bound(llm, sim, kind)["tools"]
    assert without_titles(sent) == {
        "type": "function",
        "function": {"name": name, "description": "Double it.", "parameters": PARAMETERS},
    }
    assert before is None or kind == before


@pytest.mark.parametrize(("kind", "name"), KINDS.values(), ids=KINDS)
def test_every_kind_of_tool_per_call(
    llm: ChatOneRouter, sim: Simulator, kind: Any, name: str
) -> None:
    """What is given to a call is as good as what is bound."""
    (bound_one,) = bound(llm, sim, kind)["tools"]
    llm.invoke("Hi", tools=[kind])
    assert sim.last.body["tools"] == [bound_one]


@pytest.mark.parametrize(("kind", "name"), KINDS.values(), ids=KINDS)
def test_every_kind_of_tool_made_strict(
    llm: ChatOneRouter, sim: Simulator, kind: Any, name: str
) -> None:
    """`strict` makes the schema itself strict, not the flag alone."""
    (sent,) = bound(llm, sim, kind, strict=True)["tools"]
    function = without_titles(sent["function"])
    assert (function["name"], function["strict"]) == (name, True)
    assert function["parameters"] == STRICT


@pytest.mark.parametrize(("kind", "name"), KINDS.values(), ids=KINDS)
def test_the_simulator_calls_every_kind(llm: ChatOneRouter, ask: Ask, kind: Any, name: str) -> None:
    """What is bound is called with arguments by its schema."""
    message = ask(llm.bind_tools([kind], tool_choice=name), "Double 21")
    assert [(call["name"], call["args"]) for call in message.tool_calls] == [(name, {"x": 21})]
    assert message.response_metadata["finish_reason"] == "tool_calls"


def test_a_recursive_class_keeps_its_recursion(llm: ChatOneRouter, sim: Simulator) -> None:
    """LangChain's own converter would say that a branch may be anything."""
    for kind in (Tree, Tree.model_json_schema()):
        (sent,) = bound(llm, sim, kind)["tools"]
        function = sent["function"]
        assert (function["name"], function["description"]) == ("Tree", "A tree.")
        branches = function["parameters"]["properties"]["branches"]
        assert branches["items"] == {"$ref": "#/$defs/Tree"}
        assert "Tree" in function["parameters"]["$defs"]


@pytest.mark.parametrize("own", [{"type": "onerouter:web", "engine": "x"}, {"type": "web_search"}])
def test_the_gateways_own_tools_pass(
    llm: ChatOneRouter, sim: Simulator, own: dict[str, Any]
) -> None:
    """A dict of a type that is no function goes out as it is, next to others."""
    sent = bound(llm, sim, own, double, strict=True, tool_choice="any")
    assert sent["tools"][0] == own
    assert sent["tools"][1]["function"]["name"] == "double"
    assert sent["tool_choice"] == "required"


def test_a_tool_that_is_no_function_passes(llm: ChatOneRouter, sim: Simulator) -> None:
    """LangChain has tools that take free text; which models do, the gateway knows."""
    free = Tool("double", str, "Double it.", metadata={"type": "custom_tool"})
    (sent,) = bound(llm, sim, free)["tools"]
    assert (sent["type"], sent["name"]) == ("custom", "double")


@pytest.mark.parametrize("strict", [None, True])
def test_a_tool_without_parameters(llm: ChatOneRouter, sim: Simulator, strict: bool | None) -> None:
    """It takes an object with nothing in it."""
    bare = {"type": "function", "function": {"name": "ping"}}
    (sent,) = bound(llm, sim, bare, strict=strict)["tools"]
    assert EMPTY.items() <= sent["function"]["parameters"].items()


@pytest.mark.parametrize(
    "marked",
    [
        {**OPENAI, **MARK},
        {**ANTHROPIC, **MARK},
        StructuredTool.from_function(double, extras=MARK),
    ],
    ids=["OpenAI's form", "Anthropic's form", "a BaseTool's extras"],
)
def test_a_cache_mark_on_a_tool(llm: ChatOneRouter, sim: Simulator, marked: Any) -> None:
    """The breakpoint stands beside the function."""
    (sent,) = bound(llm, sim, marked)["tools"]
    assert sent["cache_control"] == {"type": "ephemeral"}
    assert sent["function"]["name"] == "double"


@pytest.mark.parametrize("wrong", [5, None, {}, {"x": 1}, "double"])
def test_what_cannot_be_a_tool(llm: ChatOneRouter, wrong: Any) -> None:
    """It is refused where it is bound."""
    with pytest.raises(ConfigurationError, match="cannot be converted to a tool"):
        llm.bind_tools([wrong])


def test_a_schema_that_cannot_be_strict(llm: ChatOneRouter) -> None:
    """Strictness that the schema does not allow is refused, not pretended."""

    def store(pairs: dict[str, int]) -> None:
        """Store pairs."""

    llm.bind_tools([store])
    with pytest.raises(ConfigurationError, match="property 'pairs' must list its properties"):
        llm.bind_tools([store], strict=True)


# --- choice ---

NAMED = {"type": "function", "function": {"name": "double"}}
CHOICES = [
    (None, None),
    (False, None),
    ("auto", "auto"),
    ("none", "none"),
    ("any", "required"),
    ("required", "required"),
    (True, "required"),
    ("double", NAMED),
    (NAMED, NAMED),
    ({"type": "tool", "name": "double"}, NAMED),
    ({"type": "any"}, "required"),
    ({"type": "auto"}, "auto"),
    ({"type": "none"}, "none"),
]


@pytest.mark.parametrize(("choice", "arrives"), CHOICES, ids=str)
def test_every_form_of_choice(
    llm: ChatOneRouter, sim: Simulator, choice: Any, arrives: Any
) -> None:
    """LangChain's, OpenAI's and Anthropic's words are the API's on the wire."""
    assert bound(llm, sim, double, tool_choice=choice).get("tool_choice") == arrives


@pytest.mark.parametrize(
    "choice", ["triple", "", {"type": "function", "function": {"name": "triple"}}, 5, {"x": 1}]
)
def test_a_choice_of_no_tool(llm: ChatOneRouter, choice: Any) -> None:
    """It is refused where it is bound, and the tools there are are named."""
    with pytest.raises(ConfigurationError, match=r"tool_choice .*(of \['double'\]|not )"):
        llm.bind_tools([double], tool_choice=choice)


def test_a_choice_per_call(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """A call's choice beats the bound one, and is checked as well."""
    with_tools = llm.bind_tools([double], tool_choice="any")
    ask(with_tools, "Hi", tool_choice="none")
    assert sim.last.body["tool_choice"] == "none"
    with pytest.raises(ConfigurationError, match="'triple'"):
        ask(with_tools, "Hi", tool_choice="triple")
    assert len(sim.requests) == 1


def test_no_tools(llm: ChatOneRouter, sim: Simulator) -> None:
    """An empty list is not sent, nor is a choice that needs no tool; one that does is refused."""
    for choice in (None, "auto", "none"):
        body = bound(llm, sim, tool_choice=choice)
        assert not body.keys() & {"tools", "tool_choice"}
    with pytest.raises(ConfigurationError, match="needs tools"):
        llm.bind_tools([], tool_choice="any")


@pytest.mark.parametrize("parallel", [True, False])
def test_parallel_calls(llm: ChatOneRouter, sim: Simulator, parallel: bool) -> None:
    """Several calls at once can be allowed and forbidden."""
    assert bound(llm, sim, double, parallel_tool_calls=parallel)["parallel_tool_calls"] is parallel


def test_other_parameters_can_be_bound_with_tools(llm: ChatOneRouter, sim: Simulator) -> None:
    """A binding holds them, and a call beats them."""
    binding = llm.bind_tools([double], temperature=0, seed=1)
    assert isinstance(binding, RunnableBinding)
    binding.invoke("Hi", seed=2)
    assert sim.last.body["temperature"] == 0
    assert sim.last.body["seed"] == 2


def test_tools_per_call(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """Tools in the API's form need no binding."""
    message = ask(llm, "Double 4", tools=[OPENAI], tool_choice="any")
    assert message.tool_calls[0]["args"] == {"x": 4}
    assert sim.last.body["tools"] == [OPENAI]


# --- names ---

NAMES = ["files.read", "list[str]", "ünïcode", "x" * 90, "a b", "über.alles"]


@pytest.mark.parametrize("name", NAMES)
def test_names_the_api_refuses_go_there_and_back(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, name: str
) -> None:
    """They are spelled for the wire and back; neither the user nor the history sees it."""
    with_tools = llm.bind_tools([{**FUNCTION, "name": name}], tool_choice=name)
    message = ask(with_tools, "Take 3")
    (call,) = message.tool_calls
    assert call["name"] == name
    spelled = sim.last.body["tool_choice"]["function"]["name"]
    assert spelled != name
    assert sim.last.body["tools"][0]["function"]["name"] == spelled
    result = {"role": "tool", "tool_call_id": call["id"], "content": "6"}
    ask(with_tools, [("user", "Take 3"), message, result], tool_choice="auto")
    assert sim.last.body["messages"][1]["tool_calls"][0]["function"]["name"] == spelled


def test_names_that_would_look_alike_stay_apart(
    llm: ChatOneRouter, sim: Simulator, colour: Colour
) -> None:
    """Two tools never get one spelling."""
    tools = [{**FUNCTION, "name": name} for name in ("a.b", "a_b", "a b")]
    sent = [one["function"]["name"] for one in bound(llm, sim, *tools)["tools"]]
    assert len(set(sent)) == 3
    assert sent[1] == "a_b"
    for one in tools:
        message = colour.invoke(llm.bind_tools(tools, tool_choice=one["name"]), "Take 3")
        assert message.tool_calls[0]["name"] == one["name"]


def test_several_calls_in_a_stream(llm: ChatOneRouter, colour: Colour, sim: Simulator) -> None:
    """Chunks carry index, and id and name once, so that any consumer can add them up."""
    events = [
        chunk({"tool_calls": [tool_call("double", "", "c", 0)]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x": 1}'}}]}),
        chunk({"tool_calls": [tool_call("double", "", "d", 1)]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": '{"x": 2}'}}]}),
        chunk({}, finish_reason="tool_calls"),
    ]
    sim.script(Script(events=events))
    parts = [part for piece in colour.stream(llm, "Hi") for part in piece.tool_call_chunks]
    assert [(p["index"], p["id"], p["name"]) for p in parts if p["id"]] == [
        (0, "c", "double"),
        (1, "d", "double"),
    ]
    for index, value in ((0, 1), (1, 2)):
        written = "".join(p["args"] for p in parts if p["index"] == index)
        assert json.loads(written) == {"x": value}


def test_a_class_as_response_format(llm: ChatOneRouter, sim: Simulator) -> None:
    """Tools and a class for the final answer can be bound together."""

    class City(BaseModel):
        """A city."""

        name: str

    llm.bind_tools([], response_format=City).invoke("'Oslo'")
    sent = sim.last.body["response_format"]["json_schema"]
    assert (sent["name"], sent["strict"]) == ("City", True)
    assert "tools" not in sim.last.body


def test_a_function_without_a_name(llm: ChatOneRouter, sim: Simulator) -> None:
    """It is refused when it is bound, not taken for one of the gateway's own tools."""
    with pytest.raises(ConfigurationError, match="name"):
        llm.bind_tools([{"type": "function", "function": {}}])
    assert sim.requests == []
