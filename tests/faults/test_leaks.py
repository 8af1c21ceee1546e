"""Failed calls and dropped instances leave no socket, no task and no warning."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from onerouter_core import lingering
from tests.faults.adapters import MODEL_FIELDS, acall_model, call_model
from tests.faults.conftest import CLASSES, MakeModel
from tests.faults.fault_cases.connections import FIRST_EVENT_CUTS, HEL
from tests.faults.http_scripts import chunked, head, response
from tests.faults.leak_check import (
    OpenDescriptors,
    check_both_modes,
    check_both_modes_async,
    check_no_task_left,
)
from tests.faults.server import End, Endpoint, HTTPScript, Server

each_class = pytest.mark.parametrize("name", CLASSES)


@pytest.fixture(autouse=True)
def _one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients outlive their instances for a second only."""
    monkeypatch.setattr(lingering, "SECONDS", 1.0)


FAILURES: dict[str, HTTPScript] = {
    "a close": (End.CLOSE,),
    "a reset within the body": (*FIRST_EVENT_CUTS["within the first event"], End.RESET),
    "an HTTP error": response(b"no", 401),
    "half an HTTP error": (head(502, None, content_length=9), b"x", End.CLOSE),
    "a body that is not gzip": response(b"x", content_encoding="gzip"),
    "invalid HTTP": (b"x\r\n\r\n", End.CLOSE),
    "silence": (End.HANG,),
    "silence after a delta": (*chunked(HEL, ended=False), End.HANG),
    "an event that is not JSON": chunked(HEL, b"data: x\n\n", End.HANG),
}


@each_class
@pytest.mark.usefixtures("backend")
def test_failed_calls_leave_no_socket_and_no_task(
    server: Server, make_model: MakeModel, name: str
) -> None:
    """The sockets and tasks of a failed call end with its event loop."""
    adapter = CLASSES[name][1]
    endpoints = [server.endpoint(script) for script in FAILURES.values()]
    model = make_model(name, endpoints[0], timeout=0.5)

    async def fail() -> None:
        for endpoint in endpoints:
            outcome = await acall_model(adapter, model, "stream", base_url=endpoint.base_url)
            assert outcome.error is not None
        await check_no_task_left()

    descriptors = OpenDescriptors()
    asyncio.run(fail())
    for endpoint in endpoints:
        outcome = call_model(adapter, model, "stream", base_url=endpoint.base_url)
        assert outcome.error is not None
    model.close()
    assert [len(endpoint.requests) for endpoint in endpoints] == [2] * len(endpoints)
    assert descriptors.count_new() == 0


@each_class
@pytest.mark.usefixtures("backend")
def test_a_dropped_instance_leaves_no_socket(
    new_clients: None, endpoint: Endpoint, name: str
) -> None:
    """An instance that is never closed leaves neither a socket nor a warning."""
    model_class, adapter = CLASSES[name]

    def use() -> None:
        model = model_class(**MODEL_FIELDS, base_url=endpoint.base_url)
        check_both_modes(adapter, model)
        asyncio.run(check_both_modes_async(adapter, model))

    descriptors = OpenDescriptors()
    use()
    assert descriptors.count_new() == 0


@each_class
@pytest.mark.usefixtures("backend")
def test_an_instance_in_a_reference_cycle_leaves_no_socket(
    new_clients: None, endpoint: Endpoint, name: str
) -> None:
    """The garbage collector drops it while its event loop runs; agents are in such cycles."""
    model_class, adapter = CLASSES[name]

    async def use() -> None:
        model = model_class(**MODEL_FIELDS, base_url=endpoint.base_url)
        await check_both_modes_async(adapter, model)
        cycle: dict[str, Any] = {"model": model}
        cycle["self"] = cycle
        del model, cycle
        gc.collect()
        await asyncio.sleep(0.05)
        await check_no_task_left()

    descriptors = OpenDescriptors()
    asyncio.run(use())
    assert descriptors.count_new() == 0
