"""Security audit: a known vulnerability fails, an unreachable database does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.audit import summarize

VULNERABLE = {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2", "3"]}]}
SOUND = {"name": "b", "version": "1", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "last_line", "passes"),
    [
        ([SOUND], "1 packages audited, 0 known vulnerabilities.", True),
        ([SOUND, VULNERABLE], "a 1: X-1, fixed in 2, 3", False),
        ([UNKNOWN, VULNERABLE], "a 1: X-1, fixed in 2, 3", False),
        ([UNKNOWN], "0 packages audited, 0 known vulnerabilities.", True),
    ],
)
def test_only_a_known_vulnerability_fails(
    packages: list[Any], last_line: str, passes: bool
) -> None:
    """The report counts packages that are not in the database; they do not fail."""
    lines, passed = summarize(json.dumps({"dependencies": packages}), "")
    assert (lines[-1], passed) == (last_line, passes)
    assert lines[0].startswith("NOT AUDITED") == (UNKNOWN in packages)


def test_an_unreachable_database_is_reported_and_passes() -> None:
    """The report has the reason, and the audit does not fail."""
    assert summarize("", "a\nno route to host\n") == (
        ["NOT AUDITED: the advisory database cannot be reached (no route to host)."],
        True,
    )
