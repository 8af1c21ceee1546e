"""Tracers of LlamaIndex, each with what it received in memory: spans with tokens, tools, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import mlflow
import mlflow.llama_index
from langfuse import Langfuse
from llama_index.core.instrumentation import get_dispatcher
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor as OpenInference
from opentelemetry.instrumentation.llamaindex import LlamaIndexInstrumentor as OpenLLMetry
from opentelemetry.sdk.trace import TracerProvider

from tests.ecosystem.collector import Collector
from tests.ecosystem.tracers import Spans, Tokens, total, use_mlflow_store

_numbers = count()


class Tracing(NamedTuple):
    """An active tracer, and what its spans show; `tools` are those of the last request."""

    tokens: Callable[[], Tokens]
    tools: Callable[[], list[Any]] = list
    errors: Callable[[], list[str]] = list


@contextmanager
def _handlers_removed() -> Iterator[None]:
    """Remove the handlers that a tracer leaves in the dispatcher."""
    root = get_dispatcher()
    before = [*root.event_handlers], [*root.span_handlers]
    yield
    root.event_handlers, root.span_handlers = before


def _openinference_tools(spans: list[dict[str, Any]]) -> list[Any]:
    """Return the tools in attributes of openinference."""
    names = (f"llm.tools.{number}.tool.json_schema" for number in range(10))
    return [json.loads(span[name]) for name in names for span in spans if name in span]


@contextmanager
def openinference(_: Collector) -> Iterator[Tracing]:
    """Trace with openinference, as Phoenix does."""
    spans, instrumentor = Spans(), OpenInference()
    with _handlers_removed():
        instrumentor.instrument(tracer_provider=spans.provider)
        yield Tracing(
            lambda: spans.total("llm.token_count.prompt", "llm.token_count.completion"),
            lambda: _openinference_tools(spans.all()),
            spans.errors,
        )
        instrumentor.uninstrument()


@contextmanager
def openllmetry(_: Collector) -> Iterator[Tracing]:
    """Trace with the instrumentation that traceloop-sdk installs; it shows no tools."""
    spans, instrumentor = Spans(), OpenLLMetry()
    with _handlers_removed():
        instrumentor.instrument(tracer_provider=spans.provider)
        yield Tracing(
            lambda: spans.total("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
            errors=spans.errors,
        )
        instrumentor.uninstrument()


@contextmanager
def langfuse(collector: Collector) -> Iterator[Tracing]:
    """Trace with Langfuse: its client exports the spans of openinference."""
    provider, instrumentor = TracerProvider(), OpenInference()
    key = f"pk-llama-{next(_numbers)}"  # a client is kept for each key
    client = Langfuse(
        public_key=key, secret_key="sk", base_url=collector.url, tracer_provider=provider
    )

    def attributes() -> list[dict[str, Any]]:
        client.flush()
        return [span.attributes for span in collector.spans()]

    with _handlers_removed():
        instrumentor.instrument(tracer_provider=provider)
        yield Tracing(
            lambda: total(attributes(), "llm.token_count.prompt", "llm.token_count.completion"),
            lambda: _openinference_tools(attributes()),
            lambda: [span.status for span in (attributes(), collector.spans())[1] if span.status],
        )
        instrumentor.uninstrument()
    client.shutdown()


@contextmanager
def mlflow_autolog(_: Collector) -> Iterator[Tracing]:
    """Trace with MLflow, into files, each test into an experiment of its own."""
    use_mlflow_store()
    mlflow.set_experiment(f"llama-index-{next(_numbers)}")

    def traces() -> list[Any]:
        mlflow.flush_trace_async_logging()
        return list(mlflow.search_traces(return_type="list"))

    def spans() -> list[Any]:
        return [span for trace in traces() for span in trace.data.spans]

    with _handlers_removed():
        mlflow.llama_index.autolog()
        yield Tracing(
            lambda: total([one.info.token_usage or {} for one in traces()], *_MLFLOW_TOKENS),
            lambda: [tool for span in spans() for tool in span.attributes.get(_MLFLOW_TOOLS) or ()],
            lambda: [str(event.attributes) for span in spans() for event in span.events],
        )
        mlflow.llama_index.autolog(disable=True)


_MLFLOW_TOKENS = ("input_tokens", "output_tokens")
_MLFLOW_TOOLS = "mlflow.chat.tools"
