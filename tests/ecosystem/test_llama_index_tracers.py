"""LlamaIndex's tracers: tokens once, tools as JSON, the error of a failed request."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_core import Ledger, OneRouterError
from onerouter_simulator import Script, Simulator, chunk, failure
from tests.ecosystem import llama_index_tracers as tracers
from tests.ecosystem.collector import Collector
from tests.ecosystem.conftest import MODEL, counted
from tests.ecosystem.llama_index_tracers import Tracing

TEXT = "'Ada Lovelace' was 36."
QUESTION = [ChatMessage(TEXT)]
TOKENS = "tokens as the gateway counts them: chat, objects, query engines, agents"
TRACERS = {
    "openinference-instrumentation-llama-index": tracers.openinference,
    "opentelemetry-instrumentation-llamaindex": tracers.openllmetry,
    "langfuse": tracers.langfuse,
    "mlflow": tracers.mlflow_autolog,
}
WITHOUT_TOOLS = {"opentelemetry-instrumentation-llamaindex"}


def with_tracers(shown: str, *left_out: str) -> Any:
    """Return the mark of a test that runs with each tracer, and says what it shows."""
    params = [
        pytest.param(trace, id=package, marks=pytest.mark.package(package, f"LlamaIndex: {shown}"))
        for package, trace in TRACERS.items()
        if package not in left_out
    ]
    return pytest.mark.parametrize("tracing", params, indirect=True)


@pytest.fixture
def tracing(request: pytest.FixtureRequest, collector: Collector) -> Iterator[Tracing]:
    """Trace LlamaIndex."""
    with request.param(collector) as active:
        yield active


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


async def chat(llm: OneRouterLLM) -> None:
    """Chat: whole, streamed, async."""
    llm.chat(QUESTION)
    list(llm.stream_chat(QUESTION))
    await llm.achat(QUESTION)


async def complete(llm: OneRouterLLM) -> None:
    """Complete a text."""
    llm.complete(TEXT)
    await llm.acomplete(TEXT)


async def ask_for_object(llm: OneRouterLLM) -> None:
    """Ask for an object, whole and streamed: the outer span has no tokens of its own."""
    structured = llm.as_structured_llm(Person)
    structured.chat(QUESTION)
    list(structured.stream_chat(QUESTION))


async def query(llm: OneRouterLLM) -> None:
    """Ask a query engine for an object: the synthesizer's spans have no tokens, either."""
    index = SummaryIndex.from_documents([Document(text=TEXT)])
    index.as_query_engine(llm, output_cls=Person).query("Who?")
    index.as_query_engine(llm.as_structured_llm(Person)).query("Who?")


async def stream_query(llm: OneRouterLLM) -> None:
    """Stream the answer of a query engine."""
    index = SummaryIndex.from_documents([Document(text=TEXT)])
    assert str(index.as_query_engine(llm, streaming=True).query("Who?"))


async def call_tools(llm: OneRouterLLM) -> None:
    """Ask for tool calls, whole and streamed."""
    tool = FunctionTool.from_defaults(multiply)
    llm.chat_with_tools([tool], "Please multiply 12 and 7.")
    list(llm.stream_chat_with_tools([tool], "Please multiply 12 and 7."))


async def run_agent(llm: OneRouterLLM) -> None:
    """Run an agent that calls a tool, and makes an object of its answer: three requests."""
    # MLflow 3.17 ends the span of an async stream before its end, and so without tokens
    # (llama_index/tracer.py, `is_streaming_result` knows no async generator)
    agent = FunctionAgent(tools=[multiply], llm=llm, output_cls=Person, streaming=False)
    await agent.run("multiply 12 and 7", memory=ChatMemoryBuffer.from_defaults(llm=llm))


async def stream_agent(llm: OneRouterLLM) -> None:
    """Run an agent that streams."""
    agent = FunctionAgent(tools=[multiply], llm=llm, output_cls=Person)
    await agent.run("multiply 12 and 7", memory=ChatMemoryBuffer.from_defaults(llm=llm))


