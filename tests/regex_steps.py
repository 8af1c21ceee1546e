"""Counts the steps that a backtracking matcher takes, as that of `re` does, for any pattern.

Time would depend on the machine. The matcher interprets what `re` parses a pattern to; it knows the
constructs that this project's patterns use, and fails for any other.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

try:
    from re import _constants as constants
    from re import _parser as parser
except ImportError:  # Python 3.10
    import sre_constants as constants  # type: ignore[no-redef]
    import sre_parse as parser  # type: ignore[no-redef]

Continuation = Callable[[int], bool]
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    constants.CATEGORY_DIGIT: str.isdigit,
    constants.CATEGORY_SPACE: str.isspace,
    constants.CATEGORY_WORD: lambda character: character.isalnum() or character == "_",
    constants.CATEGORY_NOT_SPACE: lambda character: not character.isspace(),
}
_ONE_CHARACTER = {constants.LITERAL, constants.NOT_LITERAL, constants.ANY, constants.IN}
_REPEATS = {constants.MAX_REPEAT, constants.MIN_REPEAT}
_ASSERTIONS = {constants.ASSERT, constants.ASSERT_NOT}


class StepCounter:
    """One search of a text; `steps` are the characters and alternatives that were tried."""

    def __init__(self, pattern: re.Pattern[str] | str, text: str, flags: int = 0) -> None:
        compiled = pattern if isinstance(pattern, re.Pattern) else re.compile(pattern, flags)
        self._text = text.lower() if compiled.flags & re.IGNORECASE else text
        self._ignores_case = bool(compiled.flags & re.IGNORECASE)
        self._tree = list(parser.parse(compiled.pattern, compiled.flags & ~re.UNICODE))
        self.steps = 0

    def search(self) -> bool:
        """Return whether the pattern is found, as `re.search` does."""
        return any(self._match(self._tree, at, lambda _: True) for at in range(len(self._text) + 1))

    def _match(self, tree: list[Any], at: int, then: Continuation) -> bool:  # noqa: C901, PLR0911
        self.steps += 1
        if not tree:
            return then(at)
        (operation, argument), rest = tree[0], tree[1:]

        def go_on(end: int) -> bool:
            return self._match(rest, end, then)

        if operation in _ONE_CHARACTER:
            return self._is_matched(operation, argument, at) and go_on(at + 1)
        if operation in _REPEATS:
            least, most, inner = argument
            return self._repeat(operation, (least, most, list(inner)), at, go_on)
        if operation is constants.BRANCH:
            return any(self._match(list(branch), at, go_on) for branch in argument[1])
        if operation is constants.SUBPATTERN:
            return self._match(list(argument[3]), at, go_on)
        if operation in _ASSERTIONS:
            found = self._match(list(argument[1]), at, lambda _: True)
            return found is (operation is constants.ASSERT) and go_on(at)
        if operation is constants.AT:
            return self._is_at(argument, at) and go_on(at)
        raise NotImplementedError(operation)

    def _repeat(self, kind: Any, repeat: tuple[int, Any, list[Any]], at: int, go_on: Any) -> bool:
        least, most, inner = repeat
        if len(inner) == 1 and inner[0][0] in _ONE_CHARACTER:
            end = at
            while end - at < most and self._is_matched(*inner[0], end):
                self.steps += 1
                end += 1
            ends = range(at + least, end + 1)
            return any(map(go_on, ends if kind is constants.MIN_REPEAT else reversed(ends)))

        def again(end: int) -> bool:
            return end > at and self._repeat(kind, (max(least - 1, 0), most, inner), end, go_on)

        if kind is constants.MIN_REPEAT and not least and go_on(at):
            return True
        return self._match(inner, at, again) or (not least and go_on(at))

    def _is_matched(self, operation: Any, argument: Any, at: int) -> bool:
        if at >= len(self._text):
            return False
        character = self._text[at]
        if operation is constants.ANY:
            return True  # also a line end, as with DOTALL: only more to do
        if operation is constants.IN:
            negated = argument[0][0] is constants.NEGATE
            return any(self._is_in(item, character) for item in argument[negated:]) is not negated
        literal = chr(argument).lower() if self._ignores_case else chr(argument)
        return (character == literal) is (operation is constants.LITERAL)

    def _is_in(self, item: Any, character: str) -> bool:
        operation, argument = item
        if operation is constants.LITERAL:
            return ord(character) == argument
        if operation is constants.RANGE:
            return bool(argument[0] <= ord(character) <= argument[1])
        return _CATEGORIES[argument](character)

    def _is_at(self, place: Any, at: int) -> bool:
        if place in (constants.AT_BEGINNING, constants.AT_BEGINNING_STRING):
            return at == 0
        if place in (constants.AT_END, constants.AT_END_STRING):
            return at == len(self._text)
        return True  # a word boundary: taken for one everywhere, which is only more to do


def steps(pattern: re.Pattern[str] | str, text: str, flags: int = 0) -> int:
    """Return the steps of a search."""
    counter, limit = StepCounter(pattern, text, flags), sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)  # the matcher is recursive where that of `re` has a stack
    try:
        counter.search()
    finally:
        sys.setrecursionlimit(limit)
    return counter.steps
