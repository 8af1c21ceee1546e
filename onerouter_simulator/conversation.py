"""Reading a request: who said what, which media came, which tools were called.

Knows the messages of the API. Knows no rule by which they are answered.
"""

import base64
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]


def text_of(message: JSON) -> str:
    """Return the text of one message, its text parts one below the other."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if part["type"] == "text")


@dataclass(frozen=True)
class Conversation:
    """The messages of a request that has been found valid."""

    messages: list[JSON]

    @property
    def asked(self) -> list[JSON]:
        """The messages up to what is to be answered.

        A user message right after a tool result asks nothing: it brings the media of the result,
        which a tool message cannot carry.
        """
        end = len(self.messages)
        while end > 1 and self.messages[end - 1]["role"] == "user":
            end -= 1
        return self.messages[:end] if self.messages[end - 1]["role"] == "tool" else self.messages

    @property
    def user_text(self) -> str:
        """What the user said last; without a user, what anybody said last."""
        said = [message for message in self.asked if message["role"] == "user"]
        return text_of((said or self.asked)[-1])

    @property
    def system_text(self) -> str:
        """All system messages."""
        return "\n".join(text_of(said) for said in self.messages if said["role"] == "system")

    @property
    def called(self) -> dict[str, str]:
        """The tools called since the user spoke last: name by call id."""
        places = [place for place, said in enumerate(self.asked) if said["role"] == "user"]
        turn = self.asked[places[-1] :] if places else self.asked
        calls = (call for message in turn for call in message.get("tool_calls", ()))
        return {call["id"]: call["function"]["name"] for call in calls}

    @property
    def results(self) -> list[tuple[str, str]]:
        """The tool results that wait for an answer: name and text."""
        called = self.called
        last = itertools.takewhile(lambda said: said["role"] == "tool", reversed(self.asked))
        return [(called[said["tool_call_id"]], text_of(said)) for said in last][::-1]

    @property
    def media(self) -> list["Medium"]:
        """The media of the last user message."""
        said = [message for message in self.messages if message["role"] == "user"]
        return list(media_of(said[-1])) if said else []


@dataclass(frozen=True)
class Medium:
    """One image, file, recording or video, as far as it can be told from outside."""

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
                yield from_url("image", body["url"])
            case "video_url":
                yield from_url("video", body["url"])
            case "input_audio":
                yield Medium("audio recording", body["format"], decoded_size(body["data"]))
            case "file" if "file_data" in body:
                yield from_url("file", body["file_data"])
            case "file":
                yield Medium("file", body["media_type"], decoded_size(body["data"]))


def from_url(kind: str, url: str) -> Medium:
    """Yield the medium behind an address, or inside a data URL."""
    if not url.startswith("data:"):
        return Medium(kind, url)
    head, _, data = url.partition(";base64,")
    return Medium(kind, head.removeprefix("data:"), decoded_size(data))


def decoded_size(data: str) -> int:
    """Return the number of bytes behind base64 text."""
    return len(base64.b64decode(data))


def describe(media: list[Medium]) -> str:
    """Say what came: `I see 2 images (image/png, 67 bytes; image/gif, 43 bytes).`."""
    groups = []
    for kind, number in Counter(medium.kind for medium in media).items():
        details = "; ".join(str(medium) for medium in media if medium.kind == kind)
        groups.append(f"{number} {kind}{'s' if number > 1 else ''} ({details})")
    return f"I see {' and '.join(groups)}."


def schema_in(text: str) -> tuple[JSON, str] | None:
    """Find a JSON schema quoted in a text; return it, and the text without it."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            value, end = None, start
        if isinstance(value, dict) and isinstance(value.get("properties"), dict):
            return value, text[:start] + text[end:]
        start = text.find("{", max(end, start + 1))
    return None
