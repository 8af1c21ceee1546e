"""The fault cases for the classes of other packages, in an environment of their own.

`make faults-peers` runs it. It prints a table in Markdown: the passed checks of each class.

These classes pass with less than ours: the right answer, or any exception where an error is
expected, from no more requests than that takes, in time. Waits between requests are skipped. Cases
with a `deadline`, which no other class has, are left out.

The run ends whatever a class does: each class has a process of its own; the server disconnects a
client that would wait without end and rejects a client that sends too many requests; a check that
does not return is abandoned; and a check that has not run when the time is over has not passed.
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
from tests.faults.adapters import (
    MODEL_FIELDS,
    Adapter,
    CallVariant,
    LangChainAdapter,
    LlamaIndexAdapter,
    acall_model,
    call_model,
)
from tests.faults.cases import FaultCase, Outcome
from tests.faults.http_scripts import response
from tests.faults.server import End, HTTPScript, Repeat, Server, Step
from tests.one_certificate import write_one_certificate

Check: TypeAlias = tuple[FaultCase, CallVariant, int]  # the number is `max_retries`

SERVER_PATIENCE = 2.0  # seconds after which the server disconnects a client that would wait on
TOO_MANY = response(b"", 400)  # answers each request above the allowed number: 400 is not retried
VARIANTS = [
    *(CallVariant("complete"), CallVariant("stream")),
    *(CallVariant("complete", "default"), CallVariant("stream", "default")),
]
DEFAULT_TIMEOUT = 5.0  # seconds: the timeout of cases that have none
CHECK_TIMEOUT = 15.0  # seconds after which a check is abandoned
RUN_TIMEOUT = 450.0  # seconds
TRIES = 2  # a busy machine may be late

# Keys that a strict class requires in every body; ours does not.
REQUIRED_KEYS = {"created": 1, "model": MODEL_FIELDS["model"], "system_fingerprint": None}
payloads.completion = partial(payloads.completion, **REQUIRED_KEYS)
payloads.chunk = partial(payloads.chunk, **REQUIRED_KEYS)

from tests.faults.fault_cases import GROUPS  # noqa: E402 -- made with the functions set above

# --- the classes ---


def chat_openai(**fields: Any) -> Any:
    """Make a ChatOpenAI."""
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 -- installed only with the peers

    return ChatOpenAI(**fields)


def chat_open_router(*, timeout: float, **fields: Any) -> Any:
    """Make a ChatOpenRouter; its timeout is in milliseconds."""
    from langchain_openrouter import ChatOpenRouter  # noqa: PLC0415 -- as above

    return ChatOpenRouter(timeout=int(timeout * 1000), **fields)


def openai_like(*, base_url: str, **fields: Any) -> Any:
    """Make an OpenAILike."""
    from llama_index.llms.openai_like import OpenAILike  # noqa: PLC0415 -- as above

    return OpenAILike(
        api_base=base_url, is_chat_model=True, is_function_calling_model=True, **fields
    )


CLASSES: dict[str, tuple[Callable[..., Any], Adapter]] = {
    "ChatOneRouter": (ChatOneRouter, LangChainAdapter()),
    "OneRouterLLM": (OneRouterLLM, LlamaIndexAdapter()),
    "ChatOpenAI": (chat_openai, LangChainAdapter()),
    "ChatOpenRouter": (chat_open_router, LangChainAdapter()),
    "OpenAILike": (openai_like, LlamaIndexAdapter()),
}
PACKAGES = "langchain-openai langchain-openrouter llama-index-llms-openai-like openai openrouter"


# --- the checks ---


def check_groups() -> Iterator[tuple[str, int, list[Check]]]:
    """Yield the checks of each group and number of retries: its cases with all variants."""
    for group, cases in GROUPS.items():
        without_deadline = [case for case in cases if "deadline" not in case.options]
        for max_retries in (0, 2):
            checks = [
                (case, variant, max_retries)
                for case in without_deadline
                for variant in VARIANTS
                if variant.mode in case.modes
            ]
            yield group, max_retries, checks


def with_patience(script: HTTPScript) -> HTTPScript:
    """Return a script that ends after SERVER_PATIENCE if the original does not end."""
    return tuple(limited for step in script for limited in _limit(step))


def _limit(step: Step) -> Iterator[Step]:
    match step:
        case Repeat(data=data, pause=pause) if pause:
            for _ in range(int(SERVER_PATIENCE / pause)):
                yield from (data, pause)
            yield End.CLOSE
        case End.HANG:
            yield from (SERVER_PATIENCE, End.CLOSE)
        case _:
            yield step


# --- the comparison ---


def skip_waits() -> None:
    """Have sleeping take no time, but move the clock, in all threads but the server's."""
    skipped = 0.0
    now, sleep, async_sleep = time.time, time.sleep, asyncio.sleep

    def skip(seconds: float) -> float:
        """Return the seconds that are really slept."""
        nonlocal skipped
        if threading.current_thread().name == "server":
            return seconds
        if not 0 <= seconds <= threading.TIMEOUT_MAX:  # raised by the real function, too
            raise ValueError(seconds)
        skipped += seconds
        return 0

    async def sleep_on_event_loop(seconds: float, result: Any = None) -> Any:
        return await async_sleep(skip(seconds), result)

    time.sleep = lambda seconds: sleep(skip(seconds))
    time.time = lambda: now() + skipped
    asyncio.sleep = anyio.sleep = sleep_on_event_loop


