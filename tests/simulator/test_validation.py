"""Strict validation: parameters, messages, content parts and tool calls of a request.

Tools, response formats and schemas are in test_validation_tools.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.simulator.conftest import JSON, Post, rejected_param

CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
USER = {"role": "user", "content": "Hi"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "found"}
CACHE_CONTROL = {"cache_control": {"type": "ephemeral"}}


def with_part(part_type: str, **body: Any) -> JSON:
    """Return a request with one message that has one part with this inner object."""
    return with_parts({"type": part_type, part_type: body})


def with_parts(*content: Any, role: str = "user") -> JSON:
    """Return a request with one message that has these parts."""
    return {"messages": [{"role": role, "content": list(content)}]}


def text_part(**fields: Any) -> JSON:
    """Return a text part with these additional fields."""
    return {"type": "text", "text": "Hi", **fields}


def with_tool_call(**changes: Any) -> JSON:
    """Return a request with one tool call; these fields replace its own."""
    return {"messages": [USER, CALLS | {"tool_calls": [CALL | changes]}, RESULT]}


REJECTED: dict[str, tuple[JSON, str]] = {
    # parameters
    "model-type": ({"model": 7}, "model"),
    "model-empty": ({"model": ""}, "model"),
    "model-spaces": ({"model": "a model"}, "model"),
    "temperature-high": ({"temperature": 2.1}, "temperature"),
    "temperature-low": ({"temperature": -0.1}, "temperature"),
    "temperature-text": ({"temperature": "1"}, "temperature"),
    "temperature-true": ({"temperature": True}, "temperature"),
    "temperature-null": ({"temperature": None}, "temperature"),
    "top_p": ({"top_p": 1.01}, "top_p"),
    "frequency_penalty": ({"frequency_penalty": -2.5}, "frequency_penalty"),
    "presence_penalty": ({"presence_penalty": 2.5}, "presence_penalty"),
    "max_tokens-zero": ({"max_tokens": 0}, "max_tokens"),
    "max_tokens-fraction": ({"max_tokens": 1.5}, "max_tokens"),
    "max_tokens-true": ({"max_tokens": True}, "max_tokens"),
    "max_completion_tokens": ({"max_completion_tokens": 0}, "max_completion_tokens"),
    "stream": ({"stream": "yes"}, "stream"),
    "stop-null": ({"stop": None}, "stop"),
    "stop-empty": ({"stop": ""}, "stop"),
    "stop-numbers": ({"stop": [1]}, "stop"),
    "seed": ({"seed": 1.5}, "seed"),
    "n": ({"n": 0}, "n"),
    "logprobs": ({"logprobs": 1}, "logprobs"),
    "top_logprobs-alone": ({"top_logprobs": 2}, "top_logprobs"),
    "top_logprobs-many": ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    "logit_bias": ({"logit_bias": {"1": 101}}, "logit_bias"),
    "logit_bias-list": ({"logit_bias": [1]}, "logit_bias"),
    "user": ({"user": 7}, "user"),
    "parallel_tool_calls": ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    "usage": ({"usage": True}, "usage"),
    "usage-include": ({"usage": {"include": "yes"}}, "usage.include"),
    "stream_options": ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    "modalities": ({"modalities": ["smell"]}, "modalities"),
    "audio": ({"audio": "alloy"}, "audio"),
    "reasoning": ({"reasoning": "high"}, "reasoning"),
    "reasoning-effort": ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
    "reasoning-tokens": ({"reasoning": {"max_tokens": 0}}, "reasoning.max_tokens"),
    "provider": ({"provider": "openai"}, "provider"),
    "provider-order": ({"provider": {"order": "openai"}}, "provider.order"),
    "provider-sort": ({"provider": {"sort": 1}}, "provider.sort"),
    "provider-tier": ({"provider": {"service_tier": "gold"}}, "provider.service_tier"),
    "fallback_models": ({"fallback_models": "a/b"}, "fallback_models"),
    "fallback_rules": ({"fallback_rules": "never"}, "fallback_rules"),
    "web-size": (
        {"web_search_options": {"search_context_size": "huge"}},
        "web_search_options.search_context_size",
    ),
    "web-location": (
        {"web_search_options": {"user_location": {"city": "Rome"}}},
        "web_search_options.user_location.type",
    ),
    "web-country": (
        {"web_search_options": {"user_location": {"type": "approximate", "country": "Italy"}}},
        "web_search_options.user_location.country",
    ),
    # messages
    "messages-empty": ({"messages": []}, "messages"),
    "messages-text": ({"messages": "Hi"}, "messages"),
    "message-text": ({"messages": ["Hi"]}, "messages[0].role"),
    "role-unknown": ({"messages": [USER | {"role": "developer"}]}, "messages[0].role"),
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
    # parts
    "part-text": (with_parts("Hi"), "messages[0].content[0]"),
    "part-unknown": (with_parts({"type": "image", "source": {}}), "messages[0].content[0]"),
    "part-type-list": (with_parts({"type": ["text"]}), "messages[0].content[0]"),
    "part-tool-use": (
        with_parts({"type": "tool_use", "id": "x", "name": "y", "input": {}}, role="assistant"),
        "messages[0].content[0]",
    ),
    "part-thinking": (
        with_parts({"type": "thinking", "thinking": "hm"}, role="assistant"),
        "messages[0].content[0]",
    ),
    "part-second": (with_parts(text_part(), {"type": "text"}), "messages[0].content[1]"),
    "system-image": (
        with_parts({"type": "image_url", "image_url": {"url": "https://a.b/c"}}, role="system"),
        "messages[0].content[0]",
    ),
    "tool-image": (
        {
            "messages": [
                *(USER, CALLS),
                RESULT
                | {"content": [{"type": "image_url", "image_url": {"url": "https://a.b/c"}}]},
            ]
        },
        "messages[2].content[0]",
    ),
    "text-number": (with_parts({"type": "text", "text": 7}), "messages[0].content[0]"),
    "image-missing": (with_parts({"type": "image_url"}), "messages[0].content[0]"),
    "image-string": (
        with_parts({"type": "image_url", "image_url": "https://a.b/c"}),
        "messages[0].content[0]",
    ),
    "image-scheme": (with_part("image_url", url="file:///etc/passwd"), "messages[0].content[0]"),
    "image-not-base64": (
        with_part("image_url", url="data:image/png;base64,@@@"),
        "messages[0].content[0]",
    ),
    "image-empty": (with_part("image_url", url="data:image/png;base64,"), "messages[0].content[0]"),
    "image-of-pdf": (
        with_part("image_url", url="data:application/pdf;base64,AAAA"),
        "messages[0].content[0]",
    ),
    "image-detail": (
        with_part("image_url", url="https://a.b/c", detail="max"),
        "messages[0].content[0]",
    ),
    "audio-prefix": (
        with_part("input_audio", data="data:audio/wav;base64,AAAA", format="wav"),
        "messages[0].content[0]",
    ),
    "audio-format": (with_part("input_audio", data="AAAA", format="ogg"), "messages[0].content[0]"),
    "audio-no-format": (with_part("input_audio", data="AAAA"), "messages[0].content[0]"),
    "audio-number": (with_part("input_audio", data=7, format="wav"), "messages[0].content[0]"),
    "file-bare": (with_part("file", data="AAAA"), "messages[0].content[0]"),
    "file-empty": (with_part("file", filename="a.pdf"), "messages[0].content[0]"),
    "file-media-type": (with_part("file", data="AAAA", media_type="pdf"), "messages[0].content[0]"),
    "file-both": (
        with_part("file", data="AAAA", media_type="a/b", file_data="data:a/b;base64,AAAA"),
        "messages[0].content[0]",
    ),
    "file-raw": (with_part("file", file_data="AAAA", filename="a.pdf"), "messages[0].content[0]"),
    "file-name": (
        with_part("file", data="AAAA", media_type="a/b", filename=7),
        "messages[0].content[0]",
    ),
    "file-id": (with_part("file", file_id="file-1"), "messages[0].content[0]"),
    "video": (with_part("video_url", url="data:image/png;base64,AAAA"), "messages[0].content[0]"),
    "cache-control-too-many": (with_parts(*[text_part(**CACHE_CONTROL)] * 5), "messages"),
    "cache-control-type": (
        with_parts(text_part(cache_control={"type": "eternal"})),
        "messages[0].content[0].cache_control",
    ),
    "cache-control-ttl": (
        with_parts(text_part(cache_control={"type": "ephemeral", "ttl": "1d"})),
        "messages[0].content[0].cache_control",
    ),
    "cache-control-on-image": (
        with_parts({"type": "image_url", "image_url": {"url": "https://a.b/c"}, **CACHE_CONTROL}),
        "messages[0].content[0].cache_control",
    ),
    # tool calls in the history
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
def test_a_request_that_the_api_page_does_not_allow_is_rejected(
    post: Post, body: JSON, param: str
) -> None:
    """The error is a 400 with the gateway's body and the path of the parameter."""
    assert rejected_param(post(**body)) == param


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"temperature": 3}, "Invalid value for temperature: 3 is not a number from 0 to 2"),
        ({"n": 0}, "Invalid value for n: 0 is not an integer from 1 to 128"),
        ({"max_tokens": 0}, "Invalid value for max_tokens: 0 is not an integer of at least 1"),
        ({"seed": "1"}, "Invalid value for seed: '1' is not an integer"),
        (
            {"provider": {"sort": 1}},
            "Invalid value for provider.sort: 1 is not a non-empty string or an object",
        ),
        ({"provider": 1}, "Invalid value for provider: 1 is not an object"),
    ],
)
def test_the_error_message_has_the_value_and_the_constraint(
    post: Post, body: JSON, message: str
) -> None:
    """The path of the parameter, the value, and the values that are allowed."""
    assert post(**body).json()["error"]["message"].startswith(f"{message} (request id: ")


