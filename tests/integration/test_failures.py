"""How a real engine and a real gateway refuse, and what our classes make of it."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core.errors import (
    AuthenticationError,
    ContextOverflowError,
    InvalidRequestError,
    ModelNotFoundError,
    OneRouterError,
    RateLimitError,
    UpstreamError,
)
from tests.integration.engine import WINDOW
from tests.integration.fake_models import Voice
from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers

CASES: dict[str, tuple[type[OneRouterError], int, str, dict[str, Any]]] = {
    "a malformed field": (InvalidRequestError, 400, "Hi", {"extra_body": {"temperature": "hot"}}),
    "a prompt too long": (ContextOverflowError, 400, "word " * WINDOW, {}),
}


def both(voice: Voice, text: str, **options: Any) -> list[OneRouterError]:
    """Return the errors of an unstreamed and of a streamed call."""
    with pytest.raises(OneRouterError) as asked:
        voice.ask(text, **options)
    with pytest.raises(OneRouterError) as heard:
        voice.hear(text, **options)
    return [asked.value, heard.value]


@pytest.mark.parametrize("case", CASES)
def test_a_request_that_cannot_be_served(voice: Voice, case: str) -> None:
    """The same typed error streamed and unstreamed, with the status and the model asked for."""
    kind, status, text, options = CASES[case]
    for error in both(voice, text, **options):
        assert isinstance(error, kind)
        assert isinstance(error, ContextOverflowError) is (kind is ContextOverflowError)
        assert (error.status, error.model, error.transient) == (status, "smollm2", False)


def test_a_wrong_key(voice: Voice, server: Server) -> None:
    """The engine refuses ours, or the gateway's own; either way ours is not shown."""
    wrong = {"model": "locked"} if server.name == "proxy" else {"api_key": "sk-wrong-one"}
    for error in both(voice, "Hi", **wrong):
        assert isinstance(error, AuthenticationError)
        assert error.status == 401
        assert "sk-wrong-one" not in str(error)
        assert server.api_key not in str(error)


def test_a_model_that_is_not_there(voice: Voice, server: Server) -> None:
    """The gateway has no such model; the engine has one only, and says who answered."""
    if server.name == "engine":
        assert voice.ask("Hi", model="nobody/nothing").model == server.model
    else:
        for error in both(voice, "Hi", model="nobody/nothing"):
            assert isinstance(error, ModelNotFoundError)


@pytest.mark.parametrize("server", ["proxy"], indirect=True)
def test_an_upstream_that_is_down(voice: Voice) -> None:
    """It is asked again, as often as allowed; then the error says how often."""
    for error in both(voice, "Hi", model="down", max_retries=1):
        assert isinstance(error, UpstreamError)
        assert (error.transient, error.attempts) == (True, 2)


@pytest.mark.parametrize("server", ["proxy"], indirect=True)
def test_a_ration_that_is_used_up(voice: Voice) -> None:
    """The second call of a minute is one too many; a minute may end once in three."""
    tries = [refusal(voice, "Hi", model="rationed", max_tokens=1, max_retries=0) for _ in range(3)]
    errors = [error for error in tries if error]
    assert errors
    for error in errors:
        assert isinstance(error, RateLimitError)
        assert (error.status, error.transient) == (429, True)


def refusal(voice: Voice, text: str, **options: Any) -> OneRouterError | None:
    """Return the error of a call, or None if it was answered."""
    try:
        voice.ask(text, **options)
    except OneRouterError as error:
        return error
    return None
