"""Budgets: limits in USD and tokens that hold for calls at the same time.

A call reserves what it is expected to cost before its request is sent, and its entry in the ledger
takes the place of the reservation. So calls that run at the same time know of each other. A budget
stops a request when what is spent and reserved has reached it: a call alone may begin whenever
anything is left. This module knows amounts. It knows no replies, and sends nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, Protocol

from typing_extensions import Self

from onerouter_core.errors import BudgetExceededError, ConfigurationError
from onerouter_core.inherited_context import inherit_in_threads
from onerouter_core.ledger_entry import LedgerEntry

_ZERO = Decimal(0)


class Amount(NamedTuple):
    """Cost and tokens of a call, expected or real."""

    usd: Decimal
    """Cost in USD."""

    tokens: int
    """Tokens of prompt and answer."""


class Budget:
    """Limit of USD, tokens or both, with what is spent, and reserved by calls in progress.

    The lock of the ledger protects it.
    """

    __slots__ = ("calls", "name", "reserved", "spent", "tokens", "usd")

    def __init__(self, usd: Decimal | None, tokens: int | None, name: str = "budget") -> None:
        """Begin with nothing spent.

        Args:
            usd: limit in USD. None: no limit.
            tokens: limit in tokens. None: no limit.
            name: name for error messages.

        """
        self.usd, self.tokens, self.name = usd, tokens, name
        self.spent = self.reserved = Amount(_ZERO, 0)
        self.calls = 0
        """Number of calls in progress."""

    @property
    def has_limit(self) -> bool:
        """Whether there is a limit."""
        return self.usd is not None or self.tokens is not None

    def check(self, expected: Amount | None = None) -> None:
        """Raise BudgetExceededError if the spent and reserved sum has reached the limit.

        Args:
            expected: need of the call, for the message. None: there is no call.

        """
        for index, (limit, unit) in enumerate(((self.usd, "USD"), (self.tokens, "tokens"))):
            if limit is not None and self.spent[index] + self.reserved[index] >= limit:
                taken = f"{_exact(self.spent[index])} {unit}{self._shown_reserved(index)}"
                need = expected and expected[index]
                needed = f" The call would need about {_round(need)} {unit}." if need else ""
                raise BudgetExceededError(
                    f"The {self.name} of {_exact(limit)} {unit} is spent ({taken}).{needed}"
                )

    def _shown_reserved(self, index: int) -> str:
        if not (reserved := self.reserved[index]):
            return ""
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        return f", and about {_round(reserved)} reserved by {calls}"

    def reserve(self, amount: Amount) -> None:
        """Add a call in progress."""
        self.calls += 1
        self.reserved = _sum(self.reserved, amount)

    def release(self, amount: Amount) -> None:
        """Remove a call in progress, with what it has reserved."""
        self.calls -= 1
        self.reserved = _sum(self.reserved, Amount(-amount.usd, -amount.tokens))

    def spend(self, amount: Amount) -> None:
        """Add what a call has cost."""
        self.spent = _sum(self.spent, amount)


def _sum(first: Amount, second: Amount) -> Amount:
    return Amount(first.usd + second.usd, first.tokens + second.tokens)


def _exact(amount: Decimal | int) -> str:
    """Return an amount with all digits, and without an exponent."""
    return f"{Decimal(amount):f}"


def _round(amount: Decimal | int) -> str:
    """Return an expected amount: more than two digits of it would mean nothing."""
    return f"{Decimal(f'{amount:.2g}'):f}"


class Reservation:
    """Reservation of a call in the budgets of a ledger; it ends when it is dropped, at the latest.

    It comes from `Ledger.reserve`.
    """

    __slots__ = ("_record", "_release")

    def __init__(self, release: Callable[[], None], record: Callable[[LedgerEntry], None]) -> None:
        """Create a reservation.

        Args:
            release: function that gives the amount back. It takes no lock: the garbage collector
                may drop the reservation in a thread that holds it.
            record: function that records the entry of the call.

        """
        self._release: Callable[[], None] | None = release
        self._record = record

    def record(self, entry: LedgerEntry) -> None:
        """Record the call's entry in the ledger; it takes the place of the reservation."""
        self.release()
        self._record(entry)

    def release(self) -> None:
        """Give the amount back; a second time does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __del__(self) -> None:
        self.release()


# --- limits for a part of a program ---


class BudgetLimit:
    """Limit for the calls of a `with` block, in all threads and tasks that start within it.

    Limits may be nested: a call counts in each of them, and in the ledger's budget.
    """

    def __init__(self, owner: Any, usd: Any, tokens: Any) -> None:
        """Create a limit; see `Ledger.limit`."""
        if usd is None and tokens is None:
            raise ConfigurationError("limit() needs usd=, tokens= or both.")
        self.owner = owner
        """The ledger."""

        self.budget = Budget(usd_limit(usd, "usd"), token_limit(tokens, "tokens"), "limit")

    @property
    def spent_usd(self) -> Decimal:
        """Costs in USD of the calls so far; an unknown cost counts as 0."""
        return self.budget.spent.usd

    @property
    def spent_tokens(self) -> int:
        """Tokens of the calls so far."""
        return self.budget.spent.tokens

    def __enter__(self) -> Self:
        inherit_in_threads(_LIMITS)
        _LIMITS.set((*_LIMITS.get(), self))
        return self

    # Not with a token of `ContextVar.set`: an async generator may end in another context.
    def __exit__(self, *_: object) -> None:
        _LIMITS.set(tuple(limit for limit in _LIMITS.get() if limit is not self))

    def __repr__(self) -> str:
        usd, tokens = self.budget.usd, self.budget.tokens
        of_usd = "" if usd is None else f" of {usd:f}"
        of_tokens = "" if tokens is None else f" of {tokens}"
        spent = f"{self.spent_usd:f}{of_usd} USD, {self.spent_tokens}{of_tokens} tokens"
        return f"<{type(self).__name__}: {spent}>"


_LIMITS: ContextVar[tuple[BudgetLimit, ...]] = ContextVar("onerouter_limits", default=())


def open_budgets(owner: Any) -> tuple[Budget, ...]:
    """Return the budgets of the open limits of a ledger."""
    return tuple(limit.budget for limit in _LIMITS.get() if limit.owner is owner)


def check_limits_count(owner: Any) -> None:
    """Raise ConfigurationError if limits are open, but none of the ledger of a call.

    Args:
        owner: the ledger. None: the model has none.

    """
    limits = _LIMITS.get()
    if limits and not any(limit.owner is owner for limit in limits):
        of_model = "has no ledger" if owner is None else "has another ledger"
        raise ConfigurationError(
            f"The call is within the limit of a ledger, and its model {of_model}: the call would "
            "not be counted. Pass the same ledger= to the model."
        )


# --- expected costs ---


class RequestSize(Protocol):
    """Size of a request."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, estimated."""
        raise NotImplementedError

    @property
    def max_answer_tokens(self) -> int | None:
        """Limit of the tokens of all answers. None: no limit."""


