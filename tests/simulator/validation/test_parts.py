"""Validation of content parts: text, image, audio, file, video, and cache_control."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import JSON, Post
from tests.simulator.validation.conftest import (
    CACHE_CONTROL,
    CALLS,
    RESULT,
    USER,
    rejected_param,
    text_part,
    with_part,
    with_parts,
)

REJECTED: dict[str, tuple[JSON, str]] = {
    "part-text": (with_parts("Hi"), "messages[0].content[0]"),
    "part-unknown": (with_parts({"type": "image", "source": {}}), "messages[0].content[0]"),
    "part-type-list": (with_parts({"type": ["text"]}), "messages[0].content[0]"),
    "part-tool-use": (
        with_parts({"type": "tool_use", "id": "x", "name": "y", "input": {}}, role="assistant"),
        "messages[0].content[0]",
    ),
    "part-thinking": (
        with_parts({"type": "thinking", "thinking": "hm"}, role="assistant"),
        "messages[0].content[0]",
    ),
    "part-second": (with_parts(text_part(), {"type": "text"}), "messages[0].content[1]"),
    "system-image": (
        with_parts({"type": "image_url", "image_url": {"url": "https://a.b/c"}}, role="system"),
        "messages[0].content[0]",
    ),
    "tool-image": (
        {
            "messages": [
                *(USER, CALLS),
                RESULT
                | {"content": [{"type": "image_url", "image_url": {"url": "https://a.b/c"}}]},
            ]
        },
        "messages[2].content[0]",
    ),
    "text-number": (with_parts({"type": "text", "text": 7}), "messages[0].content[0]"),
    "image-missing": (with_parts({"type": "image_url"}), "messages[0].content[0]"),
    "image-string": (
        with_parts({"type": "image_url", "image_url": "https://a.b/c"}),
        "messages[0].content[0]",
    ),
    "image-scheme": (with_part("image_url", url="file:///etc/passwd"), "messages[0].content[0]"),
    "image-not-base64": (
        with_part("image_url", url="data:image/png;base64,@@@"),
        "messages[0].content[0]",
    ),
    "image-empty": (with_part("image_url", url="data:image/png;base64,"), "messages[0].content[0]"),
    "image-of-pdf": (
        with_part("image_url", url="data:application/pdf;base64,AAAA"),
        "messages[0].content[0]",
    ),
    "image-detail": (
        with_part("image_url", url="https://a.b/c", detail="max"),
        "messages[0].content[0]",
    ),
    "audio-prefix": (
        with_part("input_audio", data="data:audio/wav;base64,AAAA", format="wav"),
        "messages[0].content[0]",
    ),
    "audio-format": (with_part("input_audio", data="AAAA", format="ogg"), "messages[0].content[0]"),
    "audio-no-format": (with_part("input_audio", data="AAAA"), "messages[0].content[0]"),
    "audio-number": (with_part("input_audio", data=7, format="wav"), "messages[0].content[0]"),
    "file-bare": (with_part("file", data="AAAA"), "messages[0].content[0]"),
    "file-empty": (with_part("file", filename="a.pdf"), "messages[0].content[0]"),
    "file-media-type": (with_part("file", data="AAAA", media_type="pdf"), "messages[0].content[0]"),
    "file-both": (
        with_part("file", data="AAAA", media_type="a/b", file_data="data:a/b;base64,AAAA"),
        "messages[0].content[0]",
    ),
    "file-raw": (with_part("file", file_data="AAAA", filename="a.pdf"), "messages[0].content[0]"),
    "file-name": (
        with_part("file", data="AAAA", media_type="a/b", filename=7),
        "messages[0].content[0]",
    ),
    "file-id": (with_part("file", file_id="file-1"), "messages[0].content[0]"),
    "video": (with_part("video_url", url="data:image/png;base64,AAAA"), "messages[0].content[0]"),
    "cache-control-type": (
        with_parts(text_part(cache_control={"type": "eternal"})),
        "messages[0].content[0].cache_control",
    ),
    "cache-control-ttl": (
        with_parts(text_part(cache_control={"type": "ephemeral", "ttl": "1d"})),
        "messages[0].content[0].cache_control",
    ),
    "cache-control-on-image": (
        with_parts({"type": "image_url", "image_url": {"url": "https://a.b/c"}, **CACHE_CONTROL}),
        "messages[0].content[0].cache_control",
    ),
}


@pytest.mark.parametrize(("body", "param"), REJECTED.values(), ids=REJECTED)
def test_a_malformed_part_is_rejected(post: Post, body: JSON, param: str) -> None:
    """The error is a 400 with the gateway's body and the path of the parameter."""
    assert rejected_param(post(**body)) == param


ALLOWED: dict[str, JSON] = {
    "file-by-url": with_part("file", file_data="https://a.b/c.pdf", filename="c.pdf"),
    "video-data-url": with_part("video_url", url="data:video/mp4;base64,AAAA"),
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_a_part_with_a_web_or_data_url_is_allowed(post: Post, body: JSON) -> None:
    """A file and a video may be given by either."""
    reply = post(**body)
    assert reply.status_code == 200, reply.text
