"""Error messages of real calls: they name the address, and the ids that support asks for."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from onerouter_core import Gateway
from onerouter_core.errors import APIConnectionError, IncompleteStreamError
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk

Make = Callable[..., Gateway]


def test_a_failed_connection_names_the_address(gateway: Make, caller: Caller) -> None:
    """Most often the address is wrong."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # not listening: connections are refused
        base_url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        with pytest.raises(APIConnectionError) as caught:
            caller.complete(gateway(base_url=base_url), HELLO)
    assert f"({base_url})" in str(caught.value)


def test_an_interrupted_stream_names_request_and_generation(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Both ids come from the part of the reply that has arrived."""
    sim.script(Script(events=[chunk("Hel")], end="cut", headers={"x-infron-request-id": "r1"}))
    with pytest.raises(IncompleteStreamError, match="The stream was interrupted") as caught:
        caller.stream(gateway(), HELLO)
    assert caught.value.request_id == "r1"
    assert caught.value.generation_id == caught.value.partial.id == "gen-1"
