"""Spans of failed calls for tracers that leave them open: OpenLLMetry's handler.

opentelemetry-instrumentation-llamaindex (0.62.4, dispatcher_wrapper.py, `prepare_to_drop_span`)
ends no span of a method that raises, so that a failed request is in no trace. This module writes
the error into its span and ends it. Other tracers see the error from LlamaIndex, and are left
alone.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import Any

from llama_index.core.instrumentation import (  # type: ignore[attr-defined]
    get_dispatcher,  # pyright: ignore[reportPrivateImportUsage]
)
from llama_index.core.instrumentation.span import active_span_id

_HANDLER = "OpenLLMetrySpanHandler"


class FailedSpan:
    """Context manager of one request: an error that leaves it is in the span of the request.

    A generator in its place would make a cycle: see `onerouter_core.tracebacks`.
    """

    __slots__ = ("_span_id",)

    def __init__(self) -> None:
        self._span_id = active_span_id.get()

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            for handler in get_dispatcher().span_handlers:
                if type(handler).__name__ == _HANDLER:
                    with suppress(Exception):  # a tracer's failure is not the caller's
                        _end_span(handler, self._span_id, error)


def _end_span(handler: Any, span_id: str | None, error: Exception) -> None:
    """Write an error into a span and end it; end the spans that wait for its stream, too."""
    waiting = handler.waiting_for_streaming_spans
    streamed = span_id in waiting
    holder = (waiting if streamed else handler.open_spans)[span_id]
    status = importlib.import_module("opentelemetry.trace").StatusCode.ERROR
    holder.otel_span.record_exception(error)
    holder.otel_span.set_status(status, str(error))
    # The context in which a stream began may be another task's. Its span stays in `waiting`: the
    # handler prints a line about every event, such as the error's, whose span it does not find.
    holder.end(should_detach_context=not streamed)
    if streamed:
        for parent in holder.notify_parent():
            waiting.pop(parent.span_id, None)
