"""What a refusal looks like, and whether we call it by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_core import errors
from tests.live.conftest import Question

HELLO = [{"role": "user", "content": "Hello"}]
BAD: dict[str, dict[str, Any]] = {
    "temperature: 9": {"temperature": 9},
    "max_tokens: 0": {"max_tokens": 0},
    "no messages": {"messages": []},
    "a role that is none": {"messages": [{"role": "nobody", "content": "Hello"}]},
    "a tool choice without tools": {"tool_choice": "required"},
    "a schema that is none": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"type": "no such type"}},
        }
    },
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_requests(question: Question, fault: str) -> None:
    """How is a bad request refused?"""
    answer = question.gateway.ask("Hello", **BAD[fault])
    taken = answer.is_taken
    question.settle(fault, answer if taken else answer.text, "taken" if taken else str(answer))
    assert taken or isinstance(answer.read, errors.OneRouterError)


@pytest.mark.parametrize("key", [None, "sk-wrong"], ids=["no key", "a wrong key"])
def test_keys(question: Question, key: str | None) -> None:
    """How is a request refused that has not the right key?"""
    body = json.dumps({"model": question.gateway.model, "messages": HELLO}).encode()
    answer = question.gateway.send("/chat/completions", body, key)
    question.settle(f"the key: {key}", answer.text, str(answer))
    assert isinstance(answer.read, errors.AuthenticationError)


def test_a_model_that_is_not_there(question: Question) -> None:
    """How is a model refused that nobody serves?"""
    answer = question.gateway.ask("Hello", model="unknown/no-such-model")
    question.settle("unknown/no-such-model", answer.text, str(answer))
    assert isinstance(answer.read, errors.ModelNotFoundError)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/chat/completions", b"{"), ("/chat/completions", None), ("/no-such-path", b"{}")],
    ids=["no JSON", "GET", "no such path"],
)
def test_addresses(question: Question, path: str, body: bytes | None) -> None:
    """How is a request refused that is none?"""
    answer = question.gateway.send(path, body)
    verb = "GET" if body is None else "POST"
    question.settle(f"{verb} {path} {(body or b'').decode()}", answer.text, str(answer))
    assert isinstance(answer.read, errors.OneRouterError)


def test_bare_completions(question: Question) -> None:
    """Is there an endpoint for completions without chat?"""
    body = {"model": question.gateway.model, "prompt": "One, two,", "max_tokens": 5}
    answer = question.gateway.post("/completions", body)
    verdict = "yes" if answer.is_taken else "no"
    question.settle("POST /completions", answer.text, verdict)


def test_the_catalogue(question: Question) -> None:
    """Is the list of models open to all, and what is around it?"""
    answer = question.gateway.send("/models", key=None)
    listed = answer.json or {}
    around = {name: value for name, value in listed.items() if name != "data"}
    came = f"{answer.status}: {len(listed.get('data', []))} models, {around}"
    question.settle("GET /models without a key", came, "yes" if answer.is_taken else "no")
