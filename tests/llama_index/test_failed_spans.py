"""Spans of failed calls; tests/ecosystem has the tests with OpenLLMetry itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import InvalidRequestError
from onerouter_simulator import Simulator, failure
from tests.llama_index.conftest import Mode, user_messages


class OpenLLMetrySpanHandler(BaseSpanHandler[SimpleSpan]):
    """A handler of the tracer's name without what this package expects in it."""

    def new_span(self, id_: str, *_: Any, **__: Any) -> SimpleSpan:
        """Return a span."""
        return SimpleSpan(id_=id_)

    def prepare_to_exit_span(self, id_: str, *_: Any, **__: Any) -> SimpleSpan:
        """Return the span."""
        return self.open_spans[id_]

    def prepare_to_drop_span(self, id_: str, *_: Any, **__: Any) -> SimpleSpan:
        """Return the span."""
        return self.open_spans[id_]


@pytest.fixture
def _another_version() -> Iterator[None]:
    dispatcher = get_dispatcher()
    before = list(dispatcher.span_handlers)
    dispatcher.add_span_handler(OpenLLMetrySpanHandler())
    yield
    dispatcher.span_handlers = before


@pytest.mark.usefixtures("_another_version")
@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_another_version_of_the_tracer_does_no_harm(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, method: str
) -> None:
    """The caller gets the error of the call."""
    sim.script(failure(400, "out of my range"))
    with pytest.raises(InvalidRequestError, match="out of my range"):
        getattr(mode, method)(llm, user_messages("x"))
