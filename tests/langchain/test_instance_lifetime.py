"""Lifetime: copies, pickles, loops, threads, hanging up, closing, and what an import does."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, chunk
from tests.langchain.conftest import Colour, Make

ROOT = Path(__file__).parents[2]
ENDLESS = Script(events=[chunk("a"), chunk("b"), 60.0, chunk("c", finish_reason="stop")])
SETTINGS: dict[str, Any] = {
    "temperature": 0,
    "provider": {"order": ["a/b"]},
    "stop": ["x"],
    "default_headers": {"X-A": "b"},
    "reasoning": {"effort": "low"},
}


# --- copies ---


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize(
    "copied",
    [
        lambda llm: pickle.loads(pickle.dumps(llm)),  # noqa: S301 -- our own
        lambda llm: cloudpickle.loads(cloudpickle.dumps(llm)),
        copy.deepcopy,
        copy.copy,
        lambda llm: llm.model_copy(),
        lambda llm: llm.model_copy(deep=True),
    ],
    ids=["pickle", "cloudpickle", "deepcopy", "copy", "model_copy", "deep model_copy"],
)
def test_a_copy_is_equal_and_works(make: Make, colour: Colour, copied: Any, used: bool) -> None:
    """Before and after use, and the original is whole afterwards."""
    llm = make(**SETTINGS)
    if used:
        colour.invoke(llm, "Hi")
        colour.stream(llm, "Hi")
    other = copied(llm)
    assert other == llm
    assert other.default_headers == {"X-A": "b"}
    assert colour.invoke(other, "Hi").content == "You said: Hi"
    assert colour.invoke(llm, "Hi").content == "You said: Hi"
    assert other == llm
    other.close()


def test_equality(make: Make) -> None:
    """Equal settings are equal models; any other setting is not."""
    assert make(**SETTINGS) == make(**SETTINGS)
    assert make(**SETTINGS) != make(**SETTINGS | {"temperature": 1})


def test_a_bound_model_can_be_pickled(make: Make, colour: Colour) -> None:
    """Tools and schemas bound to it travel along."""
    schema = {"title": "A", "type": "object", "properties": {"x": {"type": "integer"}}}
    for bound in (make().bind_tools([schema]), make().with_structured_output(schema)):
        other = cloudpickle.loads(cloudpickle.dumps(bound))
        assert colour.invoke(other, "Say 3")


def test_a_clients_own_http_client_is_shared_by_copies(make: Make) -> None:
    """It cannot be copied; a deep copy keeps it."""
    client = object()
    llm = make(http_client=client)
    assert copy.deepcopy(llm).http_client is client


# --- loops and threads ---


def test_one_model_on_many_loops(make: Make, sim: Simulator) -> None:
    """Each `asyncio.run` is a loop of its own; nothing is sent twice, nothing left open."""
    llm = make(max_retries=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            assert asyncio.run(llm.ainvoke("Hi")).content == "You said: Hi"
            assert llm.invoke("Hi").content == "You said: Hi"
    assert len(sim.requests) == 8


def test_one_model_in_many_threads(make: Make, sim: Simulator) -> None:
    """Sync calls and loops side by side."""
    llm = make(max_retries=0)

    def both(number: int) -> tuple[str, str]:
        asked = f"number {number}"
        return llm.invoke(asked).content, asyncio.run(llm.ainvoke(asked)).content

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(both, range(16)))
    assert answers == [(f"You said: number {n}",) * 2 for n in range(16)]
    assert len(sim.requests) == 32


def test_many_calls_on_one_loop(make: Make) -> None:
    """They do not wait for each other."""

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(llm.ainvoke(f"number {n}") for n in range(20)))

    llm = make(max_retries=0)
    answers = asyncio.run(all_at_once())
    assert [a.content for a in answers] == [f"You said: number {n}" for n in range(20)]


# --- hanging up ---


def leave_by_break(llm: ChatOneRouter) -> None:
    """Leave a loop."""
    for _ in llm.stream("Hi"):
        break


def leave_by_close(llm: ChatOneRouter) -> None:
    """Close a generator."""
    stream = llm.stream("Hi")
    next(stream)
    stream.close()


def leave_by_raising(llm: ChatOneRouter) -> None:
    """Fail in the loop's body."""
    with suppress(KeyError):
        for _ in llm.stream("Hi"):
            raise KeyError


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_close, leave_by_raising])
def test_who_leaves_a_stream_hangs_up(llm: ChatOneRouter, sim: Simulator, leave: Any) -> None:
    """The server sees it at once."""
    sim.script(ENDLESS)
    leave(llm)
    assert sim.last.wait_hung_up(2)


async def aleave_by_close(llm: ChatOneRouter) -> None:
    """Close an async generator."""
    stream = llm.astream("Hi")
    await anext(stream)
    await stream.aclose()


