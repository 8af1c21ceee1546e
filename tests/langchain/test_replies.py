"""Messages and chunks of a reply; the sum of the chunks equals the complete message."""

from __future__ import annotations

import collections
import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.tools import tool
from pydantic import BaseModel

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import ConfigurationError
from onerouter_simulator import Script, Simulator, chunk, tool_call
from tests.langchain.conftest import CallModel, LLMFactory, Mode
from tests.langchain.media import PNG_64, WAV_64
from tests.langchain.scripted_replies import (
    BILLING,
    arguments_delta,
    call_delta,
    complete_and_streamed,
    complete_reply,
    streamed_reply,
    tool_call_message,
)

IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}"}}
AUDIO = {"id": "a", "data": WAV_64, "transcript": "Hello"}
TEXT_DETAIL = {"type": "reasoning.text", "format": "v1", "index": 0}
ENCRYPTED_DETAIL = {"type": "reasoning.encrypted", "data": "zzz", "format": "v1", "index": 0}


def annotation(url: str) -> dict[str, Any]:
    """Return a citation annotation of the API."""
    return {"type": "url_citation", "url_citation": {"url": url, "title": url}}


# Message of a complete reply, and the deltas of the same reply as a stream.
REPLIES: dict[str, tuple[dict[str, Any], Sequence[Any]]] = {
    "text": ({"content": "Hello you"}, ["Hello", " ", "you"]),
    "text of several scripts": ({"content": "你好 👋"}, ["你", "好 ", "👋"]),
    "reasoning": (
        {"content": "So.", "reasoning": "Hm, hm."},
        [{"reasoning": "Hm,"}, {"reasoning": " hm."}, "So."],
    ),
    "reasoning_content": (
        {"content": "So.", "reasoning_content": "Hm."},
        [{"reasoning_content": "Hm."}, "So."],
    ),
    "reasoning with details": (
        {
            "content": "So.",
            "reasoning": "Hm.",
            "reasoning_details": [
                TEXT_DETAIL | {"text": "Hm.", "signature": "s"},
                ENCRYPTED_DETAIL,
            ],
        },
        [
            {"reasoning": "H", "reasoning_details": [TEXT_DETAIL | {"text": "H"}]},
            {"reasoning": "m.", "reasoning_details": [TEXT_DETAIL | {"text": "m."}]},
            {"reasoning_details": [TEXT_DETAIL | {"signature": "s"}]},
            {"reasoning_details": [ENCRYPTED_DETAIL]},
            "So.",
        ],
    ),
    "a call": (
        tool_call_message(tool_call("f", '{"a": 1}', "c")),
        [call_delta("f", "c"), arguments_delta('{"a"'), arguments_delta(": 1}")],
    ),
    "text and several calls": (
        {
            **tool_call_message(tool_call("f", '{"a": 1}', "c"), tool_call("f", "{}", "d")),
            "content": "Well.",
        },
        [
            {"content": "Well.", **call_delta("f", "c")},
            arguments_delta('{"a": '),
            arguments_delta("1}"),
            call_delta("f", "d", 1),
            arguments_delta("{}", 1),
        ],
    ),
    "a call without arguments": (
        tool_call_message(tool_call("f", "", "c")),
        [call_delta("f", "c")],
    ),
    "a call and reasoning": (
        {**tool_call_message(tool_call("f", "{}", "c")), "reasoning": "Hm."},
        [{"reasoning": "Hm."}, call_delta("f", "c"), arguments_delta("{}")],
    ),
    "an image": ({"content": None, "images": [IMAGE]}, [{"images": [IMAGE]}]),
    "images by URL": (
        {"content": None, "images": [{"image_url": {"url": "https://e/a.png"}}]},
        [{"images": [{"image_url": {"url": "https://e/a.png"}}]}],
    ),
    "audio": (
        {"content": None, "audio": AUDIO},
        [
            {"audio": AUDIO | {"data": WAV_64[:12], "transcript": "Hel"}},
            {"audio": {"data": WAV_64[12:], "transcript": "lo"}},
        ],
    ),
    "citations": (
        {"content": "So.", "annotations": [annotation("https://a"), annotation("https://b")]},
        [
            "So.",
            {"annotations": [annotation("https://a")]},
            {"annotations": [annotation("https://b")]},
        ],
    ),
    "a refusal": (
        {"content": None, "refusal": "No way."},
        [{"refusal": "No "}, {"refusal": "way."}],
    ),
}
MIXED_REPLIES: dict[str, tuple[dict[str, Any], Sequence[Any]]] = {
    "text and an image": (
        {"content": "Look:", "images": [IMAGE]},
        ["Lo", "ok:", {"images": [IMAGE]}],
    ),
    "text and audio": ({"content": "Hear:", "audio": AUDIO}, ["Hear:", {"audio": AUDIO}]),
}


