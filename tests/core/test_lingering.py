"""Clients that outlive their last instance for a while: one instance per request is enough."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from time import monotonic, sleep
from urllib.parse import urlsplit

import pytest

from onerouter_core import Clients, Gateway, lingering
from onerouter_core.lingering import MAX_LINGERING, ThreadTimer
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, completion

Make = Callable[..., Gateway]
ANSWER = Script(json=completion())


def ports(sim: Simulator) -> list[int]:
    """Return the client's port of each request: equal ports are one connection."""
    return [request.port for request in sim.requests]


TCP = Path("/proc/self/net/tcp")


def connections(sim: Simulator) -> set[str]:
    """Return the clients' addresses of all established connections to the simulator."""
    port = urlsplit(sim.base_url).port
    rows = (line.split() for line in TCP.read_text("ascii").splitlines()[1:])
    return {row[1] for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "01"}


def address(port: int) -> str:
    """Return the address of a client's port, as the table of connections has it."""
    return f"0100007F:{port:04X}"


async def are_closed(sim: Simulator, seconds: float) -> bool:
    """Wait until the connections of all requests are closed; tell whether they are."""
    ends, addresses = monotonic() + seconds, {address(port) for port in ports(sim)}
    for _ in iter(lambda: bool(addresses & connections(sim)) and monotonic() < ends, False):
        await asyncio.sleep(0.02)
    return not addresses & connections(sim)


on_linux = pytest.mark.skipif(not TCP.exists(), reason="reads /proc")


def test_one_instance_per_request_costs_no_connection(
    sim: Simulator, gateway: Make, caller: Caller, new_clients: None
) -> None:
    """No other instance is alive."""
    sim.script(*[ANSWER] * 20)
    for _ in range(20):
        caller.complete(gateway(clients=Clients()), HELLO)
    assert len(ports(sim)) == 20
    assert len(set(ports(sim))) == 1


def test_a_second_instance_may_come_seconds_after_the_first(
    sim: Simulator, gateway: Make, new_clients: None
) -> None:
    """The first client of a process is kept as long as any other."""
    sim.script(ANSWER, ANSWER)
    gateway(clients=Clients()).complete(HELLO)
    sleep(2)
    gateway(clients=Clients()).complete(HELLO)
    assert len(set(ports(sim))) == 1


async def test_a_second_instance_on_a_loop_may_come_seconds_after_the_first(
    sim: Simulator, gateway: Make, new_clients: None
) -> None:
    """So it is with the client of an event loop."""
    sim.script(ANSWER, ANSWER)
    await gateway(clients=Clients()).acomplete(HELLO)
    await asyncio.sleep(2)
    await gateway(clients=Clients()).acomplete(HELLO)
    assert len(set(ports(sim))) == 1


def test_instances_in_reference_cycles_share_a_connection(
    sim: Simulator, gateway: Make, caller: Caller, new_clients: None
) -> None:
    """The garbage collector drops them, in the middle of any code."""
    sim.script(*[ANSWER] * 5)
    for _ in range(5):
        one = gateway(clients=Clients())
        cycle = [one]
        cycle.append(cycle)  # type: ignore[arg-type]
        caller.complete(one, HELLO)
        del one, cycle
        gc.collect()
    assert len(set(ports(sim))) == 1


@pytest.fixture
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients linger for a second only."""
    monkeypatch.setattr(lingering, "SECONDS", 1.0)


@on_linux
@pytest.mark.usefixtures("one_second")
def test_nothing_is_left_in_the_end(sim: Simulator, gateway: Make, new_clients: None) -> None:
    """Neither the connection nor a thread."""
    sim.script(ANSWER)
    gateway(clients=Clients()).complete(HELLO)
    assert address(sim.last.port) in connections(sim)
    assert asyncio.run(are_closed(sim, 1 + 2))
    assert "Dummy" not in str(threading.enumerate())


@on_linux
@pytest.mark.usefixtures("one_second")
async def test_nothing_is_left_on_a_running_loop(
    sim: Simulator, gateway: Make, new_clients: None
) -> None:
    """Without a task of its own."""
    sim.script(ANSWER)
    await gateway(clients=Clients()).acomplete(HELLO)
    assert address(sim.last.port) in connections(sim)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert await are_closed(sim, 1 + 2)


@on_linux
async def test_an_explicit_close_does_not_wait(
    sim: Simulator, gateway: Make, new_clients: None
) -> None:
    """`with` says that it is over."""
    sim.script(ANSWER, ANSWER)
    async with gateway(clients=Clients()) as one:
        await one.acomplete(HELLO)
        await asyncio.to_thread(one.complete, HELLO)
    assert await are_closed(sim, 0.1)


class Client:
    """Something that lingers."""


def test_the_number_of_lingering_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those above the limit are closed at once."""
    monkeypatch.setattr(lingering, "SECONDS", 3_600)
    expired = SimpleQueue[Client]()
    clients = [Client() for _ in range(2 * MAX_LINGERING)]
    for client in clients:
        ThreadTimer(expired.put).start(weakref.ref(client))
    for _ in range(MAX_LINGERING):
        assert expired.get(timeout=5) is not clients[0]
    clients.clear()
    del client
    sleep(0.5)  # the timers of collected objects end: those of other tests have room again


PROCESS = """
import asyncio, sys
from onerouter_core import Clients, ConnectionSettings, Gateway, Message, Request, Text, lingering

lingering.SECONDS = 3_600
settings = ConnectionSettings(base_url=sys.argv[1], api_key="k")
request = Request("vendor/model", (Message("user", (Text("Hello"),)),))
for _ in range(2):
    Gateway(settings).complete(request)
    asyncio.run(Gateway(settings).acomplete(request))
"""


def test_the_end_of_a_process_does_not_wait(sim: Simulator) -> None:
    """No thread keeps it alive, and it prints nothing."""
    sim.script(*[ANSWER] * 4)
    done = subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-W", "default", "-c", PROCESS, sim.base_url],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(ports(sim)) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_does_not_take_a_lingering_client(
    sim: Simulator, gateway: Make, new_clients: None
) -> None:
    """It can let its own linger, and the parent's is still there."""
    sim.script(*[ANSWER] * 5)
    for _ in range(2):
        gateway(clients=Clients()).complete(HELLO)
    if (child := os.fork()) == 0:
        signal.alarm(20)
        with suppress(BaseException):  # pytest must not continue in two processes
            for _ in range(2):
                gateway(clients=Clients()).complete(HELLO)
            os._exit(0)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gateway(clients=Clients()).complete(HELLO)
    _, before_fork, in_child, in_child_again, after_fork = ports(sim)
    assert before_fork == after_fork != in_child == in_child_again
