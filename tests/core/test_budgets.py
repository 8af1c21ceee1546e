"""Budgets and limits: reservations of calls at the same time, and parts of a program."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from onerouter_core import Catalog, Gateway, Ledger, LedgerEntry, ModelInfo, Reply, Request, Usage
from onerouter_core.errors import BudgetExceededError, ConfigurationError, OneRouterError
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]
Send = Callable[..., Any]

MESSAGES = HELLO.messages
ASSUMED = Decimal("0.07503")  # USD that HELLO is expected to cost without any knowledge
FAILURES = {
    "status": Script(status=500, body="oops"),
    "no answer": Script(status=None),
    "cut": Script(events=[chunk("H")], end="cut"),
    "no JSON": Script(body="oops"),
}


def answer(cost: float | None = 0.01, *, tokens: int = 10, delay: float = 0) -> Script:
    """Return the script of an answer that costs so much, whole and streamed."""
    usage = {"prompt_tokens": 1, "completion_tokens": tokens - 1, "total_tokens": tokens}
    return Script(json=completion(cost=cost, usage=usage), delay=delay)


def entry(cost: Any = None, tokens: int = 0) -> LedgerEntry:
    """Return an entry of so much cost and so many tokens."""
    return LedgerEntry.of(Reply(cost=cost, usage=Usage(input_tokens=tokens)), seconds=1.0)


# --- reservations ---


def ask_all(gateway: Gateway, count: int, request: Request = HELLO) -> list[Any]:
    """Return the replies and errors of calls at the same time."""

    async def calls() -> list[Any]:
        every = (gateway.acomplete(request) for _ in range(count))
        return await asyncio.gather(*every, return_exceptions=True)

    return asyncio.run(calls())


@pytest.mark.parametrize("knowledge", ["nothing", "prices", "last cost"])
def test_calls_at_the_same_time_do_not_overspend_together(
    sim: Simulator, gateway: Make, knowledge: str
) -> None:
    """500 calls of 0.01 USD on a budget of 1 USD. Without knowledge, fewer run at the same time."""
    ledger, request, prices, before = Ledger(1), HELLO, None, 0
    if knowledge == "prices":
        price = ModelInfo("vendor/model", input_price=Decimal(0), output_price=Decimal("0.001"))
        prices = Catalog([price])
        request = Request("vendor/model", MESSAGES, parameters={"max_tokens": 10})
    one = gateway(ledger=ledger, prices=prices)
    if knowledge == "last cost":
        sim.script(answer())
        one.complete(HELLO)
        before = 1
    sim.script(*[answer(delay=0.3)] * 500)
    outcomes = ask_all(one, 500, request)
    answers = sum(isinstance(outcome, Reply) for outcome in outcomes)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BudgetExceededError)]
    assert answers + len(refused) == 500, outcomes[0]
    assert answers + before == (14 if knowledge == "nothing" else 100)
    assert len(sim.requests) == answers + before
    assert ledger.spent == (answers + before) * Decimal("0.01") <= 1
    assert "reserved by" in str(refused[-1])


def test_the_overshoot_is_what_calls_cost_more_than_expected(sim: Simulator, gateway: Make) -> None:
    """Those that run at the same time, and one more: the promise of the documentation."""
    ledger = Ledger(1)
    sim.script(answer(0.01), *[answer(0.03, delay=0.3)] * 500)
    one = gateway(ledger=ledger)
    one.complete(HELLO)
    ask_all(one, 500)
    assert ledger.spent == Decimal("0.01") + 99 * Decimal("0.03")
    assert isinstance(ask_all(one, 1)[0], BudgetExceededError)


def test_threads_reserve_too(sim: Simulator, gateway: Make) -> None:
    """A stream is open in one thread; calls in other threads find the budget reserved."""
    one = gateway(ledger=Ledger(ASSUMED))
    sim.script(Script(events=[chunk("H"), chunk("i"), chunk(finish="stop", cost=0.01)]), answer())
    stream = one.stream(HELLO)
    next(stream)

    def ask(_: int) -> bool:
        with pytest.raises(BudgetExceededError, match=r"reserved by 1 call\)"):
            one.complete(HELLO)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))
    assert len(list(stream)) > 0
    assert one.complete(HELLO)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_call_gives_its_reservation_back(
    sim: Simulator, gateway: Make, send: Send, failure: str
) -> None:
    """Else the next call would find the budget reserved."""
    one = gateway(ledger=Ledger(ASSUMED), max_retries=0)
    sim.script(FAILURES[failure], answer())
    with pytest.raises(OneRouterError):
        send(one, HELLO)
    assert send(one, HELLO)


def test_each_attempt_reserves_anew(sim: Simulator, gateway: Make, send: Send) -> None:
    """A retry finds the reservation of the failed attempt returned."""
    sim.script(FAILURES["status"], FAILURES["status"], answer())
    assert send(gateway(ledger=Ledger(ASSUMED), max_retries=2), HELLO)
    assert len(sim.requests) == 3


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "dropped"])
def test_a_stream_that_is_left_gives_its_reservation_back(
    sim: Simulator, gateway: Make, *, is_closed: bool
) -> None:
    """Closed, or dropped and collected."""
    one = gateway(ledger=Ledger(ASSUMED))
    sim.script(Script(events=[chunk("H"), chunk("i")], end="hang"), answer())
    stream = one.stream(HELLO)
    next(stream)
    with pytest.raises(BudgetExceededError):
        one.complete(HELLO)
    if is_closed:
        stream.close()
    del stream
    gc.collect()
    assert one.complete(HELLO)


def test_a_cancelled_call_gives_its_reservation_back(sim: Simulator, gateway: Make) -> None:
    """The task is cancelled while the server is silent."""
    one = gateway(ledger=Ledger(ASSUMED))
    sim.script(answer(delay=5), answer())

    async def cancel_then_ask() -> Reply:
        task = asyncio.create_task(one.acomplete(HELLO))
        while not sim.requests:  # noqa: ASYNC110 -- the server has no asyncio event
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        return await one.acomplete(HELLO)

    assert asyncio.run(cancel_then_ask()).text == "Hi"


@pytest.mark.parametrize("budget", [{}, {"budget_usd": None, "budget_tokens": None}])
def test_without_a_budget_nothing_is_reserved(budget: dict[str, Any]) -> None:
    """The size of the request is not looked at."""

    def size_of() -> Any:
        raise AssertionError

    assert Ledger(**budget).reserve("m", size_of) is None


# --- tokens ---


def test_a_token_budget_stops_the_next_request(sim: Simulator, gateway: Make, send: Send) -> None:
    """Tokens of prompt and answer count; the call that exceeds the budget is answered."""
    ledger = Ledger(budget_tokens=15)
    one = gateway(ledger=ledger)
    sim.script(answer(), answer(), answer())
    for _ in range(2):
        send(one, HELLO)
    with pytest.raises(BudgetExceededError, match=r"budget of 15 tokens is spent \(20 tokens\)"):
        send(one, HELLO)
    assert (ledger.spent_tokens, len(sim.requests)) == (20, 2)
    assert repr(ledger) == "<Ledger: 2 replies, 0.02 USD, 20 of 15 tokens>"


def test_the_error_says_what_is_spent_reserved_and_needed(sim: Simulator, gateway: Make) -> None:
    """In USD, of which no more digits are shown than mean anything."""
    sim.script(answer(0.0123), *[answer(0.0123, delay=0.3)] * 9)
    one = gateway(ledger=Ledger("0.03"))
    one.complete(HELLO)
    *_, refused = ask_all(one, 3)
    assert str(refused).startswith(
        "The budget of 0.03 USD is spent (0.0123 USD, and about 0.025 reserved by 2 calls). "
        "The call would need about 0.012 USD."
    )


# --- limits ---


def test_a_limit_holds_for_its_block_only(sim: Simulator, gateway: Make, send: Send) -> None:
    """The ledger itself has no budget."""
    ledger = Ledger()
    one = gateway(ledger=ledger)
    sim.script(*[answer()] * 3)
    with ledger.limit(usd="0.01") as limit:
        send(one, HELLO)
        with pytest.raises(BudgetExceededError, match=r"The limit of 0\.01 USD is spent"):
            send(one, HELLO)
        assert (limit.spent_usd, limit.spent_tokens) == (Decimal("0.01"), 10)
        assert repr(limit) == "<BudgetLimit: 0.01 of 0.01 USD, 10 tokens>"
    send(one, HELLO)
    assert limit.spent_usd == Decimal("0.01")
    assert ledger.spent == Decimal("0.02")


def test_nested_limits_and_the_budget_hold_together(sim: Simulator, gateway: Make) -> None:
    """The error names the one that is spent."""
    ledger = Ledger(budget_usd=1)
    one = gateway(ledger=ledger)
    sim.script(*[answer()] * 2)
    with ledger.limit(tokens=10) as outer:
        with ledger.limit(usd=1) as inner:
            one.complete(HELLO)
            with pytest.raises(BudgetExceededError, match="The limit of 10 tokens is spent"):
                one.complete(HELLO)
        assert outer.spent_usd == inner.spent_usd == ledger.spent == Decimal("0.01")


def in_task(ask: Callable[[], Any]) -> None:
    """Call in an asyncio task."""

    async def main() -> None:
        await asyncio.create_task(asyncio.to_thread(ask))

    asyncio.run(main())


def in_thread(ask: Callable[[], Any]) -> None:
    """Call in a thread."""
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()


def in_pool(ask: Callable[[], Any]) -> None:
    """Call in a pool that starts here."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ask).result()


