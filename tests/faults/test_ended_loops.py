"""Event loops that are closed without `shutdown_asyncgens`, or never: nothing is left of them.

`asyncio.run` closes them well. Web and task servers, notebooks and LlamaIndex's `asyncio_run` do
not: they call `run_until_complete` and `close`. `python -m benchmarks.ended_loops` counts.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from llama_index.core import get_response_synthesizer
from llama_index.core.async_utils import asyncio_run
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import NodeWithScore, TextNode

from benchmarks.ended_loops import Left, count_left
from llama_index_onerouter import OneRouterLLM
from tests.core.payloads import chunk, completion
from tests.faults.adapters import MODEL_FIELDS, PROMPT, acall_model
from tests.faults.conftest import CLASSES
from tests.faults.http_scripts import response, stream
from tests.faults.leak_check import OpenDescriptors, answer_scripts, check_text
from tests.faults.server import End, Server

each_class = pytest.mark.parametrize("name", CLASSES)
ROOT = Path(__file__).parents[2]
NUMBER = 20


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that asyncio and aiohttp log nothing; a warning is an error in all tests."""
    yield
    gc.collect()
    assert caplog.records == []


@each_class
@pytest.mark.parametrize("is_fresh", [False, True], ids=["one instance", "an instance per loop"])
@pytest.mark.usefixtures("backend", "new_clients")
def test_closed_loops_leave_nothing(server: Server, name: str, *, is_fresh: bool) -> None:
    """No socket, and no loop."""
    left = count_left(name, server, NUMBER, is_fresh=is_fresh)
    assert left == Left(0, 0, left.megabytes)


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the authority."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


HALF_A_STREAM = (*stream(chunk("Hel"), done=False, ended=False), End.HANG)


async def read_one(name: str, model: Any) -> Any:
    """Read the first result of a stream; return the stream, which stays open."""
    if name == "ChatOneRouter":
        results = model.astream(PROMPT)
    else:
        results = await model.astream_complete(PROMPT)
    await anext(results)
    return results


@each_class
@pytest.mark.usefixtures("backend", "new_clients")
def test_shutting_a_loop_down_closes_its_connections(server: Server, name: str) -> None:
    """Before it is closed: uvloop warns of connections that are open then."""
    endpoint = server.endpoint(answer_scripts("Hi").stream)
    model_class, adapter = CLASSES[name]
    model = model_class(**MODEL_FIELDS, base_url=endpoint.base_url)
    loop = asyncio.new_event_loop()
    descriptors = OpenDescriptors()
    check_text(loop.run_until_complete(acall_model(adapter, model, "stream")), "Hi")
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert descriptors.count_new() == 0
    loop.close()


# Python 3.13 warns of any async generator that is dropped just before its event loop is closed.
@each_class
@pytest.mark.filterwarnings("ignore:coroutine method 'aclose':RuntimeWarning")
@pytest.mark.parametrize("protocol", ["http", "https"])
@pytest.mark.parametrize("is_kept", [False, True], ids=["dropped", "kept"])
@pytest.mark.usefixtures("backend", "trusted")
def test_a_loop_closed_in_mid_stream_disconnects(
    server: Server, secure: Server, name: str, protocol: str, *, is_kept: bool
) -> None:
    """Next to an idle connection; the stream was dropped, or is still referenced."""
    own_server = {"http": server, "https": secure}[protocol]
    endpoint = own_server.endpoint(answer_scripts("Hi").stream, HALF_A_STREAM)
    model_class, adapter = CLASSES[name]
    model = model_class(**MODEL_FIELDS, base_url=endpoint.base_url, max_retries=0)
    descriptors = OpenDescriptors()
    loop = asyncio.new_event_loop()
    check_text(loop.run_until_complete(acall_model(adapter, model, "stream")), "Hi")
    results = loop.run_until_complete(read_one(name, model))
    if not is_kept:
        del results
    loop.close()
    assert endpoint.last.disconnected.wait(2)
    assert descriptors.count_new() == 0
    weak_loop = weakref.ref(loop)
    if is_kept:
        del results
    del loop
    gc.collect()
    assert weak_loop() is None


