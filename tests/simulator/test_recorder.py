"""The recorder: what passes through it, and what is in the file, over a real socket."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from onerouter_simulator import Script, Simulator, chunk, completion, failure
from onerouter_simulator.recordings import Exchange, read_recording
from tests.simulator.conftest import authorization, complete_async, complete_sync

BODY = {"model": "a/b", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file."""
    return tmp_path / "answers.jsonl"


@pytest.fixture
def recorder(sim: Simulator, path: Path) -> Iterator[Simulator]:
    """Run a recorder whose upstream is the simulator."""
    with Simulator.record(path, upstream=sim.base_url, api_key=sim.api_key) as running:
        yield running


def post(recorder: Simulator, **body: Any) -> httpx.Response:
    """Send a chat completion."""
    url = f"{recorder.base_url}/chat/completions"
    return httpx.post(url, headers=authorization(recorder), json=BODY | body)


def recorded_body(exchange: Exchange) -> bytes:
    """Return the body of a recorded reply."""
    return b"".join(data for _, data in exchange.packets)


@pytest.mark.parametrize("complete", [complete_sync, complete_async])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_passes_through_and_is_recorded(
    recorder: Simulator, sim: Simulator, path: Path, complete: Any, *, stream: bool
) -> None:
    """Sync and async, whole and streamed; the upstream gets the request byte by byte."""
    reply = complete(recorder, "Hi", stream=stream)
    assert "You said: Hi" in json.dumps(reply)
    assert sim.last.raw == recorder.last.raw
    recorder.stop()  # a client has read [DONE] before the end of the body is recorded
    (exchange,) = read_recording(path)
    assert (exchange.request.path, exchange.request.body) == ("/chat/completions", sim.last.body)
    assert (exchange.status, exchange.end) == (200, "close")
    assert b"You said: Hi" in recorded_body(exchange)


def test_status_headers_and_bytes_pass_through(
    recorder: Simulator, sim: Simulator, path: Path
) -> None:
    """An error is recorded, too, with the headers that clients read."""
    sim.script(
        Script(429, body=b'{ "error":\n 1}', headers={"retry-after": "3", "set-cookie": "a=b"})
    )
    reply = post(recorder)
    assert (reply.status_code, reply.content) == (429, b'{ "error":\n 1}')
    assert (reply.headers["retry-after"], reply.headers["set-cookie"]) == ("3", "a=b")
    (exchange,) = read_recording(path)
    assert (exchange.status, exchange.headers["retry-after"]) == (429, "3")
    assert "set-cookie" not in exchange.headers
    assert recorded_body(exchange) == reply.content


def test_packets_of_a_stream_pass_through_at_once_and_have_their_times(
    recorder: Simulator, sim: Simulator, path: Path
) -> None:
    """The first is read before the upstream sends the second."""
    sim.script(Script(events=[chunk("a"), 0.3, chunk("b", finish_reason="stop")]))
    url, headers = f"{recorder.base_url}/chat/completions", authorization(recorder)
    with httpx.stream("POST", url, headers=headers, json=BODY | {"stream": True}) as reply:
        packets = list(reply.iter_raw())
    (exchange,) = read_recording(path)
    assert len(exchange.packets) >= 2
    assert recorded_body(exchange) == b"".join(packets)
    assert sum(pause for pause, _ in exchange.packets[1:]) >= 0.25


def test_a_cut_stream_is_cut_and_recorded_as_such(
    recorder: Simulator, sim: Simulator, path: Path
) -> None:
    """The client sees what it would see without the recorder."""
    sim.script(Script(events=[chunk("a")], end="cut"))
    with pytest.raises(httpx.RemoteProtocolError):
        post(recorder, stream=True)
    assert [exchange.end for exchange in read_recording(path)] == ["cut"]


@pytest.mark.parametrize(("event", "end"), [(chunk("a"), "cut"), ("[DONE]", "close")])
def test_a_client_that_leaves_ends_the_request_to_the_upstream(
    recorder: Simulator, sim: Simulator, path: Path, event: Any, end: str
) -> None:
    """What it has read is recorded: as a whole answer if it has read [DONE]."""
    sim.script(Script(events=[event], done=False, end="hang"))
    url, headers = f"{recorder.base_url}/chat/completions", authorization(recorder)
    with httpx.stream("POST", url, headers=headers, json=BODY) as reply:
        assert next(reply.iter_raw()).startswith(b"data: ")
    assert recorder.last.wait_hung_up(5)
    assert sim.last.wait_hung_up(5)
    recorder.stop()
    assert [exchange.end for exchange in read_recording(path)] == [end]


