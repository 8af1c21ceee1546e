"""Recorder of everything that logs, callbacks, tracers and the screen show; search for secrets.

A secret of the tests contains the word "canary".
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span.simple import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from pydantic import Field

from onerouter_core import OneRouterError

_CANARY = re.compile(r".{0,80}canary.{0,40}", re.IGNORECASE | re.DOTALL)


def find_leaks(shown: Iterable[object]) -> list[str]:
    """Return the places in the texts of these objects that show a secret, with their context."""
    return [found for text in map(str, shown) for found in _CANARY.findall(text)]


def error_texts(error: BaseException | None) -> Iterator[object]:
    """Yield the traceback and the texts of an error, its causes and its contexts."""
    if error is not None:
        yield "".join(traceback.format_exception(error))
    while error is not None:
        yield from (repr(error), str(error), error.args)
        yield vars(error) if isinstance(error, OneRouterError) else ""
        error = error.__cause__ or error.__context__


class Recorder:
    """Record of everything that logs, handlers and tracers are given, and of the screen."""

    def __init__(self, logs: pytest.LogCaptureFixture, screen: Any) -> None:
        self.seen: list[object] = []
        self._logs, self._screen = logs, screen

    def record(self, *args: object, **kwargs: object) -> None:
        """Record the arguments of a handler."""
        self.seen += [repr(args), repr(kwargs)]

    def logged(self) -> list[str]:
        """Return the log records, formatted and with all their attributes."""
        format_record, records = logging.Formatter().format, self._logs.records
        # The formatted record has the traceback already.
        attributes = ({**vars(record), "exc_info": None} for record in records)
        return [*map(format_record, records), *map(repr, attributes)]

    def shown(self) -> list[object]:
        """Return everything recorded so far."""
        return [*self.seen, *self.logged(), *self._screen.readouterr()]


class CallbackRecorder(BaseCallbackHandler):
    """LangChain callback handler that records the events of a model."""

    def __init__(self, recorder: Recorder) -> None:
        """Record with this recorder."""
        for event in ("chat_model_start", "llm_new_token", "llm_end", "llm_error", "retry"):
            setattr(self, f"on_{event}", recorder.record)


class EventRecorder(BaseEventHandler):
    """LlamaIndex event handler that records all events."""

    record: Callable[..., None]

    def handle(self, event: Any, **_: Any) -> None:
        """Record an event and its exported forms."""
        self.record(event, event.model_dump(), event.model_dump_json(fallback=repr))


class SpanRecorder(SimpleSpanHandler):
    """LlamaIndex span handler that records the arguments and the end of each span."""

    record: Callable[..., None] = Field(default=print)

    def new_span(self, id_: str, bound_args: Any, *args: Any, **kwargs: Any) -> SimpleSpan | None:
        """Record the arguments of a span."""
        self.record(bound_args, bound_args.arguments, kwargs)
        return super().new_span(id_, bound_args, *args, **kwargs)

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> SimpleSpan | None:
        """Record the error of a span."""
        self.record(args, kwargs)
        return super().prepare_to_drop_span(*args, **kwargs)
