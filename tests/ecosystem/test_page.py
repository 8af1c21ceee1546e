"""docs/ecosystem.md: the code of each section runs, and the tracers receive what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onerouter_simulator import Script, Simulator, completion, failure
from tests.ecosystem import sections
from tests.ecosystem.collector import Collector

PROGRAMS = sections.blocks()
TOO_LONG = failure(400, "This model's maximum context length is 8192 tokens.")
SUMMARY = Script(json=completion("They talked about words."))
SCRIPTS: dict[str, tuple[Script, ...]] = {  # the first answers, in these sections
    "LangGraph: retry a node": (failure(503, "busy"),),
    "Recover from context overflow": (TOO_LONG, SUMMARY),
    "Another model for a long prompt": (TOO_LONG,),
}
COMPLETION_TOKENS = 4  # of "You said: Hello", as the simulator counts them


def row(section: str, package: str, shown: str) -> Any:
    """Return the parameters of a section, which show a package."""
    return pytest.param(section, marks=pytest.mark.package(package, shown))


SECTIONS = [
    row("LangGraph: retry a node", "langgraph", "a node is repeated after a transient error"),
    row("Any model behind one agent", "langchain", "the model is chosen per call"),
    row("Recover from context overflow", "deepagents", "an overflow ends in a summary"),
    row("Another model for a long prompt", "langchain", "an overflow goes to another model"),
    row("nemoguardrails", "nemoguardrails", "rails around the class"),
    row("guardrails", "guardrails-ai", "a guard behind the class"),
    row("ragas", "ragas", "an answer is scored"),
    row("deepeval", "deepeval", "an answer is scored"),
    row("openevals", "openevals", "an answer is judged"),
    row("langserve", "langserve", "the class is served"),
    row("MLflow", "mlflow", "tokens of a trace"),
    row("chainlit", "chainlit", "a handler that streams an answer is registered"),
]
# These leave nothing behind in a process; to import LangChain once more for each takes seconds.
RUN_HERE = {
    "LangGraph: retry a node",
    "Any model behind one agent",
    "Recover from context overflow",
    "Another model for a long prompt",
    "openevals",
    "langserve",
}
TRACERS = {"Phoenix", "Langfuse", "Opik", "OpenLLMetry", "Sentry"}


def test_every_section_is_run() -> None:
    """A test names each section that has code."""
    assert set(PROGRAMS) == {one.values[0] for one in SECTIONS} | TRACERS


@pytest.mark.parametrize("section", SECTIONS)
def test_section(section: str, sim: Simulator, tmp_path: Path) -> None:
    """A section prints what it says, also where a request fails first, as its title says."""
    sim.script(*SCRIPTS.get(section, ()))
    if section in RUN_HERE:
        printed = sections.run_here(section)
    else:
        printed = sections.run(section, sim, tmp_path, MLFLOW_TRACKING_URI=f"file:{tmp_path}/runs")
    assert printed == sections.shown_output(section)


def run_traced(section: str, sim: Simulator, folder: Path, collector: Collector) -> None:
    """Run a section with the variables that point each tracer at the collector."""
    variables = {
        "PHOENIX_COLLECTOR_ENDPOINT": collector.url,
        "LANGFUSE_PUBLIC_KEY": "pk",
        "LANGFUSE_SECRET_KEY": "sk",
        "LANGFUSE_BASE_URL": collector.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "TRACELOOP_BASE_URL": collector.url,
        "TRACELOOP_API_KEY": "key",
        "SENTRY_DSN": collector.url.replace("//", "//key@") + "/1",
    }
    sections.run(section, sim, folder, **variables)


@pytest.mark.parametrize(
    ("section", "name"),
    [
        pytest.param(
            "Phoenix",
            "llm.token_count.completion",
            marks=pytest.mark.package("arize-phoenix-otel", "spans with messages and tokens"),
        ),
        pytest.param("Opik", "llm.token_count.completion"),
        pytest.param(
            "OpenLLMetry",
            "gen_ai.usage.output_tokens",
            marks=pytest.mark.package("traceloop-sdk", "spans with messages and tokens"),
        ),
    ],
)
def test_spans(
    section: str, name: str, sim: Simulator, tmp_path: Path, collector: Collector
) -> None:
    """The server of the tracer receives one span with tokens, and the text of the answer."""
    run_traced(section, sim, tmp_path, collector)
    (span,) = [span for span in collector.spans() if name in span.attributes]
    assert span.attributes[name] == COMPLETION_TOKENS
    assert "You said: Hello" in str(span.attributes)


@pytest.mark.parametrize(
    "section",
    [
        row("Langfuse", "langfuse", "messages"),
        row("Sentry", "sentry-sdk", "messages"),
    ],
)
def test_messages(section: str, sim: Simulator, tmp_path: Path, collector: Collector) -> None:
    """The server of the tracer receives the text of the answer, and no key."""
    run_traced(section, sim, tmp_path, collector)
    received = b"".join(one.raw for one in collector.received)
    assert b"You said: Hello" in received
    assert sim.api_key.encode() not in received
