"""Schemas are made once for each class, and forgotten with it."""

from __future__ import annotations

import gc
import weakref
from typing import Any, ClassVar

import pytest
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool, ToolMetadata
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Simulator
from tests.llama_index.conftest import Colour, Make, say


class Counted(BaseModel):
    """A class that counts how often its schema is made."""

    made: ClassVar[int] = 0

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Count, and make it."""
        cls.made += 1
        return super().model_json_schema(*args, **kwargs)


class Node(BaseModel):
    """A tree."""

    value: int
    children: list[Node] = []


def parameters(llm: OneRouterLLM, *tools: Any) -> Any:
    """Return the parameters of the first tool in the body."""
    return llm.preview(say("x"), tools=tools)["tools"][0]["function"]["parameters"]


def test_a_tools_schema_is_made_once(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """An agent offers its tools on every turn; another tool of the same arguments costs nothing."""

    class Arguments(Counted):
        """What the tools take."""

        number: int

    tools = [
        FunctionTool.from_defaults(lambda **_: 1, name=name, fn_schema=Arguments)
        for name in ("one", "two")
    ]
    before = Arguments.made  # LlamaIndex makes one to describe a tool
    for _ in range(3):
        colour.call(llm, "chat_with_tools", tools, "x")
    assert Arguments.made - before == 1
    assert len(sim.last.body["tools"]) == 2


@pytest.mark.parametrize("mode", ["json_schema", "function", "json_object"])
def test_an_objects_schema_is_made_once(colour: Colour, make: Make, mode: str) -> None:
    """Query engines ask for many objects of one class."""

    class Answer(Counted):
        """What is wanted."""

        number: int

    llm = make(structured_output_mode=mode)
    for _ in range(3):
        colour.call(llm, "structured_predict", Answer, PromptTemplate("5"))
        colour.collect(llm, "stream_structured_predict", Answer, PromptTemplate("5"))
    assert Answer.made == 1


def test_a_tool_may_get_another_schema(llm: OneRouterLLM) -> None:
    """What is kept belongs to the schema's class, not to the tool."""
    tool = FunctionTool.from_defaults(lambda a: a, name="f")
    assert parameters(llm, tool)["properties"].keys() == {"a"}
    tool.metadata.fn_schema = Node
    assert parameters(llm, tool)["properties"].keys() == {"value", "children"}


def test_what_is_kept_is_not_handed_out(llm: OneRouterLLM) -> None:
    """Who changes a preview changes no later call."""
    tool = FunctionTool.from_defaults(lambda a: a, name="f")
    parameters(llm, tool)["properties"].clear()
    assert parameters(llm, tool)["properties"].keys() == {"a"}


def test_metadata_may_spell_the_schema_itself(llm: OneRouterLLM) -> None:
    """A tool whose metadata has a mind of its own is asked each time."""

    class Remote(ToolMetadata):
        """A schema that comes from elsewhere."""

        def get_parameters_dict(self) -> dict[str, Any]:
            """Return it."""
            return {"type": "object", "properties": {"remote": {"type": "string"}}}

    tool = FunctionTool(lambda **_: 1, metadata=Remote(description="d", name="f", fn_schema=Node))
    assert parameters(llm, tool)["properties"].keys() == {"remote"}


def test_a_class_is_forgotten(llm: OneRouterLLM) -> None:
    """Neither a tool nor an object keeps a class alive that its maker let go."""

    class Gone(BaseModel):
        """A class of a moment."""

        number: int

    tool = FunctionTool.from_defaults(lambda **_: 1, name="f", fn_schema=Gone)
    llm.chat_with_tools([tool], "x")
    llm.structured_predict(Gone, PromptTemplate("5"))
    list(llm.stream_structured_predict(Gone, PromptTemplate("5")))
    gone = weakref.ref(Gone)
    del Gone, tool
    gc.collect()
    assert gone() is None
