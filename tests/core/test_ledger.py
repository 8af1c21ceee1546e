"""The ledger: one entry per reply, totals, budgets, export and import."""

from __future__ import annotations

import copy
import csv
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from io import StringIO
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
REPLY_FIELDS = {"usage": USAGE, "cost": 0.1, "model": "served/model", "provider": "alibaba/cn"}
ANSWER = Script(json=completion(**REPLY_FIELDS))
STREAM = Script(events=[chunk("H"), 0.02, chunk("i"), chunk(finish="stop", **REPLY_FIELDS)])


def new_entry(cost: Any = None, **fields: Any) -> LedgerEntry:
    """Return the entry of a reply with these fields."""
    return LedgerEntry.of(Reply(cost=cost, **fields), seconds=1.0)


# --- recording ---


def test_a_complete_reply_is_recorded_once(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """The entry has model, provider, tokens, cost and time."""
    ledger = Ledger()
    sim.script(ANSWER)
    caller.complete(gateway(ledger=ledger), HELLO)
    (entry,) = ledger.entries
    assert (entry.model, entry.provider, entry.id) == ("served/model", "alibaba/cn", "gen-1")
    assert (entry.input_tokens, entry.output_tokens) == (3, 2)
    assert (entry.cached_tokens, entry.reasoning_tokens) == (1, 2)
    assert (entry.cost, entry.attempts, entry.first_token) == (Decimal("0.1"), 1, None)
    assert 0 < entry.seconds < 5
    assert abs((datetime.now(timezone.utc) - entry.time).total_seconds()) < 5


def test_a_streamed_reply_is_recorded_at_its_end(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """The entry has the time to the first delta, and the number of requests."""
    ledger = Ledger()
    sim.script(Script(status=500, body="oops"), STREAM)
    assert final_reply(caller.stream(gateway(ledger=ledger), HELLO)).attempts == 2
    (entry,) = ledger.entries
    assert (entry.cost, entry.attempts) == (Decimal("0.1"), 2)
    assert entry.first_token is not None
    assert 0 < entry.first_token < entry.seconds


def test_a_failed_call_is_recorded_if_it_has_a_partial_reply(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """A call without any reply has no entry."""
    ledger = Ledger()
    empty = completion("", "length", **REPLY_FIELDS)
    sim.script(
        Script(status=500, body="oops"),
        Script(json=empty),
        Script(events=[chunk("a", **REPLY_FIELDS)], done=False),
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


def test_a_stream_that_is_closed_early_is_recorded(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """The entry is partial: it has the cost if an event before the end had one."""
    ledger = Ledger()
    sim.script(*[Script(events=[chunk("Hel", cost=0.1), chunk("lo")], end="hang")] * 2)
    one = gateway(ledger=ledger)
    caller.first(one, HELLO, 1)
    (entry,) = ledger.entries
    assert (entry.cost, entry.partial, entry.model) == (Decimal("0.1"), True, HELLO.model)


PRICED = ModelInfo("served/model", input_price=Decimal("0.1"), output_price=Decimal("0.2"))
UNPRICED = ModelInfo("served/model")


@pytest.mark.parametrize(
    ("fields", "price", "cost", "estimated"),
    [
        ({"usage": USAGE, "cost": 0.1}, PRICED, Decimal("0.1"), False),
        ({"usage": USAGE, "cost": 0}, PRICED, Decimal(0), False),
        ({"usage": USAGE}, PRICED, Decimal("0.7"), True),
        ({"usage": USAGE}, UNPRICED, None, False),
        ({"usage": USAGE}, ModelInfo("other/one"), None, False),
        ({}, PRICED, None, False),
    ],
)
def test_an_unreported_cost_is_estimated_from_the_price_list(  # noqa: PLR0913, PLR0917 -- fixtures
    sim: Simulator,
    gateway: Make,
    send: Send,
    fields: dict[str, Any],
    price: ModelInfo,
    cost: Decimal | None,
    *,
    estimated: bool,
) -> None:
    """It needs the usage and both prices; a reported cost of 0 is a cost."""
    ledger = Ledger()
    sim.script(Script(json=completion(model="served/model", **fields)))
    send(gateway(ledger=ledger, prices=Catalog([price])), HELLO)
    (entry,) = ledger.entries
    assert (entry.cost, entry.estimated) == (cost, estimated)


# --- budget ---


def test_a_retry_beyond_the_budget_is_not_sent(sim: Simulator, gateway: Make, send: Send) -> None:
    """Another call may have spent the budget in the meantime."""
    ledger = Ledger(0.15)
    sim.script(Script(status=500, body="oops"))

    def spend_elsewhere(_: Any) -> None:
        ledger.record(new_entry(0.2))

    with pytest.raises(BudgetExceededError):
        send(gateway(ledger=ledger), HELLO, on_retry=spend_elsewhere)
    assert len(sim.requests) == 1


def test_a_call_after_the_budget_is_spent_is_not_sent(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """The call that exceeds the budget is answered."""
    ledger = Ledger(0.15)
    one = gateway(ledger=ledger)
    sim.script(STREAM, STREAM, STREAM)
    for _ in range(2):
        send(one, HELLO)
    with pytest.raises(BudgetExceededError, match=r"budget of 0\.15 USD is spent \(0\.2 USD\)"):
        send(one, HELLO)
    assert len(sim.requests) == 2
    assert len(ledger.entries) == 2


def test_the_model_list_needs_no_budget_and_has_no_entry(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """It costs nothing."""
    ledger = Ledger(0)
    assert caller.models(gateway(ledger=ledger))
    assert ledger.entries == ()


@pytest.mark.parametrize("budget", ["ten", "", "NaN", float("inf"), object()])
def test_a_budget_that_is_not_a_number_is_a_configuration_error(budget: Any) -> None:
    """The constructor raises it, not the first call."""
    with pytest.raises(ConfigurationError, match="budget_usd must be a number of USD"):
        Ledger(budget)


def test_a_small_budget_is_shown_without_exponent() -> None:
    """As people write amounts of money."""
    ledger = Ledger("1e-7")
    ledger.record(new_entry(cost=Decimal("2e-7")))
    with pytest.raises(BudgetExceededError, match=r"0\.0000001 USD is spent \(0\.0000002 USD\)"):
        ledger.check()


@pytest.mark.parametrize("budget", [0, "0", Decimal(0)])
def test_a_budget_of_zero_allows_no_call(budget: Any) -> None:
    """None means no budget."""
    with pytest.raises(BudgetExceededError):
        Ledger(budget).check()
    Ledger(None).check()


# --- amounts and totals ---


def test_costs_add_up_without_rounding() -> None:
    """Three times 0.1 is 0.3; an unknown cost counts as 0."""
    ledger = Ledger("0.3")
    for cost in (0.1, None, 0.1):
        ledger.record(new_entry(cost))
        ledger.check()
    ledger.record(new_entry(0.1))
    assert ledger.spent == Decimal("0.3")
    assert ledger.entries[1].cost is None
    with pytest.raises(BudgetExceededError):
        ledger.check()


def test_totals_by_field_or_function() -> None:
    """A missing value is a group of its own."""
    ledger = Ledger()
    for model, cost in (("a", 1), ("b", 2), ("a", None), ("a", 4)):
        ledger.record(new_entry(cost, model=model))
    assert ledger.totals(lambda entry: entry.model) == ledger.totals("model") == {"a": 5, "b": 2}
    assert ledger.totals(lambda entry: entry.provider) == {None: 7}


def test_what_caching_saved_adds_up() -> None:
    """Unknown savings count as 0, a loss counts."""
    ledger = Ledger()
    for savings in ("0.1", None, "-0.3", "0.1", "NaN"):
        usd = None if savings is None else Decimal(savings)
        ledger.record(replace(new_entry(1), cache_savings=usd))
    assert ledger.cache_savings == Decimal("-0.1")
    assert Ledger().cache_savings == 0


# --- export and import ---


def test_rows_of_earlier_versions_can_be_imported(tmp_path: Path) -> None:
    """They have no savings of prompt caching."""
    row = new_entry(0.5).to_row()
    new = row.pop("cache_savings"), row.pop("cache_savings_estimated")
    (tmp_path / "lines").write_text(json.dumps(row) + "\n", "utf-8")
    for ledger in (Ledger.from_rows([row]), Ledger.from_jsonl(tmp_path / "lines")):
        (entry,) = ledger.entries
        assert (entry.cost, entry.cache_savings) == (Decimal("0.5"), None)
        assert ledger.cache_savings == 0
    assert new == (None, False)


def test_savings_are_exported_as_text() -> None:
    """No digit is lost."""
    ledger = Ledger()
    ledger.record(replace(new_entry(1), cache_savings=Decimal("0.00000070")))
    (row,) = ledger.to_rows()
    assert row["cache_savings"] == "7.0E-7"
    assert Ledger.from_rows([row]) == ledger


def test_entries_can_be_exported_as_rows_jsonl_and_csv(tmp_path: Path) -> None:
    """Costs are strings, so that no digit is lost."""
    ledger = Ledger()
    ledger.record(new_entry(0.1, model="a, b", id="1"))
    ledger.record(new_entry(model="\xe9"))
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
    cache_savings=st.none() | MONEY,
    cache_savings_estimated=st.booleans(),
)


@given(entries=st.lists(ENTRIES, max_size=3))
def test_a_ledger_of_exported_rows_equals_the_original(entries: list[LedgerEntry]) -> None:
    """Also after the rows were JSON, to the last digit of a cost."""
    ledger = Ledger()
    for entry in entries:
        ledger.record(entry)
    rows = ledger.to_rows()
    for imported in (Ledger.from_rows(rows), Ledger.from_rows(json.loads(json.dumps(rows)))):
        assert imported == ledger
        assert imported.to_rows() == rows
        costs = [str(entry.cost) for entry in imported.entries]
        assert costs == [str(entry.cost) for entry in entries]
        assert pickle.loads(pickle.dumps(imported)) == ledger  # noqa: S301 -- bytes of this process


def test_a_ledger_of_an_exported_file_equals_the_original(tmp_path: Path) -> None:
    """Line separators in a model's name do not end a line; merging the copy adds nothing."""
    ledger = Ledger()
    for name in ("a\nb", "\u2028", "\xe9", None):
        ledger.record(new_entry(0.1, model=name))
    ledger.to_jsonl(tmp_path / "lines")
    assert Ledger.from_jsonl(tmp_path / "lines") == ledger
    ledger.merge(Ledger.from_jsonl(tmp_path / "lines"))
    assert ledger.spent == Decimal("0.4")
    with pytest.raises(BudgetExceededError):
        Ledger.from_jsonl(tmp_path / "lines", budget_usd="0.4").check()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cost": "NaN"}, "cost"),
        ({"cost": "sk-a-secret"}, "cost"),
        ({"time": "soon"}, "time"),
        ({"attempts": None}, "attempts"),
        ({"partial": "perhaps"}, "partial"),
        ({"price": 1}, "price"),
    ],
)
def test_an_invalid_row_is_an_error_with_number_and_field(
    change: dict[str, Any], field: str
) -> None:
    """The error does not show the value."""
    row = new_entry(1).to_row()
    with pytest.raises(
        ConfigurationError, match=f"^Row 2 is not a ledger entry: {field}: "
    ) as caught:
        Ledger.from_rows([row, row | change])
    assert "sk-a-secret" not in str(caught.value)


@pytest.mark.parametrize("row", [{}, None, "row", ["row"], 5])
def test_a_row_of_another_type_is_a_configuration_error(row: Any) -> None:
    """And so is an empty mapping."""
    with pytest.raises(ConfigurationError, match="Row 1 is not a ledger entry: "):
        Ledger.from_rows([row])


def test_an_invalid_line_of_a_file_is_a_configuration_error(tmp_path: Path) -> None:
    """The file was cut off, or is not UTF-8."""
    ledger = Ledger()
    ledger.record(new_entry(1))
    ledger.to_jsonl(tmp_path / "lines")
    line = (tmp_path / "lines").read_bytes()
    for invalid in (line + line[:-5], line + b"\xff\n"):
        (tmp_path / "lines").write_bytes(invalid)
        with pytest.raises(ConfigurationError, match="is not a ledger entry: "):
            Ledger.from_jsonl(tmp_path / "lines")


# --- display, equality and copies ---


def test_repr_and_notebook_show_the_costs() -> None:
    """A notebook shows the cost by model, with names escaped."""
    ledger = Ledger(2)
    ledger.record(new_entry(0.5, model="<a>"))
    assert repr(ledger) == "<Ledger: 1 replies, 0.5 of 2 USD>"
    ledger.record(new_entry(None))
    ledger.record(new_entry("5E-7"))
    assert repr(ledger) == "<Ledger: 3 replies, 0.5000005 of 2 USD, 1 of unknown cost>"
    assert "&lt;a&gt;</td><td>0.5</td>" in ledger._repr_html_()


def test_a_deep_copy_is_shared_and_a_pickled_copy_can_be_merged_back() -> None:
    """Entries that both have are not counted twice."""
    ledger = Ledger(9)
    ledger.record(new_entry(1))
    assert copy.deepcopy(ledger) is ledger
    other = pickle.loads(pickle.dumps(ledger))  # noqa: S301 -- bytes of this process
    assert other == ledger
    assert other != object()
    other.record(new_entry(2))
    assert other != ledger
    for _ in range(2):
        ledger.merge(other)
    assert ledger.spent == other.spent == 1 + 2


def test_a_ledger_can_be_given_to_an_instance_and_to_a_call() -> None:
    """It is neither copied, nor dumped, nor sent."""
    of_instance, of_call = Ledger(), Ledger(1)
    fields = GatewayFields(model="m", ledger=of_instance)
    assert resolve_call(fields).connection.ledger is of_instance
    assert resolve_call(fields, {"ledger": of_call}).connection.ledger is of_call
    assert "ledger" not in fields.model_dump()
    assert "ledger" not in resolve_call(fields).parameters


def test_no_entry_is_lost_among_threads() -> None:
    """The sum is complete, too."""
    ledger = Ledger()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ledger.record(new_entry(1)), range(400)))
    assert ledger.spent == 400


# --- odd values ---


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.parametrize("model", ["half \ud83d", "line\nbreak", 'a"b,c', "nul \0", "é\u2028"])
def test_a_file_is_written_whole_whatever_a_model_is_called(
    tmp_path: Path, model: str, suffix: str
) -> None:
    """In place of the old one, without a temporary file left; a link and the mode stay."""
    ledger = Ledger()
    ledger.record(new_entry(0.5, model=model))
    file, link = tmp_path / f"costs.{suffix}", tmp_path / f"link.{suffix}"
    file.write_text("old" * 1000)
    file.chmod(0o600)
    link.symlink_to(file)
    getattr(ledger, f"to_{suffix}")(link)
    assert sorted(tmp_path.iterdir()) == [file, link]
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_bytes().decode("utf-8")
    if suffix == "jsonl":
        assert Ledger.from_jsonl(file).spent == Decimal("0.5")
    else:
        (row,) = csv.DictReader(StringIO(text, newline=""))
        assert (row["cost"], row["model"][:3]) == ("0.5", model[:3])
    assert "old" not in text


@pytest.mark.parametrize("cost", [-5, "-Infinity", "NaN"])
def test_an_odd_cost_gives_no_budget_back(cost: Any) -> None:
    """Neither in `spent` nor in the totals; the entry shows it."""
    ledger = Ledger(budget_usd=1)
    ledger.record(new_entry(1, model="a"))
    ledger.record(new_entry(cost, model="a"))
    assert ledger.spent == 1
    assert ledger.totals("model") == {"a": 1}
    with pytest.raises(BudgetExceededError):
        ledger.check()
