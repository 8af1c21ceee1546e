"""Requests with one changed part, and the check of a rejection."""

from __future__ import annotations

from typing import Any

import httpx

from tests.simulator.conftest import JSON, STRING, function

CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
USER = {"role": "user", "content": "Hi"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "found"}
CACHE_CONTROL = {"cache_control": {"type": "ephemeral"}}
TOOL = function("search", q=STRING)
OPEN_OBJECT = {"type": "object", "properties": {"a": STRING}, "required": ["a"]}
STRICT = OPEN_OBJECT | {"additionalProperties": False}


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


def with_tool(**changes: Any) -> JSON:
    """Return a request with one tool; these fields replace those of its function."""
    return {"tools": [TOOL | {"function": TOOL["function"] | changes}]}


def with_strict_tool(parameters: JSON) -> JSON:
    """Return a request with a strict tool."""
    return with_tool(parameters=parameters, strict=True)


def with_schema(schema: Any, **fields: Any) -> JSON:
    """Return a request for JSON by a schema, with these fields beside the schema."""
    json_schema = {"name": "answer", "schema": schema} | fields
    return {"response_format": {"type": "json_schema", "json_schema": json_schema}}


def rejected_param(reply: httpx.Response) -> str:
    """Check that a reply is the gateway's 400 with the request id; return the parameter."""
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert (error["type"], error["code"]) == ("BadRequestError", 400)
    assert f"(request id: {reply.headers['x-infron-request-id']})" in error["message"]
    return error["param"]
