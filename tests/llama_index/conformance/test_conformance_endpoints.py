"""The eight endpoints: what goes out, what comes in, what is said of it."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from onerouter_simulator import Script, chunk, completion
from tests.llama_index.conformance.answers import CHATS, USAGE, answer, call_deltas, stream, whole
from tests.llama_index.conformance.bench import Bench, asked, say
from tests.llama_index.conformance.readers import fact, usage

STREAMS = ("stream_chat", "stream_complete")

# --- the request ---


def test_a_conversation_goes_out_in_order(bench: Bench) -> None:
    """Roles and texts arrive as they were given."""
    bench.script(whole())
    told = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Yes?"), ("user", "Why?")]
    bench.last("chat", [ChatMessage(text, role=role) for role, text in told])
    assert [(one["role"], one["content"]) for one in bench.body["messages"]] == told


def test_a_prompt_is_a_user_message(bench: Bench) -> None:
    """A chat model is asked a prompt by one message, and a formatted one is left as it is."""
    for endpoint in ("complete", "stream_complete"):
        bench.script(answer(endpoint))
        bench.last(endpoint, "Hi {there}", formatted=True)
        assert bench.body["messages"] == [{"role": "user", "content": "Hi {there}"}]


def test_nothing_is_null_in_a_request(bench: Bench) -> None:
    """What is not set is not said: strict servers refuse a null."""
    for endpoint in CHATS:
        bench.script(answer(endpoint))
        bench.last(endpoint, say())
        assert [name for name, value in bench.body.items() if value is None] == []


def test_a_temperature_can_be_left_to_the_model(bench: Bench) -> None:
    """Some models refuse any temperature."""
    bench.make(temperature=None)
    bench.script(whole())
    bench.last("chat", say())
    assert "temperature" not in bench.body


def test_zero_is_a_temperature(bench: Bench) -> None:
    """0 is sent."""
    bench.make(temperature=0)
    bench.script(whole())
    bench.last("chat", say())
    assert bench.body["temperature"] == 0


@pytest.mark.parametrize(
    ("name", "made", "called"),
    [("temperature", 0.5, 0.7), ("max_tokens", 100, 5)],
    ids=["temperature", "max_tokens"],
)
def test_a_call_beats_the_constructor(bench: Bench, name: str, made: Any, called: Any) -> None:
    """Who says it per call means it."""
    bench.make(**{name: made})
    bench.script(whole())
    bench.last("chat", say(), **{name: called})
    assert bench.body[name] == called


def test_a_call_beats_additional_kwargs(bench: Bench) -> None:
    """Keywords for every call are defaults, and reach the body."""
    bench.make(additional_kwargs={"seed": 1, "top_p": 0.5})
    bench.script(whole())
    bench.last("chat", say(), seed=2)
    assert (bench.body["seed"], bench.body["top_p"]) == (2, 0.5)


def test_a_stream_asks_for_its_usage(bench: Bench) -> None:
    """Servers count streamed tokens only when asked to."""
    for endpoint in STREAMS:
        bench.script(answer(endpoint))
        bench.last(endpoint, asked(endpoint))
        assert bench.body["stream"] is True
        assert (bench.body.get("stream_options") or {}).get("include_usage") is True


# --- the answer ---


def test_a_whole_answer(bench: Bench) -> None:
    """It is the assistant's, with text, usage, finish reason and the model that answered."""
    bench.script(whole("All well.", model="vendor/served", provider="a"))
    response = bench.last("chat", say())
    assert response.message.role.value == "assistant"
    assert response.message.content == "All well."
    assert usage(response) == (11, 7)
    assert fact(response, "finish_reason") == "stop"
    assert fact(response, "model") == "vendor/served"


def test_a_stream_adds_up(bench: Bench) -> None:
    """Deltas are strings, never None; content is all that came so far; the role is there."""
    bench.script(stream({"role": "assistant", "content": ""}, "One ", "two ", "three."))
    text = ""
    for item in bench.items("stream_chat", say()):
        assert isinstance(item.delta, str)
        text += item.delta
        assert (item.message.content or "") == text
        assert item.message.role.value == "assistant"
    assert text == "One two three."


def test_a_streamed_completion_adds_up(bench: Bench) -> None:
    """Text is all that came so far, and the deltas are its parts."""
    bench.script(stream("One ", "two ", "three."))
    items = bench.items("stream_complete", "Hi")
    assert "".join(item.delta or "" for item in items) == items[-1].text == "One two three."
    assert all(items[-1].text.startswith(item.text) for item in items)


