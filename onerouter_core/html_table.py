"""Rows to a table in HTML, as notebooks show it, and prices as tables have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape


def to_html(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the table; None is an empty cell."""
    lines = [_format_row("th", head), *(_format_row("td", row) for row in rows)]
    return f"<table><caption>{escape(caption)}</caption>{''.join(lines)}</table>"


def _format_row(tag: str, cells: Sequence[object]) -> str:
    said = ("" if cell is None else escape(str(cell)) for cell in cells)
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in said) + "</tr>"


def per_million(price: Decimal | None) -> str:
    """Return a price per token as people compare them: per million, without an exponent."""
    return "" if price is None else f"{price.scaleb(6).normalize():f}"
