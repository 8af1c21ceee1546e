"""Servers of other people, each in a process of its own on a free loopback port.

Knows processes, and how to tell that a server is up. Knows no model and no framework.
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

PATIENCE = 120.0  # seconds: a server that is slower than this does not start at all


@dataclass(frozen=True)
class Server:
    """Where a server listens, what it lets in, what it serves and where it writes its log."""

    name: str
    base_url: str
    api_key: str
    model: str
    log: Path

    @property
    def root(self) -> str:
        """The address without the API's prefix."""
        return self.base_url.removesuffix("/v1")


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@contextmanager
def running(
    command: Sequence[str], log: Path, is_up: Callable[[], bool], env: Mapping[str, str]
) -> Iterator[None]:
    """Run a server from when it is up to the end of the block."""
    with log.open("wb") as written:
        process = subprocess.Popen(  # noqa: S603 -- our own command
            command, stdout=written, stderr=subprocess.STDOUT, env={**os.environ, **env}
        )
        try:
            set_read_deadline(lambda: is_up() or process.poll() is not None)
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended before it was up:\n{tail(log)}")
            yield
        finally:
            process.kill()
            process.wait()


def answers(url: str) -> bool:
    """Tell whether a server answers with a good status."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- loopback
            good: bool = answer.status == 200
    except OSError:
        return False
    return good


def set_read_deadline(
    holds: Callable[[], bool], patience: float = PATIENCE, pause: float = 0.05
) -> None:
    """Look again and again until something holds; TimeoutError if it does not in time."""
    ends = time.monotonic() + patience
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"not so in {patience} s")
        time.sleep(pause)


def tail(log: Path, lines: int = 40) -> str:
    """Return the end of a log, as a failure shows it."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
