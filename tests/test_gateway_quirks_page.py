"""docs/gateway-quirks.md: one row for each quirk of the simulator, with its test."""

from __future__ import annotations

import re

import pytest

from onerouter_simulator.quirks import QUIRKS, Quirk
from tests.test_features import ROOT, TEST_REFERENCE, missing_tests

PAGE = (ROOT / "docs" / "gateway-quirks.md").read_text("utf-8")


def cells(line: str) -> list[str]:
    """Return the cells of a row of the table."""
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


ROWS = {row[1].strip("`"): row for row in map(cells, re.findall(r"^\| \d.*", PAGE, re.MULTILINE))}


def test_the_page_has_the_quirks_in_the_order_of_their_numbers() -> None:
    """No row is missing, and none is left over."""
    assert list(ROWS) == [quirk.name for quirk in QUIRKS]


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.name)
def test_a_row_says_what_the_table_of_the_simulator_says(quirk: Quirk) -> None:
    """Number, name, sender, source and sentence are the simulator's; the rest is not empty."""
    sender = f"[{quirk.sender}]({quirk.source})"
    *row, made, test = ROWS[quirk.name]
    assert row == [str(quirk.number), f"`{quirk.name}`", sender, quirk.sends]
    assert made.endswith(".")
    assert TEST_REFERENCE.search(test)


def test_the_tests_exist() -> None:
    """Every test that the page names is there."""
    assert missing_tests(PAGE) == []


@pytest.mark.parametrize("number", range(1, 17))
def test_the_first_sixteen_have_tests_with_their_numbers(number: int) -> None:
    """The tests of the core are named after them."""
    assert f"::test_quirk_{number:02}_" in ROWS[QUIRKS[number - 1].name][-1]
