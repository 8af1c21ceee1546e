"""Connection settings, and the checks of base URL and headers."""

from __future__ import annotations

import warnings

import pytest
from pydantic import SecretStr

from onerouter_core import ConnectionSettings, Ledger
from onerouter_core.connection import check_base_url, check_headers, is_loopback
from onerouter_core.errors import ConfigurationError

SECRET = "sk-very-secret-0123456789"


# --- headers ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Title", "My app"),
        ("x!#$%&'*+.^_`|~-1", "~ !"),
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("empty", ""),
    ],
)
def test_legal_headers_are_returned_unchanged(name: str, value: str) -> None:
    """Every character that RFC 9110 allows in a name is accepted."""
    headers = {name: value}
    assert check_headers(headers) is headers


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("x", f"{SECRET}\xe9", "printable ASCII"),
        ("x", f"{SECRET}\nb", "printable ASCII"),
        ("\xe9", SECRET, "printable ASCII"),
        ("x y", SECRET, "illegal character"),
        ("x:y", SECRET, "illegal character"),
        ("", SECRET, "illegal character"),
        ("x", f" {SECRET}", "space"),
        ("x", f"{SECRET} ", "space"),
        ("Content-Length", SECRET, "the HTTP library sets it"),
        ("transfer-encoding", SECRET, "the HTTP library sets it"),
    ],
)
def test_an_illegal_header_is_named_without_its_value(name: str, value: str, reason: str) -> None:
    """The error says the name and the reason; the value may be secret."""
    with pytest.raises(ConfigurationError, match=reason) as caught:
        check_headers({"legal": "1", name: value})
    assert repr(name) in str(caught.value)
    assert SECRET not in str(caught.value)


# --- base URL ---

ODD_PORTS = ("0", "65536", "99999", "000080", "-1", "+80", "8 0", "x", "80:80", "\uff18\uff10")
ODD_HOSTS = (
    *("a" * 64, "a..b", ".a", "a b", "a%41", "a\\b", "a,b", "a\x00b", "\xfc" * 60 + ".de"),
    ".".join(["a"] * 128),
)


@pytest.mark.parametrize(
    "url", ["https://a/v1", "https://a/v1/", "https://a/v1///", " https://a/v1 "]
)
def test_a_base_url_is_returned_without_final_slash(url: str) -> None:
    """Slashes at the end, and spaces around, are removed."""
    assert check_base_url(url) == "https://a/v1"


@pytest.mark.parametrize(
    "host",
    [
        *("a" * 63, "my_host", "a.b-c.d1", "a.", "b\xfccher.example", "xn--bcher-kva.example"),
        *("1.2.3.4", "[::1]", "[fe80::1%eth0]", "a:", "a:1", "a:080", "a:65535", "[::1]:8000"),
    ],
)
def test_a_valid_host_and_port_are_accepted(host: str) -> None:
    """Names with underscores (as of containers) and of other scripts, and IP addresses, too."""
    assert check_base_url(f"https://{host}/v1") == f"https://{host}/v1"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("llm.onerouter.pro/v1", "must start with https"),
        ("ftp://a/v1", "must start with https"),
        ("https://", "must start with https"),
        ("", "must start with https"),
        ("https://a/v1?version=1", "must end with its path"),
        ("https://a/v1#top", "must end with its path"),
        (f"https://user:{SECRET}@a/v1", "must not contain a user name or password"),
        ("https://user@a/v1", "must not contain a user name or password"),
        (f"https://user:{SECRET}@a:99999/v1", "must not contain a user name or password"),
        ("https://:443/v1", "must have a host name, and a port"),
        *(
            (f"https://a:{port}/v1", "must have .* a port between 1 and 65535")
            for port in ODD_PORTS
        ),
        (f"https://a:{SECRET}/v1", "must have .* a port between 1 and 65535"),
        ("https://[::1]8/v1", "must have .* a port between 1 and 65535"),
        *((f"https://{host}/v1", "has an invalid host name") for host in ODD_HOSTS),
        ("https://[::1/v1", "has an invalid IP address"),
        ("https://[v1.a]/v1", "has an invalid IP address"),
        ("https://[::g]/v1", "has an invalid IP address"),
        ("https://256.1.1.1/v1", "has an invalid IP address"),
        ("https://a/v\x001", "must not contain control characters"),
        ("https://a/\nv1", "must not contain control characters"),
    ],
)
def test_an_invalid_base_url_is_a_configuration_error(url: str, reason: str) -> None:
    """The error says what to change, and does not show a password."""
    with pytest.raises(ConfigurationError, match=f"base_url {reason}") as caught:
        check_base_url(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "should_warn"),
    [
        ("http://10.0.0.1/v1", True),
        ("http://gateway/v1", True),
        ("http://127.0.0.1:8000/v1", False),
        ("http://[::1]/v1", False),
        ("http://localhost:8000/v1", False),
        ("https://gateway/v1", False),
    ],
)
def test_plain_http_to_another_machine_warns(url: str, *, should_warn: bool) -> None:
    """The API key would be readable on the network."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert check_base_url(url) == url
    messages = [str(warning.message) for warning in caught]
    assert messages == [f"The API key is sent unencrypted to {url}: use https."] * should_warn


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("gateway.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("", False),
        ("gateway", False),
        ("localhost.example.com", False),
        ("10.0.0.1", False),
        ("::2", False),
    ],
)
def test_is_loopback(host: str, *, expected: bool) -> None:
    """Loopback addresses, localhost and its subdomains are this machine; nothing else is."""
    assert is_loopback(host) is expected


# --- settings ---


def test_settings_show_no_secrets() -> None:
    """Neither key nor headers are in the repr of the settings."""
    settings = ConnectionSettings(SecretStr(SECRET), headers={"x": SECRET}, ledger=Ledger())
    assert SECRET not in repr(settings)
    assert settings == ConnectionSettings(SecretStr(SECRET), headers={"x": SECRET}, ledger=Ledger())
