"""Servers of other projects, each in a process of its own on a free loopback port.

This module knows processes and health checks. It knows no model and no framework.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT = 120.0  # seconds


@dataclass(frozen=True)
class Server:
    """A server: its name, URL, API key, model and log file."""

    name: str
    base_url: str
    api_key: str
    model: str
    log: Path

    @property
    def root(self) -> str:
        """The base URL without `/v1`."""
        return self.base_url.removesuffix("/v1")


def free_port() -> int:
    """Return a loopback port without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(
    command: Sequence[str], log: Path, is_up: Callable[[], bool], env: Mapping[str, str]
) -> Iterator[None]:
    """Start a server, wait until it is up, and kill it at the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- our own command
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **env}
        )
        try:
            wait_until(lambda: is_up() or process.poll() is not None)
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended before it was up:\n{tail(log)}")
            yield
        finally:
            process.kill()
            process.wait()


def is_healthy(url: str) -> bool:
    """Tell whether a URL answers with status 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 -- loopback
            is_ok: bool = response.status == 200
    except OSError:
        return False
    return is_ok


def wait_until(
    condition: Callable[[], bool], timeout: float = START_TIMEOUT, interval: float = 0.05
) -> None:
    """Evaluate a condition every `interval` seconds until it is true.

    Raises:
        TimeoutError: the condition is false after `timeout` seconds.

    """
    ends = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(f"the condition is still false after {timeout} s")
        time.sleep(interval)


def tail(log: Path, lines: int = 40) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
