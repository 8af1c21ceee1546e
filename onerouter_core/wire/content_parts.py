"""Content parts: text, image, audio, video and file, encoded and decoded.

This module knows every kind of part that the API takes (source: the API page; for audio, video
and documents by URL the gateway's docs on multimodal input). Users also write parts by hand as
dicts: these are decoded to values, and `encode_part(decode_part(part))` is the same part.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from typing import Any

from onerouter_core.errors import UnsupportedContentError
from onerouter_core.types import Audio, CacheControl, File, Image, Part, Text, Video

Body = dict[str, Any]
_DATA_URL = re.compile(r"\Adata:([^,]+);base64,(.*)", re.DOTALL)


def encode_part(part: Part, file_form: str = "data") -> Body:
    """Return a part as the API takes it.

    `file_form` is the form of documents: "data" (the API page's) or "file_data" (OpenRouter's).
    Raises UnsupportedContentError if the part has no content, or is of an unknown kind.
    """
    match part:
        case Text():
            body: Body = {"type": "text", "text": part.text}
        case Image():
            detail = {} if part.detail is None else {"detail": part.detail}
            body = {"type": "image_url", "image_url": {"url": _encode_url(part), **detail}}
        case Audio():
            audio = {"data": part.data, "format": part.format}
            body = {"type": "input_audio", "input_audio": audio}
        case Video():
            body = {"type": "video_url", "video_url": {"url": _encode_url(part)}}
        case File():
            body = {"type": "file", "file": _encode_file(part, file_form)}
        case _:
            raise UnsupportedContentError(
                f"Unsupported content part {part!r}: use Text, Image, Audio, Video or File."
            )
    return add_cache_control(body, part.cache)


def _encode_file(part: File, file_form: str) -> Body:
    """Return the body of a document; only OpenRouter's form (file_data) can hold an http URL."""
    url = _encode_url(part)
    data_url = _DATA_URL.fullmatch(url)
    if data_url is None or file_form == "file_data":
        return {"filename": _filename(part), "file_data": url}
    media_type, data = data_url.groups()
    return {"data": data, "media_type": media_type, "filename": _filename(part)}


def _filename(part: File) -> str:
    if part.filename:
        return part.filename
    return "document" + (mimetypes.guess_extension(part.media_type or "application/pdf") or "")


def _encode_url(part: Image | Video | File) -> str:
    """Return the URL of a part, or its data as a data URL."""
    if part.url is not None:
        return part.url
    if part.data is None or part.media_type is None:
        kind = type(part).__name__
        raise UnsupportedContentError(f"{kind} needs a url, or data with its media_type.")
    return f"data:{part.media_type};base64,{part.data}"


def add_cache_control(body: Body, cache: CacheControl | None) -> Body:
    """Add a cache breakpoint, if there is one, to an encoded part or tool, and return it."""
    if cache is not None:
        ttl = {} if cache.ttl is None else {"ttl": cache.ttl}
        body["cache_control"] = {"type": "ephemeral", **ttl}
    return body


# Raises UnsupportedContentError for one that the API does not know.
def decode_cache_control(body: Mapping[str, Any]) -> CacheControl | None:
    """Return the cache breakpoint of a part or a tool."""
    match body.get("cache_control"):
        case None:
            return None
        case {"type": "ephemeral", **rest} if rest.keys() <= {"ttl"}:
            ttl = rest.get("ttl")
            return CacheControl(None if ttl is None else str(ttl))
        case unknown:
            raise UnsupportedContentError(
                f'Unsupported cache_control {unknown!r}: use {{"type": "ephemeral"}}, '
                'if need be with a "ttl".'
            )


def decode_part(body: Mapping[str, Any]) -> Part | None:
    """Return the value of a part in the API's form; None for a dict of another form.

    Short forms that users write are accepted: a URL in place of `{"url": ...}`.
    """
    cache = decode_cache_control(body)
    part: Part | None = None
    match body:
        case {"type": "text", "text": str(text)}:
            part = Text(text, cache)
        case {"type": "image_url", "image_url": str(url)}:
            part = Image(url=url, cache=cache)
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            part = Image(url=url, detail=image.get("detail"), cache=cache)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(form)}}:
            part = Audio(data, form, cache=cache)
        case {"type": "video_url", "video_url": {"url": str(url)} | str(url)}:
            part = Video(url=url, cache=cache)
        case {"type": "file", "file": Mapping() as file}:
            part = _decode_file(file, cache)
    return part


def _decode_file(file: Mapping[str, Any], cache: CacheControl | None) -> File | None:
    """Return a document in either of the two forms; None for another (a `file_id`, say)."""
    name = file.get("filename")
    match file:
        case {"file_data": str(url)}:
            return File(url=url, filename=name, cache=cache)
        case {"data": str(data), "media_type": str(media_type)}:
            return File(data=data, media_type=media_type, filename=name, cache=cache)
    return None
