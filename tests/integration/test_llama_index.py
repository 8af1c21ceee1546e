"""LlamaIndex with a real model: query and chat engines, structured output, histories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool
from llama_index.retrievers.bm25 import BM25Retriever
from pydantic import BaseModel, Field

from llama_index_onerouter import OneRouterLLM
from onerouter_core import OneRouterError
from tests.integration.conftest import model_fields
from tests.integration.engine import CONTEXT_WINDOW
from tests.integration.servers import Server
from tests.llama_index.conftest import Async, Mode, Sync

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers

PROMPT = PromptTemplate("Ada Lovelace is {age} years old and glad.")
TEXTS = (
    "The capital of Zubrowka is Lutz.",
    "Bananas are yellow when they are ripe.",
    "The train to Nebelsbad leaves at noon.",
)


class Person(BaseModel):
    """A person; the fields are short enough for a small model."""

    name: str = Field(max_length=30)
    age: int = Field(ge=0, le=120)
    mood: Literal["glad", "sad"]


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run a test sync and async."""
    param: Mode = request.param
    return param


@pytest.fixture
def llm(server: Server) -> Iterator[OneRouterLLM]:
    """Provide a model connected to the server."""
    with OneRouterLLM(**model_fields(server), context_window=CONTEXT_WINDOW) as model:
        yield model


@pytest.mark.parametrize("response_mode", ["compact", "refine", "tree_summarize"])
def test_a_query_engine_answers_from_the_retrieved_text(
    llm: OneRouterLLM, mode: Mode, response_mode: str
) -> None:
    """The answer is the model's, and its source is the one relevant text."""
    nodes = [TextNode(text=text) for text in TEXTS]
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=1)
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm, response_mode=response_mode)
    answer = mode.call(engine, "query", "What is the capital of Zubrowka?")
    assert "Lutz" in str(answer)
    assert [source.text for source in answer.source_nodes] == [TEXTS[0]]


def test_a_chat_engine_sends_the_first_turn_with_the_second(llm: OneRouterLLM, mode: Mode) -> None:
    """The second turn asks about the first."""
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults(llm=llm))
    mode.call(engine, "chat", "The capital of Zubrowka is Lutz.")
    assert "Lutz" in str(mode.call(engine, "chat", "What is the capital of Zubrowka?"))


def test_a_completion_is_a_chat_of_one_message(llm: OneRouterLLM, mode: Mode) -> None:
    """Text and usage are the same, complete and streamed."""
    complete = mode.complete(llm, "Hi")
    last = mode.stream_complete(llm, "Hi")[-1]
    assert complete.text == last.text
    assert complete.text.startswith("Hello")
    tokens = complete.additional_kwargs["total_tokens"]
    assert tokens == last.additional_kwargs["total_tokens"] > 0


def test_structured_output_follows_the_schema(llm: OneRouterLLM, mode: Mode) -> None:
    """The engine makes a grammar of the schema."""
    person = mode.call(llm, "structured_predict", Person, PROMPT, age=36)
    assert isinstance(person, Person)
    messages = [ChatMessage(PROMPT.format(age=36))]
    response = mode.chat(llm.as_structured_llm(Person), messages)
    assert response.raw == person


def test_streamed_structured_output_ends_with_a_complete_object(
    llm: OneRouterLLM, mode: Mode
) -> None:
    """Partial objects come first."""
    *partial, last = mode.collect(llm, "stream_structured_predict", Person, PROMPT, age=36)
    assert partial
    assert isinstance(last, Person)


def test_a_cut_object_is_an_error(llm: OneRouterLLM, mode: Mode) -> None:
    """A length limit within the object raises."""
    options = {"max_tokens": 8}
    with pytest.raises(OneRouterError):
        mode.call(llm, "structured_predict", Person, PROMPT, age=36, llm_kwargs=options)


def test_a_model_without_tool_support_answers_in_text(llm: OneRouterLLM, mode: Mode) -> None:
    """Its template has no tools: the engine answers 200 and text, though a call is required."""
    tools = [FunctionTool.from_defaults(get_weather)]
    options = {"user_msg": "Weather in Oslo?", "tool_required": True}
    response = mode.call(llm, "chat_with_tools", tools, **options)
    assert response.message.content
    with pytest.raises(ValueError, match="tool call"):
        llm.get_tool_calls_from_response(response)


def test_a_history_with_tool_calls_is_accepted(llm: OneRouterLLM, mode: Mode) -> None:
    """The engine parses tool calls and their results itself."""
    call = ToolCallBlock(
        tool_call_id="call-1", tool_name="get_weather", tool_kwargs={"city": "Oslo"}
    )
    history = [
        ChatMessage("What is the weather in Oslo?"),
        ChatMessage(role=MessageRole.ASSISTANT, blocks=[call]),
        ChatMessage(
            role=MessageRole.TOOL,
            blocks=[TextBlock(text="sunny in Oslo")],
            additional_kwargs={"tool_call_id": "call-1"},
        ),
    ]
    assert mode.chat(llm, history).message.content
