"""Errors of a real engine and of a proxy in front of it, and their classes."""

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
from tests.integration.adapters import Caller
from tests.integration.engine import CONTEXT_WINDOW
from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers

CASES: dict[str, tuple[type[OneRouterError], str, dict[str, Any]]] = {
    "a malformed field": (InvalidRequestError, "Hi", {"extra_body": {"temperature": "hot"}}),
    "a prompt that is too long": (ContextOverflowError, "word " * CONTEXT_WINDOW, {}),
}


def errors_of_both_modes(caller: Caller, text: str, **options: Any) -> list[OneRouterError]:
    """Return the errors of a complete and of a streamed call."""
    with pytest.raises(OneRouterError) as complete:
        caller.call(text, **options)
    with pytest.raises(OneRouterError) as streamed:
        caller.stream(text, **options)
    return [complete.value, streamed.value]


@pytest.mark.parametrize("case", CASES)
def test_a_rejected_request_is_a_typed_error(caller: Caller, case: str) -> None:
    """The error has the class, the status and the model, complete and streamed."""
    error_class, text, options = CASES[case]
    for error in errors_of_both_modes(caller, text, **options):
        assert isinstance(error, error_class)
        is_overflow = error_class is ContextOverflowError
        assert isinstance(error, ContextOverflowError) is is_overflow
        assert (error.status, error.model, error.transient) == (400, "smollm2", False)


def test_a_wrong_key_is_an_authentication_error(caller: Caller, server: Server) -> None:
    """The engine rejects our key, or the key of the proxy; the error does not show ours."""
    options = {"model": "wrong-key"} if server.name == "proxy" else {"api_key": "sk-wrong-one"}
    for error in errors_of_both_modes(caller, "Hi", **options):
        assert isinstance(error, AuthenticationError)
        assert error.status == 401
        assert "sk-wrong-one" not in str(error)
        assert server.api_key not in str(error)


def test_an_unknown_model_is_a_model_not_found_error(caller: Caller, server: Server) -> None:
    """The proxy rejects it; the engine has one model, which answers under its own name."""
    if server.name == "engine":
        assert caller.call("Hi", model="nobody/nothing").model == server.model
    else:
        for error in errors_of_both_modes(caller, "Hi", model="nobody/nothing"):
            assert isinstance(error, ModelNotFoundError)


@pytest.mark.parametrize("server", ["proxy"], indirect=True)
def test_an_upstream_that_is_down_is_retried(caller: Caller) -> None:
    """The error has the number of attempts."""
    for error in errors_of_both_modes(caller, "Hi", model="down", max_retries=1):
        assert isinstance(error, UpstreamError)
        assert (error.transient, error.attempts) == (True, 2)


@pytest.mark.parametrize("server", ["proxy"], indirect=True)
def test_the_second_call_of_a_minute_is_a_rate_limit_error(caller: Caller) -> None:
    """One call per minute is allowed; of three calls, one may be in the next minute."""
    options = {"model": "rate-limited", "max_tokens": 1, "max_retries": 0}
    errors = [error for _ in range(3) if (error := error_of(caller, "Hi", **options))]
    assert errors
    for error in errors:
        assert isinstance(error, RateLimitError)
        assert (error.status, error.transient) == (429, True)


def error_of(caller: Caller, text: str, **options: Any) -> OneRouterError | None:
    """Return the error of a call; None if there is an answer."""
    try:
        caller.call(text, **options)
    except OneRouterError as error:
        return error
    return None
