"""SDK clients: import on demand, HTTP clients of the user, and what a shared client sends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import openai
import pytest

from onerouter_core import Clients, Gateway, __version__
from onerouter_core.errors import ConfigurationError, IncompleteStreamError
from onerouter_core.sdk_clients import aload_sdk, load_sdk, stricter_timeout
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]
Send = Callable[..., Any]
ANSWER = Script(json=completion())


# --- import ---


async def test_load_sdk_returns_the_openai_module() -> None:
    """The async variant, too, as often as it is called."""
    assert load_sdk() is openai
    assert await aload_sdk() is openai
    assert await aload_sdk() is openai


def test_the_import_ignores_and_keeps_the_variable_openai_log() -> None:
    """At its import, the SDK would set up logging that shows requests."""
    code = (
        "import logging, os, onerouter_core\n"
        "onerouter_core.warm_up()\n"
        "print(logging.getLogger('openai').level, os.environ['OPENAI_LOG'])"
    )
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own code
        [sys.executable, "-c", code],
        env={**os.environ, "OPENAI_LOG": "debug"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "debug"]


COLD_CALL = """
import asyncio, json, ssl, sys
from onerouter_core import ConnectionSettings, Gateway, Message, Request, Text

mode, base_url, key = sys.argv[1:]
if mode.endswith("default"):  # as if aiohttp were not installed
    sys.modules["aiohttp"] = None
before, contexts = [], []
create_default_context = ssl.create_default_context

def create_context(*args, **options):
    contexts.append(bool(before))
    return create_default_context(*args, **options)

ssl.create_default_context = create_context

def get_key():  # the clock of the call has started
    before.append(set(sys.modules))
    return key

gateway = Gateway(ConnectionSettings(get_key, base_url, deadline=60, max_retries=0))
request = Request("m", (Message("user", (Text("Hello"),)),))

async def stream():
    return [delta async for delta in await gateway.astream(request)]

if mode == "complete":
    gateway.complete(request)
elif mode == "stream":
    list(gateway.stream(request))
elif mode.startswith("acomplete"):
    asyncio.run(gateway.acomplete(request))
else:
    asyncio.run(stream())
print(json.dumps([sorted(set(sys.modules) - before[0]), contexts]))
"""


@pytest.mark.parametrize("mode", ["complete", "stream", "acomplete", "astream-default"])
def test_in_a_cold_process_all_is_loaded_before_the_clock_starts(sim: Simulator, mode: str) -> None:
    """The SDK, the HTTP library and the certificates: seconds, which are none of the server's."""
    sim.script(
        Script(json=completion()) if "complete" in mode else Script(events=[chunk("Hi", "stop")])
    )
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own code
        [sys.executable, "-c", COLD_CALL, mode, sim.base_url, sim.api_key],
        capture_output=True,
        text=True,
        check=True,
    )
    imported_later, is_context_late = json.loads(done.stdout)
    assert imported_later == []
    assert is_context_late
    assert not any(is_context_late)


# --- HTTP clients of the user ---


def test_an_http_client_of_the_user_is_used_and_not_closed(sim: Simulator, gateway: Make) -> None:
    """Only by the gateway that it was given to."""
    sim.script(ANSWER, ANSWER)
    headers = {"x-mine": "1"}
    with openai.DefaultHttpxClient(headers=headers) as http_client, gateway() as other:
        one = gateway(http_client=http_client)
        assert one.complete(HELLO).text == "Hi"
        assert sim.last.headers["x-mine"] == "1"
        one.close()
        assert not http_client.is_closed
        assert other.complete(HELLO).text == "Hi"
        assert "x-mine" not in sim.last.headers


async def test_an_async_http_client_of_the_user_is_used_and_not_closed(
    sim: Simulator, gateway: Make
) -> None:
    """Also after the gateway was closed once."""
    sim.script(ANSWER, ANSWER)
    async with openai.DefaultAsyncHttpxClient(headers={"x-mine": "1"}) as http_client:
        one = gateway(http_async_client=http_client)
        for _ in range(2):
            assert (await one.acomplete(HELLO)).text == "Hi"
            assert sim.last.headers["x-mine"] == "1"
            await one.aclose()
        assert not http_client.is_closed


def test_an_object_that_is_no_http_client_is_a_configuration_error(
    gateway: Make, send: Send
) -> None:
    """The error names the type of the object."""
    with pytest.raises(ConfigurationError, match="HTTP client object does not fit the openai SDK"):
        send(gateway(http_client=object(), http_async_client=object()), HELLO)


