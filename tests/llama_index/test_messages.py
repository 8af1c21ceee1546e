"""Every block in every role: the request that goes out, or the error that says why none does."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
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

from llama_index_onerouter import OneRouterLLM
from llama_index_onerouter.media import to_part
from onerouter_core.errors import UnsupportedContentError
from tests.llama_index.conftest import say

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(20)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


def b64(data: bytes) -> str:
    """Return data as the wire has it."""
    return base64.b64encode(data).decode()


def sent(llm: OneRouterLLM, *blocks: Any, role: str = "user", **kwargs: Any) -> Any:
    """Return the message that a list of blocks becomes."""
    message = ChatMessage(role=role, blocks=list(blocks), **kwargs)
    return llm.preview([message])["messages"][0]


def part(llm: OneRouterLLM, block: Any) -> Any:
    """Return the part that a block becomes, next to a text."""
    return sent(llm, TextBlock(text="See"), block)["content"][1]


@pytest.mark.parametrize(
    ("role", "spelled"),
    [
        ("system", "system"),
        ("developer", "developer"),
        ("user", "user"),
        ("assistant", "assistant"),
        ("chatbot", "assistant"),
        ("model", "assistant"),
    ],
)
def test_roles(llm: OneRouterLLM, role: str, spelled: str) -> None:
    """LlamaIndex's roles are the API's, or another name for one of them."""
    assert sent(llm, TextBlock(text="Hi"), role=role) == {"role": spelled, "content": "Hi"}


@pytest.mark.parametrize("role", ["tool", "function"])
@pytest.mark.parametrize("key", ["tool_call_id", "name"])
def test_a_result_names_its_call(llm: OneRouterLLM, role: str, key: str) -> None:
    """A tool's answer has the id of the call, or the name that stands in where there is no id."""
    call = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="c1", tool_name="c1")])
    result = ChatMessage("4", role=role, additional_kwargs={key: "c1"})
    _, message = llm.preview([call, result])["messages"]
    assert message == {"role": "tool", "tool_call_id": "c1", "content": "4"}


def test_a_direct_result_is_no_result(llm: OneRouterLLM) -> None:
    """An answer that LlamaIndex made of a tool's result keeps its call's id to itself."""
    kwargs = {"tool_call_id": "c1"}
    message = sent(llm, TextBlock(text="4"), role="assistant", additional_kwargs=kwargs)
    assert message == {"role": "assistant", "content": "4"}


def test_a_name_goes_out(llm: OneRouterLLM) -> None:
    """Who speaks may be named."""
    named = {"name": "ann"}
    assert sent(llm, TextBlock(text="Hi"), additional_kwargs=named)["name"] == "ann"


def test_several_texts_are_parts(llm: OneRouterLLM) -> None:
    """Several text blocks stay apart; an empty one beside others goes."""
    content = sent(llm, TextBlock(text="a"), TextBlock(text=""), TextBlock(text="b"))["content"]
    assert content == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert sent(llm, TextBlock(text=""))["content"] == ""


# --- media ---


@pytest.mark.parametrize("source", [PNG, io.BytesIO(PNG)], ids=["bytes", "stream"])
def test_an_image_is_a_data_url(llm: OneRouterLLM, source: Any) -> None:
    """Bytes and streams go out with the type that they are found to have, any number of times."""
    block = ImageBlock(image=source, detail="low")
    url = f"data:image/png;base64,{b64(PNG)}"
    for _ in range(2):
        assert part(llm, block) == {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def test_an_image_file_of_any_name_is_recognised(llm: OneRouterLLM, tmp_path: Path) -> None:
    """The bytes tell the type, whatever the suffix says."""
    path = tmp_path / "picture.bin"
    path.write_bytes(PNG)
    assert part(llm, ImageBlock(path=path))["image_url"]["url"].startswith("data:image/png;")


def test_a_stated_type_is_believed(llm: OneRouterLLM) -> None:
    """A type that the user gives is not second-guessed."""
    block = ImageBlock(image=PNG, image_mimetype="image/webp")
    assert part(llm, block)["image_url"]["url"].startswith("data:image/webp;")


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (ImageBlock(url="https://no.such.host.test/a.png"), "image_url"),
        (VideoBlock(url="https://no.such.host.test/a.mp4"), "video_url"),
    ],
)
def test_a_url_is_passed_on_unfetched(llm: OneRouterLLM, block: Any, kind: str) -> None:
    """The upstream fetches it, not we."""
    assert part(llm, block) == {"type": kind, kind: {"url": str(block.url)}}


def test_a_video_is_a_data_url(llm: OneRouterLLM) -> None:
    """A film goes out like an image."""
    url = f"data:video/mp4;base64,{b64(MP4)}"
    assert part(llm, VideoBlock(video=io.BytesIO(MP4)))["video_url"] == {"url": url}


