"""The eight endpoints: requests, responses and streams."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from onerouter_simulator import Script, chunk, completion
from tests.llama_index.conformance.harness import Harness, prompt_for, user_messages
from tests.llama_index.conformance.readers import response_field, token_usage
from tests.llama_index.conformance.scripted_replies import (
    CHAT_ENDPOINTS,
    USAGE,
    complete_reply,
    stream_reply,
    text_reply,
    tool_call_stream,
)

STREAMS = ("stream_chat", "stream_complete")

# --- the request ---


def test_messages_are_sent_in_order(harness: Harness) -> None:
    """With their roles and texts."""
    harness.script(complete_reply())
    conversation = [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Yes?"),
        ("user", "Why?"),
    ]
    harness.final("chat", [ChatMessage(text, role=role) for role, text in conversation])
    assert [(m["role"], m["content"]) for m in harness.last_body["messages"]] == conversation


def test_a_prompt_is_sent_as_one_user_message(harness: Harness) -> None:
    """A formatted prompt is not changed."""
    for endpoint in ("complete", "stream_complete"):
        harness.script(text_reply(endpoint))
        harness.final(endpoint, "Hi {there}", formatted=True)
        assert harness.last_body["messages"] == [{"role": "user", "content": "Hi {there}"}]


def test_a_request_has_no_null(harness: Harness) -> None:
    """Strict servers reject it: a value that is not set has no key."""
    for endpoint in CHAT_ENDPOINTS:
        harness.script(text_reply(endpoint))
        harness.final(endpoint, user_messages())
        assert [name for name, value in harness.last_body.items() if value is None] == []


def test_temperature_none_is_not_sent(harness: Harness) -> None:
    """Some models reject any temperature."""
    harness.make_llm(temperature=None)
    harness.script(complete_reply())
    harness.final("chat", user_messages())
    assert "temperature" not in harness.last_body


def test_temperature_0_is_sent(harness: Harness) -> None:
    """It is not treated as missing."""
    harness.make_llm(temperature=0)
    harness.script(complete_reply())
    harness.final("chat", user_messages())
    assert harness.last_body["temperature"] == 0


@pytest.mark.parametrize(
    ("name", "field", "option"),
    [("temperature", 0.5, 0.7), ("max_tokens", 100, 5)],
    ids=["temperature", "max_tokens"],
)
def test_call_options_take_precedence_over_the_constructor(
    harness: Harness, name: str, field: Any, option: Any
) -> None:
    """The option of the call is sent."""
    harness.make_llm(**{name: field})
    harness.script(complete_reply())
    harness.final("chat", user_messages(), **{name: option})
    assert harness.last_body[name] == option


def test_call_options_take_precedence_over_additional_kwargs(harness: Harness) -> None:
    """`additional_kwargs` are sent."""
    harness.make_llm(additional_kwargs={"seed": 1, "top_p": 0.5})
    harness.script(complete_reply())
    harness.final("chat", user_messages(), seed=2)
    assert (harness.last_body["seed"], harness.last_body["top_p"]) == (2, 0.5)


def test_a_stream_requests_its_usage(harness: Harness) -> None:
    """Servers send the usage of a stream only on request."""
    for endpoint in STREAMS:
        harness.script(text_reply(endpoint))
        harness.final(endpoint, prompt_for(endpoint))
        assert harness.last_body["stream"] is True
        assert (harness.last_body.get("stream_options") or {}).get("include_usage") is True


# --- the response ---


def test_a_chat_response_has_text_usage_finish_reason_and_model(harness: Harness) -> None:
    """Its role is assistant."""
    harness.script(complete_reply("All well.", model="vendor/served", provider="a"))
    response = harness.final("chat", user_messages())
    assert response.message.role.value == "assistant"
    assert response.message.content == "All well."
    assert token_usage(response) == (11, 7)
    assert response_field(response, "finish_reason") == "stop"
    assert response_field(response, "model") == "vendor/served"


def test_stream_deltas_add_up_to_the_content(harness: Harness) -> None:
    """Deltas are strings, never None; each item has the whole text so far."""
    harness.script(stream_reply({"role": "assistant", "content": ""}, "One ", "two ", "three."))
    text = ""
    for item in harness.items("stream_chat", user_messages()):
        assert isinstance(item.delta, str)
        text += item.delta
        assert (item.message.content or "") == text
        assert item.message.role.value == "assistant"
    assert text == "One two three."


def test_streamed_completion_deltas_add_up_to_the_text(harness: Harness) -> None:
    """Each item has the whole text so far."""
    harness.script(stream_reply("One ", "two ", "three."))
    items = harness.items("stream_complete", "Hi")
    assert "".join(item.delta or "" for item in items) == items[-1].text == "One two three."
    assert all(items[-1].text.startswith(item.text) for item in items)


def test_the_last_stream_item_has_the_usage(harness: Harness) -> None:
    """Handlers read only the last item."""
    for endpoint in STREAMS:
        harness.script(text_reply(endpoint))
        assert token_usage(harness.final(endpoint, prompt_for(endpoint))) == (11, 7)


def test_the_last_stream_item_has_the_finish_reason(harness: Harness) -> None:
    """It says whether the answer was cut."""
    for endpoint in STREAMS:
        harness.script(text_reply(endpoint, finish_reason="length"))
        assert (
            response_field(harness.final(endpoint, prompt_for(endpoint)), "finish_reason")
            == "length"
        )


@pytest.mark.parametrize("endpoint", CHAT_ENDPOINTS)
def test_cost_and_provider_of_a_gateway_are_kept(harness: Harness, endpoint: str) -> None:
    """Streamed or not."""
    fields = {"cost": 0.25, "provider": "vendor/eu"}
    harness.script(
        stream_reply("Hi", **fields) if "stream" in endpoint else complete_reply("Hi", **fields)
    )
    response = harness.final(endpoint, user_messages())
    assert (response_field(response, "cost"), response_field(response, "provider")) == (
        0.25,
        "vendor/eu",
    )


@pytest.mark.parametrize("endpoint", CHAT_ENDPOINTS)
def test_log_probabilities_have_the_token_and_its_alternatives(
    harness: Harness, endpoint: str
) -> None:
    """Streamed or not."""
    chosen = {"token": "A", "logprob": -0.1, "bytes": [65]}
    other = {"token": "B", "logprob": -2.5, "bytes": [66]}
    logprobs = {"content": [{**chosen, "top_logprobs": [chosen, other]}]}
    if endpoint == "stream_chat":
        first = chunk("A")
        first["choices"][0]["logprobs"] = logprobs
        harness.script(Script(events=[first, chunk({}, finish_reason="stop"), chunk(usage=USAGE)]))
    else:
        body = completion("A", usage=USAGE)
        body["choices"][0]["logprobs"] = logprobs
        harness.script(Script(json=body))
    harness.make_llm(logprobs=True, top_logprobs=2)
    logprobs_by_item = [
        item.logprobs for item in harness.items(endpoint, user_messages()) if item.logprobs
    ]
    assert logprobs_by_item
    assert {(each.token, each.logprob) for each in logprobs_by_item[0][0]} == {
        ("A", -0.1),
        ("B", -2.5),
    }


# --- streams, arguments and metadata ---


def test_a_stream_is_a_generator(sync_harness: Harness) -> None:
    """LlamaIndex's decorators treat any other type as a complete response."""
    sync_harness.script(stream_reply("Hi"))
    items = sync_harness.llm.stream_chat(user_messages())
    assert isinstance(items, Generator)
    assert list(items)


