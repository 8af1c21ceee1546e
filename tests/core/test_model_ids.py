"""Comparison of model ids, and the replay policy."""

from __future__ import annotations

import pytest

from onerouter_core import ReplayPolicy, should_replay
from onerouter_core.model_ids import same_model


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("openai/gpt-5", "gpt-5-2025-08-07", True),
        ("claude-3-5-sonnet@20240620", "anthropic/claude-3-5-sonnet", True),
        ("deepseek/deepseek-v4-flash:free", "deepseek/deepseek-v4-flash", True),
        ("google/nano-banana/text-to-image", "text-to-image", True),
        ("openai/gpt-5", "openai/gpt-5-mini", False),
        ("openai/gpt-4", "openai/gpt-4-1", False),
        ("a/b", "a/c", False),
    ],
)
def test_same_model_ignores_vendor_variant_and_date(
    first: str, second: str, *, expected: bool
) -> None:
    """A size or a version is another model; the order of the two does not matter."""
    assert same_model(first, second) == same_model(second, first) == expected


@pytest.mark.parametrize(
    ("policy", "author", "expected"),
    [
        ("always", "vendor/other", True),
        ("never", "vendor/model", False),
        ("same_model", "vendor/model", True),
        ("same_model", "model-2026-01-01", True),
        ("same_model", "vendor/other", False),
        ("same_model", None, True),
        ("same_model", "", True),
        ("never", None, False),
    ],
)
def test_should_replay(policy: ReplayPolicy, author: str | None, *, expected: bool) -> None:
    """An unknown author is taken as the model that is called."""
    assert should_replay(policy, author, "vendor/model") is expected
