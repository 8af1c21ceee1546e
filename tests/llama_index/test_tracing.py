"""Tracing: spans, events and handlers have each call once, its usage, and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field, SecretStr

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import ConfigurationError
from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.llama_index.conftest import LLMFactory, Mode, user_messages


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add, name="math.add")


class Sum(BaseModel):
    """A sum."""

    total: int


class SpanRecorder(SimpleSpanHandler):
    """A span handler that keeps the names and the arguments of all spans."""

    names: list[str] = Field(default_factory=list)
    arguments: list[str] = Field(default_factory=list)

    def new_span(
        self, id_: str, bound_args: Any, instance: Any = None, **kwargs: Any
    ) -> SimpleSpan | None:
        """Keep name and arguments."""
        assert isinstance(instance, BaseModel)  # tracers read its model
        self.names.append(id_.partition("-")[0])
        self.arguments.append(repr(bound_args.arguments))
        return super().new_span(id_, bound_args, instance, **kwargs)


class EventRecorder(BaseEventHandler):
    """An event handler that keeps all events."""

    events: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        """Keep the event."""
        self.events.append(event)


class Trace(NamedTuple):
    """Recorded spans and events."""

    spans: SpanRecorder
    events: EventRecorder


@pytest.fixture
def trace() -> Iterator[Trace]:
    """Record the spans and events of LlamaIndex's instrumentation."""
    dispatcher, spans, events = get_dispatcher(), SpanRecorder(), EventRecorder()
    before = list(dispatcher.span_handlers), list(dispatcher.event_handlers)
    dispatcher.add_span_handler(spans)
    dispatcher.add_event_handler(events)
    yield Trace(spans, events)
    dispatcher.span_handlers, dispatcher.event_handlers = before


# --- token counts, spans and events ---


def test_the_token_counter_has_the_gateways_counts(mode: Mode, make_llm: LLMFactory) -> None:
    """Every endpoint, streamed or not: TokenCountingHandler does not estimate."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    llm = make_llm(callback_manager=CallbackManager([counter]))
    for response in (
        mode.chat(llm, user_messages("Hello")),
        mode.stream_chat(llm, user_messages("Hello"))[-1],
        mode.complete(llm, "Hello"),
        mode.stream_complete(llm, "Hello")[-1],
    ):
        event = counter.llm_token_counts[-1]
        assert event.prompt_token_count == response.additional_kwargs["prompt_tokens"] < 1000
        assert event.completion_token_count == response.additional_kwargs["completion_tokens"]


def test_the_token_counter_counts_structured_predictions(mode: Mode, make_llm: LLMFactory) -> None:
    """A structured prediction is a chat call for handlers."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    llm = make_llm(callback_manager=CallbackManager([counter]))
    mode.call(llm, "structured_predict", Sum, PromptTemplate("5"))
    mode.chat(llm.as_structured_llm(Sum), user_messages("5"))
    assert len(counter.llm_token_counts) == 2
    assert 0 < counter.total_llm_token_count < 1000


