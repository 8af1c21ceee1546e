"""Comparison of model ids, and the replay policy."""

from __future__ import annotations

import pytest

from onerouter_core import ReplayPolicy, should_replay
from onerouter_core.model_ids import answering_model, bare_name, same_model


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("openai/gpt-5", "gpt-5-2025-08-07", True),
        ("claude-3-5-sonnet@20240620", "anthropic/claude-3-5-sonnet", True),
        ("deepseek/deepseek-v4-flash:free", "deepseek/deepseek-v4-flash", True),
        ("google/nano-banana/text-to-image", "acme/dalle/text-to-image", False),
        ("moonshotai/kimi-k2-thinking", "Kimi-K2-Thinking", True),
        ("z-ai/glm-4.6", "zai-org/GLM-4.6", True),
        ("anthropic/claude-sonnet-4.5", "claude-4-5-sonnet-20250929", True),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-20250514", False),
        ("openai/gpt-4.5", "openai/gpt-5.4", False),
        ("mistral-large-2407", "mistral-large-2411", False),
        ("openai/gpt-5", "openai/gpt-5-mini", False),
        ("openai/gpt-4", "openai/gpt-4-1", False),
        ("a/b", "a/c", False),
    ],
)
def test_same_model_ignores_the_spelling(first: str, second: str, *, expected: bool) -> None:
    """A size, a version or two dates are two models; the order of the two does not matter."""
    assert same_model(first, second) == same_model(second, first) == expected


def test_the_vendor_ends_at_the_first_slash() -> None:
    """The name may have slashes of its own."""
    names = [bare_name(model) for model in ("a/b", "b", "google/nano-banana/text-to-image", "a/")]
    assert names == ["b", "b", "nano-banana/text-to-image", "a"]


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (None, "openai/gpt-5"),
        ("gpt-5-2025-08-07", "openai/gpt-5"),
        ("my-deployment", "openai/gpt-5"),
        ("GPT-5-mini", "openai/gpt-5-mini"),
        ("azure/gpt-5", "azure/gpt-5"),
    ],
)
def test_the_served_id_counts_where_it_names_a_fallback(served: str | None, expected: str) -> None:
    """The same id counts more than another spelling of an id before it."""
    fallbacks = ["azure/gpt-5", "openai/gpt-5-mini"]
    assert answering_model("openai/gpt-5", fallbacks, served) == expected


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
