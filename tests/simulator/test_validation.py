"""Strictness: what the API page does not allow is rejected, and nothing that it allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import httpx
import pytest

from tests.simulator.conftest import JSON, STRING, function

Post: TypeAlias = Callable[..., httpx.Response]

TOOL = function("search", q=STRING)
CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
USER = {"role": "user", "content": "Hi"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "found"}
OPEN_OBJECT = {"type": "object", "properties": {"a": STRING}, "required": ["a"]}
STRICT = OPEN_OBJECT | {"additionalProperties": False}


def part(kind: str, **body: Any) -> JSON:
    """Make a body whose only message has one part, of which the inner object is given."""
    return {"messages": [{"role": "user", "content": [{"type": kind, kind: body}]}]}


def parts(*content: Any, role: str = "user", **more: Any) -> JSON:
    """Make a body whose only message has these parts."""
    return {"messages": [{"role": role, "content": list(content), **more}]}


def text(**more: Any) -> JSON:
    """Make a text part."""
    return {"type": "text", "text": "Hi", **more}


def calling(**changes: Any) -> JSON:
    """Make a body with a tool call that is changed."""
    return {"messages": [USER, CALLS | {"tool_calls": [CALL | changes]}, RESULT]}


def tool(**changes: Any) -> JSON:
    """Make a body with a tool whose function is changed."""
    return {"tools": [TOOL | {"function": TOOL["function"] | changes}]}


def schema(wanted: Any, **changes: Any) -> JSON:
    """Make a body that asks for JSON by a schema."""
    inner = {"name": "answer", "schema": wanted} | changes
    return {"response_format": {"type": "json_schema", "json_schema": inner}}


def strict_tool(wanted: JSON) -> JSON:
    """Make a body with a strict tool."""
    return tool(parameters=wanted, strict=True)


ONE_MARK = {"cache_control": {"type": "ephemeral"}}

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
    "web-place": (
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
    "user-no-parts": (parts(), "messages[0].content"),
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
    "part-text": (parts("Hi"), "messages[0].content[0]"),
    "part-unknown": (parts({"type": "image", "source": {}}), "messages[0].content[0]"),
    "part-type-list": (parts({"type": ["text"]}), "messages[0].content[0]"),
    "part-tool-use": (
        parts({"type": "tool_use", "id": "x", "name": "y", "input": {}}, role="assistant"),
        "messages[0].content[0]",
    ),
    "part-thinking": (
        parts({"type": "thinking", "thinking": "hm"}, role="assistant"),
        "messages[0].content[0]",
    ),
    "part-second": (parts(text(), {"type": "text"}), "messages[0].content[1]"),
    "system-image": (
        parts({"type": "image_url", "image_url": {"url": "https://a.b/c"}}, role="system"),
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
    "text-number": (parts({"type": "text", "text": 7}), "messages[0].content[0]"),
    "image-missing": (parts({"type": "image_url"}), "messages[0].content[0]"),
    "image-string": (
        parts({"type": "image_url", "image_url": "https://a.b/c"}),
        "messages[0].content[0]",
    ),
    "image-scheme": (part("image_url", url="file:///etc/passwd"), "messages[0].content[0]"),
    "image-not-base64": (
        part("image_url", url="data:image/png;base64,@@@"),
        "messages[0].content[0]",
    ),
    "image-empty": (part("image_url", url="data:image/png;base64,"), "messages[0].content[0]"),
    "image-of-pdf": (
        part("image_url", url="data:application/pdf;base64,AAAA"),
        "messages[0].content[0]",
    ),
    "image-detail": (
        part("image_url", url="https://a.b/c", detail="max"),
        "messages[0].content[0]",
    ),
    "audio-prefix": (
        part("input_audio", data="data:audio/wav;base64,AAAA", format="wav"),
        "messages[0].content[0]",
    ),
    "audio-format": (part("input_audio", data="AAAA", format="ogg"), "messages[0].content[0]"),
    "audio-no-format": (part("input_audio", data="AAAA"), "messages[0].content[0]"),
    "audio-number": (part("input_audio", data=7, format="wav"), "messages[0].content[0]"),
    "file-bare": (part("file", data="AAAA"), "messages[0].content[0]"),
    "file-empty": (part("file", filename="a.pdf"), "messages[0].content[0]"),
    "file-media-type": (part("file", data="AAAA", media_type="pdf"), "messages[0].content[0]"),
    "file-both": (
        part("file", data="AAAA", media_type="a/b", file_data="data:a/b;base64,AAAA"),
        "messages[0].content[0]",
    ),
    "file-raw": (part("file", file_data="AAAA", filename="a.pdf"), "messages[0].content[0]"),
    "file-name": (
        part("file", data="AAAA", media_type="a/b", filename=7),
        "messages[0].content[0]",
    ),
    "file-id": (part("file", file_id="file-1"), "messages[0].content[0]"),
    "video": (part("video_url", url="data:image/png;base64,AAAA"), "messages[0].content[0]"),
    "marks-many": (parts(*[text(**ONE_MARK)] * 5), "messages"),
    "mark-type": (
        parts(text(cache_control={"type": "eternal"})),
        "messages[0].content[0].cache_control",
    ),
    "mark-ttl": (
        parts(text(cache_control={"type": "ephemeral", "ttl": "1d"})),
        "messages[0].content[0].cache_control",
    ),
    "mark-on-image": (
        parts({"type": "image_url", "image_url": {"url": "https://a.b/c"}, **ONE_MARK}),
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
    "call-no-id": (calling(id=""), "messages[1].tool_calls[0]"),
    "call-type": (calling(type="tool"), "messages[1].tool_calls[0]"),
    "call-name": (
        calling(function={"name": "a.b", "arguments": "{}"}),
        "messages[1].tool_calls[0]",
    ),
    "arguments-object": (
        calling(function={"name": "search", "arguments": {}}),
        "messages[1].tool_calls[0]",
    ),
    "arguments-broken": (
        calling(function={"name": "search", "arguments": '{"q": '}),
        "messages[1].tool_calls[0].function.arguments",
    ),
    "arguments-list": (
        calling(function={"name": "search", "arguments": "[]"}),
        "messages[1].tool_calls[0].function.arguments",
    ),
    "arguments-empty": (
        calling(function={"name": "search", "arguments": ""}),
        "messages[1].tool_calls[0].function.arguments",
    ),
    "result-without-id": (
        {"messages": [USER, CALLS, {"role": "tool", "content": "found"}]},
        "messages[2].tool_call_id",
    ),
    "result-of-another": (
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
    # tools
    "tools-empty": ({"tools": []}, "tools"),
    "tools-null": ({"tools": None}, "tools"),
    "tools-twice": ({"tools": [TOOL, TOOL]}, "tools"),
    "tool-text": ({"tools": ["search"]}, "tools[0]"),
    "tool-bare": ({"tools": [TOOL["function"]]}, "tools[0]"),
    "tool-input-schema": ({"tools": [{"name": "a", "input_schema": {}}]}, "tools[0]"),
    "tool-type": ({"tools": [TOOL | {"type": "web"}]}, "tools[0]"),
    "tool-name-dot": (tool(name="a.b"), "tools[0]"),
    "tool-name-long": (tool(name="a" * 65), "tools[0]"),
    "tool-name-empty": (tool(name=""), "tools[0]"),
    "tool-description": (tool(description=None), "tools[0]"),
    "tool-strict": (tool(strict="yes"), "tools[0]"),
    "tool-parameters-list": (tool(parameters=[]), "tools[0]"),
    "tool-parameters-string": (tool(parameters={"type": "string"}), "tools[0]"),
    "tool-schema": (
        tool(parameters={"type": "object", "properties": []}),
        "tools[0].function.parameters",
    ),
    "tool-schema-deep": (
        tool(parameters={"properties": {"a": {"items": "string"}}}),
        "tools[0].function.parameters.a.items",
    ),
    "tool-strict-open": (strict_tool(OPEN_OBJECT), "tools[0].function.parameters"),
    # tool choice
    "choice-null": ({"tools": [TOOL], "tool_choice": None}, "tool_choice"),
    "choice-any": ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
    "choice-name": ({"tools": [TOOL], "tool_choice": "search"}, "tool_choice"),
    "choice-other": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice",
    ),
    "choice-alone": ({"tool_choice": "auto"}, "tool_choice"),
    # response format
    "format-null": ({"response_format": None}, "response_format"),
    "format-text": ({"response_format": "json"}, "response_format"),
    "format-type": ({"response_format": {"type": "xml"}}, "response_format"),
    "format-bare": (
        {"response_format": {"type": "json_schema", "json_schema": STRICT}},
        "response_format",
    ),
    "format-name": (schema(STRICT, name="my answer"), "response_format"),
    "format-schema": (schema(None), "response_format"),
    "format-strict": (schema(STRICT, strict=1), "response_format"),
    "format-json-schema": ({"response_format": {"type": "json", "schema": 7}}, "response_format"),
    "format-json-name": ({"response_format": {"type": "json", "name": 7}}, "response_format"),
    "format-json-kind": (
        {"response_format": {"type": "json", "schema": {"type": "text"}}},
        "response_format.schema",
    ),
    "schema-type": (schema({"type": "str"}), "response_format.json_schema.schema"),
    "schema-enum": (schema({"enum": []}), "response_format.json_schema.schema"),
    "schema-union": (schema({"anyOf": {"a": 1}}), "response_format.json_schema.schema"),
    "schema-required": (schema({"required": "a"}), "response_format.json_schema.schema"),
    "schema-required-numbers": (schema({"required": [1]}), "response_format.json_schema.schema"),
    "schema-reference": (schema({"$ref": "#/$defs/a"}), "response_format.json_schema.schema"),
    "schema-reference-deep": (
        schema({"$defs": {"a": True}, "$ref": "#/$defs/a/b"}),
        "response_format.json_schema.schema",
    ),
    "schema-reference-out": (
        schema({"$ref": "https://a.b/c"}),
        "response_format.json_schema.schema",
    ),
    "strict-root": (
        schema({"anyOf": [STRICT]}, strict=True),
        "response_format.json_schema.schema",
    ),
    "strict-open": (schema(OPEN_OBJECT, strict=True), "response_format.json_schema.schema"),
    "strict-optional": (
        schema(STRICT | {"required": []}, strict=True),
        "response_format.json_schema.schema",
    ),
    "strict-deep": (
        schema(
            {
                "type": "object",
                "properties": {"list": {"type": "array", "items": OPEN_OBJECT}},
                "required": ["list"],
                "additionalProperties": False,
            },
            strict=True,
        ),
        "response_format.json_schema.schema",
    ),
}


@pytest.mark.parametrize(("body", "param"), REJECTED.values(), ids=REJECTED)
def test_what_is_not_allowed_is_rejected(post: Post, body: JSON, param: str) -> None:
    """A 400 in the gateway's own shape, which names the place and the request."""
    reply = post(**body)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("BadRequestError", 400, param)
    assert f"(request id: {reply.headers['x-infron-request-id']})" in error["message"]


