"""Environment of the process: versions of packages, and variables about proxies and certificates.

This module knows their names, and that a proxy's URL may hold a password. It imports none of the
packages and opens no connection.
"""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# The SDK, the HTTP libraries that it may use, and the frameworks.
_PACKAGES = (
    *("onerouter-integrations", "openai", "httpx", "httpx2", "aiohttp", "httpx-aiohttp"),
    *("pydantic", "langchain-core", "langchain", "llama-index-core"),
)
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_FILE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_CREDENTIALS = re.compile(r"((?:^|[\s,;])(?:[a-z][\w+.-]*://)?)[^\s,;]*@", re.IGNORECASE)
_QUERY = re.compile(r"[?#][^\s,;]*")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed and matter."""
    versions = {name: _version(name) for name in _PACKAGES}
    installed = {name: text for name, text in versions.items() if text is not None}
    return {"Python": platform.python_version(), **installed}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def network_variables() -> dict[str, str]:
    """Return the variables about proxies and certificates that are set, without credentials."""
    names = [*_PROXY_VARIABLES, *map(str.lower, _PROXY_VARIABLES), *_FILE_VARIABLES]
    values = {name: os.environ.get(name) for name in names}
    return {name: without_credentials(value) for name, value in values.items() if value}


def without_credentials(url: str) -> str:
    """Replace user name and password in a URL, or in a list of them, which may lack a scheme."""
    return _QUERY.sub("", _CREDENTIALS.sub(r"\1***@", url))


def missing_certificates() -> list[str]:
    """Return the variables that name a file or folder of certificates that does not exist."""
    paths = {name: os.environ.get(name) for name in _FILE_VARIABLES}
    return [name for name, path in paths.items() if path and not Path(path).exists()]
