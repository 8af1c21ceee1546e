"""Messages out: every shape in which LangChain's users write content, and what arrives of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import ConfigurationError, UnsupportedContentError
from onerouter_simulator import Script, Simulator, completion
from tests.langchain.conftest import Ask, Colour
from tests.langchain.media import PDF_64, PNG_64, WAV_64

WEB = "https://example.com/it"
PNG_URL = f"data:image/png;base64,{PNG_64}"
MP4_URL = "data:video/mp4;base64,AAAA"
PDF_URL = f"data:application/pdf;base64,{PDF_64}"
EPHEMERAL = {"type": "ephemeral"}
OURS = {"model_provider": "onerouter"}


def image(url: str, **more: Any) -> dict[str, Any]:
    """Return an image as it arrives."""
    return {"type": "image_url", "image_url": {"url": url, **more}}


def pdf(name: str = "document.pdf") -> dict[str, Any]:
    """Return a document as it arrives."""
    inside = {"data": PDF_64, "media_type": "application/pdf", "filename": name}
    return {"type": "file", "file": inside}


def linked(name: str) -> dict[str, Any]:
    """Return a document behind an address as it arrives."""
    return {"type": "file", "file": {"filename": name, "file_data": WEB}}


def sound(form: str = "wav") -> dict[str, Any]:
    """Return a recording as it arrives."""
    return {"type": "input_audio", "input_audio": {"data": WAV_64, "format": form}}


def marked(part: dict[str, Any], **ttl: str) -> dict[str, Any]:
    """Return a part as it arrives with a cache breakpoint."""
    return {**part, "cache_control": {**EPHEMERAL, **ttl}}


def text(words: str) -> dict[str, Any]:
    """Return words as they arrive."""
    return {"type": "text", "text": words}


def block(kind: str, **facts: Any) -> dict[str, Any]:
    """Return a block as a user writes it."""
    return {"type": kind, **facts}


def source(kind: str, **facts: Any) -> dict[str, Any]:
    """Return an Anthropic source."""
    return {"source": {"type": kind, **facts}}


PNG_MIME = {"mime_type": "image/png"}
PDF_MIME = {"mime_type": "application/pdf"}
WAV_MIME = {"mime_type": "audio/wav"}
V0 = {"source_type": "base64"}

BLOCKS = {
    "text": (text("hi"), text("hi")),
    "text, cached": (marked(text("hi"), ttl="1h"), marked(text("hi"), ttl="1h")),
    "text, cached in extras": (
        block("text", text="hi", extras={"cache_control": EPHEMERAL}),
        marked(text("hi")),
    ),
    "text, citing": (block("text", text="hi", annotations=[{"type": "citation"}]), text("hi")),
    "image": (block("image", base64=PNG_64, **PNG_MIME), image(PNG_URL)),
    "image, address": (block("image", url=WEB), image(WEB)),
    "image, extras": (
        block("image", url=WEB, extras={"detail": "high", "cache_control": EPHEMERAL}),
        marked(image(WEB, detail="high")),
    ),
    "image, v0": (block("image", data=PNG_64, **V0, **PNG_MIME), image(PNG_URL)),
    "image, v0 address": (block("image", source_type="url", url=WEB), image(WEB)),
    "image, v0 metadata": (
        block("image", data=PNG_64, **V0, **PNG_MIME, metadata={"detail": "low"}),
        image(PNG_URL, detail="low"),
    ),
    "image, the API's": (image(WEB, detail="low"), image(WEB, detail="low")),
    "image, the API's, cached": (marked(image(PNG_URL)), marked(image(PNG_URL))),
    "image, a bare address": (block("image_url", image_url=WEB), image(WEB)),
    "image, Anthropic's": (
        block("image", **source("base64", media_type="image/png", data=PNG_64)),
        image(PNG_URL),
    ),
    "image, Anthropic's address": (
        marked(block("image", **source("url", url=WEB))),
        marked(image(WEB)),
    ),
    "image, wrapped": (block("non_standard", value=image(WEB)), image(WEB)),
    "audio": (block("audio", base64=WAV_64, **WAV_MIME), sound()),
    "audio, no type": (block("audio", base64=WAV_64), sound()),
    "audio, mpeg": (block("audio", base64=WAV_64, mime_type="audio/mpeg"), sound("mp3")),
    "audio, flac": (block("audio", base64=WAV_64, mime_type="audio/flac"), sound("flac")),
    "audio, v0": (block("audio", data=WAV_64, **V0, **WAV_MIME), sound()),
    "audio, the API's": (sound("mp3"), sound("mp3")),
    "video": (
        block("video", base64="AAAA", mime_type="video/mp4"),
        block("video_url", video_url={"url": MP4_URL}),
    ),
    "video, address": (block("video", url=WEB), block("video_url", video_url={"url": WEB})),
    "video, the API's": (
        block("video_url", video_url={"url": WEB}),
        block("video_url", video_url={"url": WEB}),
    ),
    "file": (block("file", base64=PDF_64, **PDF_MIME), pdf()),
    "file, named": (block("file", base64=PDF_64, **PDF_MIME, filename="a.pdf"), pdf("a.pdf")),
    "file, named in extras": (
        block("file", base64=PDF_64, **PDF_MIME, extras={"name": "a.pdf"}),
        pdf("a.pdf"),
    ),
    "file, v0": (
        block("file", data=PDF_64, **V0, **PDF_MIME, metadata={"title": "a.pdf"}),
        pdf("a.pdf"),
    ),
    "file, address": (block("file", url=WEB, filename="a.pdf"), linked("a.pdf")),
    "file, OpenAI's": (
        block("file", file={"filename": "a.pdf", "file_data": PDF_URL}),
        pdf("a.pdf"),
    ),
    "file, the API's": (pdf("a.pdf"), pdf("a.pdf")),
    "file, Anthropic's": (
        block(
            "document", **source("base64", media_type="application/pdf", data=PDF_64), title="a.pdf"
        ),
        pdf("a.pdf"),
    ),
    "file, Anthropic's address": (
        block("document", **source("url", url=WEB)),
        linked("document.pdf"),
    ),
    "words, Anthropic's": (
        block("document", **source("text", media_type="text/plain", data="hi"), title="A"),
        text("A:\nhi"),
    ),
    "words": (block("text-plain", text="hi", mime_type="text/plain"), text("hi")),
    "words, titled": (block("text-plain", text="hi", title="a.txt"), text("a.txt:\nhi")),
    "words, encoded": (block("text-plain", base64="aGk=", mime_type="text/plain"), text("hi")),
    "words, cached": (
        block("text-plain", text="hi", extras={"cache_control": EPHEMERAL}),
        marked(text("hi")),
    ),
    "words, address": (
        block("text-plain", url=WEB, mime_type="text/plain"),
        linked("document.txt"),
    ),
}

UNKNOWN = {
    "of no type": {"text": "hi"},
    "of a type nobody knows": block("hologram", secret="sk-hidden"),
    "wrapped": block("non_standard", value=block("hologram")),
    "an image by id": block("image", file_id="file-1"),
    "a file by id": block("file", file_id="file-1"),
    "a recording by address": block("audio", url=WEB),
    "text that is none": block("text", text=5),
    "words without words": block("text-plain", mime_type="text/plain"),
    "words that are not base64": block("text-plain", base64="a", mime_type="text/plain"),
    "a document by id": block("document", **source("file", file_id="file-1")),
    "a thought of the user's": block("reasoning", reasoning="hm"),
    "a file half written": block("file", file={"filename": "a.pdf"}),
}


def sent(llm: ChatOneRouter, sim: Simulator, *messages: Any) -> list[dict[str, Any]]:
    """Return the messages that arrive when these are sent."""
    sim.script(Script(json=completion()))
    llm.invoke(list(messages))
    return sim.last.body["messages"]


@pytest.mark.parametrize(("written", "arrives"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_arrives_as_a_part(
    llm: ChatOneRouter, sim: Simulator, written: dict[str, Any], arrives: dict[str, Any]
) -> None:
    """Every shape of a block is read, next to words."""
    before = copy.deepcopy(written)
    (message,) = sent(llm, sim, HumanMessage(["See:", written]))
    assert message == {"role": "user", "content": [text("See:"), arrives]}
    assert written == before


# The API page knows wav and mp3, and a cache breakpoint on words alone; upstreams know more.
BEYOND_THE_PAGE = {"image, extras", "image, the API's, cached", "image, Anthropic's address"}
BEYOND_THE_PAGE |= {"audio, flac"}


@pytest.mark.parametrize("name", [name for name in BLOCKS if name not in BEYOND_THE_PAGE])
def test_a_strict_gateway_takes_the_part(llm: ChatOneRouter, name: str) -> None:
    """The simulator refuses what the API does not allow, and takes these."""
    written, _ = BLOCKS[name]
    assert llm.invoke([HumanMessage([written])]).content


@pytest.mark.parametrize("wrong", UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_block_is_refused_before_anything_is_sent(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, wrong: dict[str, Any]
) -> None:
    """The error says which block, and of whom; nothing is left out in silence, nor quoted."""
    with pytest.raises(UnsupportedContentError) as caught:
        ask(llm, [HumanMessage([wrong])])
    kind = wrong.get("value", wrong).get("type")
    assert f"the block {kind!r} " in str(caught.value)
    assert "role 'user'" in str(caught.value)
    assert "sk-hidden" not in str(caught.value)
    assert sim.requests == []


def test_an_unknown_cache_mark(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """A breakpoint that the API does not have is refused, not left out."""
    wrong = block("text", text="hi", cache_control={"type": "eternal"})
    with pytest.raises(UnsupportedContentError, match=r"cache_control .*eternal"):
        ask(llm, [HumanMessage([wrong])])
    assert sim.requests == []


@pytest.mark.parametrize(
    ("written", "arrives"),
    [
        ("hi", "hi"),
        ("", ""),
        (["hi"], "hi"),
        (["a", "b"], [text("a"), text("b")]),
        (["a", text("b")], [text("a"), text("b")]),
        (["", "b"], "b"),
        ([text("hi")], "hi"),
        ([marked(text("hi"))], [marked(text("hi"))]),
        ([], ""),
    ],
)
@pytest.mark.parametrize(
    ("kind", "role"),
    [(HumanMessage, "user"), (SystemMessage, "system"), (AIMessage, "assistant")],
)
def test_words_arrive_as_a_string_where_they_can(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    kind: type[BaseMessage],
    role: str,
    written: Any,
    arrives: Any,
) -> None:
    """One run of words is a string on the wire, several are parts, for every role alike."""
    (message,) = sent(llm, sim, kind(written))
    assert message == {"role": role, "content": arrives}


CONVERSATION = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "u"},
    {"role": "assistant", "content": "a"},
    {"role": "user", "content": "v"},
]


@pytest.mark.parametrize(
    "written",
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
def test_a_conversation_in_any_notation(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, written: Any
) -> None:
    """All notations of LangChain are the same conversation."""
    ask(llm, written)
    assert sim.last.body["messages"] == CONVERSATION


def test_a_string_is_a_user_message(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """The shortest notation of all."""
    ask(llm, "Hello")
    assert sim.last.body["messages"] == [{"role": "user", "content": "Hello"}]


def test_a_developer_message(llm: ChatOneRouter, sim: Simulator) -> None:
    """The role survives, by LangChain's mark and by name."""
    by_mark = {"role": "developer", "content": "d"}
    by_name = ChatMessage(role="developer", content="d")
    assert sent(llm, sim, by_mark, by_name) == [{"role": "developer", "content": "d"}] * 2


