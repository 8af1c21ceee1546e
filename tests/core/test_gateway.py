"""The gateway client over a real socket: complete, stream and models, sync and async."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from onerouter_core import Clients, Gateway, OneRouterError, awarm_up, warm_up
from onerouter_core.errors import (
    AuthenticationError,
    IncompleteStreamError,
    InsufficientCreditsError,
    MalformedReplyError,
    ModelNotFoundError,
    UpstreamError,
)
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import (
    HELLO,
    USAGE,
    chunk,
    completion,
    final_reply,
    joined_calls,
    sse,
)

Make = Callable[..., Gateway]
Send = Callable[..., Any]

REPLY_FIELDS = {
    "model": "served/model",
    "provider": "alibaba/cn",
    "request_id": "r",
    "created": 5,
}
ANSWER = Script(json=completion())
STREAM = Script(events=[chunk("Hi", "stop")])


# --- replies ---


def test_complete_returns_a_reply(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """With text, usage, cost, model, provider and ids."""
    details = {"prompt_cost": 0.1}
    body = completion(usage=USAGE, cost=0.25, cost_details=details, **REPLY_FIELDS)
    sim.script(Script(json=body))
    reply = caller.complete(gateway(), HELLO)
    assert (reply.text, reply.finish_reason, reply.id) == ("Hi", "stop", "gen-1")
    assert reply.usage is not None
    assert (reply.usage.total_tokens, reply.cost, reply.cost_details) == (5, 0.25, details)
    assert (reply.model, reply.provider, reply.created) == ("served/model", "alibaba/cn", 5)
    assert len(reply.request_id or "") > 5, "the header's request id comes before the body's"
    assert reply.raw["choices"][0]["message"]["content"] == "Hi"


def test_stream_yields_deltas_and_a_final_reply(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Comments and the usage event yield no delta of their own."""
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    sim.script(
        Script(
            events=[
                b": OPENROUTER PROCESSING\n\n",
                chunk({"role": "assistant", "content": "", "reasoning": "Hm."}, **REPLY_FIELDS),
                chunk("H"),
                chunk("i"),
                chunk({"tool_calls": [call]}),
                chunk(finish="tool_calls"),
                {"choices": [], "usage": USAGE, "cost": 0.25},
            ]
        )
    )
    deltas = caller.stream(gateway(), HELLO)
    assert [delta.text for delta in deltas] == ["", "H", "i", "", ""]
    assert deltas[0].reasoning == "Hm."
    assert joined_calls(deltas) == [("1", "f", "{}")]
    reply = final_reply(deltas)
    assert (reply.text, reply.reasoning, reply.cost) == ("Hi", "Hm.", 0.25)
    assert (reply.model, reply.finish_reason) == ("served/model", "tool_calls")


@pytest.mark.parametrize("split", [1, 7, 100])
def test_a_stream_can_be_split_into_packets_anywhere(
    sim: Simulator, gateway: Make, caller: Caller, split: int
) -> None:
    """Also within a character."""
    sim.script(Script(events=[chunk("é漢"), chunk("🙂", "stop")], split=split))
    assert final_reply(caller.stream(gateway(), HELLO)).text == "é漢🙂"


