"""Entry of a ledger: what one reply has cost.

Amounts of money are Decimal: the cost that the gateway reports, digit by digit, or an estimate that
is marked as one. This module knows replies and prices.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from pydantic import ConfigDict
from typing_extensions import Self

from onerouter_core.cache_savings import cache_savings
from onerouter_core.types import ModelInfo, Reply, Usage


class Prices(Protocol):
    """Price list, such as a `Catalog`."""

    def get(self, model_id: str) -> ModelInfo | None:
        """Return the entry of a model. None: it is not listed."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Ledger entry of one reply."""

    # For `from_rows`; NaN seconds would make every sum of them NaN.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    time: datetime
    """Time at which the reply was complete, in UTC."""

    model: str | None
    """Model that answered; the requested one if the reply names none."""

    provider: str | None
    """Upstream provider that served the request."""

    input_tokens: int
    """Tokens of the prompt; 0 if the gateway did not report them."""

    output_tokens: int
    """Tokens of the answer, reasoning included; 0 as for input_tokens."""

    cached_tokens: int
    """Input tokens that were read from the prompt cache."""

    cache_write_tokens: int
    """Input tokens that were written to the prompt cache."""

    reasoning_tokens: int
    """Output tokens of reasoning."""

    cost: Decimal | None
    """Cost in USD. None: the gateway did not report it, and no price is known to estimate it."""

    estimated: bool
    """Whether `cost` was estimated from the price list, without cache discounts."""

    partial: bool
    """Whether the reply is incomplete: the call failed, or the stream was not read to its end."""

    seconds: float
    """Seconds from the last request of the call to the end of the reply."""

    first_token: float | None
    """Seconds from the last request of the call to the first delta. None: not a stream."""

    attempts: int
    """Number of requests that the call has sent, retries included."""

    id: str | None
    """Generation id."""

    cache_savings: Decimal | None = None
    """USD that prompt caching saved: the price of the cached tokens without it, minus their real
    price; below 0 if writing cost more. None: unknown."""

    cache_savings_estimated: bool = False
    """Whether `cache_savings` was estimated from the price list, as the cost has no parts that tell
    it: reading at 0.1 of the input price, writing at 1.25 (5 minutes) or 2 (1 hour)."""

    @classmethod
    def of(  # noqa: PLR0913 -- all but two are optional
        cls,
        reply: Reply,
        seconds: float,
        first_token: float | None = None,
        *,
        partial: bool = False,
        prices: Prices | None = None,
        hour_cache: bool = False,
    ) -> Self:
        """Return the entry of a reply.

        Args:
            reply: the reply.
            seconds: seconds from the request to the end of the reply.
            first_token: seconds from the request to the first delta. None: not a stream.
            partial: whether the reply is incomplete.
            prices: price list to estimate the cost that the reply does not report.
            hour_cache: whether prompts are cached for an hour; only to estimate the savings.

        """
        usage = reply.usage or Usage()
        return cls(
            time=datetime.now(timezone.utc),
            model=reply.model,
            provider=reply.provider,
            input_tokens=usage.input_tokens or 0,
            output_tokens=usage.output_tokens or 0,
            cached_tokens=usage.cached_tokens or 0,
            cache_write_tokens=usage.cache_write_tokens or 0,
            reasoning_tokens=usage.reasoning_tokens or 0,
            partial=partial,
            seconds=seconds,
            first_token=first_token,
            attempts=reply.attempts,
            id=reply.id,
            **_amounts(reply, prices, hour_cache=hour_cache),
        )

    @property
    def billed(self) -> Decimal:
        """Cost in USD; 0 if it is unknown or negative, as a negative one must give nothing back."""
        is_billed = self.cost is not None and self.cost.is_finite() and self.cost > 0
        return self.cost if is_billed and self.cost is not None else Decimal(0)

    @property
    def tokens(self) -> int:
        """Tokens of prompt and answer."""
        return self.input_tokens + self.output_tokens

    def to_row(self) -> dict[str, Any]:
        """Return the entry as a JSON object: time in ISO 8601, amounts of money as strings."""
        row = asdict(self) | {"time": self.time.isoformat()}
        amounts = {"cost": self.cost, "cache_savings": self.cache_savings}
        return row | {n: None if usd is None else str(usd) for n, usd in amounts.items()}


def _amounts(reply: Reply, prices: Prices | None, *, hour_cache: bool) -> dict[str, Any]:
    """Return the amounts of money of an entry; a price is only looked up where one is needed."""
    usage = reply.usage or Usage()
    is_cached = bool(usage.cached_tokens or usage.cache_write_tokens)
    needs_price = reply.cost is None or is_cached  # to look up an id that is not listed takes long
    listed = prices.get(reply.model or "") if prices is not None and needs_price else None
    estimate = _estimate(usage, token_prices(listed)) if reply.cost is None else None
    price = None if listed is None else listed.input_price
    savings = cache_savings(reply, price, for_an_hour=hour_cache)
    return {
        "cost": estimate if reply.cost is None else Decimal(str(reply.cost)),
        "estimated": estimate is not None,
        "cache_savings": savings.usd,
        "cache_savings_estimated": savings.estimated,
    }


def token_prices(listed: ModelInfo | None) -> tuple[Decimal, Decimal] | None:
    """Return the list prices of a token of prompt and answer in USD; None if one is unknown."""
    if listed is None or listed.input_price is None or listed.output_price is None:
        return None
    return listed.input_price, listed.output_price


def _estimate(usage: Usage, prices: tuple[Decimal, Decimal] | None) -> Decimal | None:
    """Return the cost in USD at list prices. None: usage or a price is unknown."""
    if prices is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens * prices[0] + usage.output_tokens * prices[1]
