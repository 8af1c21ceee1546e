"""Replies in: what the user receives, and that a stream adds up to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.tools import tool

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import ConfigurationError
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.langchain.conftest import Ask, Colour, Make
from tests.langchain.media import PNG_64, WAV_64

USAGE = {
    "prompt_tokens": 100.0,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {
        "cached_tokens": 10,
        "cache_write_tokens": 20,
        "audio_tokens": 30,
        "image_tokens": 5,
        "video_tokens": 6,
    },
    "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 8, "image_tokens": 9},
}
BILL = {"usage": USAGE, "cost": 0.000123, "cost_details": {"prompt_cost": 0.0001}}
ROOT = {"id": "gen-1", "model": "vendor/served", "provider": "vendor/eu", "created": 1700000001}
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}"}}
AUDIO = {"id": "a", "data": WAV_64, "transcript": "Hello"}
THOUGHT = {"type": "reasoning.text", "format": "v1", "index": 0}
SECRET = {"type": "reasoning.encrypted", "data": "zzz", "format": "v1", "index": 0}


def cited(page: str) -> dict[str, Any]:
    """Return an annotation."""
    return {"type": "url_citation", "url_citation": {"url": page, "title": page}}


def part(arguments: str, index: int = 0) -> dict[str, Any]:
    """Return a delta with a piece of a call's arguments."""
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def begun(name: str, call_id: str, index: int = 0) -> dict[str, Any]:
    """Return the delta that begins a call."""
    return {"tool_calls": [tool_call(name, "", call_id, index)]}


def calls(*made: dict[str, Any]) -> dict[str, Any]:
    """Return a message that calls tools."""
    return {"content": None, "tool_calls": list(made)}


# What is said, whole and in pieces.
SAID: dict[str, tuple[dict[str, Any], Sequence[Any]]] = {
    "text": ({"content": "Hello you"}, ["Hello", " ", "you"]),
    "letters of all scripts": ({"content": "你好 👋"}, ["你", "好 ", "👋"]),
    "reasoning": (
        {"content": "So.", "reasoning": "Hm, hm."},
        [{"reasoning": "Hm,"}, {"reasoning": " hm."}, "So."],
    ),
    "reasoning by its other name": (
        {"content": "So.", "reasoning_content": "Hm."},
        [{"reasoning_content": "Hm."}, "So."],
    ),
    "reasoning with details": (
        {
            "content": "So.",
            "reasoning": "Hm.",
            "reasoning_details": [THOUGHT | {"text": "Hm.", "signature": "s"}, SECRET],
        },
        [
            {"reasoning": "H", "reasoning_details": [THOUGHT | {"text": "H"}]},
            {"reasoning": "m.", "reasoning_details": [THOUGHT | {"text": "m."}]},
            {"reasoning_details": [THOUGHT | {"signature": "s"}]},
            {"reasoning_details": [SECRET]},
            "So.",
        ],
    ),
    "a call": (
        calls(tool_call("f", '{"a": 1}', "c")),
        [begun("f", "c"), part('{"a"'), part(": 1}")],
    ),
    "text and several calls": (
        {**calls(tool_call("f", '{"a": 1}', "c"), tool_call("f", "{}", "d")), "content": "Well."},
        [
            {"content": "Well.", **begun("f", "c")},
            part('{"a": '),
            part("1}"),
            begun("f", "d", 1),
            part("{}", 1),
        ],
    ),
    "a call with nothing to say": (calls(tool_call("f", "", "c")), [begun("f", "c")]),
    "a call and a thought": (
        {**calls(tool_call("f", "{}", "c")), "reasoning": "Hm."},
        [{"reasoning": "Hm."}, begun("f", "c"), part("{}")],
    ),
    "an image": ({"content": None, "images": [IMAGE]}, [{"images": [IMAGE]}]),
    "images by address": (
        {"content": None, "images": [{"image_url": {"url": "https://e/a.png"}}]},
        [{"images": [{"image_url": {"url": "https://e/a.png"}}]}],
    ),
    "sound": (
        {"content": None, "audio": AUDIO},
        [
            {"audio": AUDIO | {"data": WAV_64[:12], "transcript": "Hel"}},
            {"audio": {"data": WAV_64[12:], "transcript": "lo"}},
        ],
    ),
    "citations": (
        {"content": "So.", "annotations": [cited("https://a"), cited("https://b")]},
        ["So.", {"annotations": [cited("https://a")]}, {"annotations": [cited("https://b")]}],
    ),
    "a refusal": (
        {"content": None, "refusal": "No way."},
        [{"refusal": "No "}, {"refusal": "way."}],
    ),
}
MIXED: dict[str, tuple[dict[str, Any], Sequence[Any]]] = {
    "text and an image": (
        {"content": "Look:", "images": [IMAGE]},
        ["Lo", "ok:", {"images": [IMAGE]}],
    ),
    "text and sound": ({"content": "Hear:", "audio": AUDIO}, ["Hear:", {"audio": AUDIO}]),
}


