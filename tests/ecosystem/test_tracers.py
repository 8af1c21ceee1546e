"""Tokens in traces of LangChain equal the gateway's counts, with every tracer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from opik.integrations.langchain import OpikTracer
from pydantic import BaseModel

from langchain_onerouter import ChatOneRouter
from onerouter_core import Ledger
from tests.ecosystem import tracers
from tests.ecosystem.collector import Collector
from tests.ecosystem.conftest import counted
from tests.ecosystem.tracers import Tracing

SHOWN = "tokens as the gateway counts them: whole, streamed, agents, structured output"
TRACERS = [
    pytest.param(trace, id=package, marks=pytest.mark.package(package, SHOWN))
    for package, trace in {
        "openinference-instrumentation-langchain": tracers.openinference,
        "opentelemetry-instrumentation-langchain": tracers.openllmetry,
        "langfuse": tracers.langfuse,
        "mlflow": tracers.mlflow_autolog,
        "sentry-sdk": tracers.sentry,
    }.items()
]


class City(BaseModel):
    """A city."""

    name: str


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@pytest.fixture(params=TRACERS)
def tracing(request: pytest.FixtureRequest, collector: Collector) -> Iterator[Tracing]:
    """Run a test with each tracer."""
    with request.param(collector) as active:
        yield active


def invoke(llm: ChatOneRouter, config: Any) -> None:
    """Ask for a whole answer."""
    llm.invoke("Hello", config)


def stream(llm: ChatOneRouter, config: Any) -> None:
    """Ask for a stream of several chunks."""
    assert len(list(llm.stream("Hello, how are you today?", config))) > 2


def run_agent(llm: ChatOneRouter, config: Any) -> None:
    """Run an agent that calls a tool: two requests."""
    agent = create_agent(llm, [get_weather])
    agent.invoke({"messages": [("user", "get_weather in 'Oslo'")]}, config)


def ask_for_object(llm: ChatOneRouter, config: Any) -> None:
    """Ask for an object."""
    llm.with_structured_output(City).invoke("The city is 'Oslo'", config)


@pytest.mark.parametrize("act", [invoke, stream, run_agent, ask_for_object])
def test_tokens(
    chat_model: ChatOneRouter,
    ledger: Ledger,
    tracing: Tracing,
    act: Callable[[ChatOneRouter, dict[str, list[BaseCallbackHandler]]], None],
) -> None:
    """The sums over all spans are those of all requests."""
    act(chat_model, {"callbacks": [*tracing.callbacks]})
    assert tracing.tokens() == counted(ledger)
    assert min(counted(ledger)) > 0


@pytest.mark.package("opik", "messages with OpikTracer; tokens with openinference, over OTLP")
def test_opik(
    chat_model: ChatOneRouter, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpikTracer sends the answer; it reads the tokens of seven vendors' classes only (2.2)."""
    monkeypatch.setenv("OPIK_URL_OVERRIDE", collector.url)
    tracer = OpikTracer(project_name="demo")
    chat_model.invoke("Hello", {"callbacks": [tracer]})
    tracer.flush()
    spans = [one for one in collector.received if one.path.endswith("/spans/batch")]
    assert b"You said: Hello" in b"".join(one.raw for one in spans)
