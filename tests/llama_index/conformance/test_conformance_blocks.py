"""Content blocks: each arrives, or is an error that says so before anything is sent."""

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
from tests.llama_index.conformance.answers import CHATS, answer, message, stream, whole
from tests.llama_index.conformance.bench import Bench, say
from tests.llama_index.conformance.readers import shown

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4"
    "890000000d4944415478da6364f8cf500f000386018059a347d70000000049454e44ae426082"
)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00" + bytes(16)
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(16)
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n%%EOF\n"
NOTES = "Grüße aus Köln, 1999."

Make = Callable[[Path], Any]


def b64(data: bytes) -> str:
    """Return bytes as a body carries them."""
    return b64encode(data).decode()


def saved(folder: Path, name: str, data: bytes) -> Path:
    """Write a file, and return its path."""
    path = folder / name
    path.write_bytes(data)
    return path


def sent(bench: Bench, *blocks: Any, role: str = "user") -> Any:
    """Send one message with these blocks, and return it as it arrived."""
    bench.script(answer("chat"))
    bench.last("chat", [ChatMessage(role=role, blocks=list(blocks))])
    return bench.body["messages"][-1]


def arrives_or_is_told(bench: Bench, messages: list[ChatMessage], mark: str) -> None:
    """Check that what is marked is in the request, or that the user was told of it."""
    bench.script(answer("chat"))
    attempt = bench.attempt("chat", messages)
    if attempt.error is None:
        assert mark in bench.sim.last.raw.decode()
    else:
        assert bench.subject.typed(attempt.error), f"{attempt.error!r} is an accident"
        assert bench.count == 0


# --- what the API can carry ---


def test_texts_arrive_in_order(bench: Bench) -> None:
    """In parts or as one text."""
    arrived = sent(bench, TextBlock(text="One."), TextBlock(text="Two."))["content"]
    text = arrived if isinstance(arrived, str) else "".join(part["text"] for part in arrived)
    assert text.replace("\n", "") == "One.Two."


def test_an_images_url_is_passed_on(bench: Bench) -> None:
    """The model's server fetches it: not the class, and never on an event loop."""
    url = bench.sim.base_url + "/picture.png"
    image = ImageBlock(url=url, detail="low")
    (part,) = [part for part in sent(bench, image)["content"] if part["type"] == "image_url"]
    assert part["image_url"] == {"url": url, "detail": "low"}
    assert bench.count == 1


@pytest.mark.parametrize(
    ("make", "data"),
    [
        pytest.param(lambda _: ImageBlock(image=PNG), PNG, id="image bytes"),
        pytest.param(lambda _: ImageBlock(image=BytesIO(PNG)), PNG, id="image stream"),
        pytest.param(lambda to: ImageBlock(path=saved(to, "a.png", PNG)), PNG, id="image file"),
        pytest.param(lambda to: ImageBlock(path=saved(to, "a.tmp", PNG)), PNG, id="image odd file"),
        pytest.param(lambda _: DocumentBlock(data=PDF), PDF, id="document bytes"),
        pytest.param(lambda _: DocumentBlock(data=BytesIO(PDF)), PDF, id="document stream"),
        pytest.param(lambda to: DocumentBlock(path=saved(to, "a.pdf", PDF)), PDF, id="document"),
    ],
)
def test_media_arrive_with_their_type(bench: Bench, tmp_path: Path, make: Make, data: Any) -> None:
    """The bytes are whole, the type is right, and nothing is called None."""
    arrived = str(sent(bench, TextBlock(text="See."), make(tmp_path))["content"])
    assert b64(data) in arrived
    assert ("image/png" if data is PNG else "application/pdf") in arrived
    assert "None;" not in arrived


@pytest.mark.parametrize(
    "make",
    [lambda: AudioBlock(audio=WAV), lambda: AudioBlock(audio=BytesIO(WAV), format="wav")],
    ids=["bytes", "stream"],
)
def test_sound_arrives_with_its_format(bench: Bench, make: Any) -> None:
    """Said or not, the format is there: servers refuse a null."""
    (part,) = [part for part in sent(bench, make())["content"] if part["type"] == "input_audio"]
    assert part["input_audio"] == {"data": b64(WAV), "format": "wav"}


def test_a_stream_can_be_sent_twice(bench: Bench) -> None:
    """A history is sent again with every turn."""
    image = ImageBlock(image=BytesIO(PNG), image_mimetype="image/png")
    first, second = sent(bench, image), sent(bench, image)
    assert b64(PNG) in str(first)
    assert first == second


def test_a_document_keeps_its_name(bench: Bench, tmp_path: Path) -> None:
    """Models and upstreams tell documents apart by it."""
    document = DocumentBlock(path=saved(tmp_path, "report-1999.pdf", PDF))
    assert "report-1999.pdf" in str(sent(bench, document)["content"])


