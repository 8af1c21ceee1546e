"""Costs of cached and other tokens of a prompt, decoded from the parts of a reply's cost."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from onerouter_core.types import Json
from onerouter_core.wire.coerce import as_number

# The gateway's names; then those of its earlier replies.
_PROMPT = ("prompt_cost", "input_prompt_cost")
_READ = ("prompt_cache_read_cost", "cache_prompt_cost")
_WRITE = ("prompt_cache_write_cost", "cache_write_cost")
_WRITE_PARTS = ("prompt_cache_write_5_min", "prompt_cache_write_1_h")


class CacheCosts(NamedTuple):
    """Costs in USD, discounts deducted; 0 for one that is not reported."""

    prompt: Decimal
    """Prompt tokens that were neither read from the cache nor written to it."""

    read: Decimal
    """Tokens that were read."""

    write: Decimal
    """Tokens that were written."""


def decode_cache_costs(details: Json) -> CacheCosts:
    """Return the costs of a prompt; negative numbers count as not reported."""
    write = _first(details, *_WRITE) or sum(_first(details, name) for name in _WRITE_PARTS)
    return CacheCosts(_first(details, *_PROMPT), _first(details, *_READ), Decimal(write))


def _first(details: Json, *names: str) -> Decimal:
    """Return the cost under the first name that has one above 0."""
    numbers = (as_number(details.get(name)) for name in names)
    return next((Decimal(str(n)) for n in numbers if n is not None and n > 0), Decimal(0))
