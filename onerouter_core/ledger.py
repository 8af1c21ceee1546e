"""What was spent, on which model and upstream, and a budget that stops the next call.

This module knows replies, prices and money. It knows no framework and sends nothing. Money is
Decimal: a cost is what the gateway said, digit by digit, or an estimate that says it is one.
"""

from __future__ import annotations

import csv
import json
import threading
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import Self

from onerouter_core.errors import BudgetExceededError, ConfigurationError, format_validation_errors
from onerouter_core.html_table import to_html
from onerouter_core.types import ModelInfo, Reply, Usage

_ZERO = Decimal(0)


class Prices(Protocol):
    """Where prices are looked up: a `Catalog`."""

    def get(self, model_id: str) -> ModelInfo | None:
        """Return what is known of a model."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One reply: when, who answered, tokens, USD, seconds.

    `cost` is None if neither the gateway nor a catalogue knows; `estimated` if only the latter.
    `partial` is of a reply that broke off, or that nobody read to its end: what was known then.
    """

    # For rows that come back.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    time: datetime
    model: str | None
    provider: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: Decimal | None
    estimated: bool
    partial: bool
    seconds: float
    first_token: float | None
    attempts: int
    id: str | None

    @classmethod
    def of(
        cls,
        reply: Reply,
        seconds: float,
        first_token: float | None = None,
        *,
        partial: bool = False,
        prices: Prices | None = None,
    ) -> LedgerEntry:
        """Return the entry for a reply; `first_token` is in seconds after the request."""
        usage = reply.usage or Usage()
        value = None if reply.cost is None else Decimal(str(reply.cost))
        guessed = _estimate(reply, prices) if value is None else None
        return cls(
            time=datetime.now(timezone.utc),
            model=reply.model,
            provider=reply.provider,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens or 0,
            cache_write_tokens=usage.cache_write_tokens or 0,
            reasoning_tokens=usage.reasoning_tokens or 0,
            cost=value if value is not None else guessed,
            estimated=guessed is not None,
            partial=partial,
            seconds=seconds,
            first_token=first_token,
            attempts=reply.attempts,
            id=reply.id,
        )

    def to_row(self) -> dict[str, Any]:
        """Return the entry as JSON has it: the time in ISO 8601, money as a string."""
        row = asdict(self) | {"time": self.time.isoformat()}
        return row | {"cost": None if self.cost is None else str(self.cost)}


def _estimate(reply: Reply, prices: Prices | None) -> Decimal | None:
    """Return what the tokens cost at the listed prices, if all that is known; no cache discount."""
    listed = prices.get(reply.model or "") if prices is not None else None
    if listed is None or listed.input_price is None or listed.output_price is None:
        return None
    if reply.usage is None:
        return None
    spent = reply.usage.input_tokens * listed.input_price
    return spent + reply.usage.output_tokens * listed.output_price


