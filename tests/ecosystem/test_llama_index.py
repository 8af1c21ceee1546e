"""LlamaIndex: indexes, parsers, routers, workflows and MCP tools."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from llama_index.core import Document, PropertyGraphIndex, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.extractors import DocumentContextExtractor, SummaryExtractor
from llama_index.core.indices.property_graph import SchemaLLMPathExtractor
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import MarkdownElementNodeParser, SentenceSplitter
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program import LLMTextCompletionProgram
from llama_index.core.query_engine import RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import TextNode
from llama_index.core.selectors import (
    LLMMultiSelector,
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.tools import QueryEngineTool
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from pydantic import BaseModel
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, completion
from tests.ecosystem.conftest import MODEL

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


@pytest.mark.package("llama-index-core", "a document extractor marks the document for the cache")
async def test_document_context(llm: OneRouterLLM, sim: Simulator) -> None:
    """DocumentContextExtractor adds the model's context, and sends its cache mark."""
    document, store = Document(text="Oslo is in Norway.", id_="d"), SimpleDocumentStore()
    store.add_documents([document])
    nodes = SentenceSplitter()([document])
    extractor = DocumentContextExtractor(docstore=store, llm=llm, num_workers=1)
    (metadata,) = await extractor.aextract(nodes)
    assert metadata["context"]
    parts = [part for message in sim.last.body["messages"] for part in message["content"]]
    assert [part["cache_control"] for part in parts if "cache_control" in part] == [
        {"type": "ephemeral"}
    ]


@pytest.mark.package("llama-index-core", "a pipeline asks once for the same text")
async def test_ingestion_cache(llm: OneRouterLLM, sim: Simulator) -> None:
    """Its cache key has no limits of time; another model is asked again."""
    cache = IngestionCache()
    slow = llm.model_copy(update={"timeout": 9.0, "max_retries": 0, "deadline": 60.0})
    other = llm.model_copy(update={"model": "simulated/other"})
    for model in (llm, slow, other):
        extractor = SummaryExtractor(llm=model, num_workers=1, show_progress=False)
        pipeline = IngestionPipeline(transformations=[extractor], cache=cache)
        await pipeline.arun(nodes=[TextNode(text="Oslo is in Norway.", id_="n")])
    assert [one.body["model"] for one in sim.requests] == [MODEL, "simulated/other"]


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


@pytest.mark.package("llama-index-core", "a question is answered by questions to several engines")
@pytest.mark.parametrize("is_async", [False, True])
async def test_sub_questions(llm: OneRouterLLM, sim: Simulator, *, is_async: bool) -> None:
    """The generator of the questions is given: the default is a package for OpenAI."""
    engine = SummaryIndex.from_documents([Document(text="Oslo is in Norway.")]).as_query_engine(llm)
    question = {"sub_question": "Where is Oslo?", "tool_name": "cities"}
    sim.script(Script(json=completion(f"```json\n{json.dumps({'items': [question]})}\n```")))
    several = SubQuestionQueryEngine.from_defaults(
        [QueryEngineTool.from_defaults(engine, name="cities", description="Facts about cities")],
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        response_synthesizer=get_response_synthesizer(llm),
        verbose=False,
        use_async=is_async,
    )
    answer = await several.aquery("Oslo?") if is_async else several.query("Oslo?")
    assert [node.text for node in answer.source_nodes if "Response: Oslo is in Norway" in node.text]


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
