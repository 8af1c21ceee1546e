"""The replayer: which request gets which reply, with its bytes and times, and the error of none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from onerouter_simulator import Script, Simulator, chunk, completion
from onerouter_simulator.recordings import Exchange, RequestContent, append
from tests.simulator.conftest import complete_async, complete_sync

JSON: TypeAlias = dict[str, Any]
Start: TypeAlias = Callable[..., Simulator]
PATH = "/chat/completions"


def said(text: str, **body: Any) -> JSON:
    """Return the body of a request."""
    return {"model": "a/b", "messages": [{"role": "user", "content": text}], **body}


def exchange(body: Any, reply: bytes, status: int = 200, **fields: Any) -> Exchange:
    """Return an exchange with a reply of one packet."""
    values = {
        "headers": {"content-type": "application/json"},
        "seconds": 0,
        "packets": ((0, reply),),
    }
    return Exchange(RequestContent("POST", PATH, body), status, **(values | fields))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Provide a function that replays some exchanges."""
    started: list[Simulator] = []

    def start(exchanges: Sequence[Exchange], **options: Any) -> Simulator:
        path = tmp_path / "answers.jsonl"
        for one in exchanges:
            append(path, one)
        started.append(Simulator.replay(path, **options).start())
        return started[-1]

    yield start
    for one in started:
        one.stop()


def post(replay: Simulator, body: Any, **options: Any) -> httpx.Response:
    """Send a request without a key."""
    return httpx.post(replay.base_url + PATH, json=body, **options)


def replies(replay: Simulator, *bodies: Any) -> list[str]:
    """Return the texts that the requests get."""
    return [post(replay, body).text for body in bodies]


def error_message(reply: httpx.Response) -> str:
    """Return the message of an error."""
    return str(reply.json()["error"]["message"])


# --- matching -----------------------------------------------------------------------------------


def test_requests_find_their_replies_in_any_order(start: Start) -> None:
    """Of requests and of keys; numbers are compared by value."""
    one, two = said("one", temperature=0), said("two", temperature=0)
    replay = start([exchange(one, b"1"), exchange(two, b"2")])
    reordered = {"temperature": 0.0, **said("one")}
    assert replies(replay, two, one, reordered, two) == ["2", "1", "1", "2"]


def test_identical_requests_get_their_replies_in_order_then_the_last_again(start: Start) -> None:
    """`clear` begins again."""
    one, two = said("one"), said("two")
    replay = start([exchange(one, b"1"), exchange(two, b"2"), exchange(one, b"3")])
    assert replies(replay, one, one, two, one) == ["1", "3", "2", "3"]
    replay.clear()
    assert replies(replay, one) == ["1"]
    assert len(replay.requests) == 1


@pytest.mark.parametrize(
    ("ignore", "change"),
    [
        (["user"], {"user": "other"}),
        ("user", {"user": "other"}),
        (["metadata.run"], {"metadata": {"run": 2, "kept": 1}}),
        (["messages.id"], {"messages": [{"role": "user", "content": "one", "id": 2}]}),
        (["user", "seed"], {"user": "other", "seed": 5}),
        (["nothing.like.this"], {}),
    ],
)
def test_named_fields_are_not_compared(start: Start, ignore: Any, change: JSON) -> None:
    """A path passes through objects and every item of a list."""
    first = said("one", user="me", metadata={"run": 1, "kept": 1})
    first["messages"][0]["id"] = 1
    replay = start([exchange(first, b"1")], ignore=ignore)
    assert post(replay, first | change).text == "1"
    assert post(replay, first | {"metadata": {"run": 1, "kept": 2}}).status_code == 422


def test_results_of_the_tools_of_one_answer_may_come_in_any_order(start: Start) -> None:
    """Agents send them as they end; the order of other messages matters."""

    def history(*ids: str) -> JSON:
        results = [{"role": "tool", "tool_call_id": one, "content": one} for one in ids]
        asked = {"role": "assistant", "content": None}
        return {"model": "a/b", "messages": [asked, *results, asked, *results[:1]]}

    replay = start([exchange(history("a", "b"), b'"known"')])
    ordered, swapped = history("a", "b"), history("b", "a")
    swapped["messages"][-1] = ordered["messages"][-1]
    for body in (ordered, swapped):
        assert post(replay, body).json() == "known"
    moved = {**ordered, "messages": ordered["messages"][::-1]}
    assert post(replay, moved).status_code == 422
    assert post(replay, history("a", "c")).status_code == 422


def test_method_and_path_are_compared(start: Start) -> None:
    """A model list is recorded as any other request."""
    listed = Exchange(RequestContent("GET", "/models", None), 200, {}, 0, ((0, b"[]"),))
    replay = start([listed])
    assert httpx.get(f"{replay.base_url}/models").text == "[]"
    reply = httpx.post(f"{replay.base_url}/models")
    assert 'method: recorded "GET", now "POST"' in error_message(reply)


def test_the_balance_is_simulated(start: Start) -> None:
    """No recording has it."""
    replay = start([exchange(said("one"), b"1")])
    assert httpx.get(f"{replay.base_url}/balance").json()["credit_balance"] == 9.99


def test_a_queued_script_comes_before_the_recording(start: Start) -> None:
    """So faults can be tried in a recorded conversation."""
    replay = start([exchange(said("one"), b"1")])
    replay.script(Script(503, body="down"))
    assert replies(replay, said("one"), said("one")) == ["down", "1"]


# --- replies ------------------------------------------------------------------------------------