def in_thread_of_a_thread(ask: Callable[[], Any]) -> None:
    """Call two threads away."""
    in_thread(lambda: in_thread(ask))


@pytest.mark.parametrize("run", [in_task, in_thread, in_pool, in_thread_of_a_thread])
def test_threads_and_tasks_of_a_block_belong_to_it(
    sim: Simulator, gateway: Make, run: Callable[..., None]
) -> None:
    """Those that start after it do not."""
    ledger = Ledger()
    one = gateway(ledger=ledger)
    sim.script(*[answer()] * 2)
    with ledger.limit(usd=1) as limit:
        run(lambda: one.complete(HELLO))
        assert limit.spent_usd == Decimal("0.01")
    run(lambda: one.complete(HELLO))
    assert limit.spent_usd == Decimal("0.01")
    assert ledger.spent == Decimal("0.02")


def test_a_pool_runs_each_task_for_its_submitter(sim: Simulator, gateway: Make) -> None:
    """Its thread starts in the first block, and works for the second one and for none."""
    ledger = Ledger()
    one = gateway(ledger=ledger)
    sim.script(*[answer()] * 4)
    with ThreadPoolExecutor(1) as pool:
        with ledger.limit(usd=1) as first:
            pool.submit(one.complete, HELLO).result()
        with ledger.limit(usd=1) as second:
            pool.submit(one.complete, HELLO).result()
            list(pool.map(one.complete, [HELLO]))
        pool.submit(one.complete, HELLO).result()
    assert (first.spent_usd, second.spent_usd) == (Decimal("0.01"), Decimal("0.02"))