def test_a_text_file_arrives(bench: Bench, tmp_path: Path) -> None:
    """As a text, or as a file that is called one."""
    path = saved(tmp_path, "notes.txt", NOTES.encode())
    arrived = str(sent(bench, DocumentBlock(path=path))["content"])
    assert NOTES in arrived or (b64(NOTES.encode()) in arrived and "text/plain" in arrived)


# --- what it may not carry ---


class Hologram(BaseModel):
    """A block that is not invented yet."""

    block_type: str = "hologram"
    text: str = "MARK"


SILENT = {
    "video": lambda: [VideoBlock(video=MP4, video_mimetype="video/mp4")],
    "video url": lambda: [VideoBlock(url="https://a.test/MARK.mp4")],
    "cache": lambda: [TextBlock(text="Long."), CachePoint(cache_control={"type": "ephemeral"})],
    "citable": lambda: [CitableBlock(title="T", source="S", content=[TextBlock(text="MARK")])],
    "hologram": lambda: [TextBlock(text="See."), Hologram()],
}
MARKS = {"video": b64(MP4), "cache": "cache_control"}


@pytest.mark.parametrize("kind", SILENT)
def test_no_block_is_dropped_in_silence(bench: Bench, kind: str) -> None:
    """It arrives, or the user is told."""
    said = ChatMessage(role="user")
    said.blocks.extend(SILENT[kind]())
    arrives_or_is_told(bench, [said], MARKS.get(kind, "MARK"))


@pytest.mark.parametrize("role", ["system", "assistant", "tool"])
def test_no_image_is_dropped_for_its_role(bench: Bench, role: str) -> None:
    """Where the API takes no image, an image is an error, or goes where it takes one."""
    call = ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={})
    before = [*say(), ChatMessage(role="assistant", blocks=[call])] if role == "tool" else []
    with_image = ChatMessage(
        role=role,
        blocks=[TextBlock(text="See."), ImageBlock(image=PNG, image_mimetype="image/png")],
        additional_kwargs={"tool_call_id": "c1"} if role == "tool" else {},
    )
    arrives_or_is_told(bench, [*before, with_image, *say()], b64(PNG))


def test_roles_that_the_api_has_not(bench: Bench) -> None:
    """LlamaIndex has more names for the assistant than the API."""
    for role in ("chatbot", "model"):
        bench.script(answer("chat"))
        bench.last("chat", [*say(), ChatMessage("Yes?", role=role), *say("Why?")])
        assert bench.body["messages"][1] == {"role": "assistant", "content": "Yes?"}


def test_another_vendors_history_can_be_sent(bench: Bench) -> None:
    """Its thinking and its citations are its own; its words go on."""
    blocks = [
        ThinkingBlock(content="Hm.", additional_information={"signature": "s"}),
        TextBlock(text="It is so."),
        CitationBlock(
            cited_content="It is so.", source="S", title="T", additional_location_info={}
        ),
    ]
    bench.script(answer("chat"))
    bench.last("chat", [*say(), ChatMessage(role="assistant", blocks=blocks), *say("Why?")])
    assert "It is so." in str(bench.body["messages"][1]["content"])


def test_reasoning_goes_back_with_the_call_it_led_to(bench: Bench) -> None:
    """Upstreams that sign it refuse the next turn without it."""
    detail = {"type": "reasoning.text", "text": "Let me think.", "signature": "SIGNED", "index": 0}
    call = tool_call("f", {}, "c1")
    thought = {"reasoning": "Let me think.", "reasoning_details": [detail], "tool_calls": [call]}
    bench.script(whole(None, message=thought, model=bench.subject.model), answer("chat"))
    made = bench.last("chat", say()).message
    result = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "c1"})
    bench.last("chat", [*say(), made, result])
    assert "Let me think." in str(bench.body["messages"][1])
    assert "SIGNED" in str(bench.body["messages"][1])


# --- what comes in ---


def test_an_image_in_an_answer_is_a_block(bench: Bench) -> None:
    """A picture that was made, and paid for, is not lost."""
    made = {"images": [{"image_url": {"url": f"data:image/png;base64,{b64(PNG)}"}}]}
    for endpoint in CHATS:
        bench.script(message(endpoint, content="Here.", **made))
        (image,) = shown(bench.last(endpoint, say()).message, "image")
        assert image.resolve_image().read() == PNG


def test_a_citation_in_an_answer_is_a_block(bench: Bench) -> None:
    """Who searched the web says where."""
    where = {"url": "https://a.test/", "title": "A", "start_index": 0, "end_index": 4}
    cited = {"annotations": [{"type": "url_citation", "url_citation": where}]}
    bench.script(whole("So it is.", message=cited), stream("So it is.", cited))
    for endpoint in CHATS:
        (citation,) = shown(bench.last(endpoint, say()).message, "citation")
        assert (citation.source, citation.title) == ("https://a.test/", "A")
