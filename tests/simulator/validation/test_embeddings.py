"""Requests for embeddings that are rejected: type, range and name of each parameter."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

VALID = {"model": "simulated/embedding", "input": "Hello"}


@pytest.mark.parametrize(
    ("param", "values"),
    [
        ("input", [None, "", [], 7, {}, True, [""], ["a", ""], [None], ["a", 1], [[1], "a"]]),
        ("input", [[[]], [[1], []], [-1], [1.5], [True], [["a"]], ["a"] * 2049, [[1]] * 2049]),
        ("model", [None, "", 7, "two words"]),
        ("dimensions", [None, 0, -1, 1.5, "8", True, 4097]),
        ("encoding_format", [None, "", "hex", 7]),
        ("user", [None, 7]),
    ],
)
def test_a_wrong_value_is_a_400_that_names_the_parameter(
    http: httpx.Client, param: str, values: list[Any]
) -> None:
    """The error has the gateway's format."""
    for value in values:
        reply = http.post("/embeddings", json=VALID | {param: value})
        assert reply.status_code == 400, value
        error = reply.json()["error"]
        assert (error["type"], error["param"], error["code"]) == ("BadRequestError", param, 400)
        assert error["message"].startswith(f"Invalid value for {param}: ")


@pytest.mark.parametrize("param", ["model", "input"])
def test_a_missing_parameter_is_a_400(http: httpx.Client, param: str) -> None:
    """`model` and `input` are required."""
    body = {key: value for key, value in VALID.items() if key != param}
    error = http.post("/embeddings", json=body).json()["error"]
    assert error["message"].startswith(f"Missing required parameter: {param}")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"a"', b"null"])
def test_a_body_that_is_no_object_is_a_400(http: httpx.Client, content: bytes) -> None:
    """Also a body that is not JSON."""
    reply = http.post("/embeddings", content=content)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_embeddings_request"


@pytest.mark.parametrize("given", [["a"] * 2048, [[1]] * 2048, [0] * 3000])
def test_the_largest_inputs_are_allowed(http: httpx.Client, given: Any) -> None:
    """The limit counts inputs, so a list of token numbers may be longer; other keys are allowed."""
    body = VALID | {"input": given, "dimensions": 1, "provider": {}}
    assert http.post("/embeddings", json=body).status_code == 200
