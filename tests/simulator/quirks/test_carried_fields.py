"""Quirks 41 to 52: fields beside the text, and the refusal of a turn in which they are missing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import JSON
from tests.simulator.quirks.conftest import (
    ONE_CALL,
    REASONING,
    TOOLS,
    TWO_CALLS,
    deltas_of,
    message_of,
    post,
    send,
    stream,
    texts,
    tool_turn,
)

EXTRA = {"google": {"thought_signature": "c2ltdWxhdGVkIHNpZ25hdHVyZQ=="}}


@pytest.mark.parametrize(
    ("quirk", "key", "value"),
    [
        ("thought-signature-on-calls", "extra_content", EXTRA),
        ("provider-specific-fields", "provider_specific_fields", EXTRA["google"]),
    ],
)
def test_signatures_of_calls_have_to_come_back(quirk: str, key: str, value: JSON) -> None:
    """Each call has one; the next request needs it unchanged."""
    calls = message_of(send(quirk, TWO_CALLS, tools=TOOLS))["tool_calls"]
    assert [call[key] for call in calls] == [value, value]
    deltas = deltas_of(stream(quirk, TWO_CALLS, tools=TOOLS))
    assert [c[key] for d in deltas for c in d.get("tool_calls", ()) if key in c] == [value, value]
    for fields in ({}, {key: {}}):
        assert post((quirk,), tool_turn(**fields), tools=TOOLS).status_code == 400
    assert post((quirk,), tool_turn(**{key: value}), tools=TOOLS).status_code == 200
    later = [*tool_turn(), {"role": "assistant", "content": "84"}, {"role": "user", "content": "?"}]
    assert post((quirk,), later, tools=TOOLS).status_code == 200


def test_a_message_has_a_signature() -> None:
    """In a stream, it is in the last delta."""
    assert message_of(send("thought-signature-on-messages"))["extra_content"] == EXTRA
    deltas = deltas_of(stream("thought-signature-on-messages"))
    assert [delta.get("extra_content") for delta in deltas] == [*[None] * (len(deltas) - 1), EXTRA]


def with_reasoning(**fields: Any) -> list[JSON]:
    """Return a tool turn whose assistant message has these fields."""
    user, assistant, result = tool_turn()
    return [user, assistant | fields, result]


def status(quirk: str, messages: list[JSON], **body: Any) -> int:
    """Return the status of the response to these messages."""
    return post((quirk,), messages, tools=TOOLS, **({"reasoning": REASONING} | body)).status_code


def test_reasoning_content_has_to_come_back() -> None:
    """It takes the place of reasoning and details; the check is made if reasoning is asked for."""
    message = message_of(send("reasoning-content", reasoning=REASONING))
    assert message["reasoning_content"].startswith("The request says: Hello.")
    assert "reasoning" not in message
    assert "reasoning_details" not in message
    chunks = stream("reasoning-content", reasoning=REASONING)
    assert "".join(texts(chunks, "reasoning_content")) == message["reasoning_content"]
    assert status("reasoning-content", with_reasoning(reasoning="Hm.")) == 400
    assert status("reasoning-content", with_reasoning(reasoning_content="Hm.")) == 200
    assert status("reasoning-content", tool_turn(), reasoning={"effort": "none"}) == 200


def test_an_empty_reasoning_content_has_to_come_back() -> None:
    """The first delta has it."""
    sent = message_of(send("reasoning-content-empty", ONE_CALL, tools=TOOLS))
    assert sent["reasoning_content"] == ""
    first, *rest = deltas_of(stream("reasoning-content-empty", ONE_CALL, tools=TOOLS))
    assert first["reasoning_content"] == ""
    assert all("reasoning_content" not in delta for delta in rest)
    assert status("reasoning-content-empty", tool_turn()) == 400
    assert status("reasoning-content-empty", with_reasoning(reasoning_content="")) == 200


@pytest.mark.parametrize(
    "quirk", ["reasoning-details-signed", "model-id-with-date", "model-id-capitalised"]
)
def test_signed_details_have_to_come_back(quirk: str) -> None:
    """The signature must be that of the text."""
    details = message_of(send(quirk, reasoning=REASONING))["reasoning_details"]
    assert status(quirk, with_reasoning(reasoning_details=details)) == 200
    changed = [details[0] | {"text": "Another thought."}]
    for wrong in (changed, []):
        assert status(quirk, with_reasoning(reasoning_details=wrong)) == 400
    assert status(quirk, tool_turn(), reasoning={"effort": "none"}) == 200


def test_signed_details_are_the_only_reasoning() -> None:
    """Their text is in fragments in a stream."""
    assert "reasoning" not in message_of(send("reasoning-details-signed", reasoning=REASONING))
    deltas = deltas_of(stream("reasoning-details-signed", reasoning=REASONING))
    details = [detail for delta in deltas for detail in delta.get("reasoning_details", ())]
    assert len(details) > 2
    assert not any("reasoning" in delta for delta in deltas)


def test_encrypted_reasoning_has_to_come_back() -> None:
    """There is one detail, in a stream, too."""
    (detail,) = message_of(send("reasoning-encrypted", reasoning=REASONING))["reasoning_details"]
    assert detail["type"] == "reasoning.encrypted"
    deltas = deltas_of(stream("reasoning-encrypted", reasoning=REASONING))
    assert [delta["reasoning_details"] for delta in deltas if "reasoning_details" in delta] == [
        [detail]
    ]
    assert status("reasoning-encrypted", with_reasoning(reasoning_details=[detail])) == 200
    assert status("reasoning-encrypted", tool_turn()) == 400


@pytest.mark.parametrize(
    ("quirk", "asked", "spelled"),
    [
        ("model-id-with-date", "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
        ("model-id-capitalised", "moonshotai/kimi-k2-thinking", "Kimi-K2-Thinking"),
    ],
)
def test_the_model_id_is_spelled_in_another_way(quirk: str, asked: str, spelled: str) -> None:
    """In every chunk, too."""
    assert send(quirk, model=asked)["model"] == spelled
    assert {chunk["model"] for chunk in stream(quirk, model=asked)} == {spelled}


def test_content_parts() -> None:
    """Reasoning is a part of type `thinking`; text is a part, too."""
    thinking, text = message_of(send("thinking-parts", reasoning=REASONING))["content"]
    assert thinking["type"] == "thinking"
    assert thinking["thinking"][0]["text"].startswith("The request says: Hello.")
    assert text == {"type": "text", "text": "You said: Hello"}
    chunks = list(texts(stream("thinking-parts", reasoning=REASONING)))
    assert {type(content) for content in chunks} == {list, str}
    parts = message_of(send("content-as-parts"))["content"]
    assert parts == [{"type": "text", "text": "You said: Hello"}]
    assert all(isinstance(content, list) for content in texts(stream("content-as-parts")))


def test_unknown_keys_come_in_fragments() -> None:
    """A completion has what they add up to."""
    message = message_of(send("unknown-keys-in-fragments"))
    assert message["vendor_notes"] == "First, then."
    assert message["vendor_sources"] == [{"page": 1}, {"page": 2}]
    chunks = stream("unknown-keys-in-fragments")
    assert list(texts(chunks, "vendor_notes")) == ["First, ", "then."]
    assert list(texts(chunks, "vendor_sources")) == [[{"page": 1}], [{"page": 2}]]