def test_a_reply_has_its_status_headers_and_bytes(start: Start) -> None:
    """Also bytes that are no text."""
    headers = {"content-type": "text/html", "retry-after": "7", "x-ratelimit-limit": "9"}
    packets = ((0.1, b"\xff\xfe"), (0.1, b"ab"))
    replay = start([exchange(said("one"), b"", 503, headers=headers, packets=packets)])
    reply = post(replay, said("one"))
    assert (reply.status_code, reply.content) == (503, b"\xff\xfeab")
    assert {**reply.headers, **headers} == dict(reply.headers)
    assert reply.headers["content-length"] == "4"


STREAM = {"headers": {"content-type": "text/event-stream"}, "seconds": 0.2}
PACKETS = ((0.0, b"data: 1\n\n"), (0.3, b"data: 2\n\n"), (0.0, b"data: [DONE]\n\n"))


@pytest.mark.parametrize(("timing", "least"), [(True, 0.45), (False, 0.0)])
def test_a_stream_has_its_packets_with_or_without_their_times(
    start: Start, *, timing: bool, least: float
) -> None:
    """Nothing is added to them."""
    replay = start([exchange(said("one"), b"", packets=PACKETS, **STREAM)], timing=timing)
    started = time.monotonic()
    assert post(replay, said("one")).content == b"".join(data for _, data in PACKETS)
    assert time.monotonic() - started >= least


def test_the_time_of_a_whole_reply_is_kept(start: Start) -> None:
    """From the request to the last byte."""
    packets = ((0.1, b"1"), (0.1, b"2"))
    replay = start([exchange(said("one"), b"", seconds=0.1, packets=packets)], timing=True)
    started = time.monotonic()
    assert post(replay, said("one")).text == "12"
    assert time.monotonic() - started >= 0.25


def test_a_cut_reply_is_cut(start: Start) -> None:
    """As the client saw it."""
    replay = start([exchange(said("one"), b"", packets=PACKETS[:1], end="cut", **STREAM)])
    with pytest.raises(httpx.RemoteProtocolError):
        post(replay, said("one"))


@pytest.mark.parametrize("complete", [complete_sync, complete_async])
@pytest.mark.parametrize("stream", [False, True])
def test_a_recorded_answer_is_replayed_byte_for_byte(
    sim: Simulator, tmp_path: Path, complete: Any, *, stream: bool
) -> None:
    """Sync and async, whole and streamed: the replay of a replay has the same bytes, too."""
    sim.script(
        Script(json=completion("é漢🙂", unknown={"a": 1e-7})),
        Script(events=[chunk("é漢"), b": comment\n\n", chunk("🙂", finish_reason="stop")], split=7),
    )
    if stream:
        complete(sim, "skip")
    path, again = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    with Simulator.record(path, upstream=sim.base_url, api_key=sim.api_key) as recorder:
        first = complete(recorder, "Hello", stream=stream)
    with (
        Simulator.replay(path) as replay,
        Simulator.record(again, upstream=replay.base_url) as recorder,
    ):
        assert complete(replay, "Hello", stream=stream) == first
        replay.clear()
        assert complete(recorder, "Hello", stream=stream) == first
        assert replay.last.raw == sim.last.raw
    assert bodies(path) == bodies(again)


def bodies(path: Path) -> list[bytes]:
    """Return the bodies of the replies of a file."""
    from onerouter_simulator.recordings import read_recording  # noqa: PLC0415 -- used here only

    return [b"".join(data for _, data in one.packets) for one in read_recording(path)]


# --- a request that fits none -------------------------------------------------------------------


def test_the_error_shows_the_nearest_request_and_the_differences(start: Start) -> None:
    """With number, file, and both values of each field."""
    far, near = said("something else", model="c/d", seed=1), said("Hello", temperature=0)
    replay = start([exchange(far, b"1"), exchange(near, b"2")])
    reply = post(replay, said("Helo", top_p=1))
    assert reply.status_code == 422
    assert reply.json()["error"]["type"] == "no_recorded_request"
    message = error_message(reply)
    assert "The nearest is number 2 of " in message
    assert 'answers.jsonl: POST /chat/completions {"model": "a/b", "messages": [' in message
    assert (
        'They differ in messages[0].content: recorded "Hello", now "Helo";'
        " temperature: recorded 0, now nothing; top_p: recorded nothing, now 1."
    ) in message
    assert "ignore=[...]" in message


@pytest.mark.parametrize(
    ("body", "difference"),
    [
        (said("one", messages=[]), 'messages[0]: recorded {"role": "user", "content": "one"}, now'),
        ([1], "They differ in body: recorded {"),
        (None, "They differ in body: recorded {"),
        (said("one", seed=None), "They differ in seed: recorded nothing, now null."),
        (said("one" * 99), 'now "oneoneone'),
        (said("one") | {f"x{n}": n for n in range(8)}, "x4: recorded nothing, now 4; and 3 more."),
    ],
)
def test_differences_of_any_kind_are_shown(start: Start, body: Any, difference: str) -> None:
    """Long values are cut, and so is a long list of them."""
    message = error_message(post(start([exchange(said("one"), b"1")]), body))
    assert difference in message
    assert len(message) < 1500


def test_the_error_has_no_secret_of_the_request(start: Start) -> None:
    """It may be in a log."""
    replay = start([exchange(said("one"), b"1")])
    headers = {"authorization": "Bearer sk-live-0123456789"}
    message = error_message(
        post(replay, said("sk-live-0123456789", api_key="byok-1"), headers=headers)
    )
    assert "sk-live" not in message
    assert "byok" not in message
