"""Ledger of costs: an entry per reply, totals, and a budget that stops the next request.

Amounts of money are Decimal: the cost that the gateway reports, digit by digit, or an estimate that
is marked as one. This module knows replies and prices. It knows no framework and sends nothing.
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
from io import StringIO
from operator import attrgetter
from pathlib import Path
from shutil import copymode
from typing import Any, ClassVar, Protocol
from uuid import uuid4

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import Self

from onerouter_core.errors import BudgetExceededError, ConfigurationError, format_validation_errors
from onerouter_core.html_table import to_html
from onerouter_core.types import ModelInfo, Reply, Usage

_ZERO = Decimal(0)


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
        """Return the entry of a reply.

        Args:
            reply: the reply.
            seconds: seconds from the request to the end of the reply.
            first_token: seconds from the request to the first delta. None: not a stream.
            partial: whether the reply is incomplete.
            prices: price list to estimate the cost that the reply does not report.

        """
        usage = reply.usage or Usage()
        reported = None if reply.cost is None else Decimal(str(reply.cost))
        estimate = _estimate(reply, prices) if reported is None else None
        return cls(
            time=datetime.now(timezone.utc),
            model=reply.model,
            provider=reply.provider,
            input_tokens=usage.input_tokens or 0,
            output_tokens=usage.output_tokens or 0,
            cached_tokens=usage.cached_tokens or 0,
            cache_write_tokens=usage.cache_write_tokens or 0,
            reasoning_tokens=usage.reasoning_tokens or 0,
            cost=estimate if reported is None else reported,
            estimated=estimate is not None,
            partial=partial,
            seconds=seconds,
            first_token=first_token,
            attempts=reply.attempts,
            id=reply.id,
        )

    def to_row(self) -> dict[str, Any]:
        """Return the entry as a JSON object: time in ISO 8601, cost as a string."""
        row = asdict(self) | {"time": self.time.isoformat()}
        return row | {"cost": None if self.cost is None else str(self.cost)}


def _estimate(reply: Reply, prices: Prices | None) -> Decimal | None:
    """Return the cost in USD at list prices. None: usage or a price is unknown."""
    model = prices.get(reply.model or "") if prices is not None else None
    if model is None or model.input_price is None or model.output_price is None:
        return None
    usage = reply.usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens * model.input_price + usage.output_tokens * model.output_price


class Ledger:
    """Record of the cost of every call, with an optional budget; many models can share one.

    Safe across threads and event loops. A copy of a model shares its ledger. A pickled model has a
    copy of it, whose new entries `merge` adds to the original.
    """

    def __init__(self, budget_usd: Decimal | float | str | None = None) -> None:
        """Create an empty ledger.

        Args:
            budget_usd: budget in USD. A call that begins within the budget is answered, and may
                exceed it; the next request is not sent. None: no budget.

        Raises:
            ConfigurationError: the budget is not a finite number.

        """
        self.budget_usd = None if budget_usd is None else as_usd(budget_usd, "budget_usd")
        self._entries: list[LedgerEntry] = []
        self._spent = _ZERO
        self._lock = threading.Lock()

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """The entries, oldest first."""
        with self._lock:
            return tuple(self._entries)

    @property
    def spent(self) -> Decimal:
        """Sum of the costs in USD; an unknown or negative cost counts as 0."""
        return self._spent

    def totals(self, key: str | Callable[[LedgerEntry], Any]) -> dict[Any, Decimal]:
        """Return the costs in USD, summed up by group.

        Args:
            key: name of the field to group by, such as "model", or a function that returns an
                entry's group.

        """
        group_of = attrgetter(key) if isinstance(key, str) else key
        totals: dict[Any, Decimal] = {}
        for entry in self.entries:
            group = group_of(entry)
            totals[group] = totals.get(group, _ZERO) + _billed(entry)
        return totals

    def check(self) -> None:
        """Raise BudgetExceededError if the budget is spent."""
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
        """Add the entries of another ledger, except those that this one has already.

        The other one may have begun as a copy of this one, in another process.
        """
        known = set(self.entries)
        self._extend(entry for entry in other.entries if entry not in known)

    def _extend(self, entries: Iterable[LedgerEntry]) -> None:
        with self._lock:
            for entry in entries:
                self._entries.append(entry)
                self._spent += _billed(entry)

    # --- export and import ---

    @classmethod
    def from_rows(
        cls, rows: Iterable[Any], budget_usd: Decimal | float | str | None = None
    ) -> Self:
        """Return a ledger with the entries of `to_rows`.

        Args:
            rows: mappings as `to_rows` returns them.
            budget_usd: budget in USD; the rows do not hold the former one.

        Raises:
            ConfigurationError: a row is not an entry. The message has its number, from 1.

        """
        ledger = cls(budget_usd)
        try:
            for row in rows:
                ledger.record(_entry_adapter().validate_python(row))
        except ValueError as error:  # of pydantic, or of the iterator: invalid JSON or UTF-8
            number = len(ledger.entries) + 1
            raise ConfigurationError(
                f"Row {number} is not a ledger entry: {format_validation_errors(error)}"
            ) from None
        return ledger

    @classmethod
    def from_jsonl(cls, path: str | Path, budget_usd: Decimal | float | str | None = None) -> Self:
        """Read a file of `to_jsonl`; arguments and errors are those of `from_rows`, and OSError."""
        with Path(path).open(encoding="utf-8") as lines:
            return cls.from_rows(map(json.loads, lines), budget_usd)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a JSON object per entry."""
        return [entry.to_row() for entry in self.entries]

    def to_jsonl(self, path: str | Path) -> None:
        """Write a file with one JSON object per line (JSON Lines), in UTF-8."""
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in self.to_rows())
        _write_whole(Path(path), "".join(lines))

    def to_csv(self, path: str | Path) -> None:
        """Write a CSV file (RFC 4180) with a header line and a line per entry, in UTF-8.

        A NUL character, which Python 3.10 cannot write or read, is replaced by U+FFFD.
        """
        text = StringIO(newline="")
        table = csv.DictWriter(text, [field.name for field in fields(LedgerEntry)])
        table.writeheader()
        table.writerows(map(_without_nul, self.to_rows()))
        _write_whole(Path(path), text.getvalue())

    def __repr__(self) -> str:
        entries = self.entries
        unknown = sum(entry.cost is None for entry in entries)
        budget = "" if self.budget_usd is None else f" of {self.budget_usd:f}"
        unknown_costs = f", {unknown} of unknown cost" if unknown else ""
        name, count = type(self).__name__, len(entries)
        return f"<{name}: {count} replies, {self.spent:f}{budget} USD{unknown_costs}>"

    def _repr_html_(self) -> str:
        """Return a table of the cost by model, for notebooks."""
        totals = sorted(self.totals("model").items(), key=str)
        return to_html(repr(self)[1:-1], ("model", "USD"), totals)

    # --- equality and copies ---

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
    """Convert an amount of USD; raise ConfigurationError if it is not a finite number.

    Args:
        value: the amount.
        name: name of the argument, for the error message.

    """
    with suppress(InvalidOperation):
        if (usd := Decimal(str(value))).is_finite():
            return usd
    raise ConfigurationError(f"{name} must be a number of USD, not {value!r}.")


def _billed(entry: LedgerEntry) -> Decimal:
    """Return the cost of an entry; a negative one must not give back budget."""
    is_billed = entry.cost is not None and entry.cost.is_finite() and entry.cost > 0
    return entry.cost if is_billed and entry.cost is not None else _ZERO


# A program may end, or a disk be full, in the middle of it. A character that UTF-8 does not have
# (half of a surrogate pair) is replaced.
def _without_nul(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in row.items()
    }


def _write_whole(path: Path, text: str) -> None:
    """Write a file: a temporary file beside it takes its place at the end."""
    data, path = text.encode("utf-8", "replace"), path.resolve()  # a link stays a link
    if path.exists() and not path.is_file():  # such as /dev/stdout
        path.write_bytes(data)
        return
    temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        if path.exists():
            copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def _entry_adapter() -> TypeAdapter[LedgerEntry]:
    return TypeAdapter(LedgerEntry)


def _unpickle(budget_usd: Decimal | None, entries: Iterable[LedgerEntry]) -> Ledger:
    ledger = Ledger(budget_usd)
    ledger._extend(entries)  # noqa: SLF001 -- the second half of __reduce__
    return ledger
