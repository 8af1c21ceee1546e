"""Citations and log probabilities, read out of what the gateway sends."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core.types import Citation, TokenLogprob
from onerouter_core.wire.annotations import decode_citations, decode_logprobs


def test_citations() -> None:
    """A citation is read nested or flat; what it does not say is empty or None."""
    full = {"url": "u", "title": "t", "content": "c", "start_index": 1, "end_index": 2}
    notes = [
        {"type": "url_citation", "url_citation": full},
        {"url": "v"},
        {"type": "file", "file": {}},
        {"url_citation": {"url": 5}},
    ]
    assert list(decode_citations(notes)) == [
        Citation("u", "t", "c", 1, 2),
        Citation("v", "v", "", None, None),
    ]


def test_logprobs() -> None:
    """Tokens have their probability, their bytes, and their alternatives."""
    other = {"token": "Ho", "logprob": -2, "bytes": None}
    item = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [other]}
    assert decode_logprobs({"content": [item, {}]}) == (
        TokenLogprob("Hi", -0.5, (72, 105), (TokenLogprob("Ho", -2.0, (), ()),)),
        TokenLogprob("", 0.0, (), ()),
    )


@pytest.mark.parametrize("odd", [None, {}, {"content": None}, {"content": "x"}, {"content": [5]}])
def test_no_logprobs(odd: Any) -> None:
    """Where there are none there are none."""
    assert decode_logprobs(odd) == ()
