"""Compatibility matrix: the tests on every Python, with the lowest and the newest versions.

    python tests/compat.py --python 3.10 --column newest -- tests/core -k retry

`make compat` runs it for the whole matrix. Each cell has an environment of its own in .venv-compat/
and a log beside it. The environments are made with uv, or with pip if uv is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
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
    """The result of a test run, and the versions of the packages it ran with."""

    result: str
    versions: str = ""


def main() -> None:
    """Run the cells and print the matrix."""
    parser = argparse.ArgumentParser(description="Run the tests on many versions.")
    parser.add_argument("--python", action="append", choices=PYTHONS)
    parser.add_argument("--column", action="append", choices=COLUMNS)
    parser.add_argument("tests", nargs="*", default=TESTS, help="arguments for pytest, after --")
    options = parser.parse_args()
    columns = options.column or list(COLUMNS)
    CELLS.mkdir(exist_ok=True)
    table = {
        version: [run_cell(version, column, options.tests) for column in columns]
        for version in options.python or PYTHONS
    }
    sys.stdout.write(to_markdown(columns, table))


def to_markdown(columns: Sequence[str], table: dict[str, list[Cell]]) -> str:
    """Return the table of results, and the table of the versions of each column."""
    rows = [("Python", *columns), ("---",) * (len(columns) + 1)]
    rows += [(version, *(cell.result for cell in cells)) for version, cells in table.items()]
    rows += [(), ("column", "versions, on the newest Python that it ran on"), ("---", "---")]
    for number, column in enumerate(columns):
        versions = [cells[number].versions for cells in table.values() if cells[number].versions]
        rows.append((column, versions[-1] if versions else "-"))
    return "\n".join(f"| {' | '.join(row)} |" if row else "" for row in rows) + "\n"


def run_cell(version: str, column: str, tests: Sequence[str]) -> Cell:
    """Make the environment of a cell, run the tests in it, and return the result."""
    python = find_interpreter(version)
    if python is None:
        return Cell("no interpreter here")
    home = CELLS / f"{version}-{column}"
    cell_python, constraints = home / "bin" / "python", Path(f"{home}.txt")
    constraints.write_text(constraints_of(COLUMNS[column]), "utf-8")
    with Path(f"{home}.log").open("w+", encoding="utf-8") as log:
        for command in install_commands(python, home, cell_python, constraints):
            if run(command, log):
                return Cell("does not install")
        run((cell_python, "-m", "pytest", "-p", "no:cacheprovider", *tests), log)
        log.seek(0)
        summaries = SUMMARY.findall(log.read())
    result = summaries[-1] if summaries else "does not run"
    cell = Cell(result, output(cell_python, PRINT_VERSIONS))
    sys.stderr.write(f"{home.name}: {cell.result} ({cell.versions})\n")
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
    main()
