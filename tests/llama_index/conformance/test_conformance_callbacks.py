"""Callback handlers, events, spans, and the readers of two well-known tracers."""

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
from tests.llama_index.conformance.harness import Harness, prompt_for, user_messages
from tests.llama_index.conformance.readers import (
    openinference_tool_calls,
    openinference_usage,
    openllmetry_fields,
    token_usage,
)
from tests.llama_index.conformance.scripted_replies import (
    CHAT_ENDPOINTS,
    add_call,
    error_reply,
    text_reply,
    tool_calls_reply,
)

ENDPOINTS = ("chat", "stream_chat", "complete", "stream_complete")


class SpanRecorder(SimpleSpanHandler):
    """A span handler that keeps the names of all spans and of failed spans."""

    names: list[str] = Field(default_factory=list)
    failed: list[str] = Field(default_factory=list)

    def new_span(self, id_: str, *args: Any, **kwargs: Any) -> SimpleSpan | None:
        """Keep the name."""
        self.names.append(id_.partition("-")[0])
        return super().new_span(id_, *args, **kwargs)

    def prepare_to_drop_span(self, id_: str, *args: Any, **kwargs: Any) -> Any:
        """Keep the name of a failed span."""
        self.failed.append(id_.partition("-")[0])
        return super().prepare_to_drop_span(id_, *args, **kwargs)


class EventRecorder(BaseEventHandler):
    """An event handler that keeps all events."""

    events: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        """Keep the event."""
        self.events.append(event)

    def ending_with(self, *endings: str) -> list[Any]:
        """Return the events whose class name has one of these endings."""
        return [event for event in self.events if event.class_name().endswith(endings)]


@pytest.fixture
def spans() -> Iterator[SpanRecorder]:
    """Record the spans."""
    dispatcher, handler = get_dispatcher(), SpanRecorder()
    before = list(dispatcher.span_handlers)
    dispatcher.add_span_handler(handler)
    yield handler
    dispatcher.span_handlers = before


@pytest.fixture
def events() -> Iterator[EventRecorder]:
    """Record the events."""
    dispatcher, handler = get_dispatcher(), EventRecorder()
    before = list(dispatcher.event_handlers)
    dispatcher.add_event_handler(handler)
    yield handler
    dispatcher.event_handlers = before


# --- spans and events ---


def test_a_call_has_one_span(harness: Harness, spans: SpanRecorder) -> None:
    """Two spans would be two calls in a trace."""
    for endpoint in ENDPOINTS:
        spans.names.clear()
        harness.script(text_reply(endpoint))
        harness.items(endpoint, prompt_for(endpoint))
        assert len(spans.names) == 1


def test_a_call_has_one_start_and_one_end_event(harness: Harness, events: EventRecorder) -> None:
    """The end event has the usage."""
    for endpoint in ENDPOINTS:
        events.events.clear()
        harness.script(text_reply(endpoint))
        harness.items(endpoint, prompt_for(endpoint))
        names = [event.class_name() for event in events.events]
        assert [name for name in names if name.endswith("StartEvent")] == names[:1]
        assert [name for name in names if name.endswith("EndEvent")] == names[-1:]
        assert token_usage(events.events[-1].response) == (11, 7)


def test_the_start_event_has_model_and_temperature(harness: Harness, events: EventRecorder) -> None:
    """Under the names of OpenTelemetry's conventions: `model` and `temperature`."""
    harness.make_llm(temperature=0)
    harness.script(text_reply("chat"))
    harness.final("chat", user_messages())
    (start,) = events.ending_with("StartEvent")
    assert start.model_dict.get("model") == harness.adapter.model
    assert start.model_dict.get("temperature") == 0


def test_each_stream_item_has_an_event(harness: Harness, events: EventRecorder) -> None:
    """With the same delta."""
    harness.script(text_reply("stream_chat", "One two three."))
    items = harness.items("stream_chat", user_messages())
    deltas = [event.response.delta for event in events.ending_with("InProgressEvent")]
    assert deltas == [item.delta for item in items]


def test_a_failed_call_has_a_failed_span_or_an_exception_event(
    harness: Harness, spans: SpanRecorder, events: EventRecorder
) -> None:
    """It has no end event."""
    for endpoint in CHAT_ENDPOINTS:
        spans.failed.clear()
        events.events.clear()
        harness.script(error_reply(400, "no"))
        assert harness.outcome(endpoint, user_messages()).error
        assert spans.failed or events.ending_with("ExceptionEvent")
        assert not events.ending_with("EndEvent")


# --- handlers ---


def test_the_token_counter_has_the_servers_counts(harness: Harness) -> None:
    """TokenCountingHandler does not estimate."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    harness.make_llm(callback_manager=CallbackManager([counter]))
    for endpoint in ENDPOINTS:
        harness.script(text_reply(endpoint))
        harness.items(endpoint, prompt_for(endpoint))
    counts = [(e.prompt_token_count, e.completion_token_count) for e in counter.llm_token_counts]
    assert counts == [(11, 7)] * 4


def test_usage_before_the_last_chunk_is_counted(harness: Harness) -> None:
    """Some servers send it with the first chunk."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    harness.make_llm(callback_manager=CallbackManager([counter]))
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    harness.script(Script(events=[chunk("a", usage=usage), chunk("b", finish_reason="stop")]))
    harness.items("stream_chat", user_messages())
    assert counter.total_llm_token_count == 18


def test_a_callback_handler_gets_one_start_and_one_end_per_call(harness: Harness) -> None:
    """Also for a failed call."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    harness.make_llm(callback_manager=CallbackManager([debug]))
    for endpoint in CHAT_ENDPOINTS:
        harness.script(text_reply(endpoint), error_reply(400, "no"))
        harness.outcome(endpoint, user_messages())
        harness.outcome(endpoint, user_messages())
    pairs = debug.get_event_pairs(CBEventType.LLM)
    assert [len(pair) for pair in pairs] == [2, 2, 2, 2]


# --- tracers ---


@pytest.mark.parametrize("endpoint", CHAT_ENDPOINTS)
def test_openllmetry_finds_model_tokens_and_finish_reason(harness: Harness, endpoint: str) -> None:
    """In `raw`, streamed or not."""
    harness.script(text_reply(endpoint, finish_reason="length"))
    assert openllmetry_fields(harness.final(endpoint, user_messages())) == (
        "simulated/echo",
        18,
        "length",
    )


@pytest.mark.parametrize("endpoint", CHAT_ENDPOINTS)
def test_openinference_finds_tokens_and_tool_calls(harness: Harness, endpoint: str) -> None:
    """In `raw` and in `additional_kwargs`, streamed or not."""
    call = add_call("c1")
    harness.script(tool_calls_reply(endpoint, call))
    response = harness.final(endpoint, user_messages())
    assert openinference_usage(response) == (11, 7)
    assert openinference_tool_calls(response) == [("add", call["function"]["arguments"])]


# --- secrets ---


def test_no_event_has_the_api_key(harness: Harness, events: EventRecorder) -> None:
    """Traces are sent to other services."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    harness.make_llm(callback_manager=CallbackManager([debug]))
    for endpoint in ENDPOINTS:
        harness.script(text_reply(endpoint))
        harness.items(endpoint, prompt_for(endpoint))
    payloads = [event.payload for event in debug.get_events()]
    assert payloads
    assert harness.sim.api_key not in f"{events.events} {payloads}"
