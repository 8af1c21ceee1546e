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
from onerouter_core.values import Image, Json, Piece, Reply, ToolCallPiece
from onerouter_core.wire.events import EventReader
from onerouter_core.wire.failures import error_in, states_error
from onerouter_core.wire.lenient import Growing, as_items, as_mapping, as_text, parse
from onerouter_core.wire.names import Names
from onerouter_core.wire.replies import (
    MESSAGE_KEYS,
    decode,
    partial_reply,
    read_content,
    read_images,
    read_reasoning,
)
from onerouter_core.wire.tool_calls import ToolCalls

_EVENTS = (b"data:", b"event:", b"id:", b":")
_PLAIN = {"role", "content", "reasoning", "reasoning_content", "tool_calls"}
_WORDS = {"role", "content"}
_NOTHING = Piece()
_FRAGMENTS = {"reasoning.text": "text", "reasoning.summary": "summary"}


def decode_body(body: bytes, names: Names, headers: Mapping[str, str]) -> Reply:
    """Return the answer in a whole body; some servers send a stream though none was asked for."""
    if _streams(body):
        decoder = StreamDecoder(names, headers)
        ends = [piece.end for piece in (*decoder.feed(body), *decoder.finish())]
        return next(end for end in ends if end is not None)
    try:
        completion = parse(body)
    except ValueError:
        completion = body.decode("utf-8", "replace")
    return decode(completion, names, headers)


def _streams(body: bytes) -> bool:
    """Tell whether a body begins as a stream of events does."""
    return body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_EVENTS)


