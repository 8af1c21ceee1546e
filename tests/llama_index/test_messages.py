"""Messages: roles, content blocks, cache points, citations and refusals as they are sent."""

from __future__ import annotations

import io
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
from onerouter_core.errors import UnsupportedContentError
from tests.llama_index.conftest import user_messages
from tests.llama_index.samples import PNG, base64_text


def sent_message(llm: OneRouterLLM, *blocks: Any, role: str = "user", **kwargs: Any) -> Any:
    """Return one message with these blocks as it is sent."""
    message = ChatMessage(role=role, blocks=list(blocks), **kwargs)
    return llm.preview([message])["messages"][0]


@pytest.mark.parametrize(
    ("role", "encoded"),
    [
        ("system", "system"),
        ("developer", "developer"),
        ("user", "user"),
        ("assistant", "assistant"),
        ("chatbot", "assistant"),
        ("model", "assistant"),
    ],
)
def test_each_role_is_mapped_to_a_role_of_the_api(
    llm: OneRouterLLM, role: str, encoded: str
) -> None:
    """`chatbot` and `model` are other names for the assistant."""
    assert sent_message(llm, TextBlock(text="Hi"), role=role) == {"role": encoded, "content": "Hi"}


@pytest.mark.parametrize("role", ["tool", "function"])
@pytest.mark.parametrize("key", ["tool_call_id", "name"])
def test_a_tool_result_has_the_id_of_its_call(llm: OneRouterLLM, role: str, key: str) -> None:
    """Without an id, the name of the call is its id."""
    call = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="c1", tool_name="c1")])
    result = ChatMessage("4", role=role, additional_kwargs={key: "c1"})
    _, message = llm.preview([call, result])["messages"]
    assert message == {"role": "tool", "tool_call_id": "c1", "content": "4"}


def test_an_assistant_message_has_no_tool_call_id(llm: OneRouterLLM) -> None:
    """LlamaIndex puts the id into a message made of a direct tool result."""
    kwargs = {"tool_call_id": "c1"}
    message = sent_message(llm, TextBlock(text="4"), role="assistant", additional_kwargs=kwargs)
    assert message == {"role": "assistant", "content": "4"}


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_name_of_another_type_is_sent_as_a_string(llm: OneRouterLLM, role: str) -> None:
    """`additional_kwargs` may hold any value; the API takes a string of legal characters."""
    message = sent_message(llm, TextBlock(text="Hi"), role=role, additional_kwargs={"name": 1.5})
    assert message["name"] == "1_5"


def test_the_name_of_a_message_is_sent(llm: OneRouterLLM) -> None:
    """It is in `additional_kwargs`."""
    kwargs = {"name": "ann"}
    assert sent_message(llm, TextBlock(text="Hi"), additional_kwargs=kwargs)["name"] == "ann"


def test_several_text_blocks_are_separate_parts(llm: OneRouterLLM) -> None:
    """An empty block among others is dropped; an empty message keeps it."""
    content = sent_message(llm, TextBlock(text="a"), TextBlock(text=""), TextBlock(text="b"))[
        "content"
    ]
    assert content == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert sent_message(llm, TextBlock(text=""))["content"] == ""


# --- every block in every role ---

