"""What pages of the site have differently from GitHub, which shows the same files as they are.

A line that is one bold text names a tab: its text and one code block, up to the end of the block.
On GitHub it is a label. A page that is nothing but a link to a file above docs/ has the text of
that file. The cells of tables know the titles of their columns; pages.css shows these on narrow
screens, where a row is a block of lines.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import Any

_TAB = re.compile(r"^\*\*([^*\n]+)\*\*\n(.*?^```)$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^]]+\]\(\.\./(\w+\.md)\)\s*")
_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_TITLE = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Return the Markdown that mkdocs renders; mkdocs calls this for each page."""
    if link := _LINK.fullmatch(markdown):
        return (Path(config["docs_dir"]).parent / link[1]).read_text("utf-8")
    return with_tabs(markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Return the HTML of a page with titled cells; mkdocs calls this for each page."""
    return with_titled_cells(html)


def with_tabs(markdown: str) -> str:
    """Return a page with its labelled blocks as tabs."""
    return _TAB.sub(lambda tab: f'=== "{tab[1]}"\n{indent(tab[2], "    ")}', markdown)


def with_titled_cells(html: str) -> str:
    """Return HTML in which each cell of a table has the title of its column as `data-title`."""
    return _TABLE.sub(lambda table: _title_cells(table[0]), html)


def _title_cells(table: str) -> str:
    titles = [re.sub("<[^>]+>", "", title) for title in _TITLE.findall(table)]
    attributes = [f' data-title="{title.replace(chr(34), "&quot;")}"' for title in titles]
    head, *rows = table.split("<tr>")
    for number, row in enumerate(rows):
        start, *cells = row.split("<td")
        titled = ("<td" + title + cell for title, cell in zip(attributes, cells, strict=False))
        rows[number] = start + "".join(titled)
    return "<tr>".join([head, *rows])
