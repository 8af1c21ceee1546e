"""Ledger of costs: an entry per reply, totals, budgets, export and import.

This module knows entries and budgets. It knows no framework and sends nothing.
"""

from __future__ import annotations

import csv
import inspect
import json
import logging
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from decimal import Decimal
from functools import cache, partial
from io import StringIO
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import Self

from onerouter_core.atomic_write import write_atomically
from onerouter_core.budgets import (
    Amount,
    Budget,
    BudgetLimit,
    ExpectedCosts,
    RequestSize,
    Reservation,
    open_budgets,
    token_limit,
    usd_limit,
)
from onerouter_core.errors import ConfigurationError, format_validation_errors
from onerouter_core.html_table import to_html
from onerouter_core.ledger_entry import LedgerEntry, Prices, token_prices

_log = logging.getLogger("onerouter_core")


class Ledger:
    """Record of the cost of every call, with an optional budget; many models can share one.

    Safe across threads and event loops. A copy of a model shares its ledger. A pickled model has a
    copy of it, whose new entries `merge` adds to the original.
    """

    def __init__(
        self,
        budget_usd: Decimal | float | str | None = None,
        budget_tokens: int | None = None,
        *,
        on_entry: Callable[[LedgerEntry], object] | None = None,
    ) -> None:
        """Create an empty ledger.

        Args:
            budget_usd: budget in USD, from 0. A call that begins within the budget is answered, and
                may exceed it; the next request is not sent. Calls at the same time reserve what
                they are expected to cost. None: no budget.
            budget_tokens: budget in tokens of prompts and answers, from 0. None: no budget.
            on_entry: function that is called with each new entry; see the attribute.

        Raises:
            ConfigurationError: a budget is not a number, or below 0; or on_entry is not a plain
                function.

        """
        self.on_entry = on_entry
        usd = usd_limit(budget_usd, "budget_usd")
        self._budget = Budget(usd, token_limit(budget_tokens, "budget_tokens"))
        self._entries: list[LedgerEntry] = []
        self._expected = ExpectedCosts()
        self._ended: deque[tuple[Sequence[Budget], Amount]] = deque()  # reservations
        self._lock = threading.Lock()

    @property
    def on_entry(self) -> Callable[[LedgerEntry], object] | None:
        """Function that is called with each new entry, of a call, `record` or `merge`; None: none.

        It is called once per entry, after the entry was added, in the thread that adds it: for
        async calls that of the event loop, so it must be quick and must not be async. An exception
        of it is logged at ERROR; the call goes on. It can be set. It is not pickled, nor compared.
        """
        return self._on_entry

    @on_entry.setter
    def on_entry(self, value: Callable[[LedgerEntry], object] | None) -> None:
        is_async = inspect.iscoroutinefunction
        if value is not None and (
            not callable(value) or is_async(value) or is_async(type(value).__call__)
        ):
            raise ConfigurationError(
                f"on_entry must be a function that takes an entry, and not async: {value!r}."
            )
        self._on_entry = value

    @property
    def budget_usd(self) -> Decimal | None:
        """Budget in USD; it can be set. None: no budget."""
        return self._budget.usd

    @budget_usd.setter
    def budget_usd(self, value: Decimal | float | str | None) -> None:
        self._budget.usd = usd_limit(value, "budget_usd")

    @property
    def budget_tokens(self) -> int | None:
        """Budget in tokens; it can be set. None: no budget."""
        return self._budget.tokens

    @budget_tokens.setter
    def budget_tokens(self, value: int | None) -> None:
        self._budget.tokens = token_limit(value, "budget_tokens")

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """The entries, oldest first."""
        with self._lock:
            return tuple(self._entries)

    @property
    def spent(self) -> Decimal:
        """Sum of the costs in USD; an unknown or negative cost counts as 0."""
        return self._budget.spent.usd

    @property
    def spent_tokens(self) -> int:
        """Sum of the tokens of prompts and answers."""
        return self._budget.spent.tokens

    @property
    def cache_savings(self) -> Decimal:
        """Sum of what prompt caching saved in USD, estimates included; unknown savings count as 0.

        Below 0: writing to the cache cost more than reading from it saved.
        """
        known = (e.cache_savings for e in self.entries if e.cache_savings is not None)
        return sum((usd for usd in known if usd.is_finite()), Decimal(0))

    def totals(self, key: str | Callable[[LedgerEntry], Any]) -> dict[Any, Decimal]:
        """Return the costs in USD, summed up by group.

        Args:
            key: name of the field to group by, such as "model", or a function that returns an
                entry's group.

        Raises:
            ConfigurationError: no field has this name.

        """
        names = [field.name for field in fields(LedgerEntry)]
        if isinstance(key, str) and key not in names:
            raise ConfigurationError(f"totals() groups by a field, not by {key!r}: {names}.")
        group_of = attrgetter(key) if isinstance(key, str) else key
        totals: dict[Any, Decimal] = {}
        for entry in self.entries:
            group = group_of(entry)
            totals[group] = totals.get(group, Decimal(0)) + entry.billed
        return totals

    def limit(
        self, *, usd: Decimal | float | str | None = None, tokens: int | None = None
    ) -> BudgetLimit:
        """Return a limit for a part of a program, as a context manager.

        The calls of its `with` block count in it, in all threads and tasks that start within it.
        They must be calls of models with this ledger.

        Args:
            usd: limit in USD, from 0. None: no limit.
            tokens: limit in tokens of prompts and answers, from 0. None: no limit.

        Raises:
            ConfigurationError: a limit is not a number or below 0, or there is none.

        """
        return BudgetLimit(self, usd, tokens)

    def check(self) -> None:
        """Raise BudgetExceededError if the budget is spent."""
        with self._lock:
            self._end_reservations()
            self._budget.check()

    def reserve(
        self,
        model: str | None,
        size_of: Callable[[], RequestSize],
        prices: Prices | None = None,
    ) -> Reservation | None:
        """Reserve what a call is expected to cost, in the budget and in the open limits.

        It is the highest cost of the last calls of the model, or else that at list prices, or else
        that at 15 USD for a million tokens of the prompt and 75 USD of an answer of 1,000 tokens.

        Args:
            model: id of the requested model.
            size_of: function that returns the size of the request.
            prices: price list.

        Returns:
            The reservation; None if nothing limits the call.

        Raises:
            BudgetExceededError: the spent and reserved sum has reached a limit.

        """
        limits = open_budgets(self)
        budgets = (self._budget, *limits) if self._budget.has_limit else limits
        if not budgets:
            return None
        listed = prices.get(model or "") if prices is not None else None
        size = size_of()
        with self._lock:
            self._end_reservations()
            expected = self._expected.of(model, size, token_prices(listed))
            for budget in budgets:
                budget.check(expected)
            for budget in budgets:
                budget.reserve(expected)
        return Reservation(
            partial(self._ended.append, (budgets, expected)),
            partial(self._record_reserved, model, limits),
        )

    def _end_reservations(self) -> None:
        while self._ended:
            budgets, amount = self._ended.popleft()
            for budget in budgets:
                budget.release(amount)

    def record(self, entry: LedgerEntry) -> None:
        """Add an entry; it counts in the open limits, too."""
        self._extend([entry], open_budgets(self))

    def _record_reserved(
        self, model: str | None, limits: Sequence[Budget], entry: LedgerEntry
    ) -> None:
        with self._lock:
            self._expected.add(model, Amount(entry.billed, entry.tokens))
        self._extend([entry], limits)

    def book(self, entry: LedgerEntry) -> None:
        """Record an entry; deprecated alias of `record`."""
        warnings.warn("Ledger.book is now Ledger.record", DeprecationWarning, stacklevel=2)
        self.record(entry)

    def merge(self, other: Ledger) -> None:
        """Add the entries of another ledger, except those that this one has already.

        The other one may have begun as a copy of this one, in another process.
        """
        known = set(self.entries)
        self._extend([entry for entry in other.entries if entry not in known])

    def _extend(self, entries: Sequence[LedgerEntry], limits: Sequence[Budget] = ()) -> None:
        with self._lock:
            for entry in entries:
                self._entries.append(entry)
                for budget in (self._budget, *limits):
                    budget.spend(Amount(entry.billed, entry.tokens))
        if (on_entry := self._on_entry) is not None:
            for entry in entries:
                _call_hook(on_entry, entry)

    # --- export and import ---

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Any],
        budget_usd: Decimal | float | str | None = None,
        budget_tokens: int | None = None,
    ) -> Self:
        """Return a ledger with the entries of `to_rows`.

        Args:
            rows: mappings as `to_rows` returns them.
            budget_usd: budget in USD; the rows do not hold the former one.
            budget_tokens: budget in tokens; as for budget_usd.

        Raises:
            ConfigurationError: a row is not an entry. The message has its number, from 1.

        """
        ledger = cls(budget_usd, budget_tokens)
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
    def from_jsonl(
        cls,
        path: str | Path,
        budget_usd: Decimal | float | str | None = None,
        budget_tokens: int | None = None,
    ) -> Self:
        """Read a file of `to_jsonl`; arguments and errors are those of `from_rows`, and OSError."""
        with Path(path).open(encoding="utf-8") as lines:
            return cls.from_rows(map(json.loads, lines), budget_usd, budget_tokens)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return a JSON object per entry."""
        return [entry.to_row() for entry in self.entries]

    def to_jsonl(self, path: str | Path) -> None:
        """Write a file with one JSON object per line (JSON Lines), in UTF-8."""
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in self.to_rows())
        write_atomically(Path(path), "".join(lines))

    def to_csv(self, path: str | Path) -> None:
        """Write a CSV file (RFC 4180) with a header line and a line per entry, in UTF-8.

        A NUL character, which Python 3.10 cannot write or read, is replaced by U+FFFD.
        """
        text = StringIO(newline="")
        table = csv.DictWriter(text, [field.name for field in fields(LedgerEntry)])
        table.writeheader()
        table.writerows(map(_without_nul, self.to_rows()))
        write_atomically(Path(path), text.getvalue())

    def __repr__(self) -> str:
        entries = self.entries
        unknown = sum(entry.cost is None for entry in entries)
        budget = "" if self.budget_usd is None else f" of {self.budget_usd:f}"
        tokens = self.budget_tokens
        of_tokens = "" if tokens is None else f", {self.spent_tokens} of {tokens} tokens"
        unknown_costs = f", {unknown} of unknown cost" if unknown else ""
        name, count = type(self).__name__, len(entries)
        return f"<{name}: {count} replies, {self.spent:f}{budget} USD{of_tokens}{unknown_costs}>"

    def _repr_html_(self) -> str:
        """Return a table of the cost by model, for notebooks."""
        totals = sorted(self.totals("model").items(), key=str)
        return to_html(repr(self)[1:-1], ("model", "USD"), totals)

    # --- equality and copies ---

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger):
            return NotImplemented
        return self.__reduce__() == other.__reduce__()

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.budget_usd, self.entries, self.budget_tokens)


def _call_hook(on_entry: Callable[[LedgerEntry], object], entry: LedgerEntry) -> None:
    try:
        on_entry(entry)
    except Exception as error:  # noqa: BLE001 -- neither the answer nor the entry may be lost
        # Without its context: that is the error of a failed call, from which no key was removed.
        lines = traceback.format_exception(type(error), error, error.__traceback__, chain=False)
        _log.error("on_entry of a ledger raised an exception:\n%s", "".join(lines))


def _without_nul(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in row.items()
    }


@cache
def _entry_adapter() -> TypeAdapter[LedgerEntry]:
    return TypeAdapter(LedgerEntry)


def _unpickle(
    budget_usd: Decimal | None, entries: Sequence[LedgerEntry], budget_tokens: int | None = None
) -> Ledger:
    ledger = Ledger(budget_usd, budget_tokens)
    ledger._extend(entries)  # noqa: SLF001 -- the second half of __reduce__
    return ledger