DATA = b"MARKER"
MARKER = base64_text(DATA)
BLOCKS = {
    "text": TextBlock(text=MARKER),
    "image": ImageBlock(image=DATA, image_mimetype="image/png"),
    "audio": AudioBlock(audio=DATA, format="wav"),
    "video": VideoBlock(video=DATA, video_mimetype="video/mp4"),
    "document": DocumentBlock(data=DATA, document_mimetype="text/plain", title="t"),
    "citable": CitableBlock(title="T", source="s", content=[TextBlock(text=MARKER)]),
    "citation": CitationBlock(
        cited_content=MARKER, source="s", title="T", additional_location_info={}
    ),
    "thinking": ThinkingBlock(content=MARKER),
    "tool_call": ToolCallBlock(tool_call_id="c2", tool_name="f", tool_kwargs={"a": MARKER}),
}


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool"])
@pytest.mark.parametrize("kind", BLOCKS)
def test_each_block_in_each_role_is_sent_or_raises(llm: OneRouterLLM, kind: str, role: str) -> None:
    """The error names the block and the role; no block is dropped silently."""
    block = BLOCKS[kind]
    call = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="c", tool_name="f")])
    message = ChatMessage(role=role, blocks=[block], additional_kwargs={"tool_call_id": "c"})
    history = [*([call] if role == "tool" else []), message]
    if role == "assistant" and kind in {"citation", "thinking"}:
        assert MARKER not in str(
            llm.preview(history)
        )  # the text has the citation; the reasoning is of another package
        return
    try:
        body = str(llm.preview(history))
    except UnsupportedContentError as error:
        names = {kind, type(block).__name__, "file" if kind == "document" else kind}
        assert any(name in str(error) for name in names)  # noqa: PT017
        assert repr(role) in str(error)  # noqa: PT017
        assert role != "user" or kind in {"citation", "thinking", "tool_call"}
    else:
        assert MARKER in body


# --- cache points, citations and reasoning ---


def cache_point(ttl: str = "5m") -> CachePoint:
    """Return a cache point."""
    return CachePoint(cache_control=CacheControl(type="ephemeral", ttl=ttl))


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_a_cache_point_sets_cache_control_of_the_block_before_it(
    llm: OneRouterLLM, role: str
) -> None:
    """The default time to live is not sent."""
    content = sent_message(llm, TextBlock(text="a"), cache_point(), role=role)["content"]
    assert content == [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]
    content = sent_message(llm, TextBlock(text="a"), cache_point("1h"), role=role)["content"]
    assert content[0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_a_cache_point_at_the_beginning_of_a_message_raises(llm: OneRouterLLM) -> None:
    """There is no block to cache."""
    with pytest.raises(UnsupportedContentError, match="role 'user' has no content before it"):
        sent_message(llm, cache_point(), TextBlock(text="a"))


EPHEMERAL = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_cache_control_of_a_message_marks_its_last_text(llm: OneRouterLLM, role: str) -> None:
    """DocumentContextExtractor sends it so; a longer time to live is sent, too."""
    extra = {**EPHEMERAL, "tool_call_id": "c"} if role == "tool" else EPHEMERAL
    blocks = [TextBlock(text="a"), TextBlock(text="b")]
    message = ChatMessage(role=role, blocks=blocks, additional_kwargs=extra)
    call = ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs={})
    history = [ChatMessage(role="assistant", blocks=[call])] if role == "tool" else []
    content = llm.preview([*history, message])["messages"][-1]["content"]
    assert content == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", **EPHEMERAL},
    ]
    assert message.blocks == blocks