def test_a_missing_parameter_is_named(http: httpx.Client) -> None:
    """Model and messages are required."""
    for body in ({"model": "a/b"}, {"messages": [USER]}):
        reply = http.post("/chat/completions", json=body)
        assert reply.status_code == 400
        assert "Missing required parameter" in reply.json()["error"]["message"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'"Hi"'])
def test_a_body_that_is_no_object_is_rejected(http: httpx.Client, raw: bytes) -> None:
    """What is not a JSON object at all is an invalid text request."""
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
        "provider": {"sort": {"by": "ttft"}, "preferred_max_latency": 2.5, "unheard": 1},
        "web_search_options": {"search_context_size": "low"},
    },
    "unknown-key": {"never_heard_of": None},
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
    "marks": parts(*[text(cache_control={"type": "ephemeral", "ttl": "1h"})] * 4),
    "file-by-address": part("file", file_data="https://a.b/c.pdf", filename="c.pdf"),
    "video-inside": part("video_url", url="data:video/mp4;base64,AAAA"),
    "tool-closed": strict_tool(STRICT),
    "tool-no-type": tool(parameters={}),
    "schema-any": schema({"properties": {"a": True, "b": {}}, "required": ["a", "b"]}),
    "schema-strict-reference": schema(
        STRICT | {"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": STRICT}}, strict=True
    ),
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_is_answered(post: Post, body: JSON) -> None:
    """Strictness ends where the API page does."""
    reply = post(**body)
    assert reply.status_code == 200, reply.text


