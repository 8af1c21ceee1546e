"""LlamaIndex's own things with a real model: query and chat engines, objects, histories."""

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
from tests.integration.conftest import reaching
from tests.integration.engine import WINDOW
from tests.integration.servers import Server
from tests.llama_index.conftest import Async, Colour, Sync

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers

PROMPT = PromptTemplate("Ada Lovelace is {age} years old and glad.")
FACTS = (
    "The capital of Zubrowka is Lutz.",
    "Bananas are yellow when they are ripe.",
    "The train to Nebelsbad leaves at noon.",
)


class Person(BaseModel):
    """A person, as short as a small model keeps it."""

    name: str = Field(max_length=30)
    age: int = Field(ge=0, le=120)
    mood: Literal["glad", "sad"]


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """Run the test once with each colour."""
    found: Colour = request.param
    return found


@pytest.fixture
def llm(server: Server) -> Iterator[OneRouterLLM]:
    """Make a model that speaks to the server."""
    with OneRouterLLM(**reaching(server), context_window=WINDOW) as model:
        yield model


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize"])
def test_a_query_engine(llm: OneRouterLLM, colour: Colour, mode: str) -> None:
    """The answer is the model's, from the one text that is about the question."""
    nodes = [TextNode(text=fact) for fact in FACTS]
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=1)
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm, response_mode=mode)
    answer = colour.call(engine, "query", "What is the capital of Zubrowka?")
    assert "Lutz" in str(answer)
    assert [source.text for source in answer.source_nodes] == [FACTS[0]]


def test_a_chat_engine(llm: OneRouterLLM, colour: Colour) -> None:
    """The second turn goes with the first."""
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults(llm=llm))
    colour.call(engine, "chat", "The capital of Zubrowka is Lutz.")
    assert "Lutz" in str(colour.call(engine, "chat", "What is the capital of Zubrowka?"))


def test_a_completion(llm: OneRouterLLM, colour: Colour) -> None:
    """A prompt is a message of the user's, streamed or not."""
    whole = colour.complete(llm, "Hi")
    last = colour.stream_complete(llm, "Hi")[-1]
    assert whole.text == last.text
    assert whole.text.startswith("Hello")
    assert whole.additional_kwargs["total_tokens"] == last.additional_kwargs["total_tokens"] > 0


def test_an_object_by_a_grammar(llm: OneRouterLLM, colour: Colour) -> None:
    """The schema binds the engine."""
    found = colour.call(llm, "structured_predict", Person, PROMPT, age=36)
    assert isinstance(found, Person)
    asked = [ChatMessage(PROMPT.format(age=36))]
    response = colour.chat(llm.as_structured_llm(Person), asked)
    assert response.raw == found


def test_an_object_that_streams(llm: OneRouterLLM, colour: Colour) -> None:
    """Partial objects come first, the last one is whole."""
    *partial, last = colour.collect(llm, "stream_structured_predict", Person, PROMPT, age=36)
    assert partial
    assert isinstance(last, Person)


def test_an_object_cut_short(llm: OneRouterLLM, colour: Colour) -> None:
    """Half an object is an error, not an object."""
    with pytest.raises(OneRouterError):
        colour.call(llm, "structured_predict", Person, PROMPT, age=36, llm_kwargs={"max_tokens": 8})


def test_tools_that_this_model_does_not_call(llm: OneRouterLLM, colour: Colour) -> None:
    """Its template knows no tools: the engine answers 200, in words, though a call was required."""
    tools = [FunctionTool.from_defaults(get_weather)]
    asked = {"user_msg": "Weather in Oslo?", "tool_required": True}
    response = colour.call(llm, "chat_with_tools", tools, **asked)
    assert response.message.content
    with pytest.raises(ValueError, match="tool call"):
        llm.get_tool_calls_from_response(response)


def test_a_history_with_tool_calls(llm: OneRouterLLM, colour: Colour) -> None:
    """Calls and their results are taken by the engine's own reading of messages."""
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
    assert colour.chat(llm, history).message.content
