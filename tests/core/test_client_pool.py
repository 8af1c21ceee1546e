"""Pool of SDK clients: shared by all instances, closed with the last, one per process and loop."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from onerouter_core import Clients, ConnectionSettings, Gateway
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion, final_reply

Make = Callable[..., Gateway]
ANSWER = Script(json=completion())
STREAM = Script(events=[chunk("Hi", "stop")])


@pytest.fixture
def two_gateways(
    sim: Simulator, gateway: Make, new_clients: None
) -> Iterator[tuple[Gateway, Gateway]]:
    """Provide two gateways with different keys, which share clients with each other only."""
    second = Gateway(ConnectionSettings(SecretStr("sk-other"), sim.base_url), Clients())
    with gateway(clients=Clients()) as first, second:
        yield first, second


def run_on_one_loop(*calls: Callable[[], object]) -> None:
    """Await the results of some functions, one after the other, on one event loop."""

    async def run() -> None:
        for call in calls:
            await call()  # type: ignore[misc]

    asyncio.run(run())


def ports(sim: Simulator) -> list[int]:
    """Return the client's port of each request: equal ports are one connection."""
    return [request.port for request in sim.requests]


# --- sharing ---


def test_gateways_share_connections(sim: Simulator, two_gateways: tuple[Gateway, Gateway]) -> None:
    """Each sends its own key."""
    sim.script(ANSWER, ANSWER)
    first, second = two_gateways
    first.complete(HELLO)
    second.complete(HELLO)
    assert len(set(ports(sim))) == 1
    assert sim.last.headers["authorization"] == "Bearer sk-other"


def test_gateways_on_one_event_loop_share_connections(
    sim: Simulator, two_gateways: tuple[Gateway, Gateway]
) -> None:
    """Another event loop has its own."""
    sim.script(*[ANSWER] * 3)
    first, second = two_gateways
    run_on_one_loop(lambda: first.acomplete(HELLO), lambda: second.acomplete(HELLO))
    run_on_one_loop(lambda: first.acomplete(HELLO))
    port, same_loop, other_loop = ports(sim)
    assert port == same_loop != other_loop


def test_a_changed_environment_means_another_client(
    sim: Simulator,
    two_gateways: tuple[Gateway, Gateway],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """An HTTP client reads certificates and proxies from the environment once."""
    sim.script(ANSWER, ANSWER)
    first, second = two_gateways
    first.complete(HELLO)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "elsewhere"))
    second.complete(HELLO)
    assert len(set(ports(sim))) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_fifty_instances_use_one_connection(
    sim: Simulator, gateway: Make, new_clients: None
) -> None:
    """An instance costs no file descriptor."""
    sim.script(*[ANSWER] * 50)
    gateways = [gateway(clients=Clients()) for _ in range(50)]
    gateways[0].complete(HELLO)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for other in gateways[1:]:
        other.complete(HELLO)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert len(set(ports(sim))) == 1


def test_a_streamed_reply_leaves_its_connection_for_the_next_call(
    sim: Simulator, gateway: Make, caller: Caller, new_clients: None
) -> None:
    """The response is read to its end."""
    sim.script(*[STREAM] * 3)
    one = gateway(clients=Clients())
    for _ in range(3):
        assert final_reply(caller.stream(one, HELLO)).text == "Hi"
    assert len(set(ports(sim))) == 1


def pickle_copy(clients: Clients) -> Clients:
    """Return a copy that went through pickle."""
    return pickle.loads(pickle.dumps(clients))  # noqa: S301 -- bytes of this process


@pytest.mark.parametrize("make_copy", [copy.deepcopy, pickle_copy])
def test_a_copy_has_no_clients_of_its_original(
    sim: Simulator, gateway: Make, new_clients: None, make_copy: Callable[[Clients], Clients]
) -> None:
    """Closing the copy leaves the original's connection open."""
    sim.script(ANSWER, ANSWER)
    clients = Clients()
    with gateway(clients=clients) as original:
        original.complete(HELLO)
        make_copy(clients).close()
        original.complete(HELLO)
    assert len(set(ports(sim))) == 1


