"""`Ledger.on_entry` with both classes: once per entry, in every method; its failure is harmless."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import threading
from functools import partial
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from onerouter_core import Ledger, LedgerEntry, Reply
from onerouter_core.errors import BudgetExceededError, ConfigurationError, OneRouterError
from onerouter_simulator import Script, Simulator, chunk, failure
from tests.both_classes import METHODS, ask, model, script, text_of

ANSWER = {"content": "Hi"}
KEY = "sk-or-v1-not-to-be-seen"


def failing(entry: LedgerEntry) -> None:
    """Raise an exception, as a hook may that has a bug."""
    raise LookupError(f"no metric for {entry.model}")


async def async_hook(entry: LedgerEntry) -> None:
    """Hold what no ledger awaits."""


class AsyncHook:
    """Object that is called as an async function."""

    async def __call__(self, entry: LedgerEntry) -> None:
        """Hold what no ledger awaits."""


@pytest.mark.parametrize("method", METHODS)
def test_each_answer_is_reported_once(sim: Simulator, method: str) -> None:
    """In the thread of the call, when the entry is in the ledger; no lock is held."""
    seen: list[Any] = []

    def report(entry: LedgerEntry) -> None:
        seen.append((entry, ledger.entries[-1], ledger.spent, threading.get_ident()))

    ledger = Ledger(budget_usd=1, on_entry=report)
    sim.script(script(method, ANSWER, cost=0.25), script(method, ANSWER, cost=0.5))
    llm = model(sim, method, ledger=ledger)
    assert [text_of(ask(llm, method)) for _ in range(2)] == ["Hi", "Hi"]
    assert [entry for entry, *_ in seen] == [last for _, last, *_ in seen] == [*ledger.entries]
    assert [float(spent) for _, _, spent, _ in seen] == [0.25, 0.75]
    assert {thread for *_, thread in seen} == {threading.get_ident()}


@pytest.mark.parametrize("method", METHODS)
def test_a_retry_that_succeeds_is_reported_once(sim: Simulator, method: str) -> None:
    """A request that brought no reply costs nothing, and has no entry."""
    seen: list[LedgerEntry] = []
    sim.script(failure(503, "busy"), script(method, ANSWER))
    llm = model(sim, method, ledger=Ledger(on_entry=seen.append), max_retries=1)
    assert text_of(ask(llm, method)) == "Hi"
    assert [(entry.attempts, entry.partial) for entry in seen] == [(2, False)]


@pytest.mark.parametrize("method", METHODS)
def test_a_call_without_a_reply_is_not_reported(sim: Simulator, method: str) -> None:
    """A failed call and a spent budget."""
    seen: list[LedgerEntry] = []
    ledger = Ledger(on_entry=seen.append)
    sim.script(failure(404, "no such model"))
    with pytest.raises(OneRouterError):
        ask(model(sim, method, ledger=ledger), method)
    ledger.budget_usd = 0
    with pytest.raises(BudgetExceededError):
        ask(model(sim, method, ledger=ledger), method)
    assert not seen


@pytest.mark.parametrize("method", [name for name in METHODS if "stream" in name])
def test_a_partial_answer_is_reported_once(sim: Simulator, method: str) -> None:
    """A stream that broke off has an entry, which says so."""
    seen: list[LedgerEntry] = []
    sim.script(Script(events=[chunk("Hal")], done=False))
    with pytest.raises(OneRouterError) as caught:
        ask(model(sim, method, ledger=Ledger(on_entry=seen.append)), method)
    assert caught.value.partial is not None
    assert [entry.partial for entry in seen] == [True]


@pytest.mark.parametrize("method", METHODS)
def test_an_exception_of_the_function_loses_nothing(
    sim: Simulator, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is returned, the entry stays, and the log has the traceback."""
    ledger = Ledger(budget_usd=1, on_entry=failing)
    sim.script(script(method, ANSWER, cost=0.25))
    assert text_of(ask(model(sim, method, ledger=ledger), method)) == "Hi"
    assert float(ledger.spent) == 0.25
    (record,) = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert record.name == "onerouter_core"
    assert "in failing" in record.message
    assert "LookupError: no metric for " in record.message


