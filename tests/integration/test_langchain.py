"""LangChain with a real model: chains, structured output, agents, histories with tool calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from langchain_onerouter import ChatOneRouter
from onerouter_core import OneRouterError
from tests.integration.conftest import model_fields
from tests.integration.servers import Server
from tests.langchain.conftest import Async, Mode, Sync

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers


class Person(BaseModel):
    """A person; the fields are short enough for a small model."""

    name: str = Field(max_length=30)
    age: int = Field(ge=0, le=120)
    mood: Literal["glad", "sad"]


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run a test sync and async."""
    return request.param


@pytest.fixture
def llm(server: Server) -> Iterator[ChatOneRouter]:
    """Provide a model connected to the server."""
    with ChatOneRouter(**model_fields(server)) as model:
        yield model


def test_a_chain_answers_and_streams(llm: ChatOneRouter, mode: Mode) -> None:
    """Prompt, model and parser; the prompt contains the answer."""
    prompt = ChatPromptTemplate.from_messages(
        [("human", "The capital of {country} is {city}. What is the capital of {country}?")]
    )
    chain = prompt | llm | StrOutputParser()
    variables = {"country": "Zubrowka", "city": "Lutz"}
    chunks = mode.stream(chain, variables)
    assert "Lutz" in mode.invoke(chain, variables)
    assert "Lutz" in "".join(chunks)
    assert len(chunks) > 3


def test_structured_output_follows_the_schema(llm: ChatOneRouter, mode: Mode) -> None:
    """The engine makes a grammar of the schema; the last object of a stream is complete."""
    text = "Ada Lovelace is 36 years old and glad."
    structured = llm.with_structured_output(Person)
    person = mode.invoke(structured, text)
    assert isinstance(person, Person)
    assert mode.stream(structured, text)[-1] == person


def test_include_raw_returns_the_message_too(llm: ChatOneRouter, mode: Mode) -> None:
    """The message has the text and the usage of the object."""
    structured = llm.with_structured_output(Person, include_raw=True)
    output = mode.invoke(structured, "Ada Lovelace is 36 years old and glad.")
    assert Person.model_validate_json(output["raw"].text) == output["parsed"]
    assert output["raw"].usage_metadata["output_tokens"] > 0


def test_a_cut_object_is_an_error(llm: ChatOneRouter, mode: Mode) -> None:
    """A length limit within the object raises."""
    with pytest.raises(OneRouterError):
        mode.invoke(llm.with_structured_output(Person), "Ada is glad.", max_tokens=8)


def test_a_model_without_tool_support_answers_in_text(llm: ChatOneRouter, mode: Mode) -> None:
    """Its template has no tools: the engine answers 200 and text, though a call is required."""
    answer = mode.invoke(llm.bind_tools([get_weather], tool_choice="any"), "Weather in Oslo?")
    assert (answer.tool_calls, answer.invalid_tool_calls) == ([], [])
    assert answer.text
    structured = llm.with_structured_output(Person, method="function_calling")
    with pytest.raises(OneRouterError):
        mode.invoke(structured, "How are you?", max_tokens=8)


def test_an_agent_without_a_tool_call_ends_with_text(llm: ChatOneRouter, mode: Mode) -> None:
    """The agent ends with the first message of the model."""
    state: Any = {"messages": [("user", "Hi")]}
    messages = mode.invoke(create_agent(llm, [get_weather]), state)["messages"]
    assert [message.type for message in messages] == ["human", "ai"]
    assert messages[-1].text.startswith("Hello")


def test_a_history_with_tool_calls_is_accepted(llm: ChatOneRouter, mode: Mode) -> None:
    """The engine parses tool calls and their results itself."""
    call = {"name": "get_weather", "args": {"city": "Oslo"}, "id": "call-1"}
    history = [
        HumanMessage("What is the weather in Oslo?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("sunny in Oslo", tool_call_id="call-1"),
    ]
    answer = mode.invoke(llm.bind_tools([get_weather]), history)
    assert answer.text
    assert answer.usage_metadata["input_tokens"] > 0
