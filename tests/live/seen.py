"""What is met with by the way: refusals, headers, comments, streams that fail.

Knows answers that have come. It asks nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.live.evidence import Evidence
from tests.live.gateway import Answer

RARE = (404, 408, 413, 422, 429)


def seen_in(answers: list[Answer]) -> Iterator[Evidence]:
    """Yield what all answers together show."""
    sent = f"all {len(answers)} requests"
    statuses = Counter(answer.status for answer in answers)
    came = ", ".join(f"{status} ({count})" for status, count in sorted(statuses.items()))
    unmet = ", ".join(str(status) for status in RARE if status not in statuses)
    yield Evidence("Which statuses are there?", sent, came, f"not met with: {unmet or 'none'}")
    for question, found in (
        ("Which headers speak of rates and waiting?", headers_of(answers)),
        ("What do keep-alive comments say?", comments_in(answers)),
        ("How does a stream say that it fails?", failures_in(answers)),
    ):
        yield Evidence(question, sent, "; ".join(sorted(found)), f"{len(found)} found")


def headers_of(answers: list[Answer]) -> set[str]:
    """Return the headers about rates, each with a value."""
    headers = {name: value for answer in answers for name, value in answer.headers.items()}
    return {
        f"{name}: {value}"
        for name, value in headers.items()
        if "ratelimit" in name or name.startswith("retry")
    }


def comments_in(answers: list[Answer]) -> set[str]:
    """Return the comments in streams."""
    return {line for answer in answers if answer.is_stream for line in answer.lines(":")}


def failures_in(answers: list[Answer]) -> set[str]:
    """Return the events of streams that hold an error."""
    streams = (answer for answer in answers if answer.is_stream)
    return {str(chunk) for answer in streams for chunk in answer.chunks if chunk.get("error")}
