"""Connection settings, and the checks of base URL and HTTP headers.

This module knows URLs and HTTP header syntax. It opens no connection and reads no environment.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from onerouter_core.errors import ConfigurationError
from onerouter_core.ledger import Ledger
from onerouter_core.ledger_entry import Prices

DEFAULT_BASE_URL = "https://llm.onerouter.pro/v1"

ApiKey: TypeAlias = SecretStr | Callable[[], str | SecretStr | Awaitable[str | SecretStr]]
"""An API key, or a sync or async callable that is called before each request and returns one."""

HeaderValue: TypeAlias = str | SecretStr
"""Value of an HTTP header; a SecretStr is a secret whatever the name of the header is."""

_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)  # "token" of RFC 9110, section 5.6.2

_MAX_PORT = 65_535
_MAX_HOST_LENGTH = 253  # characters (RFC 1035, section 2.3.4)

# Names of headers whose values are secrets.
_SECRET_NAME = re.compile(
    r"auth(?!ors?\b)|key\b|token|secret|cookie|passw|credential|signature|session|jwt",
    re.IGNORECASE,
)
_SECRET_PART = re.compile(r"(?:^(?:Bearer|Basic|Token) +|=)([^;\s]+)", re.IGNORECASE)
_TOKEN_LENGTH = 20  # characters of a value without a space that is no word of a message


def header_text(value: HeaderValue) -> str:
    """Return the text of a header value."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def secret_values(headers: Mapping[str, HeaderValue]) -> Iterator[str]:
    """Yield the values that are secrets, and their parts: a token after its scheme, a cookie.

    Secret is what is in a header with such a name, or is marked as SecretStr, or is too long for a
    word. Other values, such as "production", may be words of a message.
    """
    for name, value in headers.items():
        text = header_text(value)
        is_long = len(text) >= _TOKEN_LENGTH and " " not in text
        if is_long or isinstance(value, SecretStr) or _SECRET_NAME.search(name):
            yield text
            yield from _SECRET_PART.findall(text)


def check_headers(headers: Mapping[str, HeaderValue]) -> Mapping[str, HeaderValue]:
    """Return the headers if they can be sent (RFC 9110, section 5); raise ConfigurationError.

    An HTTP library would raise an error that quotes the value, or send the header as it is. Errors
    raised here name the header and not its value, which may be secret.
    """
    for name, secret_or_text in headers.items():
        value = header_text(secret_or_text)
        if not all(text.isascii() and text.isprintable() for text in (name, value)):
            raise ConfigurationError(
                f"The header {name!r} cannot be sent: name and value must be printable ASCII."
            )
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(
                f"The header {name!r} cannot be sent: its name contains an illegal character."
            )
        if value != value.strip():
            raise ConfigurationError(
                f"The header {name!r} cannot be sent: its value begins or ends with a space."
            )
        if name.lower() in {"content-length", "transfer-encoding"}:
            raise ConfigurationError(
                f"The header {name!r} must not be given: the HTTP library sets it."
            )
    return headers


Headers: TypeAlias = Annotated[Mapping[str, HeaderValue], AfterValidator(check_headers)]
"""HTTP headers, checked by `check_headers`."""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Settings with which a gateway is reached; no connection is opened."""

    api_key: ApiKey | None = None
    """API key, or a callable that returns it. None: only the model list can be fetched."""

    base_url: str = DEFAULT_BASE_URL
    """Base URL of the gateway, up to and including /v1."""

    timeout: float | None = 600.0
    """Read timeout in seconds: the longest silence while connecting, before the first event, and
    between events. None: no limit."""

    deadline: float | None = None
    """Total time limit of a call in seconds, retries and the reading of a stream included. None:
    no limit."""

    max_retries: int = 2
    """Most requests that may follow a failed first one (0 or more): a call sends at most
    max_retries + 1."""

    max_reply_bytes: int | None = None
    """Largest reply in bytes, decompressed: a body, or all events of a stream together. None: 256
    MiB (268435456)."""

    headers: Headers = field(default_factory=dict, repr=False)
    """HTTP headers sent with every request; they win over those that are sent otherwise."""

    http_client: Any = field(default=None, repr=False)
    """HTTP client for sync calls: an instance of the openai SDK's HTTP library (httpx.Client with
    openai 2). The stricter of its own timeouts and `timeout` holds. None: a client that all
    gateways share."""

    http_async_client: Any = field(default=None, repr=False)
    """HTTP client for async calls (httpx.AsyncClient with openai 2), on one event loop. The
    stricter of its own timeouts and `timeout` holds. None: a client that all gateways on one event
    loop share."""

    ledger: Ledger | None = field(default=None, repr=False)
    """Ledger that records the cost of each reply, and rejects requests once its budget is spent."""

    prices: Prices | None = field(default=None, repr=False)
    """Price list, such as a `Catalog`, to estimate the cost of a reply that reports none."""


# A plain http URL of another machine is accepted with a warning.
def check_base_url(url: str) -> str:
    """Return the base URL without its last slash; raise ConfigurationError if it is invalid.

    The address of the chat completions is a base URL, too, without its end.
    """
    url = url.strip().rstrip("/").removesuffix("/chat/completions")
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets without an IPv6 address, or letters of no host name
        raise ConfigurationError("base_url has an invalid IP address or host name.") from None
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url must end with its path: remove the part from ? or # on.")
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ConfigurationError("base_url must start with https:// or http:// and a host name.")
    if parts.username is not None or parts.password is not None:  # repr and traces show it
        raise ConfigurationError(
            "base_url must not contain a user name or password: send them in default_headers."
        )
    _check_host_and_port(parts.netloc)
    if not url.isprintable():
        raise ConfigurationError("base_url must not contain control characters.")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        warnings.warn(f"The API key is sent unencrypted to {url}: use https.", stacklevel=3)
    return url.rstrip("/")


_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\[\]]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{0,5}))?")


def _check_host_and_port(netloc: str) -> None:
    """Raise ConfigurationError unless the host is an IP address or a name, and the port is one.

    HTTP libraries and the socket module would raise errors of many classes, at the first request.
    """
    match = _HOST_AND_PORT.fullmatch(netloc)
    if match is None or not 1 <= int(match["port"] or 1) <= _MAX_PORT:
        raise ConfigurationError(
            "base_url must have a host name, and a port between 1 and 65535 or none."
        )
    if (host := match["host"]).startswith("[") or re.fullmatch(r"[\d.]+", host):
        _check_ip_address(host.strip("[]"))
    else:
        _check_host_name(host)


def _check_ip_address(host: str) -> None:
    try:
        ip_address(host)
    except ValueError:
        raise ConfigurationError(f"base_url has an invalid IP address: {host}.") from None


def _check_host_name(host: str) -> None:
    try:
        name = host[: _MAX_HOST_LENGTH + 2].encode("idna").decode("ascii").removesuffix(".")
    except UnicodeError:
        name = ""
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", name, re.ASCII) or len(name) > _MAX_HOST_LENGTH:
        raise ConfigurationError(
            f"base_url has an invalid host name: {host}. Each of its parts must have 1 to 63 "
            "letters, digits and hyphens."
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or IP address is this machine (RFC 6761, RFC 1122, RFC 4291)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
