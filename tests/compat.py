"""Compatibility matrix: the tests on every Python, with the lowest and the newest versions.

    python tests/compat.py --python 3.10 --column newest -- tests/core -k retry

`make compat` runs the whole matrix, `make compat-once` each Python once. The CI runs the oldest and
the newest always, those in between if their last run is a week old or failed. All write
the results into the table of docs/compatibility.md, where other cells keep their last result. Each
cell has an environment of its own in .venv-compat/ and a log beside it. The environments are made
with uv, or with pip if uv is missing. The exit status is 1 if a cell fails.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).parents[1]
CELLS = ROOT / ".venv-compat"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
PAGE = ROOT / "docs" / "compatibility.md"
TABLE_HEAD = "| Python | versions | result | date | of |\n| --- | --- | --- | --- | --- |"
AGAIN = "; those again, one by one: "
LOG_LINES = 60  # of a failed cell, to be printed
SHOWN_PACKAGES = ("openai", "httpx", "httpx2", "pydantic", "langchain-core", "llama-index-core")
# Notebooks need a kernel; `make integration` installs the servers of the integration tests.
TESTS = ("tests", "-n4", "--ignore=tests/test_notebooks.py", "--ignore=tests/integration")
SUMMARY = re.compile(r"^(\d+ (?:passed|failed|skipped|error).*?) in [\d.]+s", re.MULTILINE)
PRINT_VERSIONS = f"""
from importlib.metadata import distributions
versions = {{found.name.lower(): found.version for found in distributions()}}
print(", ".join(f"{{name}} {{versions[name]}}" for name in {SHOWN_PACKAGES} if name in versions))
"""


class Column(NamedTuple):
    """A constraints file, and a requirement of openai that replaces the one in the file."""

    constraints: str
    openai: str | None = None


COLUMNS = {
    "newest": Column("constraints.txt"),
    "newest-openai2": Column("constraints.txt", "<3"),
    "lowest": Column("constraints-lowest.txt"),
    "lowest-openai3": Column("constraints-lowest.txt", ">=3"),
}


class Cell(NamedTuple):
    """The result of a test run: a row of the page's table."""

    python: str
    column: str
    result: str
    versions: str = ""

    @property
    def failed(self) -> bool:
        """Whether a test failed, or nothing could be run."""
        return not re.match(r"\d+ passed", self.result.split(AGAIN)[-1])

    def to_row(self) -> str:
        """Return the row, with today's date."""
        return f"{self.key()} {self.result} | {today()} | {self.versions} |"

    def key(self) -> str:
        """Return the beginning of the row, which no other cell has."""
        return f"| {self.python} | {self.column} |"


def main() -> int:
    """Run the cells, print a row for each, and return the exit status."""
    parser = argparse.ArgumentParser(description="Run the tests on many versions.")
    parser.add_argument("--python", action="append", choices=PYTHONS)
    parser.add_argument("--column", action="append", choices=COLUMNS)
    parser.add_argument("--once", action="store_true", help="run each Python with one column only")
    parser.add_argument(
        "--every", type=int, metavar="DAYS", help="leave out a Python that passed since, in between"
    )
    parser.add_argument("--without", choices=COLUMNS, help="leave this column out")
    parser.add_argument("--page", action="store_true", help="write the results into the page")
    parser.add_argument("tests", nargs="*", default=TESTS, help="arguments for pytest, after --")
    options = parser.parse_args()
    CELLS.mkdir(exist_ok=True)
    pythons = [version for version in options.python or PYTHONS if find_interpreter(version)]
    columns = options.column or list(COLUMNS)
    pairs = list(once(pythons) if options.once else itertools.product(pythons, columns))
    if options.every is not None:
        page = PAGE.read_text("utf-8")
        middle = [pair for pair in pairs[1:-1] if not passed_since(page, *pair, options.every)]
        pairs = [pairs[0], *middle, pairs[-1]]
    cells = [
        run_cell(version, column, options.tests)
        for version, column in pairs
        if column != options.without
    ]
    if options.page:
        PAGE.write_text(with_rows(PAGE.read_text("utf-8"), cells), "utf-8")
    return int(any(cell.failed for cell in cells))


