"""Redirects: followed within the gateway's own address, an error anywhere else.

The HTTP libraries would send default headers, prompt and body to any host that a redirect names,
and keep back the Authorization header only.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin

from onerouter_core.errors import APIConnectionError
from onerouter_core.foreign_errors import origin_of

MAX_REDIRECTS = 10
"""Most redirects that one request follows."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110, section 15.4
_KEEP_THE_METHOD = frozenset({307, 308})


def is_redirect(status: int, headers: Mapping[str, str]) -> bool:
    """Tell whether a response redirects; names of headers are in lower case."""
    return status in _REDIRECTS and bool(headers.get("location"))


def redirect_target(url: str, location: str, *, status: int, has_body: bool) -> str:
    """Return the URL that a response redirects to.

    Args:
        url: URL of the request.
        location: the response's Location header, which may be relative.
        status: the response's status.
        has_body: whether the request is a POST, which other redirects than 307 and 308 turn into a
            GET without a body.

    Raises:
        APIConnectionError: the redirect leads to another host, port or scheme, or loses the body.

    """
    try:
        target = urljoin(url, location)
        scheme, host, port = origin_of(target)
    except ValueError:
        raise _error("an invalid address", status) from None
    if (scheme, host, port) != origin_of(url):
        raise _error(f"{scheme}://{host}:{port}, where nothing is sent", status)
    if has_body and status not in _KEEP_THE_METHOD:
        raise _error("an address that takes no POST", status)
    return target


def _error(words: str, status: int) -> APIConnectionError:
    message = f"The gateway redirects the request to {words}."
    return APIConnectionError(message, status=status, transient=False)
