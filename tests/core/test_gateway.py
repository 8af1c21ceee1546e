"""The verbs, over a real socket: what comes back, and what every failure is called."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import openai
import pytest
from pydantic import SecretStr

from onerouter_core import Clients, Gateway, Request, awarm_up, warm_up
from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    DeadlineExceededError,
    IncompleteStreamError,
    InsufficientCreditsError,
    MalformedReplyError,
    UpstreamError,
)
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion, final_reply, joined_calls, sse

Make = Callable[..., Gateway]
Send = Callable[..., Any]

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
FACTS = {"model": "served/model", "provider": "alibaba/cn", "request_id": "r", "created": 5}
HI = Script(json=completion())


def test_a_whole_answer(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A reply has its text, usage, cost, and the names it goes by."""
    details = {"prompt_cost": 0.1}
    sim.script(Script(json=completion(usage=USAGE, cost=0.25, cost_details=details, **FACTS)))
    reply = caller.complete(gateway(), HELLO)
    assert (reply.text, reply.finish_reason, reply.id) == ("Hi", "stop", "gen-1")
    assert reply.usage is not None
    assert (reply.usage.total_tokens, reply.cost, reply.cost_details) == (5, 0.25, details)
    assert (reply.model, reply.provider, reply.created) == ("served/model", "alibaba/cn", 5)
    assert len(reply.request_id or "") > 5, "the header's request id comes before the body's"
    assert reply.raw["choices"][0]["message"]["content"] == "Hi"


