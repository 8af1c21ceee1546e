"""JSON in the text of an answer: the instruction that asks for it, and the parsers that find it.

This module knows how models wrap JSON: code fences, prose, citation marks, thinking tags. It knows
no framework and no key of the API.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

from onerouter_core.model_json import check_nesting, parse_json, parse_json_at, to_strict_json
from onerouter_core.types import Json


def json_instruction(schema: Json) -> str:
    """Return an instruction that asks for an object of a schema.

    It is for models that have neither tools nor a response format.
    """
    schema_text = json.dumps(schema, ensure_ascii=False)
    return f"Answer with nothing but a JSON object that fits this JSON schema:\n{schema_text}"


# JSON starts at the beginning of the text, else after a code fence, else after prose. A bracket
# that no JSON value can follow, as in "{this}" and "[Note]", starts none.
_JSON_BRACKET = r"""(?=\{\s*(?:["}]|\Z)|\[\s*(?:["\[{\]\d-]|true|false|null|\Z))"""
_JSON_STARTS = tuple(
    re.compile(before + _JSON_BRACKET) for before in (r"\A\s*", r"```[\w-]*\s*", "")
)
# Some servers leave the reasoning in the text, and some of these omit the opening tag.
_THINKING = re.compile(r"\A(?:\s*<think>(?:.*?</think>|.*)|(?!\s*[\[{`]).*?</think>)", re.DOTALL)
_CITATION_MARK = re.compile(r"\[[\d\s,]*\]")


def parse_json_text(text: str) -> Any:
    """Return the first JSON value in an answer: bare, fenced, or after prose.

    Invalid or cut JSON is not repaired; raw line breaks in strings are read.

    Raises:
        ValueError: the text holds no complete JSON value.

    """
    start = _find_json_start(text)
    return parse_json(text) if start is None else parse_json_at(text, start)


# None: no JSON has started, or the text is not JSON.
def parse_incomplete_json(text: str) -> Any:
    """Return the value of JSON that is still streaming in, as far as it has come."""
    start = _find_json_start(text)
    if start is None:
        return None
    json_text = text[start:]
    try:
        return _parse_beginning(json_text)
    except ValueError:  # pydantic_core is stricter than `parse_json`
        strict = to_strict_json(json_text)
    try:
        return None if strict == json_text else _parse_beginning(strict)
    except ValueError:
        return None


def _parse_beginning(text: str) -> Any:
    value = from_json(text, allow_inf_nan=False, allow_partial="trailing-strings")
    return check_nesting(value, text.count("[") + text.count("{"))


def _find_json_start(text: str) -> int | None:
    """Return the index of the first bracket that is not in the reasoning and no citation mark.

    If all brackets are citation marks, it is the last one: the answer is a list of numbers. Each
    pattern goes on where the one before has ended: the text is read once by each.
    """
    thinking = _THINKING.match(text)
    position, start = thinking.end() if thinking else 0, None
    for pattern in _JSON_STARTS:
        while bracket := pattern.search(text, position):
            start = bracket.end()
            if (mark := _CITATION_MARK.match(text, start)) is None:
                return start
            position = mark.end()
    return start
