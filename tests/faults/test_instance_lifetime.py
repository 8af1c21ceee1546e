"""One instance on many event loops, in many threads and processes: no leak, no extra request."""

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
from tests.faults.adapters import KEY, MODEL_FIELDS, acall_model
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, MakeModel
from tests.faults.http_scripts import stream
from tests.faults.leak_check import (
    OpenDescriptors,
    answer_scripts,
    check_both_modes,
    check_both_modes_async,
    check_no_task_left,
    check_text,
)
from tests.faults.server import End, Endpoint, Server

each_class = pytest.mark.parametrize("name", CLASSES)


# --- event loops ---


@each_class
@pytest.mark.usefixtures("backend")
def test_one_instance_serves_a_hundred_event_loops(
    server: Server, make_model: MakeModel, name: str
) -> None:
    """Each `asyncio.run` has a loop of its own: one request each, and its sockets are closed."""
    endpoint = server.endpoint(answer_scripts("Hi").stream)
    adapter, model = CLASSES[name][1], make_model(name, endpoint)

    async def call() -> None:
        check_text(await acall_model(adapter, model, "stream"), "Hi")
        await check_no_task_left()

    asyncio.run(call())
    descriptors = OpenDescriptors()
    for _ in range(100):
        asyncio.run(call())
    assert len(endpoint.requests) == 101
    assert descriptors.count_new() == 0


MANY = 1_050  # one SDK client opens at most a thousand connections; more requests have to wait


@pytest.fixture
def _raised_file_limit() -> Iterator[None]:
    resource = pytest.importorskip("resource", reason="Windows has no limit of descriptors")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 3 * MANY:
        pytest.skip(f"a process may open only {hard} files here, the test needs {3 * MANY}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3 * MANY), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_raised_file_limit", "new_clients")
def test_more_streams_than_one_client_has_connections(server: Server) -> None:
    """All instances share connections; no stream waits for the end of another one."""
    endpoint = server.endpoint((*stream(chunk("Hi"), done=False, ended=False), End.HANG))
    settings = ConnectionSettings(
        base_url=endpoint.base_url, api_key=KEY, max_retries=0, timeout=30
    )
    request = Request(MODEL_FIELDS["model"], (Message("user", (Text("Hello"),)),))

    async def open_streams() -> None:
        async with Gateway(settings) as gateway:
            streams = await asyncio.gather(*(gateway.astream(request) for _ in range(MANY)))
            await asyncio.gather(*(deltas.aclose() for deltas in streams))

    asyncio.run(open_streams())
    assert len(endpoint.requests) == MANY


@each_class
def test_sync_calls_within_a_running_event_loop(
    make_model: MakeModel, endpoint: Endpoint, name: str
) -> None:
    """Sync calls, as in a notebook, next to async calls, and both in other threads."""
    adapter, model = CLASSES[name][1], make_model(name, endpoint)

    async def run() -> None:
        for _ in range(3):
            check_both_modes(adapter, model)
            await check_both_modes_async(adapter, model)
            await asyncio.to_thread(check_both_modes, adapter, model)
            await asyncio.to_thread(lambda: asyncio.run(check_both_modes_async(adapter, model)))

    asyncio.run(run())
    assert len(endpoint.requests) == 24


@each_class
@pytest.mark.usefixtures("backend")
def test_concurrent_calls_on_one_event_loop(
    server: Server, make_model: MakeModel, name: str
) -> None:
    """Each of 50 calls gets its own answer, from one request."""
    endpoints = [server.endpoint(answer_scripts(f"number {n}").stream) for n in range(50)]
    model = make_model(name, endpoints[0])

    async def call_all() -> list[Outcome]:
        adapter = CLASSES[name][1]
        calls = (acall_model(adapter, model, "stream", base_url=e.base_url) for e in endpoints)
        return await asyncio.gather(*calls)

    descriptors = OpenDescriptors()
    for number, outcome in enumerate(asyncio.run(call_all())):
        check_text(outcome, f"number {number}")
    assert [len(endpoint.requests) for endpoint in endpoints] == [1] * 50
    assert descriptors.count_new() == 0


# --- threads ---


@each_class
@pytest.mark.usefixtures("backend")
def test_concurrent_calls_in_many_threads(server: Server, make_model: MakeModel, name: str) -> None:
    """36 threads: a third calls sync, a third async on loops of its own, a third both in turn."""
    threads = 36
    scripts = [answer_scripts(f"number {n}") for n in range(threads)]
    endpoints = [server.endpoint(*[s.complete, s.stream] * 10) for s in scripts]
    adapter, model = CLASSES[name][1], make_model(name, endpoints[0])
    start = threading.Barrier(threads)

    def work(number: int) -> None:
        start.wait()
        text, options = f"number {number}", {"base_url": endpoints[number].base_url}
        for turn in range(4):
            if number % 3 == 0 or (number % 3 == 1 and turn % 2):
                check_both_modes(adapter, model, text, **options)
            else:
                asyncio.run(check_both_modes_async(adapter, model, text, **options))

    descriptors = OpenDescriptors()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    assert [len(endpoint.requests) for endpoint in endpoints] == [8] * threads
    model.close()
    assert descriptors.count_new() == 0


# --- processes ---


@each_class
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_calls_in_forked_processes(make_model: MakeModel, endpoint: Endpoint, name: str) -> None:
    """Child processes do not use their parent's connections; parent and children can call."""
    adapter, model = CLASSES[name][1], make_model(name, endpoint)
    check_both_modes(adapter, model)
    asyncio.run(check_both_modes_async(adapter, model))

    def run_child() -> None:
        check_both_modes(adapter, model)
        asyncio.run(check_both_modes_async(adapter, model))

    context: Any = multiprocessing.get_context("fork")
    children = [context.Process(target=run_child) for _ in range(3)]
    for child in children:
        child.start()
        child.join(20)
        check_both_modes(adapter, model)
    assert [child.exitcode for child in children] == [0] * 3
    assert len(endpoint.requests) == 4 + 3 * 6


def call_pickled_models(name: str, pickles: list[bytes]) -> None:
    """Unpickle models and call them, in another process."""
    for pickled in pickles:
        model = pickle.loads(pickled)  # noqa: S301 -- this test has made it
        check_both_modes(CLASSES[name][1], model)
        asyncio.run(check_both_modes_async(CLASSES[name][1], model))


def test_a_pickled_model_in_a_spawned_process(make_model: MakeModel, endpoint: Endpoint) -> None:
    """A pickle made before or after use works in another process, and the original still does."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for name, (_, adapter) in CLASSES.items():
            model = make_model(name, endpoint)
            before_use = pickle.dumps(model)
            check_both_modes(adapter, model)
            asyncio.run(check_both_modes_async(adapter, model))
            after_use = pickle.dumps(model)
            pool.submit(call_pickled_models, name, [before_use, after_use]).result(50)
            check_both_modes(adapter, model)
    assert len(endpoint.requests) == 2 * (2 + 2 + 8 + 2)