@pytest.mark.parametrize("hint", ["fps", "detail"])
def test_a_video_has_no_hints(llm: OneRouterLLM, hint: str) -> None:
    """What the API has no word for is not dropped in silence."""
    block = VideoBlock(url="https://a.test/a.mp4", **{hint: 1 if hint == "fps" else "low"})
    with pytest.raises(UnsupportedContentError, match=hint):
        part(llm, block)


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ({"audio": WAV}, "wav"),
        ({"audio": io.BytesIO(WAV)}, "wav"),
        ({"audio": WAV, "format": "pcm16"}, "pcm16"),
        ({"url": f"data:audio/wav;base64,{b64(WAV)}"}, "wav"),
    ],
    ids=["bytes", "stream", "stated", "data URL"],
)
def test_audio_is_data_with_a_format(llm: OneRouterLLM, given: dict[str, Any], form: str) -> None:
    """Sound goes out as base64 with a format, never with none."""
    audio = {"data": b64(WAV), "format": form}
    assert part(llm, AudioBlock(**given)) == {"type": "input_audio", "input_audio": audio}


def test_the_format_may_be_in_the_name(llm: OneRouterLLM, tmp_path: Path) -> None:
    """Bytes that nobody recognises are what their suffix says."""
    path = tmp_path / "sound.RAW"
    path.write_bytes(b"????")
    assert part(llm, AudioBlock(path=path))["input_audio"]["format"] == "raw"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (AudioBlock(url="https://a.test/a.wav"), "Download the file"),
        (AudioBlock(audio=b"????"), "Set `format`"),
        (ImageBlock(image=b"????"), "Set `image_mimetype`"),
        (ImageBlock(image=io.BytesIO(b"")), "is empty"),
        (DocumentBlock(), "is empty"),
    ],
    ids=["audio URL", "audio type", "image type", "empty stream", "nothing"],
)
def test_media_that_cannot_be_sent(llm: OneRouterLLM, block: Any, reason: str) -> None:
    """What is missing is said."""
    with pytest.raises(UnsupportedContentError, match=reason):
        part(llm, block)


def test_only_media_are_media() -> None:
    """The room for media turns other blocks away."""
    with pytest.raises(UnsupportedContentError, match="must be an image, audio, video or document block"):
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
def test_a_document_has_a_name_and_a_type(
    llm: OneRouterLLM, block: DocumentBlock, media_type: str, name: str
) -> None:
    """Documents go out under their own name, with a suffix."""
    file = part(llm, block)["file"]
    assert (file["media_type"], file["filename"]) == (media_type, name)


@pytest.mark.parametrize("as_string", [False, True])
def test_a_document_file_keeps_its_name(llm: OneRouterLLM, tmp_path: Path, as_string: bool) -> None:
    """A path gives name, type and bytes."""
    path = tmp_path / "notes.txt"
    path.write_text("hello?", "utf-8")
    block = DocumentBlock(path=str(path) if as_string else path)
    file = {"data": b64(b"hello?"), "media_type": "text/plain", "filename": "notes.txt"}
    assert part(llm, block) == {"type": "file", "file": file}


def test_a_document_by_url_is_passed_on(llm: OneRouterLLM) -> None:
    """A document's URL is not fetched, and names it."""
    url = "https://no.such.host.test/a/paper.pdf?x=1"
    file = {"filename": "paper.pdf", "file_data": url}
    assert part(llm, DocumentBlock(url=url)) == {"type": "file", "file": file}
    inline = f"data:application/pdf;base64,{b64(PDF)}"
    assert part(llm, DocumentBlock(url=inline))["file"]["data"] == b64(PDF)


# --- every block in every role ---

SEEN = b"SEEN!"
MARK = b64(SEEN)
BLOCKS = {
    "text": TextBlock(text=MARK),
    "image": ImageBlock(image=SEEN, image_mimetype="image/png"),
    "audio": AudioBlock(audio=SEEN, format="wav"),
    "video": VideoBlock(video=SEEN, video_mimetype="video/mp4"),
    "document": DocumentBlock(data=SEEN, document_mimetype="text/plain", title="t"),
    "citable": CitableBlock(title="T", source="s", content=[TextBlock(text=MARK)]),
    "citation": CitationBlock(
        cited_content=MARK, source="s", title="T", additional_location_info={}
    ),
    "thinking": ThinkingBlock(content=MARK),
    "tool_call": ToolCallBlock(tool_call_id="c2", tool_name="f", tool_kwargs={"a": MARK}),
}


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool"])
@pytest.mark.parametrize("kind", BLOCKS)
def test_every_block_in_every_role(llm: OneRouterLLM, kind: str, role: str) -> None:
    """It is sent, or it is an error that names block and role; it is never left out."""
    block = BLOCKS[kind]
    call = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="c", tool_name="f")])
    message = ChatMessage(role=role, blocks=[block], additional_kwargs={"tool_call_id": "c"})
    history = [*([call] if role == "tool" else []), message]
    if role == "assistant" and kind in {"citation", "thinking"}:
        assert MARK not in str(llm.preview(history))  # its words say it, or another's do
        return
    try:
        sent_out = str(llm.preview(history))
    except UnsupportedContentError as error:
        named = {kind, type(block).__name__, "file" if kind == "document" else kind}
        assert any(name in str(error) for name in named)  # noqa: PT017
        assert repr(role) in str(error)  # noqa: PT017
        assert role != "user" or kind in {"citation", "thinking", "tool_call"}
    else:
        assert MARK in sent_out