def test_the_file_has_no_key_no_cookie_and_no_account(
    recorder: Simulator, sim: Simulator, path: Path
) -> None:
    """Wherever they stand: headers, bodies, and packets of a stream."""
    key = "sk-live-0123456789"
    headers = {"authorization": f"Bearer {key}", "cookie": "session=c00kie1234", "x-api-key": key}
    sim.script(
        failure(401, f"Wrong key {key} c00kie1234", user_id="user_77", key=key),
        Script(events=[key[:9].encode(), key[9:].encode()], done=False),
        Script(json=completion("Hi"), headers={"x-request-id": key, "x-account": "acme"}),
    )
    url = f"{recorder.base_url}/chat/completions"
    sent = BODY | {"user": key, "api_key": "byok-12345"}
    replies = [httpx.post(url, headers=headers, json=sent) for _ in range(3)]
    assert key in replies[0].text
    assert sim.last.headers["authorization"] == f"Bearer {key}"
    assert httpx.get(f"{recorder.base_url}/balance", headers=authorization(recorder)).is_success
    text = path.read_text("utf-8")
    assert text.count("\n") == 3
    found = re.findall(rf"{key}|c00kie1234|user_77|byok-12345|acme|authorization|balance", text)
    assert found == []


def test_requests_at_the_same_time_are_whole_lines(recorder: Simulator, path: Path) -> None:
    """Each thread gets its own answer."""
    prompts = [f"Number {n}" for n in range(40)]
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda prompt: complete_sync(recorder, prompt), prompts))
    texts = [reply["choices"][0]["message"]["content"] for reply in replies]
    assert texts == [f"You said: {prompt}" for prompt in prompts]
    said = [exchange.request.body["messages"][0]["content"] for exchange in read_recording(path)]
    assert sorted(said) == sorted(prompts)


def test_an_upstream_that_cannot_be_reached_is_a_502(path: Path) -> None:
    """It is not recorded."""
    with Simulator.record(path, upstream="http://127.0.0.1:1/v1", api_key="sk-x") as recorder:
        reply = post(recorder)
    assert reply.status_code == 502
    assert "The upstream cannot be reached: [Errno 111]" in reply.json()["error"]["message"]
    assert read_recording(path) == []


@pytest.mark.parametrize("name", ["ONEROUTER_API_KEY", "INFRON_API_KEY"])
def test_address_and_key_are_those_of_the_environment(
    path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """So clients have the same code for a simulator, a recorder and a replay."""
    monkeypatch.setenv(name, sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    with Simulator.record(path) as recorder:
        assert recorder.api_key == sim.api_key
        assert post(recorder).is_success


def test_other_paths_and_query_strings_pass_through(recorder: Simulator, sim: Simulator) -> None:
    """The upstream says what it does not have; a path outside /v1 is unknown here."""
    assert httpx.get(f"{recorder.base_url}/models?a=b").json()["data"]
    assert (sim.last.path, sim.last.query) == ("/v1/models", "a=b")
    assert httpx.get(f"{recorder.base_url}/nowhere").status_code == 404
    assert sim.last.path == "/v1/nowhere"
    outside = recorder.base_url.removesuffix("/v1") + "/other"
    assert httpx.get(outside).status_code == 404
    assert sim.last.path == "/v1/nowhere"


def test_a_recording_is_continued(sim: Simulator, path: Path) -> None:
    """A second run appends to the file."""
    for _ in range(2):
        with Simulator.record(path, upstream=sim.base_url, api_key=sim.api_key) as recorder:
            assert post(recorder).is_success
    assert len(read_recording(path)) == 2


def test_a_file_that_can_no_longer_be_written_ends_the_answer(
    recorder: Simulator, path: Path
) -> None:
    """No answer is taken for recorded that is not."""
    path.unlink()
    path.mkdir()
    with pytest.warns(UserWarning, match="was not written"), pytest.raises(httpx.TransportError):
        post(recorder, stream=True)


def test_a_queued_script_comes_before_the_upstream(
    recorder: Simulator, sim: Simulator, path: Path
) -> None:
    """It is not recorded: the gateway has not said it."""
    recorder.script(failure(503, "Down"))
    assert [post(recorder).status_code for _ in range(2)] == [503, 200]
    assert len(sim.requests) == len(read_recording(path)) == 1


def test_stop_ends_open_exchanges(sim: Simulator, recorder: Simulator) -> None:
    """Also one that waits for the upstream; no thread is left."""
    sim.script(Script(delay=30), Script(events=[chunk("a")], end="hang"))
    url, headers = f"{recorder.base_url}/chat/completions", authorization(recorder)
    with ThreadPoolExecutor(1) as pool, httpx.Client(headers=headers) as client:
        waiting = pool.submit(client.post, url, json=BODY, timeout=10)
        while not sim.requests:
            pass
        with client.stream("POST", url, json=BODY) as reply:
            next(reply.iter_raw())
            recorder.stop()
        assert isinstance(waiting.exception(5), httpx.TransportError)
    assert all(request.wait_hung_up(5) for request in sim.requests)
