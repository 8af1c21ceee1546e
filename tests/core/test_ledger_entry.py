"""Entries of a ledger: tokens, costs and estimates of one reply."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from onerouter_core import LedgerEntry, Reply, Usage


def new_entry(cost: Any = None, **fields: Any) -> LedgerEntry:
    """Return the entry of a reply with these fields."""
    return LedgerEntry.of(Reply(cost=cost, **fields), seconds=1.0)


def test_an_entry_without_usage_has_zero_tokens() -> None:
    """So has an entry whose usage lacks a detail."""
    entry = new_entry()
    assert (entry.input_tokens, entry.cached_tokens, entry.reasoning_tokens) == (0, 0, 0)
    assert new_entry(usage=Usage(input_tokens=3)).cached_tokens == 0


@pytest.mark.parametrize(
    ("cost", "billed"),
    [(0.1, "0.1"), ("5E-7", "5E-7"), (None, "0"), (0, "0"), (-1, "0"), ("NaN", "0"), ("inf", "0")],
)
def test_only_a_cost_above_zero_is_billed(cost: Any, billed: str) -> None:
    """What a server says wrongly gives nothing back."""
    assert new_entry(cost).billed == Decimal(billed)


def test_tokens_are_those_of_prompt_and_answer() -> None:
    """Cached and reasoning tokens are among them."""
    usage = Usage(input_tokens=3, output_tokens=5, cached_tokens=2, reasoning_tokens=4)
    assert new_entry(usage=usage).tokens == 8
