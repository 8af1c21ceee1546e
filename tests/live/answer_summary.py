"""Summary of all answers of a live run: statuses, rate headers, comments, failed streams.

This module reads answers that have been received. It sends no request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.live.evidence import Evidence
from tests.live.gateway import Answer

RARE_STATUSES = (404, 408, 413, 422, 429)


def summarize_answers(answers: list[Answer]) -> Iterator[Evidence]:
    """Yield the evidence that all answers give together."""
    sent = f"all {len(answers)} requests"
    statuses = Counter(answer.status for answer in answers)
    counts = ", ".join(f"{status} ({count})" for status, count in sorted(statuses.items()))
    missing = ", ".join(str(status) for status in RARE_STATUSES if status not in statuses)
    verdict = f"not received: {missing or 'none'}"
    yield Evidence("Which statuses are there?", sent, counts, verdict)
    for question, found in (
        ("Which headers are about rate limits?", rate_headers(answers)),
        ("Which text do keep-alive comments have?", comments(answers)),
        ("How does a stream report an error?", error_events(answers)),
    ):
        yield Evidence(question, sent, "; ".join(sorted(found)), f"{len(found)} found")


def rate_headers(answers: list[Answer]) -> set[str]:
    """Return the headers about rate limits, each with one of its values."""
    headers = {name: value for answer in answers for name, value in answer.headers.items()}
    return {
        f"{name}: {value}"
        for name, value in headers.items()
        if "ratelimit" in name or name.startswith("retry")
    }


def comments(answers: list[Answer]) -> set[str]:
    """Return the comments in streams."""
    return {line for answer in answers if answer.is_stream for line in answer.lines(":")}


def error_events(answers: list[Answer]) -> set[str]:
    """Return the events with an error in streams."""
    streams = (answer for answer in answers if answer.is_stream)
    return {str(chunk) for answer in streams for chunk in answer.chunks if chunk.get("error")}
