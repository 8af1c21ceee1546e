"""Growth of the time that a reader of text from outside takes, when the text becomes twice as long.

    python -m benchmarks.growth

Each reader gets the text that is worst for it: the beginning of what it looks for, again and again.
A reader in linear time takes twice as long for twice as much. Servers may send megabytes, and a
reader in quadratic time would hold up an event loop for minutes. `tests/test_growth.py` counts the
steps of the same readers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import process_time
from typing import Any

from onerouter_core import Catalog, parse_incomplete_json, parse_json_text
from onerouter_core.argument_hints import argument_hint
from onerouter_core.errors import OneRouterError, classify, redact, retry_after
from onerouter_core.model_ids import same_model
from onerouter_core.model_json import parse_json, to_strict_json
from onerouter_core.wire.decode import ReplyContext
from onerouter_core.wire.error_bodies import decode_error
from onerouter_core.wire.model_list import decode_model_list
from onerouter_core.wire.stream import StreamDecoder, decode_body
from onerouter_core.wire.tool_names import ToolNames

LENGTHS = (40_000, 80_000, 160_000)  # characters, or about as many
_ROUNDS = 5


@dataclass(frozen=True)
class Reader:
    """A reader, and the text that is worst for it."""

    name: str
    make: Callable[[int], Any]
    """Function that returns an input of about this many characters."""

    read: Callable[[Any], Any]

    def __call__(self, value: Any) -> None:
        """Read a value; a ValueError or an error of the package is an answer, too."""
        with suppress(ValueError, OneRouterError):
            self.read(value)


def repeated(text: str, before: str = "", after: str = "") -> Callable[[int], str]:
    """Return a function that repeats a text up to a length, between two others."""
    return lambda length: before + text * (length // len(text)) + after


def _event(delta: Any, **choice: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, **choice}]}).encode()


def streamed(delta: Any, *, numbered: bool = False, **choice: Any) -> Callable[[int], list[bytes]]:
    """Return a function that makes a stream of a delta again and again, an event in each chunk."""

    def make(length: int) -> list[bytes]:
        count = length // len(_event(delta, **choice))
        deltas = (json.loads(json.dumps(delta).replace("#", str(n))) for n in range(count))
        events = [_event(one if numbered else delta, **choice) + b"\n\n" for one in deltas]
        return [*events, _event({}, finish_reason="stop") + b"\n\n"]

    return make


def read_stream(chunks: Iterable[bytes]) -> Any:
    """Decode the chunks of a stream."""
    decoder = StreamDecoder(ReplyContext(ToolNames(["f"])))
    for chunk in chunks:
        for _ in decoder.feed(chunk):
            pass
    return list(decoder.finish())


def completion(message: Callable[[int], Any]) -> Callable[[int], bytes]:
    """Return a function that makes the body of a reply with a message."""
    return lambda length: json.dumps(
        {"choices": [{"message": message(length), "finish_reason": "stop"}]}
    ).encode()


def calls(call: Any) -> Callable[[int], Any]:
    """Return a function that makes a message with a tool call again and again."""
    return lambda length: {"tool_calls": [call] * (length // len(json.dumps(call)))}


def model_list(length: int) -> bytes:
    """Return a model list whose ids resemble each other."""
    entries = [{"id": f"vendor/{n:08d}", "providers": [{}]} for n in range(length // 50)]
    return json.dumps({"data": entries}).encode()


def read_model_list(body: bytes) -> Any:
    """Decode a model list, and look for a model that is not in it."""
    return Catalog.of(decode_model_list(body))["vendor/9876543"]


def _call(**function: Any) -> dict[str, Any]:
    return {"tool_calls": [{"type": "function", "function": function}]}


def _detail(kind: str, **fields: str) -> dict[str, str]:
    return {"type": kind, **fields}


_FULL = {"name": "f", "arguments": "{}"}
_SAME_ID = {"id": "call", "type": "function", "function": _FULL}
READERS = (
    *(
        Reader(f"error body: {word}", repeated(word), lambda body: decode_error(body, status=500))
        for word in ("<title>", "{", "[", "(request id: ", "retry in 1", '{"error":')
    ),
    *(
        Reader(f"error message: {word}", repeated(word), lambda text: classify(None, text))
        for word in ("invalid_", "token count", "insufficient ", "content", "rate")
    ),
    Reader("wait in prose", repeated("try again in 1"), lambda text: retry_after({}, text)),
    Reader("wait, digits", repeated("1", "retry in "), lambda text: retry_after({}, text)),
    Reader("Retry-After", repeated("1."), lambda text: retry_after({"retry-after": text}, "")),
    Reader("redaction", repeated("sk-canary"), lambda text: redact(text, "sk-canaries", "canary!")),
    *(
        Reader(f"JSON in an answer: {word}", repeated(word), parse_json_text)
        for word in ("[1] ", "[", "{", '{"a":', "```", "``` ", "<think>", "{ ", "[1,", "\\")
    ),
    Reader("thoughts", repeated("<think>", after='{"a": 1}'), parse_json_text),
    Reader("half JSON", repeated('\\"', '{"a\n": "'), parse_incomplete_json),
    Reader("JSON text", repeated("\\ud83d", '{"a": "', '"}'), parse_json),
    Reader("strict JSON", repeated('\\"', '"\n', "\\"), to_strict_json),
    Reader("model ids", repeated("-1111", "a", "x"), lambda text: same_model(text, text)),
    Reader(
        "argument_hint", repeated("max_token"), lambda text: argument_hint(text, {text[1:], "stop"})
    ),
    Reader("model list", model_list, read_model_list),
    Reader("body, calls", completion(calls(_SAME_ID)), lambda body: decode_body(body, _CONTEXT)),
    Reader("text", streamed({"content": "a"}), read_stream),
    Reader("halves", streamed({"content": "\ud83d"}), read_stream),
    Reader("calls without index", streamed(_call(**_FULL)), read_stream),
    Reader(
        "calls of other names",
        streamed(_call(name="#", arguments="{}"), numbered=True),
        read_stream,
    ),
    Reader("calls of one id", streamed({"tool_calls": [_SAME_ID]}), read_stream),
    Reader("repeated name", streamed(_call(name="f", arguments='"a"')), read_stream),
    Reader("name again", streamed(_call(name="f", arguments='{"a": "b"')), read_stream),
    Reader("name without arguments", streamed(_call(name="f")), read_stream),
    Reader("arguments", streamed(_call(arguments='"\\u00')), read_stream),
    *(
        Reader(f"streamed {name}", streamed(delta), read_stream)
        for name, delta in (
            ("reasoning", {"reasoning": "a"}),
            ("refusal", {"refusal": "a"}),
            ("audio", {"audio": {"data": "UklG", "transcript": "a"}}),
            ("reasoning details", {"reasoning_details": [_detail("reasoning.text", text="a")]}),
            ("summaries", {"reasoning_details": [_detail("reasoning.summary", summary="a")]}),
            ("unknown key", {"x": "a"}),
            ("unknown object", {"x": {"y": {"z": "a"}}}),
            ("unknown list", {"x": ["a"]}),
            ("unknown key of a call", {"tool_calls": [{"index": 0, "x": "a"}]}),
            ("images", {"images": [{"image_url": {"url": "https://a"}}]}),
            ("annotations", {"annotations": [{"type": "url_citation"}]}),
        )
    ),
    Reader("streamed log probabilities", streamed({}, logprobs={"content": [{}]}), read_stream),
)
_CONTEXT = ReplyContext()


def seconds(reader: Reader, length: int) -> float:
    """Return the shortest time of a few rounds."""
    times = []
    for _ in range(_ROUNDS):
        value = reader.make(length)
        start = process_time()
        reader(value)
        times.append(process_time() - start)
    return min(times)


def main() -> None:
    """Print the time of each reader by length, and how it grows when the length doubles."""
    print(f"{'reader':40}", *(f"{length:>10,}" for length in LENGTHS), "  growth")
    for reader in READERS:
        times = [seconds(reader, length) for length in LENGTHS]
        growth = (times[-1] / times[0]) ** (1 / (len(times) - 1))
        print(f"{reader.name:40}", *(f"{1000 * time:7.2f} ms" for time in times), f"{growth:7.2f}x")


if __name__ == "__main__":
    main()
