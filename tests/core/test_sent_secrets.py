"""Secrets that an instance has sent: remembered in limits, removed from errors."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from onerouter_core import Clients, Gateway, OneRouterError, Reply
from onerouter_core.errors import MIN_SECRET, MalformedReplyError
from onerouter_core.sent_secrets import MAX_SECRETS, SentSecrets

KEY = "sk-canary-0123456789"


def sent(*secrets: str | None) -> SentSecrets:
    """Return the secrets of one request."""
    remembered = SentSecrets()
    remembered.add(secrets)
    return remembered


def chained(message: str, **attributes: Any) -> OneRouterError:
    """Return an error that was raised from another one."""
    try:
        raise MalformedReplyError(message, **attributes) from ValueError(message)
    except OneRouterError as error:
        return error


def test_a_secret_is_removed_from_all_attributes() -> None:
    """Message, arguments, `partial`, a framework's message; the causes and the frames are gone."""
    message = AIMessage(f"I know {KEY}", id=KEY)
    error = chained(f"Not {KEY}", partial=Reply(text=KEY), generation_id=KEY)
    error.raw_message = message  # type: ignore[attr-defined]
    assert sent(KEY, None).redact(error) is error
    assert (error.message, error.args) == ("Not ***", ("Not ***",))
    assert KEY not in str(error)
    assert (error.partial.text, error.generation_id) == ("***", "***")
    assert error.raw_message == AIMessage("I know ***", id="***")  # type: ignore[attr-defined]
    assert message == AIMessage(f"I know {KEY}", id=KEY)
    assert (error.__cause__, error.__context__, error.__traceback__) == (None, None, None)


def test_a_secret_is_removed_from_json() -> None:
    """The JSON itself stays as it is."""
    value = {"echo": [KEY], KEY: 1}
    assert sent(KEY).redact_json(value) == {"echo": ["***"], "***": 1}
    assert value == {"echo": [KEY], KEY: 1}
    assert sent().redact_json(value) == value


@pytest.mark.parametrize("secrets", [(), (None,), ("sk-another-key",), ("x" * (MIN_SECRET - 1),)])
def test_an_error_without_a_secret_is_left_as_it_is(secrets: tuple[str | None, ...]) -> None:
    """Its attributes are the same objects, and its cause stays."""
    reply = Reply(text="x" * 20)
    error = sent(*secrets).redact(chained("Not it", partial=reply))
    assert error.partial is reply
    assert error.__cause__ is not None
    assert error.__traceback__ is not None


def test_the_secrets_sent_last_are_remembered() -> None:
    """Those of many requests, such as the keys of many accounts; each once."""
    remembered = SentSecrets()
    keys = [f"sk-canary-{number:05}" for number in range(3 * MAX_SECRETS)]
    for key in keys:
        remembered.add((key, "Bearer header"))
        remembered.add((key, "Bearer header"))
    for index, text in ((-1, "***"), (-MAX_SECRETS // 2, "***"), (0, keys[0])):
        assert remembered.redact(OneRouterError(keys[index])).message == text


def test_they_are_in_no_repr_and_in_no_copy() -> None:
    """A debugger shows asterisks; a pickled instance starts without."""
    clients = Clients()
    clients.sent_secrets.add((KEY,))
    assert KEY not in repr(vars(clients.sent_secrets))
    assert KEY.encode() not in pickle.dumps(Gateway(clients=clients))
