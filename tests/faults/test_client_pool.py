"""Connections that are kept: what has become of them when they are used again; and redirects."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from tests.core.payloads import chunk, completion
from tests.faults.adapters import KEY, WAYS, User
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES
from tests.faults.http_scripts import HTML, head, http, stream
from tests.faults.server import End, Line, Play, Server

each_way = pytest.mark.parametrize("way", WAYS, ids=str)
each_class = pytest.mark.parametrize("name", CLASSES)
SOON = 0.05


def answer(user: User, text: str = "Hi") -> Play:
    """Return the play of an answer to a user."""
    if user.mode == "whole":
        return http(completion(text))
    return stream(chunk(text, "stop"))


def error_of(got: Outcome) -> str:
    """Return the name of the error."""
    return type(got.error).__name__


@each_class
@each_way
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET], ids=["closed", "reset"])
def test_a_kept_connection_that_was_given_up(server: Server, user: User, end: End) -> None:
    """The server ended it while nobody used it: the next call goes out once, on another."""
    line = server.line((*answer(user), SOON, end), answer(user, "again"))
    assert user.calls(line, max_retries=0).text == "Hi"
    time.sleep(3 * SOON)
    got = user.calls(line, max_retries=0)
    assert (got.text, got.error) == ("again", None)
    assert len(line.requests) == 2


@each_class
@each_way
def test_no_cookie_is_kept(server: Server, user: User) -> None:
    """A connection serves whoever calls: what one key's account was given is not another's."""
    cookie = {"set_cookie": "account=1; Path=/"}
    given = (
        http(completion("Hi"), **cookie)
        if user.mode == "whole"
        else stream(chunk("Hi", "stop"), **cookie)
    )
    line = server.line(given, given, host="localhost")  # no library keeps one for an address
    for key in ("key-a", "key-b"):
        assert user.calls(line, api_key=key, max_retries=0).text == "Hi"
    assert [request.headers.get("cookie") for request in line.requests] == [None, None]


@each_class
@each_way
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET], ids=["closed", "reset"])
@pytest.mark.parametrize("retries", [0, 2])
def test_a_kept_connection_that_ends_when_it_is_used(
    server: Server, user: User, end: End, retries: int
) -> None:
    """The request may have been read: it is sent again only where retries are allowed."""
    line = server.line(answer(user), (end,), answer(user, "again"))
    assert user.calls(line, max_retries=0).text == "Hi"
    got = user.calls(line, max_retries=retries)
    if retries:
        assert (got.text, got.error, len(line.requests)) == ("again", None, 3)
    else:
        assert (error_of(got), len(line.requests)) == ("APIConnectionError", 2)


@each_class
@each_way
def test_nobody_listens(user: User) -> None:
    """A refused connection is a connection error, tried as often as is allowed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        nowhere = Line(f"http://127.0.0.1:{free.getsockname()[1]}/v1", ())
    for retries in (0, 2):
        got: Any = user.calls(nowhere, max_retries=retries)
        assert (error_of(got), got.error.attempts) == ("APIConnectionError", retries + 1)
        assert got.error.transient


# --- redirects ---


@each_class
@each_way
@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_to_another_host(server: Server, user: User, status: int) -> None:
    """Its answer is taken, and the key stays behind."""
    other = server.line(answer(user), host="localhost")
    target = f"{other.base_url}/chat/completions"
    line = server.line((head(status, None, location=target, content_length=0),))
    got = user.calls(line, max_retries=0)
    assert (got.text, got.error) == ("Hi", None)
    assert line.last.headers["authorization"] == f"Bearer {KEY}"
    assert other.last.method == "POST"
    assert other.last.json == line.last.json
    assert KEY not in str(other.last)


@each_class
@each_way
@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_to_a_page(server: Server, user: User, status: int) -> None:
    """A page is no answer: some redirects drop the question."""
    page = server.line(http(b"<title>Log in</title>", kind=HTML), host="localhost")
    line = server.line((head(status, None, location=page.base_url, content_length=0),))
    got = user.calls(line, max_retries=2)
    assert (error_of(got), len(line.requests)) == ("MalformedReplyError", 1)
    assert "Log in" in str(got.error)
    assert KEY not in str(page.last)


@each_class
@each_way
def test_a_redirect_to_nowhere(server: Server, user: User) -> None:
    """A redirect that names no place is an error with its status, said once."""
    line = server.line((head(302, None, content_length=0),))
    got: Any = user.calls(line, max_retries=2)
    assert (error_of(got), got.error.status) == ("MalformedReplyError", 302)
    assert len(line.requests) == 1


@each_class
@each_way
def test_redirects_without_end(server: Server, user: User) -> None:
    """A server that sends one round in circles is an error, not a hang."""
    line = server.line((head(307, None, location="/", content_length=0),))
    line = server.line((head(307, None, location=_own(line), content_length=0),))
    got = user.calls(line, max_retries=0)
    assert error_of(got) == "APIConnectionError"
    assert "redirect" in str(got.error)


def _own(line: Line) -> str:
    """Return a place on the line that is opened next."""
    name, number = line.base_url.split("/")[3].split("-")
    return f"/{name}-{int(number) + 1}/v1/chat/completions"
