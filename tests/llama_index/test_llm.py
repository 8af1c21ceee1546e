"""The eight endpoints: what arrives at the gateway, and what the user receives."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    CitationBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
)

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import (
    ConfigurationError,
    IncompleteStreamError,
    InvalidRequestError,
    OneRouterError,
    RateLimitError,
)
from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.llama_index.conftest import Colour, Make, say

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_chat_answers(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A message goes out as it is and the answer comes back as a message."""
    response = colour.chat(llm, [ChatMessage("Be brief.", role="system"), ChatMessage("Hello")])
    assert response.message.role.value == "assistant"
    assert response.message.content == "You said: Hello"
    assert sim.last.body == {
        "model": "simulated/echo",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "usage": {"include": True},
    }


def test_complete_asks_one_user_message(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A prompt is a user message, and the completion keeps what the chat response had."""
    response = colour.complete(llm, "Hello")
    assert response.text == "You said: Hello"
    assert response.raw.choices[0].message.content == response.text
    assert response.additional_kwargs["finish_reason"] == "stop"
    assert sim.last.body["messages"] == [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(("formatted", "sent"), [(False, "<<Hi>>"), (True, "Hi")])
def test_a_formatted_prompt_is_not_formatted_again(
    colour: Colour, make: Make, sim: Simulator, formatted: bool, sent: str
) -> None:
    """`completion_to_prompt` is applied unless the prompt is formatted."""
    llm = make(completion_to_prompt=lambda prompt: f"<<{prompt}>>")
    colour.complete(llm, "Hi", formatted=formatted)
    assert sim.last.body["messages"][0]["content"] == sent
    colour.stream_complete(llm, "Hi", formatted=formatted)
    assert sim.last.body["messages"][0]["content"] == sent


def test_a_stream_grows_to_the_whole_answer(colour: Colour, llm: OneRouterLLM) -> None:
    """Deltas are strings that add up, content is cumulative, the last item is the response."""
    items = colour.stream_chat(llm, say("one two three four"))
    assert len(items) > 2
    text = ""
    for item in items:
        assert isinstance(item.delta, str)
        text += item.delta
        assert item.message.content == text
    assert text == "You said: one two three four"


def test_the_last_item_is_what_chat_would_have_returned(colour: Colour, llm: OneRouterLLM) -> None:
    """A streamed answer has message, usage, cost, finish reason and raw of a complete one."""
    whole = colour.chat(llm, say("Hello"))
    last = colour.stream_chat(llm, say("Hello"))[-1]
    ids = {"generation_id", "request_id"}
    assert last.message == whole.message
    assert last.additional_kwargs.keys() == whole.additional_kwargs.keys()
    assert {k: v for k, v in last.additional_kwargs.items() if k not in ids} == {
        k: v for k, v in whole.additional_kwargs.items() if k not in ids
    }
    assert last.raw.usage == whole.raw.usage
    assert last.raw.choices[0].message.content == whole.message.content


def test_a_streamed_completion_grows_the_same_way(colour: Colour, llm: OneRouterLLM) -> None:
    """Text is cumulative and facts are on the last item."""
    items = colour.stream_complete(llm, "one two three")
    assert "".join(item.delta or "" for item in items) == items[-1].text
    assert items[-1].text == "You said: one two three"
    assert items[-1].additional_kwargs["total_tokens"] > 0


def test_items_are_independent(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """What is done to one item of a stream is seen in no other."""
    sim.script(
        Script(
            events=[
                chunk({"images": [{"image_url": {"url": f"data:image/png;base64,{PNG}"}}]}),
                chunk({"tool_calls": [tool_call("f", '{"a": ', index=0)]}),
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"b": 1}}'}}]}),
                chunk({}, finish_reason="tool_calls"),
            ]
        )
    )
    items = colour.stream_chat(llm, say("x"))
    before = copy.deepcopy(items[1:])
    items[0].message.blocks[0].image_mimetype = "image/gif"
    items[0].message.blocks.clear()
    items[0].additional_kwargs["x"] = 1
    items[0].raw["x"] = 1
    items[1].message.blocks[1].tool_kwargs["x"] = 1
    items[1].message.additional_kwargs["tool_calls"][0].function.name = "x"
    before[0] = items[1]
    assert items[1:] == before


def test_usage_is_asked_for(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A stream asks for its usage without being told to."""
    colour.stream_chat(llm, say("x"))
    assert sim.last.body["stream"] is True
    assert sim.last.body["stream_options"] == {"include_usage": True}


def test_facts_are_flat(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """Counts, cost, finish reasons, who answered and ids stand in additional_kwargs."""
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    body = completion("Hi", usage=usage, cost=0.25, provider="vendor/eu", model="m", id="gen-1")
    body["choices"][0]["native_finish_reason"] = "end_turn"
    sim.script(Script(json=body, headers={"x-infron-request-id": "req-1"}))
    assert colour.chat(llm, say("x")).additional_kwargs == {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "reasoning_tokens": 4,
        "cached_tokens": 3,
        "cache_write_tokens": 2,
        "cost": 0.25,
        "finish_reason": "stop",
        "native_finish_reason": "end_turn",
        "provider": "vendor/eu",
        "model": "m",
        "generation_id": "gen-1",
        "request_id": "req-1",
    }


def test_facts_that_are_not_said_are_not_there(
    colour: Colour, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Without usage there are no counts."""
    body = completion("Hi")
    del body["usage"]
    sim.script(Script(json=body))
    assert "prompt_tokens" not in colour.chat(llm, say("x")).additional_kwargs


def test_raw_is_a_dict_and_an_object(llm: OneRouterLLM) -> None:
    """Tracers read `raw` by key or by attribute, at every level; it can be copied."""
    raw = llm.chat(say("Hi")).raw
    assert isinstance(raw, dict)
    assert raw["choices"][0].finish_reason == raw.choices[0]["finish_reason"] == "stop"
    assert not hasattr(raw, "model_dump")
    assert copy.deepcopy(raw) == raw
    with pytest.raises(AttributeError):
        _ = raw.nothing_of_the_kind


def test_raw_is_the_callers_own(llm: OneRouterLLM) -> None:
    """What is done to `raw` does not show in the message."""
    response = llm.chat(say("Hi"))
    response.raw.choices[0].message.content = "changed"
    assert response.message.content == "You said: Hi"


def test_reasoning_is_a_block_and_a_delta(
    colour: Colour, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Reasoning streams in `thinking_delta`, and ends as a block with tokens and details."""
    detail = {"type": "reasoning.text", "text": "Hmm.", "signature": "s", "index": 0}
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 9},
    }
    sim.script(
        Script(
            events=[
                chunk({"reasoning": "Hm"}),
                chunk({"reasoning": "m.", "reasoning_details": [detail]}),
                chunk("Yes"),
                chunk({}, finish_reason="stop"),
                chunk(usage=usage),
            ]
        )
    )
    items = colour.stream_chat(llm, say("x"))
    deltas = [item.additional_kwargs.get("thinking_delta") for item in items]
    assert [delta for delta in deltas if delta] == ["Hm", "m."]
    assert items[0].delta == ""
    assert items[0].message.blocks == [ThinkingBlock(content="Hm")]
    thinking, text = items[-1].message.blocks
    known = {"reasoning_details": [detail], "model": "simulated/echo"}
    assert thinking == ThinkingBlock(content="Hmm.", num_tokens=9, additional_information=known)
    assert text == TextBlock(text="Yes")


def test_a_reply_in_one_piece_streams(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A server that does not stream when asked to gives the same last item."""
    sim.script(Script(json=completion("All at once")))
    items = colour.stream_chat(llm, say("x"))
    assert "".join(item.delta for item in items) == items[-1].message.content == "All at once"


def test_media_in_an_answer_are_blocks(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """Images, sound and cited pages are blocks, streamed or not."""
    images = [
        {"image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"image_url": {"url": "https://a.test/b.png"}},
    ]
    audio = {"id": "a", "data": "UklGRg==", "transcript": "Hello"}
    citations = [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://c.test",
                "title": "C",
                "start_index": 0,
                "end_index": 3,
            },
        },
        {"type": "url_citation", "url_citation": {"url": "https://d.test", "content": "cited"}},
    ]
    extra = {"images": images, "audio": audio, "annotations": citations}
    sim.script(Script(json=completion("See it", message=extra)))
    response = colour.chat(llm, say("x"))
    text, png, linked, sound, cited, quoted = response.message.blocks
    assert text == TextBlock(text="See it")
    assert isinstance(png, ImageBlock)
    assert (png.image, png.image_mimetype) == (PNG.encode(), "image/png")
    assert isinstance(linked, ImageBlock)
    assert str(linked.url) == "https://a.test/b.png"
    assert isinstance(sound, AudioBlock)
    assert (sound.audio, sound.format) == (b"UklGRg==", "wav")
    assert response.additional_kwargs["transcript"] == "Hello"
    assert cited == CitationBlock(
        cited_content="See",
        source="https://c.test",
        title="C",
        additional_location_info={"start_index": 0, "end_index": 3},
    )
    assert isinstance(quoted, CitationBlock)
    assert quoted.cited_content == TextBlock(text="cited")
    assert quoted.title == "https://d.test"


def test_log_probabilities_are_typed(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """Each token has its alternatives, itself first, on the item it came with and on the last."""
    a = {"token": "A", "logprob": -0.1, "bytes": [65], "top_logprobs": []}
    a["top_logprobs"] = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.5}]
    first = chunk("A")
    first["choices"][0]["logprobs"] = {"content": [a]}
    sim.script(Script(events=[first, chunk("!"), chunk({}, finish_reason="stop")]))
    items = colour.stream_chat(llm, say("x"), logprobs=True, top_logprobs=2)
    assert sim.last.body["top_logprobs"] == 2
    for item in (items[0], items[-1]):
        assert item.logprobs is not None
        assert [(one.token, one.logprob) for one in item.logprobs[0]] == [("A", -0.1), ("B", -2.5)]
        assert item.logprobs[0][0].bytes == [65]
    assert items[1].logprobs is None


def test_log_probabilities_of_a_completion(
    colour: Colour, llm: OneRouterLLM, sim: Simulator
) -> None:
    """A completion has them, too."""
    body = completion("A")
    body["choices"][0]["logprobs"] = {"content": [{"token": "A", "logprob": -0.1}]}
    sim.script(Script(json=body))
    response = colour.complete(llm, "x", logprobs=True)
    assert response.logprobs is not None
    assert (response.logprobs[0][0].token, response.logprobs[0][0].logprob) == ("A", -0.1)


def test_a_refusal_is_told(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A refusal stands in the message's additional_kwargs."""
    response = colour.chat(llm, say("please refuse"))
    assert response.message.content is None
    assert response.message.additional_kwargs["refusal"]


def test_a_call_beats_the_constructor(colour: Colour, make: Make, sim: Simulator) -> None:
    """Per call wins over additional_kwargs, which win over fields; None means not given."""
    llm = make(temperature=0.1, top_p=0.5, additional_kwargs={"top_p": 0.6, "seed": 1, "top_k": 3})
    colour.chat(llm, say("x"), seed=0, temperature=None)
    body = sim.last.body
    assert (body["temperature"], body["top_p"], body["seed"], body["top_k"]) == (0.1, 0.6, 0, 3)


def test_a_call_may_name_another_model(colour: Colour, make: Make, sim: Simulator) -> None:
    """The model is a field like any other."""
    colour.complete(make(), "x", model="simulated/other", extra_headers={"x-mine": "1"})
    assert sim.last.body["model"] == "simulated/other"
    assert sim.last.headers["x-mine"] == "1"


def test_a_bad_argument_never_leaves(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """What cannot be right is a ConfigurationError before anything is sent."""
    with pytest.raises(ConfigurationError, match="temperature"):
        colour.chat(llm, say("x"), temperature=9)
    with pytest.raises(ConfigurationError, match="no messages"):
        colour.chat(llm, [])
    assert sim.requests == []


@pytest.mark.parametrize("endpoint", ["chat", "stream_chat", "complete", "stream_complete"])
def test_errors_are_ours(colour: Colour, llm: OneRouterLLM, sim: Simulator, endpoint: str) -> None:
    """A refused request is a typed error with its facts, from every endpoint."""
    sim.script(failure(400, "temperature is odd"))
    with pytest.raises(InvalidRequestError) as caught:
        getattr(colour, endpoint)(llm, "x" if "complete" in endpoint else say("x"))
    assert caught.value.status == 400
    assert caught.value.model == "simulated/echo"


def test_retries_are_counted_once(colour: Colour, make: Make, sim: Simulator) -> None:
    """`max_retries=2` is three requests at most, streamed or not."""
    for stream in (False, True):
        sim.clear()
        sim.script(*[failure(429, "slow down")] * 5)
        llm = make(max_retries=2)
        with pytest.raises(RateLimitError):
            (colour.stream_chat if stream else colour.chat)(llm, say("x"))
        assert len(sim.requests) == 3


class Limiter:
    """A rate limiter that only counts."""

    def __init__(self) -> None:
        self.asked = 0

    def acquire(self) -> None:
        """Count."""
        self.asked += 1

    async def async_acquire(self) -> None:
        """Count."""
        self.asked += 1


@pytest.mark.skipif(
    "rate_limiter" not in OneRouterLLM.model_fields, reason="this LlamaIndex has no rate limiter"
)
def test_a_rate_limiter_is_asked_before_every_request(
    colour: Colour, make: Make, sim: Simulator
) -> None:
    """Retries do not slip past the limiter."""
    limiter = Limiter()
    sim.script(failure(429, "slow down"), failure(429, "slow down"))
    colour.chat(make(rate_limiter=limiter), say("x"))
    assert limiter.asked == len(sim.requests) == 3
    sim.script(failure(429, "slow down"))
    colour.chat(make(), say("x"))


def test_a_cut_stream_is_an_error(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """Half an answer is never handed out as one; the error has it."""
    sim.script(Script(events=[chunk("Hello"), chunk(" wor")], done=False))
    with pytest.raises(IncompleteStreamError) as caught:
        colour.stream_chat(llm, say("x"))
    assert caught.value.partial.text == "Hello wor"


@pytest.mark.parametrize(
    "events",
    [
        [chunk("Hel"), chunk(error={"message": "upstream died", "code": 502})],
        [chunk("Hel"), chunk({}, finish_reason="error")],
    ],
    ids=["error event", "finish reason"],
)
def test_an_error_in_the_stream_is_raised(
    colour: Colour, llm: OneRouterLLM, sim: Simulator, events: list[Any]
) -> None:
    """An upstream that fails half way is not an answer."""
    sim.script(Script(events=events))
    with pytest.raises(OneRouterError) as caught:
        colour.stream_chat(llm, say("x"))
    assert caught.value.partial.text == "Hel"


@pytest.mark.parametrize("endpoint", ["stream_chat", "stream_complete"])
def test_leaving_a_stream_hangs_up(
    colour: Colour, llm: OneRouterLLM, sim: Simulator, endpoint: str
) -> None:
    """The server sees at once that nobody listens any more."""
    sim.script(Script(events=[chunk("a"), chunk("b"), 30.0, chunk("c")]))
    colour.first(llm, endpoint, "x" if "complete" in endpoint else say("x"))
    assert sim.last.wait_hung_up(1)


@pytest.mark.parametrize("way", ["aclose", "drop", "cancel"])
async def test_leaving_an_async_stream_hangs_up_while_the_loop_runs(
    llm: OneRouterLLM, sim: Simulator, way: str
) -> None:
    """Closing, dropping and cancelling all end the call, not the end of the program."""
    sim.script(Script(events=[chunk("a"), 30.0, chunk("b")]))
    stream = await llm.astream_chat(say("x"))
    await anext(stream)
    if way == "aclose":
        await stream.aclose()
    elif way == "drop":
        del stream
    else:
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
    assert await asyncio.to_thread(sim.last.wait_hung_up, 1)


def test_a_stream_is_sent_when_it_is_called(llm: OneRouterLLM, sim: Simulator) -> None:
    """The request goes out with the call, not with the first `next`."""
    stream = llm.stream_chat(say("x"))
    assert len(sim.requests) == 1
    stream.close()


async def test_an_async_stream_is_sent_when_it_is_awaited(
    llm: OneRouterLLM, sim: Simulator
) -> None:
    """The request goes out with the await, not with the first `anext`."""
    stream = await llm.astream_chat(say("x"))
    assert len(sim.requests) == 1
    assert [item async for item in stream]


def test_a_preview_is_the_body_that_is_sent(llm: OneRouterLLM, sim: Simulator) -> None:
    """`preview` sends nothing and tells exactly what `chat` would send."""
    preview = llm.preview(say("x"), temperature=0.5)
    assert sim.requests == []
    llm.chat(say("x"), temperature=0.5)
    assert sim.last.body == preview


def test_a_prompt_is_a_string(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A message given for a prompt is refused: LlamaIndex would make it an empty one."""
    with pytest.raises(ConfigurationError, match="not ChatMessage"):
        colour.complete(llm, ChatMessage("Hello"))  # type: ignore[arg-type]
    assert sim.requests == []
