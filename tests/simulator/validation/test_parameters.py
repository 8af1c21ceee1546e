"""Validation of parameters: types, ranges, and the text of the errors."""

from __future__ import annotations

import httpx
import pytest

from tests.simulator.conftest import JSON, Post
from tests.simulator.validation.conftest import (
    USER,
    rejected_param,
)

REJECTED: dict[str, tuple[JSON, str]] = {
    "model-type": ({"model": 7}, "model"),
    "model-empty": ({"model": ""}, "model"),
    "model-spaces": ({"model": "a model"}, "model"),
    "temperature-high": ({"temperature": 2.1}, "temperature"),
    "temperature-low": ({"temperature": -0.1}, "temperature"),
    "temperature-text": ({"temperature": "1"}, "temperature"),
    "temperature-true": ({"temperature": True}, "temperature"),
    "temperature-null": ({"temperature": None}, "temperature"),
    "top_p": ({"top_p": 1.01}, "top_p"),
    "frequency_penalty": ({"frequency_penalty": -2.5}, "frequency_penalty"),
    "presence_penalty": ({"presence_penalty": 2.5}, "presence_penalty"),
    "max_tokens-zero": ({"max_tokens": 0}, "max_tokens"),
    "max_tokens-fraction": ({"max_tokens": 1.5}, "max_tokens"),
    "max_tokens-true": ({"max_tokens": True}, "max_tokens"),
    "max_completion_tokens": ({"max_completion_tokens": 0}, "max_completion_tokens"),
    "stream": ({"stream": "yes"}, "stream"),
    "stop-null": ({"stop": None}, "stop"),
    "stop-empty": ({"stop": ""}, "stop"),
    "stop-numbers": ({"stop": [1]}, "stop"),
    "seed": ({"seed": 1.5}, "seed"),
    "n": ({"n": 0}, "n"),
    "logprobs": ({"logprobs": 1}, "logprobs"),
    "top_logprobs-alone": ({"top_logprobs": 2}, "top_logprobs"),
    "top_logprobs-many": ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    "logit_bias": ({"logit_bias": {"1": 101}}, "logit_bias"),
    "logit_bias-list": ({"logit_bias": [1]}, "logit_bias"),
    "user": ({"user": 7}, "user"),
    "parallel_tool_calls": ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    "usage": ({"usage": True}, "usage"),
    "usage-include": ({"usage": {"include": "yes"}}, "usage.include"),
    "stream_options": ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    "modalities": ({"modalities": ["smell"]}, "modalities"),
    "audio": ({"audio": "alloy"}, "audio"),
    "reasoning": ({"reasoning": "high"}, "reasoning"),
    "reasoning-effort": ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
    "reasoning-tokens": ({"reasoning": {"max_tokens": 0}}, "reasoning.max_tokens"),
    "provider": ({"provider": "openai"}, "provider"),
    "provider-order": ({"provider": {"order": "openai"}}, "provider.order"),
    "provider-sort": ({"provider": {"sort": 1}}, "provider.sort"),
    "provider-tier": ({"provider": {"service_tier": "gold"}}, "provider.service_tier"),
    "fallback_models": ({"fallback_models": "a/b"}, "fallback_models"),
    "fallback_rules": ({"fallback_rules": "never"}, "fallback_rules"),
    "web-size": (
        {"web_search_options": {"search_context_size": "huge"}},
        "web_search_options.search_context_size",
    ),
    "web-location": (
        {"web_search_options": {"user_location": {"city": "Rome"}}},
        "web_search_options.user_location.type",
    ),
    "web-country": (
        {"web_search_options": {"user_location": {"type": "approximate", "country": "Italy"}}},
        "web_search_options.user_location.country",
    ),
}


@pytest.mark.parametrize(("body", "param"), REJECTED.values(), ids=REJECTED)
def test_a_parameter_out_of_its_range_is_rejected(post: Post, body: JSON, param: str) -> None:
    """The error is a 400 with the gateway's body and the path of the parameter."""
    assert rejected_param(post(**body)) == param


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"temperature": 3}, "Invalid value for temperature: 3 is not a number from 0 to 2"),
        ({"n": 0}, "Invalid value for n: 0 is not an integer from 1 to 128"),
        ({"max_tokens": 0}, "Invalid value for max_tokens: 0 is not an integer of at least 1"),
        ({"seed": "1"}, "Invalid value for seed: '1' is not an integer"),
        (
            {"provider": {"sort": 1}},
            "Invalid value for provider.sort: 1 is not a non-empty string or an object",
        ),
        ({"provider": 1}, "Invalid value for provider: 1 is not an object"),
    ],
)
def test_the_error_message_has_the_value_and_the_constraint(
    post: Post, body: JSON, message: str
) -> None:
    """The path of the parameter, the value, and the values that are allowed."""
    assert post(**body).json()["error"]["message"].startswith(f"{message} (request id: ")


@pytest.mark.parametrize(
    ("body", "name"), [({"model": "a/b"}, "messages"), ({"messages": [USER]}, "model")]
)
def test_a_missing_parameter_is_named(http: httpx.Client, body: JSON, name: str) -> None:
    """Model and messages are required."""
    reply = http.post("/chat/completions", json=body)
    assert rejected_param(reply) == name
    assert f"Missing required parameter: {name}" in reply.json()["error"]["message"]


ALLOWED: dict[str, JSON] = {
    "everything": {
        "temperature": 0,
        "top_p": 1,
        "frequency_penalty": -2,
        "presence_penalty": 2.0,
        "max_tokens": 1,
        "stop": [],
        "seed": -1,
        "logit_bias": {"50256": -100},
        "user": "",
        "parallel_tool_calls": True,
        "usage": {"include": True, "more": 1},
        "fallback_rules": {"error_code": {"hint_array": [500], "action": "fallback"}},
        "provider": {"sort": {"by": "ttft"}, "preferred_max_latency": 2.5, "unknown": 1},
        "web_search_options": {"search_context_size": "low"},
    },
    "unknown-key": {"unknown_key": None},
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_parameters_within_their_ranges_are_allowed(post: Post, body: JSON) -> None:
    """Limits are included, and keys that the API page does not have are allowed."""
    reply = post(**body)
    assert reply.status_code == 200, reply.text
