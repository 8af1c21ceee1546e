"""output_schema: the caches of JSON schemas by class."""

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
from tests.llama_index.conftest import LLMFactory, Mode, user_messages
from tests.llama_index.samples import METHODS


class CountingModel(BaseModel):
    """A class that counts the builds of its schema."""

    builds: ClassVar[int] = 0

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Count the call, and return the schema."""
        cls.builds += 1
        return super().model_json_schema(*args, **kwargs)


class Node(BaseModel):
    """A tree."""

    value: int
    children: list[Node] = []


def sent_parameters(llm: OneRouterLLM, *tools: Any) -> Any:
    """Return the parameters of the first tool in the body."""
    return llm.preview(user_messages("x"), tools=tools)["tools"][0]["function"]["parameters"]


def test_a_tool_schema_is_built_once_per_argument_class(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Tools with the same argument class share it, on every turn."""

    class Arguments(CountingModel):
        """Arguments of the tools."""

        number: int

    tools = [
        FunctionTool.from_defaults(lambda **_: 1, name=name, fn_schema=Arguments)
        for name in ("one", "two")
    ]
    before = Arguments.builds  # LlamaIndex builds one for the description of a tool
    for _ in range(3):
        mode.call(llm, "chat_with_tools", tools, "x")
    assert Arguments.builds - before == 1
    assert len(sim.last.body["tools"]) == 2


@pytest.mark.parametrize("method", METHODS)
def test_an_output_schema_is_built_once_per_class(
    mode: Mode, make_llm: LLMFactory, method: str
) -> None:
    """Repeated predictions, streamed or not, do not build it again."""

    class Answer(CountingModel):
        """An output class."""

        number: int

    llm = make_llm(structured_output_mode=method)
    for _ in range(3):
        mode.call(llm, "structured_predict", Answer, PromptTemplate("5"))
        mode.collect(llm, "stream_structured_predict", Answer, PromptTemplate("5"))
    assert Answer.builds == 1


def test_a_new_fn_schema_of_a_tool_is_used(llm: OneRouterLLM) -> None:
    """The cache key is the argument class, not the tool."""
    tool = FunctionTool.from_defaults(lambda a: a, name="f")
    assert sent_parameters(llm, tool)["properties"].keys() == {"a"}
    tool.metadata.fn_schema = Node
    assert sent_parameters(llm, tool)["properties"].keys() == {"value", "children"}


def test_changing_a_preview_does_not_change_the_cache(llm: OneRouterLLM) -> None:
    """`preview` returns a copy of the schema."""
    tool = FunctionTool.from_defaults(lambda a: a, name="f")
    sent_parameters(llm, tool)["properties"].clear()
    assert sent_parameters(llm, tool)["properties"].keys() == {"a"}


def test_metadata_with_its_own_get_parameters_dict_is_not_cached(llm: OneRouterLLM) -> None:
    """An overridden `get_parameters_dict` decides the schema."""

    class Remote(ToolMetadata):
        """Metadata with a schema from another source."""

        def get_parameters_dict(self) -> dict[str, Any]:
            """Return the schema."""
            return {"type": "object", "properties": {"remote": {"type": "string"}}}

    tool = FunctionTool(lambda **_: 1, metadata=Remote(description="d", name="f", fn_schema=Node))
    assert sent_parameters(llm, tool)["properties"].keys() == {"remote"}


def test_the_caches_do_not_keep_a_class_alive(llm: OneRouterLLM) -> None:
    """A tool's argument class and an output class can be garbage-collected."""

    class Temporary(BaseModel):
        """A class that is deleted in the test."""

        number: int

    tool = FunctionTool.from_defaults(lambda **_: 1, name="f", fn_schema=Temporary)
    llm.chat_with_tools([tool], "x")
    llm.structured_predict(Temporary, PromptTemplate("5"))
    list(llm.stream_structured_predict(Temporary, PromptTemplate("5")))
    reference = weakref.ref(Temporary)
    del Temporary, tool
    gc.collect()
    assert reference() is None
