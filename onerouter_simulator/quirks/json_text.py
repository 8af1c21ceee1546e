"""Quirks 53 to 56: JSON as models write it, in tool arguments and in answers.

Each row names a model or server that does it, and the report that shows it.
"""

import json
import re
from collections.abc import Callable

from onerouter_simulator.conversation import JSON
from onerouter_simulator.quirks.changes import with_function
from onerouter_simulator.quirks.quirk import GITHUB, Quirk, Rewrite

ESCAPE = re.compile(r"\\(.)", re.DOTALL)
CONTROL_CHARACTERS = {"n": "\n", "r": "\r", "t": "\t"}
# The first string value of an object, without its closing quote; its first number.
STRING_VALUE = re.compile(r'(:\s*"(?:[^"\\]|\\.)*)(?=")', re.DOTALL)
NUMBER_VALUE = re.compile(r"(:\s*)-?\d[\d.eE+-]*")
HALF_A_PAIR = "\ud83d"


def in_json(change: Callable[[str], str]) -> Rewrite:
    """Return a rewrite that changes tool arguments, and an answer that is a JSON object."""

    def rewrite(message: JSON, _: JSON) -> JSON:
        calls = [
            with_function(call, arguments=change(call["function"]["arguments"]))
            for call in message.get("tool_calls", ())
        ]
        text = message["content"]
        message = message | {"content": change(text) if is_object(text) else text}
        return message | {"tool_calls": calls} if calls else message

    return rewrite


def is_object(text: str | None) -> bool:
    """Whether a text is a JSON object."""
    try:
        return isinstance(json.loads(text or ""), dict)
    except ValueError:
        return False


def unescape_control_characters(text: str) -> str:
    """Return JSON text in which line breaks and tabs are not escaped."""
    return ESCAPE.sub(lambda match: CONTROL_CHARACTERS.get(match[1], match[0]), text)


def start_reasoning_with_half_a_pair(message: JSON, _: JSON) -> JSON:
    """Return a message whose reasoning, and its first detail, begin with half a surrogate pair."""
    if "reasoning" not in message:
        return message
    first, *rest = message["reasoning_details"]
    first = first | {"text": HALF_A_PAIR + first["text"]}
    reasoning = HALF_A_PAIR + message["reasoning"]
    return message | {"reasoning": reasoning, "reasoning_details": [first, *rest]}


JSON_TEXT = (
    Quirk(
        number=53,
        name="raw-control-characters",
        sender="Kimi K2.5, DeepSeek, Gemini 2.5, Qwen3",
        source=GITHUB + "MoonshotAI/kimi-cli/issues/1378",
        sends="Line breaks and tabs within the strings of arguments and objects are not escaped.",
        rewrite=in_json(unescape_control_characters),
    ),
    Quirk(
        number=54,
        name="half-a-surrogate-pair-in-json",
        sender="Gemini",
        source=GITHUB + "NousResearch/hermes-agent/issues/102757",
        sends=r"A string in arguments or in an object ends with half a character, as `\ud83d`.",
        rewrite=in_json(lambda text: STRING_VALUE.sub(r"\1\\ud83d", text, count=1)),
    ),
    Quirk(
        number=55,
        name="half-a-surrogate-pair-in-reasoning",
        sender="models that write bytes: MiMo V2 Pro, Kimi, GLM",
        source=GITHUB + "NousResearch/hermes-agent/pull/11628",
        sends=r"Reasoning and its details begin with half a character, as `\ud83d`.",
        rewrite=start_reasoning_with_half_a_pair,
    ),
    Quirk(
        number=56,
        name="nan-in-arguments",
        sender="servers that write arguments with Python's json module",
        source="https://docs.python.org/3/library/json.html#infinite-and-nan-number-values",
        sends="The first number of the arguments is NaN, which is no JSON.",
        rewrite=in_json(lambda text: NUMBER_VALUE.sub(r"\1NaN", text, count=1)),
    ),
)