def whole(message: dict[str, Any], finish: str = "stop", **root: Any) -> Script:
    """Return a whole reply."""
    return Script(json=completion(message=message, finish_reason=finish, **{**ROOT, **root}))


def streamed(pieces: Sequence[Any], finish: str = "stop", **root: Any) -> Script:
    """Return a streamed reply, its bill last."""
    events = [chunk(piece, **ROOT) for piece in pieces]
    return Script(events=[*events, chunk({}, finish_reason=finish, **ROOT), chunk(**ROOT, **root)])


def both(
    llm: ChatOneRouter, sim: Simulator, colour: Colour, one: Script, other: Script
) -> tuple[AIMessage, AIMessage]:
    """Return a whole reply, and what the chunks of a streamed one add up to."""
    sim.script(one, other)
    return colour.invoke(llm, "Hi"), reduce(add, colour.stream(llm, "Hi"))


def facts(message: AIMessage) -> dict[str, Any]:
    """Return what a message says of its reply, without what differs from request to request."""
    return {k: v for k, v in message.response_metadata.items() if k != "request_id"}


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize(
    ("message", "pieces"), [*SAID.values(), *MIXED.values()], ids=[*SAID, *MIXED]
)
def test_a_stream_adds_up_to_the_whole(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make,
    sim: Simulator,
    colour: Colour,
    message: dict[str, Any],
    pieces: Sequence[Any],
    version: str,
) -> None:
    """Blocks, calls, counts, facts and extras are the same."""
    llm = make(output_version=version)
    one, total = both(llm, sim, colour, whole(message, **BILL), streamed(pieces, **BILL))
    assert [without_index(b) for b in total.content_blocks] == one.content_blocks
    assert total.text == one.text
    assert total.tool_calls == one.tool_calls
    assert total.invalid_tool_calls == one.invalid_tool_calls == []
    assert total.usage_metadata == one.usage_metadata
    assert total.additional_kwargs == one.additional_kwargs
    assert facts(total) == facts(one)


def without_index(block: Any) -> dict[str, Any]:
    """Return a block without the number LangChain gives it in a stream."""
    return {key: value for key, value in block.items() if key != "index"}


@pytest.mark.parametrize(("message", "pieces"), SAID.values(), ids=SAID)
def test_content_adds_up(
    llm: ChatOneRouter, sim: Simulator, message: dict[str, Any], pieces: Sequence[Any]
) -> None:
    """Content is the same, too, and a string wherever there are only words."""
    sim.script(whole(message), streamed(pieces))
    one = llm.invoke("Hi")
    assert reduce(add, llm.stream("Hi")).content == one.content
    assert isinstance(one.content, str) or one.content[0]["type"] in {"image", "audio"}


