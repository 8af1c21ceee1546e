"""Names that resemble a name, for error messages about unknown arguments and models."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_COMPARED = 100
"""Characters. The time to compare two names grows with the product of their lengths."""


def close_matches(
    name: str, names: Iterable[str], count: int = 3, similarity: float = 0.6
) -> list[str]:
    """Return the names that resemble a name, the closest first; long ones resemble none.

    Args:
        name: the name.
        names: the known names.
        count: most names to return.
        similarity: least similarity, from 0 (any name) to 1 (the same); see `difflib`.

    """
    is_long = len(name) > MAX_COMPARED
    comparable = [known for known in names if len(known) <= MAX_COMPARED and not is_long]
    return difflib.get_close_matches(name, comparable, count, similarity)