def test_a_model_without_providers(post: Post) -> None:
    """An unknown model is a 503 in the gateway's words."""
    reply = post(model="unknown/model")
    assert reply.status_code == 503
    error = reply.json()["error"]
    assert error["message"].startswith("No available providers for model unknown/model (request id")
    assert error["type"] == "infron_ai_error"


def test_a_model_whose_upstream_is_down(post: Post) -> None:
    """A dead upstream is a 502 in plain text, also when all fallbacks are dead."""
    reply = post(model="simulated/dead-upstream", fallback_models=["unknown/model"])
    assert reply.status_code == 502
    assert reply.headers["content-type"].startswith("text/plain")
    assert "simulated/dead-upstream" in reply.text


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "No token provided"),
        ("Bearer", "No token provided"),
        ("Basic abc", "No token provided"),
        ("Bearer wrong", "The token status is not available"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/chat/completions"), ("GET", "/balance")])
def test_the_key_is_needed(
    http: httpx.Client, method: str, path: str, header: str | None, message: str
) -> None:
    """A missing and a wrong key are told apart."""
    del http.headers["authorization"]
    headers = {} if header is None else {"authorization": header}
    reply = http.request(method, path, headers=headers, content=b"{")
    assert reply.status_code == 401
    assert reply.json()["error"] == {
        "message": f"{message} (request id: {reply.headers['x-infron-request-id']})",
        "type": "infron_ai_error",
    }
