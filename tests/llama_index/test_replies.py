"""replies: responses and completions, complete and streamed."""

from __future__ import annotations

import copy

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CitationBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
)

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.llama_index.conftest import Mode, user_messages
from tests.llama_index.samples import PNG_BASE64


def test_stream_deltas_add_up_to_the_content(mode: Mode, llm: OneRouterLLM) -> None:
    """Each delta is a string, and each item contains the whole text so far."""
    items = mode.stream_chat(llm, user_messages("one two three four"))
    assert len(items) > 2
    text = ""
    for item in items:
        assert isinstance(item.delta, str)
        text += item.delta
        assert item.message.content == text
    assert text == "You said: one two three four"


def test_the_last_stream_item_equals_the_chat_response(mode: Mode, llm: OneRouterLLM) -> None:
    """Message, token counts, cost, finish reason and `raw` are the same."""
    response = mode.chat(llm, user_messages("Hello"))
    last = mode.stream_chat(llm, user_messages("Hello"))[-1]
    ids = {"generation_id", "request_id"}
    assert last.message == response.message
    assert last.additional_kwargs.keys() == response.additional_kwargs.keys()
    assert {k: v for k, v in last.additional_kwargs.items() if k not in ids} == {
        k: v for k, v in response.additional_kwargs.items() if k not in ids
    }
    assert last.raw.usage == response.raw.usage
    assert last.raw.choices[0].message.content == response.message.content


def test_streamed_completion_deltas_add_up_to_the_text(mode: Mode, llm: OneRouterLLM) -> None:
    """Each item contains the whole text so far; the last one has the token counts."""
    items = mode.stream_complete(llm, "one two three")
    assert "".join(item.delta or "" for item in items) == items[-1].text
    assert items[-1].text == "You said: one two three"
    assert items[-1].additional_kwargs["total_tokens"] > 0


