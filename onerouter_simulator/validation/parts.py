"""The parts of a message's content: text, image, recording, file, video.

Knows one part. Knows not in which message it stands.
"""

import base64
import binascii
import re
from typing import Any

from onerouter_simulator.errors import RejectedError, bad_request

JSON = dict[str, Any]

WEB_ADDRESS = re.compile(r"https?://\S+")
DATA_URL = re.compile(r"data:(?P<media_type>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
LIFETIMES = (None, "5m", "1h")


def check_parts(parts: list[Any], allowed: set[str], place: str) -> None:
    """Check each part of a content."""
    for number, part in enumerate(parts):
        spot = f"{place}[{number}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str) or kind not in allowed:
            raise bad_request(f"Content part {spot} is of a type not allowed: {kind!r}", spot)
        if not is_well_formed(part):
            raise malformed(part, spot)
        check_mark(part, spot)


def is_well_formed(part: JSON) -> bool:
    """Whether a part holds what its type needs."""
    match part:
        case {"type": "text", "text": str()} | {"type": "refusal", "refusal": str()}:
            return True
        case {"type": "image_url", "image_url": {"url": str() as url, **more}}:
            return is_medium(url, "image/") and more.get("detail", "auto") in DETAILS
        case {"type": "video_url", "video_url": {"url": str() as url}}:
            return is_medium(url, "video/")
        case {"type": "input_audio", "input_audio": {"data": data, "format": "wav" | "mp3"}}:
            return is_base64(data)
        case {"type": "file", "file": dict() as file}:
            return is_file(file)
        case _:
            return False


DETAILS = ("auto", "low", "high")


def is_file(file: JSON) -> bool:
    """Whether a file is given in one of its two forms, and in one only."""
    match file:
        case {"filename": name} if not isinstance(name, str):
            return False
        case {"file_data": str() as data}:
            return "data" not in file and is_medium(data, "")
        case {"data": data, "media_type": str() as media_type}:
            return is_base64(data) and MEDIA_TYPE.fullmatch(media_type) is not None
        case _:
            return False


def is_medium(url: str, family: str) -> bool:
    """Whether an address leads to the web or holds the data of some family of media types."""
    inline = DATA_URL.fullmatch(url)
    if inline is None:
        return WEB_ADDRESS.fullmatch(url) is not None
    return inline["media_type"].startswith(family) and is_base64(inline["data"])


def is_base64(data: Any) -> bool:
    """Whether a value is raw base64 of something: no prefix, no line breaks, not empty."""
    if not isinstance(data, str) or not data:
        return False
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def check_mark(part: JSON, place: str) -> None:
    """Check a cache_control mark, which only text may carry."""
    if "cache_control" not in part:
        return
    match part:
        case {"type": "text", "cache_control": {"type": "ephemeral", **more}}:
            if more.get("ttl") in LIFETIMES:
                return
    raise bad_request(f"Invalid cache_control in {place}", f"{place}.cache_control")


def malformed(part: JSON, place: str) -> RejectedError:
    """Return a part of a known type without what it needs; its data is not repeated."""
    return bad_request(f"Malformed {part['type']} part in {place}", place)
