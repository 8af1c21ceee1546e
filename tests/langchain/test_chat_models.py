"""Calls: what is sent of fields and keywords, and what LangChain's machinery makes of the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    UsageMetadataCallbackHandler,
)
from langchain_core.load import dumpd, dumps
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr, ValidationError

from langchain_onerouter import ChatOneRouter, __version__
from langchain_onerouter.errors import (
    APIConnectionError,
    ConfigurationError,
    InvalidRequestError,
    ModelNotFoundError,
)
from onerouter_simulator import Script, Simulator, chunk, completion, failure
from tests.langchain.conftest import Ask, Colour, Make
from tests.langchain.media import PDF_64

# Every field that goes out under its own name, a value for it, and another that beats it.
FIELDS: dict[str, tuple[Any, Any]] = {
    "model": ("simulated/echo", "simulated/senses"),
    "temperature": (1.5, 0),
    "top_p": (0.5, 0),
    "max_tokens": (100, 1),
    "frequency_penalty": (1, 0),
    "presence_penalty": (-1, 0),
    "stop": (["a"], ["b"]),
    "seed": (1, 0),
    "logprobs": (True, False),
    "top_logprobs": (2, 0),
    "logit_bias": ({"1": -5}, {"2": 0}),
    "user": ("Ann", ""),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "json_object"}, {"type": "text"}),
    "modalities": (["text"], ["text", "image"]),
    "reasoning": ({"effort": "low"}, {"effort": "none"}),
    "provider": ({"order": ["a/b"]}, {"allow_fallbacks": False}),
    "fallback_models": (["a/b"], ["c/d"]),
    "fallback_rules": ("auto", ""),
    "web_search_options": ({"search_context_size": "low"}, {}),
}


def body_of(sim: Simulator, llm: ChatOneRouter, ask: Ask, **options: Any) -> dict[str, Any]:
    """Return the body that a call sends."""
    sim.script(Script(json=completion()))
    ask(llm, "Hi", **options)
    return sim.last.body


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_sent_and_a_call_beats_it(
    make: Make, sim: Simulator, ask: Ask, name: str
) -> None:
    """False, zero and the empty string are values; None per call is none."""
    value, other = FIELDS[name]
    llm = make(**{name: value})
    assert body_of(sim, llm, ask)[name] == value
    assert body_of(sim, llm, ask, **{name: other})[name] == other
    assert body_of(sim, llm, ask, **{name: None})[name] == value
    assert body_of(sim, make(), ask, **{name: other})[name] == other


def test_nothing_is_sent_that_nobody_asked_for(llm: ChatOneRouter, sim: Simulator) -> None:
    """A request is model, messages, and the wish to know what it cost."""
    llm.invoke("Hi")
    messages = [{"role": "user", "content": "Hi"}]
    plain = {"model": "simulated/echo", "messages": messages, "usage": {"include": True}}
    assert sim.last.body == plain
    list(llm.stream("Hi"))
    assert sim.last.body == {
        **plain,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_usage_can_be_declined(make: Make, sim: Simulator, colour: Colour) -> None:
    """Neither streamed nor whole, by field or per call; then there are no counts in a stream."""
    for llm, options in ((make(stream_usage=False), {}), (make(), {"stream_usage": False})):
        chunks = colour.stream(llm, "Hi", **options)
        assert not sim.last.body.keys() & {"usage", "stream_options"}
        assert all(part.usage_metadata is None for part in chunks)
        assert chunks[-1].response_metadata["finish_reason"] == "stop"


def test_reasoning_effort_is_short_for_reasoning(make: Make, sim: Simulator, ask: Ask) -> None:
    """It joins what else is said of reasoning."""
    assert body_of(sim, make(reasoning_effort="low"), ask)["reasoning"] == {"effort": "low"}
    llm = make(reasoning={"max_tokens": 5})
    body = body_of(sim, llm, ask, reasoning_effort="high")
    assert body["reasoning"] == {"max_tokens": 5, "effort": "high"}
    assert "reasoning_effort" not in body


@pytest.mark.parametrize("how", ["field", "alias", "call", "call's alias", "bind"])
def test_stop(make: Make, ask: Ask, how: str) -> None:
    """In all of LangChain's ways; an empty list stops nothing and is not sent."""
    field = {"field": {"stop": ["you"]}, "alias": {"stop_sequences": ["you"]}}.get(how, {})
    llm = make(**field)
    runnable = llm.bind(stop=["you"]) if how == "bind" else llm
    options = {"call": {"stop": ["you"]}, "call's alias": {"stop_sequences": ["you"]}}.get(how, {})
    assert ask(runnable, "I see you there", **options).content == "You said: I see "


