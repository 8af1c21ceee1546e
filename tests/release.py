"""Release check: the files in dist/, their installation with each extra, and their types.

    python tests/release.py dist .venv/bin/python

`make build` runs it. The wheel is installed into a new environment with one extra at a time: that
extra must work as far as it can without a network, and the import of another one must name it. Then
type checkers check a program against the installed wheel.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
TYPED_PROGRAM = ROOT / "examples" / "typed.py"
TOOLS = Path(sys.executable).parent
PACKAGES = {"onerouter_core", "langchain_onerouter", "llama_index_onerouter", "onerouter_simulator"}
PRIVATE = {".ci", ".git", "dist", "build"}
# mypy without this project's configuration, and so without the plugin of pydantic.
WITHOUT_PLUGINS = ("--config-file", "", "--strict", "--cache-dir")

# A program for each extra that uses it; it must run with no other extra installed.
PROGRAM_BY_EXTRA = {
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
# What README and pages need beside an extra: each says so where it is imported.
PACKAGES_OF_PAGES = {
    "langchain": ("LangChain", "langchain", "tqdm"),
    "llama-index": ("LlamaIndex",),
}
PACKAGE_BY_EXTRA = {
    "langchain": "langchain_onerouter",
    "llama-index": "llama_index_onerouter",
    "simulator": "onerouter_simulator",
}
# The import of a package's names without its extra must say which extra to install.
MISSING_EXTRA_PROGRAM = """
try:
    from {package} import *
except ImportError as error:
    assert 'pip install "onerouter-integrations[{extra}]"' in str(error), error
else:
    raise SystemExit("{package} can be imported without its extra")
"""


def main() -> None:
    """Check the files, their installation and their types; exit at the first fault."""
    folder, python = Path(sys.argv[1]), Path(sys.argv[2]).absolute()
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    if faults := [*wheel_faults(wheel), *sdist_faults(sdist)]:
        raise SystemExit("\n".join(faults))
    with TemporaryDirectory() as place:
        for extra in PROGRAM_BY_EXTRA:
            print_progress(f"install and import: {extra or 'no extra'}")
            check_extra(extra, wheel, python, Path(place) / (extra or "none"))
        print_progress("types: mypy without plugins, pyright")
        check_types(wheel, python, Path(place) / "typed")


def wheel_faults(wheel: Path) -> Iterator[str]:
    """Yield the unexpected and the missing files of the wheel."""
    names = ZipFile(wheel).namelist()
    top_folders = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    yield from (f"{wheel.name} holds {folder}" for folder in sorted(top_folders - PACKAGES))
    markers = {f"{package}/py.typed" for package in PACKAGES}
    yield from (f"{wheel.name} has no {marker}" for marker in sorted(markers - set(names)))
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    for link in re.findall(r"\]\((?!http)[^)]+\)", ZipFile(wheel).read(metadata).decode()):
        yield f"{wheel.name}: the description links to {link}, which no package index has"
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        yield f"{wheel.name} has no LICENSE"


def sdist_faults(sdist: Path) -> Iterator[str]:
    """Yield the private and the missing folders of the sdist; the wheel is built from it."""
    with tarfile.open(sdist) as archive:
        top_names = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    private = {name for name in top_names if name in PRIVATE or name.startswith(".venv")}
    yield from (f"{sdist.name} holds {name}" for name in sorted(private))
    missing = (PACKAGES | {"tests"}) - top_names
    yield from (f"{sdist.name} has no {name}" for name in sorted(missing))


def check_extra(extra: str, wheel: Path, python: Path, home: Path) -> None:
    """Install one extra, use it, and check the messages of the imports that lack theirs.

    Then, with the simulator added, run every block of README and pages for its framework.
    """
    requirement = f"{wheel.resolve()}[{extra}]" if extra else str(wheel)
    new_python = install(requirement, python, home)
    run(new_python, "-I", "-c", PROGRAM_BY_EXTRA[extra])
    for other, package in PACKAGE_BY_EXTRA.items():
        if other != extra:
            program = MISSING_EXTRA_PROGRAM.format(extra=other, package=package)
            run(new_python, "-I", "-c", program)
    if extra in PACKAGES_OF_PAGES:
        framework, *packages = PACKAGES_OF_PAGES[extra]
        add(f"{wheel.resolve()}[{extra},simulator]", new_python, *packages)
        run(new_python, "-I", ROOT / "tests" / "pages.py", framework)


def check_types(wheel: Path, python: Path, home: Path) -> None:
    """Type-check a program that sees the project only as installed packages."""
    new_python = install(f"{wheel.resolve()}[langchain,llama-index]", python, home)
    program = Path(copy(TYPED_PROGRAM, home))
    arguments = ("--python-executable", new_python, program.name)
    run(python, "-m", "mypy", *WITHOUT_PLUGINS, "cache-plain", *arguments, folder=home)
    run(TOOLS / "pyright", "--pythonpath", new_python, program.name, folder=home)


def install(requirement: str, python: Path, home: Path) -> Path:
    """Install into a new environment, at the versions that we test; return its Python."""
    new_python = home / "bin" / "python"
    run(TOOLS / "uv", "venv", "--quiet", "--python", python, home)
    add(requirement, new_python)
    return new_python


def add(requirement: str, python: Path, *packages: str) -> None:
    """Install a requirement, and packages beside it, at the versions that we test."""
    arguments = ("--constraint", ROOT / "constraints.txt", requirement, *packages)
    run(TOOLS / "uv", "pip", "install", "--quiet", "--python", python, *arguments)


def run(*command: str | Path, folder: Path | None = None) -> None:
    """Run a command; exit with its output if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    if done.returncode:
        shown = " ".join(map(str, command))
        raise SystemExit(f"{shown}\n{done.stdout}{done.stderr}")


def print_progress(text: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
