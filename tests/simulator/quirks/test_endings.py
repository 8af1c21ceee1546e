"""Quirks 57 to 75: the ends of answers, as they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.quirks.conftest import (
    ONE_CALL,
    TOOLS,
    deltas_of,
    finish_reasons,
    message_of,
    send,
    stream,
    texts,
    tool_turn,
)

LONG = "Hello, hello, hello!"


@pytest.mark.parametrize(
    ("quirk", "message"),
    [
        ("null-after-tool-result", {"role": "assistant", "content": None}),
        ("empty-text-after-tool-result", {"role": "assistant", "content": ""}),
        (
            "reasoning-alone-after-tool-result",
            {"role": "assistant", "content": None, "reasoning": "All is done."},
        ),
    ],
)
def test_after_a_tool_result(quirk: str, message: dict[str, Any]) -> None:
    """The finish reason is `stop`; other answers are not changed."""
    body = send(quirk, tool_turn(), tools=TOOLS)
    assert message_of(body) == message
    assert body["choices"][0]["finish_reason"] == "stop"
    chunks = stream(quirk, tool_turn(), tools=TOOLS)
    assert list(texts(chunks)) == []
    assert "".join(texts(chunks, "reasoning")) == message.get("reasoning", "")
    assert finish_reasons(chunks) == ["stop"]
    assert message_of(send(quirk))["content"] == "You said: Hello"
    assert message_of(send(quirk, ONE_CALL, tools=TOOLS))["tool_calls"]


def test_finish_reasons_in_capitals() -> None:
    """Every finish reason, in streams, too."""
    assert send("finish-upper-case")["choices"][0]["finish_reason"] == "STOP"
    assert finish_reasons(stream("finish-upper-case", LONG, max_tokens=1)) == ["LENGTH"]
    chunks = stream("finish-upper-case", ONE_CALL, tools=TOOLS)
    assert finish_reasons(chunks) == ["TOOL_CALLS"]


@pytest.mark.parametrize("options", [{}, {"usage": {"include": False}}])
def test_the_finish_reason_is_repeated(options: dict[str, Any]) -> None:
    """By the chunk with usage, or else by one more chunk."""
    chunks = stream("finish-repeated", **options)
    assert finish_reasons(chunks) == ["stop", "stop"]
    assert ("usage" in chunks[-1]) == (not options)


@pytest.mark.parametrize(
    ("quirk", "reason"),
    [
        ("finish-error", "error"),
        ("finish-insufficient-system-resource", "insufficient_system_resource"),
        ("finish-network-error", "network_error"),
        ("finish-abort", "abort"),
    ],
)
def test_finish_reasons_of_failures(quirk: str, reason: str) -> None:
    """The answer, or what there is of it, is sent with the finish reason."""
    body = send(quirk)
    assert message_of(body)["content"] == "You said: Hello"
    assert body["choices"][0]["finish_reason"] == reason
    assert finish_reasons(stream(quirk, ONE_CALL, tools=TOOLS)) == [reason]


@pytest.mark.parametrize(
    ("quirk", "reason"),
    [
        ("finish-max-tokens-upper-case", "MAX_TOKENS"),
        ("finish-max-tokens", "max_tokens"),
        ("finish-model-context-window-exceeded", "model_context_window_exceeded"),
    ],
)
def test_finish_reasons_of_limits(quirk: str, reason: str) -> None:
    """They take the place of `length` only."""
    assert send(quirk)["choices"][0]["finish_reason"] == "stop"
    body = send(quirk, LONG, max_tokens=1)
    assert message_of(body)["content"] == "You "
    assert body["choices"][0]["finish_reason"] == reason
    assert finish_reasons(stream(quirk, LONG, max_tokens=1)) == [reason]


@pytest.mark.parametrize(
    ("quirk", "reason"),
    [
        ("finish-safety", "SAFETY"),
        ("finish-recitation", "RECITATION"),
        ("finish-prohibited-content", "PROHIBITED_CONTENT"),
        ("finish-blocklist", "BLOCKLIST"),
        ("finish-sensitive", "sensitive"),
    ],
)
def test_finish_reasons_of_moderation(quirk: str, reason: str) -> None:
    """The answer is withheld, calls included."""
    body = send(quirk, ONE_CALL, tools=TOOLS)
    assert message_of(body) == {"role": "assistant", "content": None}
    assert body["choices"][0]["finish_reason"] == reason
    chunks = stream(quirk, ONE_CALL, tools=TOOLS)
    assert deltas_of(chunks) == [{"role": "assistant", "content": ""}, {}]
    assert finish_reasons(chunks) == [reason]


def test_a_call_that_the_server_could_not_read() -> None:
    """There is no content and no call."""
    body = send("finish-malformed-function-call", ONE_CALL, tools=TOOLS)
    assert message_of(body) == {"role": "assistant", "content": None}
    assert body["choices"][0]["finish_reason"] == "MALFORMED_FUNCTION_CALL"


def test_a_limit_that_only_the_native_finish_reason_says() -> None:
    """Other answers have no native finish reason."""
    choice = send("finish-native-length", LONG, max_tokens=1)["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("stop", "MAX_TOKENS")
    assert "native_finish_reason" not in send("finish-native-length")["choices"][0]
