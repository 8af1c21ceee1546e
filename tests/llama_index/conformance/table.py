"""Run the suite on our class and on those of others, and print what each passes, in Markdown.

Knows pytest's command line and its XML report. Knows no case: a case is a test with its parameters,
and passes if it does in both colours.
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
PEERS = "tests.llama_index.conformance.peers"
SUBJECTS = {
    "OneRouterLLM": "tests.llama_index.conformance.ours",
    "OpenAI": f"{PEERS}:OPENAI",
    "OpenAILike": f"{PEERS}:OPENAI_LIKE",
    "OpenRouter": f"{PEERS}:OPENROUTER",
}
MEASURED = (
    *("llama-index-core", "llama-index-llms-openai", "llama-index-llms-openai-like"),
    *("llama-index-llms-openrouter", "openai", "onerouter-integrations"),
)
COLOURED = re.compile(r"\[(a?sync)(?:-|(?=\]))")


class Case(NamedTuple):
    """A test with its parameters, without the colour; ordered by group."""

    group: str
    name: str


Results = dict[Case, dict[str, bool]]
"""For each case, whether it passed in each colour."""


def run(subject: str) -> Results:
    """Run the suite on a class, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        # Warnings of sockets that were left to the collector are no case: they are not counted.
        options = ["-p", "no:cacheprovider", "-W", "ignore", "--tb=native", f"--junitxml={report}"]
        files = map(str, HERE.glob("test_conformance_*.py"))
        command = [sys.executable, "-m", "pytest", *files, "--subject", subject, *options]
        done = subprocess.run(  # noqa: S603 -- our own interpreter
            command, cwd=ROOT, check=False, capture_output=True, text=True
        )
        if not report.exists():
            raise RuntimeError(done.stdout + done.stderr)
        return read(ET.parse(report).iter("testcase"))  # noqa: S314 -- our own report


def read(entries: Iterable[ET.Element]) -> Results:
    """Return the results in a report; what was skipped is no case of this class."""
    results: Results = {}
    for entry in entries:
        if entry.find("skipped") is not None:
            continue
        group = entry.get("classname", "").rpartition("test_conformance_")[2]
        name = entry.get("name", "").removeprefix("test_")
        coloured = COLOURED.search(name)
        case = Case(group, COLOURED.sub("[", name).replace("[]", ""))
        passed = entry.find("failure") is None and entry.find("error") is None
        colours = results.setdefault(case, {})
        colour = coloured[1] if coloured else ""
        colours[colour] = colours.get(colour, True) and passed
    return results


def verdict(colours: dict[str, bool] | None) -> str:
    """Return what a case's cell says; nothing where it passed, or is none for the class."""
    failed = [colour for colour, passed in (colours or {}).items() if not passed]
    if not failed:
        return ""
    return f"{failed[0]} only" if len(failed) < len(colours or {}) else "fails"


def score(results: Results, group: str = "") -> str:
    """Return how many cases passed of how many."""
    cases = [all(colours.values()) for case, colours in results.items() if group in ("", case[0])]
    return f"{sum(cases)} of {len(cases)}"


def spelled(case: Case) -> str:
    """Return a case in words, with its parameters in brackets."""
    words, _, parameters = case.name.removesuffix("]").partition("[")
    words = words.replace("_", " ")
    return f"{case.group}: {words}" + (f" ({parameters})" if parameters else "")


def row(cells: Iterable[str]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def document(found: dict[str, Results]) -> Iterator[str]:
    """Yield the lines: scores by group, and each case that a class fails."""
    yield from (row(["", *found]), row(["---"] * (len(found) + 1)))
    cases = sorted({case for results in found.values() for case in results})
    for group in sorted({case.group for case in cases}):
        yield row([group, *(score(results, group) for results in found.values())])
    yield row(["**all**", *(f"**{score(results)}**" for results in found.values())])
    yield from ("", row(["case", *found]), row(["---"] * (len(found) + 1)))
    for case in cases:
        verdicts = [verdict(results.get(case)) for results in found.values()]
        if any(verdicts):
            yield row([spelled(case), *verdicts])


def main() -> None:
    """Run all and print."""
    found = {}
    for name, subject in SUBJECTS.items():
        sys.stderr.write(f"{name} ...\n")
        found[name] = run(subject)
    measured = ", ".join(f"{name} {version(name)}" for name in MEASURED)
    sys.stdout.writelines(f"{line}\n" for line in (f"With {measured}.", "", *document(found)))


if __name__ == "__main__":
    main()
