"""HTTP errors: statuses with every kind of body, Retry-After values, unusual statuses.

The gateway's messages are from its documentation and from recorded responses.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate

from tests.core.payloads import chunk, completion
from tests.faults.cases import FaultCase, ScriptByMode, complete_only, fails, stream_only, succeeds
from tests.faults.http_scripts import HTML, JSON, PLAIN, head, response, stream
from tests.faults.server import End

HI = ScriptByMode(response(completion("Hi")), stream(chunk("Hi", "stop")))

ERROR_BY_STATUS = {
    400: "InvalidRequestError",
    401: "AuthenticationError",
    402: "InsufficientCreditsError",
    403: "PermissionDeniedError",
    404: "ModelNotFoundError",
    408: "APITimeoutError",
    413: "InvalidRequestError",
    422: "InvalidRequestError",
    429: "RateLimitError",
    500: "UpstreamError",
    502: "UpstreamError",
    503: "UpstreamError",
    504: "UpstreamError",
    524: "UpstreamError",
    529: "UpstreamError",
}
BODIES = {
    "JSON": (b'{"error":{"message":"It says so","type":"infron_ai_error"}}', JSON, "It says so"),
    "HTML": (b"<html><title>It says so</title><body>...</body></html>", HTML, "It says so"),
    "plain text": (b"It says so", PLAIN, "It says so"),
    "an empty body": (b"", None, r"\(empty\)"),
}


def _every_status() -> Iterator[FaultCase]:
    for status, error in ERROR_BY_STATUS.items():
        for body_name, (body, content_type, message) in BODIES.items():
            expected = fails(error, match=message, status=status, retry_after=None)
            yield FaultCase(
                f"{status} with {body_name}", response(body, status, content_type), expected
            )


def _message_case(message: str, status: int, error: str, **more: object) -> FaultCase:
    """Return a case for a message of the gateway under a status."""
    body = {"error": {"message": f"{message} (request id: r-1)", "type": "infron_ai_error", **more}}
    code = more.get("code")
    expected = fails(
        error,
        match=message[:30].replace("$", ".").replace("(", "."),
        status=status,
        request_id="r-1",
        code=None if code is None else str(code),
    )
    return FaultCase(f"{status}: {message[:40]}", response(body, status), expected)


def _messages() -> Iterator[FaultCase]:
    yield _message_case("No token provided", 401, "AuthenticationError")
    yield _message_case("The token status is not available", 401, "AuthenticationError")
    yield _message_case("Your current credits have been used up", 403, "InsufficientCreditsError")
    yield _message_case("User banned", 403, "PermissionDeniedError")
    yield _message_case("Your input was flagged by moderation", 403, "ContentFilterError")
    yield _message_case("Free model requires Team balance over $4", 429, "InsufficientCreditsError")
    yield _message_case("Free model requires account balance", 402, "InsufficientCreditsError")
    yield _message_case("No available providers for model x/y", 503, "ModelNotFoundError")
    yield _message_case(
        "Invalid text request", 400, "InvalidRequestError", code="invalid_text_request"
    )
    yield _message_case("max_completion_tokens is too large", 400, "InvalidRequestError", code=400)
    yield _message_case(
        "maximum context length is 10 tokens", 400, "ContextOverflowError", param=""
    )


def _rate_limit(message: str = "Too fast", **headers: object) -> tuple[bytes | float | End, ...]:
    return response({"error": {"message": message}}, 429, **headers)


def _retry_after(
    name: str, seconds: float | None, requests: tuple[int, int], **headers: object
) -> FaultCase:
    expected = fails("RateLimitError", status=429, retry_after=seconds)
    return FaultCase(f"429 with Retry-After {name}", _rate_limit(**headers), expected, requests)


_RETRIED, _NOT_RETRIED = (1, 3), (1, 1)


def _retry_after_values() -> Iterator[FaultCase]:
    yield _retry_after("in seconds", 2.0, _RETRIED, retry_after=2)
    yield _retry_after("of half a second", 0.5, _RETRIED, retry_after="0.5")
    yield _retry_after("in milliseconds", 0.25, _RETRIED, retry_after_ms=250, retry_after=9)
    past = formatdate(1, usegmt=True)
    yield _retry_after("of a past date", 0.0, _RETRIED, retry_after=past)
    yield _retry_after("that is not a number", None, _RETRIED, retry_after="soon")
    yield _retry_after("without a value", None, _RETRIED, retry_after="")
    yield _retry_after("of a negative number", 0.0, _RETRIED, retry_after=-5)
    yield _retry_after("of NaN", None, _RETRIED, retry_after="NaN")
    yield _retry_after("of infinity", None, _RETRIED, retry_after="inf")
    yield _retry_after("of an hour", 3600.0, _NOT_RETRIED, retry_after=3600)
    for name, message, seconds in (
        ("in prose", "Rate limit exceeded. Please try again after 6 seconds.", 6.0),
        ("in prose, in milliseconds", "Please try again in 20ms.", 0.02),
    ):
        expected = fails("RateLimitError", retry_after=seconds)
        yield FaultCase(f"429 with Retry-After {name}", _rate_limit(message), expected, _RETRIED)
    late = response({"error": {"message": "busy"}}, 503, retry_after=3)
    yield FaultCase("503 with Retry-After", late, fails("UpstreamError", retry_after=3.0))
    far = formatdate(4_000_000_000, usegmt=True)
    expected = fails("RateLimitError")
    yield FaultCase(
        "429 with Retry-After of a far date", _rate_limit(retry_after=far), expected, _NOT_RETRIED
    )


def _errors_then_answer() -> Iterator[FaultCase]:
    """Yield errors that are followed by an answer, which a retry gets."""
    for status in (408, 429, 500, 502, 503, 504, 529):
        failure = response({"error": {"message": "not now"}}, status)
        expected = fails(ERROR_BY_STATUS[status], status=status)
        yield FaultCase(
            f"{status} once", [failure, HI], expected, (1, 2), after_retry=succeeds("Hi")
        )
    twice = [response(b"", 502), response(b"", 502), HI]
    yield FaultCase("502 twice", twice, fails("UpstreamError"), (1, 3), after_retry=succeeds("Hi"))
    worse = [response(b"", 502), response(b"no", 400)]
    expected = fails("InvalidRequestError", status=400)
    yield FaultCase("502, then 400", worse, fails("UpstreamError"), (1, 2), after_retry=expected)


def _unusual_statuses() -> Iterator[FaultCase]:
    for status, empty in ((204, (head(204, None),)), (205, response(b"", 205))):
        yield complete_only(f"{status}", empty, fails("MalformedReplyError", match="empty"))
        yield stream_only(f"{status}", empty, fails("IncompleteStreamError"))
    yield FaultCase(
        "201 with an answer",
        ScriptByMode(response(completion("Hi"), 201), HI.stream),
        succeeds("Hi"),
    )
    yield FaultCase("304", (head(304, None),), fails("MalformedReplyError", status=304))
    other = response({"detail": "It says so"}, 422)
    yield FaultCase(
        "422 with JSON of another shape", other, fails("InvalidRequestError", match="so")
    )
    yield FaultCase(
        "418", response(b"teapot", 418, PLAIN), fails("InvalidRequestError", status=418)
    )
    yield FaultCase("599", response(b"", 599), fails("UpstreamError", status=599))
    hints = head(103, None, link="</a>; rel=preload")
    continues = b"HTTP/1.1 100 Continue\r\n\r\n"
    for status, first in ((103, hints), (100, continues)):
        scripts = ScriptByMode((first, *HI.complete), (first, *HI.stream))
        yield FaultCase(f"{status} before the answer", scripts, succeeds("Hi"))
    long = response(b"<title>down</title>" + b"<p>" * 300_000, 502, HTML)
    yield FaultCase("502 with a page of 900 kB", long, fails("UpstreamError", match="down"))
    broken = (head(502, HTML, content_length=999), b"<title>down", End.CLOSE)
    yield FaultCase("502 with half a page", broken, fails("UpstreamError", status=502))
    reset = (head(401, JSON, content_length=999), b'{"error":', End.RESET)
    yield FaultCase("401 with half a body", reset, fails("AuthenticationError", status=401))
    not_gzip = response(b"plain", 500, PLAIN, content_encoding="gzip")
    yield FaultCase(
        "500 with a body that is not gzip", not_gzip, fails("UpstreamError", status=500)
    )
    bad = response(b'{"error":{"message":"\xff\xfe"}}', 400)
    yield FaultCase("400 with bad UTF-8", bad, fails("InvalidRequestError", status=400))
    deep = response(b"[" * 5000 + b"]" * 5000, 400)
    yield FaultCase("400 with deep JSON", deep, fails("InvalidRequestError", status=400))


CASES = [
    *_every_status(),
    *_messages(),
    *_retry_after_values(),
    *_errors_then_answer(),
    *_unusual_statuses(),
]
