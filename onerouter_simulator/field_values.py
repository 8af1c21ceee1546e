"""What a text offers to fill fields with: numbers, quoted strings, places, names, phrases.

Knows words, and takes nothing twice. Knows no JSON schema beyond the limits of a single value.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

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
LONGEST_PHRASE = 80

PLACE_WORDS = {"location", "city", "place", "town", "country", "destination", "origin", "region"}
NAME_WORDS = {"name", "person", "author", "customer", "company", "who"}

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


class Offers:
    """The fillings in one text, handed out in the order in which they stand there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._quoted = groups(QUOTED, text)
        self._places = groups(PLACE, text)
        self._names = groups(PROPER_NAME, text)
        self._numbers = [number(found) for found in groups(FREE_NUMBER, text)]
        self._phrases = phrases(text)
        self._options_taken: list[Any] = []

    def string(self, name: str) -> Any:
        """Take a string for a field: labelled, quoted, or of the kind that its name asks for."""
        labelled = self._labelled(name, r"([^,.;\n]+)", mark=r"\s*(?::|=|\bis\b)\s*")
        if labelled:
            return labelled.strip().strip("'\"`")
        words = set(words_of(name))
        likely = [self._quoted]
        likely += [self._places] if words & PLACE_WORDS else []
        likely += [self._names] if words & NAME_WORDS else []
        return next((found.pop(0) for found in likely if found), ABSENT)

    def number(self, name: str, fits: Callable[[float], bool]) -> Any:
        """Take the number that stands at the field's name, else the next one that fits."""
        labelled = self._labelled(name, rf"({NUMBER})", mark=r"\s*(?::|=|\bis\b|\bof\b)?\s*")
        candidates = [number(labelled)] if labelled else []
        found = next((n for n in (*candidates, *self._numbers) if fits(n)), None)
        if found is None:
            return ABSENT
        if found in self._numbers:
            self._numbers.remove(found)
        return found

    def option(self, options: Iterable[Any]) -> Any:
        """Take the first of some values that the text mentions."""
        for option in options:
            spelled = re.escape(str(option).replace("_", " ").lower())
            mentioned = re.search(rf"\b{spelled}\b", self.text.replace("_", " ").lower())
            if mentioned and option not in self._options_taken:
                self._options_taken.append(option)
                return option
        return ABSENT

    def flag(self, name: str) -> Any:
        """Take what the text says of a yes-or-no field, if it names it."""
        said = self._labelled(name, r"(true|false|yes|no)\b", mark=r"\s*(?::|=|\bis\b)?\s*")
        return said.lower() in {"true", "yes"} if said else ABSENT

    def shaped(self, shape: str | None, pattern: str | None) -> Any:
        """Take a piece of the text in a format, or a word that matches a pattern."""
        if shape in FORMATS:
            found = re.search(FORMATS[shape][0], self.text, re.IGNORECASE)
            return found[0] if found else ABSENT
        words = [*self._quoted, *self.text.split(), *re.findall(r"[\w-]+", self.text)]
        return next((word for word in words if pattern and matches(pattern, word)), ABSENT)

    def phrase(self) -> str:
        """Take the next phrase of the text; after the last comes the first."""
        phrase = self._phrases.pop(0)
        self._phrases.append(phrase)
        return phrase

    def _labelled(self, name: str, value: str, mark: str) -> str:
        label = r"[ _]".join(map(re.escape, words_of(name)))
        if len(label) <= len("ab"):
            return ""
        found = re.search(rf"\b{label}\b{mark}{value}", self.text, re.IGNORECASE)
        return found[1] if found else ""


def groups(pattern: re.Pattern[str], text: str) -> list[str]:
    """Return what a pattern of alternatives finds, whichever alternative it was."""
    return [next(filter(None, found.groups())).rstrip(".") for found in pattern.finditer(text)]


def number(text: str) -> float:
    """Read a number; a whole one is an int."""
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def phrases(text: str) -> list[str]:
    """Return the clauses of a text, none too long; one word if there is none."""
    clauses = (clause.strip() for clause in CLAUSE_END.split(text))
    return [shortened(clause) for clause in clauses if clause] or ["text"]


def shortened(text: str, longest: int = LONGEST_PHRASE) -> str:
    """Cut a text at the end of a word."""
    return text if len(text) <= longest else text[: longest + 1].rsplit(None, 1)[0][:longest]


def words_of(name: str) -> list[str]:
    """Return the words of a name in snake_case, kebab-case or camelCase."""
    return [
        word.lower()
        for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+", name)
    ]


def matches(pattern: str, text: str) -> bool:
    """Whether a schema's pattern accepts a text; one that Python cannot read accepts none."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def from_pattern(pattern: str) -> str:
    """Make the simplest text of a pattern that has no groups and alternatives."""
    return "".join(atoms(pattern.removeprefix("^").removesuffix("$")))


def atoms(pattern: str) -> Iterator[str]:
    """One character for each atom of a pattern, as often as its quantifier asks."""
    atom_and_quantifier = r"(\\.|\[[^\]]*\]|.)(?:\{(\d+)[^}]*\}|([*?])|\+)?"
    samples = {r"\d": "1", r"\w": "a", r"\s": " ", ".": "a"}
    for atom, times, never in re.findall(atom_and_quantifier, pattern):
        inner = atom[1:-1] if len(atom) > len("[]") and atom[0] == "[" else atom
        first = inner[:2] if inner[0] == "\\" else inner[0]
        yield samples.get(first, first[-1]) * (0 if never else int(times or 1))
