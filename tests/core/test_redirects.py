"""Redirects: which are followed, and what the error of any other says."""

from __future__ import annotations

import pytest

from onerouter_core.errors import APIConnectionError
from onerouter_core.redirects import is_redirect, redirect_target

URL = "https://a/v1/chat/completions"


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (307, {"location": "/"}, True),
        (301, {"location": "/"}, True),
        (307, {"location": ""}, False),
        (302, {}, False),
        (300, {"location": "/"}, False),
        (304, {"location": "/"}, False),
        (201, {"location": "/"}, False),
        (404, {"location": "/"}, False),
    ],
)
def test_is_redirect(status: int, headers: dict[str, str], *, expected: bool) -> None:
    """A redirect has one of five statuses and a location."""
    assert is_redirect(status, headers) is expected


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/v1/x", "https://a/v1/x"),
        ("x/", "https://a/v1/chat/x/"),
        ("//a/v2", "https://a/v2"),
        ("https://a:443/v2", "https://a:443/v2"),
        ("HTTPS://A/v2", "https://A/v2"),
    ],
)
def test_a_redirect_within_the_address_is_followed(location: str, target: str) -> None:
    """A relative one, and one that names the default port or other letters."""
    assert redirect_target(URL, location, status=308, has_body=True) == target


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://b/v1?key=secret", "https://b:443"),
        ("https://a.b/", "https://a.b:443"),
        ("http://a/v1", "http://a:80"),
        ("https://a:8443/v1", "https://a:8443"),
        ("https://user:secret@b/", "https://b:443"),
        ("//b", "https://b:443"),
        ("ftp://a/", "ftp://a:None"),
        ("https://a:99999/", "an invalid address"),
        ("https://[a/", "an invalid address"),
    ],
)
def test_a_redirect_elsewhere_is_an_error_that_names_it(location: str, named: str) -> None:
    """Without user name, path and query; it is not retried."""
    with pytest.raises(APIConnectionError, match=f"redirects the request to {named}") as caught:
        redirect_target(URL, location, status=307, has_body=False)
    assert "secret" not in str(caught.value)
    assert (caught.value.status, caught.value.transient) == (307, False)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_only_a_request_without_body_follows_these(status: int) -> None:
    """They turn a POST into a GET."""
    assert redirect_target(URL, "/x", status=status, has_body=False) == "https://a/x"
    with pytest.raises(APIConnectionError, match="an address that takes no POST"):
        redirect_target(URL, "/x", status=status, has_body=True)
