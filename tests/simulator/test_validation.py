"""Validation of the body as a whole. The checks of its keys are tested in validation/."""

from __future__ import annotations

import httpx
import pytest

from onerouter_simulator.errors import RejectedError
from onerouter_simulator.validation import validate_request


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'"Hi"'])
def test_a_body_that_is_no_json_object_is_rejected(http: httpx.Client, raw: bytes) -> None:
    """The code is `invalid_text_request`."""
    reply = http.post("/chat/completions", content=raw)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_text_request"


def test_a_valid_body_is_returned_unchanged() -> None:
    """The body is the same object, with its unknown keys."""
    body = {"model": "a/b", "messages": [{"role": "user", "content": "Hi"}], "unknown_key": None}
    assert validate_request(body) is body


@pytest.mark.parametrize(
    ("key", "value"),
    [("n", 0), ("messages", [{}]), ("tools", []), ("response_format", {"type": "xml"})],
)
def test_every_group_of_keys_is_checked(key: str, value: object) -> None:
    """Parameters, messages, tools and the response format each have their check."""
    body = {"model": "a/b", "messages": [{"role": "user", "content": "Hi"}], key: value}
    with pytest.raises(RejectedError) as caught:
        validate_request(body)
    assert caught.value.status == 400
    assert caught.value.error["param"].startswith(key)
