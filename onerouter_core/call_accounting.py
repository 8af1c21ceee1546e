"""Accounting of one call: the requests it sent, its first delta, and its ledger entries.

This module knows replies and the ledger; it knows no errors and sends nothing. Times are values of
`time.monotonic()`.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic

from onerouter_core.connection import ConnectionSettings
from onerouter_core.ledger import LedgerEntry
from onerouter_core.model_ids import answering_model
from onerouter_core.types import Reply, Request


class CallAccounting:
    """Accounting of one call: one ledger entry per attempt at most."""

    def __init__(self, connection: ConnectionSettings, request: Request | None) -> None:
        """Begin without attempts; without a request, the call is free."""
        self.model = request.model if request else None
        self._fallback_models = request.parameters.get("fallback_models") if request else None
        self.ledger = connection.ledger if request else None
        self._prices = connection.prices
        self.attempts = 0
        """Requests sent."""

        self._sent_at = 0.0  # the last one
        self.first_delta_at: float | None = None
        self._is_recorded = False  # the ledger has an entry of this attempt

    def check_budget(self) -> None:
        """Raise BudgetExceededError if the ledger's budget is spent."""
        if self.ledger is not None:
            self.ledger.check()

    def start_attempt(self, now: float) -> None:
        """Count a request that is sent now."""
        self.attempts += 1
        self._sent_at = now
        self._is_recorded = False

    def record(self, reply: Reply, *, partial: bool = False) -> Reply:
        """Record a reply in the ledger, once per attempt; return it with what is known of the call.

        That is the number of attempts, and which of the requested models answered.
        """
        reply = self._with_requested_model(replace(reply, attempts=self.attempts))
        if self.ledger is not None and not self._is_recorded:
            self._is_recorded = True
            with_model = reply if reply.model else replace(reply, model=self.model)
            seconds = monotonic() - self._sent_at
            first = self.first_delta_at and self.first_delta_at - self._sent_at
            self.ledger.record(
                LedgerEntry.of(with_model, seconds, first, partial=partial, prices=self._prices)
            )
        return reply

    def _with_requested_model(self, reply: Reply) -> Reply:
        """Return a reply, alternatives included, with the requested id of the model."""
        if self.model is None:
            return reply
        return replace(
            reply,
            requested_model=answering_model(self.model, self._fallback_models or (), reply.model),
            alternatives=tuple(map(self._with_requested_model, reply.alternatives)),
        )
