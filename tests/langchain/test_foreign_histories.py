"""Histories that other vendors' models wrote, and metadata beside a block's content."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
)

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import UnsupportedContentError
from onerouter_simulator import Simulator
from tests.langchain.conftest import CallModel
from tests.langchain.media import PDF_64, PNG_64
from tests.langchain.message_parts import (
    PDF_MIME,
    PNG_URL,
    block,
    sent_messages,
    text_part,
    wire_call,
)

INTERNAL_URL = "https://intranet.example/it"
PNG_MIME = {"mime_type": "image/png"}
TEXT = text_part("a")


# --- content and metadata of a block ---


V0 = {"source_type": "base64", "data": PDF_64}


@pytest.mark.parametrize(
    ("content", "metadata_key"),
    [({"base64": PDF_64}, "extras"), ({"base64": PDF_64}, "metadata"), (V0, "metadata")],
)
def test_a_url_in_block_metadata_is_not_sent(
    llm: ChatOneRouter, sim: Simulator, content: dict[str, Any], metadata_key: str
) -> None:
    """It is the origin of the data; a title there is the filename."""
    fields = {
        "url": INTERNAL_URL,
        "source": INTERNAL_URL,
        "file": {"file_data": INTERNAL_URL},
        "title": "a.pdf",
    }
    user_block = block("file", **content, **PDF_MIME, **{metadata_key: fields})
    (message,) = sent_messages(llm, sim, HumanMessage([user_block]))
    expected_file = {"data": PDF_64, "media_type": "application/pdf", "filename": "a.pdf"}
    assert message["content"] == [{"type": "file", "file": expected_file}]


@pytest.mark.parametrize("metadata_key", ["extras", "metadata"])
def test_detail_in_block_metadata_is_sent(
    llm: ChatOneRouter, sim: Simulator, metadata_key: str
) -> None:
    """The detail of an image is read there, a URL is not."""
    fields = {"url": INTERNAL_URL, "detail": "low"}
    user_block = block("image", base64=PNG_64, **PNG_MIME, **{metadata_key: fields})
    (message,) = sent_messages(llm, sim, HumanMessage([user_block]))
    url = {"url": PNG_URL, "detail": "low"}
    assert message["content"] == [{"type": "image_url", "image_url": url}]


def test_a_block_with_a_url_in_metadata_only_raises(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """A URL there is not content."""
    with pytest.raises(UnsupportedContentError, match="'image'"):
        call_model(llm, [HumanMessage([block("image", extras={"url": INTERNAL_URL})])])
    assert sim.requests == []


# --- tools that other vendors ran on their servers ---

SERVER_TOOL_BLOCKS = {
    "OpenAI, search": [block("web_search_call", id="w", status="completed")],
    "OpenAI, files": [block("file_search_call", id="f", queries=["q"], results=None)],
    "OpenAI, code": [block("code_interpreter_call", id="c", code="1", outputs=[])],
    "OpenAI, MCP": [
        block("mcp_list_tools", id="l", server_label="s", tools=[]),
        block("mcp_call", id="m", name="f", arguments="{}", output="1", server_label="s"),
    ],
    "OpenAI, failed image": [block("image_generation_call", id="i", status="failed", result=None)],
    "Anthropic, search": [
        block("server_tool_use", id="s", name="web_search", input={"query": "q"}),
        block("web_search_tool_result", tool_use_id="s", content=[]),
    ],
    "Anthropic, code": [
        block("server_tool_use", id="s", name="bash_code_execution", input={}),
        block("bash_code_execution_tool_result", tool_use_id="s", content={"stdout": "1"}),
    ],
    "Anthropic, MCP": [
        block("mcp_tool_use", id="s", name="f", input={}, server_name="s"),
        block("mcp_tool_result", tool_use_id="s", content=[]),
    ],
    "Google": [
        block("executable_code", executable_code="1", language="PYTHON"),
        block("code_execution_result", code_execution_result="1", outcome=1),
    ],
}


@pytest.mark.parametrize("is_wrapped", [False, True], ids=["native", "wrapped"])
@pytest.mark.parametrize("blocks", SERVER_TOOL_BLOCKS.values(), ids=SERVER_TOOL_BLOCKS)
def test_server_tool_blocks_of_an_assistant_are_not_sent(
    llm: ChatOneRouter, sim: Simulator, blocks: list[dict[str, Any]], is_wrapped: bool
) -> None:
    """The text of the answer already contains their results."""
    content: list[Any] = [block("non_standard", value=b) for b in blocks] if is_wrapped else blocks
    messages = sent_messages(
        llm, sim, HumanMessage("u"), AIMessage([*content, TEXT]), HumanMessage("v")
    )
    assert messages[1] == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize("blocks", SERVER_TOOL_BLOCKS.values(), ids=SERVER_TOOL_BLOCKS)
def test_server_tool_blocks_of_a_user_raise(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel, blocks: list[Any]
) -> None:
    """Only an assistant message can have them."""
    with pytest.raises(UnsupportedContentError):
        call_model(llm, [HumanMessage([*blocks, TEXT])])
    assert sim.requests == []


@pytest.mark.parametrize("block_type", ["tool_result", "computer_call", "mcp_approval_request"])
def test_client_tool_blocks_of_an_assistant_raise(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel, block_type: str
) -> None:
    """Results and requests of the client side are not dropped."""
    with pytest.raises(UnsupportedContentError, match=block_type):
        call_model(llm, [HumanMessage("u"), AIMessage([block(block_type, id="c"), TEXT])])
    assert sim.requests == []


@pytest.mark.parametrize("output_format", [None, "webp"])
def test_a_generated_image_is_sent_in_a_user_message(
    llm: ChatOneRouter, sim: Simulator, output_format: str | None
) -> None:
    """It follows the answer, like every image of an answer."""
    options = {} if output_format is None else {"output_format": output_format}
    image_call = block(
        "image_generation_call", id="i", status="completed", result=PNG_64, **options
    )
    messages = sent_messages(
        llm, sim, HumanMessage("u"), AIMessage([TEXT, image_call]), HumanMessage("v")
    )
    assert messages[1] == {"role": "assistant", "content": "a"}
    url = f"data:image/{output_format or 'png'};base64,{PNG_64}"
    assert messages[2]["content"][1] == {"type": "image_url", "image_url": {"url": url}}


# --- legacy function calls ---


def legacy_call(
    arguments: str, message_class: type[AIMessage] = AIMessage, **fields: Any
) -> AIMessage:
    """Return a message with OpenAI's legacy `function_call`."""
    call = {"name": "f", "arguments": arguments}
    return message_class(content="", additional_kwargs={"function_call": call}, **fields)


