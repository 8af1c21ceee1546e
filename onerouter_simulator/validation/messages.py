"""Validation of messages: roles, content, and tool calls with their results.

Knows one message and those before it. Content parts are checked in parts.py.
"""

import json
import re
from typing import Any

from onerouter_simulator.errors import RejectedError, bad_request
from onerouter_simulator.validation.parts import check_parts

JSON = dict[str, Any]

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
PART_TYPES_BY_ROLE = {
    "system": {"text"},
    "developer": {"text"},
    "user": {"text", "image_url", "input_audio", "file", "video_url"},
    "assistant": {"text", "refusal"},
    "tool": {"text"},
}
# An assistant message with one of these may have null as content.
CONTENT_SUBSTITUTES = ("tool_calls", "refusal", "audio", "images")


def check_messages(messages: list[Any]) -> None:
    """Reject a malformed message, and one that does not fit the messages before it."""
    pending: set[str] = set()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        check_message(message, path)
        pending = update_pending_calls(pending, message, path)
    if pending:
        raise missing_results_error(pending, f"messages[{len(messages) - 1}]")


def check_message(message: Any, path: str) -> None:
    """Check one message without its neighbours."""
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(role, str) or role not in PART_TYPES_BY_ROLE:
        raise bad_request(f"Invalid role in {path}: {role!r}", f"{path}.role")
    check_content(message, path)
    if not isinstance(message.get("name", ""), str):
        raise bad_request(f"The name in {path} is not a string", f"{path}.name")
    if role == "assistant":
        check_reasoning_details(message.get("reasoning_details", []), f"{path}.reasoning_details")
        if "tool_calls" in message:
            check_tool_calls(message["tool_calls"], f"{path}.tool_calls")


def check_content(message: JSON, path: str) -> None:
    """Check the content: a string, a list of parts, or null if a substitute is there."""
    content, role = message.get("content"), message["role"]
    match content:
        case str():
            return
        case [_, *_]:
            check_parts(content, PART_TYPES_BY_ROLE[role], f"{path}.content")
        case None if role == "assistant" and any(message.get(key) for key in CONTENT_SUBSTITUTES):
            return
        case _:
            raise bad_request(
                f"Invalid content in {path}: {content!r} is not allowed for role {role}",
                f"{path}.content",
            )


def check_reasoning_details(details: Any, path: str) -> None:
    """Check that reasoning details have the form in which the gateway sends them."""
    is_valid = isinstance(details, list) and all(
        isinstance(detail, dict) and isinstance(detail.get("type"), str) for detail in details
    )
    if not is_valid:
        raise bad_request(f"{path} is not a list of objects with a type", path)


def check_tool_calls(calls: Any, path: str) -> None:
    """Check the tool calls of an assistant message."""
    if not isinstance(calls, list) or not calls:
        raise bad_request(f"{path} is not a list of at least one tool call", path)
    for index, call in enumerate(calls):
        check_tool_call(call, f"{path}[{index}]")


def check_tool_call(call: Any, path: str) -> None:
    """Check one tool call."""
    match call:
        case {
            "id": str() as call_id,
            "type": "function",
            "function": {"name": str() as name, "arguments": str() as arguments},
        } if call_id and NAME.fullmatch(name):
            if not is_json_object(arguments):
                raise bad_request(
                    f"The arguments of {path} are not a JSON object: {arguments!r}",
                    f"{path}.function.arguments",
                )
        case _:
            raise bad_request(f"Malformed tool call in {path}: {call!r}", path)


def is_json_object(text: str) -> bool:
    """Whether a text is a JSON object; NaN and Infinity, which Python reads, are no JSON."""
    try:
        return isinstance(json.loads(text, parse_constant=reject_constant), dict)
    except ValueError:
        return False


def reject_constant(name: str) -> None:
    """Raise ValueError for NaN and Infinity."""
    raise ValueError(f"{name} is no JSON")


def update_pending_calls(pending: set[str], message: JSON, path: str) -> set[str]:
    """Return the ids of the tool calls that have no result yet after this message."""
    if message["role"] == "tool":
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str) or call_id not in pending:
            raise bad_request(
                f"The tool_call_id in {path} answers no tool call of the preceding assistant"
                f" message: {call_id!r}",
                f"{path}.tool_call_id",
            )
        return pending - {call_id}
    if pending:
        raise missing_results_error(pending, path)
    return {call["id"] for call in message.get("tool_calls", ())}


def missing_results_error(call_ids: set[str], path: str) -> RejectedError:
    """Return the error for tool calls without a result."""
    ids = ", ".join(sorted(call_ids))
    return bad_request(f"Tool calls without a result before or at {path}: {ids}", path)
