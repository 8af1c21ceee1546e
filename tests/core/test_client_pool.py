"""SDK clients: shared by all who call, closed with the last, and of one process and loop each."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from onerouter_core import Clients, ConnectionSettings, Gateway
from onerouter_core.errors import (
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
)
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion, final_reply

Make = Callable[..., Gateway]
Send = Callable[..., Any]
HI = Script(json=completion())
HI_STREAM = Script(events=[chunk("Hi", "stop")])
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def two(sim: Simulator, gateway: Make, new_clients: None) -> Iterator[tuple[Gateway, Gateway]]:
    """Make two gateways with different keys, and no clients in common but the shared ones."""
    other = Gateway(ConnectionSettings(SecretStr("sk-other"), sim.base_url), Clients())
    with gateway(clients=Clients()) as one, other:
        yield one, other


def on_one_loop(*calls: Callable[[], object]) -> None:
    """Await what some functions return, one after the other, on one event loop."""

    async def run() -> None:
        for call in calls:
            await call()  # type: ignore[misc]

    asyncio.run(run())


def ports(sim: Simulator) -> list[int]:
    """Return which connection each request came over."""
    return [request.port for request in sim.requests]


# --- sharing ---


def test_all_share_connections(sim: Simulator, two: tuple[Gateway, Gateway]) -> None:
    """Gateways use the same connections, each with its own key."""
    sim.script(HI, HI)
    one, other = two
    one.complete(HELLO)
    other.complete(HELLO)
    assert len(set(ports(sim))) == 1
    assert sim.last.headers["authorization"] == "Bearer sk-other"


def test_all_share_connections_on_a_loop(sim: Simulator, two: tuple[Gateway, Gateway]) -> None:
    """So they do on an event loop; another loop has its own."""
    sim.script(*[HI] * 3)
    one, other = two
    on_one_loop(lambda: one.acomplete(HELLO), lambda: other.acomplete(HELLO))
    on_one_loop(lambda: one.acomplete(HELLO))
    first, second, third = ports(sim)
    assert first == second != third


def test_other_surroundings_are_another_client(
    sim: Simulator, two: tuple[Gateway, Gateway], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What an HTTP client reads from the environment is read anew by who first calls later."""
    sim.script(HI, HI)
    one, other = two
    one.complete(HELLO)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "elsewhere"))
    other.complete(HELLO)
    assert len(set(ports(sim))) == 2


def test_who_closes_takes_nothing_from_others(sim: Simulator, two: tuple[Gateway, Gateway]) -> None:
    """One is closed, the other calls over the same connection."""
    sim.script(*[HI] * 4)
    one, other = two
    one.complete(HELLO)
    other.complete(HELLO)
    one.close()
    other.complete(HELLO)
    assert len(set(ports(sim))) == 1
    other.close()
    one.complete(HELLO)
    assert len(set(ports(sim))) == 2, "the last that let go has closed it"


def test_who_closes_takes_nothing_from_others_on_a_loop(
    sim: Simulator, two: tuple[Gateway, Gateway]
) -> None:
    """The same on an event loop."""
    sim.script(*[HI] * 3)
    one, other = two

    async def run() -> None:
        await one.acomplete(HELLO)
        await one.aclose()
        await one.acomplete(HELLO)
        await other.acomplete(HELLO)
        await one.aclose()
        await other.aclose()

    asyncio.run(run())
    first, second, third = ports(sim)
    assert first != second == third


@linux_only
def test_many_instances_are_one_pool(sim: Simulator, gateway: Make, new_clients: None) -> None:
    """Instances cost no descriptor each."""
    sim.script(*[HI] * 50)
    made = [gateway(clients=Clients()) for _ in range(50)]
    made[0].complete(HELLO)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for one in made[1:]:
        one.complete(HELLO)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert len(set(ports(sim))) == 1


def test_who_is_forgotten_lets_go(sim: Simulator, gateway: Make, new_clients: None) -> None:
    """A gateway that nobody refers to any more hangs up, sync and async, with no warning."""
    sim.script(*[Script(events=[chunk("Hel")], end="hang")] * 2)

    async def run() -> None:
        pieces = await gateway(clients=Clients()).astream(HELLO)
        await anext(pieces)
        del pieces
        assert await asyncio.to_thread(sim.last.wait_hung_up, 2)

    next(gateway(clients=Clients()).stream(HELLO))
    assert sim.last.wait_hung_up(2)
    asyncio.run(run())


