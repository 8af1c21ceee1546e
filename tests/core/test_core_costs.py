"""What was spent, booked once for each reply, and the budget that stops the next call."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from onerouter_core import Entry, Gateway, Ledger, Parameters, Reply, Usage
from onerouter_core.errors import BudgetExceededError, IncompleteStreamError, UpstreamError
from onerouter_simulator import Script, Simulator
from tests.core.bodies import HELLO, chunk, completion, end_of
from tests.core.conftest import Colour

Make = Callable[..., Gateway]
Ask = Callable[..., Any]

USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "total_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
FACTS = {"usage": USAGE, "cost": 0.1, "model": "served/model", "provider": "alibaba/cn"}
ANSWER = Script(json=completion(**FACTS))
STREAM = Script(events=[chunk("H"), 0.02, chunk("i"), chunk(finish="stop", **FACTS)])


def entry(cost: Any = None, **facts: Any) -> Entry:
    """Return an entry for a reply with these facts."""
    return Entry.of(Reply(cost=cost, **facts), seconds=1.0)


def test_a_reply_is_booked(sim: Simulator, gateway: Make, colour: Colour) -> None:
    """A whole reply is booked once, with who answered, tokens, cost and time."""
    ledger = Ledger()
    sim.script(ANSWER)
    colour.complete(gateway(ledger=ledger), HELLO)
    (booked,) = ledger.entries
    assert (booked.model, booked.provider, booked.id) == ("served/model", "alibaba/cn", "gen-1")
    assert (booked.input_tokens, booked.output_tokens) == (3, 2)
    assert (booked.cached_tokens, booked.reasoning_tokens) == (1, 2)
    assert (booked.cost, booked.attempts, booked.first_token) == (Decimal("0.1"), 1, None)
    assert 0 < booked.seconds < 5
    assert abs((datetime.now(timezone.utc) - booked.time).total_seconds()) < 5


def test_a_stream_is_booked_at_its_end(sim: Simulator, gateway: Make, colour: Colour) -> None:
    """A streamed reply is booked once, with the time to its first piece."""
    ledger = Ledger()
    sim.script(Script(status=500, body="oops"), STREAM)
    assert end_of(colour.stream(gateway(ledger=ledger), HELLO)).attempts == 2
    (booked,) = ledger.entries
    assert (booked.cost, booked.attempts) == (Decimal("0.1"), 2)
    assert booked.first_token is not None
    assert 0 < booked.first_token < booked.seconds


def test_what_failed_is_not_booked(sim: Simulator, gateway: Make, colour: Colour) -> None:
    """A call without a reply, and a stream without an end, are not booked."""
    ledger = Ledger()
    sim.script(Script(status=500, body="oops"), Script(events=[chunk("a", **FACTS)], done=False))
    one = gateway(ledger=ledger, max_retries=0)
    with pytest.raises(UpstreamError):
        colour.complete(one, HELLO)
    with pytest.raises(IncompleteStreamError):
        colour.stream(one, HELLO)
    assert ledger.entries == ()


def test_a_budget_stops_the_next_call(sim: Simulator, gateway: Make, ask: Ask) -> None:
    """The call that exceeds the budget is answered; the next is not sent."""
    ledger = Ledger(0.15)
    one = gateway(ledger=ledger)
    sim.script(STREAM, STREAM, STREAM)
    for _ in range(2):
        ask(one, HELLO)
    with pytest.raises(BudgetExceededError, match=r"budget of 0\.15 USD is spent \(0\.2 USD\)"):
        ask(one, HELLO)
    assert len(sim.requests) == 2
    assert len(ledger.entries) == 2


def test_the_model_list_is_free(sim: Simulator, gateway: Make, colour: Colour) -> None:
    """A list of models is had without a budget and is not booked."""
    ledger = Ledger(0)
    assert colour.models(gateway(ledger=ledger))
    assert ledger.entries == ()


@pytest.mark.parametrize("budget", [0, "0", Decimal(0)])
def test_a_budget_of_nothing(budget: Any) -> None:
    """Zero is a budget; None is none."""
    with pytest.raises(BudgetExceededError):
        Ledger(budget).check()
    Ledger(None).check()


def test_money_adds_up_exactly() -> None:
    """Ten cents three times are thirty cents; a cost that was not said is nothing."""
    ledger = Ledger("0.3")
    for cost in (0.1, None, 0.1):
        ledger.book(entry(cost))
        ledger.check()
    ledger.book(entry(0.1))
    assert ledger.spent == Decimal("0.3")
    assert ledger.entries[1].cost is None
    with pytest.raises(BudgetExceededError):
        ledger.check()


def test_totals() -> None:
    """What was spent is told by any key."""
    ledger = Ledger()
    for model, cost in (("a", 1), ("b", 2), ("a", None), ("a", 4)):
        ledger.book(entry(cost, model=model))
    assert ledger.totals(lambda one: one.model) == {"a": 5, "b": 2}
    assert ledger.totals(lambda one: one.provider) == {None: 7}


def test_an_entry_without_usage() -> None:
    """Tokens that were not counted are none."""
    booked = entry()
    assert (booked.input_tokens, booked.cached_tokens, booked.reasoning_tokens) == (0, 0, 0)
    assert entry(usage=Usage(input_tokens=3)).cached_tokens == 0


def test_copies_share_and_pickles_do_not() -> None:
    """A deep copy is the ledger itself; a pickled one is another, to be merged back."""
    ledger = Ledger(9)
    ledger.book(entry(1))
    assert copy.deepcopy(ledger) is ledger
    other = pickle.loads(pickle.dumps(ledger))  # noqa: S301 -- our own bytes
    assert other == ledger
    assert other != object()
    other.book(entry(2))
    assert other != ledger
    ledger.merge(other)
    assert ledger.spent == 1 + 1 + 2


def test_a_ledger_per_call() -> None:
    """A ledger is given to an instance or to a call, stays itself, and is not shown."""
    mine, its = Ledger(), Ledger(1)
    made = Parameters(model="m", ledger=mine)
    assert made.resolve().connection.ledger is mine
    assert made.resolve({"ledger": its}).connection.ledger is its
    assert "ledger" not in made.model_dump()
    assert "ledger" not in made.resolve().parameters


def test_many_threads_book() -> None:
    """No entry is lost among threads."""
    ledger = Ledger()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ledger.book(entry(1)), range(400)))
    assert ledger.spent == 400
