"""The suite itself: its documented example, its independence of our class, and its tables."""

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
from tests.llama_index.conformance.adapter import Adapter
from tests.llama_index.conformance.table import Case, format_tables, parse_report

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs" / "llama-index-conformance.md"
OWN_ADAPTER = (HERE / "onerouter_adapter.py").read_text("utf-8")


def statements(source: str) -> list[str]:
    """Return the lines of a source without docstrings, comments and blank lines."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not isinstance(node, ast.Expr)]
    return ast.unparse(tree).splitlines()


def test_the_documented_adapter_is_the_one_in_use() -> None:
    """The package docstring and the document show the same lines; there are at most five."""
    paragraphs = (conformance.__doc__ or "").split("\n\n")
    example = [text for text in paragraphs if text.startswith("    ")]
    assert statements(dedent("\n".join(example))) == statements(OWN_ADAPTER)
    assert OWN_ADAPTER.partition('"""\n\n')[2] in DOCUMENT.read_text("utf-8")
    assert len(statements(OWN_ADAPTER)) <= 5


def test_only_one_file_imports_our_packages() -> None:
    """All other files know an adapter."""
    own = re.compile(r"^(?:from|import) (?:onerouter_core|llama_index_onerouter)", re.MULTILINE)
    importing = [path.name for path in HERE.glob("*.py") if own.search(path.read_text("utf-8"))]
    assert importing == ["onerouter_adapter.py"]


def test_the_adapter_option_selects_another_class(tmp_path: Path) -> None:
    """The adapter of a class that is no LLM fails in the call of `chat`."""
    source = OWN_ADAPTER.replace("ADAPTER = Adapter(OneRouterLLM", "OTHER = Adapter(dict")
    (tmp_path / "other_adapter.py").write_text(source, "utf-8")
    case = "test_conformance_endpoints.py::test_temperature_0_is_sent"
    options = ["--adapter", "other_adapter:OTHER", "-o", f"pythonpath={tmp_path} .", "--tb=line"]
    finished = subprocess.run(  # noqa: S603 -- a fixed command
        [sys.executable, "-m", "pytest", f"{HERE}/{case}", "-p", "no:cacheprovider", *options],
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "'dict' object has no attribute 'chat'" in finished.stdout


@pytest.mark.parametrize(
    ("error", "is_expected"),
    [(TypeError(), False), (KeyError(), False), (ValueError(), True), (None, False), ("x", False)],
)
def test_a_programming_error_is_not_an_expected_error(error: object, is_expected: bool) -> None:
    """Without `errors`, every other Exception is expected; with it, only those classes are."""
    assert Adapter(object).is_expected_error(error) is is_expected  # type: ignore[arg-type]
    assert not Adapter(object, errors=(OSError,)).is_expected_error(error)  # type: ignore[arg-type]


REPORT = """
<testsuite>
  <testcase classname="tests.test_conformance_b_c" name="test_one[sync]" />
  <testcase classname="tests.test_conformance_b_c" name="test_one[async]"><failure /></testcase>
  <testcase classname="tests.test_conformance_a" name="test_two_things[sync-x y]" />
  <testcase classname="tests.test_conformance_a" name="test_two_things[async-x y]" />
  <testcase classname="tests.test_conformance_a" name="test_three[achat]"><error /></testcase>
  <testcase classname="tests.test_conformance_a" name="test_four"><skipped /></testcase>
</testsuite>
"""


def test_parse_report_joins_the_modes_of_a_case() -> None:
    """A skipped test is no case."""
    assert parse_report(ET.fromstring(REPORT).iter("testcase")) == {  # noqa: S314 -- a constant
        Case("b c", "one"): {"sync": True, "async": False},
        Case("a", "two_things[x y]"): {"sync": True, "async": True},
        Case("a", "three[achat]"): {"": False},
    }


def test_format_tables_has_scores_by_group_and_a_row_per_failed_case() -> None:
    """A case counts as passed only if it passes in both modes."""
    results = parse_report(ET.fromstring(REPORT).iter("testcase"))  # noqa: S314 -- a constant
    one_group = {case: by_mode for case, by_mode in results.items() if case.group == "a"}
    lines = list(format_tables({"X": results, "Y": one_group}))
    assert "| a | 1 of 2 | 1 of 2 |" in lines
    assert "| b c | 0 of 1 | 0 of 0 |" in lines
    assert "| **all** | **1 of 3** | **1 of 2** |" in lines
    assert lines[-2:] == ["| a: three (achat) | fails | fails |", "| b c: one | fails (async) |  |"]
