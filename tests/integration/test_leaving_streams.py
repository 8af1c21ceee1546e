"""Who leaves a stream, through a gateway, too, or cancels a call gives the engine's slot back."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from functools import partial

import pytest

from tests.integration.conftest import reaching
from tests.integration.engine import WINDOW
from tests.integration.fake_models import FRAMEWORKS, Voice
from tests.integration.servers import Server, set_read_deadline

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers

ENDLESS = {"max_tokens": WINDOW - 100, "extra_body": {"ignore_eos": True}}
SOON = 15.0  # seconds: the engine would go on for several times as long
# Between the parts of a stream it sees at once who is gone. Before a whole answer it looks up only
# after a second in which it was not asked anything else.
PAUSE = 3.0


@pytest.fixture
def wait_for(engine: Server) -> Callable[..., None]:
    """Wait until so many of the engine's slots are at work."""
    asked = urllib.request.Request(  # noqa: S310 -- loopback
        f"{engine.root}/slots", headers={"Authorization": f"Bearer {engine.api_key}"}
    )

    def busy() -> int:
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310 -- loopback
            return sum(slot["is_processing"] for slot in json.load(answer))

    def wait_for(count: int, pause: float = 0.05) -> None:
        set_read_deadline(lambda: busy() == count, SOON, pause)

    return wait_for


def test_a_stream_that_is_left(voice: Voice, wait_for: Callable[..., None]) -> None:
    """The slot that was at work is free as soon as the reader is gone."""
    before, after = partial(wait_for, 1), partial(wait_for, 0)
    voice.leave("Tell me a long story.", before, after, **ENDLESS)


def test_a_call_that_is_cancelled(
    framework: str, engine: Server, wait_for: Callable[..., None]
) -> None:
    """So is that of a call that waits for the whole answer, which LiteLLM would let go on."""
    asking = FRAMEWORKS[framework](**reaching(engine))

    async def run() -> None:
        call = asyncio.create_task(asking.aask("Tell me a long story.", **ENDLESS))
        await asyncio.to_thread(wait_for, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(wait_for, 0, PAUSE)

    asyncio.run(run())