@each_class
@pytest.mark.parametrize("protocol", ["http", "https"])
@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
@pytest.mark.usefixtures("backend", "trusted")
def test_a_loop_that_is_never_closed_is_collected_with_its_sockets(
    server: Server, secure: Server, name: str, protocol: str
) -> None:
    """While the model lives: it does not keep the loop in memory."""
    own_server = {"http": server, "https": secure}[protocol]
    endpoint = own_server.endpoint(answer_scripts("Hi").stream)
    model_class, adapter = CLASSES[name]
    model = model_class(**MODEL_FIELDS, base_url=endpoint.base_url)
    descriptors = OpenDescriptors()
    for _ in range(3):
        loop = asyncio.new_event_loop()
        check_text(loop.run_until_complete(acall_model(adapter, model, "stream")), "Hi")
        weak_loop = weakref.ref(loop)
        del loop
        with suppress(ResourceWarning):
            gc.collect()
        assert weak_loop() is None
    assert descriptors.count_new() == 0


@pytest.mark.usefixtures("backend", "new_clients")
def test_llama_indexs_asyncio_run_in_a_running_loop(server: Server) -> None:
    """It runs each call on a loop of its own, in a thread; so does `tree_summarize`."""
    endpoint = server.endpoint(response(completion("Hi")))
    fields = {**MODEL_FIELDS, "base_url": endpoint.base_url, "max_retries": 0}
    llm = OneRouterLLM(**fields, context_window=4_000)
    nodes = [NodeWithScore(node=TextNode(text="word " * 2_000)) for _ in range(3)]
    mode = ResponseMode.TREE_SUMMARIZE
    summarizer = get_response_synthesizer(llm=llm, response_mode=mode, use_async=True)

    async def run() -> None:
        assert str(summarizer.synthesize("What is it?", nodes)) == "Hi"
        for _ in range(5):
            assert asyncio_run(llm.acomplete(PROMPT)).text == "Hi"

    descriptors = OpenDescriptors()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(run())
    llm.close()
    loop.close()
    assert len(endpoint.requests) > 5 + 1
    assert descriptors.count_new() == 0


# --- processes: standard error is empty ---

CODE = """
import asyncio, gc, sys, threading
from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM

options = {"model": "vendor/model", "api_key": "k", "base_url": sys.argv[1]}
models = ChatOneRouter(**options), OneRouterLLM(**options)
calls = models[0].ainvoke, models[1].acomplete

def new_loop():
    loop = asyncio.new_event_loop()
    for call in calls:
        loop.run_until_complete(call("Hi"))
    return loop

closed_badly, never_closed, dropped, running = new_loop(), new_loop(), new_loop(), new_loop()
closed_badly.close()
del dropped
gc.collect()
threading.Thread(target=running.run_forever, daemon=True).start()
for call in calls:
    asyncio.run_coroutine_threadsafe(call("Hi"), running).result()
ChatOneRouter(**options).invoke("Hi")
OneRouterLLM(**options).complete("Hi")

import nest_asyncio
nest_asyncio.apply()

async def nest():
    for call in calls:
        asyncio.run(call("Hi"))
        await call("Hi")
        asyncio.get_event_loop().run_until_complete(call("Hi"))

asyncio.run(nest())
new_loop().close()
"""


@pytest.mark.parametrize("library", ["aiohttp", "httpx"])
def test_a_process_prints_nothing(server: Server, tmp_path: Path, library: str) -> None:
    """Its loops are closed badly, never closed, dropped, running at its end, or nested."""
    endpoint = server.endpoint(response(completion("Hi")))
    if library == "httpx":  # this file is found before the real package
        (tmp_path / "aiohttp.py").write_text("raise ImportError", "utf-8")
    done = subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-c", CODE, endpoint.base_url],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        check=False,
        timeout=50,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert len(endpoint.requests) == 20