class StreamDecoder:
    """Feed it bytes, take pieces; `finish` gives the terminal one. `done` after [DONE]."""

    def __init__(self, names: Names, headers: Mapping[str, str]) -> None:
        """Begin a reply; `headers` are the response's, lower case."""
        self.done = False
        self.events = 0
        self._names = names
        self._headers = headers
        self._reader = EventReader()
        self._before: list[bytes] = []  # what came before the first event, if one ever comes
        self._root: dict[str, Any] = {}
        self._last_root: Json = {}
        self._choice: dict[str, Any] = {}
        self._last_choice: Json = {}
        self._message: dict[str, Any] = {}
        self._text = Growing()
        self._reasoning = Growing()
        self._details: list[dict[str, Any]] = []
        self._images: list[Json] = []
        self._calls = ToolCalls(names)

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Yield what each whole event adds; raise the error that one states."""
        if not self.events:
            self._before.append(chunk)
        for data in self._reader.feed(chunk):
            if (piece := self._event(data)) is not None:
                yield piece

    def finish(self) -> Iterator[Piece]:
        """Yield the end, when no more bytes come; raise IncompleteStreamError if it is none."""
        try:
            for data in self._reader.finish():
                if (piece := self._event(data)) is not None:
                    yield piece
        except MalformedReplyError:
            pass  # half an event: the stream was cut there, which the next lines find out
        body = b"".join(self._before).strip()
        if not (self.events or self.done) and body and not _streams(body):
            yield from _whole(decode_body(body, self._names, self._headers))
            return
        if not (self.done or self.finished):
            raise IncompleteStreamError("The stream ended before the answer did.", **self._facts())
        calls = self._calls.finish(self._root.get("id"))
        last = Piece(self._text.end(), self._reasoning.end(), calls)
        yield last._replace(end=decode(self._completion(), self._names, self._headers))

    @property
    def finished(self) -> bool:
        """Whether the answer is whole: a finish reason came, and only counts may follow."""
        return bool(self._choice.get("finish_reason"))

    def partial(self) -> Reply:
        """Return what came so far."""
        return partial_reply(self._completion(), self._names, self._headers)

    def _facts(self) -> dict[str, Any]:
        so_far = self.partial()
        return {
            "partial": so_far,
            "model": so_far.model,
            "provider": so_far.provider,
            "request_id": so_far.request_id,
            "generation_id": so_far.id,
        }

    def _event(self, data: bytes) -> Piece | None:
        """Take the data of one event."""
        data = data.strip()
        if self.done or not data:
            return None
        if data == b"[DONE]":
            self.done = True
            return None
        self.events += 1
        self._before.clear()
        try:
            event = parse(data)
        except ValueError as reason:
            if self.finished:
                return None  # as "[done]": the answer is whole
            raise MalformedReplyError(
                f"The stream holds an event that is not JSON ({reason}).", **self._facts()
            ) from None
        piece = self._add(event) if isinstance(event, dict) else _NOTHING
        return piece if any(piece) else None

    def _add(self, event: dict[str, Any]) -> Piece:
        choices = event.pop("choices", None)
        piece = self._add_choices(choices)
        if event != self._last_root:  # most say the same as the last one: to find out is cheaper
            self._last_root = event
            _learn(self._root, event, ())
            if states_error(event if choices is None else {**event, "choices": choices}):
                raise error_in(event, headers=self._headers, partial=self.partial())
        return piece

    def _add_choices(self, choices: Any) -> Piece:
        """Take the first choice; a stream has no other."""
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                return self._add_choice(choice)
        return _NOTHING

    def _add_choice(self, choice: dict[str, Any]) -> Piece:
        message = choice.pop("message", None)  # some call it so, in their only event
        delta = choice.pop("delta", message)
        logprobs = as_mapping(choice.pop("logprobs", None)) or None
        if choice != self._last_choice:
            self._last_choice = choice
            _learn(self._choice, choice, ("index",))
        if logprobs:
            _extend(self._choice.setdefault("logprobs", {}), logprobs)
        return self._add_delta(as_mapping(delta), logprobs)

    def _add_delta(self, delta: Json, logprobs: Json | None) -> Piece:
        content = delta.get("content")
        if delta.keys() <= _WORDS and isinstance(content, str):  # saves 2 of 4 us for most deltas
            return Piece(self._text.add(content), "", (), (), logprobs)
        text, images = read_content(content) if content else ("", ())
        if text:
            text = self._text.add(text)
        reasoning = read_reasoning(delta)
        if reasoning:
            reasoning = self._reasoning.add(reasoning)
        calls: tuple[ToolCallPiece, ...] = ()
        if "tool_calls" in delta:
            calls = self._calls.feed(delta["tool_calls"])
        if images or not delta.keys() <= _PLAIN:
            images += self._add_rarities(delta, images)
        return Piece(text, reasoning, calls, images, logprobs)

    def _add_rarities(self, delta: Json, in_content: tuple[Image, ...]) -> tuple[Image, ...]:
        """Take what most deltas do not have; return the images that stand beside the content."""
        for detail in as_items(delta.get("reasoning_details")):
            self._add_detail(detail)
        self._images += ({"image_url": {"url": image.url}} for image in in_content)
        self._images += as_items(delta.get("images"))
        _extend(self._message, {"annotations": delta.get("annotations") or []})
        if refusal := as_text(delta.get("refusal")):
            self._message["refusal"] = self._message.get("refusal", "") + refusal
        if audio := as_mapping(delta.get("audio")):
            _concatenate(self._message.setdefault("audio", {}), audio)
        _learn(self._message, delta, MESSAGE_KEYS)
        return read_images(delta)

    def _add_detail(self, detail: Json) -> None:
        """Join the fragments of one reasoning text; keep encrypted items as they are."""
        last = self._details[-1] if self._details else {}
        key = _FRAGMENTS.get(str(detail.get("type")))
        if key and _goes_on(last, detail):
            text = (as_text(last.get(key)) or "") + (as_text(detail.get(key)) or "")
            last.update({name: value for name, value in detail.items() if value is not None})
            last[key] = text
        else:
            self._details.append(dict(detail))

    def _completion(self) -> dict[str, Any]:
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


def _goes_on(last: Json, detail: Json) -> bool:
    """Tell whether a fragment belongs to the last text: a signature ends one, an id names one."""
    ids = {as_text(last.get("id")), as_text(detail.get("id"))} - {None}
    if last.get("signature") or len(ids) > 1:
        return False
    return all(last.get(same) == detail.get(same) for same in ("type", "index"))


def _whole(reply: Reply) -> Iterator[Piece]:
    """Yield the pieces of a reply that came in one: some servers do not stream when asked to."""
    calls = (
        ToolCallPiece(index, call.id, call.name, call.arguments)
        for index, call in enumerate(reply.tool_calls)
    )
    yield Piece(reply.text, reply.reasoning, tuple(calls), reply.images, reply.logprobs)
    yield Piece(end=reply)


def _learn(known: dict[str, Any], facts: Json, but: tuple[str, ...]) -> None:
    """Take over what is said; a null or an empty string does not take back what was."""
    for key, value in facts.items():
        if key not in but and (key not in known or value not in (None, "")):
            known[key] = value


def _extend(total: dict[str, Any], lists: Json) -> None:
    """Add the items of each list to the list of the same name."""
    for key, items in lists.items():
        if isinstance(items, list) and items:
            total.setdefault(key, []).extend(items)


def _concatenate(total: dict[str, Any], strings: Json) -> None:
    """Add base64 data and transcript to what came before; other fields are facts, not fragments."""
    for key, value in strings.items():
        if key in ("data", "transcript") and isinstance(value, str):
            total[key] = (as_text(total.get(key)) or "") + value
        elif value is not None:
            total[key] = value
