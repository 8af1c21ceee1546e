"""Content blocks: each is sent, or raises an error before anything is sent."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from pydantic import BaseModel

from onerouter_simulator import tool_call
from tests.llama_index.conformance.harness import Harness, user_messages
from tests.llama_index.conformance.readers import blocks_of_type
from tests.llama_index.conformance.scripted_replies import (
    CHAT_ENDPOINTS,
    complete_reply,
    message_reply,
    stream_reply,
    text_reply,
)

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4"
    "890000000d4944415478da6364f8cf500f000386018059a347d70000000049454e44ae426082"
)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00" + bytes(16)
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(16)
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n%%EOF\n"
NOTES = "Grüße aus Köln, 1999."

BlockFactory = Callable[[Path], Any]


def base64_text(data: bytes) -> str:
    """Return data as base64."""
    return b64encode(data).decode()


def write_file(folder: Path, name: str, data: bytes) -> Path:
    """Write a file, and return its path."""
    path = folder / name
    path.write_bytes(data)
    return path


def sent_message(harness: Harness, *blocks: Any, role: str = "user") -> Any:
    """Send one message with these blocks, and return it as it was received."""
    harness.script(text_reply("chat"))
    harness.final("chat", [ChatMessage(role=role, blocks=list(blocks))])
    return harness.last_body["messages"][-1]


def assert_sent_or_error(harness: Harness, messages: list[ChatMessage], marker: str) -> None:
    """Assert that a marker is in the request, or that an error was raised before sending."""
    harness.script(text_reply("chat"))
    outcome = harness.outcome("chat", messages)
    if outcome.error is None:
        assert marker in harness.sim.last.raw.decode()
    else:
        harness.assert_error(outcome)
        assert harness.request_count == 0


# --- blocks that the API supports ---


def test_text_blocks_are_sent_in_order(harness: Harness) -> None:
    """As separate parts or as one text."""
    content = sent_message(harness, TextBlock(text="One."), TextBlock(text="Two."))["content"]
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    assert text.replace("\n", "") == "One.Two."


def test_an_image_url_is_sent_and_not_fetched(harness: Harness) -> None:
    """A download would block the event loop; the upstream can fetch it."""
    url = harness.sim.base_url + "/image.png"
    image = ImageBlock(url=url, detail="low")
    (part,) = [
        part for part in sent_message(harness, image)["content"] if part["type"] == "image_url"
    ]
    assert part["image_url"] == {"url": url, "detail": "low"}
    assert harness.request_count == 1


@pytest.mark.parametrize(
    ("make_block", "data"),
    [
        pytest.param(lambda _: ImageBlock(image=PNG), PNG, id="image bytes"),
        pytest.param(lambda _: ImageBlock(image=BytesIO(PNG)), PNG, id="image stream"),
        pytest.param(
            lambda to: ImageBlock(path=write_file(to, "a.png", PNG)), PNG, id="image file"
        ),
        pytest.param(
            lambda to: ImageBlock(path=write_file(to, "a.tmp", PNG)),
            PNG,
            id="image file with another suffix",
        ),
        pytest.param(lambda _: DocumentBlock(data=PDF), PDF, id="document bytes"),
        pytest.param(lambda _: DocumentBlock(data=BytesIO(PDF)), PDF, id="document stream"),
        pytest.param(
            lambda to: DocumentBlock(path=write_file(to, "a.pdf", PDF)), PDF, id="document file"
        ),
    ],
)
def test_media_are_sent_with_data_and_media_type(
    harness: Harness, tmp_path: Path, make_block: BlockFactory, data: Any
) -> None:
    """The data is complete, and the media type is not "None"."""
    content = str(sent_message(harness, TextBlock(text="See."), make_block(tmp_path))["content"])
    assert base64_text(data) in content
    assert ("image/png" if data is PNG else "application/pdf") in content
    assert "None;" not in content


@pytest.mark.parametrize(
    "make_block",
    [lambda: AudioBlock(audio=WAV), lambda: AudioBlock(audio=BytesIO(WAV), format="wav")],
    ids=["bytes", "stream"],
)
def test_audio_is_sent_with_its_format(harness: Harness, make_block: Any) -> None:
    """Given or detected: servers reject a null."""
    (part,) = [
        part
        for part in sent_message(harness, make_block())["content"]
        if part["type"] == "input_audio"
    ]
    assert part["input_audio"] == {"data": base64_text(WAV), "format": "wav"}


def test_an_image_stream_can_be_sent_twice(harness: Harness) -> None:
    """A history is sent again on each turn."""
    image = ImageBlock(image=BytesIO(PNG), image_mimetype="image/png")
    first, second = sent_message(harness, image), sent_message(harness, image)
    assert base64_text(PNG) in str(first)
    assert first == second


def test_a_document_is_sent_with_its_file_name(harness: Harness, tmp_path: Path) -> None:
    """Models identify documents by the name."""
    document = DocumentBlock(path=write_file(tmp_path, "report-1999.pdf", PDF))
    assert "report-1999.pdf" in str(sent_message(harness, document)["content"])


def test_a_text_file_is_sent(harness: Harness, tmp_path: Path) -> None:
    """As text, or as a file of type text/plain."""
    path = write_file(tmp_path, "notes.txt", NOTES.encode())
    content = str(sent_message(harness, DocumentBlock(path=path))["content"])
    assert NOTES in content or (base64_text(NOTES.encode()) in content and "text/plain" in content)


# --- blocks that the API may not support ---


class UnknownBlock(BaseModel):
    """A block that LlamaIndex does not have."""

    block_type: str = "unknown"
    text: str = "MARKER"


BLOCKS = {
    "video": lambda: [VideoBlock(video=MP4, video_mimetype="video/mp4")],
    "video url": lambda: [VideoBlock(url="https://a.test/MARKER.mp4")],
    "cache": lambda: [TextBlock(text="Long."), CachePoint(cache_control={"type": "ephemeral"})],
    "citable": lambda: [CitableBlock(title="T", source="S", content=[TextBlock(text="MARKER")])],
    "unknown": lambda: [TextBlock(text="See."), UnknownBlock()],
}
MARKERS = {"video": base64_text(MP4), "cache": "cache_control"}


@pytest.mark.parametrize("kind", BLOCKS)
def test_no_block_is_dropped_silently(harness: Harness, kind: str) -> None:
    """It is sent, or an error is raised."""
    message = ChatMessage(role="user")
    message.blocks.extend(BLOCKS[kind]())
    assert_sent_or_error(harness, [message], MARKERS.get(kind, "MARKER"))


@pytest.mark.parametrize("role", ["system", "assistant", "tool"])
def test_no_image_is_dropped_because_of_its_role(harness: Harness, role: str) -> None:
    """It is sent, if necessary in another message, or an error is raised."""
    call = ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={})
    before = (
        [*user_messages(), ChatMessage(role="assistant", blocks=[call])] if role == "tool" else []
    )
    image_message = ChatMessage(
        role=role,
        blocks=[TextBlock(text="See."), ImageBlock(image=PNG, image_mimetype="image/png")],
        additional_kwargs={"tool_call_id": "c1"} if role == "tool" else {},
    )
    assert_sent_or_error(harness, [*before, image_message, *user_messages()], base64_text(PNG))


def test_other_names_of_the_assistant_role_are_mapped(harness: Harness) -> None:
    """LlamaIndex has the roles `chatbot` and `model`."""
    for role in ("chatbot", "model"):
        harness.script(text_reply("chat"))
        harness.final(
            "chat", [*user_messages(), ChatMessage("Yes?", role=role), *user_messages("Why?")]
        )
        assert harness.last_body["messages"][1] == {"role": "assistant", "content": "Yes?"}


def test_a_history_of_another_vendor_can_be_sent(harness: Harness) -> None:
    """Its text is sent; its reasoning and citations may be left out."""
    blocks = [
        ThinkingBlock(content="Hm.", additional_information={"signature": "s"}),
        TextBlock(text="It is so."),
        CitationBlock(
            cited_content="It is so.", source="S", title="T", additional_location_info={}
        ),
    ]
    harness.script(text_reply("chat"))
    harness.final(
        "chat",
        [*user_messages(), ChatMessage(role="assistant", blocks=blocks), *user_messages("Why?")],
    )
    assert "It is so." in str(harness.last_body["messages"][1]["content"])


def test_reasoning_is_sent_back_with_its_tool_call(harness: Harness) -> None:
    """Upstreams that sign reasoning reject the next turn without it."""
    detail = {"type": "reasoning.text", "text": "Let me think.", "signature": "SIGNED", "index": 0}
    call = tool_call("f", {}, "c1")
    fields = {"reasoning": "Let me think.", "reasoning_details": [detail], "tool_calls": [call]}
    harness.script(
        complete_reply(None, message=fields, model=harness.adapter.model), text_reply("chat")
    )
    answer = harness.final("chat", user_messages()).message
    result = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "c1"})
    harness.final("chat", [*user_messages(), answer, result])
    assert "Let me think." in str(harness.last_body["messages"][1])
    assert "SIGNED" in str(harness.last_body["messages"][1])


# --- blocks of a reply ---


def test_an_image_in_a_reply_is_a_block(harness: Harness) -> None:
    """Streamed or not; the user has paid for it."""
    fields = {"images": [{"image_url": {"url": f"data:image/png;base64,{base64_text(PNG)}"}}]}
    for endpoint in CHAT_ENDPOINTS:
        harness.script(message_reply(endpoint, content="Here.", **fields))
        (image,) = blocks_of_type(harness.final(endpoint, user_messages()).message, "image")
        assert image.resolve_image().read() == PNG


def test_a_citation_in_a_reply_is_a_block(harness: Harness) -> None:
    """Streamed or not, with URL and title."""
    citation = {"url": "https://a.test/", "title": "A", "start_index": 0, "end_index": 4}
    fields = {"annotations": [{"type": "url_citation", "url_citation": citation}]}
    harness.script(complete_reply("So it is.", message=fields), stream_reply("So it is.", fields))
    for endpoint in CHAT_ENDPOINTS:
        (block,) = blocks_of_type(harness.final(endpoint, user_messages()).message, "citation")
        assert (block.source, block.title) == ("https://a.test/", "A")