def comparable_metadata(message: AIMessage) -> dict[str, Any]:
    """Return the response metadata without the request id, which differs by request."""
    return {k: v for k, v in message.response_metadata.items() if k != "request_id"}


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize(
    ("message", "deltas"),
    [*REPLIES.values(), *MIXED_REPLIES.values()],
    ids=[*REPLIES, *MIXED_REPLIES],
)
def test_added_chunks_equal_the_complete_message(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory,
    sim: Simulator,
    mode: Mode,
    message: dict[str, Any],
    deltas: Sequence[Any],
    version: str,
) -> None:
    """Blocks, calls, usage, metadata and extras are the same."""
    llm = make_llm(output_version=version)
    complete, total = complete_and_streamed(
        llm, sim, mode, complete_reply(message, **BILLING), streamed_reply(deltas, **BILLING)
    )
    assert [without_index(b) for b in total.content_blocks] == complete.content_blocks
    assert total.text == complete.text
    assert total.tool_calls == complete.tool_calls
    assert total.invalid_tool_calls == complete.invalid_tool_calls == []
    assert total.usage_metadata == complete.usage_metadata
    assert total.additional_kwargs == complete.additional_kwargs
    assert comparable_metadata(total) == comparable_metadata(complete)


def stored(model: BaseModel) -> tuple[Any, ...]:
    """Return all that pydantic stores of an instance."""
    return vars(model), model.model_fields_set, model.model_extra, model.__pydantic_private__


def constructed(chunk: AIMessageChunk) -> AIMessageChunk:
    """Return what the constructor makes of the values that a chunk was given."""
    given = {name: getattr(chunk, name) for name in chunk.model_fields_set}
    new = type(chunk)(**{n: v for n, v in given.items() if n != "tool_call_chunks"})
    if "tool_call_chunks" in given:  # the constructor parses their arguments, of a fragment too
        new.tool_call_chunks = given["tool_call_chunks"]
    if any(call["name"] for call in chunk.tool_call_chunks):
        return type(chunk)(**given)
    return new


@pytest.mark.parametrize(("_", "deltas"), REPLIES.values(), ids=REPLIES)
def test_chunks_are_as_their_constructor_makes_them(
    llm: ChatOneRouter, sim: Simulator, mode: Mode, _: Any, deltas: Sequence[Any]
) -> None:
    """Values, extra values and given names; as JSON, pickled and added up."""
    sim.script(streamed_reply(deltas, **BILLING))
    chunks = [chunk for chunk in mode.stream(llm, "Hi") if isinstance(chunk, AIMessageChunk)]
    expected = [constructed(chunk) for chunk in chunks]
    assert [stored(chunk) for chunk in chunks] == [stored(chunk) for chunk in expected]
    assert chunks == expected
    assert [chunk.model_dump() for chunk in chunks] == [chunk.model_dump() for chunk in expected]
    assert [pickle.loads(pickle.dumps(chunk)) for chunk in chunks] == expected  # noqa: S301
    assert reduce(add, chunks) == reduce(add, expected)


def test_generation_chunks_are_as_their_constructor_makes_them(
    llm: ChatOneRouter, sim: Simulator
) -> None:
    """They are what callbacks receive."""
    received: list[Any] = []

    class Listener(BaseCallbackHandler):
        def on_llm_new_token(self, token: str, *, chunk: Any = None, **_: Any) -> None:
            received.append((token, chunk))

    sim.script(streamed_reply(["Hello", {"reasoning": "Hm."}, " you"], **BILLING))
    collections.deque(llm.stream("Hi", {"callbacks": [Listener()]}), maxlen=0)
    assert [token for token, _ in received][:3] == ["Hello", "", " you"]
    for _, generation in received:
        fields = {name: getattr(generation, name) for name in generation.model_fields_set}
        del fields["text"]  # the constructor takes it from the message
        assert stored(generation) == stored(type(generation)(**fields))
        assert fields.keys() == {"message"} or fields["generation_info"] == {
            "finish_reason": "stop"
        }


