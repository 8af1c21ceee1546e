"""The rules of the answers, in the order in which they are tried.

Knows the meaning of a request. Knows neither the bodies of a reply nor how they are sent.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onerouter_simulator.asked_json import find_asked_schema, mentions_last
from onerouter_simulator.conversation import JSON, Conversation, describe_media
from onerouter_simulator.extraction import extract, find_passage
from onerouter_simulator.field_values import QUOTED, find_all, split_name, split_phrases
from onerouter_simulator.from_schema import generate

# Shorter words of a tool's name, such as "get", do not mention the tool.
MIN_WORD_LENGTH = 5
# The condense prompts of both frameworks: rewrite a follow-up question as a standalone question.
FOLLOW_UP = re.compile(
    r"^Follow Up \w+:(.*)^Standalone question:", re.DOTALL | re.MULTILINE | re.IGNORECASE
)
OPERATION = re.compile(r"\d\s*([-+*/\u00d7\u00f7])\s*\d")
# Words of tool names that an operator mentions.
OPERATOR_WORDS = {
    "+": {"add", "adder", "sum", "plus", "addition"},
    "-": {"subtract", "minus", "difference", "subtraction"},
    "*": {"multiply", "times", "product", "multiplication"},
    "/": {"divide", "quotient", "division"},
}
OPERATOR_SYNONYMS = {"\u00d7": "*", "\u00f7": "/"}


@dataclass(frozen=True)
class Answer:
    """The content of a reply, before limits, usage and extras.

    Args:
        rule: Name of the rule that was followed, for the reasoning text.
        text: Text of the message.
        calls: Tool calls: (name, arguments as JSON text).
        refusal: Refusal of the message.
    """

    rule: str
    text: str | None = None
    calls: tuple[tuple[str, str], ...] = ()
    refusal: str | None = None


def choose_answer(request: JSON) -> Answer:
    """Return the answer of the first rule that applies."""
    conversation = Conversation(request["messages"])
    for rule in (refuse, call_tools, write_json, quote_tool_results, answer_from_context):
        answer = rule(request, conversation)
        if answer is not None:
            return answer
    return echo(conversation)


def refuse(_: JSON, conversation: Conversation) -> Answer | None:
    """Refuse if the user's text contains "please refuse"."""
    if "please refuse" not in conversation.user_text.lower():
        return None
    return Answer("refuse", refusal="I refuse, as the user asked me to.")


def call_tools(request: JSON, conversation: Conversation) -> Answer | None:
    """Call the required tools, or those that the user mentions."""
    chosen = choose_tools(request, conversation)
    if not chosen:
        return None
    text = source_text(conversation)
    calls = ((tool["name"], json_text(generate(arguments_schema(tool), text))) for tool in chosen)
    return Answer("call tools", calls=tuple(calls))


def arguments_schema(tool: JSON) -> JSON:
    """Return the schema of a tool's arguments; without parameters, that of an empty object."""
    return {"type": "object", **tool.get("parameters", {})}


def choose_tools(request: JSON, conversation: Conversation) -> list[JSON]:
    """Return the tools to call, by `tool_choice` and the user's text."""
    tools = [tool["function"] for tool in request.get("tools", [])]
    text = conversation.user_text
    match request.get("tool_choice", "auto"):
        case {"function": {"name": name}}:
            return [tool for tool in tools if tool["name"] == name]
        case "required":
            called = conversation.tool_names_by_call_id.values()
            candidates = [tool for tool in tools if tool["name"] not in called] or tools
            return [*find_mentioned(candidates, text), *candidates][:1]
        case "auto" if not conversation.tool_results:
            mentioned = find_mentioned(tools, text)
            return mentioned[:1] if request.get("parallel_tool_calls") is False else mentioned
        case _:
            return []


def find_mentioned(tools: list[JSON], text: str) -> list[JSON]:
    """Return the tools that a text mentions."""
    return [tool for tool in tools if is_mentioned(tool["name"], text)]


def is_mentioned(name: str, text: str) -> bool:
    """Whether a text has a tool's name, a long word of the name, or its arithmetic operator."""
    words = split_name(name)
    signs: list[str] = OPERATION.findall(text)
    operators = (OPERATOR_SYNONYMS.get(sign, sign) for sign in signs)
    if any(OPERATOR_WORDS[operator] & set(words) for operator in operators):
        return True
    patterns = [rf"\b{re.escape(name)}\b"]
    patterns += [rf"\b{re.escape(word)}" for word in words if len(word) >= MIN_WORD_LENGTH]
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


def write_json(request: JSON, conversation: Conversation) -> Answer | None:
    """Answer with JSON: by the schema, by one that the prompt has, or with the quoted keys."""
    response_format = request.get("response_format", {"type": "text"})
    schema = response_format.get("json_schema", response_format).get("schema")
    prompt = f"{conversation.system_text}\n{conversation.user_text}"
    in_prompt = find_asked_schema(prompt)
    text = source_text(conversation)
    if schema is not None:
        return Answer("make JSON by the schema", json_text(generate(schema, text)))
    if in_prompt is not None:
        in_user_text = find_asked_schema(conversation.user_text)
        text = mentions_last(in_user_text[1]) if in_user_text else text
        value = generate(in_prompt[0], text)
        return Answer("make JSON by the schema in the prompt", json_text(value))
    if response_format["type"] == "text":
        return None
    keys = find_all(QUOTED, prompt) or ["answer"]
    value = dict.fromkeys(keys, split_phrases(text)[0])
    return Answer("make JSON with the quoted keys", json_text(value))


def quote_tool_results(_: JSON, conversation: Conversation) -> Answer | None:
    """Quote the tool results, and list media that a user message adds to them."""
    results = conversation.tool_results
    if not results:
        return None
    lines = [f"According to {name}: {text}" for name, text in results]
    if conversation.messages[-1]["role"] == "user" and conversation.media:
        lines.append(describe_media(conversation.media))
    return Answer("quote the tool results", "\n".join(lines))


def answer_from_context(_: JSON, conversation: Conversation) -> Answer | None:
    """Answer a question from its context; repeat a follow-up question of a condense prompt."""
    follow_up = FOLLOW_UP.search(conversation.user_text)
    if follow_up:
        return Answer("repeat the follow-up question", follow_up[1].strip())
    passage = find_passage(conversation.user_text, conversation.system_text)
    return Answer("extract from the context", extract(passage)) if passage else None


def echo(conversation: Conversation) -> Answer:
    """Repeat the user's text, and list the media."""
    return Answer("echo", " ".join(echo_sentences(conversation)))


def echo_sentences(conversation: Conversation) -> Iterator[str]:
    """Yield a list of the media, if any, and the text, unless only media were sent."""
    if conversation.media:
        yield describe_media(conversation.media)
    if conversation.user_text or not conversation.media:
        yield f"You said: {conversation.user_text}"


def source_text(conversation: Conversation) -> str:
    """Return the text that JSON values are taken from: user text or extract, and tool results."""
    passage = find_passage(conversation.user_text, conversation.system_text)
    text = f"{extract(passage)}\n{passage.question}" if passage else conversation.user_text
    return "\n".join([text, *(result for _, result in conversation.tool_results)])


def json_text(value: Any) -> str:
    """Return a value as JSON text with spaces, as a model writes it."""
    return json.dumps(value, ensure_ascii=False)
