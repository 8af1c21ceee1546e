"""The same table for other classes, run in an environment of their own: `make faults-peers`.

Less is asked of them than of ours: the right answer, or any exception where an error is demanded,
from no more requests than that takes, in time. What they wait between requests is not waited for.
Rows with a `deadline`, which none of them has, are left out. Prints a table in Markdown.

It ends, whatever a class does: each has a process of its own, the server hangs up on who waits for
ever and refuses who asks too often, a check that does not come back is left behind, and what is not
played when time is up has not passed.
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
from functools import partial
from importlib.metadata import version
from multiprocessing import Pool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import anyio

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core.retry import waiting
from tests.core import payloads
from tests.faults.adapters import REACH, Face, LangChain, LlamaIndex, Way, aask, ask
from tests.faults.cases import Outcome, Row
from tests.faults.conftest import write_one_certificate
from tests.faults.http_scripts import http
from tests.faults.server import End, Ever, Play, Server, Step

Case: TypeAlias = tuple[Row, Way, int]

PATIENCE = 2.0  # seconds after which the server hangs up on who would wait for ever
REFUSAL = http(b"", 400)  # for who asks more often than allowed: nobody asks again after it
WAYS = [Way("whole"), Way("stream"), Way("whole", "default"), Way("stream", "default")]
LONGEST = 5.0  # seconds: the timeout of rows that have none
BOUND = 15.0  # seconds after which a check is left behind
LONGEST_RUN = 450.0  # seconds
TRIES = 2  # the machine may be busy

# What a strict class asks of every body, and ours do without.
FACTS = {"created": 1, "model": REACH["model"], "system_fingerprint": None}
payloads.completion = partial(payloads.completion, **FACTS)
payloads.chunk = partial(payloads.chunk, **FACTS)

from tests.faults.rows import GROUPS  # noqa: E402 -- made of these bodies

# --- the classes ---


def chat_openai(**given: Any) -> Any:
    """Make a ChatOpenAI."""
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 -- not installed where ours are tested

    return ChatOpenAI(**given)


def chat_open_router(*, timeout: float, **given: Any) -> Any:
    """Make a ChatOpenRouter."""
    from langchain_openrouter import ChatOpenRouter  # noqa: PLC0415 -- as above

    return ChatOpenRouter(timeout=int(timeout * 1000), **given)


def openai_like(*, base_url: str, **given: Any) -> Any:
    """Make an OpenAILike."""
    from llama_index.llms.openai_like import OpenAILike  # noqa: PLC0415 -- as above

    return OpenAILike(
        api_base=base_url, is_chat_model=True, is_function_calling_model=True, **given
    )


CLASSES: dict[str, tuple[Callable[..., Any], Face]] = {
    "ChatOneRouter": (ChatOneRouter, LangChain()),
    "OneRouterLLM": (OneRouterLLM, LlamaIndex()),
    "ChatOpenAI": (chat_openai, LangChain()),
    "ChatOpenRouter": (chat_open_router, LangChain()),
    "OpenAILike": (openai_like, LlamaIndex()),
}
PACKAGES = "langchain-openai langchain-openrouter llama-index-llms-openai-like openai openrouter"


# --- the table ---


def parts() -> Iterator[tuple[str, int, list[Case]]]:
    """Yield the rows of each group, crossed with the ways."""
    for group, rows in GROUPS.items():
        mine = [row for row in rows if "deadline" not in row.options]
        ways = [(row, way) for row in mine for way in WAYS if way.mode in row.modes]
        for retries in (0, 2):
            yield group, retries, [(row, way, retries) for row, way in ways]


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


def is_right(row: Row, way: Way, retries: int, got: Outcome, requests: int) -> bool:
    """Tell whether an outcome is what the row demands of everybody."""
    want = row.wanted(retries)
    same = (got.text, list(got.calls)) == (want.text, list(want.calls))
    answered = got.error is not None if want.error else got.error is None and same
    allowed = row.expected(way.mode, retries)
    return answered and requests <= allowed and got.seconds < PATIENCE


def passes(server: Server, name: str, case: Case) -> bool:
    """Play a row to a class, and once more if it does not come through."""
    for _ in range(TRIES):
        found: list[bool] = []
        play = partial(_play, server, name, case, found)
        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        thread.join(BOUND)
        if thread.is_alive() or found == [True]:
            break
    return found == [True]


def _play(server: Server, name: str, case: Case, found: list[bool]) -> None:
    row, way, retries = case
    make, face = CLASSES[name]
    plays = [with_patience(play) for play in row.said_to(way.mode)]
    plays += plays[-1:] * (retries + 1 - len(plays))
    line = server.line(*plays[: retries + 1], REFUSAL)
    reach = {**REACH, "base_url": line.base_url, "max_retries": retries}
    begun = time.monotonic()
    try:
        asked = face, make(**reach, timeout=row.options.get("timeout", LONGEST)), way.mode
        got = ask(*asked) if way.backend is None else asyncio.run(aask(*asked))
    except Exception as error:  # noqa: BLE001 -- reading what came is the user's part, too
        got = Outcome(error=error, seconds=time.monotonic() - begun)
    found.append(is_right(row, way, retries, got, len(line.requests)))


def passed(name: str) -> list[int]:
    """Return how many checks of each part a class passes."""
    wait_for_nothing()
    ends = time.monotonic() + LONGEST_RUN
    with Server().running() as server, waiting(0):
        found = [
            sum(time.monotonic() < ends and passes(server, name, case) for case in cases)
            for *_, cases in parts()
        ]
    if time.monotonic() > ends:
        sys.stderr.write(f"Time is up: not all was played to {name}.\n")
    return found


def compare(names: list[str]) -> None:
    """Print how much of the table each class passes."""
    with Pool(len(names)) as pool:
        columns = pool.map_async(passed, names).get(LONGEST_RUN + 2 * BOUND)
    say("behaviours", "`max_retries`", "checks", *names)
    say("---", *["---:"] * (2 + len(names)))
    sizes = [len(cases) for *_, cases in parts()]
    for (group, retries, _), *numbers in zip(parts(), sizes, *columns, strict=True):
        say(group, retries, *numbers)
    say("all", "", *map(sum, (sizes, *columns)))
    print("\nWith", ", ".join(f"{name} {version(name)}" for name in PACKAGES.split()))  # noqa: T201 -- as below


def say(*cells: object) -> None:
    """Print a row of the table."""
    print("|", " | ".join(map(str, cells)), "|")  # noqa: T201 -- it is a command


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    for variable in [name for name in os.environ if name.startswith(("OPENAI_", "OPENROUTER_"))]:
        del os.environ[variable]
    with TemporaryDirectory() as folder:
        file = Path(folder, "one.pem")
        write_one_certificate(file)
        os.environ["SSL_CERT_FILE"] = str(file)
        compare(sys.argv[1:] or list(CLASSES))
