"""How to reach the gateway: connection settings, and the checks of URL and headers.

This module knows URLs and HTTP header syntax. It opens no connection and reads no environment.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from onerouter_core.errors import ConfigurationError
from onerouter_core.ledger import Ledger, Prices

DEFAULT_BASE_URL = "https://llm.onerouter.pro/v1"

ApiKey: TypeAlias = SecretStr | Callable[[], str | SecretStr | Awaitable[str | SecretStr]]


def check_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Refuse what no header can carry before an HTTP library does, or sends it (RFC 9110)."""
    for name, value in headers.items():
        if not all(text.isascii() and text.isprintable() for text in (name, value)):
            raise ConfigurationError(f"No request can carry the header {name!r}: ASCII only.")
        if not _HEADER_NAME.fullmatch(name) or value != value.strip():
            raise ConfigurationError(f"No request can carry the header {name!r}: odd characters.")
        if name.lower() in {"content-length", "transfer-encoding"}:
            raise ConfigurationError(f"The header {name!r} is for the HTTP library to say.")
    return headers


_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


Headers: TypeAlias = Annotated[Mapping[str, str], AfterValidator(check_headers)]


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How to reach the gateway; `timeout` and `deadline` are in seconds."""

    api_key: ApiKey | None = None
    base_url: str = DEFAULT_BASE_URL
    timeout: float | None = 600.0
    deadline: float | None = None
    max_retries: int = 2
    headers: Headers = field(default_factory=dict, repr=False)
    http_client: Any = field(default=None, repr=False)
    http_async_client: Any = field(default=None, repr=False)
    ledger: Ledger | None = field(default=None, repr=False)
    prices: Prices | None = field(default=None, repr=False)


def check_base_url(url: str) -> str:
    """Return the base URL without its last slash; raise ConfigurationError if it is none."""
    parts = urlsplit(url := url.strip())
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url must end with its path: no ? and no # in it.")
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ConfigurationError("base_url must start with https:// or http://.")
    if parts.username is not None or parts.password is not None:  # repr and traces show it
        raise ConfigurationError("base_url must hold no password: give it in default_headers.")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        warnings.warn(f"The key goes to {url} unencrypted: use https.", stacklevel=3)
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
