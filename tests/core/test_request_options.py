"""Request options that are objects: their names in the API, unknown keys, and descriptions."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from onerouter_core import (
    FallbackRule,
    FallbackRules,
    Percentiles,
    ProviderRouting,
    Reasoning,
    UserLocation,
    WebSearchOptions,
)

OPTIONS = [
    *(FallbackRule, FallbackRules, Percentiles, ProviderRouting, Reasoning, UserLocation),
    WebSearchOptions,
]


@pytest.mark.parametrize(
    ("options", "given", "encoded"),
    [
        (
            ProviderRouting,
            {"order": ["alibaba/cn/flex"], "allow_fallbacks": False, "max_price": {"prompt": 1}},
            None,
        ),
        (ProviderRouting, {"sort": "ttft", "preferred_max_latency": {"p50": 2.0, "p42": 1}}, None),
        (ProviderRouting, {"sort": {"by": "price"}, "preferred_min_throughput": 5.0}, None),
        (Reasoning, {"effort": "low", "summary": "auto"}, None),
        (
            WebSearchOptions,
            {"user_location": {"city": "Bern"}},
            {"user_location": {"type": "approximate", "city": "Bern"}},
        ),
        (
            FallbackRules,
            {"error_code": {"hint_array": [503]}, "Latency": {"hint_threshold": 500.0}},
            {
                "error_code": {"hint_array": [503], "action": "fallback"},
                "Latency": {"hint_threshold": 500.0, "action": "fallback"},
            },
        ),
        (
            FallbackRules,
            {"ttft": {"hint_threshold": 1.0, "x": 0}},
            {"TTFT": {"hint_threshold": 1.0, "action": "fallback", "x": 0}},
        ),
    ],
)
def test_to_dict_has_the_names_of_the_api_and_unknown_keys(
    options: Any, given: Any, encoded: Any
) -> None:
    """Options that are not set are left out."""
    assert options(**given).to_dict() == (given if encoded is None else encoded)


@pytest.mark.parametrize("name", ["latency", "ttft", "tpm", "rpm"])
def test_a_fallback_rule_can_be_given_by_both_names(name: str) -> None:
    """By the name of the field, and by the name in the API."""
    in_api = "Latency" if name == "latency" else name.upper()
    rule = FallbackRule(hint_threshold=5)
    assert FallbackRules(**{name: rule}) == FallbackRules(**{in_api: rule})
    assert FallbackRules(**{name: rule}).to_dict() == {in_api: rule.to_dict()}


def test_reasoning_max_tokens_is_at_least_one() -> None:
    """The API has no reasoning of no tokens."""
    assert Reasoning(max_tokens=1).max_tokens == 1
    with pytest.raises(ValidationError, match="max_tokens"):
        Reasoning(max_tokens=0)


def test_a_validation_error_does_not_quote_the_input() -> None:
    """It may be secret."""
    with pytest.raises(ValidationError) as caught:
        ProviderRouting(data_collection="a-secret")  # type: ignore[arg-type]
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize("options", OPTIONS)
def test_every_option_has_a_description(options: type[BaseModel]) -> None:
    """Editors and the reference show it."""
    assert all(field.description for field in options.model_fields.values())
