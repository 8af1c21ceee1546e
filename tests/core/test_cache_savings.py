"""Savings of prompt caching: from the parts of the cost, or estimated from the list price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from onerouter_core import CacheControl, Message, Reply, Request, Text, Tool, Usage
from onerouter_core.cache_savings import CacheSavings, cache_savings, caches_for_an_hour

PRICE = Decimal("0.000003")
DETAILS = {"prompt_cost": 0.0003, "prompt_cache_read_cost": 0.0003}


def reply(read: int | None, written: int | None, **details: float) -> Reply:
    """Return a reply to a prompt of 100 tokens that were not cached, and others that were."""
    total = 100 + (read or 0) + (written or 0)
    usage = Usage(input_tokens=total, cached_tokens=read, cache_write_tokens=written)
    return Reply(usage=usage, cost_details=details or None)


@pytest.mark.parametrize(
    ("answer", "usd"),
    [
        (reply(1000, 0, **DETAILS), "0.0027"),
        (reply(0, 1000, prompt_cost=0.0003, prompt_cache_write_cost=0.00375), "-0.00075"),
        (reply(1000, 1000, **DETAILS, prompt_cache_write_cost=0.006), "-0.0003"),
        (reply(1000, None, **DETAILS), "0.0027"),
        (reply(3, 0, prompt_cost=0.0001, prompt_cache_read_cost=1e-7), "0.0000029"),
    ],
)
def test_the_parts_of_the_cost_tell_the_savings(answer: Reply, usd: str) -> None:
    """The list price does not matter then: discounts are in the parts."""
    expected = CacheSavings(Decimal(usd), estimated=False)
    assert cache_savings(answer, None) == cache_savings(answer, Decimal(7)) == expected


@pytest.mark.parametrize(
    ("details"),
    [
        {},
        {"prompt_cost": 0.0003},
        {"prompt_cache_read_cost": 0.0003},
        {"prompt_cost": 0.0, "prompt_cache_read_cost": 0.0},
        {"prompt_cost": -1.0, "prompt_cache_read_cost": 0.0003},
    ],
)
def test_parts_that_do_not_tell_it_leave_an_estimate(details: Any) -> None:
    """Without a price it is unknown."""
    answer = reply(1000, 0, **details)
    assert cache_savings(answer, PRICE) == (Decimal("0.0027"), True)
    assert cache_savings(answer, None) == (None, False)


@pytest.mark.parametrize(
    ("read", "written", "hour", "usd"),
    [
        (1000, 0, False, "0.0027"),
        (0, 1000, False, "-0.00075"),
        (0, 1000, True, "-0.003"),
        (1000, 1000, True, "-0.0003"),
        (None, 1000, False, "-0.00075"),
    ],
)
def test_an_estimate_has_the_prices_of_anthropic(
    read: Any, written: Any, hour: bool, usd: str
) -> None:
    """Reading costs 0.1 of the price of a token, writing 1.25 or 2."""
    savings = cache_savings(reply(read, written), PRICE, for_an_hour=hour)
    assert savings == (Decimal(usd), True)


def test_a_prompt_that_was_cached_entirely_has_an_estimate() -> None:
    """No token tells the price."""
    usage = Usage(input_tokens=1000, cached_tokens=1000)
    answer = Reply(usage=usage, cost_details=DETAILS)
    assert cache_savings(answer, PRICE) == (Decimal("0.0027"), True)


@pytest.mark.parametrize("answer", [reply(0, 0), reply(0, None), reply(0, 0, prompt_cost=1.0)])
def test_without_cached_tokens_nothing_is_saved(answer: Reply) -> None:
    """That is known."""
    assert cache_savings(answer, PRICE) == (Decimal(0), False)


@pytest.mark.parametrize("answer", [Reply(), Reply(usage=Usage(input_tokens=3)), reply(None, None)])
def test_unknown_counts_have_unknown_savings(answer: Reply) -> None:
    """None is not 0."""
    assert cache_savings(answer, PRICE) == (None, False)


HOUR, SHORT = CacheControl("1h"), CacheControl("5m")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request("m", (), parameters={"cache_prompt": "1h"}), True),
        (Request("m", (Message("user", (Text("a"), Text("b", HOUR))),)), True),
        (Request("m", (), (Tool("t", cache=HOUR),)), True),
        (Request("m", (Message("user", (Text("b", SHORT),)),), ({"type": "t"},)), False),
        (Request("m", (), parameters={"cache_prompt": True}), False),
    ],
)
def test_caches_for_an_hour(request_: Request, expected: bool) -> None:
    """By the field, or by a mark of the user."""
    assert caches_for_an_hour(request_) is expected
