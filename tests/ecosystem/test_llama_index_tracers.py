"""LlamaIndex's tracers: tokens once, tools as JSON, failed spans; its graphs and parsers."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator

import pytest
from llama_index.core import SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import MarkdownElementNodeParser
from llama_index.core.schema import Document, TextNode
from llama_index.core.tools import FunctionTool
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_core import Ledger, OneRouterError
from onerouter_simulator import Script, Simulator, chunk, completion, failure
from tests.ecosystem.conftest import counted

OPENINFERENCE = "openinference.instrumentation.llama_index"
OPENLLMETRY = "opentelemetry.instrumentation.llamaindex"
QUESTION = [ChatMessage("'Ada Lovelace' was 36.")]
shows_tokens = pytest.mark.package(
    "openinference-instrumentation-llama-index", "each request once, with its tokens and tools"
)
shows_errors = pytest.mark.package(
    "opentelemetry-instrumentation-llamaindex", "the span of a failed request, with the error"
)


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@pytest.fixture
def spans(request: pytest.FixtureRequest) -> Iterator[InMemorySpanExporter]:
    """Instrument LlamaIndex with the tracer of the test; provide what it exports."""
    dispatcher = get_dispatcher()
    before = list(dispatcher.event_handlers), list(dispatcher.span_handlers)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = importlib.import_module(request.param).LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()
    dispatcher.event_handlers, dispatcher.span_handlers = before


with_openinference = pytest.mark.parametrize("spans", [OPENINFERENCE], indirect=True)
with_openllmetry = pytest.mark.parametrize("spans", [OPENLLMETRY], indirect=True)


def traced(spans: InMemorySpanExporter) -> tuple[int, int]:
    """Return the prompt and completion tokens of all spans."""
    attributes = [span.attributes or {} for span in spans.get_finished_spans()]
    prompt, answer = (
        sum(int(str(item.get(f"llm.token_count.{kind}", 0))) for item in attributes)
        for kind in ("prompt", "completion")
    )
    return prompt, answer


@shows_tokens
@with_openinference
def test_a_structured_model(spans: InMemorySpanExporter, llm: OneRouterLLM, ledger: Ledger) -> None:
    """Complete and streamed: the outer span has no tokens of its own."""
    structured = llm.as_structured_llm(Person)
    structured.chat(QUESTION)
    list(structured.stream_chat(QUESTION))
    assert traced(spans) == counted(ledger)


@shows_tokens
@with_openinference
def test_a_query_engine_of_a_structured_model(
    spans: InMemorySpanExporter, llm: OneRouterLLM, ledger: Ledger
) -> None:
    """The synthesizer's spans have none, either."""
    index = SummaryIndex([TextNode(text="'Ada Lovelace' was 36.")])
    index.as_query_engine(llm=llm.as_structured_llm(Person)).query("Who?")
    assert traced(spans) == counted(ledger)


@shows_tokens
@with_openinference
async def test_an_agent_with_an_output_class(
    spans: InMemorySpanExporter, llm: OneRouterLLM, ledger: Ledger
) -> None:
    """One request for the answer, one for the object."""
    agent = FunctionAgent(tools=[multiply], llm=llm, output_cls=Person)
    await agent.run("'Ada' was 36.", memory=ChatMemoryBuffer.from_defaults(llm=llm))
    assert traced(spans) == counted(ledger)


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@shows_tokens
@with_openinference
@pytest.mark.parametrize("streamed", [False, True])
def test_tools(
    spans: InMemorySpanExporter, llm: OneRouterLLM, sim: Simulator, streamed: bool
) -> None:
    """One span for a request with tools, and in it the JSON that is sent."""
    tool = FunctionTool.from_defaults(multiply, name="math.multiply")
    if streamed:
        list(llm.stream_chat_with_tools([tool], "Please multiply 12 and 7."))
    else:
        llm.chat_with_tools([tool], "Please multiply 12 and 7.")
    (span,) = spans.get_finished_spans()
    shown = (span.attributes or {})["llm.tools.0.tool.json_schema"]
    assert json.loads(str(shown)) == sim.last.body["tools"][0]


BROKEN = Script(events=[chunk("abc"), {"error": {"message": "out of my range", "code": 500}}])


@shows_errors
@with_openllmetry
@pytest.mark.parametrize("method", ["chat", "stream_chat", "complete", "broken stream"])
def test_a_failed_span(spans: InMemorySpanExporter, gateway: Simulator, method: str) -> None:
    """It ends, with the words of the error."""
    llm = OneRouterLLM(model="simulated/echo", max_retries=0)
    gateway.script(BROKEN if method == "broken stream" else failure(400, "out of my range"))
    calls = {"chat": lambda: llm.chat(QUESTION), "complete": lambda: llm.complete("x")}
    call = calls.get(method, lambda: list(llm.stream_chat(QUESTION)))
    with pytest.raises(OneRouterError):
        call()
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok
    assert "out of my range" in str(span.status.description)


@pytest.mark.package("llama-index-core", "a table parser goes on with words after a failed object")
def test_an_element_parser(llm: OneRouterLLM, sim: Simulator) -> None:
    """MarkdownElementNodeParser asks for a summary in words."""
    pytest.importorskip("pandas")
    sim.script(Script(json=completion("No idea.")), Script(json=completion("A table of sums.")))
    table = Document(text="Sums\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nEnd.\n")
    nodes = MarkdownElementNodeParser(llm=llm).get_nodes_from_documents([table])
    assert any("A table of sums." in node.get_content() for node in nodes)
