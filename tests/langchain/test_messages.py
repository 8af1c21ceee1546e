"""Conversion of messages: every form of content that LangChain accepts, and the parts sent."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import ConfigurationError, UnsupportedContentError
from onerouter_simulator import Simulator
from tests.langchain.conftest import CallModel, Mode
from tests.langchain.media import PDF_64, PNG_64, WAV_64
from tests.langchain.message_parts import (
    EPHEMERAL,
    OUR_METADATA,
    PDF_MIME,
    PNG_URL,
    URL,
    audio_part,
    block,
    file_part,
    image_part,
    linked_file_part,
    sent_messages,
    text_part,
    with_cache_control,
)

MP4_URL = "data:video/mp4;base64,AAAA"
PDF_URL = f"data:application/pdf;base64,{PDF_64}"


def source(source_type: str, **fields: Any) -> dict[str, Any]:
    """Return the source of an Anthropic block."""
    return {"source": {"type": source_type, **fields}}


PNG_MIME = {"mime_type": "image/png"}
WAV_MIME = {"mime_type": "audio/wav"}
V0 = {"source_type": "base64"}

BLOCKS = {
    "text": (text_part("hi"), text_part("hi")),
    "text, cached": (
        with_cache_control(text_part("hi"), ttl="1h"),
        with_cache_control(text_part("hi"), ttl="1h"),
    ),
    "text, cached in extras": (
        block("text", text="hi", extras={"cache_control": EPHEMERAL}),
        with_cache_control(text_part("hi")),
    ),
    "text, with citations": (
        block("text", text="hi", annotations=[{"type": "citation"}]),
        text_part("hi"),
    ),
    "image": (block("image", base64=PNG_64, **PNG_MIME), image_part(PNG_URL)),
    "image, URL": (block("image", url=URL), image_part(URL)),
    "image, extras": (
        block("image", url=URL, extras={"detail": "high", "cache_control": EPHEMERAL}),
        with_cache_control(image_part(URL, detail="high")),
    ),
    "image, v0": (block("image", data=PNG_64, **V0, **PNG_MIME), image_part(PNG_URL)),
    "image, v0 URL": (block("image", source_type="url", url=URL), image_part(URL)),
    "image, v0 metadata": (
        block("image", data=PNG_64, **V0, **PNG_MIME, metadata={"detail": "low"}),
        image_part(PNG_URL, detail="low"),
    ),
    "image, the API's": (image_part(URL, detail="low"), image_part(URL, detail="low")),
    "image, the API's, cached": (
        with_cache_control(image_part(PNG_URL)),
        with_cache_control(image_part(PNG_URL)),
    ),
    "image, a plain URL": (block("image_url", image_url=URL), image_part(URL)),
    "image, Anthropic's": (
        block("image", **source("base64", media_type="image/png", data=PNG_64)),
        image_part(PNG_URL),
    ),
    "image, Anthropic's URL": (
        with_cache_control(block("image", **source("url", url=URL))),
        with_cache_control(image_part(URL)),
    ),
    "image, wrapped": (block("non_standard", value=image_part(URL)), image_part(URL)),
    "audio": (block("audio", base64=WAV_64, **WAV_MIME), audio_part()),
    "audio, no type": (block("audio", base64=WAV_64), audio_part()),
    "audio, mpeg": (block("audio", base64=WAV_64, mime_type="audio/mpeg"), audio_part("mp3")),
    "audio, flac": (block("audio", base64=WAV_64, mime_type="audio/flac"), audio_part("flac")),
    "audio, v0": (block("audio", data=WAV_64, **V0, **WAV_MIME), audio_part()),
    "audio, the API's": (audio_part("mp3"), audio_part("mp3")),
    "video": (
        block("video", base64="AAAA", mime_type="video/mp4"),
        block("video_url", video_url={"url": MP4_URL}),
    ),
    "video, URL": (block("video", url=URL), block("video_url", video_url={"url": URL})),
    "video, the API's": (
        block("video_url", video_url={"url": URL}),
        block("video_url", video_url={"url": URL}),
    ),
    "file": (block("file", base64=PDF_64, **PDF_MIME), file_part()),
    "file, named": (block("file", base64=PDF_64, **PDF_MIME, filename="a.pdf"), file_part("a.pdf")),
    "file, named in extras": (
        block("file", base64=PDF_64, **PDF_MIME, extras={"name": "a.pdf"}),
        file_part("a.pdf"),
    ),
    "file, v0": (
        block("file", data=PDF_64, **V0, **PDF_MIME, metadata={"title": "a.pdf"}),
        file_part("a.pdf"),
    ),
    "file, URL": (block("file", url=URL, filename="a.pdf"), linked_file_part("a.pdf")),
    "file, OpenAI's": (
        block("file", file={"filename": "a.pdf", "file_data": PDF_URL}),
        file_part("a.pdf"),
    ),
    "file, the API's": (file_part("a.pdf"), file_part("a.pdf")),
    "file, Anthropic's": (
        block(
            "document", **source("base64", media_type="application/pdf", data=PDF_64), title="a.pdf"
        ),
        file_part("a.pdf"),
    ),
    "file, Anthropic's URL": (
        block("document", **source("url", url=URL)),
        linked_file_part("document.pdf"),
    ),
    "text file, Anthropic's": (
        block("document", **source("text", media_type="text/plain", data="hi"), title="A"),
        text_part("A:\nhi"),
    ),
    "text file": (block("text-plain", text="hi", mime_type="text/plain"), text_part("hi")),
    "text file, titled": (block("text-plain", text="hi", title="a.txt"), text_part("a.txt:\nhi")),
    "text file, base64": (
        block("text-plain", base64="aGk=", mime_type="text/plain"),
        text_part("hi"),
    ),
    "text file, cached": (
        block("text-plain", text="hi", extras={"cache_control": EPHEMERAL}),
        with_cache_control(text_part("hi")),
    ),
    "text file, URL": (
        block("text-plain", url=URL, mime_type="text/plain"),
        linked_file_part("document.txt"),
    ),
}

UNKNOWN_BLOCKS = {
    "without a type": {"text": "hi"},
    "of an unknown type": block("hologram", secret="sk-hidden"),
    "wrapped": block("non_standard", value=block("hologram")),
    "an image by id": block("image", file_id="file-1"),
    "a file by id": block("file", file_id="file-1"),
    "audio by URL": block("audio", url=URL),
    "text that is not a string": block("text", text=5),
    "a text file without text": block("text-plain", mime_type="text/plain"),
    "a text file with invalid base64": block("text-plain", base64="a", mime_type="text/plain"),
    "a document by id": block("document", **source("file", file_id="file-1")),
    "reasoning of a user": block("reasoning", reasoning="hm"),
    "a file without data": block("file", file={"filename": "a.pdf"}),
}


@pytest.mark.parametrize(("message_input", "expected"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_is_sent_as_a_content_part(
    llm: ChatOneRouter, sim: Simulator, message_input: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Every form of a block is converted, and is not changed itself."""
    before = copy.deepcopy(message_input)
    (message,) = sent_messages(llm, sim, HumanMessage(["See:", message_input]))
    assert message == {"role": "user", "content": [text_part("See:"), expected]}
    assert message_input == before


