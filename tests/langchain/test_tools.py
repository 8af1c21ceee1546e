"""Tools: every form that can be bound, tool choice, and encoding of tool names."""

from __future__ import annotations

import copy
import json
from inspect import signature
from typing import Annotated, Any, ClassVar, TypedDict

import pytest
from langchain_core.runnables import RunnableBinding
from langchain_core.tools import BaseTool, StructuredTool, Tool, tool
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1
from pydantic.v1 import Field as FieldV1

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import ConfigurationError
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.langchain.conftest import CallModel, Mode
from tests.test_call_functions import entered

X = {"type": "integer", "description": "A number."}
PARAMETERS = {"type": "object", "properties": {"x": X}, "required": ["x"]}
STRICT_PARAMETERS = {**PARAMETERS, "additionalProperties": False}
EMPTY_PARAMETERS = {"type": "object", "properties": {}}
CACHE_CONTROL = {"cache_control": {"type": "ephemeral"}}


def double(x: Annotated[int, "A number."]) -> int:
    """Double it."""
    return 2 * x


class Double(BaseTool):
    """A BaseTool subclass."""

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
OPENAI_TOOL = {"type": "function", "function": FUNCTION}
ANTHROPIC_TOOL = {"name": "double", "description": "Double it.", "input_schema": PARAMETERS}

TOOLS: dict[str, tuple[Any, str]] = {
    "a function": (double, "double"),
    "a decorated function": (tool(double), "double"),
    "a StructuredTool": (StructuredTool.from_function(double), "double"),
    "a BaseTool": (Double(), "double"),
    "a pydantic class": (DoubleArguments, "DoubleArguments"),
    "a pydantic v1 class": (DoubleV1, "DoubleV1"),
    "a TypedDict": (DoubleDict, "DoubleDict"),
    "OpenAI's form": (OPENAI_TOOL, "double"),
    "OpenAI's function": (FUNCTION, "double"),
    "Anthropic's form": (ANTHROPIC_TOOL, "double"),
    "a JSON schema": ({"title": "double", "description": "Double it.", **PARAMETERS}, "double"),
}


def body_with_tools(
    llm: ChatOneRouter, sim: Simulator, *tools: Any, **options: Any
) -> dict[str, Any]:
    """Bind tools, send a request, and return its body."""
    sim.script(Script(json=completion()))
    llm.bind_tools(list(tools), **options).invoke("Hi")
    return sim.last.body


def without_titles(schema: Any) -> Any:
    """Return a schema without titles, which only document it."""
    if not isinstance(schema, dict):
        return schema
    return {key: without_titles(value) for key, value in schema.items() if key != "title"}


@pytest.mark.parametrize(("tool_input", "name"), TOOLS.values(), ids=TOOLS)
def test_every_form_of_a_tool_is_sent_as_a_function(
    llm: ChatOneRouter, sim: Simulator, tool_input: Any, name: str
) -> None:
    """With name, description and schema; the tool itself is not changed."""
    before = copy.deepcopy(tool_input) if isinstance(tool_input, dict) else None
    (sent,) = body_with_tools(llm, sim, tool_input)["tools"]
    assert without_titles(sent) == {
        "type": "function",
        "function": {"name": name, "description": "Double it.", "parameters": PARAMETERS},
    }
    assert before is None or tool_input == before


@pytest.mark.parametrize(("tool_input", "name"), TOOLS.values(), ids=TOOLS)
def test_every_form_of_a_tool_can_be_given_per_call(
    llm: ChatOneRouter, sim: Simulator, tool_input: Any, name: str
) -> None:
    """The request is the same as with a bound tool."""
    (bound_tool,) = body_with_tools(llm, sim, tool_input)["tools"]
    llm.invoke("Hi", tools=[tool_input])
    assert sim.last.body["tools"] == [bound_tool]


@pytest.mark.parametrize(("tool_input", "name"), TOOLS.values(), ids=TOOLS)
def test_strict_makes_every_schema_strict(
    llm: ChatOneRouter, sim: Simulator, tool_input: Any, name: str
) -> None:
    """The schema is changed, and the flag is set."""
    (sent,) = body_with_tools(llm, sim, tool_input, strict=True)["tools"]
    function = without_titles(sent["function"])
    assert (function["name"], function["strict"]) == (name, True)
    assert function["parameters"] == STRICT_PARAMETERS


