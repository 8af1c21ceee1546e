"""Histories of other vendors, and what a block says beside its content."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    FunctionMessage,
    HumanMessage,
)

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import UnsupportedContentError
from onerouter_simulator import Script, Simulator, completion
from tests.langchain.conftest import Ask
from tests.langchain.media import PDF_64, PNG_64

INSIDE = "https://intranet.example/it"
PNG_URL = f"data:image/png;base64,{PNG_64}"
PDF_MIME, PNG_MIME = {"mime_type": "application/pdf"}, {"mime_type": "image/png"}
TEXT = {"type": "text", "text": "a"}


def block(kind: str, **facts: Any) -> dict[str, Any]:
    """Return a block as a user writes it."""
    return {"type": kind, **facts}


def sent(llm: ChatOneRouter, sim: Simulator, *messages: BaseMessage) -> list[dict[str, Any]]:
    """Return the messages that arrive when these are sent."""
    sim.script(Script(json=completion()))
    llm.invoke(list(messages))
    arrived: list[dict[str, Any]] = sim.last.body["messages"]
    return arrived


# --- a block's own content ---


V0 = {"source_type": "base64", "data": PDF_64}


@pytest.mark.parametrize(
    ("own", "beside"),
    [({"base64": PDF_64}, "extras"), ({"base64": PDF_64}, "metadata"), (V0, "metadata")],
)
def test_a_blocks_own_bytes_are_sent(
    llm: ChatOneRouter, sim: Simulator, own: dict[str, Any], beside: str
) -> None:
    """An address beside them is where they came from; a name beside them is theirs."""
    facts = {"url": INSIDE, "source": INSIDE, "file": {"file_data": INSIDE}, "title": "a.pdf"}
    written = block("file", **own, **PDF_MIME, **{beside: facts})
    (message,) = sent(llm, sim, HumanMessage([written]))
    inside = {"data": PDF_64, "media_type": "application/pdf", "filename": "a.pdf"}
    assert message["content"] == [{"type": "file", "file": inside}]


@pytest.mark.parametrize("beside", ["extras", "metadata"])
def test_what_means_something_beside_a_picture(
    llm: ChatOneRouter, sim: Simulator, beside: str
) -> None:
    """The detail is read there, the address is not."""
    facts = {"url": INSIDE, "detail": "low"}
    written = block("image", base64=PNG_64, **PNG_MIME, **{beside: facts})
    (message,) = sent(llm, sim, HumanMessage([written]))
    url = {"url": PNG_URL, "detail": "low"}
    assert message["content"] == [{"type": "image_url", "image_url": url}]


def test_an_address_beside_nothing(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """A block without content of its own is none."""
    with pytest.raises(UnsupportedContentError, match="'image'"):
        ask(llm, [HumanMessage([block("image", extras={"url": INSIDE})])])
    assert sim.requests == []


# --- what other vendors' servers did ---

SERVERS = {
    "OpenAI, search": [block("web_search_call", id="w", status="completed")],
    "OpenAI, files": [block("file_search_call", id="f", queries=["q"], results=None)],
    "OpenAI, code": [block("code_interpreter_call", id="c", code="1", outputs=[])],
    "OpenAI, MCP": [
        block("mcp_list_tools", id="l", server_label="s", tools=[]),
        block("mcp_call", id="m", name="f", arguments="{}", output="1", server_label="s"),
    ],
    "OpenAI, no picture": [block("image_generation_call", id="i", status="failed", result=None)],
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


@pytest.mark.parametrize("wrapped", [False, True], ids=["native", "wrapped"])
@pytest.mark.parametrize("blocks", SERVERS.values(), ids=SERVERS)
def test_what_anothers_servers_did_is_not_sent(
    llm: ChatOneRouter, sim: Simulator, blocks: list[dict[str, Any]], wrapped: bool
) -> None:
    """As LangChain's standard blocks of it: the words that came of it are there."""
    content: list[Any] = [block("non_standard", value=b) for b in blocks] if wrapped else blocks
    arrived = sent(llm, sim, HumanMessage("u"), AIMessage([*content, TEXT]), HumanMessage("v"))
    assert arrived[1] == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize("blocks", SERVERS.values(), ids=SERVERS)
def test_of_a_user_it_is_refused(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, blocks: list[Any]
) -> None:
    """Nobody but a model has servers that do things."""
    with pytest.raises(UnsupportedContentError):
        ask(llm, [HumanMessage([*blocks, TEXT])])
    assert sim.requests == []


