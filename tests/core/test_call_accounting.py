"""Accounting of one call: attempts, the requested model, and ledger entries."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from onerouter_core import ConnectionSettings, Gateway, Ledger, Reply, Request
from onerouter_core.call_accounting import CallAccounting
from onerouter_core.call_state import CallState
from onerouter_core.errors import BudgetExceededError
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, final_reply

Make = Callable[..., Gateway]


def test_a_reply_is_recorded_once_per_attempt() -> None:
    """The entry has the requested model if the reply names none; a spent budget stops a retry."""
    ledger = Ledger("0.2")
    call = CallState(ConnectionSettings(ledger=ledger), HELLO)
    call.next_request("sk")
    assert call.accounting.record(Reply(cost=0.1), partial=True).attempts == 1
    call.accounting.record(Reply(cost=0.1))
    call.next_request("sk")
    assert call.accounting.record(Reply(cost=0.1, model="served")).attempts == 2
    assert [(entry.model, entry.partial) for entry in ledger.entries] == [
        (HELLO.model, True),
        ("served", False),
    ]
    with pytest.raises(BudgetExceededError):
        call.next_request("sk")


def test_alternatives_have_the_requested_model_too() -> None:
    """That of the fallback which answered; a call for the model list has none."""
    request = Request("a/b", HELLO.messages, parameters={"fallback_models": ["c/d"]})
    accounting = CallAccounting(ConnectionSettings(), request)
    reply = accounting.record(Reply(model="d", alternatives=(Reply(model="a/b"),)))
    assert (reply.requested_model, reply.alternatives[0].requested_model) == ("c/d", "a/b")
    listing = CallAccounting(ConnectionSettings(ledger=Ledger("0.1")), None)
    assert listing.record(Reply(cost=1)).requested_model is None
    listing.start_attempt(None, 0.0)
    assert listing.attempts == 1


def test_the_first_delta_is_handed_out_once(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """It ends the attempt, and the ledger has its time; the reader gets each delta once."""
    sim.script(Script(events=[chunk("a"), chunk("b"), chunk("c", "stop")]))
    ledger = Ledger()
    deltas = caller.stream(gateway(ledger=ledger), HELLO)
    assert [delta.text for delta in deltas if delta.text] == ["a", "b", "c"]
    assert final_reply(deltas).text == "abc"
    (entry,) = ledger.entries
    assert entry.first_token is not None
    assert 0 < entry.first_token <= entry.seconds