def test_complete_and_streamed_replies_of_the_simulator_are_equal(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """The simulator validates the requests."""
    complete = caller.complete(gateway(), HELLO)
    deltas = caller.stream(gateway(), HELLO)
    assert complete.text
    assert "".join(delta.text for delta in deltas) == final_reply(deltas).text == complete.text


def test_a_body_instead_of_a_stream_is_read_and_vice_versa(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Some servers ignore the parameter `stream`."""
    sim.script(ANSWER, Script(events=[chunk("H"), chunk("i", "stop")]))
    deltas = caller.stream(gateway(), HELLO)
    assert [delta.text for delta in deltas] == ["Hi", ""]
    assert final_reply(deltas).text == "Hi"
    assert caller.complete(gateway(), HELLO).text == "Hi"


# --- errors ---


@pytest.mark.parametrize("status", [200, 402])
def test_an_error_body_raises_its_error(
    sim: Simulator, gateway: Make, send: Send, status: int
) -> None:
    """Under an error status, and under 200."""
    body = {"error": {"message": "credits used up (request id: in-prose)", "code": 402}}
    sim.script(Script(status=status, json=body))
    with pytest.raises(InsufficientCreditsError, match="used up") as caught:
        send(gateway(), HELLO)
    error = caught.value
    assert (error.status, error.model, error.attempts) == (402, "vendor/model", 1)
    assert error.request_id is not None


def test_an_error_chunk_raises_with_the_partial_reply(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """The error has the upstream provider and the status, too."""
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
def test_an_interrupted_stream_raises_with_the_partial_reply(
    sim: Simulator, gateway: Make, caller: Caller, script: Script
) -> None:
    """However the connection ends."""
    sim.script(script)
    with pytest.raises(IncompleteStreamError) as caught:
        caller.stream(gateway(), HELLO)
    assert (caught.value.partial.text, caught.value.partial.provider) == ("Hel", "p")


@pytest.mark.parametrize(
    ("status", "error_class"),
    [(200, MalformedReplyError), (502, UpstreamError), (404, ModelNotFoundError)],
)
def test_an_html_page_raises_with_its_title(
    sim: Simulator, gateway: Make, send: Send, status: int, error_class: type[OneRouterError]
) -> None:
    """The rest of the page is not in the message."""
    page = "<html><title>Bad gateway</title>" + "<p>" * 1000
    sim.script(Script(status=status, body=page, content_type="text/html"))
    with pytest.raises(error_class, match="Bad gateway") as caught:
        send(gateway(max_retries=0), HELLO)
    assert len(str(caught.value)) < 200


def test_an_empty_body_raises(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A complete reply is malformed; a stream is incomplete."""
    sim.script(Script(body=""), Script(body=""))
    with pytest.raises(MalformedReplyError, match="empty"):
        caller.complete(gateway(), HELLO)
    with pytest.raises(IncompleteStreamError):
        caller.stream(gateway(max_retries=0), HELLO)


@pytest.mark.parametrize(
    "body", [b"data: " + b"x" * 2000, b"words\n" * 400], ids=["an event", "no events"]
)
def test_an_event_beyond_the_size_limit_is_a_malformed_reply(
    sim: Simulator, gateway: Make, caller: Caller, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """A stream of comments may be longer. The limit is lowered here."""
    monkeypatch.setattr("onerouter_core.wire.sse.MAX_EVENT_BYTES", 1000)
    comments = [b": keep-alive\n\n"] * 200
    sim.script(
        Script(body=body, split=600, chunk_delay=0.02),
        Script(events=[*comments, chunk("Hi", "stop")]),
    )
    with pytest.raises(MalformedReplyError, match="1000 bytes"):
        caller.stream(gateway(max_retries=0), HELLO)
    assert final_reply(caller.stream(gateway(), HELLO)).text == "Hi"


# --- models ---


def test_models_returns_the_entries_of_the_model_list(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Without an API key; if there is one, it is sent."""
    entries = caller.models(gateway(api_key=None))
    assert all(entry["id"] for entry in entries)
    assert len(entries) > 1
    assert (sim.last.method, sim.last.path) == ("GET", "/v1/models")
    assert "authorization" not in sim.last.headers
    assert caller.models(gateway()) == entries
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"


def test_balance_returns_usd(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """It needs a key, and costs nothing."""
    assert caller.balance(gateway()) == Decimal("9.99")
    assert (sim.last.method, sim.last.path) == ("GET", "/v1/balance")
    for key in ("wrong", None):
        with pytest.raises(AuthenticationError):
            caller.balance(gateway(api_key=key and SecretStr(key)))


def test_a_gateway_without_balance_raises(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """The status says that it has no such endpoint."""
    with pytest.raises(ModelNotFoundError) as caught:
        caller.balance(gateway(base_url=f"{sim.base_url}/nowhere"))
    assert caught.value.status == 404


def test_models_from_a_wrong_url_raises(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """The server answers 404."""
    with pytest.raises(ModelNotFoundError, match="status 404"):
        caller.models(gateway(base_url=sim.base_url + "/nowhere"))


# --- threads and event loops ---


def test_threads_share_a_gateway(sim: Simulator, gateway: Make) -> None:
    """Each call gets its own reply, from the first call on."""
    sim.script(*(Script(json=completion(str(n))) for n in range(20)))
    with gateway(clients=Clients()) as one, ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda _: one.complete(HELLO).text, range(20)))
    assert sorted(replies, key=int) == [str(n) for n in range(20)]


def test_event_loops_one_after_another_share_a_gateway(sim: Simulator, gateway: Make) -> None:
    """Without a retry and without a warning."""
    sim.script(*[ANSWER, STREAM] * 3)
    one = gateway(max_retries=0)

    async def run() -> None:
        assert (await one.acomplete(HELLO)).text == "Hi"
        assert [delta.text async for delta in await one.astream(HELLO)] == ["Hi", ""]

    for _ in range(3):
        asyncio.run(run())


def test_event_loops_in_threads_share_a_gateway(sim: Simulator, gateway: Make) -> None:
    """At the same time."""
    sim.script(*[ANSWER] * 12)
    one = gateway(max_retries=0)

    async def run() -> list[str]:
        replies = await asyncio.gather(*(one.acomplete(HELLO) for _ in range(4)))
        return [reply.text for reply in replies]

    with ThreadPoolExecutor(3) as pool:
        texts = list(pool.map(lambda _: asyncio.run(run()), range(3)))
    assert texts == [["Hi"] * 4] * 3


async def test_a_hundred_concurrent_calls_get_their_own_replies(
    sim: Simulator, gateway: Make
) -> None:
    """On one event loop."""
    sim.script(*(Script(json=completion(str(n))) for n in range(100)))
    async with gateway(max_retries=0) as one:
        replies = await asyncio.gather(*(one.acomplete(HELLO) for _ in range(100)))
    assert sorted(int(reply.text) for reply in replies) == list(range(100))


# --- copies, closing and warm-up ---


def test_copies_of_a_used_gateway_work(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """And so does the original."""
    sim.script(*[ANSWER] * 4)
    one = gateway()
    caller.complete(one, HELLO)
    copies = [copy.deepcopy(one), pickle.loads(pickle.dumps(one))]  # noqa: S301 -- our own bytes
    for other in [*copies, one]:
        assert other.connection == one.connection
        assert caller.complete(other, HELLO).text == "Hi"


def test_a_closed_gateway_can_be_used_again(sim: Simulator, gateway: Make) -> None:
    """The next call takes a new client; closing it unused, or twice, is allowed."""
    sim.script(*[ANSWER] * 4)

    async def run(one: Gateway) -> None:
        async with one as entered:
            assert entered is one
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


async def test_warm_up_imports_the_sdk() -> None:
    """Sync and async; it can be repeated."""
    warm_up()
    await awarm_up()
    warm_up()
    assert "openai" in sys.modules