@pytest.mark.parametrize("kind", ["tool_result", "computer_call", "mcp_approval_request"])
def test_what_waits_for_an_answer_is_refused(
    llm: ChatOneRouter, sim: Simulator, ask: Ask, kind: str
) -> None:
    """What the user's side did, or must do, is not left out."""
    with pytest.raises(UnsupportedContentError, match=kind):
        ask(llm, [HumanMessage("u"), AIMessage([block(kind, id="c"), TEXT])])
    assert sim.requests == []


@pytest.mark.parametrize("form", [None, "webp"])
def test_a_picture_that_a_tool_made(llm: ChatOneRouter, sim: Simulator, form: str | None) -> None:
    """It follows the answer, as every picture of a model does."""
    said = {} if form is None else {"output_format": form}
    made = block("image_generation_call", id="i", status="completed", result=PNG_64, **said)
    arrived = sent(llm, sim, HumanMessage("u"), AIMessage([TEXT, made]), HumanMessage("v"))
    assert arrived[1] == {"role": "assistant", "content": "a"}
    url = f"data:image/{form or 'png'};base64,{PNG_64}"
    assert arrived[2]["content"][1] == {"type": "image_url", "image_url": {"url": url}}


# --- calls before there were tool calls ---


def legacy(arguments: str, kind: type[AIMessage] = AIMessage, **more: Any) -> AIMessage:
    """Return a message with a function call as OpenAI had it first."""
    call = {"name": "f", "arguments": arguments}
    return kind(content="", additional_kwargs={"function_call": call}, **more)


def wire_call(call_id: str, arguments: str) -> dict[str, Any]:
    """Return a tool call as it arrives."""
    function = {"name": "f", "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


@pytest.mark.parametrize("kind", [AIMessage, AIMessageChunk])
def test_a_legacy_call_and_its_result(
    llm: ChatOneRouter, sim: Simulator, kind: type[AIMessage]
) -> None:
    """Each call goes out as a tool call with an id of its own, which its result has as well."""
    history = [
        HumanMessage("u"),
        legacy('{"a": 1}', kind),
        FunctionMessage(name="f", content="r"),
        legacy('{"a": 2}', kind),
        FunctionMessage(name="f", content="s"),
    ]
    before = copy.deepcopy(history)
    _, call, result, other, last = sent(llm, sim, *history)
    ids = [call["tool_calls"][0]["id"], other["tool_calls"][0]["id"]]
    assert call["tool_calls"] == [wire_call(ids[0], '{"a": 1}')]
    assert other["tool_calls"] == [wire_call(ids[1], '{"a": 2}')]
    assert result == {"role": "tool", "tool_call_id": ids[0], "content": "r"}
    assert last == {"role": "tool", "tool_call_id": ids[1], "content": "s"}
    assert ids[0] != ids[1]
    assert history == before


def test_a_legacy_call_that_is_broken(llm: ChatOneRouter, sim: Simulator) -> None:
    """It goes back as valid JSON, like every broken call."""
    arrived = sent(
        llm, sim, HumanMessage("u"), legacy('{"a'), FunctionMessage(name="f", content="r")
    )
    (call,) = arrived[1]["tool_calls"]
    assert call["function"]["arguments"] == '{"invalid_arguments": "{\\"a"}'


def test_a_legacy_call_beside_tool_calls(llm: ChatOneRouter, sim: Simulator) -> None:
    """What stands in `tool_calls` is sent, once."""
    call = {"id": "c", "name": "f", "args": {"a": 1}}
    arrived = sent(llm, sim, HumanMessage("u"), legacy('{"a": 1}', tool_calls=[call]))
    assert arrived[1]["tool_calls"] == [wire_call("c", '{"a": 1}')]


def test_a_result_apart_from_its_legacy_call(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """Nothing says whose result it is: it is refused."""
    result = FunctionMessage(name="f", content="r")
    with pytest.raises(UnsupportedContentError, match="FunctionMessage"):
        ask(llm, [legacy("{}"), HumanMessage("u"), result])
    assert sim.requests == []


# --- an answer that was spoken ---

SOUND = {"audio": {"id": "a1", "transcript": "the spoken answer", "data": "UklGRg=="}}


@pytest.mark.parametrize(
    ("content", "arrives"), [("", "the spoken answer"), ([], "the spoken answer"), ("a", "a")]
)
def test_the_words_of_a_spoken_answer(
    llm: ChatOneRouter, sim: Simulator, content: Any, arrives: str
) -> None:
    """ChatOpenAI keeps them beside the content; they are sent where there are no others."""
    turn = AIMessage(content, additional_kwargs=SOUND)
    arrived = sent(llm, sim, HumanMessage("u"), turn, HumanMessage("v"))
    assert arrived[1] == {"role": "assistant", "content": arrives}