def test_log_probabilities_add_up(make: Make, colour: Colour) -> None:
    """Each token's stand in the metadata, once."""
    llm = make(logprobs=True, top_logprobs=2)
    one, total = colour.invoke(llm, "Hello"), reduce(add, colour.stream(llm, "Hello"))
    tokens = one.response_metadata["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == one.content == total.content
    assert total.response_metadata["logprobs"]["content"] == tokens
    assert {len(token["top_logprobs"]) for token in tokens} == {2}


def test_log_probabilities_of_a_token_without_words(
    llm: ChatOneRouter, sim: Simulator, colour: Colour
) -> None:
    """Half a letter is a token, too."""
    deltas = [("Hi ", "Hi "), ("", "\\xf0"), ("\U0001f600", "\\x9f")]
    events = [chunk(text) for text, _ in deltas]
    for event, (_, token) in zip(events, deltas, strict=True):
        logprobs = {"content": [{"token": token, "logprob": -0.1, "top_logprobs": []}]}
        event["choices"][0]["logprobs"] = logprobs
    sim.script(Script(events=[*events, chunk({}, finish_reason="stop")]))
    total = reduce(add, colour.stream(llm, "Hello"))
    told = total.response_metadata["logprobs"]["content"]
    assert [token["token"] for token in told] == [token for _, token in deltas]


def test_what_the_simulator_says_adds_up(make: Make, colour: Colour) -> None:
    """A reasoned, cited answer is the same streamed and whole, but for ids and times."""
    llm = make(reasoning={"effort": "low"}, web_search_options={})
    one, total = colour.invoke(llm, "Hello"), reduce(add, colour.stream(llm, "Hello"))
    assert total.content == one.content == "You said: Hello"
    assert total.additional_kwargs == one.additional_kwargs
    assert one.additional_kwargs.keys() == {"reasoning_content", "reasoning_details", "annotations"}
    assert total.usage_metadata == one.usage_metadata
    assert total.response_metadata.keys() == one.response_metadata.keys()


# --- facts ---


def test_counts(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """Tokens are whole numbers under LangChain's names, with all details the gateway counts."""
    sim.script(whole({"content": "Hi"}, **BILL))
    assert ask(llm, "Hi").usage_metadata == {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_token_details": {
            "audio": 30,
            "cache_creation": 20,
            "cache_read": 10,
            "image": 5,
            "video": 6,
        },
        "output_token_details": {"audio": 8, "reasoning": 7, "image": 9},
    }


def test_counts_that_the_gateway_does_not_give(
    llm: ChatOneRouter, sim: Simulator, ask: Ask
) -> None:
    """Nothing is invented: no details without details, no counts without usage."""
    plain = {"prompt_tokens": 1, "completion_tokens": 2}
    sim.script(whole({"content": "Hi"}, usage=plain), whole({"content": "Hi"}, usage=None))
    assert ask(llm, "Hi").usage_metadata == {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
    }
    assert ask(llm, "Hi").usage_metadata is None


def test_every_fact_stands_in_the_metadata_once(
    llm: ChatOneRouter, sim: Simulator, ask: Ask
) -> None:
    """A server that repeats everything on every chunk is not added up; unknown facts are kept."""
    every = {
        **ROOT,
        **BILL,
        "system_fingerprint": "fp",
        "service_tier": "flex",
        "request_id": "r",
        "safety": {"level": 3},
    }
    last = chunk({}, finish_reason="stop", **every)
    last["choices"][0]["native_finish_reason"] = "STOP"
    first = chunk("Hel", **{**every, "cost": 0.5}), chunk("lo", finish_reason="stop", **every)
    sim.script(Script(events=[*first, last, chunk(**every)]))
    message = ask(llm, "Hi")
    assert message.content == "Hello"
    request_id = message.response_metadata.pop("request_id")
    assert request_id != "r", "the header's id, which support asks for"
    assert message.response_metadata == {
        "model_provider": "onerouter",
        "model_name": "vendor/served",
        "id": "gen-1",
        "provider": "vendor/eu",
        "created": 1700000001,
        "finish_reason": "stop",
        "native_finish_reason": "STOP",
        "normalized_finish_reason": "stop",
        "system_fingerprint": "fp",
        "service_tier": "flex",
        "cost": 0.000123,
        "cost_details": {"prompt_cost": 0.0001},
        "token_usage": USAGE,
        "safety": {"level": 3},
    }
    assert message.usage_metadata is not None
    assert message.usage_metadata["input_tokens"] == 100


@pytest.mark.parametrize(
    ("said", "normalized"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_call"),
        ("function_call", "tool_call"),
        ("content_filter", "content_filter"),
        ("eos", None),
    ],
)
def test_finish_reasons(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, said: str, normalized: str | None
) -> None:
    """The gateway's word, and LangChain's where it has one."""
    sim.script(whole({"content": "Hi"}, said))
    metadata = ask(llm, "Hi").response_metadata
    assert metadata["finish_reason"] == said
    assert metadata.get("normalized_finish_reason") == normalized


def test_a_message_has_langchains_id_and_the_gateways(
    llm: ChatOneRouter, sim: Simulator, colour: Colour
) -> None:
    """All chunks of a stream have one id, LangChain's run; the generation's is in the metadata."""
    sim.script(streamed(["Hel", "lo"]))
    chunks = colour.stream(llm, "Hi")
    assert len({part.id for part in chunks}) == 1
    assert chunks[0].id.startswith("lc_run-")
    assert [
        part.response_metadata.get("id") for part in chunks if "id" in part.response_metadata
    ] == ["gen-1"]


def test_a_reply_that_came_whole_though_a_stream_was_asked_for(
    llm: ChatOneRouter, sim: Simulator, colour: Colour
) -> None:
    """It is streamed as one chunk and its end."""
    made = calls(tool_call("f", '{"a": 1}', "c"))
    sim.script(whole({**made, "content": "Well."}, "tool_calls"))
    message = reduce(add, colour.stream(llm, "Hi"))
    assert message.content == "Well."
    assert message.tool_calls == [{"name": "f", "args": {"a": 1}, "id": "c", "type": "tool_call"}]


def test_the_last_chunk_says_so(llm: ChatOneRouter, colour: Colour) -> None:
    """LangChain appends no chunk of its own."""
    positions = [part.chunk_position for part in colour.stream(llm, "Hi")]
    assert positions == [None] * (len(positions) - 1) + ["last"]


def test_chunks_are_snapshots(llm: ChatOneRouter, colour: Colour) -> None:
    """Who changes one chunk changes no other."""
    chunks = colour.stream(llm, "Think", reasoning={"effort": "low"})
    first, *others = chunks
    before = [part.model_copy(deep=True) for part in others]
    first.response_metadata["x"] = first.additional_kwargs["x"] = 1
    assert others == before


def test_several_answers(llm: ChatOneRouter, sim: Simulator, colour: Colour) -> None:
    """With `n`, each message says who gave it."""
    messages = colour.generate(llm, "Hi", n=2)
    assert sim.last.body["n"] == 2
    assert [message.content for message in messages] == ["You said: Hi"] * 2
    for message in messages:
        assert message.response_metadata["model_name"] == "simulated/echo"
        assert message.response_metadata["model_provider"] == "onerouter"


def test_a_field_asks_for_several_answers(make: Make, sim: Simulator, colour: Colour) -> None:
    """`n` is a field as well; a call beats it, and no value is none."""
    assert len(colour.generate(make(n=3), "Hi")) == 3
    assert len(colour.generate(make(n=3), "Hi", n=None)) == 3
    assert len(colour.generate(make(n=3), "Hi", n=1)) == 1
    assert [request.body["n"] for request in sim.requests] == [3, 3, 1]


def test_several_answers_are_not_streamed(make: Make, sim: Simulator, colour: Colour) -> None:
    """All but the first would be paid for and lost."""
    for llm, options in ((make(n=2), {}), (make(), {"n": 2})):
        with pytest.raises(ConfigurationError, match="one answer"):
            colour.stream(llm, "Hi", **options)
    assert sim.requests == []
    assert colour.stream(make(n=2), "Hi", n=1)


# --- the standard blocks ---


def test_blocks_of_media(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """Images and sound are LangChain's own blocks; what was spoken is kept."""
    sim.script(whole({"content": "So:", "images": [IMAGE], "audio": AUDIO}))
    words, picture, sound = ask(llm, "Hi").content_blocks
    assert (words["type"], words["text"]) == ("text", "So:")
    assert (picture["type"], picture["base64"], picture["mime_type"]) == (
        "image",
        PNG_64,
        "image/png",
    )
    assert (sound["type"], sound["base64"], sound["mime_type"]) == ("audio", WAV_64, "audio/wav")
    assert sound["extras"] == {"transcript": "Hello"}


def test_blocks_of_a_reasoned_call(make: Make, ask: Ask) -> None:
    """Under v1, a thought and a call are two blocks, in that order."""
    llm = make(output_version="v1", reasoning={"effort": "low"}).bind_tools([remember])
    message = ask(llm, "Please remember 'tea'.")
    assert [block["type"] for block in message.content] == ["reasoning", "tool_call"]
    assert message.content[1]["args"] == {"what": "tea"} == message.tool_calls[0]["args"]


# --- calls that were cut ---


@tool
def remember(what: str) -> str:
    """Remember something."""
    return f"Remembered {what}"


NESTED = (
    '{"what": "a\\"b", "list": [1, {"x": [true, null, "\\u00e9"]}], "n": -1.5e3, "y": {"z": {}}}'
)
BROKEN = [
    '{"what": "a"} and more',
    "[1]",
    "5",
    '"x"',
    "null",
    "{'what': 1}",
    '{"what": }',
    "not JSON",
]
CUTS = [NESTED[:end] for end in range(1, len(NESTED))]


def cut_calls() -> Iterator[Any]:
    """Yield arguments that are not whole, and why the reply ended."""
    for arguments in [*CUTS, *BROKEN]:
        yield pytest.param(arguments, "tool_calls", id=arguments)
    yield pytest.param(NESTED[:40], "length", id="length")
    yield pytest.param("", "length", id="length, nothing yet")


@pytest.mark.parametrize(("arguments", "finish"), list(cut_calls()))
def test_arguments_that_are_not_whole_are_an_invalid_call(
    llm: ChatOneRouter, sim: Simulator, arguments: str, finish: str
) -> None:
    """However they were cut, whole replies and added-up chunks agree; the raw text is kept."""
    sim.script(
        whole(calls(tool_call("remember", arguments, "c")), finish),
        streamed([begun("remember", "c"), part(arguments[:5]), part(arguments[5:])], finish),
    )
    one, total = llm.invoke("Hi"), reduce(add, llm.stream("Hi"))
    assert one.tool_calls == []
    (bad,) = one.invalid_tool_calls
    assert (bad["name"], bad["id"], bad["args"]) == ("remember", "c", arguments)
    assert bad["error"]
    if arguments:
        assert total.tool_calls == []
        (bad,) = total.invalid_tool_calls
        assert (bad["name"], bad["id"]) == ("remember", "c")
        assert bad["args"].startswith(arguments)


def test_arguments_cut_before_they_began_are_not_run(llm: ChatOneRouter, sim: Simulator) -> None:
    """No arguments at all are valid, unless the length limit cut them off."""
    sim.script(streamed([begun("remember", "c")], "length"), streamed([begun("remember", "c")]))
    cut = reduce(add, llm.stream("Hi"))
    assert (len(cut.tool_calls), len(cut.invalid_tool_calls)) == (0, 1)
    whole_one = reduce(add, llm.stream("Hi"))
    assert [call["args"] for call in whole_one.tool_calls] == [{}]


def test_a_good_call_beside_a_bad_one(llm: ChatOneRouter, sim: Simulator, colour: Colour) -> None:
    """Each call is judged by itself."""
    good, bad = tool_call("f", '{"a": 1}', "c"), tool_call("g", '{"a": "', "d")
    pieces = [begun("f", "c"), part('{"a": 1}'), begun("g", "d", 1), part('{"a": "', 1)]
    one, total = both(llm, sim, colour, whole(calls(good, bad)), streamed(pieces))
    for message in (one, total):
        assert [call["name"] for call in message.tool_calls] == ["f"]
        assert [call["name"] for call in message.invalid_tool_calls] == ["g"]


def test_dict_arguments(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """Some gateways send an object instead of a string."""
    call = tool_call("f", "", "c")
    call["function"]["arguments"] = {"a": [1]}
    sim.script(whole(calls(call)))
    assert ask(llm, "Hi").tool_calls[0]["args"] == {"a": [1]}


def test_a_call_without_an_id_gets_one(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """It must have one to be answered; two calls of a reply get two."""
    made = [{**tool_call("f", "{}"), "id": None} for _ in range(2)]
    sim.script(whole(calls(*made)))
    ids = {call["id"] for call in ask(llm, "Hi").tool_calls}
    assert len(ids) == 2
    assert all(ids)


def test_a_message_survives_json(llm: ChatOneRouter, ask: Ask) -> None:
    """Checkpoints and tracers write messages as JSON."""
    message = ask(llm, "Think", reasoning={"effort": "low"}, web_search_options={})
    kind = AIMessageChunk if isinstance(message, AIMessageChunk) else AIMessage
    assert kind.model_validate(json.loads(message.model_dump_json())) == message


@pytest.mark.parametrize("streaming", [False, True])
def test_what_a_call_took(llm: ChatOneRouter, sim: Simulator, *, streaming: bool) -> None:
    """How often was asked, and the headers about rate limits, are facts of the message."""
    headers = {"x-ratelimit-remaining-requests": "7", "x-other": "1"}
    body: dict[str, Any] = {"json": completion("Hi")}
    if streaming:
        body = {"events": [chunk("Hi"), chunk({}, finish_reason="stop")]}
    sim.script(Script(status=500), Script(headers=headers, **body))
    patient = llm.model_copy(update={"max_retries": 1, "streaming": streaming})
    facts = patient.invoke("x").response_metadata
    assert facts["attempts"] == 2
    assert facts["headers"] == {"x-ratelimit-remaining-requests": "7"}
