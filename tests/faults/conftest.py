"""What the fault suite shares: a server, an event loop, and models whose clients are made once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import certifi
import openai
import pytest

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from tests.faults.adapters import REACH, Face, LangChain, LlamaIndex, User, Way
from tests.faults.leak_check import both
from tests.faults.server import Line, Server

Loop: TypeAlias = asyncio.AbstractEventLoop
CLASSES: dict[str, tuple[type, Face]] = {
    "ChatOneRouter": (ChatOneRouter, LangChain()),
    "OneRouterLLM": (OneRouterLLM, LlamaIndex()),
}


@pytest.fixture(scope="session", autouse=True)
def _few_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one certificate: every client loads all there are, which takes most of its time."""
    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    write_one_certificate(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_loop_unasked() -> None:
    """Keep asyncio from making an event loop where somebody asks for the current one."""
    asyncio.set_event_loop(None)


def write_one_certificate(file: Path) -> None:
    """Write the first of the certificates that are trusted everywhere."""
    first, end, _ = Path(certifi.where()).read_text("utf-8").partition("-----END CERTIFICATE-----")
    file.write_text(first + end, "utf-8")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Run one server for the whole session; each test has a line of its own on it."""
    with Server().running() as running:
        yield running


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """Run an event loop whose clients are on aiohttp."""
    yield from _a_loop()


@pytest.fixture(scope="session")
def loop_without_aiohttp() -> Iterator[Loop]:
    """Run an event loop whose clients are made as if it were not installed."""
    yield from _a_loop()


def _a_loop() -> Iterator[Loop]:
    """Run an event loop that ends, as all do, by closing its generators."""
    running = asyncio.new_event_loop()
    yield running
    running.run_until_complete(running.shutdown_asyncgens())
    running.close()


def without_aiohttp(patch: pytest.MonkeyPatch) -> None:
    """Let clients be made as if aiohttp were not installed."""

    class Missing:
        def __init__(self, **_: Any) -> None:
            raise RuntimeError("not installed")

    patch.setattr(openai, "DefaultAioHttpClient", Missing)


Users: TypeAlias = Callable[[str, Way], User]


@pytest.fixture(scope="session")
def users(server: Server, loop: Loop, loop_without_aiohttp: Loop) -> Iterator[Users]:
    """Hand out who calls a class in a way; models and their clients are made once."""
    made: dict[tuple[str, bool], Any] = {}
    loops = {False: loop, True: loop_without_aiohttp}

    def user(name: str, way: Way) -> User:
        kind, face = CLASSES[name]
        key = name, way.backend == "default"
        if key in made:
            return User(face, made[key], way, loops[key[1]])
        made[key] = kind(**REACH)
        one = User(face, made[key], way, loops[key[1]])
        if key[1]:
            _make_client_without_aiohttp(one, server)
        return one

    yield user
    for (_, default), model in made.items():
        loops[default].run_until_complete(model.aclose())


def _make_client_without_aiohttp(user: User, server: Server) -> None:
    with pytest.MonkeyPatch.context() as patch:
        without_aiohttp(patch)
        user.calls(server.line(getattr(both("Hi"), user.mode)))


@pytest.fixture
def user(users: Users, name: str, way: Way) -> User:
    """Call a class by its name, in a way; a test's parameters say which."""
    return users(name, way)


Make: TypeAlias = Callable[..., Any]


@pytest.fixture(params=["aiohttp", "default"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test over aiohttp, and as if it were not installed."""
    if request.param == "default":
        without_aiohttp(monkeypatch)


@pytest.fixture
def unshared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients be made anew: those made in the same surroundings are shared."""
    write_one_certificate(tmp_path / "one.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "one.pem"))


@pytest.fixture
def make(unshared: None) -> Iterator[Make]:
    """Make models that do not retry; they are closed in the end."""
    made: list[Any] = []

    def make(name: str, line: Line, **fields: Any) -> Any:
        fields = {**REACH, "base_url": line.base_url, "max_retries": 0, **fields}
        made.append(CLASSES[name][0](**fields))
        return made[-1]

    yield make
    for model in made:
        model.close()


@pytest.fixture
def line(server: Server) -> Line:
    """Open a line on which a whole answer follows a streamed one, and so on."""
    hi = both("Hi")
    return server.line(*[hi.whole, hi.stream] * 500)