@pytest.mark.parametrize("method", [name for name in METHODS if "stream" in name])
def test_an_exception_after_a_failure_shows_no_secret(
    sim: Simulator, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The call raises its own error; the log has that of the function without its context."""
    event = {"error": {"code": 500, "message": f"upstream refused {KEY}"}}
    sim.script(Script(events=[chunk("Hal"), event]))
    llm = model(sim, method, ledger=Ledger(on_entry=failing), api_key=KEY)
    with pytest.raises(OneRouterError, match="upstream refused"):
        ask(llm, method)
    assert "LookupError" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_raised_and_the_entry_stays(sim: Simulator, stop: type) -> None:
    """Ctrl-C in the function ends the program as anywhere; the reservation is given back."""

    def interrupt(_: LedgerEntry) -> None:
        raise stop

    ledger = Ledger(budget_usd=1, on_entry=interrupt)
    sim.script(script("invoke", ANSWER, cost=0.25))
    with pytest.raises(stop):
        model(sim, "invoke", ledger=ledger).invoke([HumanMessage("Hi")])
    assert float(ledger.spent) == 0.25
    ledger.budget_usd = "0.26"
    ledger.check()


def test_calls_at_once_are_all_reported(sim: Simulator) -> None:
    """Threads and tasks; the ledger's lock is not held while the function runs."""
    seen: list[LedgerEntry] = []
    ledger = Ledger(on_entry=seen.append)
    chat = model(sim, "invoke", ledger=ledger)
    chat.batch(["a"] * 8, {"max_concurrency": 8})
    asyncio.run(chat.abatch(["a"] * 8))
    assert sorted(seen, key=id) == sorted(ledger.entries, key=id)
    assert len(seen) == 16


def test_merged_and_recorded_entries_are_reported() -> None:
    """Those that are new; the function of the other ledger is not called."""
    seen: list[LedgerEntry] = []
    ledger = Ledger(on_entry=seen.append)
    ledger.record(LedgerEntry.of(Reply(id="1"), 1.0))
    other = pickle.loads(pickle.dumps(ledger))  # noqa: S301 -- our own
    assert other.on_entry is None
    other.record(LedgerEntry.of(Reply(id="2"), 1.0))
    ledger.merge(other)
    ledger.merge(other)
    assert [entry.id for entry in seen] == ["1", "2"]


def test_a_function_is_neither_pickled_nor_compared(sim: Simulator) -> None:
    """A function of a program need not pickle; restored and deep-copied ledgers, and models."""
    ledger = Ledger(on_entry=lambda _: None)
    assert pickle.loads(pickle.dumps(ledger)) == ledger == Ledger()  # noqa: S301 -- our own
    assert copy.deepcopy(ledger).on_entry is ledger.on_entry
    assert Ledger.from_rows(ledger.to_rows()).on_entry is None
    for method in ("invoke", "chat"):
        llm = model(sim, method, ledger=ledger)
        assert pickle.loads(pickle.dumps(llm)) == llm  # noqa: S301 -- our own
        assert copy.deepcopy(llm).ledger.on_entry is ledger.on_entry
        assert "on_entry" not in repr(llm)


@pytest.mark.parametrize("hook", [async_hook, partial(async_hook), AsyncHook(), "print", 3])
def test_a_function_that_cannot_be_called_is_an_error(hook: Any) -> None:
    """In the constructor, and when it is set."""
    with pytest.raises(ConfigurationError, match="on_entry must be a function"):
        Ledger(on_entry=hook)
    ledger = Ledger(on_entry=print)
    with pytest.raises(ConfigurationError, match="not async"):
        ledger.on_entry = hook
    assert ledger.on_entry is print
    ledger.on_entry = None
