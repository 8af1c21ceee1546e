"""Evidence of the live tests, as rows of a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MAX_CELL = 200  # characters


class Evidence(NamedTuple):
    """A row: a question, the request and the response, and the answer to the question."""

    question: str
    sent: str
    received: str
    verdict: str


def to_markdown(rows: Iterable[Evidence]) -> str:
    """Return the rows as a Markdown table."""
    head = Evidence("question", "sent", "received", "verdict")
    return "\n".join(map(_row, (head, Evidence("---", "---", "---", "---"), *rows)))


def _row(evidence: Evidence) -> str:
    return f"| {' | '.join(map(_cell, evidence))} |"


def _cell(text: str) -> str:
    """Return a text on one line, at most MAX_CELL characters long, with escaped pipes."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= MAX_CELL else line[: MAX_CELL - 1] + "…"