# --- marks, citations, thoughts ---


def cached(ttl: str = "5m") -> CachePoint:
    """Return a cache point."""
    return CachePoint(cache_control=CacheControl(type="ephemeral", ttl=ttl))


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_a_cache_point_marks_what_stands_before_it(llm: OneRouterLLM, role: str) -> None:
    """The mark is on the part before the point; the usual time is not said."""
    content = sent(llm, TextBlock(text="a"), cached(), role=role)["content"]
    assert content == [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]
    content = sent(llm, TextBlock(text="a"), cached("1h"), role=role)["content"]
    assert content[0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_a_cache_point_needs_something_before_it(llm: OneRouterLLM) -> None:
    """A point at the head of a message marks nothing."""
    with pytest.raises(UnsupportedContentError, match="role 'user' has no content before it"):
        sent(llm, cached(), TextBlock(text="a"))


def test_a_citable_block_is_told_as_text(llm: OneRouterLLM) -> None:
    """Title and source lead, the content follows, and a cache point may end it."""
    block = CitableBlock(title="T", source="s.txt", content=[TextBlock(text="a")])
    content = sent(llm, block, cached())["content"]
    assert [each["text"] for each in content] == ["T (source: s.txt)", "a"]
    assert "cache_control" in content[1]


def test_what_is_not_content_is_skipped_in_an_answer(llm: OneRouterLLM) -> None:
    """Citations and another vendor's thoughts in a history are not sent."""
    citation = CitationBlock(cited_content="x", source="s", title="t", additional_location_info={})
    thought = ThinkingBlock(content="hm", additional_information={"signature": "theirs"})
    answer = sent(llm, thought, TextBlock(text="a"), citation, role="assistant")
    assert answer == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    "block", [ThinkingBlock(content="hm"), ToolCallBlock(tool_name="f")], ids=["thought", "call"]
)
def test_what_only_an_answer_may_have(llm: OneRouterLLM, block: Any) -> None:
    """A user neither thinks aloud nor calls; the error names block and role."""
    with pytest.raises(UnsupportedContentError, match=f"{type(block).__name__}.*'user'"):
        sent(llm, block)


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_a_block_of_the_future_is_not_dropped(llm: OneRouterLLM, role: str) -> None:
    """A block that this version does not know is an error that names it."""

    class HologramBlock(BaseModel):
        """A block that LlamaIndex may have one day."""

    message = ChatMessage("x", role=role)
    message.blocks.append(HologramBlock())  # type: ignore[arg-type]
    with pytest.raises(UnsupportedContentError, match=f"HologramBlock.*'{role}'"):
        llm.preview([message])


def test_media_do_not_belong_to_the_system(llm: OneRouterLLM) -> None:
    """The API carries no media in a system message, and there is no turn to put them into."""
    with pytest.raises(UnsupportedContentError, match="image in a message of role 'system'"):
        sent(llm, ImageBlock(image=PNG), role="system")


def test_media_of_an_answer_follow_it(llm: OneRouterLLM) -> None:
    """A picture the model made goes back to it in a user message."""
    blocks = [TextBlock(text="Here."), ImageBlock(image=PNG)]
    answer, user = llm.preview([ChatMessage(role="assistant", blocks=blocks)])["messages"]
    assert answer == {"role": "assistant", "content": "Here."}
    assert [part["type"] for part in user["content"]] == ["text", "image_url"]


def test_media_in_a_tool_result_follow_it(llm: OneRouterLLM) -> None:
    """A picture that a tool returns reaches the model, in a message after the results."""
    result = ChatMessage(
        role="tool",
        blocks=[TextBlock(text="plot"), ImageBlock(image=PNG)],
        additional_kwargs={"tool_call_id": "c1"},
    )
    call = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="c1", tool_name="f")])
    _, tool, user = llm.preview([call, result])["messages"]
    assert tool == {"role": "tool", "tool_call_id": "c1", "content": "plot"}
    assert [each["type"] for each in user["content"]] == ["text", "image_url"]


def test_a_refusal_goes_back(llm: OneRouterLLM) -> None:
    """A refusal in a history is still one."""
    answer = llm.chat(say("please refuse")).message
    message = llm.preview([answer])["messages"][0]
    assert message["refusal"] == answer.additional_kwargs["refusal"]
    assert message["content"] is None


def test_messages_are_not_changed(llm: OneRouterLLM) -> None:
    """What the caller hands in is the caller's."""
    stream = io.BytesIO(PNG)
    message = ChatMessage(
        role="user",
        blocks=[TextBlock(text="a"), cached(), ImageBlock(image=stream)],
        additional_kwargs={"name": "ann"},
    )
    before = message.model_dump()
    stream.seek(0)
    llm.preview([message])
    assert stream.read() == PNG
    assert message.model_dump() == before
