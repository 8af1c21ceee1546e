"""Conversion of assistant messages and tool results of a history."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    ToolMessage,
)

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import UnsupportedContentError
from onerouter_simulator import Simulator
from tests.langchain.conftest import CallModel
from tests.langchain.media import PDF_64
from tests.langchain.message_parts import (
    OUR_METADATA,
    PDF_MIME,
    URL,
    block,
    file_part,
    image_part,
    sent_messages,
    text_part,
    wire_call,
)


def test_tool_calls_and_results_are_sent(llm: ChatOneRouter, sim: Simulator) -> None:
    """Arguments keep their characters; the content of the call's message may be empty."""
    call = {"id": "c", "name": "f", "args": {"city": "北京"}}
    messages = sent_messages(
        llm,
        sim,
        HumanMessage("u"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("r", tool_call_id="c", status="error"),
    )
    expected_answer = {
        "role": "assistant",
        "content": None,
        "tool_calls": [wire_call('{"city": "北京"}')],
    }
    assert messages[1:] == [expected_answer, {"role": "tool", "tool_call_id": "c", "content": "r"}]


def test_openai_message_dicts_are_sent(llm: ChatOneRouter, sim: Simulator) -> None:
    """A history in OpenAI's format is sent unchanged."""
    history = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": None, "tool_calls": [wire_call('{"a": 1}')]},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ]
    assert sent_messages(llm, sim, *history) == history


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": "Par', '{"invalid_arguments": "{\\"a\\": \\"Par"}'),
        ("", '{"invalid_arguments": ""}'),
        (None, '{"invalid_arguments": ""}'),
    ],
)
def test_an_invalid_call_is_sent_as_valid_json(
    llm: ChatOneRouter, sim: Simulator, arguments: str | None, expected: str
) -> None:
    """Strict upstreams reject invalid JSON in a history: an object contains the raw text."""
    invalid_call = {"id": "c", "name": "f", "args": arguments, "error": None}
    answer = AIMessage("", invalid_tool_calls=[invalid_call])
    messages = sent_messages(
        llm, sim, HumanMessage("u"), answer, ToolMessage("bad", tool_call_id="c")
    )
    assert messages[1]["tool_calls"] == [wire_call(expected)]


def test_reasoning_details_are_sent_back(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """They are unchanged, whether the answer was streamed or not."""
    answer = call_model(llm, "Think", reasoning={"effort": "low"})
    details = answer.additional_kwargs["reasoning_details"]
    assert details[0]["signature"]
    messages = sent_messages(llm, sim, HumanMessage("Think"), answer, HumanMessage("And now?"))
    assert messages[1] == {
        "role": "assistant",
        "content": answer.content,
        "reasoning_details": details,
    }


def test_reasoning_text_is_sent_back_if_there_are_no_details(
    llm: ChatOneRouter, sim: Simulator
) -> None:
    """A model that returns only text receives text."""
    extras = {"reasoning_content": "hm"}
    answer = AIMessage("a", additional_kwargs=extras, response_metadata=OUR_METADATA)
    messages = sent_messages(llm, sim, HumanMessage("u"), answer)
    assert messages[1] == {"role": "assistant", "content": "a", "reasoning": "hm"}


@pytest.mark.parametrize(
    "content",
    [
        [block("thinking", thinking="hm", signature="s"), text_part("a")],
        [block("redacted_thinking", data="x"), text_part("a")],
        [block("non_standard", value=block("redacted_thinking", data="x")), text_part("a")],
        [block("reasoning", reasoning="hm", extras={"signature": "s"}), text_part("a")],
        [block("reasoning_content", reasoning_content={"text": "hm"}), text_part("a")],
        [text_part("a"), block("tool_use", id="c", name="f", input={})],
        [text_part("a"), block("tool_call", id="c", name="f", args={})],
        [text_part("a"), block("server_tool_call", id="s", name="web", args={})],
        [block("text", text="a", annotations=[{"type": "citation", "url": URL}])],
        [block("text", text="a", citations=[{"cited_text": "b"}], index=0)],
    ],
)
def test_reasoning_and_calls_in_other_vendors_content_are_not_sent(
    llm: ChatOneRouter, sim: Simulator, content: list[Any]
) -> None:
    """Their reasoning is dropped; calls are sent from `tool_calls`."""
    extras = {"reasoning_content": "hm", "reasoning_details": [block("reasoning.text", text="hm")]}
    answer = AIMessage(
        content, additional_kwargs=extras, response_metadata={"model_provider": "anthropic"}
    )
    messages = sent_messages(llm, sim, HumanMessage("u"), answer)
    assert messages[1] == {"role": "assistant", "content": "a"}


def test_a_call_in_v1_content_is_sent_once(llm: ChatOneRouter, sim: Simulator) -> None:
    """It is in `tool_calls` as well."""
    blocks = [text_part("a"), block("tool_call", id="c", name="f", args={"x": 1})]
    answer = AIMessage(content_blocks=blocks)
    messages = sent_messages(
        llm, sim, HumanMessage("u"), answer, ToolMessage("r", tool_call_id="c")
    )
    expected_answer = {"role": "assistant", "content": "a", "tool_calls": [wire_call('{"x": 1}')]}
    assert messages[1] == expected_answer


@pytest.mark.parametrize(
    "answer",
    [
        AIMessage("", additional_kwargs={"refusal": "no"}),
        AIMessage([block("refusal", refusal="no")]),
    ],
    ids=["beside the content", "as a block"],
)
def test_a_refusal_is_sent_back(llm: ChatOneRouter, sim: Simulator, answer: AIMessage) -> None:
    """From `additional_kwargs` or from a refusal block."""
    messages = sent_messages(llm, sim, HumanMessage("u"), answer, HumanMessage("v"))
    assert messages[1] == {"role": "assistant", "content": None, "refusal": "no"}


def test_an_unknown_block_of_an_assistant_raises(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """Unknown content of an assistant is not dropped either."""
    with pytest.raises(UnsupportedContentError, match=r"'hologram'.*'assistant'"):
        call_model(llm, [HumanMessage("u"), AIMessage([block("hologram")])])
    assert sim.requests == []


def test_media_of_tool_results_are_sent_in_a_user_message(
    llm: ChatOneRouter, sim: Simulator
) -> None:
    """A tool message has text only; the media of all results follow, with the ids of the calls."""
    calls = [{"id": name, "name": name, "args": {}} for name in ("c", "d")]
    messages = sent_messages(
        llm,
        sim,
        HumanMessage("u"),
        AIMessage("", tool_calls=calls),
        ToolMessage([text_part("see"), block("image", url=URL)], tool_call_id="c"),
        ToolMessage([block("file", base64=PDF_64, **PDF_MIME)], tool_call_id="d"),
        HumanMessage("v"),
    )
    assert messages[2:] == [
        {"role": "tool", "tool_call_id": "c", "content": "see"},
        {"role": "tool", "tool_call_id": "d", "content": "The content follows in a user message."},
        {
            "role": "user",
            "content": [
                text_part("Content of tool result c:"),
                image_part(URL),
                text_part("Content of tool result d:"),
                file_part(),
            ],
        },
        {"role": "user", "content": "v"},
    ]


def test_several_texts_of_a_tool_result_are_parts(llm: ChatOneRouter, sim: Simulator) -> None:
    """They are not joined."""
    call = {"id": "c", "name": "f", "args": {}}
    result = ToolMessage(["a", text_part("b")], tool_call_id="c")
    messages = sent_messages(llm, sim, HumanMessage("u"), AIMessage("", tool_calls=[call]), result)
    assert messages[2]["content"] == [text_part("a"), text_part("b")]
