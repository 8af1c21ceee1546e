"""HTML tables for notebooks, and prices per million tokens."""

from __future__ import annotations

from decimal import Decimal

import pytest

from onerouter_core.html_table import per_million, to_html


def test_a_table_has_caption_head_and_rows() -> None:
    """None is an empty cell, and a cell may be of any type."""
    assert to_html("Prices", ("model", "USD"), [("a", 1), ("b", None)]) == (
        "<table><caption>Prices</caption>"
        "<tr><th>model</th><th>USD</th></tr>"
        "<tr><td>a</td><td>1</td></tr>"
        "<tr><td>b</td><td></td></tr></table>"
    )


def test_all_text_is_escaped() -> None:
    """Names come from outside: they must not become part of the notebook's page."""
    table = to_html("<c>", ("<h>",), [("<script>&",)])
    assert "<caption>&lt;c&gt;</caption>" in table
    assert "<th>&lt;h&gt;</th>" in table
    assert "<td>&lt;script&gt;&amp;</td>" in table


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (None, ""),
        (Decimal(0), "0"),
        (Decimal("0.00000065"), "0.65"),
        (Decimal("6.5E-7"), "0.65"),
        (Decimal("0.00001"), "10"),
        (Decimal("1E-10"), "0.0001"),
    ],
)
def test_a_price_per_million_has_no_exponent(price: Decimal | None, text: str) -> None:
    """The argument is a price per token; an unknown one is empty."""
    assert per_million(price) == text
