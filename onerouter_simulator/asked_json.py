"""JSON that a prompt asks for: by a JSON schema in its text, or by an example of the answer.

Knows texts and JSON schemas. Knows no message format and no rule of the answers.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

JSON = dict[str, Any]
# A schema, and the text without it.
Found: TypeAlias = tuple[JSON, str]

# A sentence that wants the answer as JSON.
REQUEST = re.compile(
    r"\b(?:output|respond|response|answer|reply|return|give|generate|produce|provide|write)\b"
    r"[^.\n]*\bjson\b",
    re.IGNORECASE,
)
# The end of a text that an example of the answer follows, maybe in a code block.
INTRODUCTION = re.compile(
    r"(?<!`)\b(?:json|schema|example|format|form|follow\w*|like|output|structure)\b[^\n.{\[]*"
    r"\s*(?:```\w*\s*)?$",
    re.IGNORECASE,
)
MAX_INTRODUCTION = 200  # characters
FENCE = re.compile(r"```\w*")
MENTION = re.compile(r"\b(?:json|schema)\b", re.IGNORECASE)
CLAUSE = re.compile(r"[^\s].*?(?:[.?!](?=\s)|$)", re.MULTILINE)

BRACKET = re.compile(r"[\[\]{}]")
# Strings, punctuation, words; comments, commas and ellipses are skipped.
WORD = re.compile(
    r"""(?<!:)//[^\n]*|\.{2,}|…|,|("(?:[^"\\]|\\.)*"|'[^'\n]*'|<[^<>\n]*>|[{}\[\]:]|[^\s,:{}\[\]"']+)"""
)
# Words for types that stand for a value in an example.
TYPE_WORDS = {
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "bool": "boolean",
    "boolean": "boolean",
}


def find_asked_schema(text: str) -> Found | None:
    """Return the schema of the JSON that a text asks for, and the text without it, else None."""
    return find_schema(text) or find_example(text)


def find_schema(text: str) -> Found | None:
    """Return the last JSON schema in a text, and the text around all of them; None without one.

    LangChain's format instructions have an example of a schema before that of the answer. Braces
    may be doubled, as prompt templates of LlamaIndex escape them.
    """
    for form in (text, single_braces(text)):
        found = last_of(form, iterate_schemas(form))
        if found:
            return found
    return None


def find_example(text: str) -> Found | None:
    """Return the schema of the last example of the answer, and the text around all examples.

    LlamaIndex's selector of several choices appends its instructions twice.
    """
    return last_of(text, iterate_examples(text))


def last_of(text: str, schemas: Iterator[tuple[JSON, int, int]]) -> Found | None:
    """Return the last of the schemas in a text, and the text before the first and after it."""
    found = list(schemas)
    if not found:
        return None
    return found[-1][0], FENCE.sub("", text[: found[0][1]] + text[found[-1][2] :])


def iterate_examples(text: str) -> Iterator[tuple[JSON, int, int]]:
    """Yield the schema of each example of an answer in JSON, with start and end."""
    request = REQUEST.search(text)
    for start, end in outermost_brackets(text) if request else ():
        introduction = text[max(0, start - MAX_INTRODUCTION) : start]
        if request and start > request.start() and INTRODUCTION.search(introduction):
            try:
                example = parse_example(single_braces(text[start:end]))
            except (RecursionError, ValueError):
                continue
            yield schema_of(example), start, end


def mentions_last(text: str) -> str:
    """Return a text with its clauses about JSON at the end: values are in the others first."""
    clauses = CLAUSE.findall(text)
    return "\n".join(sorted(clauses, key=lambda one: bool(MENTION.search(one)))).strip()


def single_braces(text: str) -> str:
    """Return a text without the doubling of its braces."""
    return text.replace("{{", "{").replace("}}", "}")


def iterate_schemas(text: str) -> Iterator[tuple[JSON, int, int]]:
    """Yield the JSON schemas in a text that are within no other object, with start and end."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (RecursionError, ValueError):
            value, end = None, start
        if value is not None and is_schema(value):
            yield value, start, end
        start = text.find("{", max(end, start + 1))


def is_schema(value: Any) -> bool:
    """Whether a JSON value is the schema of an object or of a list, and no value of one."""
    match value:
        case {"properties": dict(properties)}:
            return all(isinstance(one, dict | bool) for one in properties.values())
        case {"items": dict(items)}:
            return bool(items.keys() & {"$ref", "type", "properties", "anyOf", "enum"})
        case {"$defs": dict(), "$ref": str()}:
            return True
    return False


def outermost_brackets(text: str) -> list[tuple[int, int]]:
    """Return start and end of the bracketed parts of a text that are in no other."""
    opened: list[int] = []
    closed: list[tuple[int, int]] = []
    for found in BRACKET.finditer(text):
        if found[0] in "[{":
            opened.append(found.start())
        elif opened:
            start = opened.pop()
            while closed and closed[-1][0] > start:
                closed.pop()
            closed.append((start, found.end()))
    return closed


def parse_example(text: str) -> Any:
    """Return the value of an example: JSON with bare keys, placeholders, comments and ellipses.

    Raises:
        ValueError: The text is no example of an object or of a list.
    """
    words = (found[1] for found in WORD.finditer(text) if found[1])
    return parse_value(next(words, ""), words)


def parse_value(word: str, words: Iterator[str]) -> Any:
    """Return the value that begins with a word."""
    if word == "{":
        return dict(parse_fields(words))
    if word == "[":
        return [parse_value(item, words) for item in iter(words.__next__, "]")]
    if word in {"", "}", "]", ":"}:
        raise ValueError(f"{word!r} is no value")
    try:
        return json.loads(word)
    except ValueError:
        return word.strip("'")


def parse_fields(words: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of an object, of which the opening bracket has been read."""
    for word in iter(lambda: next(words, "}"), "}"):
        if next(words, "") != ":":
            raise ValueError(f"{word} is no field")
        yield word.strip("\"'"), parse_value(next(words, ""), words)


def schema_of(example: Any) -> JSON:
    """Return the schema of an example."""
    match example:
        case dict():
            properties = {name: schema_of(value) for name, value in example.items()}
            return {"type": "object", "properties": properties, "required": list(properties)}
        case list():
            return {"type": "array", "items": schema_of(example[0] if example else "")}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
    return {"type": TYPE_WORDS.get(str(example).strip("<>"), "string")}
