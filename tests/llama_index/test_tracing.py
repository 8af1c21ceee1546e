"""What handlers, spans and tracers see of a call: all that it took, once, and no secret."""

from __future__ import annotations

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
from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.llama_index.conftest import Colour, Make, say


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add, name="math.add")


class Sum(BaseModel):
    """A sum."""

    total: int


class Spans(SimpleSpanHandler):
    """A handler that keeps the names of all spans, and what each was given."""

    names: list[str] = Field(default_factory=list)
    given: list[str] = Field(default_factory=list)

    def new_span(
        self, id_: str, bound_args: Any, instance: Any = None, **kwargs: Any
    ) -> SimpleSpan | None:
        """Keep them."""
        assert isinstance(instance, BaseModel)  # tracers ask it for its model
        self.names.append(id_.partition("-")[0])
        self.given.append(repr(bound_args.arguments))
        return super().new_span(id_, bound_args, instance, **kwargs)


class Events(BaseEventHandler):
    """A handler that keeps all events."""

    events: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        """Keep it."""
        self.events.append(event)


class Watched(NamedTuple):
    """What LlamaIndex's instrumentation saw."""

    spans: Spans
    events: Events


@pytest.fixture
def watched() -> Iterator[Watched]:
    """Watch LlamaIndex's instrumentation."""
    dispatcher, spans, events = get_dispatcher(), Spans(), Events()
    before = list(dispatcher.span_handlers), list(dispatcher.event_handlers)
    dispatcher.add_span_handler(spans)
    dispatcher.add_event_handler(events)
    yield Watched(spans, events)
    dispatcher.span_handlers, dispatcher.event_handlers = before


# --- tokens ---


def test_tokens_are_counted(colour: Colour, make: Make) -> None:
    """TokenCountingHandler sees what the gateway counted, streamed or not."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    llm = make(callback_manager=CallbackManager([counter]))
    for answered in (
        colour.chat(llm, say("Hello")),
        colour.stream_chat(llm, say("Hello"))[-1],
        colour.complete(llm, "Hello"),
        colour.stream_complete(llm, "Hello")[-1],
    ):
        event = counter.llm_token_counts[-1]
        assert event.prompt_token_count == answered.additional_kwargs["prompt_tokens"] < 1000
        assert event.completion_token_count == answered.additional_kwargs["completion_tokens"]


def test_tokens_of_objects_are_counted(colour: Colour, make: Make) -> None:
    """Structured prediction is a chat like any other to a handler."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    llm = make(callback_manager=CallbackManager([counter]))
    colour.call(llm, "structured_predict", Sum, PromptTemplate("5"))
    colour.chat(llm.as_structured_llm(Sum), say("5"))
    assert len(counter.llm_token_counts) == 2
    assert 0 < counter.total_llm_token_count < 1000


def test_one_span_and_one_pair_of_events_per_call(
    colour: Colour, llm: OneRouterLLM, watched: Watched
) -> None:
    """A call is traced once; the end event has usage, the start event no secret."""
    spans, events = watched
    for endpoint in ("chat", "stream_chat", "complete", "stream_complete"):
        spans.names.clear()
        events.events.clear()
        prompt: Any = "x" if "complete" in endpoint else say("x")
        getattr(colour, endpoint)(llm, prompt)
        (span,) = spans.names
        assert span.replace(".a", ".") == f"OneRouterLLM.{endpoint}"
        names = [event.class_name() for event in events.events]
        kinds = [name for name in names if "InProgress" not in name]
        assert len(kinds) == 2
        assert events.events[-1].response.additional_kwargs["total_tokens"] > 0
        assert events.events[0].model_dict["model"] == "simulated/echo"
        assert llm.api_key.get_secret_value() not in repr(events.events)  # type: ignore[union-attr]


def test_structured_prediction_is_announced(
    colour: Colour, llm: OneRouterLLM, watched: Watched
) -> None:
    """Its own events lead and follow."""
    _, events = watched
    colour.call(llm, "structured_predict", Sum, PromptTemplate("5"))
    kinds = [event.class_name() for event in events.events]
    assert kinds[0] == "LLMStructuredPredictStartEvent"
    assert kinds[-1] == "LLMStructuredPredictEndEvent"
    assert events.events[-1].output == Sum(total=5)


# --- what tracers read ---


def by_attributes(response: Any) -> dict[str, Any]:
    """Read a response as a tracer does that expects OpenAI's objects."""
    raw = response.raw
    choice = raw.choices[0]
    return {
        "model": getattr(raw, "model", None),
        "tokens": (raw.usage.prompt_tokens, raw.usage.completion_tokens),
        "finish": choice.finish_reason,
        "tool": choice.message.tool_calls[0].function.name,
    }


def by_keys(response: Any) -> dict[str, Any]:
    """Read a response as a tracer does that takes mappings and objects, each in its place."""
    raw = response.raw
    assert isinstance(raw, Mapping)
    usage = raw["usage"]
    (call,) = response.message.additional_kwargs["tool_calls"]
    return {
        "model": raw.get("model"),
        "tokens": (usage["prompt_tokens"], usage["completion_tokens"]),
        "finish": getattr(raw["choices"][0], "finish_reason", None),
        "tool": getattr(getattr(call, "function", None), "name", None),
    }