@pytest.mark.parametrize("message_class", [AIMessage, AIMessageChunk])
def test_a_legacy_function_call_becomes_a_tool_call(
    llm: ChatOneRouter, sim: Simulator, message_class: type[AIMessage]
) -> None:
    """Each call gets its own id, and its result has the same id."""
    history = [
        HumanMessage("u"),
        legacy_call('{"a": 1}', message_class),
        FunctionMessage(name="f", content="r"),
        legacy_call('{"a": 2}', message_class),
        FunctionMessage(name="f", content="s"),
    ]
    before = copy.deepcopy(history)
    _, call, first_result, second_call, second_result = sent_messages(llm, sim, *history)
    ids = [call["tool_calls"][0]["id"], second_call["tool_calls"][0]["id"]]
    assert call["tool_calls"] == [wire_call('{"a": 1}', call_id=ids[0])]
    assert second_call["tool_calls"] == [wire_call('{"a": 2}', call_id=ids[1])]
    assert first_result == {"role": "tool", "tool_call_id": ids[0], "content": "r"}
    assert second_result == {"role": "tool", "tool_call_id": ids[1], "content": "s"}
    assert ids[0] != ids[1]
    assert history == before


def test_a_legacy_call_with_invalid_arguments(llm: ChatOneRouter, sim: Simulator) -> None:
    """It is sent as valid JSON, like every invalid call."""
    messages = sent_messages(
        llm, sim, HumanMessage("u"), legacy_call('{"a'), FunctionMessage(name="f", content="r")
    )
    (call,) = messages[1]["tool_calls"]
    assert call["function"]["arguments"] == '{"invalid_arguments": "{\\"a"}'


def test_a_legacy_call_beside_tool_calls_is_sent_once(llm: ChatOneRouter, sim: Simulator) -> None:
    """`tool_calls` take precedence."""
    call = {"id": "c", "name": "f", "args": {"a": 1}}
    messages = sent_messages(
        llm, sim, HumanMessage("u"), legacy_call('{"a": 1}', tool_calls=[call])
    )
    assert messages[1]["tool_calls"] == [wire_call('{"a": 1}')]


@pytest.mark.parametrize(
    "result",
    [FunctionMessage(name="f", content="r"), ChatMessage(role="function", name="f", content="r")],
)
def test_the_result_of_a_function_is_found_by_its_name(
    llm: ChatOneRouter, sim: Simulator, result: BaseMessage
) -> None:
    """Also of a call that is not in the message before, or that is a tool call."""
    other = legacy_call("{}")
    other.additional_kwargs["function_call"]["name"] = "g"
    other_result = FunctionMessage(name="g", content="s")
    messages = sent_messages(
        llm, sim, HumanMessage("u"), legacy_call("{}"), other, other_result, result
    )
    ids = {m["tool_calls"][0]["function"]["name"]: m["tool_calls"][0]["id"] for m in messages[1::2]}
    results = {m["tool_call_id"]: m["content"] for m in messages if m["role"] == "tool"}
    assert results == {ids["f"]: "r", ids["g"]: "s"}
    modern = AIMessage("", tool_calls=[{"id": "c", "name": "f", "args": {}}])
    *_, last = sent_messages(llm, sim, HumanMessage("u"), modern, result)
    assert last == {"role": "tool", "tool_call_id": "c", "content": "r"}


def test_a_function_result_without_its_call_is_sent_as_a_user_message(
    llm: ChatOneRouter, sim: Simulator
) -> None:
    """As every result without a call."""
    result = FunctionMessage(name="f", content="r")
    *_, last = sent_messages(llm, sim, HumanMessage("u"), result)
    assert last["role"] == "user"
    assert [part["text"] for part in last["content"]] == ["Content of tool result f:", "r"]


# --- audio answers ---

AUDIO = {"audio": {"id": "a1", "transcript": "the transcript", "data": "UklGRg=="}}


@pytest.mark.parametrize(
    ("content", "expected"), [("", "the transcript"), ([], "the transcript"), ("a", "a")]
)
def test_the_transcript_of_an_audio_answer_is_sent(
    llm: ChatOneRouter, sim: Simulator, content: Any, expected: str
) -> None:
    """ChatOpenAI keeps it in `additional_kwargs`; it is sent if the content has no text."""
    answer = AIMessage(content, additional_kwargs=AUDIO)
    messages = sent_messages(llm, sim, HumanMessage("u"), answer, HumanMessage("v"))
    assert messages[1] == {"role": "assistant", "content": expected}