def test_timeouts_of_a_users_client_and_ours() -> None:
    """The lower one of each kind; None is no limit."""
    timeout_class = type(openai.DefaultHttpxClient().timeout)
    kinds = ("connect", "read", "write", "pool")
    with openai.DefaultHttpxClient(timeout=timeout_class(600, connect=3, pool=None)) as client:
        for seconds, expected in ((60.0, (3, 60, 60, 60)), (None, (3, 600, 600, None))):
            timeout = stricter_timeout(client, seconds)
            assert tuple(getattr(timeout, kind) for kind in kinds) == expected


@pytest.mark.parametrize(
    "client_class", [openai.DefaultHttpxClient, openai.DefaultAsyncHttpxClient]
)
@pytest.mark.parametrize("chosen", [5, 5.0])
def test_the_timeout_that_nobody_chose_is_no_limit(client_class: Any, chosen: float) -> None:
    """The HTTP library's default is five seconds; the same limit, when chosen, holds."""
    plain_class = client_class.__mro__[1]  # the class of the HTTP library
    for timeout, expected in (({}, 60.0), ({"timeout": chosen}, 5.0), ({"timeout": None}, 60.0)):
        assert stricter_timeout(plain_class(**timeout), 60.0).read == expected
    assert stricter_timeout(plain_class(), None).read is None


# --- shared HTTP clients ---


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_without_socksio_says_what_to_install(
    sim: Simulator, gateway: Make, caller: Caller, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Sync and async; the aiohttp transport would speak HTTP to the proxy."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    for variable in ("ALL_PROXY", "HTTP_PROXY", "https_proxy"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, f"{scheme}://127.0.0.1:9")
            with pytest.raises(ConfigurationError, match="pip install socksio"):
                caller.complete(gateway(clients=Clients()), HELLO)
    assert sim.requests == []


@pytest.mark.parametrize(
    "variable",
    [("SSL_CERT_FILE", "/nowhere/at/all"), ("SSL_CERT_FILE", __file__), ("ALL_PROXY", "x://y")],
)
def test_an_invalid_environment_is_a_configuration_error(
    sim: Simulator, gateway: Make, send: Send, monkeypatch: pytest.MonkeyPatch, variable: Any
) -> None:
    """A missing or invalid certificate file, or a proxy of an unknown scheme; nothing is sent."""
    monkeypatch.setenv(*variable)
    with pytest.raises(ConfigurationError, match="check the environment variables") as caught:
        send(gateway(clients=Clients()), HELLO)
    assert caught.value.attempts == 1
    assert sim.requests == []


def test_requests_identify_the_package_and_not_the_sdk(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """The SDK itself would add headers about the machine."""
    sim.script(ANSWER)
    caller.complete(gateway(), HELLO)
    assert sim.last.headers["user-agent"] == f"onerouter-integrations/{__version__}"
    about_machine = {"x-stainless-os", "x-stainless-arch", "x-stainless-runtime"}
    assert not about_machine & {*sim.last.headers}


def test_cookies_are_not_sent_back(
    sim: Simulator, gateway: Make, caller: Caller, new_clients: None
) -> None:
    """Clients are shared: a cookie may identify the account of another key."""
    sim.script(Script(json=completion(), headers={"set-cookie": "account=1; Path=/"}), ANSWER)
    # A host name: no HTTP library stores a cookie for an IP address.
    one = gateway(clients=Clients(), base_url=sim.base_url.replace("127.0.0.1", "localhost"))
    caller.complete(one, HELLO)
    caller.complete(one, HELLO)
    assert "cookie" not in sim.last.headers


async def test_without_aiohttp_async_calls_use_the_sdks_default(
    sim: Simulator, gateway: Make, new_clients: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Complete and streamed replies, early closing and errors."""

    class MissingClient:
        def __init__(self, **_: Any) -> None:
            raise RuntimeError("To use the aiohttp client you must have installed the package")

    monkeypatch.setattr(openai, "DefaultAioHttpClient", MissingClient)
    events = [chunk("Hel")]
    sim.script(ANSWER, Script(events=events, end="hang"), Script(events=events, end="cut"))
    async with gateway(clients=Clients(), max_retries=0) as one:
        assert (await one.acomplete(HELLO)).text == "Hi"
        stream = await one.astream(HELLO)
        assert (await anext(stream)).text == "Hel"
        await stream.aclose()
        assert await asyncio.to_thread(sim.last.wait_hung_up, 2)
        with pytest.raises(IncompleteStreamError):
            assert [delta async for delta in await one.astream(HELLO)]
