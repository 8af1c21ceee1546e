"""The bytes of a streamed reply to pieces, and one terminal piece.

This module knows chunks. It adds them up into the completion that the gateway would have sent
unstreamed and has `replies.decode` read that, so a streamed reply and a complete one cannot
differ. What the gateway repeats (usage, cost, finish reason) leaves here once, at the end. A
stream without finish reason and without [DONE] has no end: it raises, with what came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onerouter_core.errors import IncompleteStreamError, MalformedReplyError
from onerouter_core.types import Image, Json, Reply, ReplyDelta, ToolCallDelta
from onerouter_core.wire.coerce import as_items, as_mapping, as_text, parse_json_bytes
from onerouter_core.wire.decode import (
    MESSAGE_KEYS,
    decode_content,
    decode_images,
    decode_reasoning,
    decode_reply,
    partial_reply,
)
from onerouter_core.wire.error_bodies import decode_error, has_error
from onerouter_core.wire.sse import SSEParser
from onerouter_core.wire.text_buffer import TextBuffer
from onerouter_core.wire.tool_call_deltas import ToolCallDeltas
from onerouter_core.wire.tool_names import ToolNames

_SSE_PREFIXES = (b"data:", b"event:", b"id:", b":")
_COMMON_KEYS = {"role", "content", "reasoning", "reasoning_content", "tool_calls"}
_TEXT_ONLY = {"role", "content"}
_EMPTY_DELTA = ReplyDelta()
_FRAGMENT_KEYS = {"reasoning.text": "text", "reasoning.summary": "summary"}


def decode_body(body: bytes, names: ToolNames, headers: Mapping[str, str]) -> Reply:
    """Return the answer in a whole body; some servers send a stream though none was asked for."""
    if _is_event_stream(body):
        decoder = StreamDecoder(names, headers)
        ends = [reply_delta.final_reply for reply_delta in (*decoder.feed(body), *decoder.finish())]
        return next(end for end in ends if end is not None)
    try:
        completion = parse_json_bytes(body)
    except ValueError:
        completion = body.decode("utf-8", "replace")
    return decode_reply(completion, names, headers)


def _is_event_stream(body: bytes) -> bool:
    """Tell whether a body begins as a stream of events does."""
    return body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_SSE_PREFIXES)


class StreamDecoder:
    """Feed it bytes, take pieces; `finish` gives the terminal one. `done` after [DONE]."""

    def __init__(self, names: ToolNames, headers: Mapping[str, str]) -> None:
        """Begin a reply; `headers` are the response's, lower case."""
        self.done = False
        self.events = 0
        self._names = names
        self._headers = headers
        self._reader = SSEParser()
        self._first_bytes: list[bytes] = []  # what came before the first event, if one ever comes
        self._root: dict[str, Any] = {}
        self._last_root: Json = {}
        self._choice: dict[str, Any] = {}
        self._last_choice: Json = {}
        self._message: dict[str, Any] = {}
        self._text = TextBuffer()
        self._reasoning = TextBuffer()
        self._details: list[dict[str, Any]] = []
        self._images: list[Json] = []
        self._calls = ToolCallDeltas(names)

    def feed(self, chunk: bytes) -> Iterator[ReplyDelta]:
        """Yield what each whole event adds; raise the error that one states."""
        if not self.events:
            self._first_bytes.append(chunk)
        for data in self._reader.feed(chunk):
            if (reply_delta := self._decode_event(data)) is not None:
                yield reply_delta

    def finish(self) -> Iterator[ReplyDelta]:
        """Yield the end, when no more bytes come; raise IncompleteStreamError if it is none."""
        try:
            for data in self._reader.finish():
                if (reply_delta := self._decode_event(data)) is not None:
                    yield reply_delta
        except MalformedReplyError:
            pass  # half an event: the stream was cut there, which the next lines find out
        body = b"".join(self._first_bytes).strip()
        if not (self.events or self.done) and body and not _is_event_stream(body):
            yield from _deltas_of_reply(decode_body(body, self._names, self._headers))
            return
        if not (self.done or self.finished):
            raise IncompleteStreamError(
                "The stream ended before the answer did.", **self._error_context()
            )
        calls = self._calls.finish(self._root.get("id"))
        last = ReplyDelta(self._text.flush(), self._reasoning.flush(), calls)
        yield last._replace(
            final_reply=decode_reply(self._to_completion(), self._names, self._headers)
        )

    @property
    def finished(self) -> bool:
        """Whether the answer is whole: a finish reason came, and only counts may follow."""
        return bool(self._choice.get("finish_reason"))

    def partial(self) -> Reply:
        """Return what came so far."""
        return partial_reply(self._to_completion(), self._names, self._headers)

    def _error_context(self) -> dict[str, Any]:
        so_far = self.partial()
        return {
            "partial": so_far,
            "model": so_far.model,
            "provider": so_far.provider,
            "request_id": so_far.request_id,
            "generation_id": so_far.id,
        }

    def _decode_event(self, data: bytes) -> ReplyDelta | None:
        """Take the data of one event."""
        data = data.strip()
        if self.done or not data:
            return None
        if data == b"[DONE]":
            self.done = True
            return None
        self.events += 1
        self._first_bytes.clear()
        try:
            event = parse_json_bytes(data)
        except ValueError as reason:
            if self.finished:
                return None  # as "[done]": the answer is whole
            raise MalformedReplyError(
                f"The stream holds an event that is not JSON ({reason}).", **self._error_context()
            ) from None
        reply_delta = self._add_event(event) if isinstance(event, dict) else _EMPTY_DELTA
        return reply_delta if any(reply_delta) else None

    def _add_event(self, event: dict[str, Any]) -> ReplyDelta:
        choices = event.pop("choices", None)
        reply_delta = self._add_choices(choices)
        if event != self._last_root:  # most say the same as the last one: to find out is cheaper
            self._last_root = event
            _update_known(self._root, event, ())
            if has_error(event if choices is None else {**event, "choices": choices}):
                raise decode_error(event, headers=self._headers, partial=self.partial())
        return reply_delta

    def _add_choices(self, choices: Any) -> ReplyDelta:
        """Take the first choice; a stream has no other."""
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                return self._add_choice(choice)
        return _EMPTY_DELTA

    def _add_choice(self, choice: dict[str, Any]) -> ReplyDelta:
        message = choice.pop("message", None)  # some call it so, in their only event
        delta = choice.pop("delta", message)
        logprobs = as_mapping(choice.pop("logprobs", None)) or None
        if choice != self._last_choice:
            self._last_choice = choice
            _update_known(self._choice, choice, ("index",))
        if logprobs:
            _extend_lists(self._choice.setdefault("logprobs", {}), logprobs)
        return self._add_delta(as_mapping(delta), logprobs)

    def _add_delta(self, delta: Json, logprobs: Json | None) -> ReplyDelta:
        content = delta.get("content")
        if delta.keys() <= _TEXT_ONLY and isinstance(
            content, str
        ):  # saves 2 of 4 us for most deltas
            return ReplyDelta(self._text.add(content), "", (), (), logprobs)
        text, images = decode_content(content) if content else ("", ())
        if text:
            text = self._text.add(text)
        reasoning = decode_reasoning(delta)
        if reasoning:
            reasoning = self._reasoning.add(reasoning)
        calls: tuple[ToolCallDelta, ...] = ()
        if "tool_calls" in delta:
            calls = self._calls.feed(delta["tool_calls"])
        if images or not delta.keys() <= _COMMON_KEYS:
            images += self._add_rare_keys(delta, images)
        return ReplyDelta(text, reasoning, calls, images, logprobs)

    def _add_rare_keys(self, delta: Json, in_content: tuple[Image, ...]) -> tuple[Image, ...]:
        """Take what most deltas do not have; return the images that stand beside the content."""
        for detail in as_items(delta.get("reasoning_details")):
            self._add_reasoning_detail(detail)
        self._images += ({"image_url": {"url": image.url}} for image in in_content)
        self._images += as_items(delta.get("images"))
        _extend_lists(self._message, {"annotations": delta.get("annotations") or []})
        if refusal := as_text(delta.get("refusal")):
            self._message["refusal"] = self._message.get("refusal", "") + refusal
        if audio := as_mapping(delta.get("audio")):
            _append_audio(self._message.setdefault("audio", {}), audio)
        _update_known(self._message, delta, MESSAGE_KEYS)
        return decode_images(delta)

    def _add_reasoning_detail(self, detail: Json) -> None:
        """Join the fragments of one reasoning text; keep encrypted items as they are."""
        last = self._details[-1] if self._details else {}
        key = _FRAGMENT_KEYS.get(str(detail.get("type")))
        if key and _continues_detail(last, detail):
            text = (as_text(last.get(key)) or "") + (as_text(detail.get(key)) or "")
            last.update({name: value for name, value in detail.items() if value is not None})
            last[key] = text
        else:
            self._details.append(dict(detail))

    def _to_completion(self) -> dict[str, Any]:
        """Return the completion that the chunks add up to."""
        message = {
            "role": "assistant",
            "content": str(self._text) or None,
            "reasoning": str(self._reasoning) or None,
            "reasoning_details": self._details or None,
            "tool_calls": self._calls.to_message() or None,
            "images": self._images or None,
        }
        message = {key: value for key, value in message.items() if value is not None}
        choice = {"index": 0, "message": message | self._message, **self._choice}
        return {**self._root, "object": "chat.completion", "choices": [choice]}


