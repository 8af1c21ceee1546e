"""Validation of content parts: text, image, audio, file, video.

Knows one part. Knows no message.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

from onerouter_simulator.errors import RejectedError, bad_request

JSON = dict[str, Any]

WEB_URL = re.compile(r"https?://\S+")
DATA_URL = re.compile(r"data:(?P<media_type>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
IMAGE_DETAILS = ("auto", "low", "high")
CACHE_LIFETIMES = (None, "5m", "1h")


def check_parts(parts: Sequence[Any], allowed_types: set[str], path: str) -> None:
    """Check each part of a content."""
    for index, part in enumerate(parts):
        part_path = f"{path}[{index}]"
        part_type = part.get("type") if isinstance(part, dict) else None
        if not isinstance(part_type, str) or part_type not in allowed_types:
            raise bad_request(
                f"Content part {part_path} is of a type not allowed: {part_type!r}", part_path
            )
        if not is_well_formed(part):
            raise malformed_part_error(part, part_path)
        check_cache_control(part, part_path)


def is_well_formed(part: JSON) -> bool:
    """Whether a part has the fields that its type requires."""
    match part:
        case {"type": "text", "text": str()} | {"type": "refusal", "refusal": str()}:
            return True
        case {"type": "image_url", "image_url": {"url": str() as url, **options}}:
            return is_media_url(url, "image/") and options.get("detail", "auto") in IMAGE_DETAILS
        case {"type": "video_url", "video_url": {"url": str() as url}}:
            return is_media_url(url, "video/")
        case {"type": "input_audio", "input_audio": {"data": data, "format": "wav" | "mp3"}}:
            return is_base64(data)
        case {"type": "file", "file": dict() as file}:
            return is_file(file)
        case _:
            return False


def is_file(file: JSON) -> bool:
    """Whether a file has exactly one of its two forms: data with media_type, or file_data."""
    match file:
        case {"filename": name} if not isinstance(name, str):
            return False
        case {"file_data": str() as data}:
            return "data" not in file and is_media_url(data, "")
        case {"data": data, "media_type": str() as media_type}:
            return is_base64(data) and MEDIA_TYPE.fullmatch(media_type) is not None
        case _:
            return False


def is_media_url(url: str, type_prefix: str) -> bool:
    """Whether a URL is a web URL, or a data URL of a media type with this prefix."""
    data_url = DATA_URL.fullmatch(url)
    if data_url is None:
        return WEB_URL.fullmatch(url) is not None
    return data_url["media_type"].startswith(type_prefix) and is_base64(data_url["data"])


def is_base64(data: Any) -> bool:
    """Whether a value is non-empty base64 text, without a data URL prefix and line breaks."""
    if not isinstance(data, str) or not data:
        return False
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def check_cache_control(part: JSON, path: str) -> None:
    """Check the cache_control of a part or a tool, if it has one; only texts and tools may."""
    if "cache_control" not in part:
        return
    match part:
        case {"type": "text" | "function", "cache_control": {"type": "ephemeral", **options}}:
            if options.get("ttl") in CACHE_LIFETIMES:
                return
    raise bad_request(f"Invalid cache_control in {path}", f"{path}.cache_control")


def malformed_part_error(part: JSON, path: str) -> RejectedError:
    """Return the error for a part with wrong fields; it does not repeat the data of the part."""
    return bad_request(f"Malformed {part['type']} part in {path}", path)
