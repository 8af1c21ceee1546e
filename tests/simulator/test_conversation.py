"""Conversations: texts, media, tool results and schemas found in messages."""

from __future__ import annotations

from typing import Any

from onerouter_simulator.conversation import Conversation
from tests.simulator.conftest import IMAGE_PART, PIXEL, Complete, tool_turn, user_message

RECORDING = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


def test_media_are_listed_with_type_and_size(get_message: Complete) -> None:
    """Every kind of part of the API page is recognised; a URL has no size."""
    url = f"data:image/png;base64,{PIXEL}"
    parts = [
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg"}},
        RECORDING,
        {"type": "file", "file": {"data": "JVBERg==", "media_type": "application/pdf"}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}},
        {"type": "video_url", "video_url": {"url": "https://example.com/cat.mp4"}},
    ]
    assert get_message([user_message("Look", *parts)])["content"] == (
        "I see 2 images (image/png, 70 bytes; https://example.com/cat.jpg)"
        " and 1 audio recording (wav, 3 bytes)"
        " and 2 files (application/pdf, 4 bytes; text/plain, 2 bytes)"
        " and 1 video (https://example.com/cat.mp4). You said: Look"
    )


def test_media_without_a_text_are_listed_alone(get_message: Complete) -> None:
    """The answer has no "You said"."""
    assert get_message([user_message(RECORDING)])["content"] == (
        "I see 1 audio recording (wav, 3 bytes)."
    )


def test_texts_are_joined_by_role() -> None:
    """Text parts, and system and developer messages, are joined with line breaks."""
    conversation = Conversation(
        [
            {"role": "system", "content": "One."},
            {"role": "developer", "content": "Two."},
            user_message("Hello", IMAGE_PART, "there"),
        ]
    )
    assert conversation.system_text == "One.\nTwo."
    assert conversation.user_text == "Hello\nthere"
    assert [str(medium) for medium in conversation.media] == ["image/png, 70 bytes"]


def test_tool_results_are_those_after_the_last_answer() -> None:
    """Results have the name of their tool, in the order of the messages."""
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for call_id, name in (("c1", "first"), ("c2", "second"))
    ]
    results = [
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
    ]
    assistant = {"role": "assistant", "content": None, "tool_calls": calls}
    earlier = [*tool_turn("old", "0"), {"role": "assistant", "content": "Done."}]
    messages: list[Any] = [*earlier, {"role": "user", "content": "Go on"}, assistant, *results]
    conversation = Conversation(messages)
    assert conversation.tool_names_by_call_id == {"c1": "first", "c2": "second"}
    assert conversation.tool_results == [("first", "1"), ("second", "2")]
    answered = Conversation([*messages, {"role": "assistant", "content": "Both."}])
    assert answered.tool_results == []


def test_a_user_message_after_a_result_is_not_to_be_answered() -> None:
    """It carries media of the result; without media, or after an answer, it is a question."""
    history = tool_turn("look", "see image", "Look around")
    media_message = user_message(IMAGE_PART)
    assert Conversation([*history, media_message]).messages_to_answer == history
    assert Conversation([*history, media_message]).user_text == "Look around"
    question = user_message("And now?")
    assert Conversation([*history, question]).messages_to_answer == [*history, question]
    answer = {"role": "assistant", "content": "A pixel."}
    messages = [*history, answer, user_message("And now?")]
    assert Conversation(messages).messages_to_answer == messages
