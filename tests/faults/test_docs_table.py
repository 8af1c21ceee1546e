"""The page of promises names tests that are there, and leaves none of these out."""

from __future__ import annotations

from pathlib import Path

from tests.test_features import NAME, ROOT, defined

PAGE = ROOT / "docs" / "reliability.md"
HERE = Path(__file__).parent
KINDS = (
    *("table", "random_faults", "size_limits", "deadlines", "client_pool"),
    *("instance_lifetime", "leaks", "closing_connections", "tls"),
)


def test_each_promise_is_shown() -> None:
    """Each line of the table has a test, and each test is defined."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    promises = [line for line in lines if line.split("|")[1].strip().isdigit()]
    assert [line.split("|")[1].strip() for line in promises] == [
        str(number) for number in range(1, len(promises) + 1)
    ]
    for line in promises:
        named = NAME.findall(line)
        assert named, line
        assert [name for path, name in named if name not in defined(ROOT / path)] == []


def test_each_kind_of_fault_is_promised() -> None:
    """A test of faults that shows nothing on that page shows it to nobody."""
    page = PAGE.read_text("utf-8")
    left_out = [
        name
        for path in (HERE / f"test_{kind}.py" for kind in KINDS)
        for name in defined(path)
        if name.startswith("test_") and f"{path.name}::{name}`" not in page
    ]
    assert left_out == []
