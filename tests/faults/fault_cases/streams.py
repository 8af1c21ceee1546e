"""Event streams: SSE syntax, packets, unusual chunks, early ends, error events, tool calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.core.payloads import chunk, sse
from tests.faults.cases import FaultCase, fails, succeeds
from tests.faults.cases import stream_only as case
from tests.faults.http_scripts import DONE, chunked, stream, until_closed
from tests.faults.server import End, Repeat

HEL, LO = chunk("Hel"), chunk("lo", "stop")
FAILURE = {"message": "Model is down", "code": 502}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def tool_call_chunk(**call: Any) -> dict[str, Any]:
    """Return a chunk with one delta of a tool call."""
    return chunk({"tool_calls": [call]})


def first_delta(arguments: str = "", **more: Any) -> dict[str, Any]:
    """Return the first delta of a tool call."""
    function = {"name": "f", "arguments": arguments}
    return tool_call_chunk(
        **{"index": 0, "id": "c1", "type": "function", "function": function, **more}
    )


def later_delta(arguments: Any, **how: Any) -> dict[str, Any]:
    """Return a later delta of a tool call."""
    return tool_call_chunk(**{"index": 0, "function": {"arguments": arguments}, **how})


def _sse_syntax() -> Iterator[FaultCase]:
    """Yield the same events in several forms of SSE syntax."""
    plain = sse(HEL, LO)
    hello = succeeds("Hello")
    yield case("CRLF", chunked(plain.replace(b"\n", b"\r\n")), hello)
    yield case("CR", chunked(plain.replace(b"\n", b"\r")), hello)
    yield case("no space after the colon", chunked(plain.replace(b"data: ", b"data:")), hello)
    yield case("spaces at the end of a line", chunked(plain.replace(b"\n\n", b"  \n\n")), hello)
    yield case("no last newline", chunked(plain[:-2]), hello)
    yield case("no last empty line", chunked(plain[:-1]), hello)
    comment = b": OPENROUTER PROCESSING\n\n"
    yield case("comments", chunked(comment, comment, sse(HEL, comment, LO)), hello)
    fields = b"event: message\nid: 7\nretry: 10\nunknown\n"
    yield case("other fields", chunked(fields + sse(HEL, done=False), fields + sse(LO)), hello)
    lines = sse(chunk("Hello", "stop")).replace(b', "object"', b',\ndata: "object"')
    yield case("an event of two lines", chunked(lines), hello)
    yield case("empty events", chunked(b"data:\n\n", b"data: \n\n", b"\n\n", plain), hello)


def _packets() -> Iterator[FaultCase]:
    """Yield events that are split over packets, with and without pauses."""
    plain = sse(HEL, LO)
    hello = succeeds("Hello")
    yield case("byte by byte", chunked(*_bytes_of(plain)), hello)
    split = [plain[i : i + 7] for i in range(0, len(plain), 7)]
    yield case("in packets of 7 bytes", chunked(*split), hello)
    letters = chunked(*_bytes_of(sse(chunk("é漢🙂", "stop"))))
    yield case("characters split over packets", letters, succeeds("é漢🙂"))
    pause = chunked(b": wait\n\n", 0.01, sse(HEL, done=False), 0.01, sse(LO))
    yield case("pauses", pause, hello)
    yield case("a close-delimited stream", until_closed(sse(HEL, LO)), hello)


def _bytes_of(data: bytes) -> Iterator[bytes]:
    return (bytes([byte]) for byte in data)


def _unusual_chunks() -> Iterator[FaultCase]:
    """Yield chunks in every form that gateways have been seen to send."""
    hello = succeeds("Hello")
    odd: list[Any] = [*({"choices": none} for none in ([], None, [None])), {}, chunk(), chunk("")]
    yield case("chunks without data", stream(*odd, HEL, *odd, LO, *odd), hello)
    values = b"data: null\n\ndata: [1]\n\ndata: 7\n\n"
    yield case("events that are not objects", chunked(values, sse(HEL, LO)), hello)
    numbers = [chunk("Hel", usage=USAGE, cost=0.1), chunk("lo", "stop", usage=USAGE, cost=0.1)]
    tail = {"choices": [], "usage": USAGE, "cost": 0.1}
    yield case("usage in every chunk", stream(*numbers, tail, tail), hello)
    yield case(
        "the finish reason twice", stream(HEL, LO, chunk("", "stop"), chunk(finish="stop")), hello
    )
    other = {**chunk("no"), "choices": [{"index": 1, "delta": {"content": "no"}}]}
    yield case("a second choice", stream(HEL, other, LO), hello)
    message = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    yield case("a message instead of a delta", stream(message), hello)
    parts = chunk({"content": [{"type": "text", "text": "Hello"}]}, "stop")
    yield case("content in parts", stream(parts), hello)
    nulls = chunk({"role": None, "content": None})
    yield case("role and content that are null", stream(nulls, HEL, LO), hello)


def _surrogates() -> Iterator[FaultCase]:
    """Yield a character whose two surrogates are in two deltas."""

    def event(content: bytes, finish: bytes = b"null") -> bytes:
        choice = b'{"index":0,"delta":{"content":"%s"},"finish_reason":%s}' % (content, finish)
        return b'data: {"choices":[%s]}\n\n' % choice

    pair = chunked(event(b"a\\ud83d"), event(b"\\ude00b", b'"stop"'), DONE)
    yield case("a split surrogate pair", pair, succeeds("a\U0001f600b"))
    apart = chunked(event(b"a\\ud83d"), event(b"", b"null"), event(b"\\ude00", b'"stop"'), DONE)
    yield case("a surrogate pair with a delta between", apart, succeeds("a\U0001f600"))
    single = chunked(event(b"a\\ud83d"), event(b"b", b'"stop"'), DONE)
    yield case("a single surrogate", single, succeeds("a\ufffdb"))
    swapped = chunked(event(b"a\\ude00"), event(b"\\ud83d", b'"stop"'), DONE)
    yield case("surrogates in the wrong order", swapped, succeeds("a\ufffd\ufffd"))


def _ends_after_done() -> Iterator[FaultCase]:
    hello = succeeds("Hello")
    yield case("finish without [DONE]", stream(HEL, LO, done=False), hello)
    yield case("[DONE] without finish", stream(HEL, chunk("lo")), hello)
    yield case("[DONE] and an open socket", chunked(sse(HEL, LO), End.HANG), hello)
    yield case("[DONE] and a reset", chunked(sse(HEL, LO), End.RESET), hello)
    yield case("[DONE] and a close", chunked(sse(HEL, LO), End.CLOSE), hello)
    keep_alives = chunked(sse(HEL, LO), Repeat(b": x\n\n", 0.01))
    yield case("[DONE] and keep-alives without end", keep_alives, hello)
    more_events = sse(chunk("no"), {"error": FAILURE})
    yield case("[DONE] and more events", chunked(sse(HEL, LO), more_events), hello)
    yield case(
        "[DONE] and an event that is not JSON", chunked(sse(HEL, LO), b"data: {no\n\n"), hello
    )
    yield case("[DONE] twice", chunked(sse(HEL, LO), DONE), hello)


HALF = b'data: {"choices":[{"index":0,"delta":{"content":"lo"}}'


def _early_ends() -> Iterator[FaultCase]:
    incomplete = fails("IncompleteStreamError", "Hel")
    begin = sse(HEL, done=False)
    yield case("an end after a delta", chunked(begin), incomplete)
    yield case("an end within an event", chunked(begin, HALF), incomplete)
    yield case("an end within a line", chunked(begin, b"dat"), incomplete)
    letter = HALF[:-5] + b"\xf0\x9f"
    yield case("an end within a character", chunked(begin, letter), incomplete)
    yield case("a close-delimited stream that ends after a delta", until_closed(begin), incomplete)


def _streams_without_answer() -> Iterator[FaultCase]:
    incomplete = fails("IncompleteStreamError")
    yield case("no event", chunked(), incomplete)
    yield case("only comments", chunked(b": x\n\n", b": y\n\n"), incomplete)
    yield case("only a role", stream(chunk({"role": "assistant"}), done=False), incomplete)
    yield case("only half an event", chunked(HALF), incomplete)
    malformed = fails("MalformedReplyError")
    yield case("only [DONE]", stream(), malformed)
    yield case("only finish reason stop", stream(chunk(finish="stop")), malformed)
    cut = stream(chunk(finish="length"))
    yield case("only finish reason length", cut, fails("LengthLimitError"))
    yield case("a first event that is not JSON", chunked(b"data: Bad Gateway\n\n"), malformed)
    later = chunked(sse(HEL, done=False), b"data: {no\n\n", sse(LO))
    expected = fails("MalformedReplyError", "Hel", match="not JSON")
    yield case("an event that is not JSON", later, expected)
    filtered = stream(HEL, chunk("", "content_filter"))
    yield case("finish reason content_filter after a delta", filtered, succeeds("Hel"))


def _errors() -> Iterator[FaultCase]:
    """Yield error events before the first delta and after it."""
    down = {"error": FAILURE}
    first = fails("UpstreamError", match="Model is down", status=502)
    later = fails("UpstreamError", "Hel", match="Model is down", status=502)
    yield case("an error first", stream(down), first)
    yield case("an error first, with an event name", chunked(b"event: error\n" + sse(down)), first)
    yield case("an error after a role", stream(chunk({"role": "assistant"}), down), first)
    yield case("an error after comments", chunked(b": x\n\n" * 3, sse(down)), first)
    yield case("an error, then a close", chunked(sse(down, done=False), End.CLOSE), first)
    yield case("an error, then silence", chunked(sse(down, done=False), End.HANG), first)
    yield case("an error later", stream(HEL, down), later)
    cut = chunked(sse(HEL, down, done=False), End.CLOSE)
    yield case("an error later, then a close", cut, later)
    with_finish = chunk("", "error", error=FAILURE, provider="openai")
    with_provider = fails("UpstreamError", "Hel", status=502, provider="openai")
    yield case("an error with a finish reason", stream(HEL, with_finish), with_provider)
    unknown = fails("UpstreamError", "Hel")
    yield case("finish reason error", stream(HEL, chunk("", "error")), unknown)
    in_choice = {"choices": [{"index": 0, "delta": {}, "error": FAILURE, "finish_reason": "error"}]}
    yield case("an error in the choice", stream(HEL, in_choice), later)
    silent = stream(HEL, in_choice, done=False)
    yield case("an error in the choice, no [DONE]", silent, later)
    bare = stream(HEL, {"code": 500, "message": "boom"}, done=False)
    yield case(
        "a bare message, later", bare, fails("UpstreamError", "Hel", match="boom", status=500)
    )
    empty = stream({**HEL, "error": None}, {**LO, "error": {}})
    yield case("error keys that are null or empty", empty, succeeds("Hello"))
    after = stream(HEL, LO, down, done=False)
    yield case("an error after the end", after, fails("UpstreamError", "Hello", status=502))


def _error_classes() -> Iterator[FaultCase]:
    for name, error, kind, status in (
        ("that is a string", "boom", "UpstreamError", None),
        ("of a rate limit", {"message": "no", "code": 429}, "RateLimitError", 429),
        (
            "of used-up credits",
            {"message": "no credits", "code": "403"},
            "InsufficientCreditsError",
            403,
        ),
        ("of moderation", {"message": "flagged by moderation"}, "ContentFilterError", None),
        ("with a type only", {"type": "server_error"}, "UpstreamError", None),
    ):
        first, later = stream({"error": error}), stream(HEL, {"error": error})
        yield case(f"an error {name}, first", first, fails(kind, status=status))
        yield case(f"an error {name}, later", later, fails(kind, "Hel", status=status))


def _tool_calls() -> Iterator[FaultCase]:
    call = succeeds("", ("f", {"a": 1}))
    end = chunk(finish="tool_calls")
    yield case("a call", stream(first_delta(), later_delta('{"a"'), later_delta(":1}"), end), call)
    yield case("a call in one delta", stream(first_delta('{"a":1}'), end), call)
    yield case(
        "no index", stream(first_delta(index=None), later_delta('{"a":1}', index=None), end), call
    )
    yield case("id and name twice", stream(first_delta('{"a"'), first_delta(":1}"), end), call)
    yield case("no id", stream(first_delta('{"a":1}', id=None), end), call)
    yield case("arguments as an object", stream(first_delta({"a": 1}), end), call)  # type: ignore[arg-type]
    yield case(
        "arguments that are null",
        stream(first_delta(), later_delta(None), end),
        succeeds("", ("f", {})),
    )
    yield case("finish reason stop", stream(first_delta('{"a":1}'), chunk(finish="stop")), call)
    second = first_delta('{"a":2}', index=1, id="c2")
    two = succeeds("", ("f", {"a": 1}), ("f", {"a": 2}))
    yield case("two calls", stream(first_delta('{"a":1}'), second, end), two)
    same_index = first_delta('{"a":2}', id="c2")
    yield case("two calls, one index", stream(first_delta('{"a":1}'), same_index, end), two)
    starts = first_delta('{"a"'), first_delta("", index=1, id="c2")
    ends = later_delta(":1}"), later_delta('{"a":2}', index=1)
    yield case("two calls, deltas in turn", stream(*starts, *ends, end), two)


def _cut_tool_calls() -> Iterator[FaultCase]:
    half = first_delta('{"a": 1')
    limit = chunk(finish="length")
    yield case("cut arguments", stream(half, chunk(finish="tool_calls")), succeeds(""))
    yield case("arguments cut by the limit", stream(half, limit), succeeds(""))
    yield case("no arguments, cut by the limit", stream(first_delta(), limit), succeeds(""))
    expected = fails("IncompleteStreamError", match="ended before|interrupted")
    broken = chunked(sse(half, done=False), End.CLOSE)
    not_retried = (1, 1)  # the delta of a call has been handed out, like a delta of text
    yield case("a call that breaks off", broken, expected, not_retried)
    yield case("a call that ends early", stream(half, done=False), expected, not_retried)
    yield case(
        "a complete call without a finish reason",
        stream(first_delta('{"a":1}'), done=False),
        expected,
        not_retried,
    )


CASES = [
    *(*_sse_syntax(), *_packets(), *_unusual_chunks(), *_surrogates()),
    *(*_ends_after_done(), *_early_ends(), *_streams_without_answer()),
    *(*_errors(), *_error_classes(), *_tool_calls(), *_cut_tool_calls()),
]
