"""Code blocks of documentation pages: run them and compare their output with the page.

A block after a bold line with the name of a framework (`**LangChain**`; the site shows it as a tab)
or in a section with that heading is for users of that framework. A page is read once for each
framework that it names: the Python blocks of the framework and those of no framework run in order,
share one namespace, and need no other framework. In a block, a line that begins with `# ->` is a
line of output of the code above it. `await` may stand outside of a function, as in a notebook. A
block after `<!-- not run: reason -->` is not run; one after `<!-- needs: module -->` is run where
the module is installed (tests/integration/test_pages.py).

`python -I tests/pages.py LangChain` reads README and all pages with the installed packages, against
the simulator.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import os
import re
import sys
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE_NAMES = {  # how the names of a framework's packages begin
    "LangChain": ("langchain", "langgraph", "langsmith", "deepagents"),
    "LlamaIndex": ("llama_index", "workflows"),
}
NEEDS_CHECKOUT = {"docs/llama-index-conformance.md"}
SECTIONS_OF_THEIR_OWN = {"docs/ecosystem.md"}  # each section is a program, with packages of its own
_PART = re.compile(
    r"(?:<!-- (?:not run: (?P<reason>.+?)|needs: (?P<module>[\w.]+)) -->\s+)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```$"
    r"|^\*\*(?P<tab>[^*\n]+)\*\*$"
    r"|^(?P<level>#+) (?P<heading>[^\n]+)$",
    re.MULTILINE | re.DOTALL,
)
_OUTPUT = re.compile(r"^# -> ?(.*)$", re.MULTILINE)


class CodeBlock(NamedTuple):
    """A fenced code block.

    `skip_reason` is empty for a block that is run, `framework` for one that is for every reader.
    """

    language: str
    code: str
    skip_reason: str
    framework: str

    @property
    def shown_output(self) -> list[str]:
        """The lines of output that the block shows; empty if it shows none."""
        return [line.rstrip() for line in _OUTPUT.findall(self.code)]

    @property
    def imports(self) -> set[str]:
        """The top-level packages that the block imports."""
        found = set()
        for node in ast.walk(ast.parse(self.code)):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
        return found


def code_blocks(page: str) -> list[CodeBlock]:
    """Return the fenced code blocks of a page, in order."""
    return blocks_in((ROOT / page).read_text("utf-8"))


def blocks_in(text: str) -> list[CodeBlock]:
    """Return the fenced code blocks of a text in Markdown, in order."""
    return list(_blocks_in(text))


def _blocks_in(text: str) -> Iterator[CodeBlock]:
    tab = section = ""
    section_level = 0
    for part in _PART.finditer(text):
        if part["tab"]:
            tab = part["tab"]
        elif part["heading"]:
            level = len(part["level"])
            if part["heading"] in PACKAGE_NAMES:
                section, section_level = part["heading"], level
            elif level <= section_level:
                section = ""
        else:
            code, reason = dedent(part["code"]), part["reason"] or _why_not_run(part["module"])
            yield CodeBlock(part["language"], code, reason, tab or section)
            tab = ""


def _why_not_run(module: str | None) -> str:
    try:
        is_here = module is None or find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it
        is_here = False
    return "" if is_here else f"needs {module}"


def frameworks_of(blocks: Iterable[CodeBlock]) -> set[str]:
    """Return the frameworks whose packages blocks import."""
    names = {name for block in blocks for name in block.imports}
    return {
        framework
        for framework, beginnings in PACKAGE_NAMES.items()
        if any(name.startswith(beginnings) for name in names)
    }


def readings(page: str) -> list[str]:
    """Return the frameworks whose users read the page, each for itself; [""] if it names none."""
    named = {block.framework for block in code_blocks(page)} & set(PACKAGE_NAMES)
    return sorted(named) or [""]


def blocks_of(page: str, framework: str) -> list[CodeBlock]:
    """Return the Python blocks of a page that a user of one framework runs, in order."""
    return [
        block
        for block in code_blocks(page)
        if block.language == "python"
        and not block.skip_reason
        and block.framework in {"", framework}
    ]


def check_page(page: str, framework: str = "") -> str:
    """Run the blocks of a page for one framework, check the shown output; return all output."""
    namespace: dict[str, object] = {"__name__": "page"}
    output = ""
    for number, block in enumerate(blocks_of(page, framework), start=1):
        with redirect_stdout(io.StringIO()) as stdout:
            _run(block.code, f"{page}, {framework} block {number}", namespace)
        printed = stdout.getvalue()
        if block.shown_output:
            lines = [line.rstrip() for line in printed.splitlines()]
            assert lines == block.shown_output, f"{page}, {framework} block {number}: {printed}"
        output += printed
    return output


def _run(source: str, name: str, namespace: dict[str, object]) -> None:
    """Run a block of our own pages, on an event loop if it awaits something."""
    code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, namespace)  # noqa: S307 -- our own pages
    if inspect.isawaitable(result):
        asyncio.run(_finish(result))


async def _finish(result: Awaitable[object]) -> None:
    await result


def pages_for(framework: str) -> list[str]:
    """Return README and the pages of the site that a user of one framework can run, installed."""
    names = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
    other = {*PACKAGE_NAMES} - {framework}
    return [
        name
        for name in names
        if name not in SECTIONS_OF_THEIR_OWN | NEEDS_CHECKOUT
        and not frameworks_of(blocks_of(name, framework)) & other
    ]


def main() -> None:
    """Read all pages for the framework given, each with a simulator as the gateway."""
    from onerouter_simulator import Simulator  # noqa: PLC0415 -- tests need no installed simulator

    (framework,) = sys.argv[1:]
    for page in pages_for(framework):
        with Simulator() as simulator, TemporaryDirectory() as folder:
            os.environ["ONEROUTER_API_KEY"] = simulator.api_key
            os.environ["ONEROUTER_BASE_URL"] = simulator.base_url
            os.chdir(folder)  # for blocks that write files
            check_page(page, framework)


if __name__ == "__main__":
    main()
