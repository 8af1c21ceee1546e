"""What was spent, booked once for each reply, and the budget that stops the next call."""

from __future__ import annotations

import copy
import csv
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onerouter_core import (
    Catalog,
    Gateway,
    GatewayFields,
    Ledger,
    LedgerEntry,
    ModelInfo,
    Reply,
    Usage,
    resolve_call,
)
from onerouter_core.errors import (
    BudgetExceededError,
    ConfigurationError,
    IncompleteStreamError,
    LengthLimitError,
    UpstreamError,
)
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion, final_reply

Make = Callable[..., Gateway]
Send = Callable[..., Any]

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


def entry(cost: Any = None, **facts: Any) -> LedgerEntry:
    """Return an entry for a reply with these facts."""
    return LedgerEntry.of(Reply(cost=cost, **facts), seconds=1.0)


def test_a_reply_is_booked(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A whole reply is booked once, with who answered, tokens, cost and time."""
    ledger = Ledger()
    sim.script(ANSWER)
    caller.complete(gateway(ledger=ledger), HELLO)
    (booked,) = ledger.entries
    assert (booked.model, booked.provider, booked.id) == ("served/model", "alibaba/cn", "gen-1")
    assert (booked.input_tokens, booked.output_tokens) == (3, 2)
    assert (booked.cached_tokens, booked.reasoning_tokens) == (1, 2)
    assert (booked.cost, booked.attempts, booked.first_token) == (Decimal("0.1"), 1, None)
    assert 0 < booked.seconds < 5
    assert abs((datetime.now(timezone.utc) - booked.time).total_seconds()) < 5


def test_a_stream_is_booked_at_its_end(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A streamed reply is booked once, with the time to its first piece."""
    ledger = Ledger()
    sim.script(Script(status=500, body="oops"), STREAM)
    assert final_reply(caller.stream(gateway(ledger=ledger), HELLO)).attempts == 2
    (booked,) = ledger.entries
    assert (booked.cost, booked.attempts) == (Decimal("0.1"), 2)
    assert booked.first_token is not None
    assert 0 < booked.first_token < booked.seconds


def test_what_failed_is_booked_as_far_as_it_is_known(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """A call without a reply costs nothing; one that broke off, what was said until then."""
    ledger = Ledger()
    empty = completion("", "length", **FACTS)
    sim.script(
        Script(status=500, body="oops"),
        Script(json=empty),
        Script(events=[chunk("a", **FACTS)], done=False),
    )
    one = gateway(ledger=ledger, max_retries=0)
    with pytest.raises(UpstreamError):
        caller.complete(one, HELLO)
    assert ledger.entries == ()
    with pytest.raises(LengthLimitError):
        caller.complete(one, HELLO)
    with pytest.raises(IncompleteStreamError):
        caller.stream(one, HELLO)
    assert [(entry.cost, entry.partial) for entry in ledger.entries] == [(Decimal("0.1"), True)] * 2


def test_a_stream_that_nobody_reads_to_its_end(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Who leaves a stream has had what came: its model, and its cost if that was said so far."""
    ledger = Ledger()
    sim.script(*[Script(events=[chunk("Hel", cost=0.1), chunk("lo")], end="hang")] * 2)
    one = gateway(ledger=ledger)
    caller.first(one, HELLO, 1)
    (booked,) = ledger.entries
    assert (booked.cost, booked.partial, booked.model) == (Decimal("0.1"), True, HELLO.model)


PRICED = ModelInfo("served/model", input_price=Decimal("0.1"), output_price=Decimal("0.2"))
UNPRICED = ModelInfo("served/model")


@pytest.mark.parametrize(
    ("facts", "listed", "cost", "estimated"),
    [
        ({"usage": USAGE, "cost": 0.1}, PRICED, Decimal("0.1"), False),
        ({"usage": USAGE, "cost": 0}, PRICED, Decimal(0), False),
        ({"usage": USAGE}, PRICED, Decimal("0.7"), True),
        ({"usage": USAGE}, UNPRICED, None, False),
        ({"usage": USAGE}, ModelInfo("other/one"), None, False),
        ({}, PRICED, None, False),
    ],
)
def test_a_cost_that_was_not_said(  # noqa: PLR0913, PLR0917 -- fixtures
    sim: Simulator,
    gateway: Make,
    send: Send,
    facts: dict[str, Any],
    listed: ModelInfo,
    cost: Decimal | None,
    *,
    estimated: bool,
) -> None:
    """It is estimated from the catalogue, where that knows the price, and marked so."""
    ledger = Ledger()
    sim.script(Script(json=completion(model="served/model", **facts)))
    send(gateway(ledger=ledger, prices=Catalog([listed])), HELLO)
    (booked,) = ledger.entries
    assert (booked.cost, booked.estimated) == (cost, estimated)


def test_a_retry_is_not_sent_over_budget(sim: Simulator, gateway: Make, send: Send) -> None:
    """What is asked again is asked within the budget, too."""
    ledger = Ledger(0.15)
    sim.script(Script(status=500, body="oops"))

    def spent_elsewhere(_: Any) -> None:
        ledger.record(entry(0.2))

    with pytest.raises(BudgetExceededError):
        send(gateway(ledger=ledger), HELLO, on_retry=spent_elsewhere)
    assert len(sim.requests) == 1


def test_a_budget_stops_the_next_call(sim: Simulator, gateway: Make, send: Send) -> None:
    """The call that exceeds the budget is answered; the next is not sent."""
    ledger = Ledger(0.15)
    one = gateway(ledger=ledger)
    sim.script(STREAM, STREAM, STREAM)
    for _ in range(2):
        send(one, HELLO)
    with pytest.raises(BudgetExceededError, match=r"budget of 0\.15 USD is spent \(0\.2 USD\)"):
        send(one, HELLO)
    assert len(sim.requests) == 2
    assert len(ledger.entries) == 2


def test_the_model_list_is_free(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A list of models is had without a budget and is not booked."""
    ledger = Ledger(0)
    assert caller.models(gateway(ledger=ledger))
    assert ledger.entries == ()


@pytest.mark.parametrize("budget", ["ten", "", "NaN", float("inf"), object()])
def test_a_budget_is_a_number(budget: Any) -> None:
    """What is none is refused where it is given, not where it is spent."""
    with pytest.raises(ConfigurationError, match="budget_usd must be a number of USD"):
        Ledger(budget)


def test_a_small_budget_is_readable() -> None:
    """Without an exponent."""
    ledger = Ledger("1e-7")
    ledger.record(entry(cost=Decimal("2e-7")))
    with pytest.raises(BudgetExceededError, match=r"0\.0000001 USD is spent \(0\.0000002 USD\)"):
        ledger.check()


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
        ledger.record(entry(cost))
        ledger.check()
    ledger.record(entry(0.1))
    assert ledger.spent == Decimal("0.3")
    assert ledger.entries[1].cost is None
    with pytest.raises(BudgetExceededError):
        ledger.check()


def test_totals() -> None:
    """What was spent is told by any key."""
    ledger = Ledger()
    for model, cost in (("a", 1), ("b", 2), ("a", None), ("a", 4)):
        ledger.record(entry(cost, model=model))
    assert ledger.totals(lambda one: one.model) == ledger.totals("model") == {"a": 5, "b": 2}
    assert ledger.totals(lambda one: one.provider) == {None: 7}


def test_an_entry_without_usage() -> None:
    """Tokens that were not counted are none."""
    booked = entry()
    assert (booked.input_tokens, booked.cached_tokens, booked.reasoning_tokens) == (0, 0, 0)
    assert entry(usage=Usage(input_tokens=3)).cached_tokens == 0


def test_rows_for_other_programs(tmp_path: Path) -> None:
    """Entries leave as JSON objects, lines of JSON, or a table; no digit of the money is lost."""
    ledger = Ledger()
    ledger.record(entry(0.1, model="a, b", id="1"))
    ledger.record(entry(model="\xe9"))
    first, second = ledger.to_rows()
    assert (first["model"], first["cost"], second["cost"]) == ("a, b", "0.1", None)
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    ledger.to_jsonl(tmp_path / "lines")
    lines = (tmp_path / "lines").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == ledger.to_rows()
    ledger.to_csv(tmp_path / "table")
    with (tmp_path / "table").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [(row["model"], row["cost"]) for row in read] == [("a, b", "0.1"), ("\xe9", "")]


MONEY = st.decimals(allow_nan=False, allow_infinity=False)
ENTRIES = st.builds(
    LedgerEntry,
    time=st.datetimes(timezones=st.just(timezone.utc)),
    cost=st.none() | MONEY,
    seconds=st.floats(min_value=0, allow_infinity=False),
    first_token=st.none() | st.floats(min_value=0, allow_infinity=False),
)


@given(booked=st.lists(ENTRIES, max_size=3))
def test_rows_that_come_back(booked: list[LedgerEntry]) -> None:
    """A ledger of its own rows, or of the JSON of them, is the same ledger, to the last digit."""
    ledger = Ledger()
    for one in booked:
        ledger.record(one)
    rows = ledger.to_rows()
    for back in (Ledger.from_rows(rows), Ledger.from_rows(json.loads(json.dumps(rows)))):
        assert back == ledger
        assert back.to_rows() == rows
        assert [str(entry.cost) for entry in back.entries] == [str(one.cost) for one in booked]
        assert pickle.loads(pickle.dumps(back)) == ledger  # noqa: S301 -- our own bytes


def test_lines_that_come_back(tmp_path: Path) -> None:
    """A ledger of a file of its own is the same ledger, whatever models are called."""
    ledger = Ledger()
    for name in ("a\nb", "\u2028", "\xe9", None):
        ledger.record(entry(0.1, model=name))
    ledger.to_jsonl(tmp_path / "lines")
    assert Ledger.from_jsonl(tmp_path / "lines") == ledger
    ledger.merge(Ledger.from_jsonl(tmp_path / "lines"))  # all of it is there already
    assert ledger.spent == Decimal("0.4")
    with pytest.raises(BudgetExceededError):
        Ledger.from_jsonl(tmp_path / "lines", budget_usd="0.4").check()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cost": "NaN"}, "cost"),
        ({"cost": "sk-a-secret"}, "cost"),
        ({"time": "soon"}, "time"),
        ({"attempts": None}, "attempts"),
        ({"partial": "perhaps"}, "partial"),
        ({"price": 1}, "price"),
    ],
)
def test_rows_that_are_no_entries(change: dict[str, Any], said: str) -> None:
    """The first row that is none is named, and what is wrong with it, but not its values."""
    right = entry(1).to_row()
    with pytest.raises(ConfigurationError, match=f"^Row 2 is no entry: {said}: ") as caught:
        Ledger.from_rows([right, right | change])
    assert "sk-a-secret" not in str(caught.value)


@pytest.mark.parametrize("row", [{}, None, "row", ["row"], 5])
def test_things_that_are_no_rows(row: Any) -> None:
    """They are told apart from entries."""
    with pytest.raises(ConfigurationError, match="Row 1 is no entry: "):
        Ledger.from_rows([row])


def test_lines_that_are_no_json(tmp_path: Path) -> None:
    """A file that was cut, or is no text, is refused."""
    ledger = Ledger()
    ledger.record(entry(1))
    ledger.to_jsonl(tmp_path / "lines")
    whole = (tmp_path / "lines").read_bytes()
    for broken in (whole + whole[:-5], whole + b"\xff\n"):
        (tmp_path / "lines").write_bytes(broken)
        with pytest.raises(ConfigurationError, match="is no entry: "):
            Ledger.from_jsonl(tmp_path / "lines")


def test_what_a_ledger_looks_like() -> None:
    """It says how much was spent; a notebook shows on what, and escapes what others named."""
    ledger = Ledger(2)
    ledger.record(entry(0.5, model="<a>"))
    assert repr(ledger) == "<Ledger: 1 replies, 0.5 of 2 USD>"
    ledger.record(entry(None))
    ledger.record(entry("5E-7"))
    assert repr(ledger) == "<Ledger: 3 replies, 0.5000005 of 2 USD, 1 of unknown cost>"
    assert "&lt;a&gt;</td><td>0.5</td>" in ledger._repr_html_()


def test_copies_share_and_pickles_do_not() -> None:
    """A deep copy is the ledger itself; a pickled one is another, to be merged back."""
    ledger = Ledger(9)
    ledger.record(entry(1))
    assert copy.deepcopy(ledger) is ledger
    other = pickle.loads(pickle.dumps(ledger))  # noqa: S301 -- our own bytes
    assert other == ledger
    assert other != object()
    other.record(entry(2))
    assert other != ledger
    for _ in range(2):
        ledger.merge(other)  # what was there when it was pickled is not counted again
    assert ledger.spent == other.spent == 1 + 2


def test_a_ledger_per_call() -> None:
    """A ledger is given to an instance or to a call, stays itself, and is not shown."""
    mine, its = Ledger(), Ledger(1)
    made = GatewayFields(model="m", ledger=mine)
    assert resolve_call(made).connection.ledger is mine
    assert resolve_call(made, {"ledger": its}).connection.ledger is its
    assert "ledger" not in made.model_dump()
    assert "ledger" not in resolve_call(made).parameters


def test_many_threads_book() -> None:
    """No entry is lost among threads."""
    ledger = Ledger()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ledger.record(entry(1)), range(400)))
    assert ledger.spent == 400