@pytest.mark.parametrize(
    ("body", "name"), [({"model": "a/b"}, "messages"), ({"messages": [USER]}, "model")]
)
def test_a_missing_parameter_is_named(http: httpx.Client, body: JSON, name: str) -> None:
    """Model and messages are required."""
    reply = http.post("/chat/completions", json=body)
    assert rejected_param(reply) == name
    assert f"Missing required parameter: {name}" in reply.json()["error"]["message"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'"Hi"'])
def test_a_body_that_is_no_json_object_is_rejected(http: httpx.Client, raw: bytes) -> None:
    """The code is `invalid_text_request`."""
    reply = http.post("/chat/completions", content=raw)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_text_request"


ALLOWED: dict[str, JSON] = {
    "everything": {
        "temperature": 0,
        "top_p": 1,
        "frequency_penalty": -2,
        "presence_penalty": 2.0,
        "max_tokens": 1,
        "stop": [],
        "seed": -1,
        "logit_bias": {"50256": -100},
        "user": "",
        "parallel_tool_calls": True,
        "usage": {"include": True, "more": 1},
        "fallback_rules": {"error_code": {"hint_array": [500], "action": "fallback"}},
        "provider": {"sort": {"by": "ttft"}, "preferred_max_latency": 2.5, "unknown": 1},
        "web_search_options": {"search_context_size": "low"},
    },
    "unknown-key": {"unknown_key": None},
    "refusal": {
        "messages": [
            *(USER, {"role": "assistant", "content": None, "refusal": "No."}),
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]
    },
    "empty-text": {"messages": [{"role": "user", "content": ""}]},
    "repeated-roles": {"messages": [*[{"role": "system", "content": "A"}] * 2, USER, USER]},
    "call-without-content": {
        "messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, RESULT]
    },
    "call-with-reasoning": {
        "messages": [USER, CALLS | {"reasoning": "hm", "reasoning_details": []}, RESULT]
    },
    "cache-control": with_parts(*[text_part(cache_control={"type": "ephemeral", "ttl": "1h"})] * 4),
    "file-by-url": with_part("file", file_data="https://a.b/c.pdf", filename="c.pdf"),
    "video-data-url": with_part("video_url", url="data:video/mp4;base64,AAAA"),
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_a_request_that_the_api_page_allows_is_answered(post: Post, body: JSON) -> None:
    """Keys that the API page does not have are allowed."""
    reply = post(**body)
    assert reply.status_code == 200, reply.text
