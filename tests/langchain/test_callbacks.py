"""Callbacks of LangChain and the rate limiter: streams, retries and errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    UsageMetadataCallbackHandler,
)
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.rate_limiters import BaseRateLimiter

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import InvalidRequestError
from onerouter_simulator import Simulator, failure
from tests.langchain.callbacks import RecordingHandler, with_callbacks
from tests.langchain.conftest import CallModel, LLMFactory, Mode
from tests.langchain.scripted_replies import BILLING, USAGE, complete_reply, streamed_reply


def test_stream_callbacks(llm: ChatOneRouter, mode: Mode) -> None:
    """Each token is reported once, then the result with usage."""
    handler = RecordingHandler()
    mode.stream(llm, "Hello you", **with_callbacks(handler))
    assert "".join(handler.tokens) == "You said: Hello you"
    (end,) = handler.results
    message = end.generations[0][0].message
    assert message.content == "You said: Hello you"
    assert message.usage_metadata["total_tokens"] > 0
    assert handler.errors == handler.retries == []


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("streaming", [False, True])
def test_tracers_get_finish_reason_and_id(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel, version: str, *, streaming: bool
) -> None:
    """OpenLLMetry and Sentry read `generation_info` and `llm_output`.

    LangChain passes no `llm_output` from `stream`.
    """
    sim.script(streamed_reply(["Hel", "lo"], "length", **BILLING))
    handler = RecordingHandler()
    llm = make_llm(streaming=streaming, output_version=version)
    message = call_model(llm, "Hi", **with_callbacks(handler))
    (end,) = handler.results
    assert end.generations[0][0].generation_info == {"finish_reason": "length"}
    if end.llm_output is not None:
        assert end.llm_output["id"] == "gen-1"
        assert end.llm_output["model_name"] == "vendor/served"
    assert (end.llm_output is None) == isinstance(message, AIMessageChunk)
    assert message.response_metadata["finish_reason"] == "length"


def test_each_answer_has_its_finish_reason(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """Not that of the first."""
    reply = complete_reply({"content": "a"}, "stop")
    reply.json["choices"].append(
        {**reply.json["choices"][0], "index": 1, "finish_reason": "length"}
    )
    sim.script(reply)
    handler = RecordingHandler()
    mode.generate(make_llm(), "Hi", n=2, callbacks=[handler])
    (end,) = handler.results
    reasons = [generation.generation_info["finish_reason"] for generation in end.generations[0]]
    assert reasons == ["stop", "length"]


def test_a_streamed_generate_has_an_llm_output(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """Model and id; of several calls the model only. Tokens are in the messages."""
    llm = make_llm(streaming=True)
    sim.script(*[streamed_reply(["a", "b"], **BILLING)] * 4)
    question = [HumanMessage("Hi")]
    for batch, expected in (
        ([question], {"model_name": "vendor/served", "id": "gen-1"}),
        ([question, question], {"model_name": "vendor/served"}),
    ):
        assert llm.generate(batch).llm_output == expected
    assert mode.invoke(llm, "Hi").response_metadata["token_usage"] == USAGE


def test_an_answer_from_the_cache_costs_nothing(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """LangChain sets the cost 0; it stays, also for the tracers."""
    llm = make_llm(cache=InMemoryCache(), cost_in_usage=True, streaming=True)
    sim.script(streamed_reply(["a", "b"], **BILLING))
    costs = [mode.invoke(llm, "Hi").usage_metadata["total_cost"] for _ in range(2)]
    assert costs == [BILLING["cost"], 0]
    assert len(sim.requests) == 1


def test_invoke_callbacks(llm: ChatOneRouter, mode: Mode) -> None:
    """The start reports the parameters for LangSmith, the end the metadata."""
    handler = RecordingHandler()
    mode.invoke(llm, "Hello", seed=3, **with_callbacks(handler))
    (end,) = handler.results
    assert end.generations[0][0].message.response_metadata["model_name"] == "simulated/echo"
    (start,) = handler.starts
    assert start["invocation_params"]["model"] == "simulated/echo"
    assert start["invocation_params"]["seed"] == 3
    assert start["metadata"]["ls_provider"] == "onerouter"


def test_streaming_true_streams_invoke(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """Callbacks receive tokens of `invoke`; `disable_streaming=True` turns streaming off."""
    handler = RecordingHandler()
    message = mode.invoke(make_llm(streaming=True), "Hello you", **with_callbacks(handler))
    assert sim.last.body["stream"] is True
    assert "".join(handler.tokens) == message.content == "You said: Hello you"
    mode.stream(make_llm(disable_streaming=True), "Hi")
    assert "stream" not in sim.last.body


def test_retries_are_reported_to_callbacks(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """on_retry receives the error of each failed request; the answer is the last request's."""
    handler = RecordingHandler()
    sim.script(failure(500, "down"), failure(429, "slow down"))
    answer = mode.invoke(make_llm(max_retries=2), "Hi", **with_callbacks(handler))
    assert answer.content == "You said: Hi"
    assert [error.status for error in handler.retries] == [500, 429]
    assert handler.errors == []


def test_retries_are_reported_to_async_handlers(make_llm: LLMFactory, sim: Simulator) -> None:
    """on_retry may be a coroutine function."""
    retry_states: list[Any] = []

    class AsyncHandler(AsyncCallbackHandler):
        async def on_retry(self, retry_state: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            retry_states.append(retry_state)

    sim.script(failure(500, "down"))
    asyncio.run(make_llm().ainvoke("Hi", config={"callbacks": [AsyncHandler()]}))
    assert len(retry_states) == 1


def test_errors_are_reported_to_callbacks(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """on_llm_error receives the error that is raised."""
    handler = RecordingHandler()
    sim.script(failure(400, "no"))
    with pytest.raises(InvalidRequestError) as caught:
        call_model(make_llm(), "Hi", **with_callbacks(handler))
    assert handler.errors == [caught.value]
    assert handler.results == []


def test_a_retry_without_callback_handlers(llm: ChatOneRouter, sim: Simulator) -> None:
    """A retry works when no handler is attached."""
    sim.script(failure(500, "down"))
    result = llm.generate([llm.to_messages([("user", "Hi")])])
    assert result.generations[0][0].text == "You said: Hi"
    assert len(sim.requests) == 2


def test_usage_metadata_callback_handler(llm: ChatOneRouter, call_model: CallModel) -> None:
    """LangChain's handler sums the usage of many calls per served model."""
    counter = UsageMetadataCallbackHandler()
    messages = [call_model(llm, "Hello", config={"callbacks": [counter]}) for _ in range(3)]
    expected = sum(message.usage_metadata["total_tokens"] for message in messages)
    assert counter.usage_metadata["simulated/echo"]["total_tokens"] == expected > 0


# --- rate limiter ---


class CountingRateLimiter(BaseRateLimiter):
    """Rate limiter that counts acquisitions."""

    def __init__(self) -> None:
        """Start at zero."""
        self.acquired = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        """Count an acquisition."""
        self.acquired += blocking
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """Count an acquisition."""
        return self.acquire(blocking=blocking)


def test_the_rate_limiter_is_acquired_for_every_request(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """A retry acquires it again."""
    limiter = CountingRateLimiter()
    llm = make_llm(rate_limiter=limiter)
    sim.script(failure(429, "slow down"), failure(500, "down"))
    assert call_model(llm, "Hi").content == "You said: Hi"
    assert limiter.acquired == len(sim.requests) == 3
    call_model(llm, "Hi")
    assert limiter.acquired == len(sim.requests) == 4
