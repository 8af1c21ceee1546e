"""Pages of documentation: their blocks of code, and what a reader sees who types them in.

Blocks of one page run in order, in one namespace. In a block, a line that begins with `# ->` is
what the code above it prints. `<!-- not run: why -->` before a block keeps it from being run.
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
_PRINTED = re.compile(r"^# -> ?(.*)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block; `why_not` says why it is not run."""

    language: str
    code: str
    why_not: str

    @property
    def prints(self) -> list[str]:
        """The lines that the block says it prints; none, if it does not say."""
        return [line.rstrip() for line in _PRINTED.findall(self.code)]


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = (ROOT / page).read_text("utf-8")
    return [Block(language, code, why) for why, language, code in _BLOCK.findall(text)]


def run(page: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the Python of a page, hold it to what it says it prints, and return all it printed."""
    scope: dict[str, object] = {"__name__": "page"}
    printed = ""
    for number, block in enumerate(blocks(page), start=1):
        if block.language != "python" or block.why_not:
            continue
        exec(compile(block.code, f"{page}, block {number}", "exec"), scope)  # noqa: S102 -- our own
        out = capsys.readouterr().out
        if block.prints:
            assert [line.rstrip() for line in out.splitlines()] == block.prints
        printed += out
    return printed
