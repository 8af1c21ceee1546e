"""Replies in the formats of LiteLLM and llama.cpp, decoded by ChatOneRouter and OneRouterLLM."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onerouter_core.errors import (
    ContextOverflowError,
    InvalidRequestError,
    ModelNotFoundError,
    OneRouterError,
    RateLimitError,
    UpstreamError,
)
from onerouter_simulator import Script, Simulator
from tests import other_servers
from tests.integration.adapters import ADAPTERS, CALLERS, Caller


@pytest.fixture(params=CALLERS)
def call_mode(request: pytest.FixtureRequest) -> str:
    """Run the test sync and async."""
    return request.param


@pytest.fixture(params=ADAPTERS)
def caller(request: pytest.FixtureRequest, sim: Simulator, call_mode: str) -> Iterator[Caller]:
    """Run the test with both classes; return a caller of the model."""
    fields = {"model": "a/b", "base_url": sim.base_url, "api_key": sim.api_key, "max_retries": 0}
    model_caller = CALLERS[call_mode](ADAPTERS[request.param](**fields))
    yield model_caller
    model_caller.adapter.llm.close()


@pytest.mark.parametrize(
    ("scripts", "cost", "tokens_with_logprobs"),
    [
        (
            (other_servers.LLAMA_CPP_ANSWER, other_servers.LLAMA_CPP_STREAM),
            None,
            ["Hello", "!"],
        ),
        ((other_servers.LITELLM_ANSWER, other_servers.LITELLM_STREAM), 3.5e-05, []),
    ],
    ids=["llama.cpp", "LiteLLM"],
)
def test_an_answer_is_decoded_complete_and_streamed(
    caller: Caller,
    sim: Simulator,
    scripts: tuple[Script, Script],
    cost: float | None,
    tokens_with_logprobs: list[str],
) -> None:
    """Text, finish reason, usage, cost and log probabilities are the same, in USD and tokens."""
    sim.script(*scripts)
    complete = caller.call("Hi")
    texts, streamed = caller.stream("Hi")
    assert [text for text in texts if text] == ["Hello", "!"]
    for reply in (complete, streamed):
        assert reply.cost == cost
        assert (reply.text, reply.finish_reason) == ("Hello!", "stop")
        assert reply.model == "simulated/echo"
        assert reply.tokens == (31, 2, 33)
        assert [token for token, *_ in reply.logprobs] == tokens_with_logprobs
    assert complete.logprobs == streamed.logprobs


ERRORS: dict[str, tuple[Script, type[OneRouterError], float | None]] = {
    "llama.cpp, context overflow": (other_servers.LLAMA_CPP_TOO_LONG, ContextOverflowError, None),
    "LiteLLM, context overflow": (other_servers.LITELLM_TOO_LONG, ContextOverflowError, None),
    "LiteLLM, unknown model": (other_servers.LITELLM_NO_SUCH_MODEL, ModelNotFoundError, None),
    "LiteLLM, wrong key": (other_servers.LITELLM_NO_DATABASE, InvalidRequestError, None),
    "LiteLLM, cooldown": (other_servers.LITELLM_RESTING, RateLimitError, 5),
    "LiteLLM, upstream down": (other_servers.LITELLM_DOWN, UpstreamError, None),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_has_the_same_class_complete_and_streamed(
    caller: Caller, sim: Simulator, case: str
) -> None:
    """The error has the status, the message, and the retry delay in seconds from the message."""
    script, error_class, retry_after = ERRORS[case]
    sim.script(script, script)
    for call in (caller.call, caller.stream):
        with pytest.raises(error_class) as caught:
            call("Hi")
        error = caught.value
        is_overflow = error_class is ContextOverflowError
        assert isinstance(error, ContextOverflowError) == is_overflow
        assert (error.status, error.retry_after) == (script.status, retry_after)
        assert error.transient is error_class.transient
        assert script.json["error"]["message"] in error.message