class Ledger:
    """A list of what every call cost; give the same one to as many models as you like.

    Safe across threads and event loops. A copied model shares its ledger; a pickled one has a copy
    of it, to be merged back.
    """

    def __init__(self, budget_usd: Decimal | float | str | None = None) -> None:
        """Begin empty; with a budget in USD, no request is sent once it is spent."""
        self.budget_usd = None if budget_usd is None else as_usd(budget_usd, "budget_usd")
        self._entries: list[LedgerEntry] = []
        self._spent = _ZERO
        self._lock = threading.Lock()

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """What was booked, in order."""
        with self._lock:
            return tuple(self._entries)

    @property
    def spent(self) -> Decimal:
        """USD so far."""
        return self._spent

    def totals(self, key: str | Callable[[LedgerEntry], Any]) -> dict[Any, Decimal]:
        """Return the USD spent by a field of the entries, such as "model", or by any key."""
        by = attrgetter(key) if isinstance(key, str) else key
        totals: dict[Any, Decimal] = {}
        for entry in self.entries:
            totals[by(entry)] = totals.get(by(entry), _ZERO) + (entry.cost or _ZERO)
        return totals

    def check(self) -> None:
        """Raise BudgetExceededError if nothing is left."""
        if self.budget_usd is not None and self.spent >= self.budget_usd:
            raise BudgetExceededError(
                f"The budget of {self.budget_usd:f} USD is spent ({self.spent:f} USD)."
            )

    def record(self, entry: LedgerEntry) -> None:
        """Add an entry."""
        self._extend([entry])

    def book(self, entry: LedgerEntry) -> None:
        """Record an entry; deprecated alias of `record`."""
        warnings.warn("Ledger.book is now Ledger.record", DeprecationWarning, stacklevel=2)
        self.record(entry)

    def merge(self, other: Ledger) -> None:
        """Add what another ledger has and this one has not: it may have begun as a copy of this."""
        theirs, ours = other.entries, set(self.entries)
        self._extend(entry for entry in theirs if entry not in ours)

    def _extend(self, entries: Iterable[LedgerEntry]) -> None:
        with self._lock:
            for entry in entries:
                self._entries.append(entry)
                self._spent += entry.cost or _ZERO

    # --- for other programs, and for the eye ---

    @classmethod
    def from_rows(
        cls, rows: Iterable[Any], budget_usd: Decimal | float | str | None = None
    ) -> Self:
        """Return a ledger of what `to_rows` gave; raise ConfigurationError for anything else.

        A budget is no row: give it anew.
        """
        ledger = cls(budget_usd)
        try:
            for row in rows:
                ledger.record(_entry_adapter().validate_python(row))
        except ValueError as error:  # pydantic's, or one of a reader of rows
            number = len(ledger.entries) + 1
            raise ConfigurationError(
                f"Row {number} is no entry: {format_validation_errors(error)}"
            ) from None
        return ledger

    @classmethod
    def from_jsonl(cls, path: str | Path, budget_usd: Decimal | float | str | None = None) -> Self:
        """Read what `to_jsonl` wrote; raise ConfigurationError if it is something else."""
        with Path(path).open(encoding="utf-8") as lines:
            return cls.from_rows(map(json.loads, lines), budget_usd)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a JSON object for each entry."""
        return [entry.to_row() for entry in self.entries]

    def to_jsonl(self, path: str | Path) -> None:
        """Write a line of JSON for each entry."""
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in self.to_rows())
        Path(path).write_text("".join(lines), "utf-8")

    def to_csv(self, path: str | Path) -> None:
        """Write a table with a head and a line for each entry."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, [field.name for field in fields(LedgerEntry)])
            table.writeheader()
            table.writerows(self.to_rows())

    def __repr__(self) -> str:
        entries = self.entries
        unknown = sum(entry.cost is None for entry in entries)
        of = "" if self.budget_usd is None else f" of {self.budget_usd:f}"
        and_more = f", {unknown} of unknown cost" if unknown else ""
        name, count = type(self).__name__, len(entries)
        return f"<{name}: {count} replies, {self.spent:f}{of} USD{and_more}>"

    def _repr_html_(self) -> str:
        """Show what each model has cost, in a notebook."""
        spent = sorted(self.totals("model").items(), key=str)
        return to_html(repr(self)[1:-1], ("model", "USD"), spent)

    # --- a ledger as a value ---

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger):
            return NotImplemented
        return (self.budget_usd, self.entries) == (other.budget_usd, other.entries)

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.budget_usd, self.entries)


def as_usd(value: Decimal | float | str, name: str) -> Decimal:
    """Return an amount of money; raise ConfigurationError if it is none."""
    with suppress(InvalidOperation):
        if (usd := Decimal(str(value))).is_finite():
            return usd
    raise ConfigurationError(f"{name} must be a number of USD, not {value!r}.")


@cache
def _entry_adapter() -> TypeAdapter[LedgerEntry]:
    return TypeAdapter(LedgerEntry)


def _unpickle(budget_usd: Decimal | None, entries: Iterable[LedgerEntry]) -> Ledger:
    ledger = Ledger(budget_usd)
    ledger._extend(entries)  # noqa: SLF001 -- its other half
    return ledger