@pytest.mark.parametrize("read", [by_attributes, by_keys])
@pytest.mark.parametrize("endpoint", ["chat", "stream_chat"])
def test_tracers_find_what_they_look_for(  # noqa: PLR0913, PLR0917 -- a case, and two colours
    colour: Colour,
    llm: OneRouterLLM,
    sim: Simulator,
    watched: Watched,
    endpoint: str,
    read: Any,
) -> None:
    """The end event of a call, streamed or not, has usage, model, finish reason and tool calls."""
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
    getattr(colour, endpoint)(llm, say("x"))
    assert read(watched.events.events[-1].response) == {
        "model": "simulated/echo",
        "tokens": (7, 5),
        "finish": "tool_calls",
        "tool": "f",
    }


def test_a_model_that_is_named_per_call(
    colour: Colour, llm: OneRouterLLM, watched: Watched
) -> None:
    """The start event has it among the call's keywords, the end event says who answered."""
    colour.chat(llm, say("x"), model="simulated/other")
    first, *_, last = watched.events.events
    assert first.additional_kwargs["model"] == "simulated/other"
    assert last.response.raw.model == "simulated/other"
    assert last.response.additional_kwargs["model"] == "simulated/other"


def test_events_can_be_written_down(llm: OneRouterLLM, watched: Watched) -> None:
    """Handlers that export events as JSON meet nothing they cannot write."""
    _, events = watched
    llm.chat_with_tools([ADD], "x", tool_choice="math.add")
    llm.structured_predict(Sum, PromptTemplate("5"))
    chats = [event for event in events.events if "Chat" in event.class_name()]
    assert len(chats) == 4
    assert all(event.model_dump_json() for event in chats)


# --- secrets ---

KEY = "sk-per-call-secret"


@pytest.mark.parametrize("endpoint", ["chat", "stream_chat", "complete", "stream_complete"])
@pytest.mark.parametrize("structured", [False, True])
def test_a_key_of_one_call_is_in_no_trace(  # noqa: PLR0913, PLR0917 -- a case, and two colours
    colour: Colour,
    make: Make,
    sim: Simulator,
    watched: Watched,
    endpoint: str,
    structured: bool,
) -> None:
    """Key and headers that are given per call reach the gateway, and no event, span or handler."""
    seen: list[Any] = []

    class Handler(TokenCountingHandler):
        """A handler that keeps all payloads."""

        def on_event_start(self, *args: Any, **kwargs: Any) -> str:
            """Keep it."""
            seen.append((args, kwargs))
            return super().on_event_start(*args, **kwargs)

    llm: Any = make(callback_manager=CallbackManager([Handler()]))
    if structured:
        llm = llm.as_structured_llm(Sum)
    prompt: Any = "5" if "complete" in endpoint else say("5")
    headers = {"x-tenant": KEY}
    sim.script(failure(401, "no such key"))
    with pytest.raises(Exception, match="no such key"):
        getattr(colour, endpoint)(llm, prompt, api_key=KEY, extra_headers=headers)
    assert sim.last.headers["authorization"] == f"Bearer {KEY}"
    assert sim.last.headers["x-tenant"] == KEY
    assert headers == {"x-tenant": KEY}
    assert watched.spans.given
    assert seen
    shown = [*watched.spans.given, *map(repr, watched.events.events), repr(seen)]
    assert not any(KEY in one for one in shown)
    first = watched.events.events[0]
    assert KEY not in first.model_dump_json()


SECRETS = {"api_key": KEY, "extra_headers": {"x-tenant": KEY}}
BY_PROMPT = (Sum, PromptTemplate("The total is 5."))


@pytest.mark.parametrize(
    ("method", "arguments", "keywords"),
    [
        ("chat_with_tools", ([ADD], "5"), SECRETS),
        ("predict_and_call", ([ADD], "5"), SECRETS),
        ("structured_predict", BY_PROMPT, {"llm_kwargs": SECRETS}),
        ("structured_predict", (*BY_PROMPT, SECRETS), {}),
        ("stream_structured_predict", BY_PROMPT, {"llm_kwargs": SECRETS}),
    ],
)
def test_no_helpers_span_has_a_key(  # noqa: PLR0913, PLR0917 -- a case, and two colours
    colour: Colour,
    llm: OneRouterLLM,
    sim: Simulator,
    watched: Watched,
    method: str,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
) -> None:
    """What calls the endpoints for the user masks key and headers as they do."""
    sim.script(failure(401, "no such key"))
    streams = method.startswith("stream")
    with pytest.raises(Exception, match="no such key"):
        (colour.collect if streams else colour.call)(llm, method, *arguments, **keywords)
    assert sim.last.headers["authorization"] == f"Bearer {KEY}"
    assert sim.last.headers["x-tenant"] == KEY
    assert any(method in name for name in watched.spans.names) or method == "chat_with_tools"
    assert len(set(watched.spans.names)) == len(watched.spans.names)
    shown = [*watched.spans.given, *map(repr, watched.events.events)]
    assert not any(KEY in one for one in shown)


def test_a_prompts_own_words_wear_no_mask(
    colour: Colour, llm: OneRouterLLM, sim: Simulator
) -> None:
    """A template may have a place for a word that is called like a secret argument."""
    colour.call(llm, "structured_predict", Sum, PromptTemplate("{api_key}: 5"), api_key="Total")
    assert sim.last.body["messages"][-1]["content"] == "Total: 5"


def test_a_key_may_come_masked(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A SecretStr per call is a key like any other."""
    sim.script(failure(401, "no such key"))
    with pytest.raises(Exception, match="no such key"):
        colour.chat(llm, say("x"), api_key=SecretStr(KEY))
    assert sim.last.headers["authorization"] == f"Bearer {KEY}"
