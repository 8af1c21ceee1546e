"""Read deadlines on threads and on event loops, and TCP keep-alive."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest

from onerouter_core import Clients, Gateway
from onerouter_core.deadlines import ReadTimeout, limit_reads, set_read_deadline
from onerouter_core.errors import APITimeoutError, DeadlineExceededError
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]


# --- real calls, sync and async ---


@pytest.mark.parametrize(
    ("limit", "error_class"), [("deadline", DeadlineExceededError), ("timeout", APITimeoutError)]
)
def test_silence_after_data_ends_at_the_read_deadline(
    sim: Simulator, gateway: Make, caller: Caller, limit: str, error_class: type[Exception]
) -> None:
    """An HTTP library alone would wait for the full timeout again after the last byte."""
    sim.script(Script(events=[chunk("Hel"), 0.4, chunk("lo"), 0.4, chunk("!")], end="hang"))
    seconds = 1.0 if limit == "deadline" else 0.6
    started_at = monotonic()
    with pytest.raises(error_class) as caught:
        caller.stream(gateway(**{limit: seconds}), HELLO)
    assert caught.value.partial.text == "Hello!"  # type: ignore[attr-defined]
    assert monotonic() - started_at < (1.3 if limit == "deadline" else 1.9)


async def test_time_that_the_reader_takes_does_not_count(sim: Simulator, gateway: Make) -> None:
    """Only the time that the server takes counts against `timeout`."""
    sim.script(Script(events=[chunk("a"), chunk("b"), 0.3, chunk("c", "stop")]))
    async with gateway(clients=Clients(), timeout=0.4) as one:
        texts = []
        async for delta in await one.astream(HELLO):
            texts.append(delta.text)
            await asyncio.sleep(0.25)
    assert texts == ["a", "b", "c", ""]


async def test_a_cancellation_by_the_caller_is_no_timeout(sim: Simulator, gateway: Make) -> None:
    """Also while a read waits for its deadline."""
    sim.script(Script(events=[chunk("a")], end="hang"))
    async with gateway(clients=Clients(), timeout=5) as one:
        stream = await one.astream(HELLO)
        await anext(stream)
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.05)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await stream.aclose()


def test_a_timeout_in_a_cancelled_task_is_a_timeout(
    sim: Simulator, gateway: Make, loop: asyncio.AbstractEventLoop
) -> None:
    """A call in the cleanup of a cancelled task: the earlier cancellation is not counted."""
    sim.script(Script(events=[], end="hang"))
    raised: list[BaseException] = []

    async def run() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            try:
                await gateway(timeout=0.2, max_retries=0).acomplete(HELLO)
            except BaseException as error:  # noqa: BLE001 -- its class is what is tested
                raised.append(error)

    async def cancel() -> None:
        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        task.cancel()
        await task

    loop.run_until_complete(cancel())
    assert [type(error) for error in raised] == [APITimeoutError]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_tcp_keepalive_is_set(sim: Simulator, gateway: Make, new_clients: None) -> None:
    """The timer of an idle connection is of kind 2 in /proc/net/tcp: keep-alive."""
    sim.script(Script(json=completion()))
    with closing(gateway(clients=Clients())) as one:
        one.complete(HELLO)
        connection = (sim.last.port, urlsplit(sim.base_url).port)
        lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
        timers = [
            timer
            for _, *addresses, _, _, timer in (line.split()[:6] for line in lines)
            if tuple(int(address[-4:], 16) for address in addresses) == connection
        ]
        assert [timer[:3] for timer in timers] == ["02:"]


# --- ReadTimeout ---


async def test_a_moved_deadline_extends_the_wait() -> None:
    """The timer fires at the first deadline, and is set again."""
    started_at = monotonic()
    deadline = started_at + 0.05
    with closing(ReadTimeout(lambda: deadline)) as read_timeout:
        waiting = asyncio.ensure_future(read_timeout.wait(asyncio.sleep(0.2, "done")))
        await asyncio.sleep(0)
        deadline = started_at + 5
        assert await waiting == "done"


async def test_a_passed_deadline_raises_timeout_error() -> None:
    """The awaited read is cancelled."""
    read = asyncio.ensure_future(asyncio.sleep(5))
    deadline = monotonic() + 0.05
    with closing(ReadTimeout(lambda: deadline)) as read_timeout, pytest.raises(TimeoutError):
        await read_timeout.wait(read)
    assert read.cancelled()


async def test_the_deadline_may_pass_between_two_waits() -> None:
    """The code between them is not cancelled; the next wait is."""
    deadline = monotonic() + 0.05
    with closing(ReadTimeout(lambda: deadline)) as read_timeout:
        await read_timeout.wait(asyncio.sleep(0))
        await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            await read_timeout.wait(asyncio.sleep(5))


async def test_without_a_deadline_there_is_no_timer() -> None:
    """And closing twice is allowed."""
    read_timeout = ReadTimeout(lambda: None)
    assert await read_timeout.wait(asyncio.sleep(0.01, "done")) == "done"
    read_timeout.close()
    read_timeout.close()


async def test_a_closed_read_timeout_does_not_cancel() -> None:
    """Its timer is gone."""
    deadline = monotonic() + 0.05
    read_timeout = ReadTimeout(lambda: deadline)
    await read_timeout.wait(asyncio.sleep(0))
    read_timeout.close()
    assert await asyncio.sleep(0.1, "not cancelled") == "not cancelled"


class Stream:
    """A connection of a user's client, which was opened before the call."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return data at once."""
        return b"x" * max_bytes


def test_reads_of_a_connection_end_at_the_deadline_of_their_thread() -> None:
    """Another thread, which uses it next, has its own; a connection is limited once."""
    stream = Stream()
    limit_reads(stream)
    read = stream.read
    limit_reads(stream)
    assert stream.read is read
    previous = set_read_deadline(monotonic() - 1)
    try:
        with pytest.raises(TimeoutError):
            stream.read(1)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(stream.read, 1).result() == b"x"
    finally:
        set_read_deadline(previous)
    assert stream.read(1) == b"x"
