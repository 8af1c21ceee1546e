"""Random bytes, cut responses and changed bytes: the call ends in an answer or a OneRouterError."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onerouter_core.errors import OneRouterError
from tests.core.payloads import chunk, completion, sse
from tests.faults.adapters import VARIANTS, Caller
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES
from tests.faults.fault_cases.streams import first_delta, later_delta
from tests.faults.http_scripts import EVENTS, HTML, JSON, compact, response
from tests.faults.server import HTTPScript, Server

each_variant = pytest.mark.parametrize(
    "variant", [variant for variant in VARIANTS if variant.backend != "default"], ids=str
)
each_class = pytest.mark.parametrize("name", CLASSES)
few_examples = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

TOOL_CALL = [first_delta('{"a"'), later_delta(':"é"}')]
STREAM = sse(chunk("Hé"), chunk({"reasoning": "Hm"}), *TOOL_CALL, chunk("llo", "stop"))
BODY = compact(completion("Héllo", usage={"prompt_tokens": 1}, cost=0.1))
TOKENS = [
    *("data:", "data: [DONE]", "\n", "\r", "{}", "null", '"', "[", "}"),
    *('"choices":', "\\ud83d"),
]
fragments = st.one_of(st.binary(max_size=30), st.sampled_from(TOKENS).map(str.encode))


def check_call(server: Server, caller: Caller, script: HTTPScript) -> Outcome:
    """Call, check that the outcome is text that can be encoded, or an error of ours; return it."""
    outcome: Any = caller.call(server.endpoint(script), max_retries=0, timeout=5)
    assert outcome.error is None or isinstance(outcome.error, OneRouterError), outcome.error
    outcome.text.encode()
    str(outcome.error).encode()
    if outcome.error is not None and outcome.error.partial is not None:
        outcome.error.partial.text.encode()
    return outcome


@each_class
@each_variant
@few_examples
@given(st.lists(fragments, max_size=20), st.sampled_from([JSON, EVENTS, HTML, None]))
def test_any_bytes_are_an_answer_or_an_error(
    server: Server, caller: Caller, body: list[bytes], kind: str | None
) -> None:
    """Random bytes under any content type."""
    check_call(server, caller, response(b"".join(body), kind=kind))


@each_class
@each_variant
@few_examples
@given(st.data())
def test_a_cut_response_is_complete_or_an_error(
    server: Server, caller: Caller, data: st.DataObject
) -> None:
    """A response that ends at a random byte is the complete answer, or an error and a prefix."""
    body = BODY if caller.mode == "complete" else STREAM
    end = data.draw(st.integers(0, len(body)))
    outcome: Any = check_call(server, caller, response(body[:end]))
    if outcome.error is None:
        assert outcome.text == "Héllo"
    else:
        assert end < len(body)
        assert "Héllo".startswith(outcome.text)


@each_class
@each_variant
@few_examples
@given(st.data())
def test_changed_bytes_are_an_answer_or_an_error(
    server: Server, caller: Caller, data: st.DataObject
) -> None:
    """Up to four bytes of a good response are replaced."""
    body = bytearray(BODY if caller.mode == "complete" else STREAM)
    for position in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        body[position] = data.draw(st.integers(0, 255))
    check_call(server, caller, response(bytes(body)))
