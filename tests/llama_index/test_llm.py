"""OneRouterLLM: endpoints, options, retries, errors and closing of streams."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
)

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import (
    ConfigurationError,
    IncompleteStreamError,
    InvalidRequestError,
    OneRouterError,
    RateLimitError,
)
from onerouter_simulator import Script, Simulator, chunk, failure
from tests.llama_index.conftest import LLMFactory, Mode, user_messages

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_chat_sends_only_the_messages_and_returns_the_answer(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The body has the model, the messages and the usage flag, and nothing else."""
    response = mode.chat(llm, [ChatMessage("Be brief.", role="system"), ChatMessage("Hello")])
    assert response.message.role.value == "assistant"
    assert response.message.content == "You said: Hello"
    assert sim.last.body == {
        "model": "simulated/echo",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "usage": {"include": True},
    }


def test_complete_sends_one_user_message(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """The completion has the text, `raw` and `additional_kwargs` of the chat response."""
    response = mode.complete(llm, "Hello")
    assert response.text == "You said: Hello"
    assert response.raw.choices[0].message.content == response.text
    assert response.additional_kwargs["finish_reason"] == "stop"
    assert sim.last.body["messages"] == [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(("formatted", "sent"), [(False, "<<Hi>>"), (True, "Hi")])
def test_completion_to_prompt_is_applied_only_to_unformatted_prompts(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, formatted: bool, sent: str
) -> None:
    """`formatted=True` sends the prompt as it is."""
    llm = make_llm(completion_to_prompt=lambda prompt: f"<<{prompt}>>")
    mode.complete(llm, "Hi", formatted=formatted)
    assert sim.last.body["messages"][0]["content"] == sent
    mode.stream_complete(llm, "Hi", formatted=formatted)
    assert sim.last.body["messages"][0]["content"] == sent


def test_a_stream_requests_its_usage(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """The body of a stream has `stream_options.include_usage`."""
    mode.stream_chat(llm, user_messages("x"))
    assert sim.last.body["stream"] is True
    assert sim.last.body["stream_options"] == {"include_usage": True}


def test_call_options_take_precedence_over_fields(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """Call options before `additional_kwargs` before fields; None means not given."""
    llm = make_llm(
        temperature=0.1, top_p=0.5, additional_kwargs={"top_p": 0.6, "seed": 1, "top_k": 3}
    )
    mode.chat(llm, user_messages("x"), seed=0, temperature=None)
    body = sim.last.body
    assert (body["temperature"], body["top_p"], body["seed"], body["top_k"]) == (0.1, 0.6, 0, 3)


def test_model_and_headers_can_be_given_per_call(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """`model` and `extra_headers` are options of a call."""
    mode.complete(make_llm(), "x", model="simulated/other", extra_headers={"x-custom": "1"})
    assert sim.last.body["model"] == "simulated/other"
    assert sim.last.headers["x-custom"] == "1"


def test_an_invalid_argument_raises_before_sending(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """It raises ConfigurationError."""
    with pytest.raises(ConfigurationError, match="temperature"):
        mode.chat(llm, user_messages("x"), temperature=9)
    with pytest.raises(ConfigurationError, match="no messages"):
        mode.chat(llm, [])
    assert sim.requests == []


@pytest.mark.parametrize("endpoint", ["chat", "stream_chat", "complete", "stream_complete"])
def test_an_error_status_raises_a_typed_error(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, endpoint: str
) -> None:
    """Every endpoint raises the class of the status, with status and model."""
    sim.script(failure(400, "temperature is odd"))
    with pytest.raises(InvalidRequestError) as caught:
        getattr(mode, endpoint)(llm, "x" if "complete" in endpoint else user_messages("x"))
    assert caught.value.status == 400
    assert caught.value.model == "simulated/echo"


def test_max_retries_2_sends_three_requests(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """Streamed or not."""
    for stream in (False, True):
        sim.clear()
        sim.script(*[failure(429, "slow down")] * 5)
        llm = make_llm(max_retries=2)
        with pytest.raises(RateLimitError):
            (mode.stream_chat if stream else mode.chat)(llm, user_messages("x"))
        assert len(sim.requests) == 3


class CountingRateLimiter:
    """A rate limiter that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def acquire(self) -> None:
        """Count a call."""
        self.calls += 1

    async def async_acquire(self) -> None:
        """Count a call."""
        self.calls += 1


@pytest.mark.skipif(
    "rate_limiter" not in OneRouterLLM.model_fields, reason="this LlamaIndex has no rate limiter"
)
def test_the_rate_limiter_is_called_before_every_request(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """Also before retries; without a rate limiter, retries work too."""
    limiter = CountingRateLimiter()
    sim.script(failure(429, "slow down"), failure(429, "slow down"))
    mode.chat(make_llm(rate_limiter=limiter), user_messages("x"))
    assert limiter.calls == len(sim.requests) == 3
    sim.script(failure(429, "slow down"))
    mode.chat(make_llm(), user_messages("x"))


def test_a_cut_stream_raises_incomplete_stream_error(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The error has the text so far in `partial`."""
    sim.script(Script(events=[chunk("Hello"), chunk(" wor")], done=False))
    with pytest.raises(IncompleteStreamError) as caught:
        mode.stream_chat(llm, user_messages("x"))
    assert caught.value.partial.text == "Hello wor"


@pytest.mark.parametrize(
    "events",
    [
        [chunk("Hel"), chunk(error={"message": "upstream died", "code": 502})],
        [chunk("Hel"), chunk({}, finish_reason="error")],
    ],
    ids=["error event", "finish reason"],
)
def test_an_error_in_a_stream_is_raised(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, events: list[Any]
) -> None:
    """The error has the text so far in `partial`."""
    sim.script(Script(events=events))
    with pytest.raises(OneRouterError) as caught:
        mode.stream_chat(llm, user_messages("x"))
    assert caught.value.partial.text == "Hel"


@pytest.mark.parametrize("endpoint", ["stream_chat", "stream_complete"])
def test_closing_a_stream_closes_the_connection(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, endpoint: str
) -> None:
    """The server sees the disconnect within a second."""
    sim.script(Script(events=[chunk("a"), chunk("b"), 30.0, chunk("c")]))
    mode.first(llm, endpoint, "x" if "complete" in endpoint else user_messages("x"))
    assert sim.last.wait_hung_up(1)


@pytest.mark.parametrize("ending", ["aclose", "drop", "cancel"])
async def test_leaving_an_async_stream_closes_the_connection(
    llm: OneRouterLLM, sim: Simulator, ending: str
) -> None:
    """The event loop keeps running."""
    sim.script(Script(events=[chunk("a"), 30.0, chunk("b")]))
    stream = await llm.astream_chat(user_messages("x"))
    await anext(stream)
    if ending == "aclose":
        await stream.aclose()
    elif ending == "drop":
        del stream
    else:
        task = asyncio.create_task(anext(stream))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
    assert await asyncio.to_thread(sim.last.wait_hung_up, 1)


def test_a_stream_request_is_sent_by_the_call(llm: OneRouterLLM, sim: Simulator) -> None:
    """Not by the first `next`."""
    stream = llm.stream_chat(user_messages("x"))
    assert len(sim.requests) == 1
    stream.close()


async def test_an_async_stream_request_is_sent_by_the_await(
    llm: OneRouterLLM, sim: Simulator
) -> None:
    """Not by the first `anext`."""
    stream = await llm.astream_chat(user_messages("x"))
    assert len(sim.requests) == 1
    assert [item async for item in stream]


def test_preview_returns_the_body_that_chat_sends(llm: OneRouterLLM, sim: Simulator) -> None:
    """`preview` itself sends nothing."""
    preview = llm.preview(user_messages("x"), temperature=0.5)
    assert sim.requests == []
    llm.chat(user_messages("x"), temperature=0.5)
    assert sim.last.body == preview


def test_a_prompt_that_is_not_a_string_raises(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """LlamaIndex would make an empty message of a ChatMessage."""
    with pytest.raises(ConfigurationError, match="not ChatMessage"):
        mode.complete(llm, ChatMessage("Hello"))  # type: ignore[arg-type]
    assert sim.requests == []
