"""LlamaIndex: indexes, parsers, routers, workflows and MCP tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from llama_index.core import Document, PropertyGraphIndex, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.indices.property_graph import SchemaLLMPathExtractor
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import MarkdownElementNodeParser
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program import LLMTextCompletionProgram
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.selectors import (
    LLMMultiSelector,
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.tools import QueryEngineTool
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from pydantic import BaseModel
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, completion

MCP_SERVER = str(Path(__file__).with_name("mcp_server.py"))
TABLE = "# Cities\n\n| city | country |\n|---|---|\n| Oslo | Norway |\n| Rome | Italy |\n"


class City(BaseModel):
    """A city."""

    name: str


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@pytest.mark.package("llama-index-core", "a property graph is made of texts")
def test_property_graph(llm: OneRouterLLM) -> None:
    """The relations are of the kinds that the schema allows."""
    extractor = SchemaLLMPathExtractor(
        llm,
        possible_entities=Literal["PERSON", "CITY"],
        possible_relations=Literal["LIVES_IN"],
        strict=False,
        num_workers=1,
    )
    index = PropertyGraphIndex.from_documents(
        [Document(text="'Ada' lives in 'Oslo'.")],
        llm=llm,
        kg_extractors=[extractor],
        embed_model=MockEmbedding(8),
        use_async=False,
    )
    relations = index.property_graph_store.get_triplets()
    assert {relation.label for _, relation, _ in relations} <= {"LIVES_IN"}


@pytest.mark.package("llama-index-core", "tables in Markdown are described")
def test_element_parser(llm: OneRouterLLM, sim: Simulator) -> None:
    """The table becomes a node of its own."""
    parser = MarkdownElementNodeParser(llm=llm, num_workers=1, show_progress=False)
    nodes = parser.get_nodes_from_documents([Document(text=TABLE)])
    assert any("Oslo" in node.get_content() for node in nodes)
    assert sim.requests


@pytest.mark.package("llama-index-core", "a table parser goes on with words after a failed object")
def test_element_parser_without_an_object(llm: OneRouterLLM, sim: Simulator) -> None:
    """MarkdownElementNodeParser asks for a summary in words."""
    sim.script(Script(json=completion("No idea.")), Script(json=completion("A table of sums.")))
    table = Document(text="Sums\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nEnd.\n")
    nodes = MarkdownElementNodeParser(llm=llm).get_nodes_from_documents([table])
    assert any("A table of sums." in node.get_content() for node in nodes)


SELECTORS = [LLMSingleSelector, LLMMultiSelector, PydanticSingleSelector, PydanticMultiSelector]


@pytest.mark.package("llama-index-core", "a router chooses a query engine, by words or by tools")
@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("is_async", [False, True])
async def test_router(llm: OneRouterLLM, selector: Any, *, is_async: bool) -> None:
    """The answer comes from the engine that the answer of the class names."""
    engine = SummaryIndex.from_documents([Document(text="Oslo is in Norway.")]).as_query_engine(llm)
    tools = [
        QueryEngineTool.from_defaults(engine, name=name, description=f"Facts about {name}")
        for name in ("cities", "rivers")
    ]
    router = RouterQueryEngine(selector.from_defaults(llm=llm), tools, llm=llm)
    question = "Where is Oslo?"
    answer = await router.aquery(question) if is_async else router.query(question)
    assert "Norway" in str(answer)
    assert [one.index for one in answer.metadata["selector_result"].selections] in ([0], [1])


@pytest.mark.package("llama-index-core", "output parsers read objects that prompts ask for")
def test_output_parser(llm: OneRouterLLM) -> None:
    """The parser's schema is in the prompt, as text."""
    program: Any = LLMTextCompletionProgram.from_defaults(
        PydanticOutputParser(City), prompt_template_str="Which city? {text}", llm=llm
    )
    assert program(text="It is 'Oslo'.") == City(name="Oslo")


@pytest.mark.package("llama-index-workflows", "a step asks the class")
async def test_workflow(llm: OneRouterLLM) -> None:
    """The step's answer ends the workflow."""

    class Ask(Workflow):
        @step
        async def ask(self, event: StartEvent) -> StopEvent:
            return StopEvent(result=str(await llm.acomplete(event.question)))

    assert await Ask(timeout=60).run(question="Hello") == "You said: Hello"


@pytest.mark.package("llama-index-tools-mcp", "an agent calls tools of an MCP server")
async def test_mcp_tools(llm: OneRouterLLM) -> None:
    """The server is a process, and the result of its tool comes back to the model."""
    client = BasicMCPClient(sys.executable, args=[MCP_SERVER])
    tools = await McpToolSpec(client).to_tool_list_async()
    agent = FunctionAgent(tools=tools, llm=llm)
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    assert "rain in Oslo" in str(await agent.run("forecast for 'Oslo'", memory=memory))
