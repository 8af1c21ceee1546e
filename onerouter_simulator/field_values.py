"""Field values found in a text: numbers, quoted strings, places, names, options, phrases.

Knows patterns of text. Of JSON schemas, it knows only the keywords of a single value.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# The text has no value for a field. None would be JSON's null.
ABSENT: Any = ...

NUMBER = r"-?\d+(?:,\d{3})*(?:\.\d+)?"
FREE_NUMBER = re.compile(rf"(?<![\w.-])(?:(?<=\d )-\s)?({NUMBER})(?![\w-]|\.\d|:\d)")
QUOTED = re.compile(
    r"""(?<!\w)'([^'\n]+)'(?!\w)|"([^"\n]+)"|`([^`\n]+)`|“([^”\n]+)”|«([^»\n]+)»|「([^」\n]+)」"""
)
CAPITALISED = r"[A-Z][\w'-]*(?: [A-Z][\w'-]*)*"
PLACE = re.compile(rf"\b(?:in|at|to|from|for|near|of) ({CAPITALISED}(?:, {CAPITALISED})?)")
PROPER_NAME = re.compile(rf"(?<=[\w,:] )({CAPITALISED})|\b([A-Z][a-z]+(?: [A-Z][a-z]+)+)")
CLAUSE_END = re.compile(r"[.?!](?=\s|$)|\n+")
MAX_PHRASE_LENGTH = 80

# Words in the name of a field that ask for a place, or for the name of a person or company.
PLACE_WORDS = {"location", "city", "place", "town", "country", "destination", "origin", "region"}
NAME_WORDS = {"name", "person", "author", "customer", "company", "who"}

# Formats of JSON Schema: the pattern of a value, and a placeholder.
FORMATS = {
    "date": (r"\d{4}-\d\d-\d\d", "2025-01-01"),
    "date-time": (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?",
        "2025-01-01T00:00:00Z",
    ),
    "time": (r"\d\d:\d\d(?::\d\d)?", "12:00:00"),
    "email": (r"[\w.+-]+@[\w-]+\.[\w.]*\w", "someone@example.com"),
    "uri": (r"https?://[^\s<>\"')]+", "https://example.com/"),
    "uuid": (
        r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "00000000-0000-4000-8000-000000000000",
    ),
    "ipv4": (r"\d+(?:\.\d+){3}", "127.0.0.1"),
}


