"""JSON as models write it in text: the instruction that asks for it, and the parser that finds it.

This module knows the ways models wrap JSON (code fences, prose, thinking tags). It knows no framework
and no key of the API.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

from onerouter_core.types import Json


def json_instruction(schema: Json) -> str:
    """Return the words that ask for the object, for a model that can be held to no schema."""
    spelled = json.dumps(schema, ensure_ascii=False)
    return f"Answer with nothing but a JSON object that fits this JSON schema:\n{spelled}"


# Where JSON begins: with the text, else behind a fence, else behind words; brackets around words or
# numbers, as in [Note] and [1], begin none.
_BRACKET = r"""(?=\{\s*(?:["}]|\Z)|\[\s*(?:["\[{\]\d-]|true|false|null|\Z))"""
_STARTS = tuple(re.compile(before + _BRACKET) for before in (r"\A\s*", r"```[\w-]*\s*", ""))
# Some servers leave the thoughts in the text, and some of these without the tag that begins them.
_THINKING = re.compile(r"\s*<think>(?:.*?</think>|.*)|(?!\s*[\[{`]).*?</think>", re.DOTALL)
_CITATION_MARK = re.compile(r"\[[\d\s,]*\]")


def parse_json_text(text: str) -> Any:
    """Return the JSON in an answer, fenced or behind words or neither; raise ValueError."""
    try:
        begins = _find_start(text)
        return (
            json.loads(text) if begins is None else json.JSONDecoder().raw_decode(text, begins)[0]
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_incomplete_json(text: str) -> Any:
    """Return as much as there is of JSON that still streams in, None if there is nothing yet."""
    begins = _find_start(text)
    if begins is None:
        return None
    try:
        return from_json(text[begins:], allow_partial="trailing-strings")
    except ValueError:
        return None


def _find_start(text: str) -> int | None:
    thoughts = _THINKING.match(text)
    begins = _find_bracket(text, thoughts.end() if thoughts else 0)
    while begins is not None and (mark := _CITATION_MARK.match(text, begins)):
        behind = _find_bracket(text, mark.end())
        if behind is None:  # then it is no mark, but the answer
            break
        begins = behind
    return begins


def _find_bracket(text: str, start: int) -> int | None:
    return next((found.end() for b in _STARTS if (found := b.search(text, start))), None)