async def aleave_by_break(llm: ChatOneRouter) -> None:
    """Leave a loop, whose generator the event loop closes as soon as it can."""
    async for _ in llm.astream("Hi"):
        break
    await asyncio.sleep(0.1)


async def aleave_by_cancel(llm: ChatOneRouter) -> None:
    """Cancel a task that waits for the next chunk."""
    first = asyncio.Event()

    async def read() -> None:
        async for _ in llm.astream("Hi"):
            first.set()

    task = asyncio.create_task(read())
    await first.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def aleave_by_timeout(llm: ChatOneRouter) -> None:
    """Run out of time."""

    async def read() -> None:
        async for _ in llm.astream("Hi"):
            pass

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(read(), 0.2)


@pytest.mark.parametrize(
    "leave", [aleave_by_close, aleave_by_break, aleave_by_cancel, aleave_by_timeout]
)
async def test_who_leaves_an_async_stream_hangs_up(
    llm: ChatOneRouter, sim: Simulator, leave: Any
) -> None:
    """The server sees it while the loop still runs."""
    sim.script(ENDLESS)
    await leave(llm)
    assert await asyncio.to_thread(sim.last.wait_hung_up, 2)
    await llm.aclose()


async def test_who_cancels_a_call_hangs_up(llm: ChatOneRouter, sim: Simulator) -> None:
    """Also where nothing has come yet; it is not asked again."""
    sim.script(Script(delay=60.0))
    task = asyncio.create_task(llm.ainvoke("Hi"))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(sim.last.wait_hung_up, 2)
    assert len(sim.requests) == 1
    await llm.aclose()


def test_the_end_of_a_stream_is_not_waited_for(llm: ChatOneRouter, sim: Simulator) -> None:
    """A server that keeps the line open after [DONE] keeps nobody."""
    events = [chunk("a", finish_reason="stop"), "[DONE]"]
    sim.script(Script(events=events, end="hang"))
    assert "".join(part.content for part in llm.stream("Hi")) == "a"
    assert sim.last.wait_hung_up(2)


# --- closing ---


def test_a_closed_model_works_again(llm: ChatOneRouter) -> None:
    """Closing gives connections back; the next call makes new ones."""
    for _ in range(2):
        assert llm.invoke("Hi").content == "You said: Hi"
        llm.close()
        llm.close()
    with llm as same:
        assert same is llm
        assert llm.invoke("Hi").content == "You said: Hi"


async def test_a_closed_model_works_again_on_a_loop(llm: ChatOneRouter) -> None:
    """The same, awaited."""
    for _ in range(2):
        assert (await llm.ainvoke("Hi")).content == "You said: Hi"
        await llm.aclose()
        await llm.aclose()
    async with llm as same:
        assert same is llm
        assert (await llm.ainvoke("Hi")).content == "You said: Hi"


def test_closing_hangs_up(llm: ChatOneRouter, sim: Simulator) -> None:
    """An idle connection is given back to the server at once."""
    threads = threading.active_count()
    llm.invoke("Hi")
    llm.close()
    assert threading.active_count() == threads


# --- imports ---


def run(code: str) -> str:
    """Return what a fresh Python prints."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(  # noqa: S603 -- our own code
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_and_construction_load_no_sdk() -> None:
    """The SDK and HTTP libraries are imported by the first request."""
    code = (
        "import sys; from langchain_onerouter import ChatOneRouter; llm = ChatOneRouter(model='m');"
        "llm.bind_tools([lambda x: x]); repr(llm);"
        "print(sorted({'openai', 'llama_index', 'langchain'} & sys.modules.keys()))"
    )
    assert run(code) == "[]"


def test_without_langchain_core_the_extra_is_named() -> None:
    """The import says what to install."""
    code = (
        "import sys; sys.modules['langchain_core'] = None\n"
        "try: import langchain_onerouter\n"
        "except ImportError as error: print(error)"
    )
    assert 'pip install "onerouter-integrations[langchain]"' in run(code)


def test_construction_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for when it is needed; the environment is read when the model is made."""
    assert ChatOneRouter(model="m").api_key is None
    monkeypatch.setenv("INFRON_API_KEY", "sk-old")
    assert ChatOneRouter(model="m").api_key.get_secret_value() == "sk-old"
    monkeypatch.setenv("ONEROUTER_API_KEY", "sk-new")
    assert ChatOneRouter(model="m").api_key.get_secret_value() == "sk-new"


def test_the_environment_of_others_is_not_ours(
    make: Make, sim: Simulator, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No OPENAI_* variable changes what is sent."""
    for name in ("API_KEY", "BASE_URL", "ORG_ID", "ORGANIZATION", "PROJECT_ID", "ADMIN_KEY"):
        monkeypatch.setenv(f"OPENAI_{name}", "http://openai-secret/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "authorization: Bearer openai-secret\nx-a: b")
    colour.invoke(make(), "Hi")
    assert "openai-secret" not in str(sim.last.headers)
    assert "x-a" not in sim.last.headers