def test_names_arrive(llm: ChatOneRouter, sim: Simulator) -> None:
    """Who speaks is said for everybody but a tool, which its call names."""
    call = {"id": "c", "name": "f", "args": {}}
    arrived = sent(
        llm,
        sim,
        SystemMessage("s", name="Sys"),
        HumanMessage("u", name="Bob"),
        AIMessage("a", name="Ann", tool_calls=[call]),
        ToolMessage("r", tool_call_id="c", name="f"),
        ChatMessage(role="user", content="x", name="Eve"),
    )
    assert [message.get("name") for message in arrived] == ["Sys", "Bob", "Ann", None, "Eve"]


def test_a_prefill_goes_last(llm: ChatOneRouter, sim: Simulator) -> None:
    """A conversation may end with the beginning of the answer."""
    arrived = sent(llm, sim, HumanMessage("JSON?"), AIMessage("{"))
    assert arrived[-1] == {"role": "assistant", "content": "{"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (ChatMessage(role="critic", content="sk-hidden"), "'critic'"),
        (FunctionMessage(name="f", content="sk-hidden"), "FunctionMessage"),
    ],
)
def test_an_unknown_role(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, wrong: BaseMessage, named: str
) -> None:
    """A role that the API does not have is refused by name, and the content not quoted."""
    with pytest.raises(UnsupportedContentError) as caught:
        ask(llm, [wrong])
    assert named in str(caught.value)
    assert "sk-hidden" not in str(caught.value)
    assert sim.requests == []


