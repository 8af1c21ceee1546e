"""Answers made up by hypothesis, told whole and told in chunks, as a gateway would.

It shares nothing with the decoder: what an answer is, and how gateways cut it up, is said here
once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

texts = st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
fragments = st.lists(texts, max_size=4)


@dataclass(frozen=True)
class Thought:
    """One item of the reasoning details, its words in fragments."""

    kind: str
    words: list[str]
    signature: str | None = None

    @property
    def key(self) -> str:
        """Where an item of this kind has its words."""
        kinds = {"reasoning.text": "text", "reasoning.summary": "summary"}
        return kinds.get(self.kind, "data")

    def items(self, index: int) -> list[Json]:
        """Return the item as a stream tells it."""
        base = {"type": self.kind, "index": index}
        if self.key == "data":
            return [{**base, "data": "".join(self.words)}]
        told = [{**base, self.key: word} for word in self.words]
        if self.signature is not None:
            told.append({**base, "signature": self.signature})
        return told

    def item(self, index: int) -> Json | None:
        """Return the item as a whole reply tells it, if there is one."""
        told = self.items(index)
        item = {key: value for fragment in told for key, value in fragment.items()}
        if len(told) > 1 or self.key in item:
            item[self.key] = "".join(self.words)
        return item or None


@dataclass(frozen=True)
class Call:
    """One tool call, its arguments in fragments."""

    id: str | None
    name: str
    arguments: list[str]
    labelled: bool  # id and name stand on each delta, not only on the first

    def deltas(self, index: int) -> list[Json]:
        """Return the call as a stream tells it."""
        label = {"id": self.id, "type": "function"}
        told = [{**label, "index": index, "function": {"name": self.name}}]
        for text in self.arguments:
            function = {"name": self.name, "arguments": text} if self.labelled else {}
            delta = {"index": index, "function": function or {"arguments": text}}
            told.append({**label, **delta} if self.labelled else delta)
        return told

    def whole(self) -> Json:
        """Return the call as a whole reply tells it."""
        function = {"name": self.name, "arguments": "".join(self.arguments)}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True)
class Answer:
    """One answer, in the fragments that its chunks will have."""

    text: list[str]
    reasoning_key: str
    thoughts: list[Thought]
    plain_reasoning: list[str]
    calls: list[Call]
    refusal: list[str]
    annotations: list[Json]
    finish: str | None
    usage: Json | None
    root: Json
    extra: Json = field(default_factory=dict)

    def whole(self) -> Json:
        """Return the completion."""
        reasoning = "".join(delta.get(self.reasoning_key, "") for delta in self._thinking())
        details = [thought.item(index) for index, thought in enumerate(self.thoughts)]
        message: Json = {
            "role": "assistant",
            "content": "".join(self.text),
            self.reasoning_key: reasoning,
            "reasoning_details": [item for item in details if item],
            "tool_calls": [call.whole() for call in self.calls],
            "refusal": "".join(self.refusal),
            "annotations": self.annotations,
            **{key: value for key, value in self.extra.items() if key.startswith("x_message")},
        }
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        of_the_choice = {k: v for k, v in self.extra.items() if k.startswith("x_choice")}
        body = {"object": "chat.completion", "choices": [choice | of_the_choice], **self.root}
        return body if self.usage is None else {**body, "usage": self.usage}

    def _thinking(self) -> list[Json]:
        """Return deltas with reasoning: a text beside its detail, or the text alone."""
        told = []
        for index, thought in enumerate(self.thoughts):
            for item in thought.items(index):
                words = {self.reasoning_key: item[thought.key]} if thought.key in item else {}
                words = {} if thought.key == "data" else words
                told.append({"reasoning_details": [item], **words})
        return told + [{self.reasoning_key: text} for text in self.plain_reasoning]

    def lines(self) -> list[list[Json]]:
        """Return the deltas in lines: within a line the order counts, between lines it is free."""
        told = [call.deltas(index) for index, call in enumerate(self.calls)]
        return [
            [{"content": text} for text in self.text],
            self._thinking(),
            [{"refusal": text} for text in self.refusal],
            [{"annotations": [note]} for note in self.annotations],
            *([{"tool_calls": [delta]} for delta in deltas] for deltas in told),
            [{key: value} for key, value in self.extra.items() if key.startswith("x_message")],
        ]


def _cuts(text: str) -> st.SearchStrategy[list[str]]:
    """Cut a text into fragments that add up to it."""
    places = st.lists(st.integers(0, len(text)), max_size=3).map(sorted)
    return places.map(lambda found: cut(text, found))


def cut(whole: Any, places: Sequence[int]) -> list[Any]:
    """Return the pieces of a text, or of bytes, between these places."""
    edges = [0, *places, len(whole)]
    return [whole[edges[n] : edges[n + 1]] for n in range(len(edges) - 1)]


thoughts = st.builds(
    Thought,
    kind=st.sampled_from(["reasoning.text", "reasoning.summary", "reasoning.encrypted", "new"]),
    words=st.lists(texts, min_size=1, max_size=3),
    signature=st.none() | texts,
)
valid_arguments = st.dictionaries(texts, values, max_size=2).map(json.dumps)
calls = st.builds(
    Call,
    id=st.none() | st.uuids().map(str),
    name=st.text(min_size=1, max_size=8),
    arguments=(valid_arguments | texts).flatmap(_cuts),
    labelled=st.booleans(),
)
notes = st.dictionaries(texts, values, max_size=2)
counts = st.integers(0, 10**6)
usages = st.fixed_dictionaries(
    {"prompt_tokens": counts, "completion_tokens": counts, "total_tokens": counts},
    optional={
        "cost": st.floats(0, 100),
        "prompt_tokens_details": st.none() | st.fixed_dictionaries({"cached_tokens": counts}),
        "completion_tokens_details": st.fixed_dictionaries({"reasoning_tokens": counts}),
        "x_usage": values,
    },
)
roots = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=8)},
    optional={
        "model": texts,
        "provider": texts | values,
        "created": counts,
        "cost": st.floats(0, 100),
        "cost_details": st.dictionaries(texts, values, max_size=2),
        "request_id": texts,
        "system_fingerprint": st.none() | texts,
        "service_tier": values,
        "x_root": values,
    },
)
extras = st.dictionaries(
    st.sampled_from(["x_message", "x_message_2", "x_choice", "x_choice_2"]), values, max_size=3
)
answers = st.builds(
    Answer,
    text=fragments,
    reasoning_key=st.sampled_from(["reasoning", "reasoning_content"]),
    thoughts=st.lists(thoughts, max_size=3),
    plain_reasoning=st.just([]),
    calls=st.lists(calls, max_size=3, unique_by=lambda call: call.id or object()),
    refusal=st.just([]) | fragments,
    annotations=st.lists(notes, max_size=2),
    finish=st.sampled_from(
        ["stop", "length", "tool_calls", "content_filter", "error", "new", None]
    ),
    usage=st.none() | usages,
    root=roots,
    extra=extras,
) | st.builds(
    Answer,
    text=fragments,
    reasoning_key=st.sampled_from(["reasoning", "reasoning_content"]),
    thoughts=st.just([]),
    plain_reasoning=fragments,
    calls=st.just([]),
    refusal=st.just([]),
    annotations=st.just([]),
    finish=st.sampled_from(["stop", "length"]),
    usage=usages,
    root=roots,
    extra=st.just({}),
)


@st.composite
def streams(draw: st.DrawFn, answer: Answer) -> list[bytes]:
    """Tell an answer in chunks, and those in packets, as any gateway might."""
    chunks = [_chunk(answer, delta) for delta in draw(_interleaved(answer.lines()))]
    chunks = chunks or [_chunk(answer, {})]
    choice = chunks[-1]["choices"][0]
    choice |= {key: value for key, value in answer.extra.items() if key.startswith("x_choice")}
    ends = [_chunk(answer, {}, answer.finish) for _ in range(draw(st.integers(1, 2)))]
    chunks += ends
    late = draw(st.booleans())  # the facts of the root stand on the last chunk, or on each
    for chunk in chunks[-1:] if late else chunks:
        chunk.update(answer.root)
    if answer.usage is not None:
        _tell_usage(draw, answer.usage, chunks)
    end = draw(st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]))
    events = [
        draw(st.sampled_from([b"", b"", b": ping" + end, b"event: x" + end[: len(end) // 2]]))
        + b"data:"
        + draw(st.sampled_from([b"", b" "]))
        + json.dumps(chunk, ensure_ascii=draw(st.booleans())).encode()
        + end
        for chunk in chunks
    ]
    stream = b"".join(events) + b"data: [DONE]" + draw(st.sampled_from([b"", end]))
    places = draw(st.lists(st.integers(0, len(stream)), max_size=12))
    return cut(stream, sorted(places))


def _tell_usage(draw: st.DrawFn, usage: Json, chunks: list[Json]) -> None:
    """Say it on the last chunk, with or without choices; perhaps count up on those before."""
    if draw(st.booleans()):
        for chunk in chunks:
            chunk["usage"] = {**usage, "completion_tokens": 0, "total_tokens": 0}
    if draw(st.booleans()):
        chunks.append({"choices": []})
    chunks[-1]["usage"] = usage


def _chunk(answer: Answer, delta: Mapping[str, Any], finish: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": answer.root["id"], "object": "chat.completion.chunk", "choices": [choice]}


@st.composite
def _interleaved(draw: st.DrawFn, lines: list[list[Json]]) -> list[Json]:
    """Mix the lines; calls begin in their order, since that is the order they have in the end."""
    waiting = [list(line) for line in lines if line]
    told: list[Json] = []
    begun = 0
    while waiting:
        open_lines = [line for line in waiting if _may_speak(line[0], begun)]
        line = draw(st.sampled_from(open_lines))
        delta = line.pop(0)
        begun = max(begun, _index(delta) + 1)
        told.append(delta)
        waiting = [line for line in waiting if line]
    return told


def _index(delta: Json) -> int:
    return delta["tool_calls"][0]["index"] if "tool_calls" in delta else -1


def _may_speak(delta: Json, begun: int) -> bool:
    return _index(delta) <= begun


# --- anything at all ---

_KEYS = st.sampled_from(
    [
        *("id", "object", "created", "model", "provider", "request_id", "usage", "cost", "choices"),
        *("index", "delta", "message", "finish_reason", "logprobs", "content", "reasoning", "role"),
        *("reasoning_content", "reasoning_details", "tool_calls", "function", "name", "arguments"),
        *("refusal", "images", "image_url", "url", "audio", "data", "transcript", "annotations"),
        *("type", "text", "summary", "error", "code", "prompt_tokens", "completion_tokens"),
        *("prompt_tokens_details", "cached_tokens", "cost_details", "system_fingerprint", "x"),
    ]
)
_WORDS = st.sampled_from(
    [
        *("", "stop", "length", "error", "content_filter", "reasoning.text", "reasoning.summary"),
        *("reasoning.encrypted", "429", "{", "{}", "[1]", "1e400", "\ud800", "\x00"),
    ]
)
_odd = st.recursive(
    scalars | _WORDS | st.floats() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=10,
)


def _seldom_odd(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return what should be there, but anything at all once in a while."""
    return st.integers(0, 7).flatmap(lambda chance: _odd if chance == 0 else strategy)


