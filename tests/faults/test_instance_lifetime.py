"""One instance on many loops, in many threads and processes: nothing twice, nothing left open."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from onerouter_core import ConnectionSettings, Gateway, Message, Request, Text
from tests.core.payloads import chunk
from tests.faults.adapters import KEY, REACH, aask
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, Make
from tests.faults.http_scripts import stream
from tests.faults.leak_check import Open, aasked, alone, asked, both, check
from tests.faults.server import End, Line, Server

each_class = pytest.mark.parametrize("name", CLASSES)


# --- loops ---


@each_class
@pytest.mark.usefixtures("backend")
def test_a_hundred_loops(server: Server, make: Make, name: str) -> None:
    """Each `asyncio.run` is a loop of its own: one request a call, and all is closed with it."""
    line = server.line(both("Hi").stream)
    face, model = CLASSES[name][1], make(name, line)

    async def run() -> None:
        check(await aask(face, model, "stream"), "Hi")
        await alone()

    asyncio.run(run())
    descriptors = Open()
    for _ in range(100):
        asyncio.run(run())
    assert len(line.requests) == 101
    assert descriptors.left() == 0


MANY = 1_050  # the SDK's clients open a thousand connections, and have others wait


@pytest.fixture
def _may_open_many() -> Iterator[None]:
    resource = pytest.importorskip("resource", reason="Windows counts no descriptors")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 3 * MANY:
        pytest.skip(f"a process may open {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3 * MANY), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_may_open_many", "unshared")
def test_a_stream_waits_for_no_other(server: Server) -> None:
    """Connections are shared by all instances: there are more of them than one SDK client's."""
    line = server.line((*stream(chunk("Hi"), done=False, ended=False), End.HANG))
    reach = ConnectionSettings(base_url=line.base_url, api_key=KEY, max_retries=0, timeout=30)
    asking = Request(REACH["model"], (Message("user", (Text("Hello"),)),))

    async def run() -> None:
        async with Gateway(reach) as gateway:
            begun = await asyncio.gather(*(gateway.astream(asking) for _ in range(MANY)))
            await asyncio.gather(*(pieces.aclose() for pieces in begun))

    asyncio.run(run())
    assert len(line.requests) == MANY


@each_class
def test_sync_calls_within_a_running_loop(make: Make, line: Line, name: str) -> None:
    """As in a notebook; and awaited ones beside them, and in a thread."""
    model = make(name, line)

    async def mixed() -> None:
        for _ in range(3):
            asked(CLASSES[name][1], model)
            await aasked(CLASSES[name][1], model)
            await asyncio.to_thread(asked, CLASSES[name][1], model)
            await asyncio.to_thread(lambda: asyncio.run(aasked(CLASSES[name][1], model)))

    asyncio.run(mixed())
    assert len(line.requests) == 24


@each_class
@pytest.mark.usefixtures("backend")
def test_many_calls_on_one_loop(server: Server, make: Make, name: str) -> None:
    """They do not mix: each gets its own answer, and each is one request."""
    lines = [server.line(both(f"number {n}").stream) for n in range(50)]
    model = make(name, lines[0])

    async def all_at_once() -> list[Outcome]:
        face = CLASSES[name][1]
        calls = (aask(face, model, "stream", base_url=line.base_url) for line in lines)
        return await asyncio.gather(*calls)

    descriptors = Open()
    for number, got in enumerate(asyncio.run(all_at_once())):
        check(got, f"number {number}")
    assert [len(line.requests) for line in lines] == [1] * 50
    assert descriptors.left() == 0


# --- threads ---


@each_class
@pytest.mark.usefixtures("backend")
def test_many_threads(server: Server, make: Make, name: str) -> None:
    """36 threads, a third of them with loops of their own, a third with both; nobody waits long."""
    threads = 36
    answers = [both(f"number {n}") for n in range(threads)]
    lines = [server.line(*[a.whole, a.stream] * 10) for a in answers]
    model = make(name, lines[0])
    start = threading.Barrier(threads)

    def work(number: int) -> None:
        start.wait()
        options = {"base_url": lines[number].base_url}
        for turn in range(4):
            if number % 3 == 0 or (number % 3 == 1 and turn % 2):
                asked(CLASSES[name][1], model, f"number {number}", **options)
            else:
                asyncio.run(aasked(CLASSES[name][1], model, f"number {number}", **options))

    descriptors = Open()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    assert [len(line.requests) for line in lines] == [8] * threads
    model.close()
    assert descriptors.left() == 0


# --- processes ---


@each_class
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_processes(make: Make, line: Line, name: str) -> None:
    """A child leaves its parent's connections alone; both go on."""
    model = make(name, line)
    asked(CLASSES[name][1], model)
    asyncio.run(aasked(CLASSES[name][1], model))

    def child() -> None:
        asked(CLASSES[name][1], model)
        asyncio.run(aasked(CLASSES[name][1], model))

    context: Any = multiprocessing.get_context("fork")
    children = [context.Process(target=child) for _ in range(3)]
    for one in children:
        one.start()
        one.join(20)
        asked(CLASSES[name][1], model)
    assert [one.exitcode for one in children] == [0] * 3
    assert len(line.requests) == 4 + 3 * 6


def work_elsewhere(name: str, pickled: list[bytes]) -> None:
    """Use what was pickled in another process."""
    for one in pickled:
        model = pickle.loads(one)  # noqa: S301 -- our own
        asked(CLASSES[name][1], model)
        asyncio.run(aasked(CLASSES[name][1], model))


def test_spawned_processes(make: Make, line: Line) -> None:
    """A pickle works elsewhere, made before or after use; so does the original, afterwards."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for name in CLASSES:
            model = make(name, line)
            before = pickle.dumps(model)
            asked(CLASSES[name][1], model)
            asyncio.run(aasked(CLASSES[name][1], model))
            pool.submit(work_elsewhere, name, [before, pickle.dumps(model)]).result(50)
            asked(CLASSES[name][1], model)
    assert len(line.requests) == 2 * (2 + 2 + 8 + 2)