@pytest.mark.parametrize("method", ["chat", "stream_chat", "complete", "stream_complete"])
def test_a_structured_model_has_one_event_per_request(
    mode: Mode, make_llm: LLMFactory, trace: Trace, method: str
) -> None:
    """The inner model's, with the gateway's counts; handlers of both models count it once."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    manager = CallbackManager([counter])
    llm = make_llm(callback_manager=manager)
    structured = llm.as_structured_llm(Sum, callback_manager=manager)
    prompt: Any = "5" if "complete" in method else user_messages("5")
    result = getattr(mode, method)(structured, prompt)
    response = result[-1] if isinstance(result, list) else result
    (event,) = counter.llm_token_counts
    assert event.total_token_count == response.additional_kwargs["total_tokens"] < 1000
    ends = [event for event in trace.events.events if event.class_name().endswith("ChatEndEvent")]
    assert len(ends) == 1


@pytest.mark.parametrize("method", ["chat_with_tools", "stream_chat_with_tools"])
def test_a_request_with_tools_has_one_span(
    mode: Mode, llm: OneRouterLLM, trace: Trace, method: str
) -> None:
    """It is that of the endpoint."""
    (mode.collect if "stream" in method else mode.call)(llm, method, [ADD], "x")
    (name,) = trace.spans.names
    assert name.removeprefix("OneRouterLLM.").removeprefix("a") in {"chat", "stream_chat"}


def traced_tools(events: list[Any]) -> Any:
    """Return the tools of the start event of a chat, through JSON."""
    start = next(event for event in events if event.class_name() == "LLMChatStartEvent")
    return json.loads(json.dumps(start.additional_kwargs["tools"]))


@pytest.mark.parametrize(
    "method", ["chat", "stream_chat", "chat_with_tools", "stream_chat_with_tools"]
)
def test_the_tools_of_an_event_are_the_json_that_is_sent(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, trace: Trace, method: str
) -> None:
    """Tracers write a tool as JSON: its name is the one that is sent."""
    call = mode.collect if "stream" in method else mode.call
    if method.endswith("with_tools"):
        call(llm, method, [ADD], "x")
    else:
        call(llm, method, user_messages("x"), tools=[ADD])
    assert traced_tools(trace.events.events) == sim.last.body["tools"]
    assert sim.last.body["tools"][0]["function"]["name"] == "math_add"


def test_the_tools_of_a_structured_prediction_are_the_json_that_is_sent(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, trace: Trace
) -> None:
    """The method "function" asks with a tool."""
    llm = make_llm(structured_output_mode="function")
    mode.call(llm, "structured_predict", Sum, PromptTemplate("5"))
    assert traced_tools(trace.events.events) == sim.last.body["tools"]


def test_an_invalid_tool_is_an_error_of_the_call(mode: Mode, llm: OneRouterLLM) -> None:
    """A trace does not change it."""
    for tools in ([1], 1):
        with pytest.raises((ConfigurationError, TypeError)):
            mode.chat(llm, user_messages("x"), tools=tools)


def test_a_call_has_one_span_and_one_pair_of_events(
    mode: Mode, llm: OneRouterLLM, trace: Trace
) -> None:
    """The end event has the usage; no event has the API key."""
    spans, events = trace
    for endpoint in ("chat", "stream_chat", "complete", "stream_complete"):
        spans.names.clear()
        events.events.clear()
        prompt: Any = "x" if "complete" in endpoint else user_messages("x")
        getattr(mode, endpoint)(llm, prompt)
        (span,) = spans.names
        assert span.replace(".a", ".") == f"OneRouterLLM.{endpoint}"
        names = [event.class_name() for event in events.events]
        kinds = [name for name in names if "InProgress" not in name]
        assert len(kinds) == 2
        assert events.events[-1].response.additional_kwargs["total_tokens"] > 0
        assert events.events[0].model_dict["model"] == "simulated/echo"
        assert llm.api_key.get_secret_value() not in repr(events.events)  # type: ignore[union-attr]


def test_a_structured_prediction_has_a_start_and_an_end_event(
    mode: Mode, llm: OneRouterLLM, trace: Trace
) -> None:
    """They are the first and the last event; the end event has the object."""
    _, events = trace
    mode.call(llm, "structured_predict", Sum, PromptTemplate("5"))
    kinds = [event.class_name() for event in events.events]
    assert kinds[0] == "LLMStructuredPredictStartEvent"
    assert kinds[-1] == "LLMStructuredPredictEndEvent"
    assert events.events[-1].output == Sum(total=5)


# --- fields that tracers read ---


def read_attributes(response: Any) -> dict[str, Any]:
    """Read a response as tracers do that expect OpenAI's objects."""
    raw = response.raw
    choice = raw.choices[0]
    return {
        "model": getattr(raw, "model", None),
        "tokens": (raw.usage.prompt_tokens, raw.usage.completion_tokens),
        "finish_reason": choice.finish_reason,
        "tool": choice.message.tool_calls[0].function.name,
    }


def read_keys(response: Any) -> dict[str, Any]:
    """Read a response as tracers do that expect mappings, and objects in lists."""
    raw = response.raw
    assert isinstance(raw, Mapping)
    usage = raw["usage"]
    (call,) = response.message.additional_kwargs["tool_calls"]
    return {
        "model": raw.get("model"),
        "tokens": (usage["prompt_tokens"], usage["completion_tokens"]),
        "finish_reason": getattr(raw["choices"][0], "finish_reason", None),
        "tool": getattr(getattr(call, "function", None), "name", None),
    }


@pytest.mark.parametrize("read", [read_attributes, read_keys])
@pytest.mark.parametrize("endpoint", ["chat", "stream_chat"])
def test_the_end_event_has_usage_model_finish_reason_and_tool_calls(  # noqa: PLR0913, PLR0917 -- case and fixtures
    mode: Mode,
    llm: OneRouterLLM,
    sim: Simulator,
    trace: Trace,
    endpoint: str,
    read: Any,
) -> None:
    """Streamed or not, for tracers that read keys and for those that read attributes."""
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    call = tool_call("f", {"a": 1}, index=0)
    if endpoint == "chat":
        body = completion(
            None, message={"tool_calls": [call]}, usage=usage, finish_reason="tool_calls"
        )
        sim.script(Script(json=body))
    else:
        events = [chunk({"tool_calls": [call]}), chunk({}, finish_reason="tool_calls")]
        sim.script(Script(events=[*events, chunk(usage=usage)]))
    getattr(mode, endpoint)(llm, user_messages("x"))
    assert read(trace.events.events[-1].response) == {
        "model": "simulated/echo",
        "tokens": (7, 5),
        "finish_reason": "tool_calls",
        "tool": "f",
    }


