"""Quirks 76 to 84: token counts and costs, as they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import JSON
from tests.simulator.quirks.conftest import send, stream

# "Hello" is 6 prompt tokens, of which these quirks count half as cached, and 4 completion tokens.
COUNTS = {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}


@pytest.mark.parametrize(
    ("quirk", "usage"),
    [
        (
            "usage-input-and-output-tokens",
            {"input_tokens": 6, "output_tokens": 4, "total_tokens": 10},
        ),
        (
            "usage-prompt-cache-hit-tokens",
            COUNTS | {"prompt_cache_hit_tokens": 3, "prompt_cache_miss_tokens": 3},
        ),
        ("usage-cached-tokens", COUNTS | {"cached_tokens": 3}),
        (
            "usage-prompt-tokens-cache-read",
            COUNTS | {"prompt_tokens_cache_read": 3, "prompt_tokens_cache_write": 1},
        ),
        (
            "usage-cache-read-input-tokens",
            COUNTS | {"cache_read_input_tokens": 3, "cache_creation_input_tokens": 1},
        ),
    ],
)
def test_counts_under_other_names(quirk: str, usage: JSON) -> None:
    """The same in a completion and in a stream."""
    assert send(quirk)["usage"] == usage
    assert [chunk["usage"] for chunk in stream(quirk) if "usage" in chunk] == [usage]


def test_usage_on_every_chunk() -> None:
    """The completion tokens grow to their number; without a request for usage there is none."""
    counts = [chunk["usage"]["completion_tokens"] for chunk in stream("usage-on-every-chunk")]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 4)
    chunks = stream("usage-on-every-chunk", usage={"include": False})
    assert not any("usage" in chunk for chunk in chunks)


def test_usage_in_the_choice() -> None:
    """The choice with the finish reason has it; the cost stays at the root."""
    chunks = stream("usage-in-the-choice")
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    (usage,) = [choice["usage"] for choice in choices if choice.get("usage")]
    assert usage["total_tokens"] == 10
    assert not any("usage" in chunk for chunk in chunks)
    assert chunks[-1]["cost"]
    assert send("usage-in-the-choice")["usage"]["total_tokens"] == 10


@pytest.mark.parametrize("key", ["usage", "cost", "cost_details"])
def test_no_usage(key: str) -> None:
    """Neither counts nor cost."""
    bodies: list[Any] = [send("no-usage"), *stream("no-usage")]
    assert not any(key in body for body in bodies)


def test_the_cost_is_in_usage() -> None:
    """It is not at the root."""
    for body in (send("cost-in-usage"), stream("cost-in-usage")[-1]):
        assert body["usage"]["cost"]
        assert body["usage"]["cost_details"]["discount_rate"] == 1
        assert "cost" not in body