def is_right(
    case: FaultCase, variant: CallVariant, max_retries: int, outcome: Outcome, requests: int
) -> bool:
    """Tell whether an outcome is good enough for a class of another package."""
    expected = case.expected_for(max_retries)
    if expected.error:
        is_expected = outcome.error is not None
    else:
        answer = (outcome.text, list(outcome.tool_calls))
        right_answer = (expected.text, list(expected.tool_calls))
        is_expected = outcome.error is None and answer == right_answer
    allowed = case.expected_requests(variant.mode, max_retries)
    return is_expected and requests <= allowed and outcome.seconds < SERVER_PATIENCE


def passes(server: Server, name: str, check: Check) -> bool:
    """Run a check for a class; once more if it fails. A check that does not return has failed."""
    for _ in range(TRIES):
        results: list[bool] = []
        run = partial(_run_check, server, name, check, results)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(CHECK_TIMEOUT)
        if thread.is_alive() or results == [True]:
            break
    return results == [True]


def _run_check(server: Server, name: str, check: Check, results: list[bool]) -> None:
    case, variant, max_retries = check
    make_model, adapter = CLASSES[name]
    scripts = [with_patience(script) for script in case.scripts_for(variant.mode)]
    scripts += scripts[-1:] * (max_retries + 1 - len(scripts))
    endpoint = server.endpoint(*scripts[: max_retries + 1], TOO_MANY)
    fields = {**MODEL_FIELDS, "base_url": endpoint.base_url, "max_retries": max_retries}
    started = time.monotonic()
    try:
        model = make_model(**fields, timeout=case.options.get("timeout", DEFAULT_TIMEOUT))
        arguments = adapter, model, variant.mode
        is_sync = variant.backend is None
        outcome = call_model(*arguments) if is_sync else asyncio.run(acall_model(*arguments))
    except Exception as error:  # noqa: BLE001 -- the adapter reads results: that may fail, too
        outcome = Outcome(error=error, seconds=time.monotonic() - started)
    results.append(is_right(case, variant, max_retries, outcome, len(endpoint.requests)))


def count_passed(name: str) -> list[int]:
    """Return the number of passed checks of each group, for one class."""
    skip_waits()
    ends = time.monotonic() + RUN_TIMEOUT
    with Server().running() as server, waiting(0):
        counts = [
            sum(time.monotonic() < ends and passes(server, name, check) for check in checks)
            for *_, checks in check_groups()
        ]
    if time.monotonic() > ends:
        sys.stderr.write(f"The time is over: not all checks of {name} have run.\n")
    return counts


def compare(names: list[str]) -> None:
    """Print the table: the passed checks of each class."""
    with Pool(len(names)) as pool:
        columns = pool.map_async(count_passed, names).get(RUN_TIMEOUT + 2 * CHECK_TIMEOUT)
    print_row("fault cases", "`max_retries`", "checks", *names)
    print_row("---", *["---:"] * (2 + len(names)))
    sizes = [len(checks) for *_, checks in check_groups()]
    for (group, max_retries, _), *numbers in zip(check_groups(), sizes, *columns, strict=True):
        print_row(group, max_retries, *numbers)
    print_row("all", "", *map(sum, (sizes, *columns)))
    print("\nWith", ", ".join(f"{name} {version(name)}" for name in PACKAGES.split()))  # noqa: T201 -- a command


def print_row(*cells: object) -> None:
    """Print a row of the table."""
    print("|", " | ".join(map(str, cells)), "|")  # noqa: T201 -- a command


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    for variable in [name for name in os.environ if name.startswith(("OPENAI_", "OPENROUTER_"))]:
        del os.environ[variable]
    with TemporaryDirectory() as folder:
        file = Path(folder, "single.pem")
        write_one_certificate(file)
        os.environ["SSL_CERT_FILE"] = str(file)
        compare(sys.argv[1:] or list(CLASSES))
