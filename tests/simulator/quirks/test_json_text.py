"""Quirks 53 to 56: JSON in arguments and answers, as it is sent."""

from __future__ import annotations

import json

import pytest

from onerouter_simulator.quirks.json_text import is_object, unescape_control_characters
from tests.simulator.quirks.conftest import (
    ONE_CALL,
    REASONING,
    TOOLS,
    arguments_of,
    call_deltas,
    message_of,
    post,
    send,
    stream,
    texts,
)

NOTE = "Please note 'a\tb'"


def arguments(quirk: str, question: str) -> list[str]:
    """Return the arguments of the only call: of a completion, and of a stream."""
    (call,) = message_of(send(quirk, question, tools=TOOLS))["tool_calls"]
    deltas = [
        delta for deltas in call_deltas(stream(quirk, question, tools=TOOLS)) for delta in deltas
    ]
    return [call["function"]["arguments"], arguments_of(deltas)]


@pytest.mark.parametrize(
    ("quirk", "question", "sent"),
    [
        ("raw-control-characters", NOTE, '{"text": "a\tb"}'),
        ("half-a-surrogate-pair-in-json", NOTE, '{"text": "a\\tb\\ud83d"}'),
        ("half-a-surrogate-pair-in-json", ONE_CALL, '{"a": 12, "b": 7}'),
        ("nan-in-arguments", ONE_CALL, '{"a": NaN, "b": 7}'),
        ("nan-in-arguments", NOTE, '{"text": "a\\tb"}'),
    ],
)
def test_arguments(quirk: str, question: str, sent: str) -> None:
    """The same in a completion and in a stream."""
    assert arguments(quirk, question) == [sent, sent]


@pytest.mark.parametrize(
    ("quirk", "sent"),
    [
        ("raw-control-characters", '{"text": "a\tb"}'),
        ("half-a-surrogate-pair-in-json", '{"text": "a\\tb\\ud83d"}'),
    ],
)
def test_an_answer_that_is_an_object(quirk: str, sent: str) -> None:
    """The same in a completion and in a stream; other answers are not changed."""
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    body = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    }
    assert message_of(send(quirk, NOTE, **body))["content"] == sent
    assert "".join(texts(stream(quirk, NOTE, **body))) == sent
    assert message_of(send(quirk, "Say \\t"))["content"] == "You said: Say \\t"


@pytest.mark.parametrize("streamed", [False, True])
def test_half_a_surrogate_pair_in_reasoning(streamed: bool) -> None:
    """It is an escape in the JSON of the response, which is in UTF-8."""
    quirk = ("half-a-surrogate-pair-in-reasoning",)
    body = post(quirk, "Hello", reasoning=REASONING, stream=streamed).content.decode()
    assert body.count(r'"\ud83dThe request') == 2
    assert "ud83d" not in post(quirk, "Hello", stream=streamed).text


@pytest.mark.parametrize("text", ['{"a": "b\\\\n"}', '{"a": "\\""}', "{}"])
def test_other_escapes_stay(text: str) -> None:
    """A backslash before an n is no line break."""
    assert unescape_control_characters(text) == text
    assert json.loads(unescape_control_characters(text)) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("{}", True), ("[]", False), ("Hi", False), (None, False)]
)
def test_is_object(text: str | None, expected: bool) -> None:
    """Only an object counts as JSON."""
    assert is_object(text) is expected