@pytest.mark.parametrize(("tool_input", "name"), TOOLS.values(), ids=TOOLS)
def test_every_form_of_a_tool_can_be_called(
    llm: ChatOneRouter, call_model: CallModel, tool_input: Any, name: str
) -> None:
    """The simulator makes arguments from the schema that is sent."""
    message = call_model(llm.bind_tools([tool_input], tool_choice=name), "Double 21")
    assert [(call["name"], call["args"]) for call in message.tool_calls] == [(name, {"x": 21})]
    assert message.response_metadata["finish_reason"] == "tool_calls"


def test_a_recursive_class_keeps_its_reference(llm: ChatOneRouter, sim: Simulator) -> None:
    """LangChain's own converter replaces it with an empty schema."""
    for tool_input in (Tree, Tree.model_json_schema()):
        (sent,) = body_with_tools(llm, sim, tool_input)["tools"]
        function = sent["function"]
        assert (function["name"], function["description"]) == ("Tree", "A tree.")
        branches = function["parameters"]["properties"]["branches"]
        assert branches["items"] == {"$ref": "#/$defs/Tree"}
        assert "Tree" in function["parameters"]["$defs"]


@pytest.mark.parametrize(
    "gateway_tool", [{"type": "onerouter:web", "engine": "x"}, {"type": "web_search"}]
)
def test_gateway_tools_are_sent_unchanged(
    llm: ChatOneRouter, sim: Simulator, gateway_tool: dict[str, Any]
) -> None:
    """A dict with another type than function, next to functions."""
    sent = body_with_tools(llm, sim, gateway_tool, double, strict=True, tool_choice="any")
    assert sent["tools"][0] == gateway_tool
    assert sent["tools"][1]["function"]["name"] == "double"
    assert sent["tool_choice"] == "required"


def test_a_custom_tool_is_sent_unchanged(llm: ChatOneRouter, sim: Simulator) -> None:
    """LangChain has tools with free text as input; the gateway knows which models support them."""
    custom_tool = Tool("double", str, "Double it.", metadata={"type": "custom_tool"})
    (sent,) = body_with_tools(llm, sim, custom_tool)["tools"]
    assert (sent["type"], sent["name"]) == ("custom", "double")


@pytest.mark.parametrize("strict", [None, True])
def test_a_tool_without_parameters(llm: ChatOneRouter, sim: Simulator, strict: bool | None) -> None:
    """Its schema is an object without properties."""
    tool_without_parameters = {"type": "function", "function": {"name": "ping"}}
    (sent,) = body_with_tools(llm, sim, tool_without_parameters, strict=strict)["tools"]
    assert EMPTY_PARAMETERS.items() <= sent["function"]["parameters"].items()


@pytest.mark.parametrize(
    "cached_tool",
    [
        {**OPENAI_TOOL, **CACHE_CONTROL},
        {**ANTHROPIC_TOOL, **CACHE_CONTROL},
        StructuredTool.from_function(double, extras=CACHE_CONTROL),
    ],
    ids=["OpenAI's form", "Anthropic's form", "a BaseTool's extras"],
)
def test_cache_control_of_a_tool(llm: ChatOneRouter, sim: Simulator, cached_tool: Any) -> None:
    """The breakpoint is beside the function."""
    (sent,) = body_with_tools(llm, sim, cached_tool)["tools"]
    assert sent["cache_control"] == {"type": "ephemeral"}
    assert sent["function"]["name"] == "double"


@pytest.mark.parametrize("invalid_tool", [5, None, {}, {"x": 1}, "double"])
def test_an_invalid_tool_raises(llm: ChatOneRouter, invalid_tool: Any) -> None:
    """When it is bound."""
    with pytest.raises(ConfigurationError, match="cannot be converted to a tool"):
        llm.bind_tools([invalid_tool])


def test_strict_raises_for_an_open_schema(llm: ChatOneRouter) -> None:
    """Without `strict` the tool is accepted."""

    def store(pairs: dict[str, int]) -> None:
        """Store pairs."""

    llm.bind_tools([store])
    with pytest.raises(ConfigurationError, match="property 'pairs' must list its properties"):
        llm.bind_tools([store], strict=True)


# --- tool choice ---

DOUBLE_CHOICE = {"type": "function", "function": {"name": "double"}}
CHOICES = [
    (None, None),
    (False, None),
    ("auto", "auto"),
    ("none", "none"),
    ("any", "required"),
    ("required", "required"),
    (True, "required"),
    ("double", DOUBLE_CHOICE),
    (DOUBLE_CHOICE, DOUBLE_CHOICE),
    ({"type": "tool", "name": "double"}, DOUBLE_CHOICE),
    ({"type": "any"}, "required"),
    ({"type": "auto"}, "auto"),
    ({"type": "none"}, "none"),
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES, ids=str)
def test_every_form_of_tool_choice(
    llm: ChatOneRouter, sim: Simulator, choice: Any, expected: Any
) -> None:
    """The forms of LangChain, OpenAI and Anthropic are converted to the API's."""
    assert body_with_tools(llm, sim, double, tool_choice=choice).get("tool_choice") == expected


