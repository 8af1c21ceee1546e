"""HTTP errors of the gateway, and the error classes that they are decoded to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_core import errors
from tests.live.conftest import Question

HELLO = [{"role": "user", "content": "Hello"}]
BAD_BODIES: dict[str, dict[str, Any]] = {
    "temperature: 9": {"temperature": 9},
    "max_tokens: 0": {"max_tokens": 0},
    "no messages": {"messages": []},
    "an unknown role": {"messages": [{"role": "nobody", "content": "Hello"}]},
    "a tool choice without tools": {"tool_choice": "required"},
    "an invalid schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"type": "no such type"}},
        }
    },
}


@pytest.mark.parametrize("fault", BAD_BODIES)
def test_bad_requests(question: Question, fault: str) -> None:
    """How is a bad request rejected?"""
    answer = question.gateway.ask("Hello", **BAD_BODIES[fault])
    accepted = answer.is_accepted
    received, verdict = (answer, "accepted") if accepted else (answer.text, str(answer))
    question.settle(fault, received, verdict)
    assert accepted or isinstance(answer.decoded, errors.OneRouterError)


@pytest.mark.parametrize("key", [None, "sk-wrong"], ids=["no key", "a wrong key"])
def test_keys(question: Question, key: str | None) -> None:
    """How is a request without a valid key rejected?"""
    body = json.dumps({"model": question.gateway.model, "messages": HELLO}).encode()
    answer = question.gateway.send("/chat/completions", body, key)
    question.settle(f"the key: {key}", answer.text, str(answer))
    assert isinstance(answer.decoded, errors.AuthenticationError)


def test_an_unknown_model(question: Question) -> None:
    """How is an unknown model rejected?"""
    answer = question.gateway.ask("Hello", model="unknown/no-such-model")
    question.settle("unknown/no-such-model", answer.text, str(answer))
    assert isinstance(answer.decoded, errors.ModelNotFoundError)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/chat/completions", b"{"), ("/chat/completions", None), ("/no-such-path", b"{}")],
    ids=["invalid JSON", "GET", "unknown path"],
)
def test_invalid_http_requests(question: Question, path: str, body: bytes | None) -> None:
    """How is invalid JSON, a wrong method or an unknown path rejected?"""
    answer = question.gateway.send(path, body)
    method = "GET" if body is None else "POST"
    question.settle(f"{method} {path} {(body or b'').decode()}", answer.text, str(answer))
    assert isinstance(answer.decoded, errors.OneRouterError)


def test_text_completions(question: Question) -> None:
    """Is there an endpoint for completions without chat?"""
    body = {"model": question.gateway.model, "prompt": "One, two,", "max_tokens": 5}
    answer = question.gateway.post("/completions", body)
    question.settle("POST /completions", answer.text, "yes" if answer.is_accepted else "no")
    assert answer.is_accepted or isinstance(answer.decoded, errors.OneRouterError)


def test_model_list(question: Question) -> None:
    """Is the list of models readable without a key, and which other keys are in its body?"""
    answer = question.gateway.send("/models", key=None)
    body = answer.json or {}
    models = body.get("data", [])
    others = {name: value for name, value in body.items() if name != "data"}
    received = f"{answer.status}: {len(models)} models, {others}"
    question.settle("GET /models without a key", received, "yes" if answer.is_accepted else "no")
    assert models or not answer.is_accepted
