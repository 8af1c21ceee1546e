"""What pages of the site have differently from GitHub, which shows the same files as they are.

A line that is one bold text names a tab: its text and one code block, up to the end of the block.
On GitHub it is a label. A page that is nothing but a link to a file above docs/ has the text of
that file.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import Any

_TAB = re.compile(r"^\*\*([^*\n]+)\*\*\n(.*?^```)$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^]]+\]\(\.\./(\w+\.md)\)\s*")


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Return the Markdown that mkdocs renders; mkdocs calls this for each page."""
    if link := _LINK.fullmatch(markdown):
        return (Path(config["docs_dir"]).parent / link[1]).read_text("utf-8")
    return with_tabs(markdown)


def with_tabs(markdown: str) -> str:
    """Return a page with its labelled blocks as tabs."""
    return _TAB.sub(lambda tab: f'=== "{tab[1]}"\n{indent(tab[2], "    ")}', markdown)
