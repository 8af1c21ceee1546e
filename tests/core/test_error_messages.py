"""Error messages: they say what is wrong, where, and what to do."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from onerouter_core import Gateway, errors
from onerouter_core.errors import APIConnectionError, IncompleteStreamError, OneRouterError
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk

Make = Callable[..., Gateway]

# What is wrong with an argument says so in its own message.
NO_HINT = {"OneRouterError", "ConfigurationError", "UnsupportedContentError"}
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, OneRouterError) and kind.__name__ not in NO_HINT
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_says_what_to_do(kind: type[OneRouterError]) -> None:
    """Its hint is the end of its message."""
    assert kind.hint
    assert str(kind("No.")).endswith(kind.hint)


def test_a_failed_connection_says_where_to(gateway: Make, caller: Caller) -> None:
    """The address is what was wrong, most often."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        there = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(APIConnectionError) as caught:
            caller.complete(gateway(base_url=there), HELLO)
    assert f"({there})" in str(caught.value)


def test_a_cut_stream_says_which(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """Support asks for the ids of what came."""
    sim.script(Script(events=[chunk("Hel")], end="cut", headers={"x-infron-request-id": "r1"}))
    with pytest.raises(IncompleteStreamError) as caught:
        caller.stream(gateway(), HELLO)
    assert caught.value.request_id == "r1"
    assert caught.value.generation_id == caught.value.partial.id
