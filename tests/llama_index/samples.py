"""Sample data of the LlamaIndex tests: media files, an output class, scripted replies."""

from __future__ import annotations

import base64
from typing import Any

from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from onerouter_simulator import Script, chunk, completion

PNG_BASE64 = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PNG = base64.b64decode(PNG_BASE64)
"""An image of one pixel."""

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
"""The first bytes of an audio file."""

MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(20)
"""The first bytes of a video file."""

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
"""The first bytes of a document."""


def base64_text(data: bytes) -> str:
    """Return data as base64."""
    return base64.b64encode(data).decode()


class Song(BaseModel):
    """A song."""

    title: str
    year: int


SONG = '{"title": "Moon", "year": 1999}'
"""A valid Song as JSON."""

PROMPT = PromptTemplate("A song about {topic}")
"""A prompt for a Song."""

METHODS = ["json_schema", "function", "json_object"]
"""Methods of asking for an object."""


def text_reply(text: str, **kwargs: Any) -> Script:
    """Return a complete text reply."""
    return Script(json=completion(text, **kwargs))


def text_stream(*deltas: str, finish_reason: str = "stop") -> Script:
    """Return a stream of text deltas."""
    return Script(events=[*map(chunk, deltas), chunk({}, finish_reason=finish_reason)])