def _with(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return objects some of whose keys hold what they should, or once in a while anything."""
    fields = {key: _seldom_odd(strategy) for key, strategy in known.items()}
    return st.fixed_dictionaries({}, optional=fields)


_delta = _with(
    content=texts | st.lists(_with(text=texts, image_url=_with(url=texts)), max_size=2),
    reasoning=texts,
    reasoning_content=texts,
    reasoning_details=st.lists(_with(type=_WORDS, index=counts, text=texts, summary=texts)),
    tool_calls=st.lists(
        _with(
            index=st.integers(0, 2),
            id=texts,
            function=_with(name=texts, arguments=texts | _WORDS),
        ),
        max_size=3,
    ),
    refusal=texts,
    images=st.lists(_with(image_url=_with(url=texts)), max_size=2),
    audio=_with(data=texts, transcript=texts),
    annotations=st.lists(_odd, max_size=2),
    x=_odd,
)
_choice = st.fixed_dictionaries(
    {"delta": _seldom_odd(_delta)},
    optional={
        "index": st.sampled_from([0, 0, 0, None, 1]),
        "message": _delta,
        "finish_reason": _WORDS | _odd,
        "logprobs": _with(content=st.lists(_odd, max_size=2)),
    },
)
_whole_choice = st.fixed_dictionaries(
    {"message": _seldom_odd(_delta)},
    optional={"finish_reason": _WORDS | _odd, "logprobs": _odd, "error": _odd},
)
_root = {
    "usage": _with(prompt_tokens=counts, prompt_tokens_details=_odd),
    "id": texts,
    "cost": _odd,
    "provider": _odd,
}
_error = {"error": _with(message=texts, code=_odd, type=texts), "message": texts, "code": _odd}


def _bodies(choice: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    choices = st.lists(choice, min_size=1, max_size=2)
    spoken = st.fixed_dictionaries({"choices": choices}, optional=_root)
    failed = st.fixed_dictionaries({}, optional={**_error, "choices": choices})
    kinds = st.sampled_from([spoken, spoken, spoken, spoken, failed, _odd])
    return kinds.flatmap(lambda kind: kind).map(json.dumps)


odd_bodies = _bodies(_choice | _whole_choice)
_spoken = _bodies(_choice).map(lambda body: b"data: %s\n\n" % body.encode())
_noise = st.sampled_from([b": ping\n\n", b"data:\n\n", b"data: {\n\n", b"\r"])
_noise |= st.just(b"data: [DONE]\n\n") | st.binary(max_size=8)
_events = st.integers(0, 7).flatmap(lambda chance: _noise if chance == 0 else _spoken)
odd_streams = st.lists(_events, max_size=6) | st.lists(_noise, max_size=3)
