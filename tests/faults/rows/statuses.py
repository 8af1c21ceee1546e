"""Statuses of 300 and above, with every kind of body, and what a server asks to wait.

What the gateway says under each status is from its documentation and from recorded answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate

from tests.core.payloads import chunk, completion
from tests.faults.cases import Modes, Row, answer, fails, streamed, whole
from tests.faults.http_scripts import HTML, JSON, PLAIN, head, http, stream
from tests.faults.server import End

HI = Modes(http(completion("Hi")), stream(chunk("Hi", "stop")))

KINDS = {
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
    "an empty body": (b"", None, "says nothing"),
}


def _every_status() -> Iterator[Row]:
    for status, kind in KINDS.items():
        for form, (body, content_type, says) in BODIES.items():
            want = fails(kind, says=says, status=status, retry_after=None)
            yield Row(f"{status} with {form}", http(body, status, content_type), want)


def _says(message: str, status: int, kind: str, **more: object) -> Row:
    """Return a row for what the gateway says under a status."""
    body = {"error": {"message": f"{message} (request id: r-1)", "type": "infron_ai_error", **more}}
    code = more.get("code")
    want = fails(
        kind,
        says=message[:30].replace("$", ".").replace("(", "."),
        status=status,
        request_id="r-1",
        code=None if code is None else str(code),
    )
    return Row(f"{status}: {message[:40]}", http(body, status), want)


def _said() -> Iterator[Row]:
    yield _says("No token provided", 401, "AuthenticationError")
    yield _says("The token status is not available", 401, "AuthenticationError")
    yield _says("Your current credits have been used up", 403, "InsufficientCreditsError")
    yield _says("User banned", 403, "PermissionDeniedError")
    yield _says("Your input was flagged by moderation", 403, "ContentFilterError")
    yield _says("Free model requires Team balance over $4", 429, "InsufficientCreditsError")
    yield _says("Free model requires account balance", 402, "InsufficientCreditsError")
    yield _says("No available providers for model x/y", 503, "ModelNotFoundError")
    yield _says("Invalid text request", 400, "InvalidRequestError", code="invalid_text_request")
    yield _says("max_completion_tokens is too large", 400, "InvalidRequestError", code=400)
    yield _says("maximum context length is 10 tokens", 400, "ContextOverflowError", param="")


def _throttle(message: str = "Too fast", **headers: object) -> tuple[bytes | float | End, ...]:
    return http({"error": {"message": message}}, 429, **headers)


def _asks(name: str, seconds: float | None, requests: tuple[int, int], **headers: object) -> Row:
    want = fails("RateLimitError", status=429, retry_after=seconds)
    return Row(f"429 with Retry-After {name}", _throttle(**headers), want, requests)


_AGAIN, _NOT = (1, 3), (1, 1)


def _waits() -> Iterator[Row]:
    yield _asks("in seconds", 2.0, _AGAIN, retry_after=2)
    yield _asks("of half a second", 0.5, _AGAIN, retry_after="0.5")
    yield _asks("in milliseconds", 0.25, _AGAIN, retry_after_ms=250, retry_after=9)
    past = formatdate(1, usegmt=True)
    yield _asks("of a date gone by", 0.0, _AGAIN, retry_after=past)
    yield _asks("of garbage", None, _AGAIN, retry_after="soon")
    yield _asks("of nothing", None, _AGAIN, retry_after="")
    yield _asks("of a negative number", 0.0, _AGAIN, retry_after=-5)
    yield _asks("of not a number", None, _AGAIN, retry_after="NaN")
    yield _asks("of infinity", None, _AGAIN, retry_after="inf")
    yield _asks("of an hour", 3600.0, _NOT, retry_after=3600)
    for name, message, seconds in (
        ("in prose", "Rate limit exceeded. Please try again after 6 seconds.", 6.0),
        ("in prose, in milliseconds", "Please try again in 20ms.", 0.02),
    ):
        want = fails("RateLimitError", retry_after=seconds)
        yield Row(f"429 with Retry-After {name}", _throttle(message), want, _AGAIN)
    late = http({"error": {"message": "busy"}}, 503, retry_after=3)
    yield Row("503 with Retry-After", late, fails("UpstreamError", retry_after=3.0))
    far = formatdate(4_000_000_000, usegmt=True)
    want = fails("RateLimitError")
    yield Row("429 with Retry-After of a far date", _throttle(retry_after=far), want, _NOT)


def _mended() -> Iterator[Row]:
    """Yield a failure, and then an answer: who may ask again gets it."""
    for status in (408, 429, 500, 502, 503, 504, 529):
        failure = http({"error": {"message": "not now"}}, status)
        want = fails(KINDS[status], status=status)
        yield Row(f"{status} once", [failure, HI], want, (1, 2), mended=answer("Hi"))
    twice = [http(b"", 502), http(b"", 502), HI]
    yield Row("502 twice", twice, fails("UpstreamError"), (1, 3), mended=answer("Hi"))
    worse = [http(b"", 502), http(b"no", 400)]
    want = fails("InvalidRequestError", status=400)
    yield Row("502, then 400", worse, fails("UpstreamError"), (1, 2), mended=want)


def _odd() -> Iterator[Row]:
    for status, nothing in ((204, (head(204, None),)), (205, http(b"", 205))):
        yield whole(f"{status}", nothing, fails("MalformedReplyError", says="nothing"))
        yield streamed(f"{status}", nothing, fails("IncompleteStreamError"))
    yield Row("201 with an answer", Modes(http(completion("Hi"), 201), HI.stream), answer("Hi"))
    yield Row("304", (head(304, None),), fails("MalformedReplyError", status=304))
    other = http({"detail": "It says so"}, 422)
    yield Row("422 with JSON of another shape", other, fails("InvalidRequestError", says="so"))
    yield Row("418", http(b"teapot", 418, PLAIN), fails("InvalidRequestError", status=418))
    yield Row("599", http(b"", 599), fails("UpstreamError", status=599))
    early = head(103, None, link="</a>; rel=preload")
    hinted = Modes((early, *HI.whole), (early, *HI.stream))
    yield Row("103 before the answer", hinted, answer("Hi"))
    waits = b"HTTP/1.1 100 Continue\r\n\r\n"
    yield Row("100 before it", Modes((waits, *HI.whole), (waits, *HI.stream)), answer("Hi"))
    long = http(b"<title>down</title>" + b"<p>" * 300_000, 502, HTML)
    yield Row("502 with a page of 900 kB", long, fails("UpstreamError", says="down"))
    broken = (head(502, HTML, content_length=999), b"<title>down", End.CLOSE)
    yield Row("502 with half a page", broken, fails("UpstreamError", status=502))
    reset = (head(401, JSON, content_length=999), b'{"error":', End.RESET)
    yield Row("401 with half a body", reset, fails("AuthenticationError", status=401))
    garbled = http(b"plain", 500, PLAIN, content_encoding="gzip")
    yield Row("500 with a body that is no gzip", garbled, fails("UpstreamError", status=500))
    bad = http(b'{"error":{"message":"\xff\xfe"}}', 400)
    yield Row("400 with bad UTF-8", bad, fails("InvalidRequestError", status=400))
    deep = http(b"[" * 5000 + b"]" * 5000, 400)
    yield Row("400 with deep JSON", deep, fails("InvalidRequestError", status=400))


ROWS = [*_every_status(), *_said(), *_waits(), *_mended(), *_odd()]
