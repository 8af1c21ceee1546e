"""Recordings: the file, its errors, and what must not be in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onerouter_core.connection import secret_values
from onerouter_simulator import RecordedRequest, RecordingError, Simulator
from onerouter_simulator.recordings import (
    Exchange,
    RequestContent,
    append,
    check_writable,
    hide_accounts,
    hide_in_packets,
    kept_headers,
    read_recording,
    secrets_in,
)

REQUEST = RequestContent("POST", "/chat/completions", {"model": "a/b", "é漢\u2028🙂": [1.5, None]})
EXCHANGE = Exchange(
    REQUEST,
    200,
    {"content-type": "text/event-stream"},
    0.25,
    ((0.5, b"data: \xe6\xbc"), (0.0, b"\xa2\n\n"), (0.1, b"\xff\x00")),
    "cut",
)


def content(raw: bytes, **headers: str) -> RequestContent:
    """Return what a request says."""
    return RequestContent.of(RecordedRequest("POST", "/v1/chat/completions", headers, raw))


# --- the file -----------------------------------------------------------------------------------


def test_an_exchange_is_a_line_that_can_be_read_again(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, line separators and packets within a character included."""
    path = tmp_path / "answers.jsonl"
    for _ in range(2):
        append(path, EXCHANGE)
    assert read_recording(path) == [EXCHANGE, EXCHANGE]
    lines = path.read_bytes().split(b"\n")
    assert len(lines) == 3
    assert json.loads(lines[0])["recording"] == 1
    assert "é漢" in lines[0].decode()


@given(st.lists(st.binary()), st.text())
def test_bytes_and_texts_survive(packets: list[bytes], text: str) -> None:
    """Whatever a server sends."""
    exchange = Exchange(
        RequestContent("GET", "/", text), 200, {}, 0, tuple((0.0, data) for data in packets)
    )
    assert Exchange.from_json(json.loads(exchange.to_line())) == exchange


def row(**changes: Any) -> str:
    """Return a line of a recording with other values."""
    return json.dumps(json.loads(EXCHANGE.to_line()) | changes)


def changed_reply(**changes: Any) -> str:
    """Return a line of a recording whose reply has other values."""
    return row(reply=json.loads(EXCHANGE.to_line())["reply"] | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "line 1: this is not a recording. Give a file that Simulator.record"),
        ("{}", "line 1: this is not a recording"),
        ("[]", "line 1: this is not a recording"),
        ("7", "line 1: this is not a recording"),
        ("\n" + row() + "\n" + row()[:-9], "line 3: this is not a recording"),
        (row(recording="x"), "line 1: this is not a recording"),
        (row(request=None), "line 1: this is not a recording"),
        (row(reply={}), "line 1: this is not a recording"),
        (changed_reply(status=99), "line 1: this is not a recording"),
        (changed_reply(seconds=-1), "line 1: this is not a recording"),
        (changed_reply(chunks=[[float("nan"), "a"]]), "line 1: this is not a recording"),
        (changed_reply(chunks=[[0, 5]]), "line 1: this is not a recording"),
        ("\udcff", "line 1: this is not a recording"),
        ('{"type": "session", "version": 3}', "line 1: this is not a recording"),
        (row(recording=2), "line 1: this recording has version 2, .* reads version 1: update"),
        (json.dumps({"recording": 9, "new": 1}), "line 1: this recording has version 9"),
    ],
)
@pytest.mark.parametrize("use", [Simulator.replay, Simulator.record])
def test_a_file_that_is_no_recording_is_an_error(
    tmp_path: Path, text: str, message: str, use: Any
) -> None:
    """For a replay, and before anything is appended; the message has path, line and remedy."""
    path = tmp_path / "answers.jsonl"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    with pytest.raises(RecordingError, match=message) as caught:
        use(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_a_missing_or_empty_recording_is_an_error(tmp_path: Path) -> None:
    """The message says how one is made."""
    with pytest.raises(
        RecordingError, match=r"No such file or directory\. Simulator\.record makes"
    ):
        Simulator.replay(tmp_path / "answers.jsonl")
    (tmp_path / "answers.jsonl").touch()
    with pytest.raises(RecordingError, match=r"is empty: Simulator\.record makes one"):
        Simulator.replay(tmp_path / "answers.jsonl")
    with pytest.raises(RecordingError, match="cannot be read"):
        Simulator.replay(tmp_path)


@pytest.mark.parametrize("path", ["missing/answers.jsonl", "."])
def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path, path: str) -> None:
    """Before any request is sent."""
    with pytest.raises(RecordingError, match=r"cannot be written: .* a folder that exists and"):
        Simulator.record(tmp_path / path)
    with pytest.raises(RecordingError, match="cannot be written"):
        check_writable(tmp_path / path)


# --- secrets ------------------------------------------------------------------------------------

