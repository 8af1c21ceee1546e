"""`make compat`: the tests on every Python and on all versions that we say we support, as a table.

    python tests/compat.py --python 3.10 --column newest -- tests/core -k retry

Each cell has an environment of its own in .venv-compat/, made by uv, or by pip where there is
none, and a log beside it. This is no test: it knows interpreters, constraints and installers.
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
SHOWN = ("openai", "httpx", "httpx2", "pydantic", "langchain-core", "llama-index-core")
# A notebook needs a kernel; servers, tracers and stores are what `make integration` installs.
TESTS = ("tests", "-n4", "--ignore=tests/test_notebooks.py", "--ignore=tests/integration")
SUMMARY = re.compile(r"^(\d+ (?:passed|failed|skipped|error).*?) in [\d.]+s", re.MULTILINE)
VERSIONS = f"""
from importlib.metadata import distributions
found = {{one.name.lower(): one.version for one in distributions()}}
print(", ".join(f"{{name}} {{found[name]}}" for name in {SHOWN} if name in found))
"""


class Column(NamedTuple):
    """A constraints file, and the SDK that stands in for the one in it."""

    constraints: str
    openai: str | None = None


COLUMNS = {
    "newest": Column("constraints.txt"),
    "newest-openai2": Column("constraints.txt", "<3"),
    "lowest": Column("constraints-lowest.txt"),
    "lowest-openai3": Column("constraints-lowest.txt", ">=3"),
}


class Cell(NamedTuple):
    """What came of the tests, and on which versions they ran."""

    verdict: str
    versions: str = ""


def main() -> None:
    """Fill the table, and print it."""
    parser = argparse.ArgumentParser(description="Run the tests on many versions.")
    parser.add_argument("--python", action="append", choices=PYTHONS)
    parser.add_argument("--column", action="append", choices=COLUMNS)
    parser.add_argument("tests", nargs="*", default=TESTS, help="arguments for pytest, after --")
    options = parser.parse_args()
    columns = options.column or list(COLUMNS)
    CELLS.mkdir(exist_ok=True)
    table = {
        version: [filled(version, column, options.tests) for column in columns]
        for version in options.python or PYTHONS
    }
    sys.stdout.write(to_markdown(columns, table))


def to_markdown(columns: Sequence[str], table: dict[str, list[Cell]]) -> str:
    """Return the table of verdicts, and that of the versions behind each column."""
    rows = [("Python", *columns), ("---",) * (len(columns) + 1)]
    rows += [(version, *(cell.verdict for cell in cells)) for version, cells in table.items()]
    rows += [(), ("column", "versions, on the newest Python that it ran on"), ("---", "---")]
    for number, column in enumerate(columns):
        ran = [cells[number].versions for cells in table.values() if cells[number].versions]
        rows.append((column, ran[-1] if ran else "-"))
    return "\n".join(f"| {' | '.join(row)} |" if row else "" for row in rows) + "\n"


def filled(version: str, column: str, tests: Sequence[str]) -> Cell:
    """Make an environment, run the tests in it, and say what came of it."""
    python = interpreter(version)
    if python is None:
        return Cell("no interpreter here")
    home = CELLS / f"{version}-{column}"
    inside, constraints = home / "bin" / "python", Path(f"{home}.txt")
    constraints.write_text(pinned(COLUMNS[column]), "utf-8")
    with Path(f"{home}.log").open("w+", encoding="utf-8") as log:
        for step in installation(python, home, inside, constraints):
            if run(step, log):
                return Cell("does not install")
        run((inside, "-m", "pytest", "-p", "no:cacheprovider", *tests), log)
        log.seek(0)
        said = SUMMARY.findall(log.read())
    cell = Cell(said[-1] if said else "does not run", output(inside, VERSIONS))
    sys.stderr.write(f"{home.name}: {cell.verdict} ({cell.versions})\n")
    return cell


def pinned(column: Column) -> str:
    """Return the constraints of a column."""
    lines = (ROOT / column.constraints).read_text("utf-8").splitlines()
    if column.openai is not None:
        lines = [line for line in lines if not line.startswith("openai==")]
        lines.append(f"openai{column.openai}")
    return "\n".join(lines)


def installation(
    python: str, home: Path, inside: Path, constraints: Path
) -> Iterator[Sequence[str | Path]]:
    """Yield the commands that make an environment."""
    what = ("--quiet", "--constraint", constraints, "--editable", ".[all]", "--group", "dev")
    if uv := installer():
        yield *uv, "venv", "--quiet", "--clear", "--python", python, home
        yield *uv, "pip", "install", "--python", inside, *what
    else:
        yield python, "-m", "venv", "--clear", home
        yield inside, "-m", "pip", "install", "--quiet", "--upgrade", "pip"
        yield inside, "-m", "pip", "install", *what


def installer() -> list[str] | None:
    """Return how to call uv, if it is there."""
    if found := shutil.which("uv"):
        return [found]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else None


def interpreter(version: str) -> str | None:
    """Return a Python of this version that runs: one on PATH, or one of pyenv's."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *kept.glob(f"{version}.*/bin/python")]
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    return next((str(path) for path in found if path and output(path, asked) == version), None)


def output(python: str | Path, program: str) -> str:
    """Return what a Python prints; nothing if it is none, as a shim without a version."""
    done = subprocess.run(  # noqa: S603 -- an interpreter of ours
        [str(python), "-c", program], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def run(command: Sequence[str | Path], log: IO[str]) -> int:
    """Run a command at the root of the project, with what it says in the log."""
    words = list(map(str, command))
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # one worker compiles for all
    done = subprocess.run(  # noqa: S603 -- our own commands
        words, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT, check=False
    )
    return done.returncode


if __name__ == "__main__":
    main()
