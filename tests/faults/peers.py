"""The same table for other classes, run in an environment of their own: `make faults-peers`.

Less is asked of them than of ours: the right answer, or any exception where an error is demanded,
from the right number of requests, in time. What they wait between requests is not waited for.
Rows with a `deadline`, which none of them has, are left out. Prints a table in Markdown.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core.retry import waiting
from tests.faults.behaviours import Outcome, Row
from tests.faults.conftest import write_one_certificate
from tests.faults.faces import KEY, Face, LangChain, LlamaIndex, Way, aask, ask
from tests.faults.rows import GROUPS
from tests.faults.server import End, Ever, Play, Server, Step

MODEL = "vendor/model"
PATIENCE = 2.0  # seconds after which the server hangs up on who would wait for ever
WAYS = [Way("whole"), Way("stream"), Way("whole", "default"), Way("stream", "default")]
LONGEST = 5.0  # seconds: the timeout of rows that have none


# --- the classes ---


def chat_one_router(url: str, retries: int, timeout: float) -> Any:
    """Make one of ours."""
    return ChatOneRouter(**_ours(url, retries, timeout))


def one_router_llm(url: str, retries: int, timeout: float) -> Any:
    """Make the other one of ours."""
    return OneRouterLLM(**_ours(url, retries, timeout))


def _ours(url: str, retries: int, timeout: float) -> dict[str, Any]:
    reach = {"model": MODEL, "api_key": KEY, "base_url": url, "max_retries": retries}
    return {**reach, "timeout": timeout}


def chat_openai(url: str, retries: int, timeout: float) -> Any:
    """Make a ChatOpenAI."""
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 -- not installed where ours are tested

    return ChatOpenAI(
        model=MODEL,
        api_key=KEY,
        base_url=url,
        max_retries=retries,
        timeout=timeout,
    )


def chat_open_router(url: str, retries: int, timeout: float) -> Any:
    """Make a ChatOpenRouter."""
    from langchain_openrouter import ChatOpenRouter  # noqa: PLC0415 -- as above

    return ChatOpenRouter(
        model=MODEL,
        api_key=KEY,
        base_url=url,
        max_retries=retries,
        timeout=int(timeout * 1000),
    )


def openai_like(url: str, retries: int, timeout: float) -> Any:
    """Make an OpenAILike."""
    from llama_index.llms.openai_like import OpenAILike  # noqa: PLC0415 -- as above

    return OpenAILike(
        model=MODEL,
        api_key=KEY,
        api_base=url,
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=retries,
        timeout=timeout,
    )


CLASSES: dict[str, tuple[Callable[..., Any], Face]] = {
    "ChatOneRouter": (chat_one_router, LangChain()),
    "OneRouterLLM": (one_router_llm, LlamaIndex()),
    "ChatOpenAI": (chat_openai, LangChain()),
    "ChatOpenRouter": (chat_open_router, LangChain()),
    "OpenAILike": (openai_like, LlamaIndex()),
}
VERSIONS = ("langchain-openai", "langchain-openrouter", "llama-index-llms-openai-like", "openai")


# --- time ---


def wait_for_nothing() -> None:
    """Let sleeping take no time, but on the clock, in all threads but the server's."""
    slept = 0.0
    now, sleep, asleep = time.time, time.sleep, asyncio.sleep

    def pass_by(seconds: float) -> float:
        """Return how long to sleep really."""
        nonlocal slept
        if threading.current_thread().name == "server":
            return seconds
        if not 0 <= seconds <= threading.TIMEOUT_MAX:  # as the real one does
            raise ValueError(seconds)
        slept += seconds
        return 0

    async def sleep_on_a_loop(seconds: float, result: Any = None) -> Any:
        return await asleep(pass_by(seconds), result)

    time.sleep = lambda seconds: sleep(pass_by(seconds))
    time.time = lambda: now() + slept
    asyncio.sleep = anyio.sleep = sleep_on_a_loop


def with_patience(play: Play) -> Play:
    """Return a play that ends some time, whoever waits for it."""
    return tuple(step for given in play for step in _ending(given))


def _ending(step: Step) -> Iterator[Step]:
    match step:
        case Ever(data=data, pause=pause) if pause:
            for _ in range(int(PATIENCE / pause)):
                yield from (data, pause)
            yield End.CLOSE
        case End.HANG:
            yield from (PATIENCE, End.CLOSE)
        case _:
            yield step


# --- the comparison ---


def is_right(row: Row, way: Way, retries: int, got: Outcome, requests: int) -> bool:
    """Tell whether an outcome is what the row demands of everybody."""
    want = row.wanted(retries)
    same = (got.text, list(got.calls)) == (want.text, list(want.calls))
    answered = got.error is not None if want.error else got.error is None and same
    expected = row.expected(way.mode, retries)
    return answered and requests == expected and got.seconds < PATIENCE


def passes(server: Server, loop: Any, name: str, case: tuple[Row, Way, int]) -> bool:
    """Play a row to a class once."""
    row, way, retries = case
    make, face = CLASSES[name]
    line = server.line(*map(with_patience, row.said_to(way.mode)))
    begun = time.monotonic()
    try:
        model = make(line.base_url, retries, row.options.get("timeout", LONGEST))
        if way.backend is None:
            got = ask(face, model, way.mode)
        else:
            got = loop.run_until_complete(aask(face, model, way.mode))
    except Exception as error:  # noqa: BLE001 -- reading what came is the user's part, too
        got = Outcome(error=error, seconds=time.monotonic() - begun)
    return is_right(row, way, retries, got, len(line.requests))


def cases(rows: list[Row], retries: int) -> list[tuple[Row, Way, int]]:
    """Cross the rows of a group with the ways."""
    return [
        (row, way, retries)
        for row in rows
        for way in WAYS
        if way.mode in row.modes and "deadline" not in row.options
    ]


def compare(names: list[str]) -> None:
    """Print how much of the table each class passes."""
    loop = asyncio.new_event_loop()
    say("behaviours", "`max_retries`", "checks", *names)
    say("---", *["---:"] * (2 + len(names)))
    totals = [0] * (len(names) + 1)
    with Server().running() as server, waiting(0):
        for group, rows in GROUPS.items():
            for retries in (0, 2):
                crossed = cases(rows, retries)
                passed = [sum(passes(server, loop, name, c) for c in crossed) for name in names]
                totals = [a + b for a, b in zip(totals, [len(crossed), *passed], strict=True)]
                say(group, retries, len(crossed), *passed)
    say("all", "", *totals)
    print("\nWith", ", ".join(f"{name} {version(name)}" for name in VERSIONS))  # noqa: T201 -- as below


def say(*cells: object) -> None:
    """Print a row of the table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)  # noqa: T201 -- it is a command


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    for variable in [name for name in os.environ if name.startswith(("OPENAI_", "OPENROUTER_"))]:
        del os.environ[variable]
    wait_for_nothing()
    with TemporaryDirectory() as folder:
        file = Path(folder, "one.pem")
        write_one_certificate(file)
        os.environ["SSL_CERT_FILE"] = str(file)
        compare(sys.argv[1:] or list(CLASSES))
