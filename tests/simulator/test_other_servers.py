"""What other servers say in their own words is read by both classes as what it means."""

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
from onerouter_simulator import Script, Simulator, other_servers
from tests.integration.fake_models import COLOURS, FRAMEWORKS, Voice


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    """Run a test in each colour."""
    return request.param


@pytest.fixture(params=FRAMEWORKS)
def voice(request: pytest.FixtureRequest, sim: Simulator, colour: str) -> Iterator[Voice]:
    """Run a test with each class, in each colour."""
    reach = {"model": "a/b", "base_url": sim.base_url, "api_key": sim.api_key, "max_retries": 0}
    speaking = COLOURS[colour](FRAMEWORKS[request.param](**reach))
    yield speaking
    speaking.framework.llm.close()


@pytest.mark.parametrize(
    ("answer", "stream", "cost"),
    [
        (other_servers.LLAMA_CPP_ANSWER, other_servers.LLAMA_CPP_STREAM, None),
        (other_servers.LITELLM_ANSWER, other_servers.LITELLM_STREAM, 3.5e-05),
    ],
    ids=["llama.cpp", "LiteLLM"],
)
def test_an_answer(
    voice: Voice, sim: Simulator, answer: Script, stream: Script, cost: float | None
) -> None:
    """Words, ends, counts and cost are found where each server has them."""
    sim.script(answer, stream)
    asked = voice.ask("Hi")
    pieces, heard = voice.hear("Hi")
    assert [piece for piece in pieces if piece] == ["Hello", "!"]
    for said in (asked, heard):
        assert said.cost == cost
        assert (said.text, said.finish_reason, said.model) == ("Hello!", "stop", "simulated/echo")
        assert said.tokens == (31, 2, 33)
    assert asked.logprobs == heard.logprobs
    assert [token for token, *_ in asked.logprobs] == (["Hello", "!"] if cost is None else [])


REFUSALS: dict[str, tuple[Script, type[OneRouterError], float | None]] = {
    "llama.cpp, too long": (other_servers.LLAMA_CPP_TOO_LONG, ContextOverflowError, None),
    "LiteLLM, too long": (other_servers.LITELLM_TOO_LONG, ContextOverflowError, None),
    "LiteLLM, no such model": (other_servers.LITELLM_NO_SUCH_MODEL, ModelNotFoundError, None),
    "LiteLLM, a wrong key": (other_servers.LITELLM_NO_DATABASE, InvalidRequestError, None),
    "LiteLLM, resting": (other_servers.LITELLM_RESTING, RateLimitError, 5),
    "LiteLLM, nobody there": (other_servers.LITELLM_DOWN, UpstreamError, None),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal(voice: Voice, sim: Simulator, case: str) -> None:
    """It has the same class whether a stream was asked for or not, and says what it knows."""
    script, kind, wait = REFUSALS[case]
    sim.script(script, script)
    for verb in (voice.ask, voice.hear):
        with pytest.raises(kind) as caught:
            verb("Hi")
        error = caught.value
        assert isinstance(error, ContextOverflowError) == (kind is ContextOverflowError)
        assert (error.status, error.retry_after) == (script.status, wait)
        assert error.transient is kind.transient
        assert script.json["error"]["message"] in error.message
