"""Lifetime of an instance: copies, event loops, threads, disconnects, closing and imports."""

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
from tests.langchain.conftest import LLMFactory, Mode

ROOT = Path(__file__).parents[2]
UNFINISHED_STREAM = Script(events=[chunk("a"), chunk("b"), 60.0, chunk("c", finish_reason="stop")])
SETTINGS: dict[str, Any] = {
    "temperature": 0,
    "provider": {"order": ["a/b"]},
    "stop": ["x"],
    "default_headers": {"X-A": "b"},
    "reasoning": {"effort": "low"},
}


# --- copies ---


@pytest.mark.parametrize("is_used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize(
    "copy_model",
    [
        lambda llm: pickle.loads(pickle.dumps(llm)),  # noqa: S301 -- pickled here
        lambda llm: cloudpickle.loads(cloudpickle.dumps(llm)),
        copy.deepcopy,
        copy.copy,
        lambda llm: llm.model_copy(),
        lambda llm: llm.model_copy(deep=True),
    ],
    ids=["pickle", "cloudpickle", "deepcopy", "copy", "model_copy", "deep model_copy"],
)
def test_a_copy_is_equal_and_works(
    make_llm: LLMFactory, mode: Mode, copy_model: Any, is_used: bool
) -> None:
    """For a fresh and a used model; the original still works afterwards."""
    llm = make_llm(**SETTINGS)
    if is_used:
        mode.invoke(llm, "Hi")
        mode.stream(llm, "Hi")
    copied = copy_model(llm)
    assert copied == llm
    assert copied.default_headers == {"X-A": "b"}
    assert mode.invoke(copied, "Hi").content == "You said: Hi"
    assert mode.invoke(llm, "Hi").content == "You said: Hi"
    assert copied == llm
    copied.close()


def test_equality_compares_settings(make_llm: LLMFactory) -> None:
    """A model with a different temperature is not equal."""
    assert make_llm(**SETTINGS) == make_llm(**SETTINGS)
    assert make_llm(**SETTINGS) != make_llm(**SETTINGS | {"temperature": 1})


def test_a_bound_model_can_be_pickled(make_llm: LLMFactory, mode: Mode) -> None:
    """Bound tools and schemas are pickled with it."""
    schema = {"title": "A", "type": "object", "properties": {"x": {"type": "integer"}}}
    for bound in (make_llm().bind_tools([schema]), make_llm().with_structured_output(schema)):
        copied = cloudpickle.loads(cloudpickle.dumps(bound))
        assert mode.invoke(copied, "Say 3")


def test_deepcopy_shares_the_users_http_client(make_llm: LLMFactory) -> None:
    """An HTTP client cannot be copied."""
    client = object()
    llm = make_llm(http_client=client)
    assert copy.deepcopy(llm).http_client is client


# --- loops and threads ---


def test_one_model_on_many_loops(make_llm: LLMFactory, sim: Simulator) -> None:
    """Each `asyncio.run` is a new event loop; no request is repeated, no resource leaks."""
    llm = make_llm(max_retries=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            assert asyncio.run(llm.ainvoke("Hi")).content == "You said: Hi"
            assert llm.invoke("Hi").content == "You said: Hi"
    assert len(sim.requests) == 8


def test_one_model_in_many_threads(make_llm: LLMFactory, sim: Simulator) -> None:
    """Sync calls and event loops run in parallel."""
    llm = make_llm(max_retries=0)

    def call_both(number: int) -> tuple[str, str]:
        text = f"number {number}"
        return llm.invoke(text).content, asyncio.run(llm.ainvoke(text)).content

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call_both, range(16)))
    assert answers == [(f"You said: number {n}",) * 2 for n in range(16)]
    assert len(sim.requests) == 32


def test_many_calls_on_one_loop(make_llm: LLMFactory) -> None:
    """Each concurrent call returns its own answer."""

    async def call_concurrently() -> list[Any]:
        return await asyncio.gather(*(llm.ainvoke(f"number {n}") for n in range(20)))

    llm = make_llm(max_retries=0)
    answers = asyncio.run(call_concurrently())
    assert [a.content for a in answers] == [f"You said: number {n}" for n in range(20)]


# --- disconnects ---


def leave_by_break(llm: ChatOneRouter) -> None:
    """Break out of the loop over a stream."""
    for _ in llm.stream("Hi"):
        break


def leave_by_close(llm: ChatOneRouter) -> None:
    """Close the generator of a stream."""
    stream = llm.stream("Hi")
    next(stream)
    stream.close()


def leave_by_raising(llm: ChatOneRouter) -> None:
    """Raise in the body of the loop over a stream."""
    with suppress(KeyError):
        for _ in llm.stream("Hi"):
            raise KeyError


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_close, leave_by_raising])
def test_leaving_a_stream_disconnects(llm: ChatOneRouter, sim: Simulator, leave: Any) -> None:
    """The server sees the disconnect at once."""
    sim.script(UNFINISHED_STREAM)
    leave(llm)
    assert sim.last.wait_hung_up(2)


