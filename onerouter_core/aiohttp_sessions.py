"""aiohttp sessions that lose no byte of an answer, and that keep no cookie.

aiohttp raises the error of a connection before it hands out what it has received until then, so a
whole streamed answer would be lost when its connection ends uncleanly. This module knows aiohttp
3.14 and the SDK's transport on it; it imports aiohttp only when a session is created.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from http.cookies import SimpleCookie
from typing import Any

from onerouter_core.http_internals import (
    close_aiohttp_leftovers,
    close_when_collected,
    find_aiohttp_body,
    replace_protocol,
    track_connections,
)

_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
"""End of a response's head."""

_LINE_END = re.compile(rb"\r?\n")
"""The rest of it, if it is split between two packets."""

_INTERIM = re.compile(rb"\r?\n|HTTP/1\.\d 1(?!01)\d\d\b[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n")
"""An interim response (RFC 9110, section 15.2; 101 is none), or an empty line before a head."""

_FIRST_FINAL_STATUS = 200

_END_OF_CHUNKS = re.compile(rb"[^\r\n]\r\n\r\n")
"""Last bytes of a body in chunks (RFC 9112, section 7.1)."""

_LAST = 5


def adapt_transport(transport: Any) -> None:
    """Have a transport of the SDK create sessions that are adapted to it."""
    transport.get_client = partial(_new_session, transport.get_client)


def _new_session(create: Callable[[], Any]) -> Any:
    session = create()
    session.cookie_jar.filter_cookies = lambda _: SimpleCookie()  # no cookie is sent
    replace_protocol(session.connector, _protocol_class)
    close_aiohttp_leftovers(session.connector)
    track_connections(session.connector)
    close_when_collected(session.connector)
    return session


_ANY: Any = object


class _Connection(_ANY):  # type: ignore[misc]
    """HTTP connection that hands out a head, and each part of a body, before a bad byte."""

    is_head = True
    _has_begun = False  # the parser has a part of the head
    _message: Any = None
    _body: Any = None
    _size = 0  # bytes behind the head
    _last = b""  # the last of them

    def set_response_params(self, **options: Any) -> None:
        """Expect a head; aiohttp calls this before each request."""
        self.is_head, self._has_begun, self._size = True, False, 0
        super().set_response_params(**options)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a head with its body to come; aiohttp calls this when a head was parsed."""
        self._message, self._body = data
        self.is_head, self._has_begun = self._message.code < _FIRST_FINAL_STATUS, False
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Parse head and body apart: of data with an error aiohttp drops the head, too."""
        if self.is_head and not (data := self._feed_head(data)):
            return
        self._size += len(data)
        self._last = (data if len(data) > _LAST else self._last + data)[-_LAST:]
        super().data_received(data)

    # Each interim response costs aiohttp time and memory, and a server may send any number.
    def _feed_head(self, data: bytes) -> bytes:
        """Parse a head without interim responses before it; return what follows it."""
        end = 0
        while self.is_head and self.exception() is None:
            start = end if self._has_begun else _skip_interim(data, end)
            if start == len(data):
                return b""
            end = _end_of_head(data, start)
            self._has_begun = True
            super().data_received(data[start:end])
        return data[end:]

    @property
    def has_leftover(self) -> bool:
        """Whether more than the response was received; aiohttp's parser skips line ends."""
        if self._message is None:
            return False
        if self._message.chunked:
            return not _END_OF_CHUNKS.fullmatch(self._last)
        return bool(self._size != int(self._message.headers.get("content-length", 0)))

    def close(self) -> None:
        """Close at once, too, where the server does not take the rest of a request."""
        _abort_unsent(self.transport)
        super().close()

    def set_exception(self, exc: BaseException, *args: Any, **kwargs: Any) -> None:
        """Tell the reader of the body of bad framing; aiohttp would leave it waiting."""
        super().set_exception(exc, *args, **kwargs)
        _end(self._body, exc)


@cache
def _protocol_class() -> type:
    # Not at the top: aiohttp is optional, and its import takes 0.2 s.
    from aiohttp import client_proto  # noqa: PLC0415

    return type("Protocol", (_Connection, client_proto.ResponseHandler), {})


def _skip_interim(data: bytes, start: int) -> int:
    """Return where the interim responses end that are whole, and empty lines among them."""
    while skipped := _INTERIM.match(data, start):
        start = skipped.end()
    return start


def _end_of_head(data: bytes, start: int) -> int:
    end = _LINE_END.match(data, start) or _EMPTY_LINE.search(data, start)
    return end.end() if end else len(data)


def _abort_unsent(transport: Any) -> None:
    if transport is not None and transport.get_write_buffer_size():
        transport.abort()


def _end(body: Any, error: BaseException) -> None:
    from aiohttp import ClientPayloadError, http_exceptions  # noqa: PLC0415 -- as above

    is_framing = isinstance(error, http_exceptions.HttpProcessingError)
    if is_framing and body is not None and not body.is_eof():
        body.set_exception(ClientPayloadError(f"invalid HTTP: {error}"))


def take_unread(response: Any) -> bytes:
    """Return what a failed connection had received, and remove it; b"" of any other library.

    Args:
        response: the HTTP library's response, whose body raised an error.

    """
    body = find_aiohttp_body(response)
    if body is None or body.exception() is None:
        return b""
    body.set_exception(None)  # a read raises it first of all
    unread: bytes = body.read_nowait()
    return unread
