"""Streams as servers really send them: none of these is a fault, and none may lose a word."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_simulator import Script, chunk, completion
from tests.llama_index.conformance.answers import USAGE, stream
from tests.llama_index.conformance.bench import Bench, say
from tests.llama_index.conformance.readers import refusal, shown, usage

TEXT = "Grüße, 世界! 🌍"
FIRST, SECOND, THIRD = TEXT[:6], TEXT[6:11], TEXT[11:]
STOP = chunk({}, finish_reason="stop")
COUNTED = chunk(usage=USAGE)
WORDS = [chunk(FIRST), chunk(SECOND), chunk(THIRD)]


def crlf(*events: Any) -> list[bytes]:
    """Return events with the line ends of another system."""
    script = Script(events=events, done=False)
    return [
        packet.replace(b"\n", b"\r\n") for packet in script.packets() if isinstance(packet, bytes)
    ]


def null(name: str) -> dict[str, Any]:
    """Return a chunk in which something that is usually there is null."""
    made = chunk({})
    if name == "choices":
        return made | {"choices": None}
    made["choices"][0][name] = None
    return made


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            Script(events=[b": PROCESSING\n\n", WORDS[0], b": keep-alive\n\n", *WORDS[1:], STOP]),
            id="comments",
        ),
        pytest.param(Script(events=[*WORDS, STOP], split=1), id="a byte at a time"),
        pytest.param(Script(events=[*crlf(*WORDS, STOP), b"data: [DONE]\r\n\r\n"]), id="CRLF"),
        pytest.param(Script(events=[chunk(), *WORDS, STOP]), id="no choices at first"),
        pytest.param(Script(events=[WORDS[0], chunk(), *WORDS[1:], STOP]), id="none in between"),
        pytest.param(Script(events=[null("choices"), *WORDS, STOP]), id="null choices"),
        pytest.param(Script(events=[null("delta"), *WORDS, STOP]), id="null delta"),
        pytest.param(
            Script(events=[chunk({"role": "assistant", "content": None}), *WORDS, STOP]),
            id="null content",
        ),
        pytest.param(
            Script(events=[*WORDS[:2], chunk(THIRD, finish_reason="stop")]), id="a short end"
        ),
        pytest.param(Script(events=[*WORDS, STOP, STOP, chunk({})]), id="two ends"),
        pytest.param(Script(events=[*WORDS, STOP], done=False), id="no DONE"),
        pytest.param(Script(events=[*WORDS, STOP, "[DONE]"], end="hang"), id="an open socket"),
        pytest.param(Script(events=[chunk("", usage=USAGE), *WORDS, STOP]), id="usage at first"),
    ],
)
def test_every_word_arrives(bench: Bench, script: Script) -> None:
    """The deltas are the text, and so is the last item."""
    bench.make(timeout=5)
    bench.script(script)
    items = bench.items("stream_chat", say())
    assert "".join(item.delta or "" for item in items) == items[-1].message.content == TEXT


def test_a_long_stream_arrives(plain_bench: Bench) -> None:
    """Hundreds of pieces stay in order."""
    pieces = [f"{number} " for number in range(600)]
    plain_bench.script(stream(*pieces))
    assert plain_bench.last("stream_chat", say()).message.content == "".join(pieces)


def test_an_answer_that_is_not_streamed(bench: Bench) -> None:
    """A server that cannot stream sends a whole answer: it is read, or is an error, never lost."""
    bench.script(Script(json=completion(TEXT)))
    attempt = bench.attempt("stream_chat", say())
    assert bench.subject.typed(attempt.error) or attempt.text == TEXT


# --- usage ---


def test_usage_on_every_chunk_is_not_added_up(bench: Bench) -> None:
    """The last count is the count."""
    growing = [{**USAGE, "completion_tokens": n, "total_tokens": 11 + n} for n in (1, 3, 7)]
    events = [chunk(text, usage=so_far) for text, so_far in zip("abc", growing, strict=True)]
    bench.script(Script(events=[*events, chunk({}, finish_reason="stop", usage=growing[-1])]))
    assert usage(bench.last("stream_chat", say())) == (11, 7)


@pytest.mark.parametrize(
    "after",
    [chunk("!"), chunk({"content": ""}, finish_reason="stop")],
    ids=["text", "the end"],
)
def test_what_follows_the_usage_does_not_hide_it(bench: Bench, after: Any) -> None:
    """Some servers count before the last chunk."""
    bench.script(Script(events=[chunk("Hi"), STOP, COUNTED, after]))
    last = bench.last("stream_chat", say())
    assert usage(last) == (11, 7)
    assert last.message.content in {"Hi", "Hi!"}


# --- reasoning ---


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_streams(bench: Bench, name: str) -> None:
    """Agents read `thinking_delta`; the last item has all of it in a block, the text has none."""
    bench.script(stream({name: "Let me "}, {name: "think."}, "Yes."))
    items = bench.items("stream_chat", say())
    thoughts = [item.additional_kwargs.get("thinking_delta") or "" for item in items]
    assert "".join(thoughts) == "Let me think."
    assert "".join(block.content for block in shown(items[-1].message, "thinking")) == (
        "Let me think."
    )
    assert items[-1].message.content == "Yes."


def test_reasoning_under_two_names_is_said_once(bench: Bench) -> None:
    """Gateways send both names for clients of both kinds."""
    deltas = [{"reasoning": text, "reasoning_content": text} for text in ("Let me ", "think.")]
    bench.script(stream(*deltas, "Yes."))
    last = bench.last("stream_chat", say())
    assert [block.content for block in shown(last.message, "thinking")] == ["Let me think."]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_of_a_whole_answer(bench: Bench, name: str) -> None:
    """It is a block beside the text."""
    bench.script(Script(json=completion("Yes.", message={name: "Hm."})))
    response = bench.last("chat", say())
    assert [block.content for block in shown(response.message, "thinking")] == ["Hm."]
    assert response.message.content == "Yes."


def test_a_streamed_refusal_is_not_lost(bench: Bench) -> None:
    """Why the model declined is somewhere in the last item."""
    bench.script(stream({"refusal": "I will "}, {"refusal": "not."}))
    attempt = bench.attempt("stream_chat", say())
    said = str(attempt.error) if attempt.error else refusal(attempt.items[-1])
    assert "I will not." in (said or "")
