"""What stands in a stream of events: its form, its end, its errors, its tool calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.core.payloads import chunk, sse
from tests.faults.cases import Row, answer, fails
from tests.faults.cases import streamed as row
from tests.faults.http_scripts import DONE, chunked, stream, until_closed
from tests.faults.server import End, Ever

HEL, LO = chunk("Hel"), chunk("lo", "stop")
FAILURE = {"message": "Model is down", "code": 502}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def delta(**call: Any) -> dict[str, Any]:
    """Return a chunk with one delta of a tool call."""
    return chunk({"tool_calls": [call]})


def begun(arguments: str = "", **more: Any) -> dict[str, Any]:
    """Return the first delta of a tool call."""
    function = {"name": "f", "arguments": arguments}
    return delta(**{"index": 0, "id": "c1", "type": "function", "function": function, **more})


def more(arguments: Any, **how: Any) -> dict[str, Any]:
    """Return a later delta of a tool call."""
    return delta(**{"index": 0, "function": {"arguments": arguments}, **how})


def _lines() -> Iterator[Row]:
    """Yield the same events in every spelling."""
    plain = sse(HEL, LO)
    hello = answer("Hello")
    yield row("CRLF", chunked(plain.replace(b"\n", b"\r\n")), hello)
    yield row("CR", chunked(plain.replace(b"\n", b"\r")), hello)
    yield row("no space after the colon", chunked(plain.replace(b"data: ", b"data:")), hello)
    yield row("spaces at the end", chunked(plain.replace(b"\n\n", b"  \n\n")), hello)
    yield row("no last newline", chunked(plain[:-2]), hello)
    yield row("no last empty line", chunked(plain[:-1]), hello)
    comment = b": OPENROUTER PROCESSING\n\n"
    yield row("comments", chunked(comment, comment, sse(HEL, comment, LO)), hello)
    fields = b"event: message\nid: 7\nretry: 10\nunknown\n"
    yield row("other fields", chunked(fields + sse(HEL, done=False), fields + sse(LO)), hello)
    lines = sse(chunk("Hello", "stop")).replace(b', "object"', b',\ndata: "object"')
    yield row("an event of two lines", chunked(lines), hello)
    yield row("empty events", chunked(b"data:\n\n", b"data: \n\n", b"\n\n", plain), hello)


def _packets() -> Iterator[Row]:
    """Yield events that are cut anywhere, and pauses between them."""
    plain = sse(HEL, LO)
    hello = answer("Hello")
    yield row("byte by byte", chunked(*_bytes_of(plain)), hello)
    split = [plain[i : i + 7] for i in range(0, len(plain), 7)]
    yield row("in packets of 7 bytes", chunked(*split), hello)
    yield row("split letters", chunked(*_bytes_of(sse(chunk("é漢🙂", "stop")))), answer("é漢🙂"))
    pause = chunked(b": wait\n\n", 0.01, sse(HEL, done=False), 0.01, sse(LO))
    yield row("pauses", pause, hello)
    yield row("an end by closing", until_closed(sse(HEL, LO)), hello)


def _bytes_of(data: bytes) -> Iterator[bytes]:
    return (bytes([byte]) for byte in data)


def _odd_chunks() -> Iterator[Row]:
    """Yield chunks in every form that gateways have been seen to send."""
    hello = answer("Hello")
    odd: list[Any] = [*({"choices": none} for none in ([], None, [None])), {}, chunk(), chunk("")]
    yield row("chunks with nothing in them", stream(*odd, HEL, *odd, LO, *odd), hello)
    values = b"data: null\n\ndata: [1]\n\ndata: 7\n\n"
    yield row("events that are no objects", chunked(values, sse(HEL, LO)), hello)
    numbers = [chunk("Hel", usage=USAGE, cost=0.1), chunk("lo", "stop", usage=USAGE, cost=0.1)]
    tail = {"choices": [], "usage": USAGE, "cost": 0.1}
    yield row("usage everywhere", stream(*numbers, tail, tail), hello)
    yield row("the end twice", stream(HEL, LO, chunk("", "stop"), chunk(finish="stop")), hello)
    other = {**chunk("no"), "choices": [{"index": 1, "delta": {"content": "no"}}]}
    yield row("another choice", stream(HEL, other, LO), hello)
    message = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    yield row("a message for a delta", stream(message), hello)
    parts = chunk({"content": [{"type": "text", "text": "Hello"}]}, "stop")
    yield row("content in parts", stream(parts), hello)
    nulls = chunk({"role": None, "content": None})
    yield row("a role and a content of null", stream(nulls, HEL, LO), hello)


def _surrogates() -> Iterator[Row]:
    """Yield one letter, escaped, in two deltas."""

    def half(which: bytes, finish: bytes = b"null") -> bytes:
        said = b'{"index":0,"delta":{"content":"%s"},"finish_reason":%s}' % (which, finish)
        return b'data: {"choices":[%s]}\n\n' % said

    both = chunked(half(b"a\\ud83d"), half(b"\\ude00b", b'"stop"'), DONE)
    yield row("halves of a letter", both, answer("a\U0001f600b"))
    apart = chunked(half(b"a\\ud83d"), half(b"", b"null"), half(b"\\ude00", b'"stop"'), DONE)
    yield row("halves of a letter, apart", apart, answer("a\U0001f600"))
    one = chunked(half(b"a\\ud83d"), half(b"b", b'"stop"'), DONE)
    yield row("half a letter", one, answer("a\ufffdb"))
    wrong = chunked(half(b"a\\ude00"), half(b"\\ud83d", b'"stop"'), DONE)
    yield row("halves the wrong way round", wrong, answer("a\ufffd\ufffd"))


def _ends() -> Iterator[Row]:
    hello = answer("Hello")
    yield row("finish without [DONE]", stream(HEL, LO, done=False), hello)
    yield row("[DONE] without finish", stream(HEL, chunk("lo")), hello)
    yield row("[DONE] and an open socket", chunked(sse(HEL, LO), End.HANG), hello)
    yield row("[DONE] and a reset", chunked(sse(HEL, LO), End.RESET), hello)
    yield row("[DONE] and a close", chunked(sse(HEL, LO), End.CLOSE), hello)
    lively = chunked(sse(HEL, LO), Ever(b": x\n\n", 0.01))
    yield row("[DONE] and keep-alives for ever", lively, hello)
    yield row("[DONE] and more", chunked(sse(HEL, LO), sse(chunk("no"), {"error": FAILURE})), hello)
    yield row("[DONE] and garbage", chunked(sse(HEL, LO), b"data: {no\n\n"), hello)
    yield row("[DONE] twice", chunked(sse(HEL, LO), DONE), hello)


HALF = b'data: {"choices":[{"index":0,"delta":{"content":"lo"}}'


def _early_ends() -> Iterator[Row]:
    incomplete = fails("IncompleteStreamError", "Hel")
    begin = sse(HEL, done=False)
    yield row("an end after a piece", chunked(begin), incomplete)
    yield row("an end within an event", chunked(begin, HALF), incomplete)
    yield row("an end within a line", chunked(begin, b"dat"), incomplete)
    letter = HALF[:-5] + b"\xf0\x9f"
    yield row("an end within a letter", chunked(begin, letter), incomplete)
    yield row("an end by closing, after a piece", until_closed(begin), incomplete)


def _no_answers() -> Iterator[Row]:
    nothing = fails("IncompleteStreamError")
    yield row("no event", chunked(), nothing)
    yield row("nothing but comments", chunked(b": x\n\n", b": y\n\n"), nothing)
    yield row("nothing but a role", stream(chunk({"role": "assistant"}), done=False), nothing)
    yield row("nothing but half an event", chunked(HALF), nothing)
    malformed = fails("MalformedReplyError")
    yield row("nothing but [DONE]", stream(), malformed)
    yield row("nothing but an end", stream(chunk(finish="stop")), malformed)
    cut = stream(chunk(finish="length"))
    yield row("nothing but an end by the limit", cut, fails("LengthLimitError"))
    yield row("a first event that is no JSON", chunked(b"data: Bad Gateway\n\n"), malformed)
    later = chunked(sse(HEL, done=False), b"data: {no\n\n", sse(LO))
    want = fails("MalformedReplyError", "Hel", says="not JSON")
    yield row("an event that is no JSON", later, want)
    yield row("a filter after a piece", stream(HEL, chunk("", "content_filter")), answer("Hel"))


def _errors() -> Iterator[Row]:
    """Yield errors as events, before the first piece and after it."""
    down = {"error": FAILURE}
    first = fails("UpstreamError", says="Model is down", status=502)
    later = fails("UpstreamError", "Hel", says="Model is down", status=502)
    yield row("an error first", stream(down), first)
    yield row("an error first, by name", chunked(b"event: error\n" + sse(down)), first)
    yield row("an error after a role", stream(chunk({"role": "assistant"}), down), first)
    yield row("an error after comments", chunked(b": x\n\n" * 3, sse(down)), first)
    yield row("an error, then a close", chunked(sse(down, done=False), End.CLOSE), first)
    yield row("an error, then silence", chunked(sse(down, done=False), End.HANG), first)
    yield row("an error later", stream(HEL, down), later)
    cut = chunked(sse(HEL, down, done=False), End.CLOSE)
    yield row("an error later, then a close", cut, later)
    with_finish = chunk("", "error", error=FAILURE, provider="openai")
    facts = fails("UpstreamError", "Hel", status=502, provider="openai")
    yield row("an error with a finish reason", stream(HEL, with_finish), facts)
    lost = fails("UpstreamError", "Hel")
    yield row("finish reason error", stream(HEL, chunk("", "error")), lost)
    in_choice = {"choices": [{"index": 0, "delta": {}, "error": FAILURE, "finish_reason": "error"}]}
    yield row("an error in the choice", stream(HEL, in_choice), later)
    silent = stream(HEL, in_choice, done=False)
    yield row("an error in the choice, no [DONE]", silent, later)
    bare = stream(HEL, {"code": 500, "message": "boom"}, done=False)
    yield row("a bare message, later", bare, fails("UpstreamError", "Hel", says="boom", status=500))
    null = stream({**HEL, "error": None}, {**LO, "error": {}})
    yield row("errors that are none", null, answer("Hello"))
    after = stream(HEL, LO, down, done=False)
    yield row("an error after the end", after, fails("UpstreamError", "Hello", status=502))


def _kinds_of_error() -> Iterator[Row]:
    for name, error, kind, status in (
        ("in words", "boom", "UpstreamError", None),
        ("of a throttle", {"message": "no", "code": 429}, "RateLimitError", 429),
        (
            "of the account",
            {"message": "no credits", "code": "403"},
            "InsufficientCreditsError",
            403,
        ),
        ("of moderation", {"message": "flagged by moderation"}, "ContentFilterError", None),
        ("of no kind", {"type": "server_error"}, "UpstreamError", None),
    ):
        first, later = stream({"error": error}), stream(HEL, {"error": error})
        yield row(f"an error {name}, first", first, fails(kind, status=status))
        yield row(f"an error {name}, later", later, fails(kind, "Hel", status=status))


def _calls() -> Iterator[Row]:
    one = answer("", ("f", {"a": 1}))
    end = chunk(finish="tool_calls")
    yield row("a call", stream(begun(), more('{"a"'), more(":1}"), end), one)
    yield row("a call in one", stream(begun('{"a":1}'), end), one)
    yield row("no index", stream(begun(index=None), more('{"a":1}', index=None), end), one)
    yield row("id and name again", stream(begun('{"a"'), begun(":1}"), end), one)
    yield row("no id", stream(begun('{"a":1}', id=None), end), one)
    yield row("arguments in an object", stream(begun({"a": 1}), end), one)  # type: ignore[arg-type]
    yield row("arguments of null", stream(begun(), more(None), end), answer("", ("f", {})))
    yield row("finish reason stop", stream(begun('{"a":1}'), chunk(finish="stop")), one)
    second = begun('{"a":2}', index=1, id="c2")
    two = answer("", ("f", {"a": 1}), ("f", {"a": 2}))
    yield row("two calls", stream(begun('{"a":1}'), second, end), two)
    same = begun('{"a":2}', id="c2")
    yield row("two calls, one index", stream(begun('{"a":1}'), same, end), two)
    late = more('{"a":2}', index=1)
    mixed = stream(begun('{"a"'), begun("", index=1, id="c2"), more(":1}"), late, end)
    yield row("two calls, mixed", mixed, two)


def _cut_calls() -> Iterator[Row]:
    half = begun('{"a": 1')
    limit = chunk(finish="length")
    yield row("cut arguments", stream(half, chunk(finish="tool_calls")), answer(""))
    yield row("arguments cut by the limit", stream(half, limit), answer(""))
    yield row("none, cut by the limit", stream(begun(), limit), answer(""))
    want = fails("IncompleteStreamError", says="ended before|broke off")
    broken = chunked(sse(half, done=False), End.CLOSE)
    once = (1, 1)  # a piece of a call is a piece: it is out, and nothing is asked again
    yield row("a call that breaks off", broken, want, once)
    yield row("a call that ends early", stream(half, done=False), want, once)
    yield row("a whole call without an end", stream(begun('{"a":1}'), done=False), want, once)


ROWS = [
    *(*_lines(), *_packets(), *_odd_chunks(), *_surrogates()),
    *(*_ends(), *_early_ends(), *_no_answers()),
    *(*_errors(), *_kinds_of_error(), *_calls(), *_cut_calls()),
]
