"""aiohttp sessions that lose no byte of an answer, and that keep no cookie.

aiohttp raises the error of a connection before it hands out what it has received until then, so a
whole streamed answer would be lost when its connection ends uncleanly. This module knows aiohttp
3.14 and the SDK's transport on it; it imports aiohttp only when a session is created.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from http.cookies import SimpleCookie
from typing import Any

from onerouter_core.http_internals import (
    close_aiohttp_leftovers,
    find_aiohttp_body,
    replace_protocol,
    track_connections,
)

_END_OF_HEAD = re.compile(rb"\A\r?\n|\r?\n\r?\n")
"""End of a response's head; a line end may be split between two packets."""

_FIRST_FINAL_STATUS = 200


def adapt_transport(transport: Any) -> None:
    """Have a transport of the SDK create sessions that are adapted to it."""
    transport.get_client = partial(_new_session, transport.get_client)


def _new_session(create: Callable[[], Any]) -> Any:
    session = create()
    session.cookie_jar.filter_cookies = lambda _: SimpleCookie()  # no cookie is sent
    replace_protocol(session.connector, _protocol_class)
    close_aiohttp_leftovers(session.connector)
    track_connections(session.connector)
    return session


@cache
def _protocol_class() -> type:
    # Not at the top: aiohttp is optional, and its import takes 0.2 s.
    from aiohttp import client_proto  # noqa: PLC0415

    class Protocol(client_proto.ResponseHandler):
        """HTTP connection that hands out a head, and each part of a body, before a bad byte."""

        is_head = True
        _body: Any = None

        def set_response_params(self, **options: Any) -> None:
            """Expect a head; aiohttp calls this before each request."""
            self.is_head = True
            super().set_response_params(**options)

        def feed_data(self, data: Any, size: int = 0) -> None:
            """Take a head with its body to come; aiohttp calls this when a head was parsed."""
            message, self._body = data
            self.is_head = message.code < _FIRST_FINAL_STATUS
            super().feed_data(data, size)

        def data_received(self, data: bytes) -> None:
            """Parse head and body apart: of data with an error aiohttp drops the head, too."""
            for part in _split_heads(self, data) if self.is_head else (data,):
                super().data_received(part)

        def close(self) -> None:
            """Close at once, too, where the server does not take the rest of a request."""
            _abort_unsent(self.transport)
            super().close()

        def set_exception(self, exc: BaseException, *args: Any, **kwargs: Any) -> None:
            """Tell the reader of the body of bad framing; aiohttp would leave it waiting."""
            super().set_exception(exc, *args, **kwargs)
            _end(self._body, exc)

    return Protocol


def _split_heads(connection: Any, data: bytes) -> Iterator[bytes]:
    """Yield data in parts: each head, as long as the connection expects one, and the rest."""
    while connection.is_head and (end := _END_OF_HEAD.search(data)):
        yield data[: end.end()]
        data = data[end.end() :]
        if not data:
            return
    yield data


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