def test_requests_at_the_same_time_have_limits_of_their_own(sim: Simulator, gateway: Make) -> None:
    """As of the tenants of a web server: tasks of one event loop."""
    ledger = Ledger()
    one = gateway(ledger=ledger)
    sim.script(*[answer(delay=0.1)] * 6)

    async def serve(calls: int) -> Decimal:
        with ledger.limit(usd=1) as limit:
            await asyncio.gather(*(one.acomplete(HELLO) for _ in range(calls)))
            return limit.spent_usd

    async def main() -> list[Decimal]:
        return await asyncio.gather(*map(serve, (1, 2, 3)))

    assert asyncio.run(main()) == [Decimal("0.01"), Decimal("0.02"), Decimal("0.03")]


def test_an_async_generator_may_end_in_another_context() -> None:
    """As a fixture of pytest-asyncio or a dependency of FastAPI does."""
    ledger = Ledger()

    async def dependency() -> Any:
        with ledger.limit(usd=1) as limit:
            yield limit

    async def main() -> None:
        generator = dependency()
        limit = await asyncio.create_task(anext(generator))
        ledger.record(entry(0.5))
        assert limit.spent_usd == 0
        await asyncio.create_task(generator.aclose())

    asyncio.run(main())


def test_an_entry_that_is_recorded_by_hand_counts() -> None:
    """For example the cost of an embedding."""
    ledger = Ledger()
    with ledger.limit(usd=1, tokens=100) as limit:
        ledger.record(entry("0.25", tokens=7))
    assert (limit.spent_usd, limit.spent_tokens) == (Decimal("0.25"), 7)


# --- bad input ---


@pytest.mark.parametrize("has_ledger", [False, True], ids=["no ledger", "another ledger"])
def test_a_call_that_a_limit_would_not_count_is_not_sent(
    sim: Simulator, gateway: Make, caller: Caller, *, has_ledger: bool
) -> None:
    """The model list is free, and needs no ledger."""
    one = gateway(ledger=Ledger() if has_ledger else None)
    expected = "has another ledger" if has_ledger else "has no ledger"
    with Ledger().limit(usd=1):
        with pytest.raises(ConfigurationError, match=expected):
            caller.complete(one, HELLO)
        assert caller.models(one)
    assert [request.path for request in sim.requests] == ["/v1/models"]


@pytest.mark.parametrize("value", [-1, "-0.5", "ten", float("nan"), object(), True])
@pytest.mark.parametrize("name", ["usd", "tokens"])
def test_a_limit_that_is_no_amount_is_a_configuration_error(name: str, value: Any) -> None:
    """Of a budget, too, in the constructor and later."""
    if name == "usd" and value is True:
        pytest.skip("a number for Decimal")
    ledger = Ledger()
    with pytest.raises(ConfigurationError, match=f"{name} must be"):
        ledger.limit(**{name: value})
    with pytest.raises(ConfigurationError, match=f"budget_{name} must be"):
        Ledger(**{f"budget_{name}": value})
    with pytest.raises(ConfigurationError, match=f"budget_{name} must be"):
        setattr(ledger, f"budget_{name}", value)


def test_a_limit_of_nothing_is_a_configuration_error() -> None:
    """It would limit nothing."""
    with pytest.raises(ConfigurationError, match="needs usd=, tokens= or both"):
        Ledger().limit()


def test_a_budget_can_be_raised(sim: Simulator, gateway: Make) -> None:
    """What was spent stays spent."""
    ledger = Ledger(0, budget_tokens=0)
    with pytest.raises(BudgetExceededError):
        gateway(ledger=ledger).complete(HELLO)
    ledger.budget_usd, ledger.budget_tokens = 1, None  # type: ignore[assignment]
    sim.script(answer())
    assert gateway(ledger=ledger).complete(HELLO)
    assert (ledger.budget_usd, ledger.budget_tokens) == (1, None)