# The API page allows wav and mp3, and cache breakpoints on text only; upstreams accept more.
BEYOND_THE_PAGE = {"image, extras", "image, the API's, cached", "image, Anthropic's URL"}
BEYOND_THE_PAGE |= {"audio, flac"}


@pytest.mark.parametrize("name", [name for name in BLOCKS if name not in BEYOND_THE_PAGE])
def test_the_api_accepts_the_content_part(llm: ChatOneRouter, name: str) -> None:
    """The simulator rejects parts that the API page does not allow."""
    message_input, _ = BLOCKS[name]
    assert llm.invoke([HumanMessage([message_input])]).content


@pytest.mark.parametrize("invalid_input", UNKNOWN_BLOCKS.values(), ids=UNKNOWN_BLOCKS)
def test_an_unknown_block_raises_before_sending(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel, invalid_input: dict[str, Any]
) -> None:
    """The error names the block type and the role, and does not quote the content."""
    with pytest.raises(UnsupportedContentError) as caught:
        call_model(llm, [HumanMessage([invalid_input])])
    block_type = invalid_input.get("value", invalid_input).get("type")
    assert f"the block {block_type!r} " in str(caught.value)
    assert "role 'user'" in str(caught.value)
    assert "sk-hidden" not in str(caught.value)
    assert sim.requests == []


def test_an_unknown_cache_control_type_raises(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """It is not dropped silently."""
    invalid_input = block("text", text="hi", cache_control={"type": "eternal"})
    with pytest.raises(UnsupportedContentError, match=r"cache_control .*eternal"):
        call_model(llm, [HumanMessage([invalid_input])])
    assert sim.requests == []


@pytest.mark.parametrize(
    ("message_input", "expected"),
    [
        ("hi", "hi"),
        ("", ""),
        (["hi"], "hi"),
        (["a", "b"], [text_part("a"), text_part("b")]),
        (["a", text_part("b")], [text_part("a"), text_part("b")]),
        (["", "b"], "b"),
        ([text_part("hi")], "hi"),
        ([with_cache_control(text_part("hi"))], [with_cache_control(text_part("hi"))]),
        ([], ""),
    ],
)
@pytest.mark.parametrize(
    ("message_class", "role"),
    [(HumanMessage, "user"), (SystemMessage, "system"), (AIMessage, "assistant")],
)
def test_a_single_text_is_sent_as_a_string(  # noqa: PLR0913, PLR0917 -- fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    message_class: type[BaseMessage],
    role: str,
    message_input: Any,
    expected: Any,
) -> None:
    """Several texts are parts; the same for every role."""
    (message,) = sent_messages(llm, sim, message_class(message_input))
    assert message == {"role": role, "content": expected}


CONVERSATION = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "u"},
    {"role": "assistant", "content": "a"},
    {"role": "user", "content": "v"},
]


