"""The table of docs/ecosystem.md: a row for each package that the tests name.

A test says what it shows of a package: `@pytest.mark.package("ragas", "scores an answer")`. With
`--page`, a run of the whole folder writes the table, its versions and its date.
"""

from __future__ import annotations

import datetime as dt
import platform
from importlib.metadata import version
from typing import Any

from tests.pages import ROOT

PAGE = ROOT / "docs" / "ecosystem.md"
_START = "<!-- table: made by make ecosystem -->\n"
_END = "<!-- end of the table -->\n"
_HEAD = "| package | version | works | what the tests show |\n| --- | --- | --- | --- |\n"
_ENVIRONMENT = ("langchain-core", "llama-index-core", "openai")


class Results:
    """The outcome of the tests of each package."""

    def __init__(self) -> None:
        self._shown: dict[str, dict[str, None]] = {}
        self._failed: set[str] = set()

    def add(self, packages: list[Any], *, failed: bool) -> None:
        """Add the outcome of a test that names these packages."""
        for package, shown in packages:
            self._shown.setdefault(package, {})[shown] = None
            if failed:
                self._failed.add(package)

    def to_table(self) -> str:
        """Return the table, and the line above it."""
        today = dt.datetime.now(tz=dt.timezone.utc).date()
        versions = ", ".join(f"{name} {version(name)}" for name in _ENVIRONMENT)
        intro = f"Last run on {today}: Python {platform.python_version()}, {versions}.\n\n"
        return intro + _HEAD + "".join(self._row(name) for name in sorted(self._shown))

    def _row(self, package: str) -> str:
        works = "no" if package in self._failed else "yes"
        return f"| {package} | {version(package)} | {works} | {'; '.join(self._shown[package])} |\n"

    def write(self) -> None:
        """Write the table into the page."""
        page = PAGE.read_text("utf-8")
        before, _, rest = page.partition(_START)
        after = rest.partition(_END)[2]
        PAGE.write_text(f"{before}{_START}\n{self.to_table()}\n{_END}{after}", "utf-8")
