"""Whole answers whose connection ends uncleanly: given out, booked, and never asked for again."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from onerouter_core import Ledger
from tests.core.payloads import chunk, completion, sse
from tests.faults.conftest import CLASSES, MakeModel
from tests.faults.entry_points import langchain_async_streams, llama_index_async_streams
from tests.faults.http_scripts import EVENTS, chunked, head, response
from tests.faults.server import End, Endpoint, HTTPScript, Server

WORDS = [f"w{number} " for number in range(20)]
TEXT = "".join(WORDS)
USAGE = {"prompt_tokens": 3, "completion_tokens": 20, "total_tokens": 23, "cost": 0.5}
ANSWER = sse(*map(chunk, WORDS), chunk("", "stop", usage=USAGE))
EACH_EVENT = [part + b"\n\n" for part in ANSWER.split(b"\n\n") if part]
COMPLETE = completion(TEXT, usage=USAGE)
BAD_CHUNK = b"zz\r\nnothing\r\n"


def joined(script: HTTPScript) -> bytes:
    """Return the bytes of a script, to be sent in one packet."""
    return b"".join(step for step in script if isinstance(step, bytes))


WITHOUT_LAST_CHUNK = chunked(*EACH_EVENT, ended=False)
ONE_PACKET = joined(WITHOUT_LAST_CHUNK)
CUT = ONE_PACKET.index(b"\r\n\r\n") + len(b"\r\n\r")

STREAMS: dict[str, HTTPScript] = {
    "no last chunk": (*WITHOUT_LAST_CHUNK, End.CLOSE),
    "no last chunk, in two parts": (
        *chunked(*EACH_EVENT[:8], 0.002, b"".join(EACH_EVENT[8:]), ended=False),
        End.CLOSE,
    ),
    "no last chunk, one packet": (ONE_PACKET, End.CLOSE),
    "bad framing, one packet": (ONE_PACKET + BAD_CHUNK, End.CLOSE),
    "bad framing, and no close": (ONE_PACKET + BAD_CHUNK, End.HANG),
    "bad framing in a later packet": (*WITHOUT_LAST_CHUNK, 0.01, BAD_CHUNK, End.HANG),
    "bad framing after an interim response": (
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + ONE_PACKET + BAD_CHUNK,
        End.CLOSE,
    ),
    "bad framing, head in two packets": (
        ONE_PACKET[:CUT],
        0.01,
        ONE_PACKET[CUT:] + BAD_CHUNK,
        End.CLOSE,
    ),
    "content length not reached": (
        head(200, EVENTS, content_length=len(ANSWER) + 9) + ANSWER,
        End.CLOSE,
    ),
    "compressed": (
        *chunked(gzip.compress(ANSWER), ended=False, content_encoding="gzip"),
        End.CLOSE,
    ),
}

each_class = pytest.mark.parametrize("name", CLASSES)
each_stream = pytest.mark.parametrize("script", STREAMS.values(), ids=STREAMS)


def check_booked_once(endpoint: Endpoint, ledger: Ledger) -> None:
    """Check that there was one request, and that it is in the ledger as a whole answer."""
    assert len(endpoint.requests) == 1
    assert [(entry.partial, float(entry.cost or 0)) for entry in ledger.entries] == [(False, 0.5)]


def stream(name: str, model: Any) -> Iterator[str]:
    """Yield the texts of a streamed answer."""
    if name == "ChatOneRouter":
        yield from (part.text for part in model.stream("Hi"))
    else:
        yield from (reply.delta or "" for reply in model.stream_chat([ChatMessage("Hi")]))


async def astream(name: str, model: Any) -> AsyncIterator[str]:
    """Yield the texts of a streamed answer."""
    if name == "ChatOneRouter":
        async for part in model.astream("Hi"):
            yield part.text
    else:
        async for reply in await model.astream_chat([ChatMessage("Hi")]):
            yield reply.delta or ""


async def read_slowly(texts: AsyncIterator[Any], pause: float = 0.001) -> list[Any]:
    """Read a stream with a pause after each item, so that its end comes before it is read."""
    items = []
    async for item in texts:
        items.append(item)
        await asyncio.sleep(pause)
    return items


@each_class
@each_stream
@pytest.mark.usefixtures("backend")
def test_a_whole_stream_with_an_unclean_end_is_an_answer(
    name: str, script: HTTPScript, server: Server, make_model: MakeModel
) -> None:
    """Also for a reader that is slower than the server; over aiohttp such answers were lost."""
    endpoint, ledger = server.endpoint(script), Ledger()
    model = make_model(name, endpoint, max_retries=2, ledger=ledger, timeout=5)
    assert "".join(asyncio.run(read_slowly(astream(name, model)))) == TEXT
    check_booked_once(endpoint, ledger)


@each_class
@each_stream
def test_a_whole_sync_stream_with_an_unclean_end_is_an_answer(
    name: str, script: HTTPScript, server: Server, make_model: MakeModel
) -> None:
    """The same of a sync stream."""
    endpoint, ledger = server.endpoint(script), Ledger()
    model = make_model(name, endpoint, max_retries=2, ledger=ledger, timeout=5)
    texts = []
    for text in stream(name, model):
        texts.append(text)
        time.sleep(0.001)
    assert "".join(texts) == TEXT
    check_booked_once(endpoint, ledger)


@pytest.mark.parametrize("streams", [langchain_async_streams, llama_index_async_streams])
def test_events_chains_and_agents_get_whole_streams(
    streams: Any, server: Server, new_clients: None
) -> None:
    """Frameworks wait between two chunks, too."""

    async def read(stream: Any) -> None:
        assert await read_slowly(stream(), 0.0005)

    for entry_point in streams("http://127.0.0.1"):
        endpoint, ledger = server.endpoint(STREAMS["no last chunk, in two parts"]), Ledger()
        asyncio.run(read(streams(endpoint.base_url, ledger=ledger, timeout=5)[entry_point]))
        check_booked_once(endpoint, ledger)


@each_class
@pytest.mark.usefixtures("backend")
def test_bytes_behind_a_complete_answer_do_not_lose_it(
    name: str, server: Server, make_model: MakeModel
) -> None:
    """Bytes that are no HTTP, in the packet of the answer."""
    endpoint, ledger = server.endpoint((joined(response(COMPLETE)) + b"\0", End.HANG)), Ledger()
    model = make_model(name, endpoint, max_retries=2, ledger=ledger, timeout=5)
    adapter = CLASSES[name][1]
    results: list[Any] = []
    asyncio.run(adapter.acall(model, "complete", results))
    assert adapter.read(model, results)[0] == TEXT
    check_booked_once(endpoint, ledger)


@each_class
def test_a_stream_without_its_end_is_still_incomplete(
    name: str, server: Server, make_model: MakeModel
) -> None:
    """What was received of it is in the error, over aiohttp too, whatever the reader's speed."""
    half = chunked(*EACH_EVENT[:10], ended=False)
    endpoint, ledger = server.endpoint((*half, End.CLOSE)), Ledger()
    model = make_model(name, endpoint, max_retries=2, ledger=ledger, timeout=5)
    with pytest.raises(Exception, match="interrupted") as caught:
        asyncio.run(read_slowly(astream(name, model)))
    error: Any = caught.value
    assert error.partial.text == "".join(WORDS[:10])
    assert [entry.partial for entry in ledger.entries] == [True]
    assert len(endpoint.requests) == 1