@pytest.mark.parametrize(
    "choice", ["triple", "", {"type": "function", "function": {"name": "triple"}}, 5, {"x": 1}]
)
def test_an_unknown_tool_choice_raises(llm: ChatOneRouter, choice: Any) -> None:
    """When it is bound; the error lists the tools."""
    with pytest.raises(ConfigurationError, match=r"tool_choice .*(of \['double'\]|not )"):
        llm.bind_tools([double], tool_choice=choice)


def test_tool_choice_per_call(llm: ChatOneRouter, sim: Simulator, call_model: CallModel) -> None:
    """It overrides the bound one, and is checked as well."""
    llm_with_tools = llm.bind_tools([double], tool_choice="any")
    call_model(llm_with_tools, "Hi", tool_choice="none")
    assert sim.last.body["tool_choice"] == "none"
    with pytest.raises(ConfigurationError, match="'triple'"):
        call_model(llm_with_tools, "Hi", tool_choice="triple")
    assert len(sim.requests) == 1


def test_an_empty_tool_list_is_not_sent(llm: ChatOneRouter, sim: Simulator) -> None:
    """Neither is a choice that needs no tool; a choice that needs one raises."""
    for choice in (None, "auto", "none"):
        body = body_with_tools(llm, sim, tool_choice=choice)
        assert not body.keys() & {"tools", "tool_choice"}
    with pytest.raises(ConfigurationError, match="needs tools"):
        llm.bind_tools([], tool_choice="any")


def test_bind_tools_names_parallel_tool_calls() -> None:
    """langgraph-supervisor passes it only if it is in the signature."""
    assert "parallel_tool_calls" in signature(ChatOneRouter.bind_tools).parameters


@pytest.mark.parametrize("is_parallel", [True, False])
def test_parallel_tool_calls(llm: ChatOneRouter, sim: Simulator, is_parallel: bool) -> None:
    """Several calls in one answer can be allowed or forbidden."""
    assert (
        body_with_tools(llm, sim, double, parallel_tool_calls=is_parallel)["parallel_tool_calls"]
        is is_parallel
    )


def test_other_parameters_can_be_bound_with_tools(llm: ChatOneRouter, sim: Simulator) -> None:
    """A call overrides them."""
    binding = llm.bind_tools([double], temperature=0, seed=1)
    assert isinstance(binding, RunnableBinding)
    binding.invoke("Hi", seed=2)
    assert sim.last.body["temperature"] == 0
    assert sim.last.body["seed"] == 2


def test_tool_dicts_per_call(llm: ChatOneRouter, sim: Simulator, call_model: CallModel) -> None:
    """They are sent unchanged, without a binding."""
    message = call_model(llm, "Double 4", tools=[OPENAI_TOOL], tool_choice="any")
    assert message.tool_calls[0]["args"] == {"x": 4}
    assert sim.last.body["tools"] == [OPENAI_TOOL]


# --- tool names ---

NAMES = ["files.read", "list[str]", "ünïcode", "x" * 90, "a b", "über.alles"]


@pytest.mark.parametrize("name", NAMES)
def test_tool_names_are_encoded_and_decoded(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel, name: str
) -> None:
    """Names that the API rejects are encoded in requests, and decoded in answers."""
    llm_with_tools = llm.bind_tools([{**FUNCTION, "name": name}], tool_choice=name)
    message = call_model(llm_with_tools, "Take 3")
    (call,) = message.tool_calls
    assert call["name"] == name
    encoded_name = sim.last.body["tool_choice"]["function"]["name"]
    assert encoded_name != name
    assert sim.last.body["tools"][0]["function"]["name"] == encoded_name
    result = {"role": "tool", "tool_call_id": call["id"], "content": "6"}
    call_model(llm_with_tools, [("user", "Take 3"), message, result], tool_choice="auto")
    assert sim.last.body["messages"][1]["tool_calls"][0]["function"]["name"] == encoded_name


