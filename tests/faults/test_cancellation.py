"""A task cancelled at each of its suspension points: nothing is left, and the ledger is right.

The call is cancelled at its first suspension, another call at its second, and so on until one ends
by itself. Responses arrive in parts; their connection is kept, or closed by the server, so that
connecting is walked, too. The reader of a stream suspends after each result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from contextlib import aclosing
from functools import partial
from typing import Any

import openai
import pytest
from langchain_core.callbacks import AsyncCallbackHandler

from onerouter_core import Ledger
from tests.core.payloads import chunk, completion
from tests.faults.adapters import PROMPT
from tests.faults.conftest import CLASSES, MakeModel
from tests.faults.http_scripts import compact, event, head
from tests.faults.leak_check import OpenDescriptors, check_no_task_left
from tests.faults.server import End, HTTPScript, Server

TEXT = "Hello"
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
PAUSE = 0.002  # seconds between the parts of a response
MOST_POINTS = 200
MODES = ("complete", "stream")
LEAST_POINTS = {
    ("complete", True): 3,
    ("complete", False): 6,
    ("stream", True): 6,
    ("stream", False): 9,
}
"""Points of the shortest walks, OneRouterLLM over aiohttp, less one; by mode and `is_kept`."""

# httpcore (1.0.9, of openai 2) does not protect the moments after it has connected and before it
# has let a response go from `Task.cancel`, only from anyio's: that connection stays in its pool
# until the client is closed, as new or active. httpcore2 (2.16, of openai 3) closes it.
# findings/httpcore-keeps-cancelled-connections.sh shows both.
EXTRA_CONNECTIONS = {"aiohttp": 0, "default": int(openai.__version__ < "3")}


def script_of(mode: str, *, is_kept: bool) -> HTTPScript:
    """Return a response in parts, whose connection is kept or closed."""
    if mode == "complete":
        body = compact({**completion(TEXT), "usage": USAGE})
        parts, kind = [body[:20], body[20:]], "application/json"
    else:
        last = {**chunk("llo", "stop"), "usage": USAGE}
        parts, kind = [event(chunk("He")), event(last) + b"data: [DONE]\n\n"], "text/event-stream"
    headers = {"content_length": sum(map(len, parts))} | (
        {} if is_kept else {"connection": "close"}
    )
    steps = [head(200, kind, **headers), *parts]
    paused = [step for part in steps for step in (part, PAUSE)]
    return (*paused[:-1], *(() if is_kept else (End.CLOSE,)))


class Suspensions:
    """Count of the suspensions of a call, in all tasks that it makes.

    At the given one, the task that made the call is cancelled. It is a task factory.
    """

    def __init__(self, point: int) -> None:
        self._point = point
        self.seen = 0
        self._first: asyncio.Task[Any] | None = None

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        """Make a task whose suspensions are counted."""
        task = asyncio.Task(_await(_Counted(coroutine, self)), loop=loop, **options)
        task.add_done_callback(lambda _: coroutine.close())  # it was cancelled before it began
        self._first = self._first or task
        return task

    def add(self) -> None:
        """Count one."""
        self.seen += 1
        if self.seen == self._point and self._first is not None:
            self._first.cancel()


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


class _Counted:
    """Awaitable that runs a coroutine and counts its suspensions."""

    def __init__(self, coroutine: Any, suspensions: Suspensions) -> None:
        self._coroutine = coroutine
        self._suspensions = suspensions

    def __await__(self) -> Generator[Any, None, Any]:
        """Run to the end."""
        steps = self._coroutine.__await__()
        step = partial(next, steps)
        try:
            while True:
                waits_for = step()
                self._suspensions.add()
                step = partial(next, steps)
                try:
                    yield waits_for
                except BaseException as error:  # noqa: BLE001 -- it belongs to the coroutine
                    step = partial(steps.throw, error)
        except StopIteration as end:
            return end.value
        finally:
            del step  # it has the error, whose frames have it: a cycle would keep the stream


class EndRecorder(AsyncCallbackHandler):
    """LangChain callback that notes the end of a call, and suspends there."""

    has_ended = False

    async def on_llm_end(self, *_: Any, **__: Any) -> None:
        """Note the end."""
        self.has_ended = True
        await asyncio.sleep(0)


class Read:
    """One call, with what its reader has received."""

    def __init__(self, name: str, mode: str) -> None:
        self.text = ""
        self._is_langchain, self._mode = name == "ChatOneRouter", mode
        self._recorder = EndRecorder()

    @property
    def has_reply(self) -> bool:
        """Whether something that is paid was handed out."""
        return bool(self.text) or self._recorder.has_ended

    async def call(self, model: Any) -> None:
        """Call the model; the reader of a stream suspends after each result."""
        config = {"callbacks": [self._recorder]}
        if self._mode == "complete":
            if self._is_langchain:
                self.text = (await model.ainvoke(PROMPT, config)).content
            else:
                self.text = (await model.acomplete(PROMPT)).text
            return
        if self._is_langchain:
            results = model.astream(PROMPT, config)
        else:
            results = await model.astream_complete(PROMPT)
        async with aclosing(results):
            async for result in results:
                self.text += result.content if self._is_langchain else result.delta or ""
                await asyncio.sleep(0)


def check_nothing_reserved(ledger: Ledger) -> None:
    """Check that a budget of one token more than what is recorded is not reached."""
    ledger.budget_tokens = ledger.spent_tokens + 1
    ledger.check()
    ledger.budget_tokens = 10_000_000


async def cancel_at(point: int, call: Coroutine[Any, Any, None]) -> tuple[int, type]:
    """Run a call that is cancelled at a point; return its suspensions and the type of its error."""
    loop, suspensions = asyncio.get_running_loop(), Suspensions(point)
    loop.set_task_factory(suspensions)
    task = loop.create_task(call)
    await asyncio.wait([task])
    loop.set_task_factory(None)
    kind = asyncio.CancelledError if task.cancelled() else type(task.exception())
    return suspensions.seen, kind


async def walk(name: str, mode: str, model: Any, ledger: Ledger) -> int:
    """Cancel a call at each of its suspension points; return their number."""
    for point in range(1, MOST_POINTS):
        before, read = len(ledger.entries), Read(name, mode)
        seen, outcome = await cancel_at(point, read.call(model))
        await check_no_task_left()
        recorded = len(ledger.entries) - before
        if seen < point:
            assert (outcome, recorded, read.text) == (type(None), 1, TEXT)
            return point - 1
        assert outcome is asyncio.CancelledError, point
        assert recorded in ((1,) if read.has_reply else (0, 1)), (point, recorded, read.text)
        check_nothing_reserved(ledger)
        following = Read(name, mode)
        await following.call(model)
        assert following.text == TEXT
        assert len(ledger.entries) == before + recorded + 1
    raise AssertionError(MOST_POINTS)


async def closed_down_to(server: Server, most: int) -> int:
    """Wait up to 2 seconds until the server has no more connections than this; return them."""
    for _ in range(200):
        if len(server.connections) <= most:
            break
        await asyncio.sleep(0.01)
    return len(server.connections)


@pytest.fixture
def most_open(request: pytest.FixtureRequest, server: Server, backend: None) -> int:
    """Return how many connections a walk may leave open, without one that is kept."""
    return len(server.connections) + EXTRA_CONNECTIONS[request.node.callspec.params["backend"]]


@pytest.mark.parametrize("call", [(name, mode) for name in CLASSES for mode in MODES], ids="-".join)
@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "closed"])
def test_a_call_can_be_cancelled_wherever_it_waits(
    server: Server, make_model: MakeModel, most_open: int, call: tuple[str, str], *, is_kept: bool
) -> None:
    """CancelledError only; no task, no connection, no reservation is left; the next is right."""
    name, mode = call
    endpoint = server.endpoint(script_of(mode, is_kept=is_kept))
    ledger = Ledger(budget_usd=1_000, budget_tokens=10_000_000)
    model = make_model(name, endpoint, ledger=ledger)
    descriptors = OpenDescriptors()

    async def run() -> int:
        await Read(name, mode).call(model)
        points = await walk(name, mode, model, ledger)
        most = most_open + is_kept
        assert await closed_down_to(server, most) <= most
        await model.aclose()
        return points

    points = asyncio.run(run())
    assert points >= LEAST_POINTS[mode, is_kept]
    assert descriptors.count_new() == 0
