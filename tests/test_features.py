"""The feature tables hold: a yes names tests that are there, a no says why, no row is missing."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted((ROOT / "docs").glob("*-features.md"))
OURS = {"ChatOneRouter", "OneRouterLLM"}
NAME = re.compile(r"`([\w/]+\.py)::(\w+(?:::\w+)?)`")
VERDICT = re.compile(r"yes\b.*|(?:partly|no|not for this API): \S.*")


class Row(NamedTuple):
    """What a row says: its number, what our class does, and which tests show it."""

    number: str
    verdict: str
    shown: str


def tables(text: str) -> Iterator[list[Row]]:
    """Yield the rows of each table that has a column for a class of ours."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *lines = map(cells, block.splitlines())
        if ours := OURS.intersection(head):
            column = head.index(ours.pop())
            yield [Row(line[0], line[column], line[-1]) for line in lines]


def cells(line: str) -> list[str]:
    """Return the cells of a line; code in the head is as good as words."""
    inner = [cell.strip() for cell in line.strip().strip("|").split("|")]
    return [cell.strip("`") if cell.strip("`") in OURS else cell for cell in inner]


def rows(text: str) -> list[Row]:
    """Return the rows of all tables."""
    return [row for table in tables(text) for row in table]


@cache
def defined(path: Path) -> frozenset[str]:
    """Return what a file defines: functions, classes, and `Class::method`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = (ast.FunctionDef, ast.AsyncFunctionDef)
            names |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, inner)}
    return frozenset(names)


# --- what can be wrong ---


def absent(text: str) -> list[str]:
    """Return the tests that are named and are not there."""
    return [
        f"{file}::{name}"
        for file, name in NAME.findall(text)
        if not (ROOT / file).is_file() or name not in defined(ROOT / file)
    ]


def unshown(text: str) -> list[str]:
    """Return the numbers of rows that say yes, at least in part, and name no test."""
    claims = (row for row in rows(text) if row.verdict.startswith(("yes", "partly")))
    return [row.number for row in claims if not NAME.search(row.shown)]


def unclear(text: str) -> list[str]:
    """Return the numbers of rows that say neither yes nor why not."""
    return [row.number for row in rows(text) if not VERDICT.fullmatch(row.verdict)]


def astray(text: str) -> list[str]:
    """Return the numbers that are not the ones after those before them."""
    return [
        row.number
        for table in tables(text)
        for count, row in enumerate(table, 1)
        if re.sub(r"^[A-Z]", "", row.number) != str(count)
    ]


CHECKS = [absent, unshown, unclear, astray]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_a_table_holds(document: Path, check: Callable[[str], list[str]]) -> None:
    """Nothing is absent, unshown, unclear or astray."""
    assert check(document.read_text("utf-8")) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_a_table_is_read(document: Path) -> None:
    """The checks see every row that a reader sees."""
    text = document.read_text("utf-8")
    numbered = re.findall(r"^\| [A-Z]?\d+ \|", text, re.MULTILINE)
    assert len(rows(text)) == len(numbered) > 0


def test_there_is_a_table_for_each_framework() -> None:
    """No table would be no fault to find."""
    assert {document.stem for document in DOCUMENTS} == {
        "langchain-features",
        "llama-index-features",
    }


HERE = "`tests/test_features.py::test_a_table_holds`"


def table(*lines: str) -> str:
    """Return a table of these rows."""
    head = ("| # | feature | `ChatOneRouter` | shown by |", "| --- | --- | --- | --- |")
    return "\n".join(("", *head, *lines, ""))


@pytest.mark.parametrize(
    "text",
    [
        table(f"| 1 | a | yes | {HERE} |", "| 2 | b | no: nobody asked | |"),
        table(f"| N1 | a | yes, in part | {HERE} |", "| N2 | b | not for this API: none | |"),
        table(f"| 1 | a | partly: half | {HERE} |") + table(f"| 1 | a | yes | {HERE} |"),
    ],
)
def test_a_true_table(text: str) -> None:
    """Nothing is found in what is right."""
    assert [check(text) for check in CHECKS] == [[], [], [], []]


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (absent, table("| 1 | a | yes | `tests/test_no_such_file.py::test_a` |")),
        (absent, table("| 1 | a | yes | `tests/test_features.py::test_no_such_test` |")),
        (absent, table("| 1 | a | yes | `tests/test_features.py::Row::test_a` |")),
        (absent, "In words, too: `tests/test_features.py::nobody`."),
        (unshown, table("| 1 | a | yes | |")),
        (unshown, table("| 1 | a | yes | `make test` |")),
        (unshown, table("| 1 | a | partly: half of it | tests |")),
        (unclear, table("| 1 | a | no | |")),
        (unclear, table("| 1 | a | perhaps | |")),
        (unclear, table(f"| 1 | a | | {HERE} |")),
        (astray, table(f"| 1 | a | yes | {HERE} |", f"| 3 | b | yes | {HERE} |")),
        (astray, table(f"| N1 | a | yes | {HERE} |", f"| N1 | b | yes | {HERE} |")),
        (astray, table(f"| 2 | a | yes | {HERE} |")),
    ],
)
def test_a_false_table_is_seen(check: Callable[[str], list[str]], text: str) -> None:
    """Each check can fail."""
    assert check(text)
