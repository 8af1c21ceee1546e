"""Costs of a prompt's tokens, read from the parts of a reply's cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from onerouter_core.wire.cache_costs import decode_cache_costs


@pytest.mark.parametrize(
    ("details", "costs"),
    [
        (
            {"prompt_cost": 0.1, "prompt_cache_read_cost": 0.2, "prompt_cache_write_cost": 0.3},
            ("0.1", "0.2", "0.3"),
        ),
        ({"prompt_cache_write_5_min": 0.1, "prompt_cache_write_1_h": 0.2}, ("0", "0", "0.3")),
        (
            {"prompt_cache_write_cost": 0.3, "prompt_cache_write_1_h": 0.3},
            ("0", "0", "0.3"),
        ),
        (
            {"input_prompt_cost": 1, "cache_prompt_cost": 2, "cache_write_cost": 3},
            ("1", "2", "3"),
        ),
        ({"prompt_cost": 5e-7}, ("5E-7", "0", "0")),
        ({"prompt_cost": "0.5"}, ("0.5", "0", "0")),
        ({"prompt_cost": None, "prompt_cache_read_cost": -1}, ("0", "0", "0")),
        ({}, ("0", "0", "0")),
    ],
)
def test_costs_under_their_names(details: Any, costs: tuple[str, ...]) -> None:
    """The whole of the writes goes before its parts; other values count as not reported."""
    assert decode_cache_costs(details) == tuple(map(Decimal, costs))
