"""Conversion of image, audio, video and document blocks to content parts.

This module knows where each block keeps its data and its media type, and how to detect a media type
that is not given. A URL is passed on and never fetched: a download would block the event loop, and
the upstream can fetch it.
"""

from __future__ import annotations

import mimetypes
from base64 import b64encode
from collections.abc import Callable
from io import IOBase
from pathlib import PurePath
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import filetype  # type: ignore[import-untyped]
from llama_index.core.base.llms.types import AudioBlock, DocumentBlock, ImageBlock, VideoBlock

from onerouter_core import Audio, File, Image, Video
from onerouter_core.errors import UnsupportedContentError

MediaBlock: TypeAlias = ImageBlock | AudioBlock | VideoBlock | DocumentBlock

_DEFAULT_TITLE = "input_document"  # LlamaIndex's title for a document that has none


def to_part(block: MediaBlock) -> Image | Audio | Video | File:
    """Return the content part of a media block; raise UnsupportedContentError if there is none."""
    match block:
        case ImageBlock():
            return _image(block)
        case AudioBlock():
            return _audio(block)
        case VideoBlock():
            return _video(block)
        case DocumentBlock():
            return _document(block)
        case _:
            problem = "A media block must be an image, audio, video or document block"
            raise UnsupportedContentError(f"{problem}, not {type(block).__name__}.")


def _image(block: ImageBlock) -> Image:
    if url := _only_url(block, block.image):
        return Image(url=url, detail=block.detail)
    data = _read_bytes(block, block.resolve_image)
    media_type = block.image_mimetype or _media_type(block, data)
    return Image(data=_base64(data), media_type=media_type, detail=block.detail)


def _video(block: VideoBlock) -> Video:
    for option in ("detail", "fps"):
        if (value := getattr(block, option)) is not None:
            raise UnsupportedContentError(
                f"The API does not support {option}={value!r} of a video block. Remove it."
            )
    if url := _only_url(block, block.video):
        return Video(url=url)
    data = _read_bytes(block, block.resolve_video)
    return Video(data=_base64(data), media_type=block.video_mimetype or _media_type(block, data))


def _document(block: DocumentBlock) -> File:
    if url := _only_url(block, block.data):
        return File(url=url, media_type=block.document_mimetype, filename=_filename(block))
    data = _read_bytes(block, block.resolve_document)
    media_type = block.document_mimetype or _media_type(block, data)
    return File(data=_base64(data), media_type=media_type, filename=_filename(block, media_type))


def _audio(block: AudioBlock) -> Audio:
    url = _only_url(block, block.audio)
    if url and not url.startswith("data:"):
        raise UnsupportedContentError(
            "The API does not support the URL of an audio block, only its data. Download the file."
        )
    data = _read_bytes(block, block.resolve_audio)
    return Audio(data=_base64(data), format=block.format or _audio_format(block, data))


def _audio_format(block: AudioBlock, data: bytes) -> str:
    if detected := filetype.guess(data):
        return str(detected.extension)
    if suffix := PurePath(_block_name(block)).suffix:
        return suffix[1:].lower()
    raise UnsupportedContentError(
        "The format of an audio block cannot be detected from its data or file name. "
        'Set `format`, such as "wav".'
    )


# --- data, media types and file names ---


def _only_url(block: MediaBlock, data: bytes | IOBase | None) -> str | None:
    """Return the URL of a block that has neither data nor a path; else None."""
    return str(block.url) if block.url and data is None and block.path is None else None


def _read_bytes(block: MediaBlock, resolve: Callable[[], Any]) -> bytes:
    """Return the block's data, and rewind the caller's stream so that it can be read again."""
    try:
        stream = resolve()
    except ValueError as error:  # neither data, path nor URL, or empty data
        raise UnsupportedContentError(f"The {block.block_type} block is empty: {error}") from error
    data: bytes = stream.read()
    stream.seek(0)
    return data


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _media_type(block: MediaBlock, data: bytes) -> str:
    if detected := filetype.guess(data):
        return str(detected.mime)
    if guessed := mimetypes.guess_type(_block_name(block))[0]:
        return guessed
    kind = block.block_type
    raise UnsupportedContentError(
        f"The media type of the {kind} block cannot be detected from its data or file name. "
        f"Set `{kind}_mimetype`."
    )


def _block_name(block: MediaBlock) -> str:
    """Return the file name: the block's title, else the last component of its path or URL."""
    title = getattr(block, "title", None)
    if title and title != _DEFAULT_TITLE:
        return str(title)
    if block.path:
        return PurePath(str(block.path)).name
    url = str(block.url or "")
    return "" if url.startswith("data:") else PurePath(urlsplit(url).path).name


def _filename(block: DocumentBlock, media_type: str | None = None) -> str | None:
    """Return the file name with a suffix: some upstreams detect the media type by the suffix."""
    name = _block_name(block)
    if name and not PurePath(name).suffix and media_type:
        name += mimetypes.guess_extension(media_type) or ""
    return name or None
