"""`make build`: what is in dist/, and what somebody gets who installs it.

    python tests/release.py dist .venv/bin/python

Each extra alone is installed from the wheel into a fresh environment, and used there as far as it
goes without a network; the others must name themselves. Then type checkers read a typed program
beside the wheel. This is no test that `make test` runs: it knows archives and installers.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
TYPED = ROOT / "examples" / "typed.py"
TOOLS = Path(sys.executable).parent
PACKAGES = {"onerouter_core", "langchain_onerouter", "llama_index_onerouter", "onerouter_simulator"}
NOT_SHIPPED = {".ci", ".git", "dist", "build"}
PLAIN = ("--config-file", "", "--strict", "--cache-dir")  # mypy without pydantic's plugin

# What each extra brings, and what can be done with it and nothing else.
EXTRAS = {
    "": "import onerouter_core; onerouter_core.Ledger(budget_usd='0.50').check()",
    "langchain": """
from langchain_onerouter import ChatOneRouter, register
assert ChatOneRouter(model="a/b", api_key="sk-made-up").preview("Hello")["model"] == "a/b"
""",
    "llama-index": """
from llama_index.core.llms import ChatMessage
from llama_index_onerouter import OneRouterLLM
assert OneRouterLLM(model="a/b").preview([ChatMessage("Hello")])["model"] == "a/b"
""",
    "simulator": """
from urllib.request import urlopen
from onerouter_simulator import Simulator
with Simulator() as simulator:
    assert urlopen(simulator.base_url + "/models").status == 200
""",
}
BROUGHT_BY = {
    "langchain": "langchain_onerouter",
    "llama-index": "llama_index_onerouter",
    "simulator": "onerouter_simulator",
}
MISSING = """
try:
    import {package}
except ImportError as error:
    assert 'pip install "onerouter-integrations[{extra}]"' in str(error), error
else:
    raise SystemExit("{package} can be imported without its extra")
"""


def main() -> None:
    """Look at what was built, install it and read it."""
    folder, python = Path(sys.argv[1]), Path(sys.argv[2]).absolute()
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    if faults := [*faults_of_wheel(wheel), *faults_of_sdist(sdist)]:
        raise SystemExit("\n".join(faults))
    with TemporaryDirectory() as place:
        for extra in EXTRAS:
            say(f"installs and imports: {extra or 'no extra'}")
            alone(extra, wheel, python, Path(place) / (extra or "none"))
        say("is typed: mypy without plugins, pyright")
        typed(wheel, python, Path(place) / "typed")


def faults_of_wheel(wheel: Path) -> Iterator[str]:
    """Yield what is in the wheel and should not be, and what is missing."""
    names = ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    yield from (f"{wheel.name} holds {top}" for top in sorted(tops - PACKAGES))
    marks = {f"{package}/py.typed" for package in PACKAGES}
    yield from (f"{wheel.name} has no {mark}" for mark in sorted(marks - set(names)))
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        yield f"{wheel.name} has no LICENSE"


def faults_of_sdist(sdist: Path) -> Iterator[str]:
    """Yield what is in the sdist and is not the project's; the wheel is built from it."""
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    private = {top for top in tops if top in NOT_SHIPPED or top.startswith(".venv")}
    yield from (f"{sdist.name} holds {top}" for top in sorted(private))
    yield from (f"{sdist.name} has no {top}" for top in sorted((PACKAGES | {"tests"}) - tops))


def alone(extra: str, wheel: Path, python: Path, home: Path) -> None:
    """Install one extra; use it, and see the others name themselves."""
    inside = installed(f"{wheel.resolve()}[{extra}]" if extra else str(wheel), python, home)
    absent = [pair for pair in BROUGHT_BY.items() if pair[0] != extra]
    for code in (EXTRAS[extra], *(MISSING.format(extra=e, package=p) for e, p in absent)):
        run(inside, "-I", "-c", code)


def typed(wheel: Path, python: Path, home: Path) -> None:
    """Let type checkers read a program that knows us only as installed packages."""
    inside = installed(f"{wheel.resolve()}[langchain,llama-index]", python, home)
    program = Path(copy(TYPED, home))
    checked = ("--python-executable", inside, program.name)
    run(python, "-m", "mypy", *PLAIN, "cache-plain", *checked, where=home)
    run(TOOLS / "pyright", "--pythonpath", inside, program.name, where=home)


def installed(what: str, python: Path, home: Path) -> Path:
    """Return the Python of a fresh environment with this in it, at the versions we test."""
    inside = home / "bin" / "python"
    run(TOOLS / "uv", "venv", "--quiet", "--python", python, home)
    constraints = ("--constraint", ROOT / "constraints.txt")
    run(TOOLS / "uv", "pip", "install", "--quiet", "--python", inside, *constraints, what)
    return inside


def run(*command: str | Path, where: Path | None = None) -> None:
    """Run a command, and end with it if it fails."""
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    if done.returncode:
        shown = " ".join(map(str, command))
        raise SystemExit(f"{shown}\n{done.stdout}{done.stderr}")


def say(words: str) -> None:
    """Tell what is tried next."""
    sys.stderr.write(f"{words}\n")


if __name__ == "__main__":
    main()