ACTS = [chat, ask_for_object, query, stream_query, call_tools, run_agent]


@with_tracers(TOKENS)
@pytest.mark.parametrize("act", ACTS)
async def test_tokens(llm: OneRouterLLM, ledger: Ledger, tracing: Tracing, act: Any) -> None:
    """The sums over all spans are those of all requests: no span repeats those of another."""
    await act(llm)
    assert tracing.tokens() == counted(ledger)
    assert min(counted(ledger)) > 0


@with_tracers("agents that stream", "mlflow")
async def test_tokens_of_a_streaming_agent(
    llm: OneRouterLLM, ledger: Ledger, tracing: Tracing
) -> None:
    """As those of one that does not."""
    await stream_agent(llm)
    assert tracing.tokens() == counted(ledger)


# OpenLLMetry reads tokens of chat events only (0.62.4, dispatcher_wrapper.py)
@with_tracers("completions", "opentelemetry-instrumentation-llamaindex")
async def test_tokens_of_a_completion(llm: OneRouterLLM, ledger: Ledger, tracing: Tracing) -> None:
    """As those of a chat."""
    await complete(llm)
    assert tracing.tokens() == counted(ledger)


@with_tracers("tools as they are sent", *WITHOUT_TOOLS)
@pytest.mark.parametrize("streamed", [False, True])
def test_tools(llm: OneRouterLLM, sim: Simulator, tracing: Tracing, *, streamed: bool) -> None:
    """One span for a request with tools, and in it the JSON that is sent."""
    tool = FunctionTool.from_defaults(multiply, name="math.multiply")
    if streamed:
        list(llm.stream_chat_with_tools([tool], "Please multiply 12 and 7."))
    else:
        llm.chat_with_tools([tool], "Please multiply 12 and 7.")
    assert tracing.tools() == sim.last.body["tools"]


BROKEN = Script(events=[chunk("abc"), {"error": {"message": "out of my range", "code": 500}}])
REFUSED = failure(400, "out of my range")
CALLS: dict[str, tuple[Script, Callable[[OneRouterLLM], Any]]] = {
    "chat": (REFUSED, lambda llm: llm.chat(QUESTION)),
    "complete": (REFUSED, lambda llm: llm.complete("x")),
    "stream_chat": (REFUSED, lambda llm: list(llm.stream_chat(QUESTION))),
    "broken stream": (BROKEN, lambda llm: list(llm.stream_chat(QUESTION))),
}


@with_tracers("the error of a failed request")
@pytest.mark.parametrize(("script", "call"), CALLS.values(), ids=CALLS)
def test_a_failed_span(
    gateway: Simulator, tracing: Tracing, script: Script, call: Callable[[OneRouterLLM], Any]
) -> None:
    """It ends, with the words of the error."""
    gateway.script(script)
    with pytest.raises(OneRouterError):
        call(OneRouterLLM(model=MODEL, max_retries=0))
    (error,) = tracing.errors()
    assert "out of my range" in error


def opik_spans(collector: Collector) -> list[Any]:
    """Return the spans of requests that Opik has sent, the oldest first."""
    batches = [one.json() for one in collector.received if one.path.endswith("/spans/batch")]
    found = [span for batch in batches for span in batch["spans"] if span["type"] == "llm"]
    return sorted(found, key=lambda span: str(span["start_time"]))


@pytest.mark.package("opik", "LlamaIndex: messages, objects and errors with its handler")
def test_opik(gateway: Simulator, collector: Collector) -> None:
    """Opik's handler shows a span for each request; tokens only of OpenAI's class (2.2)."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.ecosystem.opik_handler"],
        env={**os.environ, "OPIK_URL_OVERRIDE": collector.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    spans = opik_spans(collector)
    assert len(gateway.requests) == 3
    assert ["Ada Lovelace" in str(span["input"]) for span in spans] == [True] * 3
    assert ["Ada Lovelace" in str(span["output"]) for span in spans] == [True, True, False]
    assert "dead-model" in str(spans[2]["error_info"])
