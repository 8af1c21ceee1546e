"""media: image, audio, video and document blocks as content parts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    VideoBlock,
)

from llama_index_onerouter import OneRouterLLM
from llama_index_onerouter.media import to_part
from onerouter_core.errors import UnsupportedContentError
from tests.llama_index.samples import MP4, PDF, PNG, WAV, base64_text


def sent_part(llm: OneRouterLLM, block: Any) -> Any:
    """Return the content part of a block that follows a text."""
    message = ChatMessage(role="user", blocks=[TextBlock(text="See"), block])
    return llm.preview([message])["messages"][0]["content"][1]


@pytest.mark.parametrize("source", [PNG, io.BytesIO(PNG)], ids=["bytes", "stream"])
def test_image_data_is_sent_as_a_data_url(llm: OneRouterLLM, source: Any) -> None:
    """Bytes and streams, with the detected media type, any number of times."""
    block = ImageBlock(image=source, detail="low")
    url = f"data:image/png;base64,{base64_text(PNG)}"
    for _ in range(2):
        assert sent_part(llm, block) == {
            "type": "image_url",
            "image_url": {"url": url, "detail": "low"},
        }


def test_the_media_type_is_detected_from_the_data(llm: OneRouterLLM, tmp_path: Path) -> None:
    """The suffix of the file does not count."""
    path = tmp_path / "image.bin"
    path.write_bytes(PNG)
    assert sent_part(llm, ImageBlock(path=path))["image_url"]["url"].startswith("data:image/png;")


def test_a_given_media_type_is_used(llm: OneRouterLLM) -> None:
    """It is not checked against the data."""
    block = ImageBlock(image=PNG, image_mimetype="image/webp")
    assert sent_part(llm, block)["image_url"]["url"].startswith("data:image/webp;")


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (ImageBlock(url="https://no.such.host.test/a.png"), "image_url"),
        (VideoBlock(url="https://no.such.host.test/a.mp4"), "video_url"),
    ],
)
def test_a_media_url_is_sent_and_not_fetched(llm: OneRouterLLM, block: Any, kind: str) -> None:
    """The upstream fetches it."""
    assert sent_part(llm, block) == {"type": kind, kind: {"url": str(block.url)}}


def test_video_data_is_sent_as_a_data_url(llm: OneRouterLLM) -> None:
    """With the detected media type."""
    url = f"data:video/mp4;base64,{base64_text(MP4)}"
    assert sent_part(llm, VideoBlock(video=io.BytesIO(MP4)))["video_url"] == {"url": url}


@pytest.mark.parametrize("option", ["fps", "detail"])
def test_an_option_of_a_video_block_raises(llm: OneRouterLLM, option: str) -> None:
    """The API does not support `fps` and `detail` for video."""
    block = VideoBlock(url="https://a.test/a.mp4", **{option: 1 if option == "fps" else "low"})
    with pytest.raises(UnsupportedContentError, match=option):
        sent_part(llm, block)


@pytest.mark.parametrize(
    ("fields", "audio_format"),
    [
        ({"audio": WAV}, "wav"),
        ({"audio": io.BytesIO(WAV)}, "wav"),
        ({"audio": WAV, "format": "pcm16"}, "pcm16"),
        ({"url": f"data:audio/wav;base64,{base64_text(WAV)}"}, "wav"),
    ],
    ids=["bytes", "stream", "given", "data URL"],
)
def test_audio_is_sent_as_data_with_a_format(
    llm: OneRouterLLM, fields: dict[str, Any], audio_format: str
) -> None:
    """The format is given, or detected from the data."""
    audio = {"data": base64_text(WAV), "format": audio_format}
    assert sent_part(llm, AudioBlock(**fields)) == {"type": "input_audio", "input_audio": audio}


def test_the_audio_format_is_taken_from_the_suffix_of_unknown_data(
    llm: OneRouterLLM, tmp_path: Path
) -> None:
    """The suffix is lower-cased."""
    path = tmp_path / "audio.RAW"
    path.write_bytes(b"????")
    assert sent_part(llm, AudioBlock(path=path))["input_audio"]["format"] == "raw"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (AudioBlock(url="https://a.test/a.wav"), "Download the file"),
        (AudioBlock(audio=b"????"), "Set `format`"),
        (ImageBlock(image=b"????"), "Set `image_mimetype`"),
        (ImageBlock(image=io.BytesIO(b"")), "is empty"),
        (DocumentBlock(), "is empty"),
    ],
    ids=["audio URL", "unknown audio", "unknown image", "empty stream", "empty block"],
)
def test_media_without_data_or_type_raises(llm: OneRouterLLM, block: Any, reason: str) -> None:
    """The error says what is missing."""
    with pytest.raises(UnsupportedContentError, match=reason):
        sent_part(llm, block)


def test_to_part_raises_for_a_block_that_is_not_media() -> None:
    """The error names the class of the block."""
    with pytest.raises(
        UnsupportedContentError, match="must be an image, audio, video or document block"
    ):
        to_part(TextBlock(text="x"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("block", "media_type", "name"),
    [
        (DocumentBlock(data=PDF, title="Report"), "application/pdf", "Report.pdf"),
        (DocumentBlock(data=io.BytesIO(PDF)), "application/pdf", "document.pdf"),
        (DocumentBlock(data=b"a;b?", title="t.csv"), "text/csv", "t.csv"),
        (DocumentBlock(data=b"%%", document_mimetype="text/x-odd", title="t"), "text/x-odd", "t"),
    ],
    ids=["bytes", "stream", "by name", "odd type"],
)
def test_a_document_is_sent_with_a_file_name_and_a_media_type(
    llm: OneRouterLLM, block: DocumentBlock, media_type: str, name: str
) -> None:
    """The name gets a suffix if it has none."""
    file = sent_part(llm, block)["file"]
    assert (file["media_type"], file["filename"]) == (media_type, name)


@pytest.mark.parametrize("as_string", [False, True])
def test_a_document_path_gives_name_media_type_and_data(
    llm: OneRouterLLM, tmp_path: Path, as_string: bool
) -> None:
    """The path is a string or a Path."""
    path = tmp_path / "notes.txt"
    path.write_text("hello?", "utf-8")
    block = DocumentBlock(path=str(path) if as_string else path)
    file = {"data": base64_text(b"hello?"), "media_type": "text/plain", "filename": "notes.txt"}
    assert sent_part(llm, block) == {"type": "file", "file": file}


def test_a_document_url_is_sent_and_not_fetched(llm: OneRouterLLM) -> None:
    """The last component of the URL is the file name; a data URL is sent as data."""
    url = "https://no.such.host.test/a/paper.pdf?x=1"
    file = {"filename": "paper.pdf", "file_data": url}
    assert sent_part(llm, DocumentBlock(url=url)) == {"type": "file", "file": file}
    inline = f"data:application/pdf;base64,{base64_text(PDF)}"
    assert sent_part(llm, DocumentBlock(url=inline))["file"]["data"] == base64_text(PDF)
