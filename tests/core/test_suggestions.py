"""Names that resemble a name."""

from __future__ import annotations

import pytest

from onerouter_core.suggestions import MAX_COMPARED, close_matches

NAMES = {"temperature", "top_p", "stop"}


@pytest.mark.parametrize(
    ("name", "similarity", "expected"),
    [("temprature", 0.9, ["temperature"]), ("store", 0.6, ["stop"]), ("store", 0.8, [])],
)
def test_the_names_that_are_similar_enough(
    name: str, similarity: float, expected: list[str]
) -> None:
    """The closest first."""
    assert close_matches(name, NAMES, 3, similarity) == expected


def test_a_long_name_resembles_none() -> None:
    """Comparing would take long."""
    assert close_matches("x" * (MAX_COMPARED + 1), {"x" * (MAX_COMPARED + 1)}) == []