@pytest.mark.parametrize(
    "given", [{"replay_reasoning": "never"}, {"cost_in_usage": True}, {"catalog": None}], ids=str
)
def test_what_belongs_to_the_model(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, given: dict[str, Any]
) -> None:
    """A call that tries to change it is told so; in the body it would mean nothing."""
    with pytest.raises(ConfigurationError, match="belongs to the model"):
        ask(llm, "Hello", **given)
    assert not sim.requests


def test_an_empty_stop(make: Make, sim: Simulator, ask: Ask) -> None:
    """It stops nothing, and strict servers refuse it."""
    assert "stop" not in body_of(sim, make(stop=[]), ask)
    assert body_of(sim, make(stop="a"), ask)["stop"] == "a"


def test_what_has_no_field_goes_into_the_body(make: Make, sim: Simulator, ask: Ask) -> None:
    """By `extra_body`, or per call under its own name; the call beats the field, key by key."""
    llm = make(extra_body={"a": 1, "b": 1})
    body = body_of(sim, llm, ask, extra_body={"b": 2, "c": 2}, top_k=5, model="x/y")
    assert {key: body.get(key) for key in "abc"} == {"a": 1, "b": 2, "c": 2}
    assert body["top_k"] == 5
    assert body["model"] == "x/y"


def test_headers(make: Make, sim: Simulator, ask: Ask) -> None:
    """A call's beat the field's, whatever their case, and join them."""
    llm = make(default_headers={"X-Title": "a", "X-Other": "b"})
    ask(llm, "Hi", extra_headers={"x-title": "c"})
    headers = sim.last.headers
    assert (headers["x-title"], headers["x-other"]) == ("c", "b")
    assert headers["authorization"] == f"Bearer {sim.api_key}"
    assert headers["user-agent"].startswith("onerouter-integrations/")


def test_a_key_per_call(make: Make, sim: Simulator, ask: Ask) -> None:
    """Key and address can be given per call, too."""
    llm = make(api_key="sk-wrong", base_url="http://127.0.0.1:9/v1", max_retries=0)
    assert ask(llm, "Hi", api_key=sim.api_key, base_url=sim.base_url).content == "You said: Hi"


def test_a_key_that_is_asked_for(make: Make, sim: Simulator, ask: Ask) -> None:
    """A callable is asked per request, so that keys can rotate."""
    keys = iter([SecretStr("sk-first"), sim.api_key])
    llm = make(api_key=lambda: next(keys), max_retries=1)
    sim.script(failure(500, "down"))
    ask(llm, "Hi")
    assert [request.headers["authorization"] for request in sim.requests] == [
        "Bearer sk-first",
        f"Bearer {sim.api_key}",
    ]