def test_a_model_given_per_call_is_in_the_events(
    mode: Mode, llm: OneRouterLLM, trace: Trace
) -> None:
    """The start event has it in its keywords, the end event in its response."""
    mode.chat(llm, user_messages("x"), model="simulated/other")
    first, *_, last = trace.events.events
    assert first.additional_kwargs["model"] == "simulated/other"
    assert last.response.raw.model == "simulated/other"
    assert last.response.additional_kwargs["model"] == "simulated/other"


def test_events_can_be_dumped_as_json(llm: OneRouterLLM, trace: Trace) -> None:
    """Handlers export events as JSON."""
    _, events = trace
    llm.chat_with_tools([ADD], "x", tool_choice="math.add")
    llm.structured_predict(Sum, PromptTemplate("5"))
    chats = [event for event in events.events if "Chat" in event.class_name()]
    assert len(chats) == 4
    assert all(event.model_dump_json() for event in chats)


# --- secrets ---

KEY = "sk-per-call-secret"


@pytest.mark.parametrize("endpoint", ["chat", "stream_chat", "complete", "stream_complete"])
@pytest.mark.parametrize("structured", [False, True])
def test_a_secret_given_per_call_is_in_no_trace(  # noqa: PLR0913, PLR0917 -- case and fixtures
    mode: Mode,
    make_llm: LLMFactory,
    sim: Simulator,
    trace: Trace,
    endpoint: str,
    structured: bool,
) -> None:
    """API key and headers are sent, and no event, span or handler has them."""
    payloads: list[Any] = []

    class Handler(TokenCountingHandler):
        """A callback handler that keeps all payloads."""

        def on_event_start(self, *args: Any, **kwargs: Any) -> str:
            """Keep the payload."""
            payloads.append((args, kwargs))
            return super().on_event_start(*args, **kwargs)

    llm: Any = make_llm(callback_manager=CallbackManager([Handler()]))
    if structured:
        llm = llm.as_structured_llm(Sum)
    prompt: Any = "5" if "complete" in endpoint else user_messages("5")
    headers = {"x-tenant": KEY}
    sim.script(failure(401, "no such key"))
    with pytest.raises(Exception, match="no such key"):
        getattr(mode, endpoint)(llm, prompt, api_key=KEY, extra_headers=headers)
    assert sim.last.headers["authorization"] == f"Bearer {KEY}"
    assert sim.last.headers["x-tenant"] == KEY
    assert headers == {"x-tenant": KEY}
    assert trace.spans.arguments
    assert payloads
    recorded = [*trace.spans.arguments, *map(repr, trace.events.events), repr(payloads)]
    assert not any(KEY in text for text in recorded)
    first = trace.events.events[0]
    assert KEY not in first.model_dump_json()


SECRETS = {"api_key": KEY, "extra_headers": {"x-tenant": KEY}}
PREDICTION = (Sum, PromptTemplate("The total is 5."))


@pytest.mark.parametrize(
    ("method", "arguments", "keywords"),
    [
        ("chat_with_tools", ([ADD], "5"), SECRETS),
        ("predict_and_call", ([ADD], "5"), SECRETS),
        ("structured_predict", PREDICTION, {"llm_kwargs": SECRETS}),
        ("structured_predict", (*PREDICTION, SECRETS), {}),
        ("stream_structured_predict", PREDICTION, {"llm_kwargs": SECRETS}),
    ],
)
def test_a_secret_given_to_a_tool_or_prediction_method_is_in_no_trace(  # noqa: PLR0913, PLR0917 -- case and fixtures
    mode: Mode,
    llm: OneRouterLLM,
    sim: Simulator,
    trace: Trace,
    method: str,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
) -> None:
    """These methods call the endpoints, and mask secrets as the endpoints do."""
    sim.script(failure(401, "no such key"))
    streams = method.startswith("stream")
    with pytest.raises(Exception, match="no such key"):
        (mode.collect if streams else mode.call)(llm, method, *arguments, **keywords)
    assert sim.last.headers["authorization"] == f"Bearer {KEY}"
    assert sim.last.headers["x-tenant"] == KEY
    assert any(method in name for name in trace.spans.names) or method == "chat_with_tools"
    assert len(set(trace.spans.names)) == len(trace.spans.names)
    recorded = [*trace.spans.arguments, *map(repr, trace.events.events)]
    assert not any(KEY in text for text in recorded)


def test_prompt_variables_are_not_masked(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """A prompt variable may have the name of a secret argument."""
    mode.call(llm, "structured_predict", Sum, PromptTemplate("{api_key}: 5"), api_key="Total")
    assert sim.last.body["messages"][-1]["content"] == "Total: 5"


def test_an_api_key_given_per_call_may_be_a_secret_str(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """A SecretStr is sent like a string."""
    sim.script(failure(401, "no such key"))
    with pytest.raises(Exception, match="no such key"):
        mode.chat(llm, user_messages("x"), api_key=SecretStr(KEY))
    assert sim.last.headers["authorization"] == f"Bearer {KEY}"
