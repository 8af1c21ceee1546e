"""Exceptions of code that is neither ours nor an HTTP library's: raised unchanged.

Hooks, authentication, transports and mocks of the user run inside an HTTP exchange. Their
exceptions are the user's: an error of ours would blame the connection, and a retry would run their
code again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from onerouter_core.tracebacks import iter_chain

E = TypeVar("E", bound=BaseException)

_HTTP_LIBRARIES = frozenset(
    {
        *(
            "openai",
            "httpx",
            "httpx2",
            "httpcore",
            "httpcore2",
            "httpx_aiohttp",
            "aiohttp",
            "anyio",
        ),
        *("h11", "h2", "hpack", "hyperframe", "socksio", "aiohappyeyeballs", "yarl", "multidict"),
        *(
            "idna",
            "certifi",
            "truststore",
            "brotli",
            "brotlicffi",
            "zstandard",
            "uvloop",
            "sniffio",
        ),
    }
)
_OURS = "onerouter_core"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL (RFC 6454, section 4).

    Raises:
        ValueError: the URL has no valid host or port.

    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)


def unwrap(error: Exception) -> Exception:
    """Return the exception that the SDK made a connection error of (openai 2: of any exception)."""
    cause = error.__cause__
    return cause if _root(type(error)) == "openai" and isinstance(cause, Exception) else error


def is_foreign(error: Exception, url: str) -> bool:
    """Tell whether an exception comes from the user's code, and not from the request to a URL.

    An exception of an HTTP library is foreign if it belongs to another server's request, such as
    the one for an access token. Any other is foreign if it was raised in foreign code: if the
    innermost frame outside of the standard library is neither ours nor an HTTP library's.
    """
    if _root(type(error)) in _HTTP_LIBRARIES:
        request_url = _request_url(error)
        return request_url is not None and origin_of(request_url) != origin_of(url)
    modules = [_root_of_frame(trace) for trace in _traces(error)]
    modules = [name for name in modules if name not in sys.stdlib_module_names]
    return bool(modules) and not _is_known(modules[-1])


def is_foreign_class(error: BaseException) -> bool:
    """Tell whether neither Python nor an HTTP library defines an exception's class."""
    root = _root(type(error))
    return root not in _HTTP_LIBRARIES and root not in sys.stdlib_module_names


def without_library_frames(error: E) -> E:
    """Remove the frames around the user's code: locals of HTTP libraries hold the API key.

    A traceback that ends in our own code, a fault of ours, is left as it is.
    """
    for found in iter_chain(error):
        kept, first = None, None  # the user's frames so far; those after the last library's frame
        innermost = ""
        for trace in _traces(found):
            if _is_known(root := _root_of_frame(trace)):
                first = None
            else:
                first = first or trace
                kept = first if root not in sys.stdlib_module_names else kept
            innermost = innermost if root in sys.stdlib_module_names else root
        if innermost != _OURS:
            found.__traceback__ = kept
    return error


def _is_known(root: str) -> bool:
    """Tell whether a package is ours or an HTTP library."""
    return root in _HTTP_LIBRARIES or root == _OURS


def _root(kind: type) -> str:
    """Return the name of the top package that defines a class."""
    return kind.__module__.partition(".")[0]


def _root_of_frame(trace: TracebackType) -> str:
    return str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


def _traces(error: BaseException) -> Iterator[TracebackType]:
    """Yield the traceback of an exception, from the outermost frame to the innermost."""
    trace = error.__traceback__
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _request_url(error: Any) -> str | None:
    """Return the URL of the request that an HTTP library's exception belongs to, if it says it."""
    try:  # httpx raises RuntimeError if there is none
        return str(error.request.url)
    except (AttributeError, RuntimeError):
        return None
