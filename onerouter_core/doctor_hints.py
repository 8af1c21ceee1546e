"""Hints of the doctor: words of an error, their probable meaning, and the remedy.

This module knows the words that OpenSSL, Python, aiohttp and C libraries use where a connection
fails. It sends nothing.
"""

from __future__ import annotations

import re

from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    IncompleteStreamError,
    OneRouterError,
)
from onerouter_core.types import Reply

_MAX_QUOTED = 60  # characters

_CERTIFICATE = (
    "The certificate is not trusted, as behind a company's proxy: set SSL_CERT_FILE to a PEM file"
    " with the authority that signed it. Do not switch the check off."
)
_TLS = (
    "Server and client disagree about TLS: check http:// or https:// in ONEROUTER_BASE_URL and in"
    " HTTPS_PROXY."
)
_NAME = "The name cannot be resolved: check the spelling of ONEROUTER_BASE_URL, DNS and proxy."
_REFUSED = (
    "Nothing listens there: check host and port of ONEROUTER_BASE_URL, and the proxy variables."
)
_STREAM = (
    "The stream ended early: a proxy or firewall on the way may cut or buffer it. Try another"
    " network; answers that are not streamed may work."
)
_HINTS = (
    ("certificate", _CERTIFICATE),
    (r"\bssl|\btls\b|wrong.version.number|handshake", _TLS),
    ("name or service|name resolution|getaddrinfo|nodename|no address|domain name|gaierror", _NAME),
    ("refused|connect call failed", _REFUSED),
)


def hint_for(error: OneRouterError) -> str:
    """Return what to do about an error."""
    if isinstance(error, IncompleteStreamError):
        return _STREAM
    if isinstance(error, APITimeoutError):
        return "The server does not answer: check firewall and proxy, and try again."
    if isinstance(error, APIConnectionError | ConfigurationError):
        text = error.message.lower()
        return next((hint for words, hint in _HINTS if re.search(words, text)), error.hint)
    return error.hint


def describe(error: OneRouterError) -> str:
    """Return the message of an error without its hint, and what support asks for."""
    facts = {"status": error.status, "request id": error.request_id}
    known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    return f"{type(error).__name__}: {error.message}" + (f" [{known}]" if known else "")


def quote(reply: Reply) -> str:
    """Return the beginning of an answer on one line."""
    text = " ".join(reply.text.split())
    if not text:
        return f"no text (finish reason {reply.finish_reason})"
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}...")
