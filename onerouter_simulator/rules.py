"""What to say: the rules, in the order in which they are tried.

Knows the request's meaning. Knows neither the bodies of a reply nor how they are sent.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onerouter_simulator.conversation import JSON, Conversation, describe, schema_in
from onerouter_simulator.extraction import extract, find_passage
from onerouter_simulator.field_values import QUOTED, groups, phrases, words_of
from onerouter_simulator.from_schema import generate

TELLING_LETTERS = 5
FOLLOW_UP = re.compile(
    r"^Follow Up \w+:(.*)^Standalone question:", re.DOTALL | re.MULTILINE | re.IGNORECASE
)
ARITHMETIC = re.compile(r"\d\s*([-+*/\u00d7\u00f7])\s*\d")
OPERATIONS = {
    "+": {"add", "adder", "sum", "plus", "addition"},
    "-": {"subtract", "minus", "difference", "subtraction"},
    "*": {"multiply", "times", "product", "multiplication"},
    "/": {"divide", "quotient", "division"},
}
SYNONYMS = {"\u00d7": "*", "\u00f7": "/"}


@dataclass(frozen=True)
class Answer:
    """What is said in reply, before it is cut, counted and put into a body."""

    rule: str
    text: str | None = None
    calls: tuple[tuple[str, str], ...] = ()
    refusal: str | None = None


def answer(request: JSON) -> Answer:
    """Answer by the first rule that applies."""
    talk = Conversation(request["messages"])
    for rule in (refuse, call_tools, json_asked_for, quote_results, extract_answer):
        said = rule(request, talk)
        if said is not None:
            return said
    return echo(talk)


def refuse(_: JSON, talk: Conversation) -> Answer | None:
    """`please refuse` is refused."""
    if "please refuse" not in talk.user_text.lower():
        return None
    return Answer("refuse", refusal="I refuse, as the user asked me to.")


def call_tools(request: JSON, talk: Conversation) -> Answer | None:
    """Call what must be called, or what the user mentions."""
    chosen = chosen_tools(request, talk)
    if not chosen:
        return None
    text = material(talk)
    calls = ((tool["name"], as_json(generate(arguments_of(tool), text))) for tool in chosen)
    return Answer("call tools", calls=tuple(calls))


def arguments_of(tool: JSON) -> JSON:
    """Return the schema of a tool's arguments, an object even if it is empty."""
    return {"type": "object", **tool.get("parameters", {})}


def chosen_tools(request: JSON, talk: Conversation) -> list[JSON]:
    """Choose the tools to call now."""
    tools = [tool["function"] for tool in request.get("tools", [])]
    match request.get("tool_choice", "auto"):
        case {"function": {"name": name}}:
            return [tool for tool in tools if tool["name"] == name]
        case "required":
            fresh = [tool for tool in tools if tool["name"] not in talk.called.values()] or tools
            return [*mentioned(fresh, talk.user_text), *fresh][:1]
        case "auto" if not talk.results:
            found = mentioned(tools, talk.user_text)
            return found[:1] if request.get("parallel_tool_calls") is False else found
        case _:
            return []


def mentioned(tools: list[JSON], text: str) -> list[JSON]:
    """Find the tools that a text mentions."""
    return [tool for tool in tools if is_mentioned(tool["name"], text)]


def is_mentioned(name: str, text: str) -> bool:
    """Whether a text has a tool's name, a long word of it, or an arithmetical sign for it."""
    words = words_of(name)
    signs = (SYNONYMS.get(sign, sign) for sign in ARITHMETIC.findall(text))
    if any(OPERATIONS[sign] & set(words) for sign in signs):
        return True
    spellings = [rf"\b{re.escape(name)}\b"]
    spellings += [rf"\b{re.escape(word)}" for word in words if len(word) >= TELLING_LETTERS]
    return any(re.search(spelling, text, re.IGNORECASE) for spelling in spellings)


def json_asked_for(request: JSON, talk: Conversation) -> Answer | None:
    """JSON by a schema, or with the keys that the prompt quotes."""
    wanted = request.get("response_format", {"type": "text"})
    schema = wanted.get("json_schema", wanted).get("schema")
    quoted = schema_in(f"{talk.system_text}\n{talk.user_text}")
    text = material(talk)
    if schema is not None:
        return Answer("make JSON by the schema", as_json(generate(schema, text)))
    if quoted is not None:
        rest = schema_in(talk.user_text)
        text = rest[1] if rest else text
        return Answer("make JSON by the schema in the prompt", as_json(generate(quoted[0], text)))
    if wanted["type"] == "text":
        return None
    keys = groups(QUOTED, f"{talk.system_text}\n{talk.user_text}") or ["answer"]
    said = phrases(text)[0]
    return Answer("make JSON with the quoted keys", as_json(dict.fromkeys(keys, said)))


def quote_results(_: JSON, talk: Conversation) -> Answer | None:
    """After tool results: quote them."""
    results = talk.results
    if not results:
        return None
    quotes = [f"According to {name}: {text}" for name, text in results]
    brought = [describe(talk.media)] if talk.messages[-1]["role"] == "user" and talk.media else []
    return Answer("quote the tool results", "\n".join([*quotes, *brought]))


def extract_answer(_: JSON, talk: Conversation) -> Answer | None:
    """Answer a question from its context; one that is to be made to stand alone stays as it is."""
    follow_up = FOLLOW_UP.search(talk.user_text)
    if follow_up:
        return Answer("repeat the follow-up question", follow_up[1].strip())
    passage = find_passage(talk.user_text, talk.system_text)
    return Answer("extract from the context", extract(passage)) if passage else None


def echo(talk: Conversation) -> Answer:
    """Everything else: say what came."""
    return Answer("echo", " ".join(echoes(talk)))


def echoes(talk: Conversation) -> Iterator[str]:
    """Say what media came, and what text."""
    if talk.media:
        yield describe(talk.media)
    if talk.user_text or not talk.media:
        yield f"You said: {talk.user_text}"


def material(talk: Conversation) -> str:
    """Return what values are made from: the user's text, a context's answer, tool results."""
    passage = find_passage(talk.user_text, talk.system_text)
    said = f"{extract(passage)}\n{passage.question}" if passage else talk.user_text
    return "\n".join([said, *(text for _, text in talk.results)])


def as_json(value: Any) -> str:
    """JSON as an answer's text."""
    return json.dumps(value, ensure_ascii=False)
