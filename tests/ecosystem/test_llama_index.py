"""LlamaIndex: indexes, parsers, routers, workflows and MCP tools; tokens in its traces."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from llama_index.core import Document, PropertyGraphIndex, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.indices.property_graph import SchemaLLMPathExtractor
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import MarkdownElementNodeParser
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.selectors import PydanticSingleSelector
from llama_index.core.tools import QueryEngineTool
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor as OpenInference
from opentelemetry.instrumentation.llamaindex import LlamaIndexInstrumentor as OpenLLMetry
from pydantic import BaseModel
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent

from llama_index_onerouter import OneRouterLLM
from onerouter_core import Ledger
from onerouter_simulator import Simulator
from tests.ecosystem.conftest import counted
from tests.ecosystem.tracers import Spans, Tracing

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


@pytest.mark.package("llama-index-core", "a router chooses a query engine")
def test_router(llm: OneRouterLLM) -> None:
    """The answer comes from one of the engines."""
    engine = SummaryIndex.from_documents([Document(text="Oslo is in Norway.")]).as_query_engine(llm)
    tools = [
        QueryEngineTool.from_defaults(engine, name=name, description=f"Facts about {name}")
        for name in ("cities", "rivers")
    ]
    router = RouterQueryEngine(PydanticSingleSelector.from_defaults(llm=llm), tools, llm=llm)
    assert "Norway" in str(router.query("Where is Oslo?"))


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


SHOWN = "tokens as the gateway counts them: chat, objects, query engines, agents"
PACKAGES = {
    "openinference-instrumentation-llama-index": (
        *(OpenInference, "llm.token_count.prompt", "llm.token_count.completion"),
    ),
    "opentelemetry-instrumentation-llamaindex": (
        *(OpenLLMetry, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
    ),
}


@pytest.fixture(
    params=[
        pytest.param(tracer, id=package, marks=pytest.mark.package(package, SHOWN))
        for package, tracer in PACKAGES.items()
    ]
)
def tracing(request: pytest.FixtureRequest) -> Iterator[Tracing]:
    """Trace LlamaIndex; remove the handlers that a tracer leaves in the dispatcher."""
    root, spans = get_dispatcher(), Spans()
    handlers = [*root.event_handlers], [*root.span_handlers]
    instrumentor = request.param[0]()
    instrumentor.instrument(tracer_provider=spans.provider)
    yield Tracing(lambda: spans.total(*request.param[1:]))
    instrumentor.uninstrument()
    root.event_handlers, root.span_handlers = handlers


async def chat(llm: OneRouterLLM) -> None:
    """Chat, whole and streamed."""
    message = [ChatMessage("Hello")]
    llm.chat(message)
    list(llm.stream_chat(message))


async def ask_for_object(llm: OneRouterLLM) -> None:
    """Ask for an object."""
    llm.as_structured_llm(City).chat([ChatMessage("The city is 'Oslo'")])


async def query(llm: OneRouterLLM) -> None:
    """Ask a query engine for an object."""
    index = SummaryIndex.from_documents([Document(text="The city is 'Oslo'.")])
    index.as_query_engine(llm, output_cls=City).query("Which city?")


async def run_agent(llm: OneRouterLLM) -> None:
    """Run an agent that calls a tool, and makes an object of its answer."""
    agent = FunctionAgent(tools=[get_weather], llm=llm, output_cls=City)
    await agent.run("get_weather in 'Oslo'", memory=ChatMemoryBuffer.from_defaults(llm=llm))


@pytest.mark.parametrize("act", [chat, ask_for_object, query, run_agent])
async def test_tokens(llm: OneRouterLLM, ledger: Ledger, tracing: Tracing, act: Any) -> None:
    """The sums over all spans are those of all requests: no span repeats those of another."""
    await act(llm)
    assert tracing.tokens() == counted(ledger)
    assert min(counted(ledger)) > 0
