"""Citations and token log probabilities."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core.types import Citation, TokenLogprob
from onerouter_core.wire.annotations import decode_citations, decode_logprobs


def test_citations_are_decoded_nested_or_flat() -> None:
    """A citation has its fields below `url_citation` or directly; without a URL it is skipped."""
    fields = {"url": "u", "title": "t", "content": "c", "start_index": 1, "end_index": 2}
    annotations = [
        {"type": "url_citation", "url_citation": fields},
        {"url": "v"},
        {"type": "file", "file": {}},
        {"url_citation": {"url": 5}},
    ]
    assert list(decode_citations(annotations)) == [
        Citation("u", "t", "c", 1, 2),
        Citation("v", "v", "", None, None),
    ]


def test_logprobs_are_decoded_with_bytes_and_alternatives() -> None:
    """A token has its log probability, its bytes and the alternatives; missing keys are empty."""
    alternative = {"token": "Ho", "logprob": -2, "bytes": None}
    item = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [alternative]}
    assert decode_logprobs({"content": [item, {}]}) == (
        TokenLogprob("Hi", -0.5, (72, 105), (TokenLogprob("Ho", -2.0, (), ()),)),
        TokenLogprob("", 0.0, (), ()),
    )


@pytest.mark.parametrize("logprobs", [None, {}, {"content": None}, {"content": "x"}])
def test_logprobs_without_tokens_are_empty(logprobs: Any) -> None:
    """Logprobs that are missing or of another type have no tokens."""
    assert decode_logprobs(logprobs) == ()


def test_logprobs_that_are_no_objects_are_skipped() -> None:
    """An item of the content that is no object is no token."""
    assert decode_logprobs({"content": [5]}) == ()
