"""docs/reliability.md names existing tests, and every test of the fault suite is named there."""

from __future__ import annotations

from pathlib import Path

from tests.test_features import ROOT, TEST_REFERENCE, defined_names

PAGE = ROOT / "docs" / "reliability.md"
HERE = Path(__file__).parent
DOCUMENTED_MODULES = (
    *("table", "random_faults", "size_limits", "deadlines", "client_pool"),
    *("instance_lifetime", "leaks", "closing_connections", "tls", "http_clients", "unclean_ends"),
    *("ended_loops", "leftover_bytes"),
    *("bounds", "cancellation"),
)


def test_each_promise_names_existing_tests() -> None:
    """The promises are numbered from 1; each names at least one test, and each test exists."""
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    promises = [row for row in rows if row.split("|")[1].strip().isdigit()]
    numbers = [int(row.split("|")[1]) for row in promises]
    assert numbers == list(range(1, len(promises) + 1))
    for row in promises:
        references = TEST_REFERENCE.findall(row)
        assert references, row
        assert [name for path, name in references if name not in defined_names(ROOT / path)] == []


def test_each_fault_test_is_named_on_the_page() -> None:
    """Every test of these modules shows a promise."""
    page = PAGE.read_text("utf-8")
    missing = [
        name
        for path in (HERE / f"test_{module}.py" for module in DOCUMENTED_MODULES)
        for name in defined_names(path)
        if name.startswith("test_") and f"{path.name}::{name}`" not in page
    ]
    assert missing == []
