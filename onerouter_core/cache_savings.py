"""Savings of prompt caching: the price of the cached tokens of a reply without a cache.

The parts of the cost that the gateway reports give them; else they are estimated from the list
price, with Anthropic's factors (the gateway's page on prompt caching). Money is USD.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from onerouter_core.types import Reply, Request, Tool, Usage
from onerouter_core.wire.cache_costs import decode_cache_costs

_READ, _WRITE_5M, _WRITE_1H = Decimal("0.1"), Decimal("1.25"), Decimal(2)
_DIGITS = 12  # a part of the cost, divided by tokens, may have digits without end


class CacheSavings(NamedTuple):
    """Savings of one reply."""

    usd: Decimal | None = None
    """USD that caching saved; below 0 if writing cost more than reading saved. None: unknown."""

    estimated: bool = False
    """Whether the savings are estimated from the list price."""


def cache_savings(
    reply: Reply, input_price: Decimal | None, *, for_an_hour: bool = False
) -> CacheSavings:
    """Return what caching saved in a reply.

    Args:
        reply: the reply.
        input_price: list price of a prompt token in USD. None: unknown.
        for_an_hour: whether writes are for an hour, which costs more; only for an estimate.

    """
    usage = reply.usage or Usage()
    read, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    if usage.cached_tokens is None and usage.cache_write_tokens is None:
        return CacheSavings()
    if not (read or written):
        return CacheSavings(Decimal(0))
    if (reported := _reported(reply, usage.input_tokens, read, written)) is not None:
        return CacheSavings(_rounded(reported))
    if input_price is None:
        return CacheSavings()
    write = _WRITE_1H if for_an_hour else _WRITE_5M
    saved = (read * (1 - _READ) + written * (1 - write)) * input_price
    return CacheSavings(_rounded(saved), estimated=True)


def _reported(reply: Reply, total: int | None, read: int, written: int) -> Decimal | None:
    """Return the savings by the reported parts of the cost; None if they do not tell them.

    The tokens that were neither read nor written tell the price of a token, discounts included.
    """
    costs = decode_cache_costs(reply.cost_details or {})
    plain = (total or 0) - read - written
    is_told = costs.prompt and (costs.read or not read) and (costs.write or not written)
    if plain <= 0 or not is_told:
        return None
    return (read + written) * costs.prompt / plain - costs.read - costs.write


def _rounded(usd: Decimal) -> Decimal:
    return round(usd, _DIGITS).normalize() + 0  # no negative zero


def caches_for_an_hour(request: Request) -> bool:
    """Tell whether a request asks for a cache that lives for an hour."""
    if request.parameters.get("cache_prompt") == "1h":
        return True
    parts = [part.cache for message in request.messages for part in message.parts]
    tools = [tool.cache for tool in request.tools if isinstance(tool, Tool)]
    return any(cache is not None and cache.ttl == "1h" for cache in [*parts, *tools])
