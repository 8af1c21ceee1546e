"""Token counts under the names of all gateways."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core.types import Usage
from onerouter_core.wire.usage import decode_usage

TOTALS = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (TOTALS, (9, 2, 11)),
        ({"input_tokens": 9, "output_tokens": 2}, (9, 2, 11)),
        ({"input_tokens": 0, "output_tokens": 0, **TOTALS}, (9, 2, 11)),
        ({"prompt_tokens": "9", "completion_tokens": 2.0}, (9, 2, 11)),
        ({"prompt_tokens": 9}, (9, None, None)),
        ({"total_tokens": 11}, (None, None, 11)),
        ({"prompt_tokens": -1, "completion_tokens": "x"}, (None, None, None)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (0, 0, 0)),
        ({"cost": 1}, (None, None, None)),
    ],
)
def test_totals(usage: dict[str, Any], counts: tuple[int | None, ...]) -> None:
    """A missing count is None, never 0; the total needs both counts."""
    decoded = decode_usage(usage)
    assert (decoded.input_tokens, decoded.output_tokens, decoded.total_tokens) == counts


@pytest.mark.parametrize(
    ("usage", "read", "written"),
    [
        ({}, None, None),
        ({"prompt_tokens_cache_read": 4, "prompt_tokens_cache_write": 3}, 4, 3),
        ({"cache_read_input_tokens": 4, "cache_creation_input_tokens": 3}, 4, 3),
        ({"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5}, 4, None),
        ({"cached_tokens": 4}, 4, None),
        ({"prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}}, 4, 3),
        ({"prompt_tokens_details": {"cached_tokens": 4, "cache_creation_tokens": 3}}, 4, 3),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 4}, 4, None),
        ({"prompt_tokens_details": None, "input_tokens_details": {"cached_tokens": 4}}, 4, None),
        ({"prompt_tokens_details": {"cached_tokens": 0}}, 0, None),
    ],
)
def test_tokens_of_the_prompt_cache(
    usage: dict[str, Any], read: int | None, written: int | None
) -> None:
    """They are parts of the prompt's tokens."""
    decoded = decode_usage({**TOTALS, **usage})
    assert (decoded.cached_tokens, decoded.cache_write_tokens) == (read, written)
    assert decoded.input_tokens == 9


@pytest.mark.parametrize(("total", "expected"), [(None, 16), (18, 16), (11, 9)])
def test_anthropics_input_tokens_are_without_the_cache(total: int | None, expected: int) -> None:
    """Unless the total tells that a gateway has added it."""
    usage = {"input_tokens": 9, "output_tokens": 2, "total_tokens": total}
    cache = {"cache_read_input_tokens": 4, "cache_creation_input_tokens": 3}
    assert decode_usage({**usage, **cache}).input_tokens == expected


@pytest.mark.parametrize(
    "usage",
    [
        {"completion_tokens_details": {"reasoning_tokens": 5}},
        {"output_tokens_details": {"reasoning_tokens": 5}},
        {"reasoning_tokens": 5},
    ],
)
def test_tokens_of_reasoning(usage: dict[str, Any]) -> None:
    """They are in the details, or beside the totals."""
    assert decode_usage(usage).reasoning_tokens == 5


def test_no_counts_are_unknown_counts() -> None:
    """An empty usage has no zero in it."""
    assert decode_usage({}) == Usage()
