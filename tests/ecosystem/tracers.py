"""Tracers, each with what it received in memory: the tokens of all requests, as it shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from tempfile import mkdtemp
from typing import Any, NamedTuple

import mlflow
import sentry_sdk
from langchain_core.callbacks import BaseCallbackHandler
from langfuse import Langfuse
from langfuse.langchain import CallbackHandler
from openinference.instrumentation.langchain import LangChainInstrumentor as OpenInference
from opentelemetry.instrumentation.langchain import LangchainInstrumentor as OpenLLMetry
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.langchain import LangchainIntegration
from sentry_sdk.transport import Transport

from tests.ecosystem.collector import Collector

Tokens = tuple[int, int]  # prompt, completion
_numbers = count()


class Tracing(NamedTuple):
    """An active tracer: its callbacks, if it has some, and a function that reads its tokens."""

    tokens: Callable[[], Tokens]
    callbacks: list[BaseCallbackHandler] = []  # noqa: RUF012 -- never changed


class Spans:
    """Spans of OpenTelemetry in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def clear(self) -> None:
        """Forget the spans so far."""
        self._exporter.clear()

    def all(self) -> list[dict[str, Any]]:
        """Return the attributes of each span that has ended."""
        return [dict(span.attributes or {}) for span in self._exporter.get_finished_spans()]

    def errors(self) -> list[str]:
        """Return the descriptions of the spans that failed."""
        spans = self._exporter.get_finished_spans()
        return [str(span.status.description) for span in spans if not span.status.is_ok]

    def total(self, prompt: str, completion: str) -> Tokens:
        """Return the sums of two attributes over all spans."""
        return total(self.all(), prompt, completion)


def total(spans: list[dict[str, Any]], prompt: str, completion: str) -> Tokens:
    """Return the sums of two numbers over all spans."""
    return (
        sum(span.get(prompt) or 0 for span in spans),
        sum(span.get(completion) or 0 for span in spans),
    )


@contextmanager
def openinference(_: Collector) -> Iterator[Tracing]:
    """Trace with openinference, as Phoenix does."""
    spans, instrumentor = Spans(), OpenInference()
    instrumentor.instrument(tracer_provider=spans.provider)
    yield Tracing(lambda: spans.total("llm.token_count.prompt", "llm.token_count.completion"))
    instrumentor.uninstrument()


@cache
def openllmetry_spans() -> Spans:
    """Instrument once: after `uninstrument` it traces into the first provider for ever."""
    spans = Spans()
    OpenLLMetry().instrument(tracer_provider=spans.provider)
    return spans


@contextmanager
def openllmetry(_: Collector) -> Iterator[Tracing]:
    """Trace with the instrumentation that traceloop-sdk installs."""
    spans = openllmetry_spans()
    spans.clear()
    yield Tracing(lambda: spans.total("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"))


@contextmanager
def langfuse(collector: Collector) -> Iterator[Tracing]:
    """Trace with Langfuse's callback."""
    key = f"pk-{next(_numbers)}"  # a client is kept for each key
    client = Langfuse(public_key=key, secret_key="sk", base_url=collector.url)

    def tokens() -> Tokens:
        client.flush()
        name = "langfuse.observation.usage_details"
        found = [json.loads(span.attributes.get(name, "{}")) for span in collector.spans()]
        return total(found, "input", "output")

    yield Tracing(tokens, [CallbackHandler(public_key=key)])
    client.shutdown()


@cache
def use_mlflow_store() -> None:
    """Let MLflow write into a folder: to make its database takes ten times as long as a test."""
    mlflow.set_tracking_uri(f"file:{mkdtemp()}/runs")  # it makes only a new folder ready


@contextmanager
def mlflow_autolog(_: Collector) -> Iterator[Tracing]:
    """Trace with MLflow, into files."""
    use_mlflow_store()
    mlflow.langchain.autolog()

    def tokens() -> Tokens:
        trace = mlflow.get_trace(mlflow.get_last_active_trace_id(), flush=True)
        usage = trace.info.token_usage or {}
        return usage.get("input_tokens", 0), usage.get("output_tokens", 0)

    yield Tracing(tokens)
    mlflow.langchain.autolog(disable=True)


class Envelopes(Transport):
    """A transport of Sentry that keeps the attributes of spans."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep the spans, which are an item beside the transaction."""
        bodies = [item.payload.json for item in envelope.items if item.headers["type"] == "span"]
        spans = [span["attributes"] for body in bodies if body for span in body["items"]]
        self.spans += [{name: one["value"] for name, one in span.items()} for span in spans]


@contextmanager
def sentry(_: Collector) -> Iterator[Tracing]:
    """Trace with Sentry, in one transaction."""
    sent = Envelopes()
    sentry_sdk.init(
        dsn="http://key@127.0.0.1/1",
        transport=sent,
        traces_sample_rate=1.0,
        integrations=[LangchainIntegration()],
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    transaction = sentry_sdk.start_transaction(name="test")

    def tokens() -> Tokens:
        transaction.__exit__(None, None, None)
        sentry_sdk.flush()
        return total(sent.spans, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")

    transaction.__enter__()
    yield Tracing(tokens)
    sentry_sdk.init()
