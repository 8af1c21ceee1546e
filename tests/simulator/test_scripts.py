"""Scripts: their bodies, packets, content types and checks."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_simulator import Script, Simulator
from onerouter_simulator.scripts import compact_json, encode_event
from tests.simulator.conftest import Post


@pytest.mark.parametrize(
    ("script", "head", "body"),
    [
        (Script(json={"a": "ü"}), (200, "application/json"), '{"a":"ü"}'),
        (Script(json=None), (200, "application/json"), "null"),
        (Script(502, body="Bad gateway"), (502, "text/plain; charset=utf-8"), "Bad gateway"),
        (Script(body=b"<p>", content_type="text/html"), (200, "text/html"), "<p>"),
        (Script(500), (500, "text/plain; charset=utf-8"), ""),
        (
            Script(events=[{"a": 1}, "b", b": comment\n\n", "[DONE]"]),
            (200, "text/event-stream"),
            'data: {"a":1}\n\ndata: b\n\n: comment\n\ndata: [DONE]\n\n',
        ),
        (Script(events=["b"]), (200, "text/event-stream"), "data: b\n\ndata: [DONE]\n\n"),
        (Script(events=["b"], done=False), (200, "text/event-stream"), "data: b\n\n"),
        (Script(events=[]), (200, "text/event-stream"), "data: [DONE]\n\n"),
        (Script(body="abc", split=2), (200, "text/plain; charset=utf-8"), "abc"),
    ],
)
def test_a_script_gives_status_content_type_and_body(
    post: Post, sim: Simulator, script: Script, head: tuple[int, str], body: str
) -> None:
    """The body is JSON, text, bytes or events, each with its content type."""
    sim.script(script)
    reply = post()
    assert (reply.status_code, reply.headers["content-type"]) == head
    assert reply.text == body


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"json": 1, "body": ""}, ValueError, "give only one of json, body"),
        ({"body": b"", "events": []}, ValueError, "give only one of body, events"),
        ({"end": "melt"}, ValueError, "end must be one of close, cut, reset, hang, not 'melt'"),
        ({"split": 0}, ValueError, "split must be at least 1 byte per packet, not 0"),
        ({"status": "429"}, TypeError, "status must be a number, .*, not '429'"),
    ],
)
def test_a_wrong_argument_is_an_error(arguments: Any, error: type[Exception], message: str) -> None:
    """A script is checked when it is made; the message names the argument and the value."""
    with pytest.raises(error, match=message):
        Script(**arguments)


@pytest.mark.parametrize(
    ("script", "packets"),
    [
        (Script(events=["a", b"b"], done=False), [b"data: a\n\n", b"b"]),
        (Script(events=["a"], end="cut"), [b"data: a\n\n"]),
        (Script(body=b"abcde", split=2), [b"ab", b"cd", b"e"]),
        (Script(events=[b"abc", b"de"], done=False, split=2), [b"ab", b"cd", b"e"]),
        (Script(events=[b"abc", 0.5, b"d"], done=False, split=2), [b"ab", b"c", 0.5, b"d"]),
        (Script(events=[0.5, b"ab"], done=False, split=2), [0.5, b"ab"]),
    ],
)
def test_packets_are_events_or_parts_of_the_split_size(
    script: Script, packets: list[bytes | float]
) -> None:
    """`split` cuts across events; a pause ends a packet; `[DONE]` follows only a whole reply."""
    assert list(script.packets()) == packets


@pytest.mark.parametrize(
    ("script", "length"),
    [
        (Script(json={"a": "ü"}), 10),
        (Script(), 0),
        (Script(body="abc", split=1), None),
        (Script(body="abc", end="cut"), None),
        (Script(events=["a"]), None),
    ],
)
def test_only_an_unsplit_complete_body_has_a_length(script: Script, length: int | None) -> None:
    """The length is in bytes, not in characters."""
    assert script.length == length


def test_events_are_encoded_as_server_sent_events() -> None:
    """A mapping is JSON data, a string is the data; bytes and pauses stay unchanged."""
    assert encode_event({"a": [1, None]}) == b'data: {"a":[1,null]}\n\n'
    assert encode_event("ü") == "data: ü\n\n".encode()
    assert encode_event(b"\xff") == b"\xff"
    assert encode_event(1) == 1


def test_compact_json_has_no_spaces_and_no_escapes() -> None:
    """The gateway writes JSON like this."""
    assert compact_json({"a": ["ü", 1]}) == '{"a":["ü",1]}'
