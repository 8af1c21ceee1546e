"""Finish reasons of all servers, by what they mean."""

from __future__ import annotations

import pytest

from onerouter_core.wire.finish_reasons import finish_meaning


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        *((word, "stop") for word in ("stop", "STOP", "end_turn", "stop_sequence", "eos")),
        *((word, "tool_calls") for word in ("tool_calls", "function_call", "TOOL_USE")),
        *((word, "length") for word in ("length", "MAX_TOKENS", "maxTokens", "max tokens")),
        *((word, "length") for word in ("model_context_window_exceeded", "model-length")),
        *((word, "moderation") for word in ("content_filter", "contentFilter", "SAFETY", "SPII")),
        *((word, "moderation") for word in ("sensitive", "RECITATION", "Prohibited Content")),
        *((word, "moderation") for word in ("blocklist", "refusal", "guardrail_intervened")),
        *((word, "failure") for word in ("error", "ERROR", "abort", "network_error")),
        *((word, "failure") for word in ("insufficient_system_resource", "engine_overloaded")),
        *((word, "failure") for word in ("MALFORMED_FUNCTION_CALL", "cancelled")),
        *((word, None) for word in ("", None, "peculiar")),
    ],
)
def test_words_have_a_meaning(word: str | None, meaning: str | None) -> None:
    """Case, spaces, dashes and underscores do not matter."""
    assert finish_meaning(word) == meaning


@pytest.mark.parametrize(
    ("reason", "native", "meaning"),
    [
        ("stop", "STOP", "stop"),
        ("stop", "MAX_TOKENS", "length"),
        ("stop", "SAFETY", "moderation"),
        ("stop", "tool_use", "stop"),
        (None, "end_turn", "stop"),
        ("peculiar", "error", "failure"),
        ("tool_calls", "error", "tool_calls"),
        ("length", "stop", "length"),
    ],
)
def test_the_native_reason_decides_where_the_gateways_says_nothing(
    reason: str | None, native: str, meaning: str
) -> None:
    """The word "stop" says nothing if the upstream knows better."""
    assert finish_meaning(reason, native) == meaning
