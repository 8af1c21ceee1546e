"""Streams: forms that servers really send. None of them is an error, and no text may be lost."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_simulator import Script, chunk, completion
from tests.llama_index.conformance.harness import Harness, user_messages
from tests.llama_index.conformance.readers import blocks_of_type, refusal_text, token_usage
from tests.llama_index.conformance.scripted_replies import USAGE, stream_reply

TEXT = "Grüße, 世界! 🌍"
FIRST, SECOND, THIRD = TEXT[:6], TEXT[6:11], TEXT[11:]
STOP_CHUNK = chunk({}, finish_reason="stop")
USAGE_CHUNK = chunk(usage=USAGE)
TEXT_CHUNKS = [chunk(FIRST), chunk(SECOND), chunk(THIRD)]


def crlf_packets(*events: Any) -> list[bytes]:
    """Return the packets of a stream with CRLF line ends."""
    script = Script(events=events, done=False)
    return [
        packet.replace(b"\n", b"\r\n") for packet in script.packets() if isinstance(packet, bytes)
    ]


def null_chunk(name: str) -> dict[str, Any]:
    """Return a chunk in which a key is null."""
    event = chunk({})
    if name == "choices":
        return event | {"choices": None}
    event["choices"][0][name] = None
    return event


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            Script(
                events=[
                    b": PROCESSING\n\n",
                    TEXT_CHUNKS[0],
                    b": keep-alive\n\n",
                    *TEXT_CHUNKS[1:],
                    STOP_CHUNK,
                ]
            ),
            id="comments",
        ),
        pytest.param(Script(events=[*TEXT_CHUNKS, STOP_CHUNK], split=1), id="one byte per packet"),
        pytest.param(
            Script(events=[*crlf_packets(*TEXT_CHUNKS, STOP_CHUNK), b"data: [DONE]\r\n\r\n"]),
            id="CRLF",
        ),
        pytest.param(
            Script(events=[chunk(), *TEXT_CHUNKS, STOP_CHUNK]), id="first chunk without choices"
        ),
        pytest.param(
            Script(events=[TEXT_CHUNKS[0], chunk(), *TEXT_CHUNKS[1:], STOP_CHUNK]),
            id="chunk without choices in the middle",
        ),
        pytest.param(
            Script(events=[null_chunk("choices"), *TEXT_CHUNKS, STOP_CHUNK]), id="null choices"
        ),
        pytest.param(
            Script(events=[null_chunk("delta"), *TEXT_CHUNKS, STOP_CHUNK]), id="null delta"
        ),
        pytest.param(
            Script(
                events=[chunk({"role": "assistant", "content": None}), *TEXT_CHUNKS, STOP_CHUNK]
            ),
            id="null content",
        ),
        pytest.param(
            Script(events=[*TEXT_CHUNKS[:2], chunk(THIRD, finish_reason="stop")]),
            id="finish reason with the last text",
        ),
        pytest.param(
            Script(events=[*TEXT_CHUNKS, STOP_CHUNK, STOP_CHUNK, chunk({})]),
            id="two finish reasons",
        ),
        pytest.param(Script(events=[*TEXT_CHUNKS, STOP_CHUNK], done=False), id="no DONE"),
        pytest.param(
            Script(events=[*TEXT_CHUNKS, STOP_CHUNK, "[DONE]"], end="hang"),
            id="connection stays open",
        ),
        pytest.param(
            Script(events=[chunk("", usage=USAGE), *TEXT_CHUNKS, STOP_CHUNK]),
            id="usage in the first chunk",
        ),
    ],
)
def test_the_whole_text_is_received(harness: Harness, script: Script) -> None:
    """The deltas add up to it, and the last item has it."""
    harness.make_llm(timeout=5)
    harness.script(script)
    items = harness.items("stream_chat", user_messages())
    assert "".join(item.delta or "" for item in items) == items[-1].message.content == TEXT


def test_a_long_stream_is_received_in_order(sync_harness: Harness) -> None:
    """600 deltas."""
    deltas = [f"{number} " for number in range(600)]
    sync_harness.script(stream_reply(*deltas))
    assert sync_harness.final("stream_chat", user_messages()).message.content == "".join(deltas)


def test_a_complete_reply_to_a_stream_request_is_read_or_raises(harness: Harness) -> None:
    """The text is not lost silently."""
    harness.script(Script(json=completion(TEXT)))
    outcome = harness.outcome("stream_chat", user_messages())
    assert harness.adapter.is_expected_error(outcome.error) or outcome.text == TEXT


# --- usage ---


def test_usage_on_every_chunk_is_not_added_up(harness: Harness) -> None:
    """The last usage is the total."""
    growing = [{**USAGE, "completion_tokens": n, "total_tokens": 11 + n} for n in (1, 3, 7)]
    events = [chunk(text, usage=so_far) for text, so_far in zip("abc", growing, strict=True)]
    harness.script(Script(events=[*events, chunk({}, finish_reason="stop", usage=growing[-1])]))
    assert token_usage(harness.final("stream_chat", user_messages())) == (11, 7)


@pytest.mark.parametrize(
    "after",
    [chunk("!"), chunk({"content": ""}, finish_reason="stop")],
    ids=["text", "finish reason"],
)
def test_usage_before_the_last_chunk_is_kept(harness: Harness, after: Any) -> None:
    """Some servers send chunks after the usage."""
    harness.script(Script(events=[chunk("Hi"), STOP_CHUNK, USAGE_CHUNK, after]))
    last = harness.final("stream_chat", user_messages())
    assert token_usage(last) == (11, 7)
    assert last.message.content in {"Hi", "Hi!"}


# --- reasoning ---


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_is_a_thinking_delta_and_a_thinking_block(harness: Harness, name: str) -> None:
    """The text has no reasoning; agents read `thinking_delta`."""
    harness.script(stream_reply({name: "Let me "}, {name: "think."}, "Yes."))
    items = harness.items("stream_chat", user_messages())
    thinking_deltas = [item.additional_kwargs.get("thinking_delta") or "" for item in items]
    assert "".join(thinking_deltas) == "Let me think."
    assert "".join(block.content for block in blocks_of_type(items[-1].message, "thinking")) == (
        "Let me think."
    )
    assert items[-1].message.content == "Yes."


def test_reasoning_under_two_names_is_not_repeated(harness: Harness) -> None:
    """Gateways send both names, for clients of either."""
    deltas = [{"reasoning": text, "reasoning_content": text} for text in ("Let me ", "think.")]
    harness.script(stream_reply(*deltas, "Yes."))
    last = harness.final("stream_chat", user_messages())
    assert [block.content for block in blocks_of_type(last.message, "thinking")] == [
        "Let me think."
    ]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_of_a_complete_reply_is_a_thinking_block(harness: Harness, name: str) -> None:
    """The text has no reasoning."""
    harness.script(Script(json=completion("Yes.", message={name: "Hm."})))
    response = harness.final("chat", user_messages())
    assert [block.content for block in blocks_of_type(response.message, "thinking")] == ["Hm."]
    assert response.message.content == "Yes."


def test_a_streamed_refusal_is_in_the_last_item_or_the_error(harness: Harness) -> None:
    """With the model's text."""
    harness.script(stream_reply({"refusal": "I will "}, {"refusal": "not."}))
    outcome = harness.outcome("stream_chat", user_messages())
    refusal = str(outcome.error) if outcome.error else refusal_text(outcome.items[-1])
    assert "I will not." in (refusal or "")
