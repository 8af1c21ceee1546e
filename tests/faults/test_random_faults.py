"""Bytes that nobody thought of: an answer or an error of ours, never anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onerouter_core.errors import OneRouterError
from tests.core.payloads import chunk, completion, sse
from tests.faults.adapters import WAYS, User
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES
from tests.faults.http_scripts import EVENTS, HTML, JSON, compact, http
from tests.faults.rows.streams import begun, more
from tests.faults.server import Play, Server

each_way = pytest.mark.parametrize(
    "way", [way for way in WAYS if way.backend != "default"], ids=str
)
each_class = pytest.mark.parametrize("name", CLASSES)
few = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

CALL = [begun('{"a"'), more(':"é"}')]
STREAM = sse(chunk("Hé"), chunk({"reasoning": "Hm"}), *CALL, chunk("llo", "stop"))
BODY = compact(completion("Héllo", usage={"prompt_tokens": 1}, cost=0.1))
WORDS = ["data:", "data: [DONE]", "\n", "\r", "{}", "null", '"', "[", "}", '"choices":', "\\ud83d"]
fragments = st.one_of(st.binary(max_size=30), st.sampled_from(WORDS).map(str.encode))


def outcome(server: Server, user: User, play: Play) -> Outcome:
    """Return what a user gets, which is text that can be written, or an error of ours."""
    got: Any = user.calls(server.line(play), max_retries=0, timeout=5)
    assert got.error is None or isinstance(got.error, OneRouterError), got.error
    got.text.encode()
    str(got.error).encode()
    if got.error is not None and got.error.partial is not None:
        got.error.partial.text.encode()
    return got


@each_class
@each_way
@few
@given(st.lists(fragments, max_size=20), st.sampled_from([JSON, EVENTS, HTML, None]))
def test_any_bytes(server: Server, user: User, written: list[bytes], kind: str | None) -> None:
    """Whatever they are, and are called."""
    outcome(server, user, http(b"".join(written), kind=kind))


@each_class
@each_way
@few
@given(st.data())
def test_an_answer_cut_anywhere(server: Server, user: User, data: st.DataObject) -> None:
    """It is whole, or an error that has what came of it."""
    answer = BODY if user.mode == "whole" else STREAM
    cut = data.draw(st.integers(0, len(answer)))
    got: Any = outcome(server, user, http(answer[:cut]))
    if got.error is None:
        assert got.text == "Héllo"
    else:
        assert cut < len(answer)
        assert "Héllo".startswith(got.text)


@each_class
@each_way
@few
@given(st.data())
def test_an_answer_that_is_garbled(server: Server, user: User, data: st.DataObject) -> None:
    """A few bytes of it are others."""
    answer = bytearray(BODY if user.mode == "whole" else STREAM)
    for place in data.draw(st.lists(st.integers(0, len(answer) - 1), max_size=4)):
        answer[place] = data.draw(st.integers(0, 255))
    outcome(server, user, http(bytes(answer)))
