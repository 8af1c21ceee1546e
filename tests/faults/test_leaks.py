"""Whatever a call ends by, and who forgets to close: no socket, task or warning is left."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.adapters import REACH, aask, ask
from tests.faults.conftest import CLASSES, Make
from tests.faults.http_scripts import chunked, head, http
from tests.faults.leak_check import Open, aasked, alone, asked
from tests.faults.rows.connections import FIRST, HEL
from tests.faults.server import End, Line, Play, Server

each_class = pytest.mark.parametrize("name", CLASSES)


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> Iterator[None]:
    """Let the garbage collector look at what these tests make, not at all that there is."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


BROKEN: dict[str, Play] = {
    "a close": (End.CLOSE,),
    "a reset in the body": (*FIRST["within the first event"], End.RESET),
    "a refusal": http(b"no", 401),
    "half a refusal": (head(502, None, content_length=9), b"x", End.CLOSE),
    "no gzip": http(b"x", content_encoding="gzip"),
    "no HTTP": (b"x\r\n\r\n", End.CLOSE),
    "silence": (End.HANG,),
    "silence later": (*chunked(HEL, ended=False), End.HANG),
    "an event that is no JSON": chunked(HEL, b"data: x\n\n", End.HANG),
}


@each_class
@pytest.mark.usefixtures("backend")
def test_failures_leave_nothing_open(server: Server, make: Make, name: str) -> None:
    """Whatever a call ends by, its socket and its tasks are gone with its loop."""
    face = CLASSES[name][1]
    lines = [server.line(play) for play in BROKEN.values()]
    model = make(name, lines[0], timeout=0.2)

    async def fail() -> None:
        for line in lines:
            got = await aask(face, model, "stream", base_url=line.base_url)
            assert got.error is not None
        await alone()

    descriptors = Open()
    asyncio.run(fail())
    for line in lines:
        assert ask(face, model, "stream", base_url=line.base_url).error is not None
    model.close()
    assert [len(line.requests) for line in lines] == [2] * len(lines)
    assert descriptors.left() == 0


@each_class
@pytest.mark.usefixtures("backend")
def test_an_instance_that_is_dropped(unshared: None, line: Line, name: str) -> None:
    """Who closes nothing leaves nothing open: neither a socket nor a warning."""

    def use() -> None:
        model = CLASSES[name][0](**REACH, base_url=line.base_url)
        asked(CLASSES[name][1], model)
        asyncio.run(aasked(CLASSES[name][1], model))

    descriptors = Open()
    use()
    assert descriptors.left() == 0


@each_class
@pytest.mark.usefixtures("backend")
def test_an_instance_in_a_cycle(unshared: None, line: Line, name: str) -> None:
    """As agents are: the garbage collection finds it while its loop runs, and all is closed."""

    async def use() -> None:
        model = CLASSES[name][0](**REACH, base_url=line.base_url)
        await aasked(CLASSES[name][1], model)
        cycle: dict[str, Any] = {"model": model}
        cycle["self"] = cycle
        del model, cycle
        gc.collect()
        await asyncio.sleep(0.05)
        await alone()

    descriptors = Open()
    asyncio.run(use())
    assert descriptors.left() == 0
