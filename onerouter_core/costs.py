"""What was spent, on which model and upstream, and a budget that stops the next call.

This module knows replies and money. It knows no framework and sends nothing. Money is Decimal:
a cost is what the gateway said, digit by digit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from onerouter_core.errors import BudgetExceededError
from onerouter_core.values import Reply, Usage


@dataclass(frozen=True, slots=True)
class Entry:
    """One reply: when, who answered, tokens, USD (None if the gateway did not say), seconds."""

    time: datetime
    model: str | None
    provider: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost: Decimal | None
    seconds: float
    first_token: float | None
    attempts: int
    id: str | None

    @classmethod
    def of(cls, reply: Reply, seconds: float, first_token: float | None = None) -> Entry:
        """Return the entry for a reply; `first_token` is in seconds after the request."""
        usage = reply.usage or Usage()
        return cls(
            time=datetime.now(timezone.utc),
            model=reply.model,
            provider=reply.provider,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens or 0,
            reasoning_tokens=usage.reasoning_tokens or 0,
            cost=None if reply.cost is None else Decimal(str(reply.cost)),
            seconds=seconds,
            first_token=first_token,
            attempts=reply.attempts,
            id=reply.id,
        )


class Ledger:
    """A list of what every call cost; give the same one to as many models as you like.

    Safe across threads and event loops. A copied model shares its ledger; a pickled one has a copy
    of it, to be merged back.
    """

    def __init__(self, budget_usd: Decimal | float | str | None = None) -> None:
        """Begin empty; with a budget in USD, no call begins once it is spent."""
        self.budget_usd = None if budget_usd is None else Decimal(str(budget_usd))
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was booked, in order."""
        with self._lock:
            return tuple(self._entries)

    @property
    def spent(self) -> Decimal:
        """USD so far."""
        return sum((entry.cost or Decimal(0) for entry in self.entries), Decimal(0))

    def totals(self, key: Callable[[Entry], Any]) -> dict[Any, Decimal]:
        """Return the USD spent by any key of an entry, such as `lambda entry: entry.model`."""
        totals: dict[Any, Decimal] = {}
        for entry in self.entries:
            totals[key(entry)] = totals.get(key(entry), Decimal(0)) + (entry.cost or Decimal(0))
        return totals

    def check(self) -> None:
        """Raise BudgetExceededError if nothing is left."""
        if self.budget_usd is not None and self.spent >= self.budget_usd:
            raise BudgetExceededError(
                f"The budget of {self.budget_usd} USD is spent ({self.spent} USD)."
            )

    def book(self, entry: Entry) -> None:
        """Add an entry."""
        with self._lock:
            self._entries.append(entry)

    def merge(self, other: Ledger) -> None:
        """Add the entries of another ledger, as of another process."""
        added = other.entries
        with self._lock:
            self._entries.extend(added)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger):
            return NotImplemented
        return (self.budget_usd, self.entries) == (other.budget_usd, other.entries)

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {"budget_usd": self.budget_usd, "_entries": list(self.entries)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())
