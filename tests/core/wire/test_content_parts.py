"""Content parts: encoded as the API takes them, and decoded when users write them as dicts."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core import Audio, CacheControl, File, Image, Text, Video
from onerouter_core.errors import UnsupportedContentError
from onerouter_core.wire.content_parts import decode_part, encode_part

IMAGE = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
FILE_DATA = {"data": "QUJD", "media_type": "application/pdf", "filename": "a.pdf"}
ENCODED = {
    "text": (Text("a"), {"type": "text", "text": "a"}),
    "empty text": (Text(""), {"type": "text", "text": ""}),
    "image by URL": (Image(url="https://a/b.png"), IMAGE),
    "image with detail": (
        Image(url="https://a/b.png", detail="high"),
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "high"}},
    ),
    "image by data": (
        Image(data="QUJD", media_type="image/png"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
    ),
    "audio": (
        Audio("QUJD", "mp3"),
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
    ),
    "video by URL": (
        Video(url="https://a/b.mp4"),
        {"type": "video_url", "video_url": {"url": "https://a/b.mp4"}},
    ),
    "video by data": (
        Video(data="QUJD", media_type="video/mp4"),
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,QUJD"}},
    ),
    "file": (
        File(data="QUJD", media_type="application/pdf", filename="a.pdf"),
        {"type": "file", "file": FILE_DATA},
    ),
    "file by data URL": (
        File(url="data:application/pdf;base64,QUJD", filename="a.pdf"),
        {"type": "file", "file": FILE_DATA},
    ),
    "file by URL": (
        File(url="https://a/b.pdf"),
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "https://a/b.pdf"}},
    ),
    "cache control": (
        Text("a", cache=CacheControl()),
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
    ),
    "cache control for an hour": (
        Image(url="https://a/b.png", cache=CacheControl("1h")),
        {**IMAGE, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ),
}


@pytest.mark.parametrize(("part", "expected"), ENCODED.values(), ids=ENCODED)
def test_a_part_is_encoded_as_the_api_takes_it(part: Any, expected: dict[str, Any]) -> None:
    """Each kind of part has its own keys."""
    assert encode_part(part) == expected


def test_the_transcript_of_audio_is_not_sent() -> None:
    """The API takes data and format."""
    assert encode_part(Audio("QUJD", "mp3", transcript="Hi")) == encode_part(Audio("QUJD", "mp3"))


@pytest.mark.parametrize(
    "part", [File(data="QUJD", media_type="application/pdf"), File(url="data:a/b;base64,QUJD")]
)
def test_file_form_file_data_sends_a_document_as_a_data_url(part: File) -> None:
    """The other form has `data` and `media_type`."""
    encoded = encode_part(part, "file_data")
    assert encoded["file"].keys() == {"filename", "file_data"}
    assert encoded["file"]["file_data"].endswith(";base64,QUJD")


@pytest.mark.parametrize(
    ("media_type", "name"),
    [("application/pdf", "document.pdf"), ("text/csv", "document.csv"), ("x/unknown", "document")],
)
def test_a_document_without_a_name_gets_one_by_its_media_type(media_type: str, name: str) -> None:
    """Both forms of a document have a file name."""
    assert encode_part(File(data="QUJD", media_type=media_type))["file"]["filename"] == name


@pytest.mark.parametrize("kind", [Image, Video, File])
@pytest.mark.parametrize("fields", [{}, {"data": "QUJD"}, {"media_type": "a/b"}])
def test_a_part_without_content_is_rejected(kind: Any, fields: dict[str, str]) -> None:
    """A part without URL needs data and media type; the error names its kind."""
    with pytest.raises(UnsupportedContentError, match=f"{kind.__name__} needs a url"):
        encode_part(kind(**fields))


def test_a_part_of_an_unknown_kind_is_rejected() -> None:
    """The error shows the part and names the known kinds."""
    with pytest.raises(UnsupportedContentError, match="content part 'oops': use Text, Image"):
        encode_part("oops")  # type: ignore[arg-type]


ROUND_TRIPS = [
    Text("a"),
    Text("a", cache=CacheControl("1h")),
    Image(url="https://a/b.png", detail="low", cache=CacheControl()),
    Audio("QUJD", "wav"),
    Video(url="https://a/b.mp4"),
    File(data="QUJD", media_type="application/pdf", filename="a.pdf"),
    File(url="https://a/b.pdf", filename="a.pdf"),
]


@pytest.mark.parametrize("part", ROUND_TRIPS)
def test_an_encoded_part_is_decoded_to_the_same_part(part: Any) -> None:
    """Encoding and decoding lose nothing."""
    assert decode_part(encode_part(part)) == part


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"type": "image_url", "image_url": "u"}, Image(url="u")),
        ({"type": "video_url", "video_url": "u"}, Video(url="u")),
        ({"type": "file", "file": {"file_data": "u"}}, File(url="u")),
        ({"type": "text", "text": "a", "cache_control": None}, Text("a")),
    ],
)
def test_short_forms_are_decoded(body: dict[str, Any], part: Any) -> None:
    """Users write a URL in place of an object, and leave optional keys out."""
    assert decode_part(body) == part


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "text"},
        {"type": "text", "text": 5},
        {"type": "image_url", "image_url": {}},
        {"type": "input_audio", "input_audio": {"data": "QUJD"}},
        {"type": "file", "file": {"data": "QUJD"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "file"},
        {"type": "thinking", "thinking": "Hm."},
    ],
)
def test_a_dict_in_another_form_is_no_part(body: dict[str, Any]) -> None:
    """The frameworks then look for a form of their own."""
    assert decode_part(body) is None


@pytest.mark.parametrize("cache", [{"type": "forever"}, {"type": "ephemeral", "x": 1}, "5m", 0])
def test_an_unknown_cache_control_is_rejected(cache: Any) -> None:
    """It is an error, and not left out in silence."""
    with pytest.raises(UnsupportedContentError, match="Unsupported cache_control"):
        decode_part({"type": "text", "text": "a", "cache_control": cache})
