"""Response bodies under status 200: errors, empty answers, odd content, encodings, compression."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

from tests.core.payloads import chunk, completion, sse
from tests.faults.cases import FaultCase, ScriptByMode, complete_only, fails, stream_only, succeeds
from tests.faults.http_scripts import (
    EVENTS,
    HTML,
    JSON,
    PLAIN,
    chunked,
    compact,
    head,
    response,
    stream,
)
from tests.faults.server import HTTPScript

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


def _errors() -> Iterator[FaultCase]:
    """Yield errors under status 200; a JSON body is also decoded if a stream was requested."""

    def case(name: str, body: Any, error: str, **attributes: Any) -> FaultCase:
        return FaultCase(f"200 with {name}", response(body), fails(error, **attributes))

    down = "Model is down"
    yield case("an error object", {"error": FAILURE}, "UpstreamError", match=down, status=502)
    yield case("an error string", {"error": down}, "UpstreamError", match=down, status=None)
    yield case("an error list", {"error": [down]}, "UpstreamError", match=down)
    numbered = {"error": {"message": "no", "code": "402"}}
    yield case(
        "a status code as a string", numbered, "InsufficientCreditsError", status=402, code="402"
    )
    named = {"error": {"message": "no", "code": "invalid_api_key"}}
    yield case("an error code that is a name", named, "AuthenticationError", status=None)
    yield case("an error without a message", {"error": {"code": 500}}, "UpstreamError", status=500)
    slow = {"error": {"message": "Please try again after 6 seconds.", "code": 429}}
    yield case("a rate limit", slow, "RateLimitError", status=429, retry_after=6.0)
    pay = {"error": {"message": "Your credits are used up", "code": 403}}
    yield case("used-up credits", pay, "InsufficientCreditsError", status=403)
    yield case("a bare message", {"code": 400, "message": "bad"}, "InvalidRequestError", status=400)
    choice = {"error": FAILURE, "message": {"content": "Hel"}, "finish_reason": "error"}
    in_choice = {"choices": [choice]}
    expected = fails("UpstreamError", "Hel", status=502)
    yield complete_only("200 with an error in the choice", response(in_choice), expected)
    beside = completion("Hel", error=FAILURE)
    yield complete_only("200 with an error and an answer", response(beside), expected)
    finish = response(completion("Hel", "error"))
    yield complete_only("200 with finish reason error", finish, fails("UpstreamError", "Hel"))
    for nothing in (None, {}, "", False):
        body = response(completion("Hi", error=nothing))
        yield complete_only(f"200 with error {nothing!r}", body, succeeds("Hi"))


def _empty() -> Iterator[FaultCase]:
    """Yield bodies without an answer."""
    for body in (b"", b" \n \n"):
        yield complete_only(f"a body of {body!r}", response(body), fails("MalformedReplyError"))
        yield stream_only(f"a body of {body!r}", response(body), fails("IncompleteStreamError"))
    for body in (b"null", b"[]", b"{}", b"true", b"42", b'"hi"', b"Hi", b"{", b'{"choices":[{"me'):
        yield FaultCase(f"a body of {body!r}", response(body), fails("MalformedReplyError"))
    for choices in (None, [], {}, [None], ["Hi"], [{}]):
        body = response({"id": "1", "choices": choices})
        yield FaultCase(f"choices {choices!r}", body, fails("MalformedReplyError"))
    for message in (None, {}, "Hi", {"content": None}, {"content": ""}, {"content": 42}):
        body = response({"choices": [{"message": message, "finish_reason": "stop"}]})
        yield FaultCase(f"message {message!r}", body, fails("MalformedReplyError"))
    cut = response(completion("", "length"))
    yield FaultCase("no content, finish reason length", cut, fails("LengthLimitError"))
    withheld = response(completion("", "content_filter"))
    yield FaultCase(
        "no content, finish reason content_filter", withheld, fails("ContentFilterError")
    )
    page = b"<html><title>Log in</title></html>"
    yield FaultCase(
        "an HTML page", response(page, kind=HTML), fails("MalformedReplyError", match="Log in")
    )
    yield FaultCase(
        "an HTML page with content type JSON",
        response(page),
        fails("MalformedReplyError", match="Log in"),
    )
    yield stream_only(
        "an HTML page with content type event-stream",
        response(page, kind=EVENTS),
        fails("MalformedReplyError"),
    )


def _content() -> Iterator[FaultCase]:
    parts = [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]
    yield complete_only(
        "content in parts", response(completion({"content": parts})), succeeds("Hi")
    )
    odd = [None, 4, {"type": "text"}, *parts]
    yield complete_only(
        "content parts of wrong types", response(completion({"content": odd})), succeeds("Hi")
    )
    infinite = {"prompt_tokens": 1e400}
    for name, usage in (("null", None), ("a string", "many"), ("infinite", infinite)):
        yield complete_only(
            f"usage that is {name}", response(completion("Hi", usage=usage)), succeeds("Hi")
        )
    nan = compact(GOOD)[:-1] + b',"cost":NaN,"usage":{"prompt_tokens":-Infinity}}'
    yield complete_only("NaN and Infinity", response(nan), succeeds("Hi"))
    types = {"id": 7, "model": [], "provider": {"name": "x"}, "created": "now", "object": None}
    yield complete_only(
        "metadata of wrong types", response(completion("Hi", **types)), succeeds("Hi")
    )
    yield complete_only(
        "unknown keys", response({**GOOD, "success": True, "data": [1]}), succeeds("Hi")
    )
    for name, call, arguments in (
        ("arguments as an object", _call({"a": 1}), {"a": 1}),
        ("empty arguments", _call(""), {}),
        ("arguments that are null", _call(None), {}),
        ("a call without a type", _call('{"a":1}', type=None), {"a": 1}),
    ):
        body = response(completion({"content": None, "tool_calls": [call]}, "tool_calls"))
        yield complete_only(name, body, succeeds("", ("f", arguments)))
    for name, finish, arguments in (
        ("arguments that are cut", "tool_calls", '{"a": 1'),
        ("arguments cut by the limit", "length", '{"a": [1, 2'),
        ("no arguments, cut by the limit", "length", ""),
        ("arguments that are a list", "tool_calls", "[1]"),
    ):
        body = response(completion({"content": "", "tool_calls": [_call(arguments)]}, finish))
        yield complete_only(name, body, succeeds(""))


def _encodings() -> Iterator[FaultCase]:
    bom = b"\xef\xbb\xbf"
    yield FaultCase(
        "a byte order mark",
        ScriptByMode(response(bom + compact(GOOD)), chunked(bom + SSE)),
        succeeds(),
    )
    blank = b"\n         \n\n         \n"
    blanks = ScriptByMode(response(blank + compact(GOOD)), chunked(blank + SSE))
    yield FaultCase("blank lines before the body", blanks, succeeds())
    raw = compact(GOOD).replace(b"Hi", b"H\xffi")
    bad = ScriptByMode(response(raw), chunked(SSE.replace(b'"H"', b'"H\xff"')))
    yield FaultCase("bad UTF-8", bad, succeeds("H\ufffdi"))
    half = ScriptByMode(
        response(compact(GOOD).replace(b"Hi", b"H\\ud83d")),
        chunked(SSE.replace(b'"i"', b'"\\ud83d"')),
    )
    yield FaultCase("half of a surrogate pair", half, succeeds("H\ufffd"))
    pair = ScriptByMode(
        response(compact(GOOD).replace(b"Hi", b"H\\ud83d\\ude00")),
        chunked(SSE.replace(b'"i"', b'"\\ud83d\\ude00"')),
    )
    yield FaultCase("a surrogate pair", pair, succeeds("H\U0001f600"))
    nul = ScriptByMode(
        response(compact(GOOD).replace(b"Hi", b"H\\u0000i")),
        chunked(SSE.replace(b'"i"', b'"\\u0000i"')),
    )
    yield FaultCase("a NUL", nul, succeeds("H\0i"))
    latin = ScriptByMode(
        response(completion("é"), kind=f"{JSON}; charset=latin-1"),
        stream(chunk("é", "stop"), kind=f"{EVENTS}; charset=latin-1"),
    )
    yield FaultCase("a wrong charset in the content type", latin, succeeds("é"))
    yield FaultCase(
        "an invalid escape in JSON", response(b'{"choices": "\\x"}'), fails("MalformedReplyError")
    )
    yield FaultCase(
        "text after the JSON value", response(b'{"choices":[]} x'), fails("MalformedReplyError")
    )
    deep = response(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    yield FaultCase("nested too deeply", deep, fails("MalformedReplyError"))


def _content_encodings() -> Iterator[FaultCase]:
    def encoded(compress: Any, encoding: str) -> ScriptByMode:
        return ScriptByMode(
            response(compress(compact(GOOD)), content_encoding=encoding),
            chunked(compress(SSE), content_encoding=encoding),
        )

    yield FaultCase("gzip", encoded(gzip.compress, "gzip"), succeeds())
    yield FaultCase("deflate", encoded(zlib.compress, "deflate"), succeeds())
    yield FaultCase("content encoding identity", encoded(bytes, "identity"), succeeds())
    garbage = fails("MalformedReplyError", match="cannot be decoded")
    yield FaultCase("content encoding gzip, not compressed", encoded(bytes, "gzip"), garbage)
    yield FaultCase(
        "gzip with a wrong checksum", encoded(_gzip_with_wrong_checksum, "gzip"), garbage
    )
    cut = response(gzip.compress(compact(GOOD))[:-12], content_encoding="gzip")
    yield complete_only("truncated gzip", cut, fails("MalformedReplyError"))
    yield stream_only(
        "gzip cut after a delta", _truncated_gzip_stream(), fails("IncompleteStreamError", "Hel")
    )
    for name, kind in (("plain", PLAIN), ("HTML", HTML), ("missing", None), ("invalid", ";;=")):
        yield FaultCase(
            f"content type {name}",
            ScriptByMode(response(GOOD, kind=kind), response(SSE, kind=kind)),
            succeeds(),
        )
    yield complete_only("content type event-stream", response(GOOD, kind=EVENTS), succeeds())
    yield stream_only("content type JSON", response(SSE), succeeds())
    yield stream_only("JSON instead of a stream", response(GOOD), succeeds())
    yield stream_only(
        "JSON instead of a stream, content type event-stream",
        response(GOOD, kind=EVENTS),
        succeeds(),
    )
    yield complete_only("a stream instead of JSON", chunked(SSE), succeeds())
    half = chunked(sse(chunk("Hel"), done=False))
    yield complete_only(
        "half a stream instead of JSON", half, fails("IncompleteStreamError", "Hel")
    )
    failing = chunked(sse(chunk("Hel"), {"error": FAILURE}))
    yield complete_only(
        "a stream with an error instead of JSON", failing, fails("UpstreamError", "Hel", status=502)
    )
    large = "x" * 3_000_000
    yield FaultCase(
        "3 MB of text",
        ScriptByMode(response(completion(large)), stream(chunk(large, "stop"))),
        succeeds(large),
    )


def _gzip_with_wrong_checksum(data: bytes) -> bytes:
    packed = gzip.compress(data)
    return packed[:-8] + bytes(8)


def _truncated_gzip_stream() -> HTTPScript:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(sse(chunk("Hel"), done=False)) + packer.flush(zlib.Z_SYNC_FLUSH)
    return (head(200, EVENTS, content_encoding="gzip", content_length=len(packed)), packed)


CASES = [*_errors(), *_empty(), *_content(), *_encodings(), *_content_encodings()]