class FieldValues:
    """The values in one text, returned in the order of the text and each only once.

    The `take_` methods return ABSENT if the text has no such value left.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._quoted = find_all(QUOTED, text)
        self._places = find_all(PLACE, text)
        self._names = find_all(PROPER_NAME, text)
        self._numbers = [parse_number(found) for found in find_all(FREE_NUMBER, text)]
        self._phrases = split_phrases(text)
        self._taken_options: list[Any] = []

    def take_string(self, name: str) -> Any:
        """Take the string after a field's name, else a quoted one, else a place or a name."""
        labelled = self._labelled(name, r"([^,.;\n]+)", separator=r"\s*(?::|=|\bis\b)\s*")
        if labelled:
            return labelled.strip().strip("'\"`")
        words = set(split_name(name))
        candidates = [self._quoted]
        candidates += [self._places] if words & PLACE_WORDS else []
        candidates += [self._names] if words & NAME_WORDS else []
        return next((found.pop(0) for found in candidates if found), ABSENT)

    def take_number(self, name: str, is_valid: Callable[[float], bool]) -> Any:
        """Take the number after a field's name, else the next number; it must be valid."""
        separator = r"\s*(?::|=|\bis\b|\bof\b)?\s*"
        labelled = self._labelled(name, rf"({NUMBER})", separator)
        candidates = [parse_number(labelled)] if labelled else []
        found = next((n for n in (*candidates, *self._numbers) if is_valid(n)), None)
        if found is None:
            return ABSENT
        if found in self._numbers:
            self._numbers.remove(found)
        return found

    def take_option(self, options: Iterable[Any]) -> Any:
        """Take the first of some options that the text mentions."""
        text = self.text.replace("_", " ").lower()
        for option in options:
            spelling = re.escape(str(option).replace("_", " ").lower())
            mentioned = re.search(rf"\b{spelling}\b", text)
            if mentioned and option not in self._taken_options:
                self._taken_options.append(option)
                return option
        return ABSENT

    def take_boolean(self, name: str) -> Any:
        """Take the true, false, yes or no after a field's name."""
        separator = r"\s*(?::|=|\bis\b)?\s*"
        labelled = self._labelled(name, r"(true|false|yes|no)\b", separator)
        return labelled.lower() in {"true", "yes"} if labelled else ABSENT

    def find_formatted(self, format_name: str | None, pattern: str | None) -> Any:
        """Return the first part of the text in a format, else the first word of a pattern."""
        if format_name in FORMATS:
            found = re.search(FORMATS[format_name][0], self.text, re.IGNORECASE)
            return found[0] if found else ABSENT
        words = [*self._quoted, *self.text.split(), *re.findall(r"[\w-]+", self.text)]
        return next((word for word in words if pattern and is_match(pattern, word)), ABSENT)

    def next_phrase(self) -> str:
        """Return the next phrase of the text; the first follows the last."""
        phrase = self._phrases.pop(0)
        self._phrases.append(phrase)
        return phrase

    def _labelled(self, name: str, value: str, separator: str) -> str:
        label = r"[ _]".join(map(re.escape, split_name(name)))
        if len(label) <= len("ab"):
            return ""
        found = re.search(rf"\b{label}\b{separator}{value}", self.text, re.IGNORECASE)
        return found[1] if found else ""


def find_all(pattern: re.Pattern[str], text: str) -> list[str]:
    """Return the non-empty group of each match; the pattern has one group per alternative."""
    return [next(filter(None, found.groups())).rstrip(".") for found in pattern.finditer(text)]


def parse_number(text: str) -> float:
    """Parse a number with optional thousands separators; a whole number is an int."""
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def split_phrases(text: str) -> list[str]:
    """Return the clauses of a text, each shortened; `["text"]` if there is none."""
    clauses = (clause.strip() for clause in CLAUSE_END.split(text))
    return [shorten(clause) for clause in clauses if clause] or ["text"]


def shorten(text: str, limit: int = MAX_PHRASE_LENGTH) -> str:
    """Cut a text to at most `limit` characters, at the end of a word if possible."""
    return text if len(text) <= limit else text[: limit + 1].rsplit(None, 1)[0][:limit]


def split_name(name: str) -> list[str]:
    """Return the words of a name in snake_case, kebab-case or camelCase."""
    return [
        word.lower()
        for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+", name)
    ]


def is_match(pattern: str, text: str) -> bool:
    """Whether a text matches a schema's pattern; false for a pattern that Python cannot compile."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def simplest_match(pattern: str) -> str:
    """Return a simple match of a pattern without groups and alternatives."""
    return "".join(sample_characters(pattern.removeprefix("^").removesuffix("$")))


def sample_characters(pattern: str) -> Iterator[str]:
    """Yield a matching character for each atom, repeated as often as its quantifier requires."""
    atom_and_quantifier = r"(\\.|\[[^\]]*\]|.)(?:\{(\d+)[^}]*\}|([*?])|\+)?"
    samples = {r"\d": "1", r"\w": "a", r"\s": " ", ".": "a"}
    for atom, times, optional in re.findall(atom_and_quantifier, pattern):
        inner = atom[1:-1] if len(atom) > len("[]") and atom[0] == "[" else atom
        first = inner[:2] if inner[0] == "\\" else inner[0]
        sample = samples.get(first) or first[-1]
        yield sample * (0 if optional else int(times or 1))
