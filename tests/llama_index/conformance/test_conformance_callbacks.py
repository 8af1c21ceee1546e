"""Who watches: handlers, events, spans, and tracers written as two well-known ones are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.callbacks import (
    CallbackManager,
    CBEventType,
    LlamaDebugHandler,
    TokenCountingHandler,
)
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from pydantic import Field

from onerouter_simulator import Script, chunk
from tests.llama_index.conformance.answers import CHATS, add_call, answer, calls, refuse
from tests.llama_index.conformance.bench import Bench, asked, say
from tests.llama_index.conformance.readers import called, counted, traced, usage

ENDPOINTS = ("chat", "stream_chat", "complete", "stream_complete")


class Spans(SimpleSpanHandler):
    """A handler that keeps the names of all spans, and of those that failed."""

    names: list[str] = Field(default_factory=list)
    failed: list[str] = Field(default_factory=list)

    def new_span(self, id_: str, *args: Any, **kwargs: Any) -> SimpleSpan | None:
        """Keep the name."""
        self.names.append(id_.partition("-")[0])
        return super().new_span(id_, *args, **kwargs)

    def prepare_to_drop_span(self, id_: str, *args: Any, **kwargs: Any) -> Any:
        """Keep the name."""
        self.failed.append(id_.partition("-")[0])
        return super().prepare_to_drop_span(id_, *args, **kwargs)


class Events(BaseEventHandler):
    """A handler that keeps all events."""

    events: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        """Keep it."""
        self.events.append(event)

    def of(self, *kinds: str) -> list[Any]:
        """Return the events whose names end so."""
        return [event for event in self.events if event.class_name().endswith(kinds)]


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Watch the spans."""
    dispatcher, handler = get_dispatcher(), Spans()
    before = list(dispatcher.span_handlers)
    dispatcher.add_span_handler(handler)
    yield handler
    dispatcher.span_handlers = before


@pytest.fixture
def events() -> Iterator[Events]:
    """Watch the events."""
    dispatcher, handler = get_dispatcher(), Events()
    before = list(dispatcher.event_handlers)
    dispatcher.add_event_handler(handler)
    yield handler
    dispatcher.event_handlers = before


# --- spans and events ---


def test_a_call_is_one_span(bench: Bench, spans: Spans) -> None:
    """Two would be two calls in a trace."""
    for endpoint in ENDPOINTS:
        spans.names.clear()
        bench.script(answer(endpoint))
        bench.items(endpoint, asked(endpoint))
        assert len(spans.names) == 1


def test_a_call_begins_and_ends_once(bench: Bench, events: Events) -> None:
    """The last event of a call has its usage."""
    for endpoint in ENDPOINTS:
        events.events.clear()
        bench.script(answer(endpoint))
        bench.items(endpoint, asked(endpoint))
        kinds = [event.class_name() for event in events.events]
        assert [kind for kind in kinds if kind.endswith("StartEvent")] == kinds[:1]
        assert [kind for kind in kinds if kind.endswith("EndEvent")] == kinds[-1:]
        assert usage(events.events[-1].response) == (11, 7)


def test_a_trace_names_the_model(bench: Bench, events: Events) -> None:
    """By the names that OpenTelemetry's conventions ask for: `model` and `temperature`."""
    bench.make(temperature=0)
    bench.script(answer("chat"))
    bench.last("chat", say())
    (start,) = events.of("StartEvent")
    assert start.model_dict.get("model") == bench.subject.model
    assert start.model_dict.get("temperature") == 0


def test_every_item_is_an_event(bench: Bench, events: Events) -> None:
    """Who watches a stream sees all of it."""
    bench.script(answer("stream_chat", "One two three."))
    items = bench.items("stream_chat", say())
    shown = [event.response.delta for event in events.of("InProgressEvent")]
    assert shown == [item.delta for item in items]


def test_a_failure_is_seen(bench: Bench, spans: Spans, events: Events) -> None:
    """Its span fails, or an event has the error; a trace does not call it a success."""
    for endpoint in CHATS:
        spans.failed.clear()
        events.events.clear()
        bench.script(refuse(400, "no"))
        assert bench.attempt(endpoint, say()).error
        assert spans.failed or events.of("ExceptionEvent")
        assert not events.of("EndEvent")


# --- handlers ---


def test_tokens_are_counted_not_estimated(bench: Bench) -> None:
    """TokenCountingHandler reports what the server said."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    bench.make(callback_manager=CallbackManager([counter]))
    for endpoint in ENDPOINTS:
        bench.script(answer(endpoint))
        bench.items(endpoint, asked(endpoint))
    found = [(e.prompt_token_count, e.completion_token_count) for e in counter.llm_token_counts]
    assert found == [(11, 7)] * 4


def test_tokens_are_counted_whenever_they_are_said(bench: Bench) -> None:
    """A server that counts before its last word is understood, too."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    bench.make(callback_manager=CallbackManager([counter]))
    counts = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    bench.script(Script(events=[chunk("a", usage=counts), chunk("b", finish_reason="stop")]))
    bench.items("stream_chat", say())
    assert counter.total_llm_token_count == 18


def test_a_handler_hears_of_each_call_once(bench: Bench) -> None:
    """It begins and it ends, also where it fails."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    bench.make(callback_manager=CallbackManager([debug]))
    for endpoint in CHATS:
        bench.script(answer(endpoint), refuse(400, "no"))
        bench.attempt(endpoint, say())
        bench.attempt(endpoint, say())
    pairs = debug.get_event_pairs(CBEventType.LLM)
    assert [len(pair) for pair in pairs] == [2, 2, 2, 2]


# --- tracers ---


@pytest.mark.parametrize("endpoint", CHATS)
def test_a_tracer_written_as_openllmetry_is(bench: Bench, endpoint: str) -> None:
    """It finds model, tokens and finish reason in `raw`."""
    bench.script(answer(endpoint, finish_reason="length"))
    assert traced(bench.last(endpoint, say())) == ("simulated/echo", 18, "length")


@pytest.mark.parametrize("endpoint", CHATS)
def test_a_tracer_written_as_openinference_is(bench: Bench, endpoint: str) -> None:
    """It finds tokens in `raw`, and tool calls beside the blocks."""
    call = add_call("c1")
    bench.script(calls(endpoint, call))
    response = bench.last(endpoint, say())
    assert counted(response) == (11, 7)
    assert called(response) == [("add", call["function"]["arguments"])]


# --- secrets ---


def test_no_event_shows_the_key(bench: Bench, events: Events) -> None:
    """Traces leave the house."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    bench.make(callback_manager=CallbackManager([debug]))
    for endpoint in ENDPOINTS:
        bench.script(answer(endpoint))
        bench.items(endpoint, asked(endpoint))
    told = [event.payload for event in debug.get_events()]
    assert told
    assert bench.sim.api_key not in f"{events.events} {told}"
