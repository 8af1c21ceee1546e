"""Suggestions for an argument that no field has the name of."""

from __future__ import annotations

import pytest

from onerouter_core import GatewayFields
from onerouter_core.suggestions import suggestion

NAMES = set(GatewayFields.model_fields)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("temperatur", "temperature"),
        ("max_token", "max_tokens"),
        ("apikey", "api_key"),
        # names of the same argument in other classes
        ("api_base", "base_url"),
        ("openai_api_key", "api_key"),
        ("async_http_client", "http_async_client"),
        ("fallbacks", "fallback_models"),
        ("max_completion_tokens", "max_tokens"),
        ("model_name", "model"),
        ("openrouter_provider", "provider"),
        ("request_timeout", "timeout"),
    ],
)
def test_a_known_or_similar_name_is_answered_with_the_field(name: str, expected: str) -> None:
    """A misspelt name, and the name that other frameworks give to the same argument."""
    assert suggestion(name, NAMES) == f" Did you mean {expected!r}?"


@pytest.mark.parametrize("name", ["zzz", "top_k", "repetition_penalty", "model_kwargs"])
def test_a_name_without_a_field_is_answered_with_extra_body(name: str) -> None:
    """Also a name that resembles a field, top_p for example, and means another parameter."""
    assert "extra_body" in suggestion(name, NAMES)
    assert "Did you mean" not in suggestion(name, NAMES)


def test_a_suggestion_is_one_of_the_given_names() -> None:
    """The names are those of the class that was called."""
    assert suggestion("colr", {"colour", "size"}) == " Did you mean 'colour'?"