SECRET_HEADERS = {
    "authorization": "Bearer sk-or-12345678",
    "x-api-key": "k-12345678",
    "api-key": "k-12345678",
    "cookie": "session=abcdef123456; theme=darkest",
    "x-session-id": "s-12345678",
    "x-goog-signature": "g-12345678",
    "proxy-authorization": "Basic dXNlcjpwYXNz",
    "x-custom-jwt": "eyJhbGciOi",
    "x-password": "hunter22",
}


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_secret_headers_are_those_of_the_core(name: str) -> None:
    """The same values, and the same parts of values, are secret on both sides of the wire."""
    headers = {name: SECRET_HEADERS[name]}
    assert secrets_in(headers) == {text for text in secret_values(headers) if len(text) >= 6}


@pytest.mark.parametrize("name", ["x-author", "content-type", "user-agent", "x-title"])
def test_other_headers_are_not_secret(name: str) -> None:
    """Their values may be words of an answer."""
    assert secrets_in({name: "something"}) == set()


def test_a_secret_in_a_request_is_hidden() -> None:
    """A field with such a name, and a secret of the headers in any text."""
    raw = b'{"api_key": "k", "user": "sk-12345678", "a": [{"password": "p", "max_tokens": 5}]}'
    said = content(raw, authorization="Bearer sk-12345678")
    expected = {"api_key": "***", "user": "***", "a": [{"password": "***", "max_tokens": 5}]}
    assert said == RequestContent("POST", "/chat/completions", expected)


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("api_key", True),
        ("apiKey", True),
        ("X-Api-Key", True),
        ("Authorization", True),
        ("client_secret", True),
        ("access_token", True),
        ("max_tokens", False),
        ("secretary", False),
        ("cookie_policy", False),
        ("token", False),
    ],
)
def test_names_of_secret_fields(name: str, *, is_secret: bool) -> None:
    """At any depth, as in the headers of a remote tool."""
    said = content(json.dumps({"tools": [{"headers": {name: "abc"}}]}).encode())
    assert said.body["tools"][0]["headers"][name] == ("***" if is_secret else "abc")


def test_the_schema_of_a_secret_is_no_secret() -> None:
    """A tool may have an argument of such a name."""
    schema = {"properties": {"password": {"type": "string"}}}
    assert content(json.dumps(schema).encode()).body == schema


@pytest.mark.parametrize(
    ("raw", "body"), [(b"", None), (b"{", "{"), (b"\xff", "\udcff"), (b"7", 7), (b'"a"', "a")]
)
def test_a_body_is_its_json_else_its_text(raw: bytes, body: Any) -> None:
    """An empty body is null."""
    assert content(raw).body == body


@pytest.mark.parametrize(
    "name",
    ["account_name", "account_id", "user_id", "email", "organization", "org_id", "team_name"],
)
def test_names_of_accounts_are_hidden_in_replies(name: str) -> None:
    """With any spaces and escapes; a name inside a text of the answer is kept."""
    text = f'{{"{name}" : "Jo \\"x\\" y", "content": "\\"{name}\\": \\"Jo\\""}}'
    expected = f'{{"{name}" : "***", "content": "\\"{name}\\": \\"Jo\\""}}'
    assert hide_accounts(text) == expected


def test_a_secret_in_two_packets_is_hidden() -> None:
    """Then the packets are one; else they stay as they are."""
    packets = [(0.1, b"a sk-123"), (0.25, b"45678 b")]
    assert hidden(packets, "sk-12345678") == ((0.35, b"a *** b"),)
    assert hidden(packets, "sk-00000000") == tuple(packets)
    assert hidden([(0.1, b"sk-12345678"), (0.2, b"\xff")], "sk-12345678") == (
        (0.1, b"***"),
        (0.2, b"\xff"),
    )


def hidden(packets: list[Any], secret: str, *, is_answer: bool = True) -> Any:
    """Return the packets without a secret."""
    return hide_in_packets(packets, {secret}, is_answer=is_answer)


@pytest.mark.parametrize(
    ("body", "is_answer", "expected"),
    [
        (b'{"arguments": {"user_id": "u"}}', True, b'{"arguments": {"user_id": "u"}}'),
        (b'{"error": {}, "user_id": "u"}', True, b'{"error": {}, "user_id": "***"}'),
        (b'{"user_id": "u"}', False, b'{"user_id": "***"}'),
    ],
)
def test_an_argument_of_a_tool_names_no_account(
    body: bytes, expected: bytes, *, is_answer: bool
) -> None:
    """Some servers send arguments as an object: a replay must give the tool what the model said."""
    assert hidden([(0.0, body)], "sk-0000", is_answer=is_answer) == ((0.0, expected),)


def test_only_headers_that_clients_read_are_kept() -> None:
    """Names are in lower case; an echoed secret is hidden."""
    kept = {
        "content-type": "application/json",
        "retry-after": "5",
        "retry-after-ms": "5",
        "x-ratelimit-remaining": "7",
        "x-request-id": "***",
        "x-infron-request-id": "r",
    }
    dropped = {"set-cookie": "a=b", "openai-organization": "me", "cf-ray": "1", "date": "now"}
    sent = {**kept, **dropped, "x-request-id": "sk-12345678"}
    headers = [(name.title(), value) for name, value in sent.items()]
    assert kept_headers(headers, {"sk-12345678"}) == kept