def test_encoded_tool_names_are_unique(llm: ChatOneRouter, sim: Simulator, mode: Mode) -> None:
    """Similar names get different encoded names."""
    tools = [{**FUNCTION, "name": name} for name in ("a.b", "a_b", "a b")]
    sent = [
        tool_dict["function"]["name"] for tool_dict in body_with_tools(llm, sim, *tools)["tools"]
    ]
    assert len(set(sent)) == 3
    assert sent[1] == "a_b"
    for tool_dict in tools:
        message = mode.invoke(llm.bind_tools(tools, tool_choice=tool_dict["name"]), "Take 3")
        assert message.tool_calls[0]["name"] == tool_dict["name"]


def test_streamed_tool_calls(llm: ChatOneRouter, mode: Mode, sim: Simulator) -> None:
    """Each chunk has the index; id and name come once, so that any consumer can add chunks."""
    events = [
        chunk({"tool_calls": [tool_call("double", "", "c", 0)]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x": 1}'}}]}),
        chunk({"tool_calls": [tool_call("double", "", "d", 1)]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": '{"x": 2}'}}]}),
        chunk({}, finish_reason="tool_calls"),
    ]
    sim.script(Script(events=events))
    call_chunks = [
        call_chunk
        for message_chunk in mode.stream(llm, "Hi")
        for call_chunk in message_chunk.tool_call_chunks
    ]
    assert [(p["index"], p["id"], p["name"]) for p in call_chunks if p["id"]] == [
        (0, "c", "double"),
        (1, "d", "double"),
    ]
    for index, value in ((0, 1), (1, 2)):
        arguments = "".join(p["args"] for p in call_chunks if p["index"] == index)
        assert json.loads(arguments) == {"x": value}


def test_bind_tools_accepts_a_class_as_response_format(llm: ChatOneRouter, sim: Simulator) -> None:
    """Tools and the format of the final answer can be bound together."""

    class City(BaseModel):
        """A city."""

        name: str

    llm.bind_tools([], response_format=City).invoke("'Oslo'")
    sent = sim.last.body["response_format"]["json_schema"]
    assert (sent["name"], sent["strict"]) == ("City", True)
    assert "tools" not in sim.last.body


def test_a_function_without_a_name_raises(llm: ChatOneRouter, sim: Simulator) -> None:
    """It is not taken for a gateway tool."""
    with pytest.raises(ConfigurationError, match="name"):
        llm.bind_tools([{"type": "function", "function": {}}])
    assert sim.requests == []


# --- conversions: once at bind ---


class Counted(BaseModel):
    """A word, which counts its schemas."""

    word: str
    schemas: ClassVar[list[str]] = []

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        cls.schemas.append("made")
        return handler(core_schema)


class CountedArguments(BaseModel):
    """Look a word up."""

    word: Counted


def look_up(word: Counted) -> str:
    """Look a word up."""
    return word.word


COUNTED: dict[str, Any] = {
    "BaseTool": StructuredTool.from_function(
        lambda word: word,
        name="look_up",
        description="Look a word up.",
        args_schema=CountedArguments,
    ),
    "class": CountedArguments,
    "function": look_up,
    "dict": {"title": "look_up", "description": "d", "properties": {"word": {"type": "string"}}},
}


@pytest.mark.parametrize("kind", COUNTED)
def test_a_tool_is_converted_when_it_is_bound_and_not_again(sim: Simulator, kind: str) -> None:
    """Its schema is made once, and each call sends the same one."""
    llm = ChatOneRouter(model="a/b", api_key=sim.api_key, base_url=sim.base_url)
    Counted.schemas.clear()
    bound = llm.bind_tools([COUNTED[kind]])
    made = len(Counted.schemas)
    assert bool(made) == (kind != "dict")
    for _ in range(3):
        sim.script(Script(json=completion("Hi")))
        bound.invoke("Hi")
    assert len(Counted.schemas) == made
    first, *others = [request.body["tools"] for request in sim.requests]
    assert others == [first, first]


@pytest.mark.parametrize("kind", COUNTED)
def test_a_strict_tool_is_made_strict_when_it_is_bound(sim: Simulator, kind: str) -> None:
    """A call sends the schema as it is: no function goes through its properties again."""
    llm = ChatOneRouter(model="a/b", api_key=sim.api_key, base_url=sim.base_url)
    bound = llm.bind_tools([COUNTED[kind]], strict=True)
    sim.script(Script(json=completion("Hi")))
    functions = entered(lambda: bound.invoke("Hi"))
    in_strict_schema = [name for name in functions if "strict_schema.py" in name]
    assert [name.rpartition(" ")[2] for name in in_strict_schema] == ["to_strict_schema"]
    assert sim.requests[-1].body["tools"][0]["function"]["parameters"]["required"] == ["word"]
