"""Abandoned streams and cancelled calls free the engine's slot, also behind a proxy."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from functools import partial

import pytest

from tests.integration.adapters import ADAPTERS, Caller
from tests.integration.conftest import model_fields
from tests.integration.engine import CONTEXT_WINDOW
from tests.integration.servers import Server, wait_until

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers

ENDLESS = {"max_tokens": CONTEXT_WINDOW - 100, "extra_body": {"ignore_eos": True}}
TIMEOUT = 15.0  # seconds: without a disconnect the engine would go on several times as long
# Between the parts of a stream the engine sees a disconnect at once. Before a complete answer it
# checks the connection only after a second without another request, so `/slots` is polled slowly.
SLOW_INTERVAL = 3.0

CheckBusySlots = Callable[..., None]


@pytest.fixture
def check_busy_slots(engine: Server) -> CheckBusySlots:
    """Provide a check that a number of the engine's slots becomes busy within TIMEOUT."""
    request = urllib.request.Request(  # noqa: S310 -- loopback
        f"{engine.root}/slots", headers={"Authorization": f"Bearer {engine.api_key}"}
    )

    def count_busy() -> int:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 -- loopback
            return sum(slot["is_processing"] for slot in json.load(response))

    def check_busy_slots(count: int, interval: float = 0.05) -> None:
        wait_until(lambda: count_busy() == count, TIMEOUT, interval)

    return check_busy_slots


def test_an_abandoned_stream_frees_its_slot(
    caller: Caller, check_busy_slots: CheckBusySlots
) -> None:
    """One slot is busy before the stream is closed, and none after it."""
    before, after = partial(check_busy_slots, 1), partial(check_busy_slots, 0)
    caller.abandon_stream("Tell me a long story.", before, after, **ENDLESS)
    check_busy_slots(0)


def test_a_cancelled_call_frees_its_slot(
    framework: str, engine: Server, check_busy_slots: CheckBusySlots
) -> None:
    """A call that waits for a complete answer; LiteLLM would not pass the disconnect on."""
    adapter = ADAPTERS[framework](**model_fields(engine))

    async def run() -> None:
        call = asyncio.create_task(adapter.acall("Tell me a long story.", **ENDLESS))
        await asyncio.to_thread(check_busy_slots, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(check_busy_slots, 0, SLOW_INTERVAL)

    asyncio.run(run())