def once(pythons: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pair the oldest Python with the lowest versions and the newest with the newest.

    Those in between have the other two columns by turns.
    """
    yield pythons[0], "lowest"
    yield from zip(pythons[1:-1], itertools.cycle(("newest-openai2", "lowest-openai3")))
    yield pythons[-1], "newest"


def passed_since(page: str, version: str, column: str, days: int) -> bool:
    """Return whether the page has a run of a cell that passed, fewer days ago than these."""
    row = next((r for r in page.splitlines() if r.startswith(Cell(version, column, "").key())), "")
    if not row or Cell(version, column, row.split("|")[3].strip()).failed:
        return False
    age = today() - dt.date.fromisoformat(row.split("|")[4].strip())
    return age.days < days


def today() -> dt.date:
    """Return the date, in UTC."""
    return dt.datetime.now(tz=dt.timezone.utc).date()


def with_rows(page: str, cells: Sequence[Cell]) -> str:
    """Return the page with a row for each cell: in place of its last one, or at its place."""
    start = page.index(TABLE_HEAD) + len(TABLE_HEAD)
    end = page.index("\n\n", start)
    keys = {cell.key() for cell in cells}
    rows = [row for row in page[start:end].splitlines() if row]
    rows = [row for row in rows if not any(row.startswith(key) for key in keys)]
    table = "\n".join(sorted([*rows, *(cell.to_row() for cell in cells)]))
    return f"{page[:start]}\n{table}{page[end:]}"


def run_cell(version: str, column: str, tests: Sequence[str]) -> Cell:
    """Make the environment of a cell, run the tests in it, and return the result."""
    home = CELLS / f"{version}-{column}"
    cell_python, constraints = home / "bin" / "python", Path(f"{home}.txt")
    constraints.write_text(constraints_of(COLUMNS[column]), "utf-8")
    with Path(f"{home}.log").open("w+", encoding="utf-8") as log:
        for command in install_commands(
            str(find_interpreter(version)), home, cell_python, constraints
        ):
            if run(command, log):
                return report(Cell(version, column, "does not install"), log)
        result = run_tests(cell_python, tests, log)
        return report(Cell(version, column, result, output(cell_python, PRINT_VERSIONS)), log)


# Tests of time limits fail now and then when many others run at once on a small machine.
def run_tests(cell_python: Path, tests: Sequence[str], log: IO[str]) -> str:
    """Run the tests, those that failed once more and one by one; return pytest's summaries."""
    command = (cell_python, "-m", "pytest", "-o", f"cache_dir={cell_python.parents[1] / '.cache'}")
    if run((*command, *tests), log):
        run((*command, "--last-failed", "--last-failed-no-failures=none", *tests, "-n0"), log)
    log.seek(0)
    return AGAIN.join(SUMMARY.findall(log.read())) or "does not run"


def report(cell: Cell, log: IO[str]) -> Cell:
    """Print the row of a cell, and the end of the log if it failed; return the cell."""
    if cell.failed:
        log.seek(0)
        sys.stdout.write("".join(log.readlines()[-LOG_LINES:]))
    sys.stdout.write(f"{cell.to_row()}\n")
    sys.stdout.flush()
    return cell


def constraints_of(column: Column) -> str:
    """Return the text of the constraints of a column."""
    lines = (ROOT / column.constraints).read_text("utf-8").splitlines()
    if column.openai is not None:
        lines = [line for line in lines if not line.startswith("openai==")]
        lines.append(f"openai{column.openai}")
    return "\n".join(lines)


def install_commands(
    python: str, home: Path, cell_python: Path, constraints: Path
) -> Iterator[Sequence[str | Path]]:
    """Yield the commands that make an environment in `home` and install the project into it."""
    arguments = ("--quiet", "--constraint", constraints, "--editable", ".[all]", "--group", "dev")
    if uv := find_uv():
        yield *uv, "venv", "--quiet", "--clear", "--python", python, home
        yield *uv, "pip", "install", "--python", cell_python, *arguments
    else:
        yield python, "-m", "venv", "--clear", home
        yield cell_python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"
        yield cell_python, "-m", "pip", "install", *arguments


def find_uv() -> list[str] | None:
    """Return the command that runs uv; None if it is not installed."""
    if path := shutil.which("uv"):
        return [path]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else None


def find_interpreter(version: str) -> str | None:
    """Return a Python of this version that runs, on PATH or of pyenv; None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *pyenv.glob(f"{version}.*/bin/python")]
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return next(
        (str(path) for path in candidates if path and output(path, program) == version), None
    )


def output(python: str | Path, program: str) -> str:
    """Return the output of a program; empty if the interpreter is a shim without a version."""
    done = subprocess.run(  # noqa: S603 -- a Python interpreter and our own program
        [str(python), "-c", program], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def run(command: Sequence[str | Path], log: IO[str]) -> int:
    """Run a command in the project's folder, with its output in the log; return the exit status."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # the workers share compiled files
    done = subprocess.run(  # noqa: S603 -- our own commands
        list(map(str, command)),
        cwd=ROOT,
        env=env,
        stdout=log,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