def test_changing_a_stream_item_changes_no_other_item(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Items share no block, no tool call, no `raw` and no `additional_kwargs`."""
    sim.script(
        Script(
            events=[
                chunk({"images": [{"image_url": {"url": f"data:image/png;base64,{PNG_BASE64}"}}]}),
                chunk({"tool_calls": [tool_call("f", '{"a": ', index=0)]}),
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"b": 1}}'}}]}),
                chunk({}, finish_reason="tool_calls"),
            ]
        )
    )
    items = mode.stream_chat(llm, user_messages("x"))
    before = copy.deepcopy(items[1:])
    items[0].message.blocks[0].image_mimetype = "image/gif"
    items[0].message.blocks.clear()
    items[0].additional_kwargs["x"] = 1
    items[0].raw["x"] = 1
    items[1].message.blocks[1].tool_kwargs["x"] = 1
    items[1].message.additional_kwargs["tool_calls"][0].function.name = "x"
    before[0] = items[1]
    assert items[1:] == before


def test_a_complete_reply_to_a_stream_request_is_accepted(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """A server that ignores `stream` gives the same last item."""
    sim.script(Script(json=completion("Complete")))
    items = mode.stream_chat(llm, user_messages("x"))
    assert "".join(item.delta for item in items) == items[-1].message.content == "Complete"


def test_additional_kwargs_has_usage_cost_finish_reason_and_ids(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """All values are at the top level, under fixed names."""
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
    assert mode.chat(llm, user_messages("x")).additional_kwargs == {
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


def test_additional_kwargs_has_no_token_counts_without_usage(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """A missing value has no key."""
    body = completion("Hi")
    del body["usage"]
    sim.script(Script(json=body))
    assert "prompt_tokens" not in mode.chat(llm, user_messages("x")).additional_kwargs


def test_raw_can_be_read_by_key_and_by_attribute(llm: OneRouterLLM) -> None:
    """Tracers do either, at every level. A copy is equal; a missing attribute raises."""
    raw = llm.chat(user_messages("Hi")).raw
    assert isinstance(raw, dict)
    assert raw["choices"][0].finish_reason == raw.choices[0]["finish_reason"] == "stop"
    assert not hasattr(raw, "model_dump")
    assert copy.deepcopy(raw) == raw
    with pytest.raises(AttributeError):
        _ = raw.no_such_key


def test_changing_raw_does_not_change_the_message(llm: OneRouterLLM) -> None:
    """`raw` is a copy of the JSON body."""
    response = llm.chat(user_messages("Hi"))
    response.raw.choices[0].message.content = "changed"
    assert response.message.content == "You said: Hi"


def test_reasoning_is_a_thinking_delta_and_a_thinking_block(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The last item has one block with the text, the token count and the details."""
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
    items = mode.stream_chat(llm, user_messages("x"))
    deltas = [item.additional_kwargs.get("thinking_delta") for item in items]
    assert [delta for delta in deltas if delta] == ["Hm", "m."]
    assert items[0].delta == ""
    assert items[0].message.blocks == [ThinkingBlock(content="Hm")]
    thinking, text = items[-1].message.blocks
    info = {
        "reasoning_details": [detail],
        "model": "simulated/echo",
        "requested_model": "simulated/echo",
    }
    assert thinking == ThinkingBlock(content="Hmm.", num_tokens=9, additional_information=info)
    assert text == TextBlock(text="Yes")


def test_images_audio_and_citations_of_a_reply_are_blocks(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """An image is data or a URL; the audio's transcript is in `additional_kwargs`."""
    images = [
        {"image_url": {"url": f"data:image/png;base64,{PNG_BASE64}"}},
        {"image_url": {"url": "https://a.test/b.png"}},
    ]
    audio_part = {"id": "a", "data": "UklGRg==", "transcript": "Hello"}
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
    extra = {"images": images, "audio": audio_part, "annotations": citations}
    sim.script(Script(json=completion("See it", message=extra)))
    response = mode.chat(llm, user_messages("x"))
    text, png, linked, audio, cited, quoted = response.message.blocks
    assert text == TextBlock(text="See it")
    assert isinstance(png, ImageBlock)
    assert (png.image, png.image_mimetype) == (PNG_BASE64.encode(), "image/png")
    assert isinstance(linked, ImageBlock)
    assert str(linked.url) == "https://a.test/b.png"
    assert isinstance(audio, AudioBlock)
    assert (audio.audio, audio.format) == (b"UklGRg==", "wav")
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


def test_log_probabilities_list_each_token_and_its_alternatives(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """They are on the stream item of their token, and on the last item."""
    a = {"token": "A", "logprob": -0.1, "bytes": [65], "top_logprobs": []}
    a["top_logprobs"] = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.5}]
    first = chunk("A")
    first["choices"][0]["logprobs"] = {"content": [a]}
    sim.script(Script(events=[first, chunk("!"), chunk({}, finish_reason="stop")]))
    items = mode.stream_chat(llm, user_messages("x"), logprobs=True, top_logprobs=2)
    assert sim.last.body["top_logprobs"] == 2
    for item in (items[0], items[-1]):
        assert item.logprobs is not None
        assert [(token.token, token.logprob) for token in item.logprobs[0]] == [
            ("A", -0.1),
            ("B", -2.5),
        ]
        assert item.logprobs[0][0].bytes == [65]
    assert items[1].logprobs is None


def test_a_completion_has_log_probabilities(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """A completion has the log probabilities of the chat response."""
    body = completion("A")
    body["choices"][0]["logprobs"] = {"content": [{"token": "A", "logprob": -0.1}]}
    sim.script(Script(json=body))
    response = mode.complete(llm, "x", logprobs=True)
    assert response.logprobs is not None
    assert (response.logprobs[0][0].token, response.logprobs[0][0].logprob) == ("A", -0.1)


def test_a_refusal_is_in_the_additional_kwargs_of_the_message(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The content is its text."""
    response = mode.chat(llm, user_messages("please refuse"))
    assert response.message.additional_kwargs["refusal"]
    assert response.message.content == response.message.additional_kwargs["refusal"]