@pytest.mark.parametrize(
    "message_input",
    [
        CONVERSATION,
        [("system", "s"), ("human", "u"), ("ai", "a"), "v"],
        [("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "v")],
        [SystemMessage("s"), HumanMessage("u"), AIMessage("a"), HumanMessage("v")],
        [ChatMessage(role=turn["role"], content=turn["content"]) for turn in CONVERSATION],
        ChatPromptTemplate.from_messages(
            [("system", "s"), ("human", "u"), ("ai", "a"), ("human", "{v}")]
        ).invoke({"v": "v"}),
    ],
    ids=["dicts", "tuples", "roles", "messages", "ChatMessages", "prompt"],
)
def test_a_conversation_in_any_input_format(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel, message_input: Any
) -> None:
    """All input formats of LangChain give the same messages."""
    call_model(llm, message_input)
    assert sim.last.body["messages"] == CONVERSATION


def test_a_string_is_a_user_message(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """The shortest input format."""
    call_model(llm, "Hello")
    assert sim.last.body["messages"] == [{"role": "user", "content": "Hello"}]


def test_a_developer_message(llm: ChatOneRouter, sim: Simulator) -> None:
    """The role is kept, given by OpenAI's marker or by name."""
    by_marker = {"role": "developer", "content": "d"}
    by_name = ChatMessage(role="developer", content="d")
    assert (
        sent_messages(llm, sim, by_marker, by_name) == [{"role": "developer", "content": "d"}] * 2
    )


def test_names_of_messages_are_sent(llm: ChatOneRouter, sim: Simulator) -> None:
    """Except that of a tool result, which refers to its call."""
    call = {"id": "c", "name": "f", "args": {}}
    messages = sent_messages(
        llm,
        sim,
        SystemMessage("s", name="Sys"),
        HumanMessage("u", name="Bob"),
        AIMessage("a", name="Ann", tool_calls=[call]),
        ToolMessage("r", tool_call_id="c", name="f"),
        ChatMessage(role="user", content="x", name="Eve"),
    )
    assert [message.get("name") for message in messages] == ["Sys", "Bob", "Ann", None, "Eve"]


def test_an_assistant_message_may_be_last(llm: ChatOneRouter, sim: Simulator) -> None:
    """A prefill: the model continues the message."""
    messages = sent_messages(llm, sim, HumanMessage("JSON?"), AIMessage("{"))
    assert messages[-1] == {"role": "assistant", "content": "{"}


@pytest.mark.parametrize(
    ("invalid_input", "expected_text"),
    [
        (ChatMessage(role="critic", content="sk-hidden"), "'critic'"),
        (ChatMessage(role="critics", content="sk-hidden"), "ChatMessage"),
    ],
)
def test_an_unknown_role_raises(
    llm: ChatOneRouter,
    sim: Simulator,
    call_model: CallModel,
    invalid_input: BaseMessage,
    expected_text: str,
) -> None:
    """The error names the role, and does not quote the content."""
    with pytest.raises(UnsupportedContentError) as caught:
        call_model(llm, [invalid_input])
    assert expected_text in str(caught.value)
    assert "sk-hidden" not in str(caught.value)
    assert sim.requests == []


def test_an_image_in_a_system_message_raises(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """The error names the content and the role, and says what to do."""
    with pytest.raises(UnsupportedContentError, match=r"no image .*role 'system'; .*user message"):
        call_model(llm, [SystemMessage([image_part(URL)]), HumanMessage("u")])
    assert sim.requests == []


def test_an_image_of_an_answer_is_sent_in_a_user_message(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """The API accepts images from users only."""
    call_model(
        llm, [HumanMessage("u"), AIMessage(["Here.", image_part(URL)]), HumanMessage("Bluer.")]
    )
    _, answer, image_message, last = sim.last.body["messages"]
    assert answer == {"role": "assistant", "content": "Here."}
    assert [part["type"] for part in image_message["content"]] == ["text", "image_url"]
    assert last == {"role": "user", "content": "Bluer."}


@pytest.mark.parametrize("messages", [[], [ToolMessage("r", tool_call_id="")]])
def test_an_invalid_conversation_is_not_sent(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel, messages: list[BaseMessage]
) -> None:
    """No message at all, or a tool result without a call id."""
    with pytest.raises(ConfigurationError):
        call_model(llm, messages)
    assert sim.requests == []


def test_input_objects_are_not_changed(llm: ChatOneRouter, mode: Mode) -> None:
    """History, blocks, tools and headers are equal after the calls."""
    call = {"id": "c", "name": "f", "args": {"x": [1]}}
    history = [
        SystemMessage([with_cache_control(text_part("s"))]),
        HumanMessage([block("image", base64=PNG_64, **PNG_MIME)]),
        AIMessage(["a"], tool_calls=[call], response_metadata=OUR_METADATA),
        ToolMessage([block("image", url=URL)], tool_call_id="c"),
    ]
    options = {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "extra_headers": {"X-Trace": "1"},
        "extra_body": {"metadata": {"a": 1}},
        "stop": ["never"],
        "provider": {"order": ["a/b"]},
    }
    before = copy.deepcopy((history, options))
    mode.invoke(llm, history, **options)
    mode.stream(llm, history, **options)
    assert (history, options) == before