def test_a_streamed_answer(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A stream gives pieces as they come, and one end with all the rest."""
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    sim.script(
        Script(
            events=[
                b": OPENROUTER PROCESSING\n\n",
                chunk({"role": "assistant", "content": "", "reasoning": "Hm."}, **FACTS),
                chunk("H"),
                chunk("i"),
                chunk({"tool_calls": [call]}),
                chunk(finish="tool_calls"),
                {"choices": [], "usage": USAGE, "cost": 0.25},
            ]
        )
    )
    pieces = caller.stream(gateway(), HELLO)
    assert [piece.text for piece in pieces] == ["", "H", "i", "", ""]
    assert pieces[0].reasoning == "Hm."
    assert joined_calls(pieces) == [("1", "f", "{}")]
    reply = final_reply(pieces)
    assert (reply.text, reply.reasoning, reply.cost) == ("Hi", "Hm.", 0.25)
    assert (reply.model, reply.finish_reason) == ("served/model", "tool_calls")


@pytest.mark.parametrize("split", [1, 7, 100])
def test_a_stream_in_any_packets(sim: Simulator, gateway: Make, caller: Caller, split: int) -> None:
    """Packets may end anywhere, also within a letter."""
    sim.script(Script(events=[chunk("é漢"), chunk("🙂", "stop")], split=split))
    assert final_reply(caller.stream(gateway(), HELLO)).text == "é漢🙂"


def test_what_is_sent(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """One POST with the body as encoded, the key, and the headers of the connection."""
    sim.script(HI, Script(events=[chunk("Hi", "stop")]))
    one = gateway(headers={"X-Title": "t", "User-Agent": "mine/1"})
    request = Request("m", HELLO.messages, parameters={"temperature": 0, "user": ""})
    caller.complete(one, request)
    assert (sim.last.method, sim.last.path) == ("POST", "/v1/chat/completions")
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"
    assert sim.last.headers["content-type"] == "application/json"
    assert (sim.last.headers["x-title"], sim.last.headers["user-agent"]) == ("t", "mine/1")
    expected = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0,
        "user": "",
        "usage": {"include": True},
    }
    assert sim.last.body == expected
    caller.stream(one, request)
    streaming = {"stream": True, "stream_options": {"include_usage": True}}
    assert sim.last.body == {**expected, **streaming}


def test_the_rules_of_the_simulator_are_kept(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A strict server takes what we send, and answers whole and streamed alike."""
    whole = caller.complete(gateway(), HELLO)
    pieces = caller.stream(gateway(), HELLO)
    assert whole.text
    assert "".join(piece.text for piece in pieces) == final_reply(pieces).text == whole.text


@pytest.mark.parametrize("status", [200, 402])
def test_error_bodies(sim: Simulator, gateway: Make, send: Send, status: int) -> None:
    """An error body is raised as its error, under a good status and a bad one."""
    body = {"error": {"message": "credits used up (request id: in-prose)", "code": 402}}
    sim.script(Script(status=status, json=body))
    with pytest.raises(InsufficientCreditsError, match="used up") as caught:
        send(gateway(), HELLO)
    error = caught.value
    assert (error.status, error.model, error.attempts) == (402, "vendor/model", 1)
    assert error.request_id is not None


def test_an_error_in_mid_stream(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """An error chunk is raised with what came before it, and who was at work."""
    failure = {"error": {"code": 502, "message": "disconnected"}, "provider": "openai"}
    sim.script(Script(events=[chunk("Hel"), chunk("lo", "error", **failure)]))
    with pytest.raises(UpstreamError, match="disconnected") as caught:
        caller.stream(gateway(), HELLO)
    error = caught.value
    assert (error.partial.text, error.provider, error.status) == ("Hello", "openai", 502)


@pytest.mark.parametrize(
    "script",
    [
        Script(events=[chunk("Hel", provider="p")], end="cut"),
        Script(events=[chunk("Hel", provider="p")], end="reset"),
        Script(events=[chunk("Hel", provider="p")], done=False),
        Script(body=sse(chunk("Hel", provider="p"), b'data: {"cho', done=False)),
    ],
    ids=["cut", "reset", "closed early", "cut within an event"],
)
def test_streams_that_break_off(
    sim: Simulator, gateway: Make, caller: Caller, script: Script
) -> None:
    """However a stream breaks off, it is an incomplete stream with what came."""
    sim.script(script)
    with pytest.raises(IncompleteStreamError) as caught:
        caller.stream(gateway(), HELLO)
    assert (caught.value.partial.text, caught.value.partial.provider) == ("Hel", "p")


def test_a_whole_body_that_breaks_off(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A whole body that breaks off is a connection error, not an empty answer."""
    sim.script(Script(body=b'{"choices": [', headers={"content-length": "99"}, end="cut"))
    with pytest.raises(APIConnectionError, match="connection to the gateway failed"):
        caller.complete(gateway(max_retries=0), HELLO)


def test_json_for_a_stream_and_a_stream_for_json(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Whichever of the two forms was asked for, the other is read as well."""
    sim.script(HI, Script(events=[chunk("H"), chunk("i", "stop")]))
    pieces = caller.stream(gateway(), HELLO)
    assert [piece.text for piece in pieces] == ["Hi", ""]
    assert final_reply(pieces).text == "Hi"
    assert caller.complete(gateway(), HELLO).text == "Hi"


@pytest.mark.parametrize(
    ("status", "kind"), [(200, MalformedReplyError), (502, UpstreamError), (404, Exception)]
)
def test_a_page_instead_of_an_answer(
    sim: Simulator, gateway: Make, send: Send, status: int, kind: Any
) -> None:
    """A page of somebody's is an error that has its title, whatever its status."""
    page = "<html><title>Bad gateway</title>" + "<p>" * 1000
    sim.script(Script(status=status, body=page, content_type="text/html"))
    with pytest.raises(kind, match="Bad gateway") as caught:
        send(gateway(max_retries=0), HELLO)
    assert len(str(caught.value)) < 200


def test_an_empty_body(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """An answer without a byte is malformed, whole; streamed it ended before it began."""
    sim.script(Script(body=""), Script(body=""))
    with pytest.raises(MalformedReplyError, match="says nothing"):
        caller.complete(gateway(), HELLO)
    with pytest.raises(IncompleteStreamError):
        caller.stream(gateway(max_retries=0), HELLO)


def test_a_body_that_cannot_be_decoded(sim: Simulator, gateway: Make, send: Send) -> None:
    """A body that is not compressed as it says is malformed."""
    sim.script(Script(body="plain", headers={"content-encoding": "gzip"}))
    with pytest.raises(MalformedReplyError, match="cannot be decoded"):
        send(gateway(max_retries=0), HELLO)


BODY, EVENT = "onerouter_core.call_state.MAX_BODY_BYTES", "onerouter_core.wire.sse.MAX_EVENT_BYTES"


@pytest.mark.parametrize(
    ("limit", "body"),
    [(BODY, b"x" * 2000), (EVENT, b"data: " + b"x" * 2000), (EVENT, b"words\n" * 400)],
    ids=["a body", "an event", "lines that are no events"],
)
def test_what_is_too_large_is_not_kept(  # noqa: PLR0913, PLR0917 -- fixtures
    sim: Simulator,
    gateway: Make,
    caller: Caller,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    body: bytes,
) -> None:
    """A reply without an end is refused before it fills the memory; comments may go on for ever."""
    monkeypatch.setattr(limit, 1000)
    comments = [b": keep-alive\n\n"] * 200
    sim.script(
        Script(body=body, split=600, chunk_delay=0.02),
        Script(events=[*comments, chunk("Hi", "stop")]),
    )
    send = caller.complete if limit == BODY else caller.stream
    with pytest.raises(MalformedReplyError, match="1000 bytes"):
        send(gateway(max_retries=0), HELLO)
    assert final_reply(caller.stream(gateway(), HELLO)).text == "Hi"


def test_a_request_that_cannot_be_written(sim: Simulator, gateway: Make, send: Send) -> None:
    """What JSON cannot hold is an error of the caller's, and nothing is sent."""
    request = Request("m", HELLO.messages, parameters={"extra_body": {"x": object()}})
    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        send(gateway(), request)
    assert sim.requests == []


# --- time ---


@pytest.mark.parametrize("script", [Script(delay=9), Script(body="", end="hang")])
def test_a_server_that_is_silent(sim: Simulator, gateway: Make, send: Send, script: Script) -> None:
    """Silence for `timeout` seconds is a timeout, before the head and after it."""
    sim.script(script)
    begun = monotonic()
    with pytest.raises(APITimeoutError, match="not answer in time") as caught:
        send(gateway(timeout=0.15, max_retries=0), HELLO)
    assert type(caught.value) is APITimeoutError
    assert caught.value.transient
    assert 0.1 < monotonic() - begun < 1


def test_a_deadline_is_told_from_a_timeout(sim: Simulator, gateway: Make, send: Send) -> None:
    """Silence until the deadline is a deadline, and is not asked again."""
    sim.script(Script(delay=9), HI)
    begun = monotonic()
    with pytest.raises(DeadlineExceededError, match=r"No answer in 0\.15 s"):
        send(gateway(deadline=0.15), HELLO)
    assert 0.1 < monotonic() - begun < 1
    assert len(sim.requests) == 1


def test_no_timeout_at_all(sim: Simulator, gateway: Make, send: Send) -> None:
    """`timeout=None` waits for as long as it takes."""
    sim.script(Script(events=[0.1, chunk("Hi", "stop")]))
    send(gateway(timeout=None), HELLO)


def test_a_stream_that_falls_silent(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """Silence in mid-stream is a timeout, with what came before it."""
    sim.script(Script(events=[chunk("Hel")], end="hang"))
    with pytest.raises(APITimeoutError) as caught:
        caller.stream(gateway(timeout=0.15), HELLO)
    assert caught.value.partial.text == "Hel"
    assert len(sim.requests) == 1


def test_keep_alives_are_no_answer(sim: Simulator, gateway: Make, send: Send) -> None:
    """Comments keep a connection alive, but not a call that waits for `timeout` seconds."""
    sim.script(Script(events=[b": keep-alive\n\n", 0.05] * 100))
    begun = monotonic()
    with pytest.raises(APITimeoutError, match=r"no data for 0\.2 s"):
        send(gateway(timeout=0.2, max_retries=0), HELLO)
    assert 0.15 < monotonic() - begun < 1


def test_each_event_begins_the_timeout_anew(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A stream may take longer than `timeout` as a whole."""
    sim.script(Script(events=[*(chunk(letter) for letter in "Hello!")], chunk_delay=0.08))
    assert final_reply(caller.stream(gateway(timeout=0.3), HELLO)).text == "Hello!"


def test_a_deadline_ends_a_lively_stream(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A stream that is not done by the deadline is ended, with what came."""
    sim.script(Script(events=[chunk("a") for _ in range(100)], chunk_delay=0.05))
    begun = monotonic()
    with pytest.raises(DeadlineExceededError) as caught:
        caller.stream(gateway(deadline=0.3), HELLO)
    assert monotonic() - begun < 1
    assert caught.value.partial.text.startswith("aa")


# --- models ---


def test_models(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """The model list is there without a key, and with one the key is sent."""
    entries = caller.models(gateway(api_key=None))
    assert all(entry["id"] for entry in entries)
    assert len(entries) > 1
    assert (sim.last.method, sim.last.path) == ("GET", "/v1/models")
    assert "authorization" not in sim.last.headers
    assert caller.models(gateway()) == entries
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"


def test_models_where_there_are_none(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A list that is not there is an error like any other."""
    with pytest.raises(Exception, match="status 404"):
        caller.models(gateway(base_url=sim.base_url + "/nowhere"))


# --- keys ---


def test_a_key_is_asked_for_each_request(sim: Simulator, gateway: Make, send: Send) -> None:
    """A callable is asked for the key before each request, retries too."""
    keys = iter(["sk-first", SecretStr("sk-second")])
    failing = Script(status=500, body="oops")
    sim.script(failing, Script(events=[chunk("Hi", "stop")]))
    send(gateway(api_key=lambda: next(keys)), HELLO)
    sent = [request.headers["authorization"] for request in sim.requests]
    assert sent == ["Bearer sk-first", "Bearer sk-second"]


def test_a_key_may_have_to_be_awaited(sim: Simulator, gateway: Make) -> None:
    """In async a callable may be a coroutine function; sync says that it cannot await it."""
    sim.script(HI)

    async def key() -> SecretStr:
        await asyncio.sleep(0)
        return SecretStr("sk-awaited")

    one = gateway(api_key=key)
    assert asyncio.run(one.acomplete(HELLO)).text == "Hi"
    assert sim.last.headers["authorization"] == "Bearer sk-awaited"
    for call in (one.complete, one.stream):
        with pytest.raises(ConfigurationError, match="only async methods"):
            call(HELLO)
    loop = asyncio.new_event_loop()
    future = gateway(api_key=loop.create_future)
    with pytest.raises(ConfigurationError, match="only async methods"):
        future.complete(HELLO)
    loop.close()


@pytest.mark.parametrize("key", [None, "", SecretStr(""), lambda: "", " "])
def test_without_a_key_nothing_is_sent(sim: Simulator, gateway: Make, send: Send, key: Any) -> None:
    """No key, or an empty one, is an error before anything is sent."""
    with pytest.raises(ConfigurationError, match="give api_key or set ONEROUTER_API_KEY"):
        send(gateway(api_key=key), HELLO)
    assert sim.requests == []


def test_a_key_from_a_file_ends_in_a_newline(sim: Simulator, gateway: Make, send: Send) -> None:
    """Space around a key is none of it."""
    sim.script(Script(events=[chunk("Hi", "stop")]))
    send(gateway(api_key=SecretStr(f" {sim.api_key}\r\n")), HELLO)
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"


# --- many callers ---


def test_threads(sim: Simulator, gateway: Make) -> None:
    """One gateway serves many threads, each with its own answer, from the first call on."""
    sim.script(*(Script(json=completion(str(n))) for n in range(20)))
    one = gateway(clients=Clients())
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda _: one.complete(HELLO).text, range(20)))
    assert sorted(replies, key=int) == [str(n) for n in range(20)]
    one.close()


def test_event_loops_one_after_another(sim: Simulator, gateway: Make) -> None:
    """One gateway serves many `asyncio.run` calls without a retry and without a warning."""
    sim.script(*[HI, Script(events=[chunk("Hi", "stop")])] * 3)
    one = gateway(max_retries=0)

    async def both() -> None:
        assert (await one.acomplete(HELLO)).text == "Hi"
        assert [piece.text async for piece in await one.astream(HELLO)] == ["Hi", ""]

    for _ in range(3):
        asyncio.run(both())


def test_event_loops_in_threads(sim: Simulator, gateway: Make) -> None:
    """One gateway serves event loops in several threads at once."""
    sim.script(*[HI] * 12)
    one = gateway(max_retries=0)

    async def many() -> list[str]:
        replies = await asyncio.gather(*(one.acomplete(HELLO) for _ in range(4)))
        return [reply.text for reply in replies]

    with ThreadPoolExecutor(3) as pool:
        texts = list(pool.map(lambda _: asyncio.run(many()), range(3)))
    assert texts == [["Hi"] * 4] * 3


async def test_a_hundred_calls_at_once(sim: Simulator, gateway: Make) -> None:
    """Concurrent calls on one event loop each get their own answer."""
    sim.script(*(Script(json=completion(str(n))) for n in range(100)))
    async with gateway(max_retries=0) as one:
        replies = await asyncio.gather(*(one.acomplete(HELLO) for _ in range(100)))
    assert sorted(int(reply.text) for reply in replies) == list(range(100))


# --- life and death ---


def test_copies(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A used gateway can be copied and pickled; the copies work, and so does the original."""
    sim.script(*[HI] * 4)
    one = gateway()
    caller.complete(one, HELLO)
    others = [copy.deepcopy(one), pickle.loads(pickle.dumps(one)), one]  # noqa: S301 -- our own
    for other in others:
        assert other.connection == one.connection
        assert caller.complete(other, HELLO).text == "Hi"


def test_a_closed_gateway_opens_again(sim: Simulator, gateway: Make) -> None:
    """Closing is no end: the next call makes new clients; closing twice or unused is fine."""
    sim.script(*[HI] * 4)

    async def run(one: Gateway) -> None:
        async with one as same:
            assert same is one
            assert (await one.acomplete(HELLO)).text == "Hi"
        assert (await one.acomplete(HELLO)).text == "Hi"
        await one.aclose()
        await one.aclose()

    with gateway() as one:
        one.close()
        assert one.complete(HELLO).text == "Hi"
    assert one.complete(HELLO).text == "Hi"
    asyncio.run(run(one))
    one.close()


def test_http_clients_of_the_users(sim: Simulator, gateway: Make) -> None:
    """A client that the user gives is used, and not closed by us."""
    sim.script(HI, HI)
    with openai.DefaultHttpxClient(headers={"x-mine": "1"}) as mine, gateway() as other:
        one = gateway(http_client=mine)
        assert one.complete(HELLO).text == "Hi"
        assert sim.last.headers["x-mine"] == "1"
        one.close()
        assert not mine.is_closed
        assert other.complete(HELLO).text == "Hi"
        assert "x-mine" not in sim.last.headers


async def test_async_http_clients_of_the_users(sim: Simulator, gateway: Make) -> None:
    """An async client that the user gives is used, and not closed by us."""
    sim.script(HI, HI)
    async with openai.DefaultAsyncHttpxClient(headers={"x-mine": "1"}) as mine:
        one = gateway(http_async_client=mine)
        for _ in range(2):
            assert (await one.acomplete(HELLO)).text == "Hi"
            assert sim.last.headers["x-mine"] == "1"
            await one.aclose()
        assert not mine.is_closed


def test_something_that_is_no_http_client(gateway: Make, send: Send) -> None:
    """What the SDK does not take as a client is an error of the caller's."""
    with pytest.raises(ConfigurationError, match="does not fit the openai SDK"):
        send(gateway(http_client=object(), http_async_client=object()), HELLO)


async def test_async_without_aiohttp(
    sim: Simulator, gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without aiohttp async calls go over the SDK's own transport, streams and closing too."""

    class Missing:
        def __init__(self, **_: Any) -> None:
            raise RuntimeError("To use the aiohttp client you must have installed the package")

    monkeypatch.setattr(openai, "DefaultAioHttpClient", Missing)
    begun = [chunk("Hel")]
    sim.script(HI, Script(events=begun, end="hang"), Script(events=begun, end="cut"))
    async with gateway(max_retries=0) as one:
        assert (await one.acomplete(HELLO)).text == "Hi"
        pieces = await one.astream(HELLO)
        assert (await anext(pieces)).text == "Hel"
        await pieces.aclose()
        assert await asyncio.to_thread(sim.last.wait_hung_up, 2)
        with pytest.raises(IncompleteStreamError):
            assert [piece async for piece in await one.astream(HELLO)]


async def test_warm_up() -> None:
    """Warming up imports the SDK, in either colour, as often as one likes."""
    warm_up()
    await awarm_up()
    warm_up()