def test_file_form(make: Make, sim: Simulator) -> None:
    """A document goes out in OpenRouter's form where it must."""
    block = {"type": "file", "base64": PDF_64, "mime_type": "application/pdf"}
    make(file_form="file_data").invoke([("user", [block])])
    (part,) = sim.last.body["messages"][0]["content"]
    data_url = f"data:application/pdf;base64,{PDF_64}"
    assert part["file"] == {"filename": "document.pdf", "file_data": data_url}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"reasoning": {"max_tokens": 0}}, "reasoning"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"tool_choice": "any"}, "needs tools"),
        ({"odd": object()}, "JSON"),
    ],
)
def test_what_cannot_be_right_is_not_sent(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, wrong: dict[str, Any], says: str
) -> None:
    """The error names it, and is a ValueError as well."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        ask(llm, "Hi", **wrong)
    assert isinstance(caught.value, ValueError)
    assert sim.requests == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"temprature": 0}, "Did you mean 'temperature'"),
        ({"model_kwargs": {}}, "extra_body"),
        ({"temperature": 3}, "temperature"),
        ({"n": 0}, "n\n"),
    ],
)
def test_a_wrong_argument_is_refused_when_made(
    make: Make, wrong: dict[str, Any], says: str
) -> None:
    """A misspelt one is no field, and the error suggests the one that is meant."""
    with pytest.raises(ValidationError, match=says):
        make(**wrong)


# --- preview ---


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0, "top_k": 3, "stop": ["x"]},
        {"tools": [{"type": "function", "function": {"name": "a.b"}}], "tool_choice": "a.b"},
        {"response_format": {"type": "json_object"}, "extra_body": {"a": 1}},
    ],
)
def test_a_preview_is_what_is_sent(
    llm: ChatOneRouter, sim: Simulator, options: dict[str, Any]
) -> None:
    """To the letter, and nothing is sent to make it."""
    previewed = llm.preview([("system", "s"), "Hi"], **options)
    assert sim.requests == []
    sim.script(Script(json=completion()))
    llm.invoke([("system", "s"), "Hi"], **options)
    assert sim.last.body == json.loads(json.dumps(previewed))


def test_a_preview_checks(llm: ChatOneRouter) -> None:
    """What would not be sent cannot be previewed either."""
    with pytest.raises(ConfigurationError, match="temperature"):
        llm.preview("Hi", temperature=5)


# --- callbacks ---


class Heard(BaseCallbackHandler):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.ends: list[Any] = []
        self.errors: list[BaseException] = []
        self.retries: list[Any] = []
        self.started: list[dict[str, Any]] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        """Hear of a call."""
        self.started.append(kwargs)

    def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        """Hear a token."""
        self.tokens.append(token)

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        """Hear the answer."""
        self.ends.append(response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Hear a failure."""
        self.errors.append(error)

    def on_retry(self, retry_state: Any, **kwargs: Any) -> None:
        """Hear of another try."""
        self.retries.append(retry_state.outcome.exception())


def listening(heard: Heard) -> dict[str, Any]:
    """Return options that let a handler hear a call."""
    return {"config": {"callbacks": [heard]}}


def test_callbacks_of_a_stream(llm: ChatOneRouter, colour: Colour) -> None:
    """Every token once, then the end with counts and facts."""
    heard = Heard()
    colour.stream(llm, "Hello you", **listening(heard))
    assert "".join(heard.tokens) == "You said: Hello you"
    (end,) = heard.ends
    message = end.generations[0][0].message
    assert message.content == "You said: Hello you"
    assert message.usage_metadata["total_tokens"] > 0
    assert heard.errors == heard.retries == []


def test_callbacks_of_a_call(llm: ChatOneRouter, colour: Colour) -> None:
    """The end, with counts and facts; LangSmith hears which parameters were used."""
    heard = Heard()
    colour.invoke(llm, "Hello", seed=3, **listening(heard))
    (end,) = heard.ends
    assert end.generations[0][0].message.response_metadata["model_name"] == "simulated/echo"
    (started,) = heard.started
    assert started["invocation_params"]["model"] == "simulated/echo"
    assert started["invocation_params"]["seed"] == 3
    assert started["metadata"]["ls_provider"] == "onerouter"