async def aleave_by_close(llm: ChatOneRouter) -> None:
    """Close the async generator of a stream."""
    stream = llm.astream("Hi")
    await anext(stream)
    await stream.aclose()


async def aleave_by_break(llm: ChatOneRouter) -> None:
    """Break out of the loop; the event loop closes the generator soon after."""
    async for _ in llm.astream("Hi"):
        break
    await asyncio.sleep(0.1)


async def aleave_by_cancel(llm: ChatOneRouter) -> None:
    """Cancel a task that is waiting for the next chunk."""
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
    """Exceed the time limit of `asyncio.wait_for`."""

    async def read() -> None:
        async for _ in llm.astream("Hi"):
            pass

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(read(), 0.2)


@pytest.mark.parametrize(
    "leave", [aleave_by_close, aleave_by_break, aleave_by_cancel, aleave_by_timeout]
)
async def test_leaving_an_async_stream_disconnects(
    llm: ChatOneRouter, sim: Simulator, leave: Any
) -> None:
    """The server sees the disconnect while the event loop runs."""
    sim.script(UNFINISHED_STREAM)
    await leave(llm)
    assert await asyncio.to_thread(sim.last.wait_hung_up, 2)
    await llm.aclose()


async def test_cancelling_a_call_disconnects(llm: ChatOneRouter, sim: Simulator) -> None:
    """Also before any response; the request is not repeated."""
    sim.script(Script(delay=60.0))
    task = asyncio.create_task(llm.ainvoke("Hi"))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(sim.last.wait_hung_up, 2)
    assert len(sim.requests) == 1
    await llm.aclose()


def test_a_stream_ends_at_done(llm: ChatOneRouter, sim: Simulator) -> None:
    """A server that keeps the connection open after [DONE] does not delay the stream."""
    events = [chunk("a", finish_reason="stop"), "[DONE]"]
    sim.script(Script(events=events, end="hang"))
    assert "".join(part.content for part in llm.stream("Hi")) == "a"
    assert sim.last.wait_hung_up(2)


# --- closing ---


def test_a_closed_model_can_be_called_again(llm: ChatOneRouter) -> None:
    """`close` returns the connections; the next call opens new ones."""
    for _ in range(2):
        assert llm.invoke("Hi").content == "You said: Hi"
        llm.close()
        llm.close()
    with llm as entered:
        assert entered is llm
        assert llm.invoke("Hi").content == "You said: Hi"


async def test_a_model_closed_with_aclose_can_be_called_again(llm: ChatOneRouter) -> None:
    """The same on one event loop."""
    for _ in range(2):
        assert (await llm.ainvoke("Hi")).content == "You said: Hi"
        await llm.aclose()
        await llm.aclose()
    async with llm as entered:
        assert entered is llm
        assert (await llm.ainvoke("Hi")).content == "You said: Hi"


def test_close_leaves_no_thread(llm: ChatOneRouter, sim: Simulator) -> None:
    """A sync call and `close` start no thread that stays."""
    threads = threading.active_count()
    llm.invoke("Hi")
    llm.close()
    assert threading.active_count() == threads


# --- imports ---


def run_python(code: str) -> str:
    """Return the output of a new Python process."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(  # noqa: S603 -- code of this file
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_and_construction_load_no_sdk() -> None:
    """The first request imports the SDK and the HTTP libraries."""
    code = (
        "import sys; from langchain_onerouter import ChatOneRouter; llm = ChatOneRouter(model='m');"
        "llm.bind_tools([lambda x: x]); repr(llm);"
        "print(sorted({'openai', 'llama_index', 'langchain'} & sys.modules.keys()))"
    )
    assert run_python(code) == "[]"


def test_import_without_langchain_core_names_the_extra() -> None:
    """The ImportError contains the pip command."""
    code = (
        "import sys; sys.modules['langchain_core'] = None\n"
        "try: import langchain_onerouter\n"
        "except ImportError as error: print(error)"
    )
    assert 'pip install "onerouter-integrations[langchain]"' in run_python(code)


def test_construction_needs_no_api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read at construction; the first request needs the key."""
    assert ChatOneRouter(model="m").api_key is None
    monkeypatch.setenv("INFRON_API_KEY", "sk-old")
    assert ChatOneRouter(model="m").api_key.get_secret_value() == "sk-old"
    monkeypatch.setenv("ONEROUTER_API_KEY", "sk-new")
    assert ChatOneRouter(model="m").api_key.get_secret_value() == "sk-new"


def test_openai_environment_variables_are_ignored(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No OPENAI_* variable changes the request."""
    for name in ("API_KEY", "BASE_URL", "ORG_ID", "ORGANIZATION", "PROJECT_ID", "ADMIN_KEY"):
        monkeypatch.setenv(f"OPENAI_{name}", "http://openai-secret/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "authorization: Bearer openai-secret\nx-a: b")
    mode.invoke(make_llm(), "Hi")
    assert "openai-secret" not in str(sim.last.headers)
    assert "x-a" not in sim.last.headers
