"""Hypothesis profile for long runs: `pytest tests/fuzz --hypothesis-profile=long --timeout=0`."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("long", max_examples=2_000)
