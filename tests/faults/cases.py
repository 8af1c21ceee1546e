"""What a row of the table is: what the server does, and what the user must get.

This module knows the table's form, and how to tell whether an outcome is right. It knows neither
of the two classes, and no framework.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.faults.server import Play

Calls: TypeAlias = Sequence[tuple[str, Mapping[str, Any]]]

# What is asked again, unless a piece of it is out already.
TRANSIENT = {
    *("APIConnectionError", "APITimeoutError", "RateLimitError", "UpstreamError"),
    "IncompleteStreamError",
}


@dataclass(frozen=True)
class Modes:
    """Plays that say the same, to who asked for a whole answer and to who asked for a stream."""

    whole: Play
    stream: Play


@dataclass(frozen=True)
class Want:
    """What the user must get: an answer, or an error with its facts and what came before it."""

    text: str = ""
    calls: Calls = ()
    error: str | None = None
    says: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def answer(text: str = "Hi", *calls: tuple[str, Mapping[str, Any]]) -> Want:
    """Want this answer."""
    return Want(text, calls)


def fails(error: str, partial: str = "", says: str = "", **facts: Any) -> Want:
    """Want this error, with `partial` in it; a stream has given that much before it."""
    return Want(partial, error=error, says=says, facts=facts)


@dataclass(frozen=True)
class Row:
    """One behaviour.

    `requests` is how many there may be at `max_retries` of 0 and of 2; `mended` what the latter
    gets if that is something else. `seconds` is how long a call may take at most.
    """

    name: str
    plays: Play | Modes | Sequence[Play | Modes]
    want: Want
    requests: tuple[int, int] | None = None
    mended: Want | None = None
    modes: tuple[str, ...] = ("whole", "stream")
    options: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 10.0

    def said_to(self, mode: str) -> list[Play]:
        """Return the plays for who asked in this mode."""
        one = isinstance(self.plays, Modes) or not isinstance(self.plays[0], Modes | tuple)
        plays: Any = [self.plays] if one else self.plays
        return [getattr(play, mode) if isinstance(play, Modes) else play for play in plays]

    def wanted(self, retries: int) -> Want:
        """Return what the user must get at that many retries."""
        return self.mended if retries and self.mended else self.want

    def expected(self, mode: str, retries: int) -> int:
        """Return how many requests there must be."""
        if self.requests is not None:
            return self.requests[1 if retries else 0]
        said = mode == "stream" and self.want.text
        return retries + 1 if self.want.error in TRANSIENT and not said else 1


def whole(name: str, *args: Any, **kwargs: Any) -> Row:
    """Return a row for whole answers only."""
    return Row(f"{name}, whole", *args, modes=("whole",), **kwargs)


def streamed(name: str, *args: Any, **kwargs: Any) -> Row:
    """Return a row for streams only."""
    return Row(f"{name}, streamed", *args, modes=("stream",), **kwargs)


@dataclass
class Outcome:
    """What a user got: of a stream, all that came before its end or its error."""

    text: str = ""
    calls: Calls = ()
    error: BaseException | None = None
    seconds: float = 0.0


def complaints(row: Row, mode: str, retries: int, got: Outcome, requests: int) -> list[str]:
    """Return what is wrong with an outcome of ours."""
    want = row.wanted(retries)
    found = _about_answer(want, got) if want.error is None else _about_error(want, mode, got)
    if requests != (expected := row.expected(mode, retries)):
        found.append(f"{requests} requests, not {expected}")
    if got.seconds > row.seconds:
        found.append(f"{got.seconds:.2f} s, not {row.seconds}")
    attempts = getattr(got.error, "attempts", requests)
    if attempts != requests:
        found.append(f"the error says {attempts} attempts, there were {requests}")
    return found


def _about_answer(want: Want, got: Outcome) -> list[str]:
    if got.error is not None:
        return [f"{got.error!r}, not an answer"]
    return [
        f"{name} {is_!r}, not {must!r}"
        for name, is_, must in (
            ("text", got.text, want.text),
            ("calls", list(got.calls), list(want.calls)),
        )
        if is_ != must
    ]


def _about_error(want: Want, mode: str, got: Outcome) -> list[str]:
    error: Any = got.error
    if type(error).__name__ != want.error:
        return [f"{error!r} ({got.text!r}), not {want.error}"]
    facts = {name: getattr(error, name) for name in want.facts}
    partial = getattr(error.partial, "text", "")
    checks = (
        ("facts", facts, dict(want.facts)),
        ("partial", partial, want.text),
        ("pieces", got.text, want.text if mode == "stream" else ""),
    )
    found = [f"{name} {is_!r}, not {must!r}" for name, is_, must in checks if is_ != must]
    if not re.search(want.says, str(error)):
        found.append(f"it says {error}, not {want.says}")
    return found