NEWER_FRAMEWORK = """
from pydantic import model_validator
import langchain_core.messages as messages

class AIMessageChunk(messages.AIMessageChunk):
    length: int = 0

    @model_validator(mode="after")
    def count(self):
        self.length = len(self.content)
        return self

messages.AIMessageChunk = AIMessageChunk
from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Simulator

with Simulator() as sim:
    llm = ChatOneRouter(model="a/b", api_key=sim.api_key, base_url=sim.base_url)
    chunks = list(llm.stream("Hello"))
assert "".join(chunk.content for chunk in chunks) == "You said: Hello"
assert all(chunk.length == len(chunk.content) for chunk in chunks)
assert len(chunks) > 1
"""


def test_a_newer_framework_that_computes_a_field_gets_constructed_chunks() -> None:
    """A copy would have the field of another chunk."""
    command = [sys.executable, "-W", "error", "-c", NEWER_FRAMEWORK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own program
    assert (done.returncode, done.stderr) == (0, "")


def without_index(block: Any) -> dict[str, Any]:
    """Return a block without the index that LangChain gives it in a stream."""
    return {key: value for key, value in block.items() if key != "index"}


@pytest.mark.parametrize(("message", "deltas"), REPLIES.values(), ids=REPLIES)
def test_added_content_equals_the_complete_content(
    llm: ChatOneRouter, sim: Simulator, message: dict[str, Any], deltas: Sequence[Any]
) -> None:
    """It is a string if there is only text."""
    sim.script(complete_reply(message), streamed_reply(deltas))
    complete = llm.invoke("Hi")
    assert reduce(add, llm.stream("Hi")).content == complete.content
    assert isinstance(complete.content, str) or complete.content[0]["type"] in {"image", "audio"}


def test_added_logprobs_equal_the_complete_logprobs(make_llm: LLMFactory, mode: Mode) -> None:
    """Each token is in the metadata once."""
    llm = make_llm(logprobs=True, top_logprobs=2)
    complete, total = mode.invoke(llm, "Hello"), reduce(add, mode.stream(llm, "Hello"))
    tokens = complete.response_metadata["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == complete.content == total.content
    assert total.response_metadata["logprobs"]["content"] == tokens
    assert {len(token["top_logprobs"]) for token in tokens} == {2}


def test_logprobs_of_a_token_without_text(llm: ChatOneRouter, sim: Simulator, mode: Mode) -> None:
    """A part of a character is a token as well."""
    deltas = [("Hi ", "Hi "), ("", "\\xf0"), ("\U0001f600", "\\x9f")]
    events = [chunk(text) for text, _ in deltas]
    for event, (_, token) in zip(events, deltas, strict=True):
        logprobs = {"content": [{"token": token, "logprob": -0.1, "top_logprobs": []}]}
        event["choices"][0]["logprobs"] = logprobs
    sim.script(Script(events=[*events, chunk({}, finish_reason="stop")]))
    total = reduce(add, mode.stream(llm, "Hello"))
    logprobs_content = total.response_metadata["logprobs"]["content"]
    assert [token["token"] for token in logprobs_content] == [token for _, token in deltas]


def test_added_chunks_equal_the_message_of_the_simulator(make_llm: LLMFactory, mode: Mode) -> None:
    """A reasoned answer with citations is the same streamed, but for ids and times."""
    llm = make_llm(reasoning={"effort": "low"}, web_search_options={})
    complete, total = mode.invoke(llm, "Hello"), reduce(add, mode.stream(llm, "Hello"))
    assert total.content == complete.content == "You said: Hello"
    assert total.additional_kwargs == complete.additional_kwargs
    assert complete.additional_kwargs.keys() == {
        "reasoning_content",
        "reasoning_details",
        "annotations",
    }
    assert total.usage_metadata == complete.usage_metadata
    assert total.response_metadata.keys() == complete.response_metadata.keys()


def test_a_complete_reply_to_a_stream_request(
    llm: ChatOneRouter, sim: Simulator, mode: Mode
) -> None:
    """It is yielded as one chunk and a last one."""
    calls = tool_call_message(tool_call("f", '{"a": 1}', "c"))
    sim.script(complete_reply({**calls, "content": "Well."}, "tool_calls"))
    message = reduce(add, mode.stream(llm, "Hi"))
    assert message.content == "Well."
    assert message.tool_calls == [{"name": "f", "args": {"a": 1}, "id": "c", "type": "tool_call"}]


def test_the_last_chunk_has_chunk_position_last(llm: ChatOneRouter, mode: Mode) -> None:
    """LangChain appends no chunk of its own then."""
    positions = [item.chunk_position for item in mode.stream(llm, "Hi")]
    assert positions == [None] * (len(positions) - 1) + ["last"]


def test_a_change_of_one_chunk_changes_no_other(llm: ChatOneRouter, mode: Mode) -> None:
    """Chunks share no containers."""
    chunks = mode.stream(llm, "Think", reasoning={"effort": "low"})
    first, *others = chunks
    before = [item.model_copy(deep=True) for item in others]
    first.response_metadata["x"] = first.additional_kwargs["x"] = 1
    assert others == before


def test_n_answers(llm: ChatOneRouter, sim: Simulator, mode: Mode) -> None:
    """Each message has the metadata of the reply."""
    messages = mode.generate(llm, "Hi", n=2)
    assert sim.last.body["n"] == 2
    assert [message.content for message in messages] == ["You said: Hi"] * 2
    for message in messages:
        assert message.response_metadata["model_name"] == "simulated/echo"
        assert message.response_metadata["model_provider"] == "onerouter"


def test_n_by_field_and_per_call(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """The call overrides the field; None means not given."""
    assert len(mode.generate(make_llm(n=3), "Hi")) == 3
    assert len(mode.generate(make_llm(n=3), "Hi", n=None)) == 3
    assert len(mode.generate(make_llm(n=3), "Hi", n=1)) == 1
    assert [request.body["n"] for request in sim.requests] == [3, 3, 1]


def test_streaming_n_answers_raises(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """All answers but the first would be paid for and lost."""
    for llm, options in ((make_llm(n=2), {}), (make_llm(), {"n": 2})):
        with pytest.raises(ConfigurationError, match="one answer"):
            mode.stream(llm, "Hi", **options)
    assert sim.requests == []
    assert mode.stream(make_llm(n=2), "Hi", n=1)


# --- standard blocks ---


def test_media_blocks(llm: ChatOneRouter, sim: Simulator, call_model: CallModel) -> None:
    """Images and audio are standard blocks; the transcript is kept."""
    sim.script(complete_reply({"content": "So:", "images": [IMAGE], "audio": AUDIO}))
    text_block, image_block, audio_block = call_model(llm, "Hi").content_blocks
    assert (text_block["type"], text_block["text"]) == ("text", "So:")
    assert (image_block["type"], image_block["base64"], image_block["mime_type"]) == (
        "image",
        PNG_64,
        "image/png",
    )
    assert (audio_block["type"], audio_block["base64"], audio_block["mime_type"]) == (
        "audio",
        WAV_64,
        "audio/wav",
    )
    assert audio_block["extras"] == {"transcript": "Hello"}


def test_v1_blocks_of_reasoning_and_a_call(make_llm: LLMFactory, call_model: CallModel) -> None:
    """They are two blocks, in this order."""
    llm = make_llm(output_version="v1", reasoning={"effort": "low"}).bind_tools([remember])
    message = call_model(llm, "Please remember 'tea'.")
    assert [block["type"] for block in message.content] == ["reasoning", "tool_call"]
    assert message.content[1]["args"] == {"what": "tea"} == message.tool_calls[0]["args"]


@tool
def remember(what: str) -> str:
    """Remember something."""
    return f"Remembered {what}"


def test_a_message_round_trips_through_json(llm: ChatOneRouter, call_model: CallModel) -> None:
    """Checkpoints and tracers write messages as JSON."""
    message = call_model(llm, "Think", reasoning={"effort": "low"}, web_search_options={})
    message_class = AIMessageChunk if isinstance(message, AIMessageChunk) else AIMessage
    assert message_class.model_validate(json.loads(message.model_dump_json())) == message