# --- closing ---


def test_a_client_is_closed_with_its_last_gateway(
    sim: Simulator, two_gateways: tuple[Gateway, Gateway]
) -> None:
    """While another gateway uses it, it stays open."""
    sim.script(*[ANSWER] * 4)
    first, second = two_gateways
    first.complete(HELLO)
    second.complete(HELLO)
    first.close()
    second.complete(HELLO)
    assert len(set(ports(sim))) == 1
    second.close()
    first.complete(HELLO)
    assert len(set(ports(sim))) == 2


def test_an_async_client_is_closed_with_its_last_gateway(
    sim: Simulator, two_gateways: tuple[Gateway, Gateway]
) -> None:
    """While another gateway on the event loop uses it, it stays open."""
    sim.script(*[ANSWER] * 3)
    first, second = two_gateways

    async def run() -> None:
        await first.acomplete(HELLO)
        await first.aclose()
        await first.acomplete(HELLO)
        await second.acomplete(HELLO)
        await first.aclose()
        await second.aclose()

    asyncio.run(run())
    before_closing, after_closing, shared = ports(sim)
    assert before_closing != after_closing == shared


def test_an_unreferenced_gateway_disconnects(
    sim: Simulator, gateway: Make, new_clients: None
) -> None:
    """Sync and async, without a warning."""
    sim.script(*[Script(events=[chunk("Hel")], end="hang")] * 2)

    async def run() -> None:
        stream = await gateway(clients=Clients()).astream(HELLO)
        await anext(stream)
        del stream
        assert await asyncio.to_thread(sim.last.wait_hung_up, 2)

    next(gateway(clients=Clients()).stream(HELLO))
    assert sim.last.wait_hung_up(2)
    asyncio.run(run())


@pytest.mark.parametrize("is_cyclic", [False, True], ids=["by reference count", "by collector"])
def test_a_gateway_of_a_coroutine_is_closed_before_the_loop_ends(
    sim: Simulator,
    gateway: Make,
    new_clients: None,
    caplog: pytest.LogCaptureFixture,
    *,
    is_cyclic: bool,
) -> None:
    """Neither a ResourceWarning nor a message of asyncio is seen."""
    sim.script(*[ANSWER] * 10)

    async def run() -> None:
        one = gateway(clients=Clients())
        await one.acomplete(HELLO)
        if is_cyclic:
            cycle: dict[str, object] = {"gateway": one}
            cycle["self"] = cycle
            del one, cycle
            gc.collect()

    for _ in range(10):
        asyncio.run(run())
        gc.collect()  # an unclosed client would warn here
    assert caplog.records == []


def test_an_ended_event_loop_is_not_kept_in_memory(sim: Simulator, gateway: Make) -> None:
    """One gateway is used on three loops, one after the other."""
    sim.script(ANSWER, ANSWER, ANSWER)
    one = gateway()
    loops = []

    async def run() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await one.acomplete(HELLO)

    for _ in range(3):
        asyncio.run(run())
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3


# --- forks ---


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_forked_process_uses_its_own_connections(
    sim: Simulator, gateway: Make, new_clients: None, mode: str
) -> None:
    """The parent's connection still works afterwards."""
    sim.script(*[ANSWER] * 3)
    one = gateway(clients=Clients(), max_retries=0)
    one.complete(HELLO)
    if (child := os.fork()) == 0:
        signal.alarm(20)
        with suppress(BaseException):  # pytest must not continue in two processes
            reply = asyncio.run(one.acomplete(HELLO)) if mode == "async" else one.complete(HELLO)
            os._exit(0 if reply.text == "Hi" else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    one.complete(HELLO)
    before_fork, in_child, after_fork = ports(sim)
    assert before_fork == after_fork != in_child
