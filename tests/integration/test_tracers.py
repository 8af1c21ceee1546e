"""Spans of observability tools: their own instrumentors, with an exporter in memory."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import pytest

pytest.importorskip("openinference.instrumentation", reason="make integration installs the tracers")

from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.tools import FunctionTool
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import OneRouterError
from onerouter_simulator import Simulator, failure
from tests.langchain import conftest as langchain
from tests.llama_index import conftest as llama_index

# openinference serializes LlamaIndex's metadata with a method that pydantic has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:The `json` method is deprecated")

Attributes: TypeAlias = Mapping[str, Any]
ToolCalls: TypeAlias = list[tuple[str, Any]]
WEATHER = "get_weather in 'Oslo'"


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


class Tracer(NamedTuple):
    """An instrumentor, and the span attributes in which it records a call.

    `tokens` are the attributes of prompt, completion and all tokens.
    """

    module: str
    name: str
    model: str
    tokens: tuple[str, str, str]
    finish_reason: str
    read_tool_calls: Callable[[Attributes], ToolCalls]


def openinference_calls(attributes: Attributes) -> ToolCalls:
    """Return the tool call that openinference records in one attribute for each field."""
    call = "llm.output_messages.0.message.tool_calls.0.tool_call.function"
    return [(attributes[f"{call}.name"], json.loads(attributes[f"{call}.arguments"]))]


def semantic_calls(attributes: Attributes) -> ToolCalls:
    """Return the tool calls that opentelemetry records as JSON in one attribute."""
    messages = json.loads(attributes["gen_ai.output.messages"])
    parts = (part for message in messages for part in message["parts"])
    return [(part["name"], part["arguments"]) for part in parts if part["type"] == "tool_call"]


_OPENINFERENCE = (
    "llm.model_name",
    ("llm.token_count.prompt", "llm.token_count.completion", "llm.token_count.total"),
    "llm.finish_reason",
    openinference_calls,
)
OPENINFERENCE_LANGCHAIN = Tracer(
    "openinference.instrumentation.langchain", "LangChainInstrumentor", *_OPENINFERENCE
)
OPENINFERENCE_LLAMA_INDEX = Tracer(
    "openinference.instrumentation.llama_index", "LlamaIndexInstrumentor", *_OPENINFERENCE
)
OPENTELEMETRY_LLAMA_INDEX = Tracer(
    "opentelemetry.instrumentation.llamaindex",
    "LlamaIndexInstrumentor",
    "gen_ai.response.model",
    ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.total_tokens"),
    "gen_ai.response.finish_reasons",
    semantic_calls,
)

# The other one records only the text of a completion, and does not end the span of a failed call.
ONLY_OPENINFERENCE = pytest.mark.parametrize(
    "llama_index_tracer", [OPENINFERENCE_LLAMA_INDEX], indirect=True
)


class TracerRun:
    """An active tracer and its finished spans."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._instrumentor = getattr(importlib.import_module(tracer.module), tracer.name)()
        self._instrumentor.instrument(tracer_provider=provider)

    def stop(self) -> None:
        """Remove the instrumentation."""
        self._instrumentor.uninstrument()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended so far."""
        return tuple(self._exporter.get_finished_spans())

    def check_newest_span(self, finish_reason: str) -> Attributes:
        """Check model, tokens and finish reason in the newest span; return its attributes."""
        attributes: Attributes = self.spans[-1].attributes or {}
        assert attributes[self.tracer.model] == "simulated/echo"
        prompt_tokens, completion_tokens, all_tokens = (
            attributes[name] for name in self.tracer.tokens
        )
        assert prompt_tokens > 0
        assert completion_tokens > 0
        assert prompt_tokens + completion_tokens == all_tokens
        assert finish_reason in attributes[self.tracer.finish_reason]
        return attributes


@pytest.fixture
def langchain_tracer() -> Iterator[TracerRun]:
    """Trace LangChain."""
    run = TracerRun(OPENINFERENCE_LANGCHAIN)
    yield run
    run.stop()


@pytest.fixture(params=[OPENINFERENCE_LLAMA_INDEX, OPENTELEMETRY_LLAMA_INDEX])
def llama_index_tracer(request: pytest.FixtureRequest) -> Iterator[TracerRun]:
    """Trace LlamaIndex; remove the handlers that a tracer leaves in the dispatcher."""
    root = get_dispatcher()
    handlers = [*root.event_handlers], [*root.span_handlers]
    run = TracerRun(request.param)
    yield run
    run.stop()
    root.event_handlers, root.span_handlers = handlers


@pytest.fixture(params=["complete", "streamed"])
def streamed(request: pytest.FixtureRequest) -> bool:
    """Run a test with complete and with streamed answers."""
    return bool(request.param == "streamed")


@pytest.fixture(params=["Sync", "Async"])
def mode_name(request: pytest.FixtureRequest) -> str:
    """Run a test sync and async."""
    return str(request.param)


@pytest.fixture
def call_langchain(sim: Simulator, mode_name: str, streamed: bool) -> Callable[..., Any]:
    """Provide a function that calls ChatOneRouter, with tools if there are any."""
    llm = ChatOneRouter(**model_fields(sim))
    mode = getattr(langchain, mode_name)()
    call = mode.stream if streamed else mode.invoke
    return lambda text, *tools: call(llm.bind_tools(tools) if tools else llm, text)


@pytest.fixture
def call_llama_index(sim: Simulator, mode_name: str, streamed: bool) -> Callable[..., Any]:
    """Provide a function that calls OneRouterLLM, with tools if there are any."""
    llm = OneRouterLLM(**model_fields(sim))
    mode = getattr(llama_index, mode_name)()

    def call(text: str, *tools: FunctionTool) -> Any:
        if tools:
            name, arguments = "chat_with_tools", (tools, text)
        else:
            name, arguments = "chat", (llama_index.user_messages(text),)
        if streamed:
            return mode.collect(llm, f"stream_{name}", *arguments)
        return mode.call(llm, name, *arguments)

    return call


def model_fields(sim: Simulator) -> dict[str, Any]:
    """Return the fields of either class for the simulator, with a secret header."""
    return {
        "model": "simulated/echo",
        "base_url": sim.base_url,
        "api_key": sim.api_key,
        "default_headers": {"X-Secret": "canary"},
        "max_retries": 0,
    }


def check_secrets(tracer: TracerRun, sim: Simulator) -> None:
    """Check that no span shows the key or the header."""
    shown = "".join(span.to_json() for span in tracer.spans)
    assert sim.last.headers["x-secret"] == "canary"
    assert "canary" not in shown
    assert sim.api_key not in shown


def test_langchain_span_of_an_answer(
    langchain_tracer: TracerRun, sim: Simulator, call_langchain: Callable[..., Any]
) -> None:
    """The span has model, tokens, finish reason and text, and no secret."""
    call_langchain("Hello")
    attributes = langchain_tracer.check_newest_span("stop")
    assert attributes["llm.output_messages.0.message.content"] == "You said: Hello"
    check_secrets(langchain_tracer, sim)


def test_langchain_span_of_a_tool_call(
    langchain_tracer: TracerRun, call_langchain: Callable[..., Any]
) -> None:
    """The span has the call with its arguments."""
    call_langchain(WEATHER, get_weather)
    attributes = langchain_tracer.check_newest_span("tool_calls")
    tool_calls = langchain_tracer.tracer.read_tool_calls(attributes)
    assert tool_calls == [("get_weather", {"city": "Oslo"})]


def test_langchain_span_of_an_error(
    langchain_tracer: TracerRun, sim: Simulator, call_langchain: Callable[..., Any]
) -> None:
    """The span has the class and the message of the error."""
    sim.script(failure(400, "out of my range"))
    with pytest.raises(OneRouterError):
        call_langchain("Hello")
    check_error_span(langchain_tracer.spans[-1])


def test_llama_index_span_of_an_answer(
    llama_index_tracer: TracerRun, sim: Simulator, call_llama_index: Callable[..., Any]
) -> None:
    """The span has model, tokens, finish reason and text, and no secret."""
    call_llama_index("Hello")
    attributes = llama_index_tracer.check_newest_span("stop")
    assert "You said: Hello" in str(attributes)
    check_secrets(llama_index_tracer, sim)


def test_llama_index_span_of_a_tool_call(
    llama_index_tracer: TracerRun, call_llama_index: Callable[..., Any]
) -> None:
    """The span has the call with its arguments."""
    call_llama_index(WEATHER, FunctionTool.from_defaults(get_weather))
    attributes = llama_index_tracer.check_newest_span("tool_call")
    tool_calls = llama_index_tracer.tracer.read_tool_calls(attributes)
    assert tool_calls == [("get_weather", {"city": "Oslo"})]


@ONLY_OPENINFERENCE
def test_llama_index_span_of_a_completion(
    llama_index_tracer: TracerRun, sim: Simulator, mode_name: str, streamed: bool
) -> None:
    """A completion is a chat of one message; its span has the same attributes."""
    mode = getattr(llama_index, mode_name)()
    call = mode.stream_complete if streamed else mode.complete
    call(OneRouterLLM(**model_fields(sim)), "Hello")
    llama_index_tracer.check_newest_span("stop")


@ONLY_OPENINFERENCE
def test_llama_index_span_of_an_error(
    llama_index_tracer: TracerRun, sim: Simulator, call_llama_index: Callable[..., Any]
) -> None:
    """The span has the class and the message of the error."""
    sim.script(failure(400, "out of my range"))
    with pytest.raises(OneRouterError):
        call_llama_index("Hello")
    check_error_span(llama_index_tracer.spans[-1])


def check_error_span(span: ReadableSpan) -> None:
    """Check that a span has failed with an InvalidRequestError of ours."""
    assert not span.status.is_ok
    (event,) = [event for event in span.events if event.name == "exception"]
    attributes = event.attributes or {}
    assert str(attributes["exception.type"]).endswith("errors.InvalidRequestError")
    assert "out of my range" in str(attributes["exception.message"])
