"""Conversation: texts, media, tool calls and tool results in the messages of a request.

Knows the message format of the API. Knows no rule of the answers.
"""

import base64
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]


def text_of(message: JSON) -> str:
    """Return the text of one message; text parts are joined with line breaks."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if part["type"] == "text")


def with_role(messages: list[JSON], *roles: str) -> list[JSON]:
    """Return the messages of one role, or of several."""
    return [message for message in messages if message["role"] in roles]


def is_user_message_with_media(message: JSON) -> bool:
    """Whether a message is a user's and has media."""
    return message["role"] == "user" and any(media_of(message))


@dataclass(frozen=True)
class Conversation:
    """The messages of a request that has passed validation."""

    messages: list[JSON]

    @property
    def messages_to_answer(self) -> list[JSON]:
        """The messages without user messages with media that follow a tool result.

        Such a user message is no new question: it carries the media of the result, because a tool
        message cannot.
        """
        end = len(self.messages)
        while end > 1 and is_user_message_with_media(self.messages[end - 1]):
            end -= 1
        return self.messages[:end] if self.messages[end - 1]["role"] == "tool" else self.messages

    @property
    def user_text(self) -> str:
        """Text of the last user message; without a user message, of the last message."""
        user_messages = with_role(self.messages_to_answer, "user")
        return text_of((user_messages or self.messages_to_answer)[-1])

    @property
    def system_text(self) -> str:
        """Text of all system and developer messages, joined with line breaks."""
        return "\n".join(map(text_of, with_role(self.messages, "system", "developer")))

    @property
    def tool_names_by_call_id(self) -> dict[str, str]:
        """The tools called since the last user message: name by call id."""
        messages = self.messages_to_answer
        user_indexes = [n for n, message in enumerate(messages) if message["role"] == "user"]
        turn = messages[user_indexes[-1] :] if user_indexes else messages
        calls = (call for message in turn for call in message.get("tool_calls", ()))
        return {call["id"]: call["function"]["name"] for call in calls}

    @property
    def tool_results(self) -> list[tuple[str, str]]:
        """The tool results at the end of the conversation: (tool name, text)."""
        names = self.tool_names_by_call_id
        last = itertools.takewhile(
            lambda message: message["role"] == "tool", reversed(self.messages_to_answer)
        )
        return [(names[message["tool_call_id"]], text_of(message)) for message in last][::-1]

    @property
    def media(self) -> list["Medium"]:
        """The media of the last user message."""
        user_messages = with_role(self.messages, "user")
        return list(media_of(user_messages[-1])) if user_messages else []


@dataclass(frozen=True)
class Medium:
    """One image, file, recording or video, described without decoding its format.

    `label` is the media type or the URL; `size` is in bytes, None for a URL.
    """

    kind: str
    label: str
    size: int | None = None

    def __str__(self) -> str:
        return self.label if self.size is None else f"{self.label}, {self.size} bytes"


def media_of(message: JSON) -> Iterator[Medium]:
    """Yield the media among the parts of a message."""
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        body = part.get(part["type"])
        match part["type"]:
            case "image_url":
                yield medium_at("image", body["url"])
            case "video_url":
                yield medium_at("video", body["url"])
            case "input_audio":
                yield Medium("audio recording", body["format"], decoded_size(body["data"]))
            case "file" if "file_data" in body:
                yield medium_at("file", body["file_data"])
            case "file":
                yield Medium("file", body["media_type"], decoded_size(body["data"]))


def medium_at(kind: str, url: str) -> Medium:
    """Return the medium of a web URL or a data URL."""
    if not url.startswith("data:"):
        return Medium(kind, url)
    head, _, data = url.partition(";base64,")
    return Medium(kind, head.removeprefix("data:"), decoded_size(data))


def decoded_size(data: str) -> int:
    """Return the number of bytes that base64 text encodes."""
    return len(base64.b64decode(data))


def describe_media(media: list[Medium]) -> str:
    """List media by kind: `I see 2 images (image/png, 67 bytes; image/gif, 43 bytes).`."""
    groups = []
    for kind, number in Counter(medium.kind for medium in media).items():
        details = "; ".join(str(medium) for medium in media if medium.kind == kind)
        groups.append(f"{number} {kind}{'s' if number > 1 else ''} ({details})")
    return f"I see {' and '.join(groups)}."
