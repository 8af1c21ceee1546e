"""Usage and cost: tokens of prompts and answers, and prices of the catalog."""

from __future__ import annotations

import pytest

from onerouter_simulator.counting import count_tokens, find_prices
from tests.simulator.conftest import MULTIPLY, Complete, user_message

RECORDING = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_four_characters_are_one_token(text: str, tokens: int) -> None:
    """A started token counts."""
    assert count_tokens(text) == tokens


def test_usage_and_cost_of_a_reply(complete: Complete) -> None:
    """Usage has the gateway's keys; the cost is at the root, at the prices of the provider."""
    reply = complete("x" * 4000, model="simulated/senses")
    usage, details = reply["usage"], reply["cost_details"]
    assert usage["prompt_tokens"] == 1004
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert reply["provider"] == "simulated/cn/flex"
    assert details["prompt_cost"] == 1004 * 0.44695 / 1_000_000
    assert reply["cost"] == round(details["prompt_cost"] + details["completion_cost"], 6) > 0
    assert "cost" not in usage


def test_tools_and_media_are_prompt_tokens(complete: Complete) -> None:
    """Tool definitions and recordings add to the tokens of the text."""
    text_only = complete("Hi")["usage"]["prompt_tokens"]
    assert complete("Hi", tools=[MULTIPLY])["usage"]["prompt_tokens"] > text_only
    with_audio = complete([user_message("Hi", RECORDING)])["usage"]
    assert with_audio["prompt_tokens"] > text_only
    assert with_audio["prompt_tokens_details"]["audio_tokens"] > 0


def test_a_null_price_costs_nothing(complete: Complete) -> None:
    """An embedding model has no completion price."""
    reply = complete("Hi", model="simulated/embedding")
    assert reply["cost_details"]["completion_cost"] == 0


@pytest.mark.parametrize(
    ("model", "provider", "prices"),
    [
        ("simulated/senses", "simulated/us", (0.65, 3.41)),
        ("simulated/senses", "elsewhere", (0.44695, 1.85655)),
        ("simulated/embedding", "elsewhere", (0.5, 0)),
        ("not/in-the-catalog", "simulated/eu", (0.5, 1.5)),
    ],
)
def test_prices_are_those_of_the_provider_else_the_lowest(
    model: str, provider: str, prices: tuple[float, float]
) -> None:
    """Prices are in USD per million tokens: prompt, completion."""
    assert find_prices(model, provider) == prices