def test_media_only_a_user_can_send(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """The error names what and who, and says what to do."""
    with pytest.raises(UnsupportedContentError, match=r"no image .*role 'system'; .*user message"):
        ask(llm, [SystemMessage([image(WEB)]), HumanMessage("u")])
    assert sim.requests == []


def test_media_of_an_answer_follow_it(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """A picture the model made goes back to it in a user message."""
    ask(llm, [HumanMessage("u"), AIMessage(["Here.", image(WEB)]), HumanMessage("Bluer.")])
    _, answer, moved, last = sim.last.body["messages"]
    assert answer == {"role": "assistant", "content": "Here."}
    assert [part["type"] for part in moved["content"]] == ["text", "image_url"]
    assert last == {"role": "user", "content": "Bluer."}


@pytest.mark.parametrize("messages", [[], [ToolMessage("r", tool_call_id="")]])
def test_a_conversation_that_cannot_be(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, messages: list[BaseMessage]
) -> None:
    """Nothing is sent of a conversation that the API has no form for."""
    with pytest.raises(ConfigurationError):
        ask(llm, messages)
    assert sim.requests == []


# --- what an assistant said ---


def wire_call(arguments: str, name: str = "f") -> dict[str, Any]:
    """Return a tool call as it arrives."""
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_tool_calls_and_results(llm: ChatOneRouter, sim: Simulator) -> None:
    """A call goes back with its arguments as they are, whatever the script; words may be none."""
    call = {"id": "c", "name": "f", "args": {"city": "北京"}}
    arrived = sent(
        llm,
        sim,
        HumanMessage("u"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("r", tool_call_id="c", status="error"),
    )
    spoken = {"role": "assistant", "content": None, "tool_calls": [wire_call('{"city": "北京"}')]}
    assert arrived[1:] == [spoken, {"role": "tool", "tool_call_id": "c", "content": "r"}]


def test_a_tool_call_by_dict(llm: ChatOneRouter, sim: Simulator) -> None:
    """OpenAI's own notation of a history is read."""
    history = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": None, "tool_calls": [wire_call('{"a": 1}')]},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ]
    assert sent(llm, sim, *history) == history


@pytest.mark.parametrize(
    ("raw", "arrives"),
    [
        ('{"a": "Par', '{"invalid_arguments": "{\\"a\\": \\"Par"}'),
        ("", '{"invalid_arguments": ""}'),
        (None, '{"invalid_arguments": ""}'),
    ],
)
def test_an_invalid_call_goes_back_as_valid_json(
    llm: ChatOneRouter, sim: Simulator, raw: str | None, arrives: str
) -> None:
    """Strict upstreams refuse a history with broken JSON: the raw text goes inside an object."""
    bad = {"id": "c", "name": "f", "args": raw, "error": None}
    turn = AIMessage("", invalid_tool_calls=[bad])
    arrived = sent(llm, sim, HumanMessage("u"), turn, ToolMessage("bad", tool_call_id="c"))
    assert arrived[1]["tool_calls"] == [wire_call(arrives)]


def test_an_answer_of_ours_goes_back_whole(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """Reasoning and its signed details are sent back byte for byte, streamed or not."""
    answer = ask(llm, "Think", reasoning={"effort": "low"})
    details = answer.additional_kwargs["reasoning_details"]
    assert details[0]["signature"]
    arrived = sent(llm, sim, HumanMessage("Think"), answer, HumanMessage("And now?"))
    assert arrived[1] == {
        "role": "assistant",
        "content": answer.content,
        "reasoning_details": details,
    }


def test_reasoning_without_details_goes_back_as_text(llm: ChatOneRouter, sim: Simulator) -> None:
    """A model that gives text alone gets text back."""
    thought = {"reasoning_content": "hm"}
    turn = AIMessage("a", additional_kwargs=thought, response_metadata=OURS)
    arrived = sent(llm, sim, HumanMessage("u"), turn)
    assert arrived[1] == {"role": "assistant", "content": "a", "reasoning": "hm"}


@pytest.mark.parametrize(
    "content",
    [
        [block("thinking", thinking="hm", signature="s"), text("a")],
        [block("redacted_thinking", data="x"), text("a")],
        [block("non_standard", value=block("redacted_thinking", data="x")), text("a")],
        [block("reasoning", reasoning="hm", extras={"signature": "s"}), text("a")],
        [block("reasoning_content", reasoning_content={"text": "hm"}), text("a")],
        [text("a"), block("tool_use", id="c", name="f", input={})],
        [text("a"), block("tool_call", id="c", name="f", args={})],
        [text("a"), block("server_tool_call", id="s", name="web", args={})],
        [block("text", text="a", annotations=[{"type": "citation", "url": WEB}])],
        [block("text", text="a", citations=[{"cited_text": "b"}], index=0)],
    ],
)
def test_what_stands_beside_anothers_words_is_not_sent(
    llm: ChatOneRouter, sim: Simulator, content: list[Any]
) -> None:
    """Another vendor's thoughts are nobody's business; calls stand in `tool_calls` as well."""
    theirs = {"reasoning_content": "hm", "reasoning_details": [block("reasoning.text", text="hm")]}
    turn = AIMessage(
        content, additional_kwargs=theirs, response_metadata={"model_provider": "anthropic"}
    )
    arrived = sent(llm, sim, HumanMessage("u"), turn)
    assert arrived[1] == {"role": "assistant", "content": "a"}


def test_a_v1_answer_of_anothers_with_a_call(llm: ChatOneRouter, sim: Simulator) -> None:
    """A call in v1 content is sent once."""
    blocks = [text("a"), block("tool_call", id="c", name="f", args={"x": 1})]
    turn = AIMessage(content_blocks=blocks)
    arrived = sent(llm, sim, HumanMessage("u"), turn, ToolMessage("r", tool_call_id="c"))
    spoken = {"role": "assistant", "content": "a", "tool_calls": [wire_call('{"x": 1}')]}
    assert arrived[1] == spoken


@pytest.mark.parametrize(
    "turn",
    [
        AIMessage("", additional_kwargs={"refusal": "no"}),
        AIMessage([block("refusal", refusal="no")]),
    ],
    ids=["beside the content", "as a block"],
)
def test_a_refusal_goes_back(llm: ChatOneRouter, sim: Simulator, turn: AIMessage) -> None:
    """What the model declined to do stays in its history."""
    arrived = sent(llm, sim, HumanMessage("u"), turn, HumanMessage("v"))
    assert arrived[1] == {"role": "assistant", "content": None, "refusal": "no"}


def test_an_unknown_block_of_an_assistant_is_refused(
    llm: ChatOneRouter, sim: Simulator, ask: Ask
) -> None:
    """What is content, and not known, is not dropped for an assistant either."""
    with pytest.raises(UnsupportedContentError, match=r"'hologram'.*'assistant'"):
        ask(llm, [HumanMessage("u"), AIMessage([block("hologram")])])
    assert sim.requests == []


# --- what a tool gave back ---


def test_media_in_tool_results_follow_in_a_user_message(llm: ChatOneRouter, sim: Simulator) -> None:
    """A tool's role carries words alone: media of all results follow, saying whose they are."""
    calls = [{"id": name, "name": name, "args": {}} for name in ("c", "d")]
    arrived = sent(
        llm,
        sim,
        HumanMessage("u"),
        AIMessage("", tool_calls=calls),
        ToolMessage([text("see"), block("image", url=WEB)], tool_call_id="c"),
        ToolMessage([block("file", base64=PDF_64, **PDF_MIME)], tool_call_id="d"),
        HumanMessage("v"),
    )
    assert arrived[2:] == [
        {"role": "tool", "tool_call_id": "c", "content": "see"},
        {"role": "tool", "tool_call_id": "d", "content": ""},
        {
            "role": "user",
            "content": [
                text("Content of tool result c:"),
                image(WEB),
                text("Content of tool result d:"),
                pdf(),
            ],
        },
        {"role": "user", "content": "v"},
    ]


def test_words_in_tool_results_stay_parts(llm: ChatOneRouter, sim: Simulator) -> None:
    """Several runs of words are several parts."""
    call = {"id": "c", "name": "f", "args": {}}
    result = ToolMessage(["a", text("b")], tool_call_id="c")
    arrived = sent(llm, sim, HumanMessage("u"), AIMessage("", tool_calls=[call]), result)
    assert arrived[2]["content"] == [text("a"), text("b")]


# --- the callers' objects ---


def test_callers_objects_are_never_changed(llm: ChatOneRouter, colour: Colour) -> None:
    """History, blocks, tools and headers are the same afterwards."""
    call = {"id": "c", "name": "f", "args": {"x": [1]}}
    history = [
        SystemMessage([marked(text("s"))]),
        HumanMessage([block("image", base64=PNG_64, **PNG_MIME)]),
        AIMessage(["a"], tool_calls=[call], response_metadata=OURS),
        ToolMessage([block("image", url=WEB)], tool_call_id="c"),
    ]
    options = {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "extra_headers": {"X-Trace": "1"},
        "extra_body": {"metadata": {"a": 1}},
        "stop": ["never"],
        "provider": {"order": ["a/b"]},
    }
    before = copy.deepcopy((history, options))
    colour.invoke(llm, history, **options)
    colour.stream(llm, history, **options)
    assert (history, options) == before
