"""Routing: fallback models, provider preferences, and models that cannot serve."""

from __future__ import annotations

import pytest

from onerouter_simulator.errors import RejectedError
from onerouter_simulator.routing import select_model, select_provider
from tests.simulator.conftest import JSON, Complete, Post


def test_the_preferred_provider_serves_at_its_price(complete: Complete) -> None:
    """The first of `provider.order` is in the reply and sets the cost."""
    preference = {"order": ["simulated/us", "b"]}
    reply = complete("x" * 4000, model="simulated/senses", provider=preference)
    assert reply["provider"] == "simulated/us"
    assert reply["cost_details"]["prompt_cost"] == 1004 * 0.65 / 1_000_000


@pytest.mark.parametrize(
    ("preferences", "model", "provider"),
    [
        ({"only": ["z"], "order": ["a"]}, "simulated/senses", "z"),
        ({"order": ["a", "b"]}, "simulated/senses", "a"),
        ({"order": []}, "simulated/senses", "simulated/cn/flex"),
        ({}, "simulated/embedding", "simulated/eu"),
        ({}, "not/in-the-catalog", "simulated/eu"),
    ],
)
def test_only_is_preferred_to_order_and_order_to_the_catalog(
    preferences: JSON, model: str, provider: str
) -> None:
    """A model without providers in the catalog is served by the default provider."""
    assert select_provider({"provider": preferences}, model) == provider


def test_a_dead_model_fails_over_to_the_first_available_fallback(complete: Complete) -> None:
    """The reply has the fallback model; an available model does not use its fallbacks."""
    fallbacks = ["simulated/dead-too", "unknown/one", "simulated/echo", "x/y"]
    reply = complete("Hi", model="simulated/dead-upstream", fallback_models=fallbacks)
    assert reply["model"] == "simulated/echo"
    assert complete("Hi", model="x/y", fallback_models=fallbacks)["model"] == "x/y"


@pytest.mark.parametrize("model", ["claude-3-5-sonnet@20240620", "google/nano/text", "bare"])
def test_any_other_model_id_is_served(complete: Complete, model: str) -> None:
    """Model ids come with a version, with several slashes, or with none."""
    assert complete("Hi", model=model)["model"] == model


def test_an_unknown_model_is_a_503(post: Post) -> None:
    """The error has the gateway's message and type."""
    reply = post(model="unknown/model")
    assert reply.status_code == 503
    error = reply.json()["error"]
    assert error["message"].startswith("No available providers for model unknown/model (request id")
    assert error["type"] == "infron_ai_error"


def test_a_dead_model_without_an_available_fallback_is_a_502(post: Post) -> None:
    """The body is plain text, and the error is that of the model, not of the fallback."""
    reply = post(model="simulated/dead-upstream", fallback_models=["unknown/model"])
    assert reply.status_code == 502
    assert reply.headers["content-type"].startswith("text/plain")
    assert "simulated/dead-upstream" in reply.text


def test_select_model_raises_the_error_of_the_first_model() -> None:
    """The errors of the fallbacks are not raised."""
    with pytest.raises(RejectedError, match="unknown/a") as caught:
        select_model({"model": "unknown/a", "fallback_models": ["simulated/dead"]})
    assert caught.value.status == 503
