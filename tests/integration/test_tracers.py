"""What observability tools see of our calls: their own instrumentors, spans kept in memory."""

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

# openinference serialises LlamaIndex's metadata by a name that pydantic calls old
pytestmark = pytest.mark.filterwarnings("ignore:The `json` method is deprecated")

Attributes: TypeAlias = Mapping[str, Any]
Calls: TypeAlias = list[tuple[str, Any]]
WEATHER = "get_weather in 'Oslo'"


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


class Tracer(NamedTuple):
    """A tracer, and the names it has for what it saw."""

    module: str
    name: str
    model: str
    tokens: tuple[str, str, str]
    finish_reason: str
    calls: Callable[[Attributes], Calls]


def openinference_calls(seen: Attributes) -> Calls:
    """Read the tool calls that openinference spread over attributes."""
    call = "llm.output_messages.0.message.tool_calls.0.tool_call.function"
    return [(seen[f"{call}.name"], json.loads(seen[f"{call}.arguments"]))]


def semantic_calls(seen: Attributes) -> Calls:
    """Read the tool calls that stand as JSON in one attribute."""
    messages = json.loads(seen["gen_ai.output.messages"])
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

# The other reads only the text of a completion, and never ends the span of a call that fails.
ONLY_OPENINFERENCE = pytest.mark.parametrize("engines", [OPENINFERENCE_LLAMA_INDEX], indirect=True)


class Seen:
    """A tracer at work, and the spans of the calls it saw."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._instrumentor = getattr(importlib.import_module(tracer.module), tracer.name)()
        self._instrumentor.instrument(tracer_provider=provider)

    def stop(self) -> None:
        """See no more."""
        self._instrumentor.uninstrument()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """What was seen so far."""
        return tuple(self._exporter.get_finished_spans())

    def check(self, finish_reason: str) -> Attributes:
        """Check the newest span for model, tokens and finish reason, and return what it says."""
        seen: Attributes = self.spans[-1].attributes or {}
        assert seen[self.tracer.model] == "simulated/echo"
        asked, answered, both = (seen[name] for name in self.tracer.tokens)
        assert asked > 0
        assert answered > 0
        assert asked + answered == both
        assert finish_reason in seen[self.tracer.finish_reason]
        return seen


@pytest.fixture
def chains() -> Iterator[Seen]:
    """Watch LangChain."""
    seen = Seen(OPENINFERENCE_LANGCHAIN)
    yield seen
    seen.stop()


@pytest.fixture(params=[OPENINFERENCE_LLAMA_INDEX, OPENTELEMETRY_LLAMA_INDEX])
def engines(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Watch LlamaIndex; not every tracer takes all of itself back."""
    root = get_dispatcher()
    handlers = [*root.event_handlers], [*root.span_handlers]
    seen = Seen(request.param)
    yield seen
    seen.stop()
    root.event_handlers, root.span_handlers = handlers


@pytest.fixture(params=["whole", "streamed"])
def streamed(request: pytest.FixtureRequest) -> bool:
    """Run a test with whole and with streamed answers."""
    return bool(request.param == "streamed")


@pytest.fixture(params=["Sync", "Async"])
def colour(request: pytest.FixtureRequest) -> str:
    """Run a test in both colours."""
    return str(request.param)


@pytest.fixture
def ask_langchain(sim: Simulator, colour: str, streamed: bool) -> Callable[..., Any]:
    """Ask ChatOneRouter, with tools if there are any."""
    llm = ChatOneRouter(**reaching(sim))
    verbs = getattr(langchain, colour)()
    ask = verbs.stream if streamed else verbs.invoke
    return lambda text, *tools: ask(llm.bind_tools(tools) if tools else llm, text)


@pytest.fixture
def ask_llama_index(sim: Simulator, colour: str, streamed: bool) -> Callable[..., Any]:
    """Ask OneRouterLLM, with tools if there are any."""
    llm = OneRouterLLM(**reaching(sim))
    verbs = getattr(llama_index, colour)()

    def ask(text: str, *tools: FunctionTool) -> Any:
        name, asked = (
            ("chat_with_tools", (tools, text)) if tools else ("chat", (llama_index.say(text),))
        )
        if streamed:
            return verbs.collect(llm, f"stream_{name}", *asked)
        return verbs.call(llm, name, *asked)

    return ask


def reaching(sim: Simulator) -> dict[str, Any]:
    """Return the fields of either class that reach the simulator, with a secret among them."""
    return {
        "model": "simulated/echo",
        "base_url": sim.base_url,
        "api_key": sim.api_key,
        "default_headers": {"X-Secret": "canary"},
        "max_retries": 0,
    }


def check_secrets(seen: Seen, sim: Simulator) -> None:
    """Check that no span says a key or a header."""
    shown = "".join(span.to_json() for span in seen.spans)
    assert sim.last.headers["x-secret"] == "canary"
    assert "canary" not in shown
    assert sim.api_key not in shown


def test_langchain_answers(chains: Seen, sim: Simulator, ask_langchain: Callable[..., Any]) -> None:
    """Model, tokens, finish reason and text."""
    ask_langchain("Hello")
    seen = chains.check("stop")
    assert seen["llm.output_messages.0.message.content"] == "You said: Hello"
    check_secrets(chains, sim)


def test_langchain_tools(chains: Seen, ask_langchain: Callable[..., Any]) -> None:
    """The call with its arguments."""
    ask_langchain(WEATHER, get_weather)
    assert chains.tracer.calls(chains.check("tool_calls")) == [("get_weather", {"city": "Oslo"})]


def test_langchain_errors(chains: Seen, sim: Simulator, ask_langchain: Callable[..., Any]) -> None:
    """The span is an error's, and says which."""
    sim.script(failure(400, "out of my range"))
    with pytest.raises(OneRouterError):
        ask_langchain("Hello")
    check_error(chains.spans[-1])


def test_llama_index_answers(
    engines: Seen, sim: Simulator, ask_llama_index: Callable[..., Any]
) -> None:
    """Model, tokens, finish reason and text."""
    ask_llama_index("Hello")
    seen = engines.check("stop")
    assert "You said: Hello" in str(seen)
    check_secrets(engines, sim)


def test_llama_index_tools(engines: Seen, ask_llama_index: Callable[..., Any]) -> None:
    """The call with its arguments."""
    ask_llama_index(WEATHER, FunctionTool.from_defaults(get_weather))
    seen = engines.check("tool_call")
    assert engines.tracer.calls(seen) == [("get_weather", {"city": "Oslo"})]


@ONLY_OPENINFERENCE
def test_llama_index_completions(
    engines: Seen, sim: Simulator, colour: str, streamed: bool
) -> None:
    """A completion is a chat of one message, and is counted as one."""
    verbs = getattr(llama_index, colour)()
    ask = verbs.stream_complete if streamed else verbs.complete
    ask(OneRouterLLM(**reaching(sim)), "Hello")
    engines.check("stop")


@ONLY_OPENINFERENCE
def test_llama_index_errors(
    engines: Seen, sim: Simulator, ask_llama_index: Callable[..., Any]
) -> None:
    """The span is an error's, and says which."""
    sim.script(failure(400, "out of my range"))
    with pytest.raises(OneRouterError):
        ask_llama_index("Hello")
    check_error(engines.spans[-1])


def check_error(span: ReadableSpan) -> None:
    """Check that the span failed, by an exception of ours."""
    assert not span.status.is_ok
    (event,) = [event for event in span.events if event.name == "exception"]
    facts = event.attributes or {}
    assert str(facts["exception.type"]).endswith("errors.InvalidRequestError")
    assert "out of my range" in str(facts["exception.message"])
