"""The suite keeps its word: five lines, one file that knows our class, and a table that counts."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree as ET

import pytest

from tests.llama_index import conformance
from tests.llama_index.conformance.subject import Subject
from tests.llama_index.conformance.table import Case, document, read

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs" / "llama-index-conformance.md"
OURS = (HERE / "ours.py").read_text("utf-8")


def lines(source: str) -> list[str]:
    """Return the lines of a source that say something, its docstring left out."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Expr)]
    return ast.unparse(tree).splitlines()


def test_five_lines_are_enough() -> None:
    """Those in the package's docstring, and in the docs, are our own, word for word."""
    paragraphs = (conformance.__doc__ or "").split("\n\n")
    shown = [text for text in paragraphs if text.startswith("    ")]
    assert lines(dedent("\n".join(shown))) == lines(OURS)
    assert OURS.partition('"""\n\n')[2] in DOCUMENT.read_text("utf-8")
    assert len(lines(OURS)) <= 5


def test_one_file_knows_our_class() -> None:
    """All others know a subject."""
    ours = re.compile(r"^(?:from|import) (?:onerouter_core|llama_index_onerouter)", re.MULTILINE)
    knowing = [path.name for path in HERE.glob("*.py") if ours.search(path.read_text("utf-8"))]
    assert knowing == ["ours.py"]


def test_another_class_is_tested_when_asked_for(tmp_path: Path) -> None:
    """By a module that the suite has never seen: its class, which is no LLM, fails."""
    theirs = OURS.replace("SUBJECT = Subject(OneRouterLLM", "THEIRS = Subject(dict")
    (tmp_path / "theirs.py").write_text(theirs, "utf-8")
    case = "test_conformance_endpoints.py::test_zero_is_a_temperature"
    asked = ["--subject", "theirs:THEIRS", "-o", f"pythonpath={tmp_path} .", "--tb=line"]
    ran = subprocess.run(  # noqa: S603 -- our own interpreter
        [sys.executable, "-m", "pytest", f"{HERE}/{case}", "-p", "no:cacheprovider", *asked],
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "'dict' object has no attribute 'chat'" in ran.stdout


@pytest.mark.parametrize(
    ("error", "typed"),
    [(TypeError(), False), (KeyError(), False), (ValueError(), True), (None, False), ("x", False)],
)
def test_an_accident_is_not_meant(error: object, typed: bool) -> None:
    """Without classes of its own, a subject's errors are all but Python's accidents."""
    assert Subject(object).typed(error) is typed  # type: ignore[arg-type]
    assert not Subject(object, errors=(OSError,)).typed(error)  # type: ignore[arg-type]


REPORT = """
<testsuite>
  <testcase classname="tests.test_conformance_b" name="test_one[sync]" />
  <testcase classname="tests.test_conformance_b" name="test_one[async]"><failure /></testcase>
  <testcase classname="tests.test_conformance_a" name="test_two_things[sync-x y]" />
  <testcase classname="tests.test_conformance_a" name="test_two_things[async-x y]" />
  <testcase classname="tests.test_conformance_a" name="test_three[achat]"><error /></testcase>
  <testcase classname="tests.test_conformance_a" name="test_four"><skipped /></testcase>
</testsuite>
"""


def test_a_case_passes_in_both_colours_or_not() -> None:
    """And what was skipped is none."""
    assert read(ET.fromstring(REPORT).iter("testcase")) == {  # noqa: S314 -- our own report
        Case("b", "one"): {"sync": True, "async": False},
        Case("a", "two_things[x y]"): {"sync": True, "async": True},
        Case("a", "three[achat]"): {"": False},
    }


def test_the_table_counts() -> None:
    """Scores by group, and a row for each case that somebody fails."""
    results = read(ET.fromstring(REPORT).iter("testcase"))  # noqa: S314 -- our own report
    kept = {case: colours for case, colours in results.items() if case.group == "a"}
    told = list(document({"X": results, "Y": kept}))
    assert "| a | 1 of 2 | 1 of 2 |" in told
    assert "| b | 0 of 1 | 0 of 0 |" in told
    assert "| **all** | **1 of 3** | **1 of 2** |" in told
    assert told[-2:] == ["| a: three (achat) | fails | fails |", "| b: one | async only |  |"]