async def test_an_awaited_stream_is_an_async_generator(sync_harness: Harness) -> None:
    """The method is a coroutine that returns the generator."""
    sync_harness.script(stream_reply("Hi"))
    items = await sync_harness.llm.astream_chat(user_messages())
    assert isinstance(items, AsyncGenerator)
    assert [item async for item in items]


def test_stream_items_are_independent(harness: Harness) -> None:
    """An item does not change later, and changing it changes no other."""
    first = {"index": 0, "id": "c", "type": "function"}
    harness.script(
        tool_call_stream(
            {**first, "function": {"name": "add", "arguments": '{"a"'}},
            {"index": 0, "function": {"arguments": ": 1}"}},
        )
    )
    kept, copies = [], []
    for item in harness.iterate(harness.llm, "stream_chat", user_messages()):
        kept.append(item.message)
        copies.append(copy.deepcopy(item.message))
    assert kept == copies
    kept[-1].blocks.clear()
    kept[-1].additional_kwargs.clear()
    assert kept[:-1] == copies[:-1]


def test_messages_are_not_changed(harness: Harness) -> None:
    """Streamed or not."""
    messages = [ChatMessage("Be brief.", role="system"), *user_messages()]
    before = copy.deepcopy(messages)
    harness.script(complete_reply(), stream_reply("Hi"))
    harness.final("chat", messages)
    harness.final("stream_chat", messages)
    assert messages == before


def test_metadata_needs_no_request(sync_harness: Harness) -> None:
    """It has the model's name; the model supports chat and function calling."""
    metadata = sync_harness.llm.metadata
    assert metadata.model_name == sync_harness.adapter.model
    assert metadata.is_chat_model
    assert metadata.is_function_calling_model
    assert sync_harness.request_count == 0
