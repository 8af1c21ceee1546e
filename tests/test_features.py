"""Feature tables in docs/: a "yes" names existing tests, a "no" has a reason, no row is missing."""

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
OUR_CLASSES = {"ChatOneRouter", "OneRouterLLM"}
TEST_REFERENCE = re.compile(r"`([\w/]+\.py)::(\w+(?:::\w+)?)`")
VERDICT = re.compile(r"yes\b.*|(?:partly|no|not for this API): \S.*")


class FeatureRow(NamedTuple):
    """A row of a feature table: its number, the verdict on our class, the tests that show it."""

    number: str
    verdict: str
    tests: str


def tables(text: str) -> Iterator[list[FeatureRow]]:
    """Yield the rows of each table that has a column for a class of ours."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *lines = map(cells, block.splitlines())
        if ours := OUR_CLASSES.intersection(head):
            column = head.index(ours.pop())
            yield [FeatureRow(line[0], line[column], line[-1]) for line in lines]


def cells(line: str) -> list[str]:
    """Return the cells of a line; the names of our classes without backticks."""
    inner = [cell.strip() for cell in line.strip().strip("|").split("|")]
    return [cell.strip("`") if cell.strip("`") in OUR_CLASSES else cell for cell in inner]


def rows(text: str) -> list[FeatureRow]:
    """Return the rows of all tables."""
    return [row for table in tables(text) for row in table]


@cache
def defined_names(path: Path) -> frozenset[str]:
    """Return the names that a file defines: functions, classes, and `Class::method`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = (ast.FunctionDef, ast.AsyncFunctionDef)
            names |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, inner)}
    return frozenset(names)


# --- the checks; each returns the faults that it finds in a document ---


def missing_tests(text: str) -> list[str]:
    """Return the references to tests that do not exist."""
    return [
        f"{file}::{name}"
        for file, name in TEST_REFERENCE.findall(text)
        if not (ROOT / file).is_file() or name not in defined_names(ROOT / file)
    ]


def rows_without_tests(text: str) -> list[str]:
    """Return the numbers of rows whose verdict is "yes" or "partly" and that name no test."""
    claims = (row for row in rows(text) if row.verdict.startswith(("yes", "partly")))
    return [row.number for row in claims if not TEST_REFERENCE.search(row.tests)]


def rows_without_verdict(text: str) -> list[str]:
    """Return the numbers of rows that have neither a "yes" nor a "no" with its reason."""
    return [row.number for row in rows(text) if not VERDICT.fullmatch(row.verdict)]


def wrong_numbers(text: str) -> list[str]:
    """Return the row numbers that are out of sequence."""
    return [
        row.number
        for table in tables(text)
        for count, row in enumerate(table, 1)
        if re.sub(r"^[A-Z]", "", row.number) != str(count)
    ]


CHECKS = [missing_tests, rows_without_tests, rows_without_verdict, wrong_numbers]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_a_feature_table_has_no_fault(document: Path, check: Callable[[str], list[str]]) -> None:
    """No check finds a fault in a document."""
    assert check(document.read_text("utf-8")) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_every_numbered_row_is_checked(document: Path) -> None:
    """The tables that the checks read have all numbered rows of the document."""
    text = document.read_text("utf-8")
    numbered = re.findall(r"^\| [A-Z]?\d+ \|", text, re.MULTILINE)
    assert len(rows(text)) == len(numbered) > 0


def test_each_framework_has_a_feature_table() -> None:
    """The other tests are parametrised by the documents: there must be two."""
    assert {document.stem for document in DOCUMENTS} == {
        "langchain-features",
        "llama-index-features",
    }


THIS_FILE = "`tests/test_features.py::test_a_feature_table_has_no_fault`"


def table(*lines: str) -> str:
    """Return a table of these rows."""
    head = ("| # | feature | `ChatOneRouter` | shown by |", "| --- | --- | --- | --- |")
    return "\n".join(("", *head, *lines, ""))


@pytest.mark.parametrize(
    "text",
    [
        table(f"| 1 | a | yes | {THIS_FILE} |", "| 2 | b | no: nobody asked | |"),
        table(f"| N1 | a | yes, in part | {THIS_FILE} |", "| N2 | b | not for this API: none | |"),
        table(f"| 1 | a | partly: half | {THIS_FILE} |") + table(f"| 1 | a | yes | {THIS_FILE} |"),
    ],
)
def test_the_checks_accept_a_right_table(text: str) -> None:
    """No check finds a fault in a right table."""
    assert [check(text) for check in CHECKS] == [[], [], [], []]


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (missing_tests, table("| 1 | a | yes | `tests/test_no_such_file.py::test_a` |")),
        (missing_tests, table("| 1 | a | yes | `tests/test_features.py::test_no_such_test` |")),
        (missing_tests, table("| 1 | a | yes | `tests/test_features.py::FeatureRow::test_a` |")),
        (missing_tests, "Outside of a table: `tests/test_features.py::no_such_function`."),
        (rows_without_tests, table("| 1 | a | yes | |")),
        (rows_without_tests, table("| 1 | a | yes | `make test` |")),
        (rows_without_tests, table("| 1 | a | partly: half of it | tests |")),
        (rows_without_verdict, table("| 1 | a | no | |")),
        (rows_without_verdict, table("| 1 | a | perhaps | |")),
        (rows_without_verdict, table(f"| 1 | a | | {THIS_FILE} |")),
        (wrong_numbers, table(f"| 1 | a | yes | {THIS_FILE} |", f"| 3 | b | yes | {THIS_FILE} |")),
        (
            wrong_numbers,
            table(f"| N1 | a | yes | {THIS_FILE} |", f"| N1 | b | yes | {THIS_FILE} |"),
        ),
        (wrong_numbers, table(f"| 2 | a | yes | {THIS_FILE} |")),
    ],
)
def test_a_check_finds_its_fault(check: Callable[[str], list[str]], text: str) -> None:
    """Each check can fail."""
    assert check(text)
