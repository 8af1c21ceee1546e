"""Decode a streamed reply: bytes to deltas, and one final reply.

The decoder merges the chunks into the completion that the gateway would have sent without
streaming, and `decode.decode_reply` decodes it: a streamed reply and a complete one cannot
differ. Values that the gateway repeats (usage, cost, finish reason) are only in the final reply.
A stream without a finish reason and without [DONE] is incomplete: it raises IncompleteStreamError
with the partial reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from onerouter_core.errors import IncompleteStreamError, MalformedReplyError
from onerouter_core.model_json import NestingError, without_non_finite, without_surrogates
from onerouter_core.types import Image, Json, Reply, ReplyDelta, ToolCallDelta
from onerouter_core.wire.coerce import (
    as_items,
    as_mapping,
    as_text,
    beginning_of_text,
    omit,
    parse_json_bytes,
)
from onerouter_core.wire.decode import (
    MESSAGE_KEYS,
    ReplyContext,
    decode_calls,
    decode_content,
    decode_images,
    decode_partial_reply,
    decode_reasoning,
    decode_reasoning_keys,
    decode_reply,
    error_context,
    with_finite_numbers,
)
from onerouter_core.wire.error_bodies import decode_error, has_error
from onerouter_core.wire.fragments import (
    append_audio,
    append_text,
    extend_lists,
    joined,
    merge_fragments,
    remaining_lists,
    remaining_text,
    replace_known,
)
from onerouter_core.wire.sse import SSEParser
from onerouter_core.wire.text_buffer import TextBuffer
from onerouter_core.wire.text_events import TextEvents
from onerouter_core.wire.tool_call_deltas import ToolCallDeltas, merge_call_deltas

_EVENT_STREAM = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,99}(?:data|event|id)?:")
_DONE = b"[DONE]"
_MAX_DONE_BYTES = 100  # with white space around it; longer data is not copied to be compared
_TEXT_ONLY = {"role", "content"}
_WITHOUT_REASONING = {*_TEXT_ONLY, "tool_calls"}
_COMMON_KEYS = {*_WITHOUT_REASONING, "reasoning", "reasoning_content"}
_EMPTY_DELTA = ReplyDelta()
_FRAGMENTS = frozenset(
    (
        *("content", "text", "reasoning", "reasoning_content", "summary", "arguments", "refusal"),
        "transcript",
    )
)
"""Keys in a delta whose texts may end with one half of a surrogate pair and go on with the other.
The other half may be in the next event; halves without another are replaced in the final reply."""

_FRAGMENT_KEYS = {"reasoning.text": "text", "reasoning.summary": "summary"}


class BodyDecoder:
    """Incremental decoder of a complete reply.

    Some servers send an event stream although none was asked for: it is decoded as one, event by
    event, so that a long event is not held a second time.
    """

    def __init__(self, context: ReplyContext) -> None:
        """Prepare for a reply."""
        self.received = 0
        """Number of bytes received."""
        self._context = context
        self._body = bytearray()
        self._events: StreamDecoder | None = None

    def feed(self, chunk: bytes) -> None:
        """Add bytes of the body; raise the error in an event."""
        self.received += len(chunk)
        if self._events is None:
            self._body += chunk if self._body else chunk.lstrip()
            if not _is_event_stream(self._body):
                return
            self._events = StreamDecoder(self._context)
            chunk, self._body = bytes(self._body), bytearray()
        for _ in self._events.feed(chunk):
            pass

    def finish(self) -> Reply:
        """Return the reply; raise the errors of `decode_reply` and of `StreamDecoder.finish`."""
        if self._events is None:
            return _decode_json(self._body, self._context)
        finals = [delta.final_reply for delta in self._events.finish()]
        return next(final for final in finals if final is not None)


def decode_body(body: bytes, context: ReplyContext) -> Reply:
    """Return the reply in a complete body."""
    decoder = BodyDecoder(context)
    decoder.feed(body)
    return decoder.finish()


def _decode_json(body: bytearray, context: ReplyContext) -> Reply:
    try:
        completion = with_finite_numbers(parse_json_bytes(body))
    except NestingError as reason:
        raise MalformedReplyError(f"The reply is {reason}.") from None
    except ValueError:
        completion = beginning_of_text(body)
    return decode_reply(completion, context)


def _is_event_stream(body: bytes | bytearray) -> bool:
    """Return whether a body begins with a field or a comment of server-sent events."""
    return _EVENT_STREAM.match(body) is not None


class StreamDecoder:
    """Incremental decoder of one streamed reply.

    `feed` yields the deltas of the events that its bytes complete. `finish` yields the last
    deltas; the very last one has the `final_reply`, and no other has.
    """

    def __init__(self, context: ReplyContext) -> None:
        """Prepare for a reply; its context must be complete when the first bytes come."""
        self.done = False
        """Whether [DONE] was received; later events are ignored."""
        self.events = 0
        """Number of events received, without [DONE]."""
        self.received = 0
        """Number of bytes received."""
        self.finished = False
        """Whether a finish reason was received: only usage and cost may follow."""
        self._context = context
        self._parser = SSEParser()
        self._body: bytearray | None = bytearray()  # None: these bytes are events
        self._root: dict[str, Any] = {}
        self._last_root: Json = {}
        self._choice: dict[str, Any] = {}
        self._last_choice: Json = {}
        self._message: dict[str, Any] = {}
        self._text = TextBuffer()
        self._text_events = TextEvents()
        self._plain_text: str | None = None  # of the last event, if it has nothing else
        self._reasoning = TextBuffer()
        self._reasoning_source: Json = {}  # the last delta with a reasoning text
        self._details: list[dict[str, Any]] = []
        self._images: list[Json] = []
        self._calls: ToolCallDeltas | None = None
        self._has_deltas = False

    def feed(self, chunk: bytes) -> Iterator[ReplyDelta]:
        """Yield the delta of each event that these bytes complete; raise the error in an event."""
        self.received += len(chunk)
        datas = self._parser.feed(chunk)
        if self._body is not None:
            self._add_to_body(self._body, chunk)
        for data in datas:
            if (reply_delta := self._decode_event(data)) is not None:
                yield reply_delta

    # The parser holds no line that is not data, and no line of JSON begins as data does: nothing is
    # held twice.
    def _add_to_body(self, body: bytearray, chunk: bytes) -> None:
        """Hold bytes that may be a complete reply, until it is known that they are events."""
        body += chunk if body else chunk.lstrip()
        if self._parser.has_data or _is_event_stream(body):
            self._body = None

    # A local of a frame in the error's traceback may refer to the decoder: a key that the server
    # echoed is redacted in the error, and not here.
    def forget(self) -> None:
        """Drop all that was received, after an error; the decoder cannot be used any more."""
        vars(self).clear()

    def finish(self) -> Iterator[ReplyDelta]:
        """Yield the last deltas after the end of the bytes.

        Raises IncompleteStreamError for a stream without finish reason and [DONE], and the errors
        of `decode_reply`.
        """
        try:
            for data in self._parser.finish():
                if (reply_delta := self._decode_event(data)) is not None:
                    yield reply_delta
        except MalformedReplyError:
            pass  # the stream was cut within an event: the check of `finished` below reports it
        if not self.done and self._body:
            yield from _deltas_of_reply(_decode_json(self._body, self._context))
            return
        if not (self.done or self.finished):
            raise IncompleteStreamError(
                "The stream ended before the answer was complete.", **self._error_context()
            )
        calls = self._calls.finish(self._root.get("id")) if self._calls else ()
        last = ReplyDelta(self._text.flush(), self._reasoning.flush(), calls)
        yield last._replace(final_reply=decode_reply(self._to_completion(), self._context))

    def partial(self) -> Reply:
        """Return the reply so far."""
        return decode_partial_reply(self._to_completion(), self._context)

    def _error_context(self) -> dict[str, Any]:
        return error_context(self.partial())

    def _decode_event(self, data: bytes | bytearray) -> ReplyDelta | None:
        """Decode the data of one event; None if it adds nothing to the reply."""
        events = self._text_events
        if events.is_ready and (text := events.read(data)) is not None and not self.done:
            self.events += 1
            text = self._text.add(text)
            return ReplyDelta(text) if text else None
        if self.done or not data or data.isspace():
            return None
        if len(data) < _MAX_DONE_BYTES and data.strip() == _DONE:
            self.done = True
            return None
        self.events += 1
        self._body = self._plain_text = None
        try:
            event = parse_json_bytes(data, _clean_event)
        except ValueError as reason:
            if self.finished:
                return None  # for example "[done]": the answer is complete
            problem = reason if isinstance(reason, NestingError) else f"not JSON ({reason})"
            raise MalformedReplyError(
                f"The stream has an event that is {problem}.", **self._error_context()
            ) from None
        reply_delta = self._add_event(event) if isinstance(event, dict) else _EMPTY_DELTA
        if self._plain_text is not None:
            self._text_events.learn(data, self._plain_text)
        return reply_delta if any(reply_delta) else None

    def _add_event(self, event: dict[str, Any]) -> ReplyDelta:
        """Add a chunk; `choices` is taken out of it, to compare its other keys with the last ones.

        Most chunks repeat the other keys of the last chunk: comparing is cheaper than merging.
        """
        choices = event.pop("choices", None)
        reply_delta = self._add_choices(choices)
        if event != self._last_root:
            self._last_root = event
            replace_known(self._root, event)
            if has_error(event if choices is None else {**event, "choices": choices}):
                raise decode_error(event, headers=self._context.headers, partial=self.partial())
        return reply_delta

    def _add_choices(self, choices: Any) -> ReplyDelta:
        """Add the first choice; the others are ignored, since a stream carries one answer."""
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                return self._add_choice(choice)
        return _EMPTY_DELTA

    def _add_choice(self, choice: dict[str, Any]) -> ReplyDelta:
        delta, message = choice.pop("delta", None), choice.pop("message", None)
        logprobs = choice.pop("logprobs", None)
        if choice != self._last_choice:
            self._last_choice = choice
            replace_known(self._choice, choice, ("index",))
            self.finished = bool(self._choice.get("finish_reason"))
        if logprobs is not None:
            lists = {k: v for k, v in as_mapping(logprobs).items() if isinstance(v, list)}
            logprobs = without_non_finite(lists) or None
        if logprobs:
            if message:
                logprobs = remaining_lists(self._choice.get("logprobs") or {}, logprobs)
            extend_lists(self._choice.setdefault("logprobs", {}), logprobs)
        if delta:
            self._has_deltas = True
        reply_delta = self._add_delta(as_mapping(delta), logprobs)
        if not message:
            return reply_delta
        self._plain_text = None
        return self._add_complete_message(message, reply_delta)

    def _add_delta(self, delta: Json, logprobs: Json | None) -> ReplyDelta:
        keys, content = delta.keys(), delta.get("content")
        # A short cut for most deltas; it saves 2 of 4 us.
        if keys <= _TEXT_ONLY and isinstance(content, str):
            self._plain_text = content if logprobs is None else None
            return ReplyDelta(self._text.add(content), "", (), (), logprobs)
        text, images = decode_content(content) if content else ("", ())
        if text:
            text = self._text.add(text)
        is_plain = not content and keys <= _WITHOUT_REASONING  # Mistral's content may be reasoning
        reasoning = "" if is_plain else decode_reasoning(delta)
        if reasoning:
            if "reasoning_content" in keys or "reasoning" in keys:
                self._reasoning_source = delta
            reasoning = self._reasoning.add(reasoning)
        elif not self._reasoning_source and delta.get("reasoning_content") == "":
            self._reasoning_source = delta
        call_deltas = delta.get("tool_calls")
        if not call_deltas and "function_call" in keys:
            call_deltas = decode_calls(delta)
        calls = self._begun_calls().feed(call_deltas) if call_deltas else ()
        if images or not keys <= _COMMON_KEYS:
            images += self._add_rare_keys(delta, images)
        return ReplyDelta(text, reasoning, calls, images, logprobs)

    def _begun_calls(self) -> ToolCallDeltas:
        self._calls = self._calls or ToolCallDeltas(self._context.names)
        return self._calls

    def _add_rare_keys(self, delta: Json, content_images: tuple[Image, ...]) -> tuple[Image, ...]:
        """Add the keys that most deltas do not have; return the images beside the content."""
        for detail in as_items(delta.get("reasoning_details")):
            self._add_reasoning_detail(detail)
        self._images += ({"image_url": {"url": image.url}} for image in content_images)
        self._images += as_items(delta.get("images"))
        extend_lists(self._message, {"annotations": delta.get("annotations") or []})
        if refusal := as_text(delta.get("refusal")):
            append_text(self._message, "refusal", refusal)
        if audio := as_mapping(delta.get("audio")):
            append_audio(self._message.setdefault("audio", {}), audio)
        merge_fragments(self._message, omit(delta, MESSAGE_KEYS))
        return decode_images(delta)

    # Some servers send it in the last event, or as the only one (MiniMax-M3, source:
    # ENTERPILOT/GoModel#1068; abundantbeing/hermes-browser-extension#11).
    def _add_complete_message(self, message: Any, delta: ReplyDelta) -> ReplyDelta:
        """Add what a complete message has more than its deltas; return it after `delta`."""
        message = as_mapping(message)
        text, images = decode_content(message.get("content"))
        text = self._text.add(self._remaining(self._text, text))
        reasoning = self._reasoning.add(self._remaining(self._reasoning, decode_reasoning(message)))
        calls = self._begun_calls().feed_complete(decode_calls(message))
        if not decode_reasoning(self._reasoning_source):
            self._reasoning_source = message
        return delta._replace(
            text=delta.text + text,
            reasoning=delta.reasoning + reasoning,
            tool_calls=merge_call_deltas((*delta.tool_calls, *calls)),
            images=delta.images + self._replace_rare_keys(message, images),
        )

    def _remaining(self, streamed: TextBuffer, complete: str) -> str:
        """Return the end of a text; all of it if such messages are themselves the fragments."""
        rest = remaining_text(str(streamed), complete)
        return ("" if self._has_deltas else complete) if rest is None else rest

    def _replace_rare_keys(
        self, message: Json, content_images: tuple[Image, ...]
    ) -> tuple[Image, ...]:
        """Replace what the deltas said under other keys; return the images that they lacked."""
        known = {*decode_images({"images": self._images})}
        items: list[Json] = [{"image_url": {"url": image.url}} for image in content_images]
        items += as_items(message.get("images"))
        new = [item for item in items if not {*decode_images({"images": [item]})} <= known]
        self._images += new
        if details := as_items(message.get("reasoning_details")):
            self._details = [dict(detail) for detail in details]
        typed = {
            "annotations": as_items(message.get("annotations")) or None,
            "refusal": as_text(message.get("refusal")),
            "audio": {**self._message.get("audio", {}), **as_mapping(message.get("audio"))} or None,
        }
        replace_known(self._message, {k: v for k, v in typed.items() if v is not None})
        replace_known(self._message, merge_fragments({}, omit(message, MESSAGE_KEYS)))
        return decode_images({"images": new})

    def _add_reasoning_detail(self, detail: Json) -> None:
        """Join the fragments of a reasoning text or summary; keep other details as they are."""
        last = self._details[-1] if self._details else {}
        key = _FRAGMENT_KEYS.get(str(detail.get("type")))
        if key and _continues_detail(last, detail):
            append_text(last, key, detail.get(key))
            last.update({k: v for k, v in detail.items() if v is not None and k != key})
        else:
            self._details.append(dict(detail))

    def _to_completion(self) -> dict[str, Any]:
        """Return the completion that the chunks so far add up to."""
        details: list[Json] = [joined(detail) for detail in self._details]
        has_reasoning = self._reasoning_source or str(self._reasoning)
        message = {
            "role": "assistant",
            "content": str(self._text) or None,
            **(self._reasoning_fields(details) if has_reasoning else {}),
            "reasoning_details": details or None,
            "tool_calls": self._calls.to_message() if self._calls else None,
            "images": self._images or None,
        }
        message = {key: value for key, value in message.items() if value is not None}
        message |= joined(self._message) if self._message else {}
        if message.keys() != _TEXT_ONLY:  # the text has no surrogates: it comes out of its buffer
            message = without_surrogates(message)
        choice = {"index": 0, "message": message, **self._choice}
        completion = {**self._root, "object": "chat.completion", "choices": [choice]}
        return dict(without_non_finite(completion))

    def _reasoning_fields(self, details: list[Json]) -> dict[str, Any]:
        """Return the reasoning text under the keys with which it came, if not in details alone."""
        source = {**self._reasoning_source, "reasoning_details": details}
        keys, text = decode_reasoning_keys(source), str(self._reasoning)
        if text and decode_reasoning({"reasoning_details": details}) != text:
            keys = keys or ("reasoning",)
        return dict.fromkeys(keys, text)


def _clean_event(event: Any) -> Any:
    """Replace the surrogates of an event, but for the texts of deltas, which may be fragments."""
    choices = event.pop("choices", None) if isinstance(event, dict) else None
    cleaned = without_surrogates(event)
    if choices is not None:
        cleaned["choices"] = _clean_choices(choices)
    return cleaned


def _clean_choices(choices: Any) -> Any:
    items: list[Any] = as_items(choices)
    texts = [{k: item.pop(k) for k in ("delta", "message") if k in item} for item in items]
    cleaned = without_surrogates(choices)
    cleaned_items: list[Any] = as_items(cleaned)
    for item, fragments in zip(cleaned_items, texts, strict=True):
        item.update(without_surrogates(fragments, _FRAGMENTS))
    return cleaned


def _continues_detail(last: Json, detail: Json) -> bool:
    """Return whether a fragment belongs to the last reasoning detail.

    A signature ends a detail: the next fragment of its type and index begins a new one. Two
    different ids are two details.
    """
    ids = {as_text(last.get("id")), as_text(detail.get("id"))} - {None}
    if last.get("signature") or len(ids) > 1:
        return False
    return all(last.get(key) == detail.get(key) for key in ("type", "index"))


def _deltas_of_reply(reply: Reply) -> Iterator[ReplyDelta]:
    """Yield the deltas of a complete reply, which some servers send when asked for a stream."""
    calls = (
        ToolCallDelta(index, call.id, call.name, call.arguments)
        for index, call in enumerate(reply.tool_calls)
    )
    yield ReplyDelta(reply.text, reply.reasoning, tuple(calls), reply.images, reply.logprobs)
    yield ReplyDelta(final_reply=reply)