def test_cache_control_of_a_message_with_other_blocks(llm: OneRouterLLM) -> None:
    """The last text is marked, without a text the last part; a cache point keeps its own."""
    image = ImageBlock(url="https://example.com/a.png")
    content = sent_message(llm, TextBlock(text="a"), image, additional_kwargs=EPHEMERAL)["content"]
    assert ["cache_control" in part for part in content] == [True, False]
    content = sent_message(llm, image, additional_kwargs=EPHEMERAL)["content"]
    assert ["cache_control" in part for part in content] == [True]
    blocks = (TextBlock(text="a"), cache_point("1h"))
    content = sent_message(llm, *blocks, additional_kwargs=EPHEMERAL)["content"]
    assert content[0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_unknown_cache_control_of_a_message_raises(llm: OneRouterLLM) -> None:
    """The error names it."""
    with pytest.raises(UnsupportedContentError, match="persistent"):
        sent_message(
            llm,
            TextBlock(text="a"),
            additional_kwargs={"cache_control": {"type": "persistent"}},
        )


def test_a_citable_block_is_sent_as_text(llm: OneRouterLLM) -> None:
    """Title and source, then the content; a cache point may follow."""
    block = CitableBlock(title="T", source="s.txt", content=[TextBlock(text="a")])
    content = sent_message(llm, block, cache_point())["content"]
    assert [each["text"] for each in content] == ["T (source: s.txt)", "a"]
    assert "cache_control" in content[1]


def test_citations_and_foreign_reasoning_of_an_answer_are_not_sent(llm: OneRouterLLM) -> None:
    """The text is sent."""
    citation = CitationBlock(cited_content="x", source="s", title="t", additional_location_info={})
    thought = ThinkingBlock(content="hm", additional_information={"signature": "theirs"})
    answer = sent_message(llm, thought, TextBlock(text="a"), citation, role="assistant")
    assert answer == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    "block", [ThinkingBlock(content="hm"), ToolCallBlock(tool_name="f")], ids=["thought", "call"]
)
def test_reasoning_or_a_tool_call_in_a_user_message_raises(llm: OneRouterLLM, block: Any) -> None:
    """The error names the block and the role."""
    with pytest.raises(UnsupportedContentError, match=f"{type(block).__name__}.*'user'"):
        sent_message(llm, block)


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_an_unknown_block_raises(llm: OneRouterLLM, role: str) -> None:
    """The error names the block and the role."""

    class HologramBlock(BaseModel):
        """A block that this version does not know."""

    message = ChatMessage("x", role=role)
    message.blocks.append(HologramBlock())  # type: ignore[arg-type]
    with pytest.raises(UnsupportedContentError, match=f"HologramBlock.*'{role}'"):
        llm.preview([message])


def test_an_image_in_a_system_message_raises(llm: OneRouterLLM) -> None:
    """The API supports none, and no user message can take it."""
    with pytest.raises(UnsupportedContentError, match="image in a message of role 'system'"):
        sent_message(llm, ImageBlock(image=PNG), role="system")


def test_an_image_of_an_answer_is_sent_in_a_user_message_after_it(llm: OneRouterLLM) -> None:
    """The API supports no image in an assistant message."""
    blocks = [TextBlock(text="Here."), ImageBlock(image=PNG)]
    answer, user = llm.preview([ChatMessage(role="assistant", blocks=blocks)])["messages"]
    assert answer == {"role": "assistant", "content": "Here."}
    assert [part["type"] for part in user["content"]] == ["text", "image_url"]


def test_an_image_of_a_tool_result_is_sent_in_a_user_message_after_it(llm: OneRouterLLM) -> None:
    """The API supports no image in a tool message."""
    result = ChatMessage(
        role="tool",
        blocks=[TextBlock(text="plot"), ImageBlock(image=PNG)],
        additional_kwargs={"tool_call_id": "c1"},
    )
    call = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="c1", tool_name="f")])
    _, tool, user = llm.preview([call, result])["messages"]
    assert tool == {"role": "tool", "tool_call_id": "c1", "content": "plot"}
    assert [each["type"] for each in user["content"]] == ["text", "image_url"]


def test_a_refusal_is_sent_back_as_a_refusal(llm: OneRouterLLM) -> None:
    """The content is null."""
    answer = llm.chat(user_messages("please refuse")).message
    message = llm.preview([answer])["messages"][0]
    assert message["refusal"] == answer.additional_kwargs["refusal"]
    assert message["content"] is None


def test_messages_and_their_streams_are_not_changed(llm: OneRouterLLM) -> None:
    """A stream is at its start again."""
    stream = io.BytesIO(PNG)
    message = ChatMessage(
        role="user",
        blocks=[TextBlock(text="a"), cache_point(), ImageBlock(image=stream)],
        additional_kwargs={"name": "ann"},
    )
    before = message.model_dump()
    stream.seek(0)
    llm.preview([message])
    assert stream.read() == PNG
    assert message.model_dump() == before
