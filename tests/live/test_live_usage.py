"""Usage, cost and other metadata of a reply, and the flags that request them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.conftest import Question
from tests.live.gateway import Answer, check_decoded

INCLUDE_USAGE = {"usage": {"include": True}}
STREAM_USAGE = {"stream_options": {"include_usage": True}}
FLAGS: dict[str, dict[str, Any]] = {
    "no flag, complete": {},
    "usage, complete": INCLUDE_USAGE,
    "no flag, streamed": {"stream": True},
    "usage, streamed": {"stream": True} | INCLUDE_USAGE,
    "stream_options, streamed": {"stream": True} | STREAM_USAGE,
    "both, streamed": {"stream": True} | INCLUDE_USAGE | STREAM_USAGE,
}
OUR_FLAGS = ("usage, complete", "both, streamed")


def bodies(answer: Answer) -> list[dict[str, Any]]:
    """Return the body of a complete response, or all chunks of a stream."""
    return answer.chunks if answer.is_stream else [answer.json or {}]


def count_fields(answer: Answer) -> dict[str, int]:
    """Return the number of bodies that have a field, for each field about usage and cost."""
    names = ("usage", "cost", "cost_details", "provider")
    counts = {n: sum(body.get(n) is not None for body in bodies(answer)) for n in names}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("flags", FLAGS)
def test_usage_flags(question: Question, flags: str) -> None:
    """Which flags bring usage and cost?"""
    answer = question.gateway.ask("Say hello.", **FLAGS[flags])
    counts = count_fields(answer)
    received = ", ".join(f"{name} {count}x" for name, count in counts.items()) or "nothing"
    has_both = "usage" in counts and "cost" in counts
    question.settle(flags, received, "both" if has_both else "not both")
    assert has_both or flags not in OUR_FLAGS, "the package sends these flags and relies on both"


def test_usage_in_a_stream(question: Question) -> None:
    """Which chunk of a stream has the usage, and which choices are in that chunk?"""
    answer = question.gateway.ask("Say hello.", **FLAGS["both, streamed"])
    chunks = answer.chunks
    with_usage = [chunk for chunk in chunks if chunk.get("usage")]
    positions = [chunks.index(chunk) - len(chunks) for chunk in with_usage]
    choices = [chunk.get("choices") for chunk in with_usage]
    verdict = "without choices" if not any(choices) else "with choices"
    question.settle("a stream with both flags", f"chunks {positions}: {choices}", verdict)
    check_decoded(answer)


def test_reply_metadata(question: Question) -> None:
    """Is `provider` of a reply a string or an object, and which ids are there?"""
    answer = question.gateway.ask("Say hello.", **INCLUDE_USAGE)
    body = answer.json or {}
    names = ("provider", "id", "request_id", "system_fingerprint", "service_tier")
    found = {name: body[name] for name in names if name in body}
    header = answer.headers.get("x-infron-request-id")
    verdict = f"provider: {type(body.get('provider')).__name__}"
    question.settle("a short prompt", f"{found}, x-infron-request-id: {header}", verdict)
    check_decoded(answer)