class ExpectedCosts:
    """Expected costs of calls: those of the last calls, else list prices, else assumed ones."""

    def __init__(self) -> None:
        """Begin without knowledge."""
        self._last: dict[str | None, deque[Amount]] = {}

    def add(self, model: str | None, amount: Amount) -> None:
        """Remember what a call has cost. Without a cost and tokens, nothing is learned."""
        if amount.tokens:
            self._last.setdefault(model, deque(maxlen=_REMEMBERED)).append(amount)

    def of(
        self, model: str | None, size: RequestSize, prices: tuple[Decimal, Decimal] | None
    ) -> Amount:
        """Return what a call is expected to cost.

        Args:
            model: id of the requested model.
            size: size of the request.
            prices: list prices of a token of the prompt and of the answer, in USD.

        """
        last = self._last.get(model, ())
        answer_tokens = size.max_answer_tokens or _ASSUMED_ANSWER_TOKENS
        tokens = max((cost.tokens for cost in last), default=size.prompt_tokens + answer_tokens)
        usd = max((cost.usd for cost in last), default=_ZERO)
        if not usd:
            prompt_price, answer_price = prices or _ASSUMED_PRICES
            usd = size.prompt_tokens * prompt_price + answer_tokens * answer_price
        return Amount(usd, tokens)


_REMEMBERED = 8  # costs of each model
_ASSUMED_ANSWER_TOKENS = 1000
_ASSUMED_PRICES = (Decimal("0.000015"), Decimal("0.000075"))  # of Claude Opus 4: few cost more


# --- arguments ---


def as_usd(value: Decimal | float | str, name: str) -> Decimal:
    """Convert an amount of USD; raise ConfigurationError if it is not a finite number from 0.

    Args:
        value: the amount.
        name: name of the argument, for the error message.

    """
    with suppress(InvalidOperation):
        if (usd := Decimal(str(value))).is_finite():
            if usd < 0:
                raise ConfigurationError(f"{name} must be 0 USD or more, not {value!r}.")
            return usd
    raise ConfigurationError(f"{name} must be a number of USD, not {value!r}.")


def usd_limit(value: Decimal | float | str | None, name: str) -> Decimal | None:
    """Convert a limit in USD as `as_usd` does. None: no limit."""
    return None if value is None else as_usd(value, name)


def token_limit(value: int | None, name: str) -> int | None:
    """Return a limit in tokens; raise ConfigurationError if it is not a whole number from 0."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ConfigurationError(f"{name} must be a whole number of tokens from 0, not {value!r}.")
