"""Validation of `response_format`."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import JSON, Post
from tests.simulator.validation.conftest import (
    STRICT,
    rejected_param,
    with_schema,
)

REJECTED: dict[str, tuple[JSON, str]] = {
    "format-null": ({"response_format": None}, "response_format"),
    "format-text": ({"response_format": "json"}, "response_format"),
    "format-type": ({"response_format": {"type": "xml"}}, "response_format"),
    "format-bare": (
        {"response_format": {"type": "json_schema", "json_schema": STRICT}},
        "response_format",
    ),
    "format-name": (with_schema(STRICT, name="my answer"), "response_format"),
    "format-schema": (with_schema(None), "response_format"),
    "format-strict": (with_schema(STRICT, strict=1), "response_format"),
    "format-json-schema": ({"response_format": {"type": "json", "schema": 7}}, "response_format"),
    "format-json-name": ({"response_format": {"type": "json", "name": 7}}, "response_format"),
    "format-json-schema-type": (
        {"response_format": {"type": "json", "schema": {"type": "text"}}},
        "response_format.schema",
    ),
}


@pytest.mark.parametrize(("body", "param"), REJECTED.values(), ids=REJECTED)
def test_a_malformed_response_format_is_rejected(post: Post, body: JSON, param: str) -> None:
    """The error is a 400 with the gateway's body and the path of the parameter."""
    assert rejected_param(post(**body)) == param


ALLOWED: dict[str, JSON] = {
    "format-json": {"response_format": {"type": "json"}},
    "format-text": {"response_format": {"type": "text"}},
    "format-schema": with_schema(STRICT, strict=True, description="An answer."),
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_a_well_formed_response_format_is_allowed(post: Post, body: JSON) -> None:
    """The form `json` needs no schema, and a schema may have a description."""
    reply = post(**body)
    assert reply.status_code == 200, reply.text
