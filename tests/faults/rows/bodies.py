"""What stands in the body of an answer under status 200, and how it is packed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

from tests.core.payloads import chunk, completion, sse
from tests.faults.cases import Modes, Row, answer, fails, streamed, whole
from tests.faults.http_scripts import (
    EVENTS,
    HTML,
    JSON,
    PLAIN,
    chunked,
    compact,
    head,
    http,
    stream,
)
from tests.faults.server import Play

GOOD = completion("Hi")
SSE = sse(chunk("H"), chunk("i", "stop"))
FAILURE = {"message": "Model is down", "code": 502}


def _call(arguments: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": arguments},
        **more,
    }


def _errors() -> Iterator[Row]:
    """Yield errors under a good status; a JSON body is read by who asked for a stream, too."""

    def row(name: str, body: Any, error: str, **facts: Any) -> Row:
        return Row(f"200 with {name}", http(body), fails(error, **facts))

    down = "Model is down"
    yield row("an error object", {"error": FAILURE}, "UpstreamError", says=down, status=502)
    yield row("an error string", {"error": down}, "UpstreamError", says=down, status=None)
    yield row("an error list", {"error": [down]}, "UpstreamError", says=down)
    numbered = {"error": {"message": "no", "code": "402"}}
    yield row("a code in a string", numbered, "InsufficientCreditsError", status=402, code="402")
    named = {"error": {"message": "no", "code": "invalid_api_key"}}
    yield row("a code in words", named, "AuthenticationError", status=None)
    yield row("an error without words", {"error": {"code": 500}}, "UpstreamError", status=500)
    slow = {"error": {"message": "Please try again after 6 seconds.", "code": 429}}
    yield row("a throttle", slow, "RateLimitError", status=429, retry_after=6.0)
    pay = {"error": {"message": "Your credits are used up", "code": 403}}
    yield row("an empty account", pay, "InsufficientCreditsError", status=403)
    yield row("a bare message", {"code": 400, "message": "bad"}, "InvalidRequestError", status=400)
    choice = {"error": FAILURE, "message": {"content": "Hel"}, "finish_reason": "error"}
    in_choice = {"choices": [choice]}
    want = fails("UpstreamError", "Hel", status=502)
    yield whole("200 with an error in the choice", http(in_choice), want)
    beside = completion("Hel", error=FAILURE)
    yield whole("200 with an error beside an answer", http(beside), want)
    finish = http(completion("Hel", "error"))
    yield whole("200 with finish reason error", finish, fails("UpstreamError", "Hel"))
    for nothing in (None, {}, "", False):
        body = http(completion("Hi", error=nothing))
        yield whole(f"200 with error {nothing!r}", body, answer("Hi"))


def _empty() -> Iterator[Row]:
    """Yield bodies with no answer in them."""
    for body in (b"", b" \n \n"):
        yield whole(f"a body of {body!r}", http(body), fails("MalformedReplyError"))
        yield streamed(f"a body of {body!r}", http(body), fails("IncompleteStreamError"))
    for body in (b"null", b"[]", b"{}", b"true", b"42", b'"hi"', b"Hi", b"{", b'{"choices":[{"me'):
        yield Row(f"a body of {body!r}", http(body), fails("MalformedReplyError"))
    for choices in (None, [], {}, [None], ["Hi"], [{}]):
        body = http({"id": "1", "choices": choices})
        yield Row(f"choices {choices!r}", body, fails("MalformedReplyError"))
    for message in (None, {}, "Hi", {"content": None}, {"content": ""}, {"content": 42}):
        body = http({"choices": [{"message": message, "finish_reason": "stop"}]})
        yield Row(f"message {message!r}", body, fails("MalformedReplyError"))
    cut = http(completion("", "length"))
    yield Row("nothing but a length limit", cut, fails("LengthLimitError"))
    withheld = http(completion("", "content_filter"))
    yield Row("nothing but moderation", withheld, fails("ContentFilterError"))
    page = b"<html><title>Log in</title></html>"
    yield Row("a page", http(page, kind=HTML), fails("MalformedReplyError", says="Log in"))
    yield Row("a page called JSON", http(page), fails("MalformedReplyError", says="Log in"))
    yield streamed("a page called events", http(page, kind=EVENTS), fails("MalformedReplyError"))


def _content() -> Iterator[Row]:
    parts = [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]
    yield whole("content in parts", http(completion({"content": parts})), answer("Hi"))
    odd = [None, 4, {"type": "text"}, *parts]
    yield whole("content in odd parts", http(completion({"content": odd})), answer("Hi"))
    for name, usage in (("null", None), ("text", "many"), ("absurd", {"prompt_tokens": 1e400})):
        yield whole(f"usage that is {name}", http(completion("Hi", usage=usage)), answer("Hi"))
    nan = compact(GOOD)[:-1] + b',"cost":NaN,"usage":{"prompt_tokens":-Infinity}}'
    yield whole("numbers that are none", http(nan), answer("Hi"))
    types = {"id": 7, "model": [], "provider": {"name": "x"}, "created": "now", "object": None}
    yield whole("facts of other types", http(completion("Hi", **types)), answer("Hi"))
    yield whole("unknown keys", http({**GOOD, "success": True, "data": [1]}), answer("Hi"))
    for name, call, wanted in (
        ("arguments in an object", _call({"a": 1}), {"a": 1}),
        ("arguments of nothing", _call(""), {}),
        ("arguments of null", _call(None), {}),
        ("a call without a type", _call('{"a":1}', type=None), {"a": 1}),
    ):
        body = http(completion({"content": None, "tool_calls": [call]}, "tool_calls"))
        yield whole(name, body, answer("", ("f", wanted)))
    for name, finish, arguments in (
        ("arguments that are cut", "tool_calls", '{"a": 1'),
        ("arguments cut by the limit", "length", '{"a": [1, 2'),
        ("no arguments, cut by the limit", "length", ""),
        ("arguments that are a list", "tool_calls", "[1]"),
    ):
        body = http(completion({"content": "", "tool_calls": [_call(arguments)]}, finish))
        yield whole(name, body, answer(""))


def _letters() -> Iterator[Row]:
    bom = b"\xef\xbb\xbf"
    yield Row("a byte order mark", Modes(http(bom + compact(GOOD)), chunked(bom + SSE)), answer())
    blank = b"\n         \n\n         \n"
    blanks = Modes(http(blank + compact(GOOD)), chunked(blank + SSE))
    yield Row("blank lines before it", blanks, answer())
    raw = compact(GOOD).replace(b"Hi", b"H\xffi")
    bad = Modes(http(raw), chunked(SSE.replace(b'"H"', b'"H\xff"')))
    yield Row("bad UTF-8", bad, answer("H\ufffdi"))
    half = Modes(
        http(compact(GOOD).replace(b"Hi", b"H\\ud83d")),
        chunked(SSE.replace(b'"i"', b'"\\ud83d"')),
    )
    yield Row("half of a surrogate pair", half, answer("H\ufffd"))
    pair = Modes(
        http(compact(GOOD).replace(b"Hi", b"H\\ud83d\\ude00")),
        chunked(SSE.replace(b'"i"', b'"\\ud83d\\ude00"')),
    )
    yield Row("a surrogate pair", pair, answer("H\U0001f600"))
    nul = Modes(
        http(compact(GOOD).replace(b"Hi", b"H\\u0000i")),
        chunked(SSE.replace(b'"i"', b'"\\u0000i"')),
    )
    yield Row("a NUL", nul, answer("H\0i"))
    latin = Modes(
        http(completion("é"), kind=f"{JSON}; charset=latin-1"),
        stream(chunk("é", "stop"), kind=f"{EVENTS}; charset=latin-1"),
    )
    yield Row("a charset that is another", latin, answer("é"))
    yield Row("an escape that is none", http(b'{"choices": "\\x"}'), fails("MalformedReplyError"))
    yield Row("JSON and something more", http(b'{"choices":[]} x'), fails("MalformedReplyError"))
    deep = http(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    yield Row("nested too deeply", deep, fails("MalformedReplyError"))


def _packed() -> Iterator[Row]:
    def both(pack: Any, encoding: str) -> Modes:
        return Modes(
            http(pack(compact(GOOD)), content_encoding=encoding),
            chunked(pack(SSE), content_encoding=encoding),
        )

    yield Row("gzip", both(gzip.compress, "gzip"), answer())
    yield Row("deflate", both(zlib.compress, "deflate"), answer())
    yield Row("an encoding without a name", both(bytes, "identity"), answer())
    garbage = fails("MalformedReplyError", says="cannot be decoded")
    yield Row("no gzip", both(bytes, "gzip"), garbage)
    yield Row("gzip with a wrong sum", both(_wrong_sum, "gzip"), garbage)
    cut = http(gzip.compress(compact(GOOD))[:-12], content_encoding="gzip")
    yield whole("half of a gzip", cut, fails("MalformedReplyError"))
    yield streamed("gzip cut after a piece", _gzip_cut(), fails("IncompleteStreamError", "Hel"))
    for name, kind in (("plain text", PLAIN), ("HTML", HTML), ("nothing", None), ("odd", ";;=")):
        yield Row(f"called {name}", Modes(http(GOOD, kind=kind), http(SSE, kind=kind)), answer())
    yield whole("called events", http(GOOD, kind=EVENTS), answer())
    yield streamed("called JSON", http(SSE), answer())
    yield streamed("JSON for a stream", http(GOOD), answer())
    yield streamed("JSON for a stream, called events", http(GOOD, kind=EVENTS), answer())
    yield whole("a stream for JSON", chunked(SSE), answer())
    half = chunked(sse(chunk("Hel"), done=False))
    yield whole("half a stream for JSON", half, fails("IncompleteStreamError", "Hel"))
    failing = chunked(sse(chunk("Hel"), {"error": FAILURE}))
    yield whole("a stream that fails, for JSON", failing, fails("UpstreamError", "Hel", status=502))
    large = "x" * 3_000_000
    yield Row(
        "3 MB of text", Modes(http(completion(large)), stream(chunk(large, "stop"))), answer(large)
    )


def _wrong_sum(data: bytes) -> bytes:
    packed = gzip.compress(data)
    return packed[:-8] + bytes(8)


def _gzip_cut() -> Play:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(sse(chunk("Hel"), done=False)) + packer.flush(zlib.Z_SYNC_FLUSH)
    return (head(200, EVENTS, content_encoding="gzip", content_length=len(packed)), packed)


ROWS = [*_errors(), *_empty(), *_content(), *_letters(), *_packed()]