def test_the_last_item_has_the_usage(bench: Bench) -> None:
    """Handlers look at the last item and at no other."""
    for endpoint in STREAMS:
        bench.script(answer(endpoint))
        assert usage(bench.last(endpoint, asked(endpoint))) == (11, 7)


def test_the_last_item_has_the_finish_reason(bench: Bench) -> None:
    """Whether an answer was cut is a question to its end."""
    for endpoint in STREAMS:
        bench.script(answer(endpoint, finish_reason="length"))
        assert fact(bench.last(endpoint, asked(endpoint)), "finish_reason") == "length"


@pytest.mark.parametrize("endpoint", CHATS)
def test_what_a_gateway_adds_can_be_read(bench: Bench, endpoint: str) -> None:
    """Cost and provider, which only gateways know, are not lost."""
    added = {"cost": 0.25, "provider": "vendor/eu"}
    bench.script(stream("Hi", **added) if "stream" in endpoint else whole("Hi", **added))
    response = bench.last(endpoint, say())
    assert (fact(response, "cost"), fact(response, "provider")) == (0.25, "vendor/eu")


@pytest.mark.parametrize("endpoint", CHATS)
def test_log_probabilities(bench: Bench, endpoint: str) -> None:
    """Asked for, they are in the answer, the chosen token's too."""
    chosen = {"token": "A", "logprob": -0.1, "bytes": [65]}
    other = {"token": "B", "logprob": -2.5, "bytes": [66]}
    logprobs = {"content": [{**chosen, "top_logprobs": [chosen, other]}]}
    if endpoint == "stream_chat":
        first = chunk("A")
        first["choices"][0]["logprobs"] = logprobs
        bench.script(Script(events=[first, chunk({}, finish_reason="stop"), chunk(usage=USAGE)]))
    else:
        body = completion("A", usage=USAGE)
        body["choices"][0]["logprobs"] = logprobs
        bench.script(Script(json=body))
    bench.make(logprobs=True, top_logprobs=2)
    found = [item.logprobs for item in bench.items(endpoint, say()) if item.logprobs]
    assert found
    assert {(one.token, one.logprob) for one in found[0][0]} == {("A", -0.1), ("B", -2.5)}


# --- manners ---


def test_a_stream_is_a_generator(plain_bench: Bench) -> None:
    """LlamaIndex's decorators take anything else for a whole answer."""
    plain_bench.script(stream("Hi"))
    items = plain_bench.llm.stream_chat(say())
    assert isinstance(items, Generator)
    assert list(items)


async def test_an_async_stream_is_awaited_first(plain_bench: Bench) -> None:
    """`await` gives the generator."""
    plain_bench.script(stream("Hi"))
    items = await plain_bench.llm.astream_chat(say())
    assert isinstance(items, AsyncGenerator)
    assert [item async for item in items]


def test_items_of_a_stream_are_independent(bench: Bench) -> None:
    """What comes later does not change what was handed out."""
    begun = {"index": 0, "id": "c", "type": "function"}
    bench.script(
        call_deltas(
            {**begun, "function": {"name": "add", "arguments": '{"a"'}},
            {"index": 0, "function": {"arguments": ": 1}"}},
        )
    )
    kept, copies = [], []
    for item in bench.colour.items(getattr(bench.llm, bench.colour.named("stream_chat")), say()):
        kept.append(item.message)
        copies.append(copy.deepcopy(item.message))
    assert kept == copies
    kept[-1].blocks.clear()
    kept[-1].additional_kwargs.clear()
    assert kept[:-1] == copies[:-1]


def test_messages_are_left_as_they_are(bench: Bench) -> None:
    """The caller's conversation is the caller's."""
    messages = [ChatMessage("Be brief.", role="system"), *say()]
    before = copy.deepcopy(messages)
    bench.script(whole(), stream("Hi"))
    bench.last("chat", messages)
    bench.last("stream_chat", messages)
    assert messages == before


def test_the_model_can_be_asked_for_its_metadata(plain_bench: Bench) -> None:
    """The name is the model's, it chats and calls, and asking costs no request."""
    metadata = plain_bench.llm.metadata
    assert metadata.model_name == plain_bench.subject.model
    assert metadata.is_chat_model
    assert metadata.is_function_calling_model
    assert plain_bench.count == 0