def test_a_call_that_streams(make: Make, sim: Simulator, colour: Colour) -> None:
    """`streaming=True` streams also where `invoke` was called, so that tokens are heard."""
    heard = Heard()
    message = colour.invoke(make(streaming=True), "Hello you", **listening(heard))
    assert sim.last.body["stream"] is True
    assert "".join(heard.tokens) == message.content == "You said: Hello you"
    colour.stream(make(disable_streaming=True), "Hi")
    assert "stream" not in sim.last.body


def test_retries_are_heard(make: Make, sim: Simulator, colour: Colour) -> None:
    """Each one, with the error that made it necessary; the answer is the last request's."""
    heard = Heard()
    sim.script(failure(500, "down"), failure(429, "slow down"))
    answer = colour.invoke(make(max_retries=2), "Hi", **listening(heard))
    assert answer.content == "You said: Hi"
    assert [error.status for error in heard.retries] == [500, 429]
    assert heard.errors == []


def test_retries_are_heard_by_async_handlers(make: Make, sim: Simulator) -> None:
    """A handler may be a coroutine."""
    heard: list[Any] = []

    class Listener(AsyncCallbackHandler):
        async def on_retry(self, retry_state: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            heard.append(retry_state)

    sim.script(failure(500, "down"))
    asyncio.run(make().ainvoke("Hi", config={"callbacks": [Listener()]}))
    assert len(heard) == 1


def test_errors_are_heard(make: Make, sim: Simulator, ask: Ask) -> None:
    """As the very error that is raised."""
    heard = Heard()
    sim.script(failure(400, "no"))
    with pytest.raises(InvalidRequestError) as caught:
        ask(make(), "Hi", **listening(heard))
    assert heard.errors == [caught.value]
    assert heard.ends == []


def test_a_model_hears_without_callbacks(llm: ChatOneRouter, sim: Simulator) -> None:
    """The hooks work without a run manager, as some callers call them."""
    message = [("user", "Hi")]
    sim.script(failure(500, "down"))
    result = llm.generate([[llm.to_messages(message)[0]]])
    assert result.generations[0][0].text == "You said: Hi"


def test_usage_is_counted_by_langchains_handler(llm: ChatOneRouter, ask: Ask) -> None:
    """Per served model, over many calls."""
    counter = UsageMetadataCallbackHandler()
    messages = [ask(llm, "Hello", config={"callbacks": [counter]}) for _ in range(3)]
    expected = sum(message.usage_metadata["total_tokens"] for message in messages)
    assert counter.usage_metadata["simulated/echo"]["total_tokens"] == expected > 0


# --- what LangChain asks about the model ---


def test_langsmith_parameters(make: Make, ask: Ask) -> None:
    """The provider is the one that messages name; a call's model and stop win."""
    llm = make(temperature=0, max_tokens=10, stop="x")
    heard = Heard()
    message = ask(llm, "Hi", model="simulated/senses", **listening(heard))
    metadata = heard.started[0]["metadata"]
    assert metadata["ls_provider"] == message.response_metadata["model_provider"]
    assert metadata["ls_model_name"] == "simulated/senses"
    assert (metadata["ls_temperature"], metadata["ls_max_tokens"]) == (0, 10)
    assert metadata["ls_stop"] == ["x"]
    ask(llm, "Hi", stop=["y"], **listening(heard))
    assert heard.started[1]["metadata"]["ls_stop"] == ["y"]


def test_the_model_says_what_it_is(make: Make) -> None:
    """Its type, its version, and where its key comes from."""
    llm = make()
    assert llm.asdict()["_type"] == "onerouter-chat"
    assert llm.metadata["lc_versions"]["langchain-onerouter"] == __version__
    assert llm.lc_secrets == {"api_key": "ONEROUTER_API_KEY"}


def test_secrets_stay_in(make: Make, sim: Simulator, ask: Ask) -> None:
    """No key and no header in repr, dumps and traces, given to the model or to a call."""
    secrets = {"api_key": "sk-very-secret", "default_headers": {"X-Key": "hdr-very-secret"}}
    llm = make(**secrets)
    heard = Heard()
    sim.script(*[Script(json=completion())] * 2)
    ask(llm, "Hi", **listening(heard))
    ask(make(), "Hi", **secrets, extra_headers={"X-More": "very-secret"}, **listening(heard))
    assert "very-secret" in sim.last.headers["authorization"] + sim.last.headers["x-more"]
    shown = [repr(llm), str(llm), dumps(llm), str(dumpd(llm)), str(llm.asdict())]
    assert not [text for text in (*shown, str(heard.started)) if "very-secret" in text]


# --- composition ---


def test_batch(llm: ChatOneRouter, colour: Colour, sim: Simulator) -> None:
    """Answers come in the order of the questions."""
    asked = [f"number {number}" for number in range(8)]
    messages = colour.batch(llm, asked)
    assert [message.content for message in messages] == [f"You said: {text}" for text in asked]
    assert len(sim.requests) == 8


def test_batch_with_errors_returned(make: Make, colour: Colour, sim: Simulator) -> None:
    """One failure leaves the others alone."""
    results = colour.batch(
        make(max_retries=0), ["a", "b"], config={"max_concurrency": 1}, return_exceptions=True
    )
    assert [type(result).__name__ for result in results] == ["AIMessage"] * 2
    sim.script(failure(400, "no"))
    first, second = colour.batch(
        make(), ["a", "b"], config={"max_concurrency": 1}, return_exceptions=True
    )
    assert isinstance(first, InvalidRequestError)
    assert second.content == "You said: b"


def test_configurable_fields(make: Make, sim: Simulator, colour: Colour) -> None:
    """Fields can be set by configuration, and such a model still streams and has its key."""
    llm = make().configurable_fields(
        model=ConfigurableField(id="model"), temperature=ConfigurableField(id="heat")
    )
    config = {"configurable": {"model": "simulated/senses", "heat": 0}}
    chunks = colour.stream(llm, "Hello you, how are you?", config=config)
    assert sim.last.body["model"] == "simulated/senses"
    assert sim.last.body["temperature"] == 0
    assert len(chunks) > 2


def test_fallbacks(make: Make, sim: Simulator, ask: Ask) -> None:
    """Another model answers where the first fails."""
    llm = make(model="unknown/model").with_fallbacks([make(model="simulated/senses")])
    assert ask(llm, "Hi").content == "You said: Hi"
    assert [request.body["model"] for request in sim.requests] == [
        "unknown/model",
        "simulated/senses",
    ]


def test_langchains_own_retry(make: Make, sim: Simulator, colour: Colour) -> None:
    """`with_retry` works on our errors as on any."""
    sim.script(failure(500, "down"))
    llm = make(max_retries=0).with_retry(
        stop_after_attempt=2, wait_exponential_jitter=False, retry_if_exception_type=(Exception,)
    )
    assert colour.invoke(llm, "Hi").content == "You said: Hi"
    assert len(sim.requests) == 2


class Limiter(BaseRateLimiter):
    """Counts how often it was asked."""

    def __init__(self) -> None:
        """Begin at none."""
        self.asked = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        """Count."""
        self.asked += blocking
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """Count."""
        return self.acquire(blocking=blocking)


def test_a_rate_limiter_is_asked_before_every_request(make: Make, sim: Simulator, ask: Ask) -> None:
    """Retries do not slip past the limiter."""
    limiter = Limiter()
    llm = make(rate_limiter=limiter)
    sim.script(failure(429, "slow down"), failure(500, "down"))
    assert ask(llm, "Hi").content == "You said: Hi"
    assert limiter.asked == len(sim.requests) == 3
    ask(llm, "Hi")
    assert limiter.asked == len(sim.requests) == 4


# --- cache ---


@pytest.fixture
def cached(make: Make) -> Iterator[ChatOneRouter]:
    """Hand out a model with a cache of its own."""
    return make(cache=InMemoryCache())


def test_a_cached_answer_is_not_asked_for_again(
    cached: ChatOneRouter, sim: Simulator, colour: Colour
) -> None:
    """The same question to the same model is answered once."""
    first, second = colour.invoke(cached, "Hi"), colour.invoke(cached, "Hi")
    assert first.content == second.content
    assert len(sim.requests) == 1


CHANGES: list[dict[str, Any]] = [
    {"model": "simulated/senses"},
    {"temperature": 0.0},
    {"provider": {"order": ["a/b"]}},
    {"fallback_models": ["a/b"]},
    {"extra_body": {"top_k": 1}},
    {"reasoning_effort": "low"},
    {"stop": ["z"]},
    {"n": 2},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_cache_tells_models_apart(
    make: Make, sim: Simulator, colour: Colour, change: dict[str, Any]
) -> None:
    """Whatever changes the answer changes the key: fields, copies, assignments, keywords."""
    cache = InMemoryCache()
    (name,), llm = change, make(cache=cache)
    colour.invoke(llm, "Hi")
    changed = make(**change)
    colour.invoke(llm, "Hi", **change)
    assert len(sim.requests) == 2, "a keyword"
    colour.invoke(make(cache=cache, seed=1), "Hi")
    colour.invoke(make(cache=cache, seed=1, **change), "Hi")
    assert len(sim.requests) == 4, "a field"
    copy = llm.model_copy(update={name: getattr(changed, name), "seed": 2})
    colour.invoke(copy, "Hi")
    setattr(copy, name, None if name != "model" else "simulated/echo")
    colour.invoke(copy, "Hi")
    assert len(sim.requests) == 6, "a copy and an assignment"


@pytest.mark.parametrize("change", [{"output_version": "v1"}, {"replay_reasoning": "never"}])
def test_the_cache_tells_forms_apart(
    make: Make, sim: Simulator, colour: Colour, change: dict[str, Any]
) -> None:
    """What an answer looks like, and which history is sent, are part of the key."""
    cache = InMemoryCache()
    colour.invoke(make(cache=cache), "Hi")
    colour.invoke(make(cache=cache, **change), "Hi")
    assert len(sim.requests) == 2


def test_the_cache_key_has_no_secret(make: Make, sim: Simulator) -> None:
    """Keys of a cache are written to databases."""
    seen: list[str] = []

    class Spy(InMemoryCache):
        def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
            seen.append(prompt + llm_string)
            super().update(prompt, llm_string, return_val)

    make(cache=Spy()).invoke("Hi")
    make(cache=Spy(), api_key=None).invoke("Hi", api_key=sim.api_key)
    assert len(seen) == 2
    assert not [key for key in seen if sim.api_key in key]


# --- streams ---


def test_a_slow_stream_is_handed_on_as_it_comes(llm: ChatOneRouter, sim: Simulator) -> None:
    """The first chunk is there before the last is sent."""
    sim.script(Script(events=[chunk("a"), 30.0, chunk("b", finish_reason="stop")]))
    stream = llm.stream("Hi")
    assert next(stream).content == "a"
    stream.close()
    assert sim.last.wait_hung_up(5)


def test_no_answer_is_an_error(make: Make, ask: Ask) -> None:
    """A gateway out of reach is not an empty message."""
    with pytest.raises(APIConnectionError):
        ask(make(base_url="http://127.0.0.1:9/v1", max_retries=0), "Hi")


def test_a_model_that_is_not_there(make: Make, sim: Simulator, ask: Ask) -> None:
    """It is said once; asking again does not help."""
    with pytest.raises(ModelNotFoundError, match="unknown/model"):
        ask(make(model="unknown/model"), "Hi")
    assert len(sim.requests) == 1
