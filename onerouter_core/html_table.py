"""HTML tables for notebooks, and prices per million tokens as tables show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape


def to_html(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return an HTML table; all text is escaped, and None is an empty cell."""
    lines = [_format_row("th", head), *(_format_row("td", row) for row in rows)]
    return f"<table><caption>{escape(caption)}</caption>{''.join(lines)}</table>"


def _format_row(tag: str, cells: Sequence[object]) -> str:
    texts = ("" if cell is None else escape(str(cell)) for cell in cells)
    return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"


def per_million(price: Decimal | None) -> str:
    """Format a price per token as a price per million tokens, without an exponent."""
    return "" if price is None else f"{price.scaleb(6).normalize():f}"
