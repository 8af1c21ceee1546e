"""Bytes beyond the end of a response: the connection is closed, and the next call gets its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any, TypeAlias

import pytest
import trustme

from tests.core.payloads import chunk, completion
from tests.faults.adapters import MODEL_FIELDS, VARIANTS, CallVariant, acall_model, call_model
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, hide_aiohttp
from tests.faults.http_scripts import head, response, stream
from tests.faults.server import Endpoint, HTTPScript, Server

each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
each_class = pytest.mark.parametrize("name", CLASSES)
each_protocol = pytest.mark.parametrize("protocol", ["http", "https"])

CallTwice: TypeAlias = Callable[..., list[Outcome]]
PAUSE = 0.1  # seconds: bytes sent later come within half of it
TLS_RECORD = 16_384  # bytes: longer data comes in several records
ONE_READ = 65_536  # bytes: httpcore reads no more at once, asyncio does


def answer(mode: str, text: str) -> bytes:
    """Return an answer in a mode, in one piece."""
    script = response(completion(text)) if mode == "complete" else stream(chunk(text, "stop"))
    return b"".join(step for step in script if isinstance(step, bytes))


LEFTOVERS: dict[str, Callable[[str], bytes]] = {
    "a whole answer": lambda mode: answer(mode, "of another"),
    "two answers": lambda mode: answer(mode, "of another") * 2,
    "half an answer": lambda mode: answer(mode, "of another")[:-20],
    "half a head": lambda _: head(200)[:20],
    "an interim response": lambda _: b"HTTP/1.1 100 Continue\r\n\r\n",
    "no HTTP": lambda _: b"x",
    "a line end": lambda _: b"\r\n",
    "half a line end": lambda _: b"\n",
    "line ends": lambda _: b"\r\n" * 100,
    "a line end and half a head": lambda _: b"\r\n" + head(200)[:20],
    "more than is read at once": lambda _: (
        b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + b"x" * 300_000
    ),
}


@pytest.fixture
def servers(server: Server, secure: Server) -> dict[str, Server]:
    """Provide a server for each protocol."""
    return {"http": server, "https": secure}


@pytest.fixture
def call_twice(
    authority: trustme.CA,
    name: str,
    variant: CallVariant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> CallTwice:
    """Provide a function that calls twice with one model, and returns the outcomes."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    if variant.backend == "default":
        hide_aiohttp(monkeypatch)
    model_class, adapter = CLASSES[name]

    def call_twice(endpoint: Endpoint, pause: float = 0.01) -> list[Outcome]:
        with model_class(**MODEL_FIELDS, base_url=endpoint.base_url, max_retries=0) as model:
            if variant.backend is not None:
                return asyncio.run(acall_twice(model, pause))
            first = call_model(adapter, model, variant.mode)
            sleep(pause)
            return [first, call_model(adapter, model, variant.mode)]

    async def acall_twice(model: Any, pause: float) -> list[Outcome]:
        first = await acall_model(adapter, model, variant.mode)
        await asyncio.sleep(pause)
        return [first, await acall_model(adapter, model, variant.mode)]

    return call_twice


def check_own_connections(endpoint: Endpoint, outcomes: list[Outcome]) -> None:
    """Check that both calls got their own answer, each over a connection of its own."""
    assert [(o.text, o.error) for o in outcomes] == [("Hi", None), ("again", None)]
    first, second = (request.port for request in endpoint.requests)
    assert first != second


CASES = [
    *(("http", leftover, "at once") for leftover in LEFTOVERS),
    *(
        ("https", leftover, "at once")
        for leftover in ("a whole answer", "more than is read at once")
    ),
    *((protocol, "a whole answer", "later") for protocol in ("http", "https")),
    *(("http", leftover, "later") for leftover in ("no HTTP", "a line end", "half a line end")),
]


@each_class
@each_variant
@pytest.mark.parametrize(("protocol", "leftover", "time"), CASES)
def test_a_connection_with_leftover_bytes_is_not_reused(  # noqa: PLR0913, PLR0917 -- parameters
    servers: dict[str, Server],
    call_twice: CallTwice,
    variant: CallVariant,
    protocol: str,
    leftover: str,
    time: str,
) -> None:
    """They were sent with the answer, or while the connection was idle."""
    if (leftover, time, variant.backend) == ("no HTTP", "at once", "aiohttp"):
        pytest.skip("aiohttp fails the response itself, and closes its connection")
    first, rest = answer(variant.mode, "Hi"), LEFTOVERS[leftover](variant.mode)
    pause = 0.01 if time == "at once" else PAUSE
    script: HTTPScript = (first + rest,) if time == "at once" else (first, PAUSE / 2, rest)
    endpoint = servers[protocol].endpoint(script, (answer(variant.mode, "again"),))
    check_own_connections(endpoint, call_twice(endpoint, pause))


@each_class
@each_variant
@pytest.mark.parametrize(("protocol", "size"), [("https", TLS_RECORD), ("http", ONE_READ)])
def test_leftover_bytes_that_are_not_read_with_the_answer(
    servers: dict[str, Server],
    call_twice: CallTwice,
    variant: CallVariant,
    protocol: str,
    size: int,
) -> None:
    """The answer fills a TLS record, or what httpcore reads at once; the rest is in a buffer."""
    first = fill(answer(variant.mode, "Hi"), size)
    script = (first + answer(variant.mode, "of another"),)
    endpoint = servers[protocol].endpoint(script, (answer(variant.mode, "again"),))
    check_own_connections(endpoint, call_twice(endpoint))


def fill(answer: bytes, size: int) -> bytes:
    """Return an answer with headers that make it exactly this long."""
    header = b"x-padding: " + b"x" * 6_000 + b"\r\n"
    number, rest = divmod(size - len(answer), len(header))
    # Optional whitespace before the value of a header: RFC 9110, section 5.5.
    answer = answer.replace(b"\r\n", b"\r\n" + header * number, 1)
    return answer.replace(b"content-type:", b"content-type:" + b" " * rest, 1)


@each_class
@each_variant
@each_protocol
def test_a_connection_without_leftover_bytes_is_reused(
    servers: dict[str, Server], call_twice: CallTwice, variant: CallVariant, protocol: str
) -> None:
    """The check closes no other connection."""
    scripts = [(answer(variant.mode, text),) for text in ("Hi", "again")]
    endpoint = servers[protocol].endpoint(*scripts)
    assert [outcome.text for outcome in call_twice(endpoint)] == ["Hi", "again"]
    assert len({request.port for request in endpoint.requests}) == 1
