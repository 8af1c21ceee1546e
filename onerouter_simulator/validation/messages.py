"""The messages of a request: roles, contents, and tool calls that must find their answers.

Knows one message and its neighbours. What a content part may be is known next door.
"""

import json
import re
from typing import Any

from onerouter_simulator.errors import bad_request
from onerouter_simulator.validation.parts import check_parts

JSON = dict[str, Any]

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
PARTS_ALLOWED = {
    "system": {"text"},
    "user": {"text", "image_url", "input_audio", "file", "video_url"},
    "assistant": {"text", "refusal"},
    "tool": {"text"},
}
STANDS_FOR_CONTENT = ("tool_calls", "refusal", "audio", "images")
MOST_MARKS = 4


def check_messages(messages: list[Any]) -> None:
    """Reject a message that is malformed, or that does not fit those before it."""
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        check_message(message, place)
        waiting = after(message, waiting, place)
    if waiting:
        raise unanswered(waiting, f"messages[{len(messages) - 1}]")
    marks = sum(marks_in(message) for message in messages)
    if marks > MOST_MARKS:
        raise bad_request(f"At most {MOST_MARKS} cache_control marks, not {marks}", "messages")


def check_message(message: Any, place: str) -> None:
    """Check one message by itself."""
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(role, str) or role not in PARTS_ALLOWED:
        raise bad_request(f"Invalid role in {place}: {role!r}", f"{place}.role")
    check_content(message, place)
    if not isinstance(message.get("name", ""), str):
        raise bad_request(f"The name in {place} is not a string", f"{place}.name")
    if role == "assistant":
        check_details(message.get("reasoning_details", []), f"{place}.reasoning_details")
        check_calls(message.get("tool_calls", [...]), f"{place}.tool_calls")


def check_content(message: JSON, place: str) -> None:
    """Check that a message says something: a string, parts, or what may stand for them."""
    content, role = message.get("content"), message["role"]
    match content:
        case str():
            return
        case [_, *_]:
            check_parts(content, PARTS_ALLOWED[role], f"{place}.content")
        case None if role == "assistant" and any(message.get(key) for key in STANDS_FOR_CONTENT):
            return
        case _:
            raise bad_request(
                f"Invalid content in {place}: {content!r} is not allowed for role {role}",
                f"{place}.content",
            )


def check_details(details: Any, place: str) -> None:
    """Check that reasoning comes back in a shape in which it could have been given."""
    well_formed = isinstance(details, list) and all(
        isinstance(detail, dict) and isinstance(detail.get("type"), str) for detail in details
    )
    if not well_formed:
        raise bad_request(f"{place} is not a list of objects with a type", place)


def check_calls(calls: Any, place: str) -> None:
    """Check the tool calls of an assistant message; `[...]` says that there are none."""
    if calls == [...]:
        return
    if not isinstance(calls, list) or not calls:
        raise bad_request(f"{place} is not a list of at least one tool call", place)
    for number, call in enumerate(calls):
        check_call(call, f"{place}[{number}]")


def check_call(call: Any, place: str) -> None:
    """Check one tool call."""
    match call:
        case {
            "id": str() as call_id,
            "type": "function",
            "function": {"name": str() as name, "arguments": str() as arguments},
        } if call_id and NAME.fullmatch(name):
            if not is_object(arguments):
                raise bad_request(
                    f"The arguments of {place} are not a JSON object: {arguments!r}",
                    f"{place}.function.arguments",
                )
        case _:
            raise bad_request(f"Malformed tool call in {place}: {call!r}", place)


def is_object(text: str) -> bool:
    """Whether a text holds a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def after(message: JSON, waiting: set[str], place: str) -> set[str]:
    """Return the tool calls that wait for their result after this message."""
    if message["role"] == "tool":
        answered = message.get("tool_call_id")
        if not isinstance(answered, str) or answered not in waiting:
            raise bad_request(
                f"The tool_call_id in {place} answers no tool call of the preceding assistant"
                f" message: {answered!r}",
                f"{place}.tool_call_id",
            )
        return waiting - {answered}
    if waiting:
        raise unanswered(waiting, place)
    return {call["id"] for call in message.get("tool_calls", ())}


def unanswered(waiting: set[str], place: str) -> Exception:
    """Tool calls that were not answered in time."""
    ids = ", ".join(sorted(waiting))
    return bad_request(f"Tool calls without a result before or at {place}: {ids}", place)


def marks_in(message: JSON) -> int:
    """Return the number of cache_control marks in a message."""
    content = message.get("content")
    return sum("cache_control" in part for part in content) if isinstance(content, list) else 0
