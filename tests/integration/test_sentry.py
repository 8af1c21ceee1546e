"""Sentry with its default settings: locals of frames are sent, and no secret is among them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("sentry_sdk", reason="make integration installs it")

import sentry_sdk
import sentry_sdk.transport

from tests.faults.adapters import VARIANTS, CallVariant, acall_model, call_model
from tests.faults.conftest import CLASSES, MakeModel, hide_aiohttp, make_model, new_clients, server
from tests.faults.http_scripts import response
from tests.faults.secret_recorder import find_leaks
from tests.faults.server import End, HTTPScript, Server

__all__ = ["make_model", "new_clients", "server"]  # fixtures

KEY, HEADER = "sk-canary-key-of-the-model", "canary-header-of-the-model"
FIELDS = {"api_key": KEY, "default_headers": {"x-tenant": HEADER, "cookie": f"id={HEADER}"}}
ECHO = {"error": {"message": f"Bad key {KEY}"}}
SCRIPTS: dict[str, HTTPScript] = {
    "disconnected": (End.CLOSE,),
    "status 429": response(ECHO, 429),
}


@pytest.fixture
def sent() -> Iterator[list[Any]]:
    """Set Sentry up with a transport in memory; return the events and spans that it gets."""
    sent: list[Any] = []

    class MemoryTransport(sentry_sdk.transport.Transport):  # type: ignore[misc]
        def capture_envelope(self, envelope: Any) -> None:
            sent.extend(item.payload.json for item in envelope.items)

    sentry_sdk.init(
        dsn="https://key@sentry.test/1", traces_sample_rate=1.0, transport=MemoryTransport
    )
    yield sent
    sentry_sdk.init()


@pytest.mark.parametrize("variant", [VARIANTS[0], VARIANTS[1], VARIANTS[4]], ids=str)
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_sentry_is_sent_no_secret(  # noqa: PLR0913, PLR0917 -- parameters
    server: Server,
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
    sent: list[Any],
    name: str,
    variant: CallVariant,
    script: str,
) -> None:
    """Neither in the error's frames nor in spans; the span of a refusal has its status."""
    if variant.backend == "default":
        hide_aiohttp(monkeypatch)
    adapter, model = CLASSES[name][1], make_model(name, server.endpoint(SCRIPTS[script]), **FIELDS)

    async def acall() -> Any:
        outcome = await acall_model(adapter, model, variant.mode)
        await model.aclose()
        return outcome

    with sentry_sdk.start_transaction(name="call"):
        is_sync = variant.backend is None
        outcome = call_model(adapter, model, variant.mode) if is_sync else asyncio.run(acall())
        sentry_sdk.capture_exception(outcome.error)
    sentry_sdk.flush()
    texts = [json.dumps(item) for item in sent if item is not None]
    assert any('"vars"' in text for text in texts)
    assert find_leaks(texts) == []
    if script == "status 429":
        assert any('"http.response.status_code": 429' in text for text in texts)
