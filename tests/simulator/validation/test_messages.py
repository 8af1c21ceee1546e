"""Validation of messages: roles, content, tool calls and their results."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import IMAGE_PART, JSON, Post
from tests.simulator.validation.conftest import (
    CALL,
    CALLS,
    RESULT,
    USER,
    rejected_param,
    text_part,
    with_parts,
    with_tool_call,
)

REJECTED: dict[str, tuple[JSON, str]] = {
    "messages-empty": ({"messages": []}, "messages"),
    "messages-text": ({"messages": "Hi"}, "messages"),
    "message-text": ({"messages": ["Hi"]}, "messages[0].role"),
    "role-unknown": ({"messages": [USER | {"role": "chatbot"}]}, "messages[0].role"),
    "developer-image": (
        {"messages": [{"role": "developer", "content": [IMAGE_PART]}]},
        "messages[0].content[0]",
    ),
    "role-list": ({"messages": [USER | {"role": ["user"]}]}, "messages[0].role"),
    "name": ({"messages": [USER | {"name": 7}]}, "messages[0].name"),
    "user-null": ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    "user-missing": ({"messages": [{"role": "user"}]}, "messages[0].content"),
    "user-number": ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    "user-no-parts": (with_parts(), "messages[0].content"),
    "assistant-null": (
        {"messages": [USER, {"role": "assistant", "content": None}]},
        "messages[1].content",
    ),
    "tool-null": ({"messages": [USER, CALLS, RESULT | {"content": None}]}, "messages[2].content"),
    "details-text": (
        {"messages": [USER, {"role": "assistant", "content": "", "reasoning_details": "hm"}]},
        "messages[1].reasoning_details",
    ),
    "details-untyped": (
        {"messages": [USER, {"role": "assistant", "content": "", "reasoning_details": [{}]}]},
        "messages[1].reasoning_details",
    ),
    "calls-empty": (
        {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": []}]},
        "messages[1].tool_calls",
    ),
    "calls-null": (
        {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": None}]},
        "messages[1].tool_calls",
    ),
    "call-no-id": (with_tool_call(id=""), "messages[1].tool_calls[0]"),
    "call-type": (with_tool_call(type="tool"), "messages[1].tool_calls[0]"),
    "call-name": (
        with_tool_call(function={"name": "a.b", "arguments": "{}"}),
        "messages[1].tool_calls[0]",
    ),
    "arguments-object": (
        with_tool_call(function={"name": "search", "arguments": {}}),
        "messages[1].tool_calls[0]",
    ),
    "arguments-broken": (
        with_tool_call(function={"name": "search", "arguments": '{"q": '}),
        "messages[1].tool_calls[0].function.arguments",
    ),
    "arguments-nan": (
        with_tool_call(function={"name": "search", "arguments": '{"q": NaN}'}),
        "messages[1].tool_calls[0].function.arguments",
    ),
    "arguments-list": (
        with_tool_call(function={"name": "search", "arguments": "[]"}),
        "messages[1].tool_calls[0].function.arguments",
    ),
    "arguments-empty": (
        with_tool_call(function={"name": "search", "arguments": ""}),
        "messages[1].tool_calls[0].function.arguments",
    ),
    "result-without-id": (
        {"messages": [USER, CALLS, {"role": "tool", "content": "found"}]},
        "messages[2].tool_call_id",
    ),
    "result-of-unknown-call": (
        {"messages": [USER, CALLS, RESULT | {"tool_call_id": "c2"}]},
        "messages[2].tool_call_id",
    ),
    "result-without-call": ({"messages": [USER, RESULT]}, "messages[1].tool_call_id"),
    "result-too-late": (
        {"messages": [USER, CALLS, RESULT, USER, RESULT]},
        "messages[4].tool_call_id",
    ),
    "call-unanswered": ({"messages": [USER, CALLS, USER]}, "messages[2]"),
    "call-unanswered-at-end": ({"messages": [USER, CALLS]}, "messages[1]"),
}


@pytest.mark.parametrize(("body", "param"), REJECTED.values(), ids=REJECTED)
def test_a_malformed_message_is_rejected(post: Post, body: JSON, param: str) -> None:
    """The error is a 400 with the gateway's body and the path of the parameter."""
    assert rejected_param(post(**body)) == param


ALLOWED: dict[str, JSON] = {
    "refusal": {
        "messages": [
            *(USER, {"role": "assistant", "content": None, "refusal": "No."}),
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]
    },
    "empty-text": {"messages": [{"role": "user", "content": ""}]},
    "repeated-roles": {"messages": [*[{"role": "system", "content": "A"}] * 2, USER, USER]},
    "developer": {
        "messages": [{"role": "developer", "content": "A", "name": "b"}, USER],
    },
    "developer-parts": {"messages": [{"role": "developer", "content": [text_part()]}, USER]},
    "call-without-content": {
        "messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, RESULT]
    },
    "call-with-reasoning": {
        "messages": [USER, CALLS | {"reasoning": "hm", "reasoning_details": []}, RESULT]
    },
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_a_well_formed_message_is_allowed(post: Post, body: JSON) -> None:
    """Roles may repeat, a text may be empty, and a tool call may stand without content."""
    reply = post(**body)
    assert reply.status_code == 200, reply.text
