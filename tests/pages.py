"""Code blocks of documentation pages: run them and compare their output with the page.

The Python blocks of a page run in order and share one namespace. In a block, a line that begins
with `# ->` is a line of output of the code above it. A block after `<!-- not run: reason -->` is
not run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(
    r"(?:<!-- not run: (.+?) -->\s+)?^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_OUTPUT = re.compile(r"^# -> ?(.*)$", re.MULTILINE)


class CodeBlock(NamedTuple):
    """A fenced code block; `skip_reason` is empty for a block that is run."""

    language: str
    code: str
    skip_reason: str

    @property
    def shown_output(self) -> list[str]:
        """The lines of output that the block shows; empty if it shows none."""
        return [line.rstrip() for line in _OUTPUT.findall(self.code)]


def code_blocks(page: str) -> list[CodeBlock]:
    """Return the fenced code blocks of a page, in order."""
    return blocks_in((ROOT / page).read_text("utf-8"))


def blocks_in(text: str) -> list[CodeBlock]:
    """Return the fenced code blocks of a text in Markdown, in order."""
    return [CodeBlock(language, code, reason) for reason, language, code in _BLOCK.findall(text)]


def check_page(page: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the Python blocks of a page, check the output that it shows; return all output."""
    namespace: dict[str, object] = {"__name__": "page"}
    output = ""
    for number, block in enumerate(code_blocks(page), start=1):
        if block.language != "python" or block.skip_reason:
            continue
        exec(compile(block.code, f"{page}, block {number}", "exec"), namespace)  # noqa: S102 -- our own pages
        printed = capsys.readouterr().out
        if block.shown_output:
            assert [line.rstrip() for line in printed.splitlines()] == block.shown_output
        output += printed
    return output
