"""Secrets stay in, and nothing of anybody else's gets out."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from onerouter_core import Clients, Gateway, OneRouterError
from onerouter_core.errors import ConfigurationError
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]
Send = Callable[..., Any]

KEY = "sk-very-secret-0123456789"
POISON = {
    "OPENAI_API_KEY": "poison-key",
    "OPENAI_ADMIN_KEY": "poison-admin",
    "OPENAI_ORG_ID": "poison-org",
    "OPENAI_ORGANIZATION": "poison-org",
    "OPENAI_PROJECT_ID": "poison-project",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/poison",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer poison-header\nX-Poison: poison",
    "OPENAI_WEBHOOK_SECRET": "poison-secret",
    "OPENAI_LOG": "debug",
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that it came from or with."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


ECHOES = {
    "a refusal": Script(status=401, json={"error": {"message": f"Bad key {KEY}"}}),
    "a page": Script(status=502, body=f"<title>{KEY}</title>"),
    "an error under 200": Script(json={"error": f"Bad key {KEY}"}),
    "an error chunk": Script(events=[chunk("a"), {"error": {"message": f"Bad key {KEY}"}}]),
    "an event that is no JSON": Script(body=f"data: {KEY}\n\n"),
    "no answer": Script(json={"said": KEY}),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_a_key_that_is_echoed(sim: Simulator, gateway: Make, send: Send, echo: Script) -> None:
    """A server that echoes the key does not get it into any error, nor into a traceback."""
    sim.script(echo)
    with pytest.raises(OneRouterError) as caught:
        send(gateway(api_key=SecretStr(KEY), max_retries=0), HELLO)
    error = caught.value
    said = [str(error), repr(error), error.message, *traceback.format_exception(error)]
    said += [repr(value) for origin in chain(error) for value in (origin, origin.args)]
    assert not [text for text in said if KEY in text]


@pytest.mark.parametrize(
    "key", [f"{KEY}\nX-Other: 1", f"{KEY[:-2]}\x00x", f"{KEY}\u201d", f"\U0001f511{KEY}"]
)
def test_a_key_that_no_header_can_carry(
    sim: Simulator, gateway: Make, send: Send, key: str
) -> None:
    """Such a key is an error of the caller's that does not show it, and nothing is sent."""
    with pytest.raises(ConfigurationError, match="no header can carry") as caught:
        send(gateway(api_key=SecretStr(key)), HELLO)
    assert sim.requests == []
    said = [*traceback.format_exception(caught.value), *map(repr, chain(caught.value))]
    assert not [text for text in said if KEY[:10] in text]


def test_repr(gateway: Make, sim: Simulator) -> None:
    """Neither key nor headers are in the repr of a connection."""
    connection = gateway(api_key=SecretStr(KEY), headers={"x": KEY}).connection
    assert KEY not in repr(connection)


def test_variables_of_the_sdk(
    sim: Simulator, gateway: Make, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No OPENAI_* variable changes where a request goes or what it says."""
    for name, value in POISON.items():
        monkeypatch.setenv(name, value)
    sim.script(Script(json=completion()), Script(events=[chunk("Hi", "stop")]))
    shared = Clients()
    one = gateway(clients=shared)
    caller.complete(one, HELLO)
    caller.stream(one, HELLO)
    caller.models(one)
    caller.models(gateway(clients=shared, api_key=None))
    assert len(sim.requests) == 4
    for request in sim.requests:
        sent = [*request.headers, *request.headers.values(), request.raw.decode(), request.path]
        assert not [text for text in sent if "poison" in text.lower()]
        assert request.headers.get("authorization") in (f"Bearer {sim.api_key}", None)
    assert os.environ["OPENAI_LOG"] == "debug"


def test_the_sdks_log_stays_off() -> None:
    """OPENAI_LOG, which the SDK reads at import, does not make it log our requests."""
    code = (
        "import logging, onerouter_core\n"
        "onerouter_core.warm_up()\n"
        "print(logging.getLogger('openai').level)"
    )
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own words
        [sys.executable, "-c", code],
        env={**os.environ, "OPENAI_LOG": "debug"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "0"


def test_no_hint_of_the_sdk_in_a_request(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """Nothing is told about the machine that a request comes from."""
    sim.script(Script(json=completion()))
    caller.complete(gateway(), HELLO)
    told = [name for name in sim.last.headers if name.startswith("x-stainless")]
    assert not {"x-stainless-os", "x-stainless-arch", "x-stainless-runtime"} & {*told}
