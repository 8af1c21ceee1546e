"""What was asked, what came, and what follows from it: the rows of a table.

Knows tables. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

WIDEST = 200  # characters of a cell


class Evidence(NamedTuple):
    """A row."""

    question: str
    sent: str
    came: str
    verdict: str


def to_markdown(rows: Iterable[Evidence]) -> str:
    """Return the table as a page of documentation has it."""
    head = Evidence("question", "sent", "came", "verdict")
    return "\n".join(map(_line, (head, Evidence("---", "---", "---", "---"), *rows)))


def _line(row: Evidence) -> str:
    return f"| {' | '.join(map(_cell, row))} |"


def _cell(text: str) -> str:
    """Return a text on one line, cut short, with nothing in it that ends a cell."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= WIDEST else line[: WIDEST - 1] + "…"
