"""The audit tells a weakness from a database that is not there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.audit import verdict

WEAK = {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2", "3"]}]}
SOUND = {"name": "b", "version": "1", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "last", "is_well"),
    [
        ([SOUND], "1 packages audited, 0 known weaknesses.", True),
        ([SOUND, WEAK], "a 1: X-1, mended in 2, 3", False),
        ([UNKNOWN, WEAK], "a 1: X-1, mended in 2, 3", False),
        ([UNKNOWN], "0 packages audited, 0 known weaknesses.", True),
    ],
)
def test_an_answer(packages: list[Any], last: str, is_well: bool) -> None:
    """Only a known weakness fails; what nobody looked at is said."""
    said, well = verdict(json.dumps({"dependencies": packages}), "")
    assert (said[-1], well) == (last, is_well)
    assert said[0].startswith("NOT AUDITED") == (UNKNOWN in packages)


def test_no_answer() -> None:
    """That it cannot be reached is said, and why; it is nobody's fault."""
    assert verdict("", "a\nno route to host\n") == (
        ["NOT AUDITED: the advisory database cannot be reached (no route to host)."],
        True,
    )
