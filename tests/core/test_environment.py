"""The environment: versions, and variables without their credentials."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from onerouter_core.environment import (
    missing_certificates,
    network_variables,
    package_versions,
    without_credentials,
)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT"):
            monkeypatch.delenv(name)


def test_versions_are_those_of_the_installed_packages() -> None:
    """A package that is not installed is not listed."""
    versions = package_versions()
    assert versions["Python"] == platform.python_version()
    assert versions["openai"] == version("openai")
    assert ("httpx-aiohttp" in versions) == (versions["openai"] < "3")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "SSL_CERT_FILE"])
def test_variables_that_are_set_are_listed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """In both spellings; no other is."""
    assert network_variables() == {}
    monkeypatch.setenv(name, "http://me:secret@proxy.test:3128")
    assert network_variables() == {name: "http://***@proxy.test:3128"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("http://me:pw@proxy.test", "http://***@proxy.test"),
        ("http://me@proxy.test", "http://***@proxy.test"),
        ("http://me:p@w@proxy.test", "http://***@proxy.test"),
        ("http://me:p/w@proxy.test", "http://***@proxy.test"),
        ("me:pw@proxy.test:3128", "***@proxy.test:3128"),
        ("socks5h://me:pw@[::1]:1080/", "socks5h://***@[::1]:1080/"),
        ("http://proxy.test/?key=secret", "http://proxy.test/"),
        ("localhost,.internal,10.0.0.0/8", "localhost,.internal,10.0.0.0/8"),
        ("a.test,me:pw@b.test", "a.test,***@b.test"),
        ("/etc/ssl/cert.pem", "/etc/ssl/cert.pem"),
    ],
)
def test_credentials_are_hidden(url: str, expected: str) -> None:
    """Whatever their form; the host stays."""
    assert without_credentials(url) == expected


def test_a_variable_that_names_no_file_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder for the one, a file for the other."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert missing_certificates() == []
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert missing_certificates() == ["SSL_CERT_FILE"]
