"""Exceptions of HTTP libraries as errors of this package; those of the user's code as they are.

No error refers to an exception or a frame of an HTTP library, both of which hold the API key. This
module knows the classes of HTTP libraries by their names.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    MalformedReplyError,
    OneRouterError,
)
from onerouter_core.foreign_errors import is_foreign, is_foreign_class, unwrap
from onerouter_core.tracebacks import iter_chain, without_frames


# A response hook of the user's HTTP client may call `raise_for_status`.
def find_response(error: Exception, url: str) -> Any:
    """Return the response that an exception of `_post`, or a cause of it, has; else None."""
    if is_foreign(unwrap(error), url):
        return None
    chain = (linked for linked in iter_chain(error) if not is_foreign_class(linked))
    responses = (getattr(linked, "response", None) for linked in chain)
    return next((raw for raw in responses if raw is not None), None)


def to_send_error(error: Exception, url: str) -> Exception:
    """Return the error to raise for an exception of `_post`."""
    error = unwrap(error)
    if is_foreign(error, url):
        return error
    chain = iter_chain(error)
    is_unverified = any(isinstance(linked, ssl.SSLCertVerificationError) for linked in chain)
    return _to_own_error(error, is_unverified=is_unverified)


def to_read_error(error: Exception, url: str) -> Exception:
    """Return the error to raise for an exception while the body was read."""
    if isinstance(error, OneRouterError):
        return error
    if is_foreign(error, url):
        return error
    return _to_own_error(error)


def _to_own_error(error: Exception, *, is_unverified: bool = False) -> OneRouterError:
    """Return an error without reference to the HTTP library; its exceptions lose their frames."""
    for cause in list(_iter_causes(error)):
        without_frames(cause)
    new_error = _to_connection_error(error, is_unverified=is_unverified)
    new_error.__cause__ = _describe_cause(error)
    return new_error


# The root cause decides between timeout and connection error: over aiohttp, openai 2.54 reports
# a refused, closed or reset connection as `APITimeoutError <- ConnectTimeout <- aiohttp's error`.
# It has an error number if the system gave the connection up (ETIMEDOUT, which Python makes a
# TimeoutError, too). A certificate that cannot be verified (`is_unverified`) is not transient.
def _to_connection_error(error: Exception, *, is_unverified: bool = False) -> OneRouterError:
    """Classify an exception of an HTTP library by the class names of its causes."""
    causes = list(_iter_causes(error))
    root_cause, class_names = causes[-1], " ".join(type(cause).__name__ for cause in causes)
    root_name = type(root_cause).__name__
    reason = " ".join(f"{root_name}: {root_cause}".split()).removesuffix(":")
    if "Timeout" in root_name and getattr(root_cause, "errno", None) is None:
        return APITimeoutError(f"The gateway did not answer in time: {reason}.")
    if "Decod" in class_names or "ContentEncoding" in class_names:
        return MalformedReplyError(f"The reply cannot be decoded: {reason}")
    if root_name.lower() in {"invalidurl", "invalidurlclienterror"}:
        return ConfigurationError(f"The address cannot be used: {reason}")
    return APIConnectionError(
        f"The connection to the gateway failed: {reason}", transient=not is_unverified
    )


# Exceptions of HTTP libraries refer to the request, with its headers; and a library may raise the
# same exception again elsewhere (aiohttp does, from its protocol), which gives it new frames.
def _describe_cause(error: Exception) -> Exception:
    """Return the root cause in words; of an error of the operating system or of TLS, a copy."""
    *_, root_cause = _iter_causes(error)
    is_system_error = type(root_cause).__module__ in {"builtins", "socket", "ssl"}
    if isinstance(root_cause, OSError) and is_system_error:
        return type(root_cause)(*root_cause.args)
    return Exception(f"{type(root_cause).__name__}: {root_cause}")


def _iter_causes(error: BaseException | None) -> Iterator[Exception]:
    """Yield an exception and its causes; the last one is the root cause.

    Those of other packages are left out: respx raises an HTTP library's error from one of its own.
    """
    first = error
    while isinstance(error, Exception) and (error is first or not is_foreign_class(error)):
        yield error
        error = _cause(error)


# httpcore 1.0 cuts the cause off (`raise exc from None` in its pool), but it is an argument; anyio
# has a group as cause if a host has several addresses.
def _cause(error: Exception) -> BaseException | None:
    """Return the cause of an exception, the first one of several."""
    causes = (error.__cause__, *error.args[:1], *getattr(error, "exceptions", ())[:1])
    return next((cause for cause in causes if isinstance(cause, BaseException)), None)
