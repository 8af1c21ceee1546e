"""Run the suite on OneRouterLLM and on other classes, and print the results as Markdown tables.

This module knows pytest's command line and its XML report. It knows no case. A case is a test with
its parameters; it passes if it passes in both modes, sync and async.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PEERS = "tests.llama_index.conformance.peer_adapters"
ADAPTERS = {
    "OneRouterLLM": "tests.llama_index.conformance.onerouter_adapter",
    "OpenAI": f"{PEERS}:OPENAI",
    "OpenAILike": f"{PEERS}:OPENAI_LIKE",
    "OpenRouter": f"{PEERS}:OPENROUTER",
}
PACKAGES = (
    *("llama-index-core", "llama-index-llms-openai", "llama-index-llms-openai-like"),
    *("llama-index-llms-openrouter", "openai", "onerouter-integrations"),
)
MODE_ID = re.compile(r"\[(a?sync)(?:-|(?=\]))")


class Case(NamedTuple):
    """A test with its parameters, without the mode; cases are sorted by group, then by name."""

    group: str
    name: str


Results = dict[Case, dict[str, bool]]
"""Whether a case passed, by case and mode; the mode of a test without modes is ""."""


def run(adapter: str) -> Results:
    """Run the suite on a class in a separate process, and return its results."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        # Warnings about sockets that the garbage collector closes are not counted as failures.
        options = ["-p", "no:cacheprovider", "-W", "ignore", "--tb=native", f"--junitxml={report}"]
        files = map(str, HERE.glob("test_conformance_*.py"))
        command = [sys.executable, "-m", "pytest", *files, "--adapter", adapter, *options]
        finished = subprocess.run(  # noqa: S603 -- a fixed command
            command, cwd=ROOT, check=False, capture_output=True, text=True
        )
        if not report.exists():
            raise RuntimeError(finished.stdout + finished.stderr)
        return parse_report(ET.parse(report).iter("testcase"))  # noqa: S314 -- pytest's own report


def parse_report(entries: Iterable[ET.Element]) -> Results:
    """Return the results in a report, without skipped tests."""
    results: Results = {}
    for entry in entries:
        if entry.find("skipped") is not None:
            continue
        group = entry.get("classname", "").rpartition("test_conformance_")[2].replace("_", " ")
        name = entry.get("name", "").removeprefix("test_")
        mode_id = MODE_ID.search(name)
        case = Case(group, MODE_ID.sub("[", name).replace("[]", ""))
        passed = entry.find("failure") is None and entry.find("error") is None
        by_mode = results.setdefault(case, {})
        mode = mode_id[1] if mode_id else ""
        by_mode[mode] = by_mode.get(mode, True) and passed
    return results


def format_verdict(by_mode: dict[str, bool] | None) -> str:
    """Return the cell of a case: empty if it passed or was skipped, else the modes that failed."""
    failed = [mode for mode, passed in (by_mode or {}).items() if not passed]
    if not failed:
        return ""
    return f"fails ({failed[0]})" if len(failed) < len(by_mode or {}) else "fails"


def format_score(results: Results, group: str = "") -> str:
    """Return the number of cases that passed, and the number of all cases, of a group or of all."""
    passed = [all(by_mode.values()) for case, by_mode in results.items() if group in ("", case[0])]
    return f"{sum(passed)} of {len(passed)}"


def format_case(case: Case) -> str:
    """Return the name of a case as text, with its parameters in brackets."""
    text, _, parameters = case.name.removesuffix("]").partition("[")
    text = text.replace("_", " ")
    return f"{case.group}: {text}" + (f" ({parameters})" if parameters else "")


def format_row(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def format_tables(all_results: dict[str, Results]) -> Iterator[str]:
    """Yield the lines of two tables: scores by group, and each case that a class fails."""
    divider = format_row(["---"] * (len(all_results) + 1))
    yield from (format_row(["", *all_results]), divider)
    cases = sorted({case for results in all_results.values() for case in results})
    for group in sorted({case.group for case in cases}):
        scores = (format_score(results, group) for results in all_results.values())
        yield format_row([group, *scores])
    totals = (f"**{format_score(results)}**" for results in all_results.values())
    yield format_row(["**all**", *totals])
    yield from ("", format_row(["case", *all_results]), divider)
    for case in cases:
        verdicts = [format_verdict(results.get(case)) for results in all_results.values()]
        if any(verdicts):
            yield format_row([format_case(case), *verdicts])


def main() -> None:
    """Run the suite on all classes, and print the tables."""
    all_results = {}
    for name, adapter in ADAPTERS.items():
        sys.stderr.write(f"{name} ...\n")
        all_results[name] = run(adapter)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = (f"With {versions}.", "", *format_tables(all_results))
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
