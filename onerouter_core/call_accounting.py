"""Accounting of one call: the requests it sent, its first delta, and its ledger entries.

This module knows replies, the ledger and budgets; it sends nothing. Times are values of
`time.monotonic()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from time import monotonic

from onerouter_core.budgets import Reservation, check_limits_count
from onerouter_core.cache_savings import caches_for_an_hour
from onerouter_core.connection import ConnectionSettings
from onerouter_core.ledger_entry import LedgerEntry
from onerouter_core.model_ids import answering_model
from onerouter_core.types import Json, Reply, Request
from onerouter_core.wire.request_size import request_size


class CallAccounting:
    """Accounting of one call: one ledger entry per attempt at most."""

    def __init__(self, connection: ConnectionSettings, request: Request | None) -> None:
        """Begin without attempts; without a request, the call is free."""
        self._request = request
        self.model = request.model if request else None
        fallbacks = request.parameters.get("fallback_models") if request else None
        self._fallbacks: Sequence[str] = fallbacks or ()
        self.ledger = connection.ledger if request else None
        self._prices = connection.prices
        self.attempts = 0
        """Requests sent."""

        self._sent_at = 0.0  # the last one
        self.first_delta_at: float | None = None
        self._is_recorded = False  # the ledger has an entry of this attempt
        self._reservation: Reservation | None = None  # of this attempt

    def start_attempt(self, body: Json | None, now: float) -> None:
        """Count a request that is sent now, and reserve its cost; raise if a budget is spent.

        Without a body, the call is free.
        """
        if body is not None:
            check_limits_count(self.ledger)
            if self.ledger is not None:
                size_of = partial(request_size, body)
                self._reservation = self.ledger.reserve(self.model, size_of, self._prices)
        self.attempts += 1
        self._sent_at = now
        self._is_recorded = False

    def release(self) -> None:
        """Give back what the last request has reserved, unless it is recorded."""
        if self._reservation is not None:
            self._reservation.release()

    def record(self, reply: Reply, *, partial: bool = False) -> Reply:
        """Record a reply in the ledger, once per attempt; return it with what is known of the call.

        That is the number of attempts, and which of the requested models answered.
        """
        reply = replace(reply, attempts=self.attempts)
        if self.model is not None:
            reply, *others = [
                replace(r, requested_model=answering_model(self.model, self._fallbacks, r.model))
                for r in (reply, *reply.alternatives)
            ]
            reply = replace(reply, alternatives=tuple(others)) if others else reply
        if self.ledger is not None and not self._is_recorded:
            self._is_recorded = True
            with_model = reply if reply.model else replace(reply, model=self.model)
            seconds = monotonic() - self._sent_at
            first = self.first_delta_at and self.first_delta_at - self._sent_at
            entry = LedgerEntry.of(
                with_model,
                seconds,
                first,
                partial=partial,
                prices=self._prices,
                hour_cache=self._writes_for_an_hour(reply),
            )
            (self._reservation or self.ledger).record(entry)
        return reply

    def _writes_for_an_hour(self, reply: Reply) -> bool:
        has_written = reply.usage is not None and reply.usage.cache_write_tokens
        return bool(has_written) and self._request is not None and caches_for_an_hour(self._request)