@pytest.mark.parametrize("cyclic", [False, True], ids=["by count", "by the collector"])
def test_who_is_forgotten_as_a_loop_ends(
    sim: Simulator,
    gateway: Make,
    new_clients: None,
    caplog: pytest.LogCaptureFixture,
    *,
    cyclic: bool,
) -> None:
    """A gateway of one coroutine ends with it, before its loop or with it, without a complaint."""
    sim.script(*[HI] * 10)

    async def run() -> None:
        one = gateway(clients=Clients())
        await one.acomplete(HELLO)
        if cyclic:
            knot: dict[str, object] = {"one": one}
            knot["knot"] = knot
            del one, knot
            gc.collect()

    for _ in range(10):
        asyncio.run(run())
        gc.collect()  # what was not closed would warn here
    assert caplog.records == []


def test_a_loop_that_ended_is_let_go(sim: Simulator, gateway: Make) -> None:
    """One gateway on many loops keeps none of them, nor their clients, alive."""
    sim.script(HI, HI, HI)
    one = gateway()
    loops = []

    async def send() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await one.acomplete(HELLO)

    for _ in range(3):
        asyncio.run(send())
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3


# --- processes ---


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("waited", [False, True], ids=["sync", "async"])
def test_after_a_fork(sim: Simulator, gateway: Make, new_clients: None, *, waited: bool) -> None:
    """A child process leaves its parent's connections alone and makes its own."""
    sim.script(*[HI] * 3)
    one = gateway(clients=Clients(), max_retries=0)
    one.complete(HELLO)
    if (child := os.fork()) == 0:
        signal.alarm(20)
        with suppress(BaseException):  # pytest must not go on in two processes
            reply = asyncio.run(one.acomplete(HELLO)) if waited else one.complete(HELLO)
            os._exit(0 if reply.text == "Hi" else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    one.complete(HELLO)
    mine, childs, again = ports(sim)
    assert mine == again != childs


# --- connections ---


def test_a_stream_leaves_its_connection(
    sim: Simulator, gateway: Make, caller: Caller, new_clients: None
) -> None:
    """What was streamed to its end leaves the connection for the next call."""
    sim.script(*[HI_STREAM] * 3)
    one = gateway(clients=Clients())
    for _ in range(3):
        assert final_reply(caller.stream(one, HELLO)).text == "Hi"
    assert len(set(ports(sim))) == 1


def test_a_server_that_leaves_the_line_open_is_not_waited_for(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """After [DONE] a stream is over, whatever the server does."""
    sim.script(Script(events=[chunk("Hi", "stop"), "[DONE]"], end="hang"))
    begun = monotonic()
    assert final_reply(caller.stream(gateway(timeout=30), HELLO)).text == "Hi"
    assert monotonic() - begun < 2
    assert sim.last.wait_hung_up(2)


def test_counts_are_not_waited_for_for_ever(
    sim: Simulator, gateway: Make, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole answer, and no [DONE]: without a timeout, too, its counts have some seconds."""
    monkeypatch.setattr("onerouter_core.call_state._USAGE_TIMEOUT", 0.2)
    sim.script(Script(events=[chunk("Hi", "stop")], done=False, end="hang"))
    begun = monotonic()
    assert final_reply(caller.stream(gateway(timeout=None), HELLO)).text == "Hi"
    assert monotonic() - begun < 3


def test_a_refusal_that_stalls(sim: Simulator, gateway: Make, send: Send) -> None:
    """What it has said by then is what it says."""
    sim.script(Script(status=401, body='{"error": {"message": "No such key"}}', end="hang"))
    with pytest.raises(AuthenticationError, match="No such key"):
        send(gateway(timeout=1.5), HELLO)
    assert len(sim.requests) == 1


def test_a_silent_server_in_a_task_that_was_cancelled(
    sim: Simulator, gateway: Make, loop: asyncio.AbstractEventLoop
) -> None:
    """Our own timer is no cancellation, also where somebody cleans up after one."""
    sim.script(Script(events=[], end="hang"))
    raised: list[BaseException] = []

    async def run() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            try:
                await gateway(timeout=0.2, max_retries=0).acomplete(HELLO)
            except BaseException as error:  # noqa: BLE001 -- whichever it is
                raised.append(error)

    async def cancel() -> None:
        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        task.cancel()
        await task

    loop.run_until_complete(cancel())
    assert [type(error) for error in raised] == [APITimeoutError]


@pytest.mark.parametrize(
    "variable",
    [("SSL_CERT_FILE", "/nowhere/at/all"), ("SSL_CERT_FILE", __file__), ("ALL_PROXY", "x://y")],
)
def test_an_environment_that_cannot_be(
    sim: Simulator, gateway: Make, send: Send, monkeypatch: pytest.MonkeyPatch, variable: Any
) -> None:
    """What is wrong with it is said, and what to look at."""
    monkeypatch.setenv(*variable)
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE") as caught:
        send(gateway(clients=Clients()), HELLO)
    assert caught.value.attempts == 1
    assert sim.requests == []


def test_a_body_that_cannot_be_written(sim: Simulator, gateway: Make, send: Send) -> None:
    """It is no failed connection, and asking again would not help."""
    nested: list[Any] = []
    for _ in range(100_000):  # Python 3.13 writes 5,000: what is too deep is each version's own
        nested = [nested]
    itself: list[Any] = []
    itself.append(itself)
    wrongs = {"ValueError": float("nan"), "TypeError": object(), "RecursionError": nested}
    for error, wrong in (*wrongs.items(), ("ValueError", itself)):
        request = replace(HELLO, parameters={"extra_body": {"x": wrong}})
        with pytest.raises(
            ConfigurationError, match=f"cannot be written as JSON: {error}"
        ) as caught:
            send(gateway(), request)
        assert caught.value.attempts == 1
    assert sim.requests == []


@linux_only
def test_connections_are_kept_alive(sim: Simulator, gateway: Make, new_clients: None) -> None:
    """The system sends probes on a connection that says nothing (Linux calls that timer 2)."""
    sim.script(HI)
    with closing(gateway(clients=Clients())) as one:
        one.complete(HELLO)
        ends = (sim.last.port, urlsplit(sim.base_url).port)
        sockets = map(str.split, Path("/proc/net/tcp").read_text("ascii").splitlines()[1:])
        timers = [
            timer
            for _, *addresses, _, _, timer in (line[:6] for line in sockets)
            if tuple(int(address[-4:], 16) for address in addresses) == ends
        ]
        assert [timer[:3] for timer in timers] == ["02:"]


# --- time ---


@pytest.mark.parametrize(
    ("bound", "kind"), [("deadline", DeadlineExceededError), ("timeout", APITimeoutError)]
)
def test_silence_after_data(
    sim: Simulator, gateway: Make, caller: Caller, bound: str, kind: type[Exception]
) -> None:
    """A server that falls silent late is not waited for as long again."""
    sim.script(Script(events=[chunk("Hel"), 0.4, chunk("lo"), 0.4, chunk("!")], end="hang"))
    seconds = 1.0 if bound == "deadline" else 0.6
    begun = monotonic()
    with pytest.raises(kind) as caught:
        caller.stream(gateway(**{bound: seconds}), HELLO)
    assert caught.value.partial.text == "Hello!"  # type: ignore[attr-defined]
    assert monotonic() - begun < (1.3 if bound == "deadline" else 1.9)


async def test_a_slow_reader_is_not_late(sim: Simulator, gateway: Make) -> None:
    """Only waiting for the server counts against `timeout`, not what its reader does meanwhile."""
    sim.script(Script(events=[chunk("a"), chunk("b"), 0.3, chunk("c", "stop")]))
    async with gateway(clients=Clients(), timeout=0.4) as one:
        texts = []
        async for piece in await one.astream(HELLO):
            texts.append(piece.text)
            await asyncio.sleep(0.25)
    assert texts == ["a", "b", "c", ""]


async def test_who_cancels_is_heard(sim: Simulator, gateway: Make) -> None:
    """A caller's cancellation is no timeout, though one is near."""
    sim.script(Script(events=[chunk("a")], end="hang"))
    async with gateway(clients=Clients(), timeout=5) as one:
        pieces = await one.astream(HELLO)
        await anext(pieces)
        reader = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0.05)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await pieces.aclose()