def _continues_detail(last: Json, detail: Json) -> bool:
    """Tell whether a fragment belongs to the last text: a signature ends one, an id names one."""
    ids = {as_text(last.get("id")), as_text(detail.get("id"))} - {None}
    if last.get("signature") or len(ids) > 1:
        return False
    return all(last.get(same) == detail.get(same) for same in ("type", "index"))


def _deltas_of_reply(reply: Reply) -> Iterator[ReplyDelta]:
    """Yield the pieces of a reply that came in one: some servers do not stream when asked to."""
    calls = (
        ToolCallDelta(index, call.id, call.name, call.arguments)
        for index, call in enumerate(reply.tool_calls)
    )
    yield ReplyDelta(reply.text, reply.reasoning, tuple(calls), reply.images, reply.logprobs)
    yield ReplyDelta(final_reply=reply)


def _update_known(known: dict[str, Any], facts: Json, but: tuple[str, ...]) -> None:
    """Take over what is said; a null or an empty string does not take back what was."""
    for key, value in facts.items():
        if key not in but and (key not in known or value not in (None, "")):
            known[key] = value


def _extend_lists(total: dict[str, Any], lists: Json) -> None:
    """Add the items of each list to the list of the same name."""
    for key, items in lists.items():
        if isinstance(items, list) and items:
            total.setdefault(key, []).extend(items)


def _append_audio(total: dict[str, Any], strings: Json) -> None:
    """Add base64 data and transcript to what came before; other fields are facts, not fragments."""
    for key, value in strings.items():
        if key in ("data", "transcript") and isinstance(value, str):
            total[key] = (as_text(total.get(key)) or "") + value
        elif value is not None:
            total[key] = value
