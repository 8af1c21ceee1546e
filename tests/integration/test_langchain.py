"""LangChain's own things with a real model: chains, objects by a grammar, agents, histories."""

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
from tests.integration.conftest import reaching
from tests.integration.servers import Server
from tests.langchain.conftest import Async, Colour, Sync

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers


class Person(BaseModel):
    """A person, as short as a small model keeps it."""

    name: str = Field(max_length=30)
    age: int = Field(ge=0, le=120)
    mood: Literal["glad", "sad"]


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """Run a test twice, once in each colour."""
    return request.param


@pytest.fixture
def llm(server: Server) -> Iterator[ChatOneRouter]:
    """Make a model that speaks to the server."""
    with ChatOneRouter(**reaching(server)) as model:
        yield model


def test_a_chain(llm: ChatOneRouter, colour: Colour) -> None:
    """Prompt, model, parser; the answer is in the prompt, and streams."""
    prompt = ChatPromptTemplate.from_messages(
        [("human", "The capital of {country} is {city}. What is the capital of {country}?")]
    )
    chain = prompt | llm | StrOutputParser()
    asked = {"country": "Zubrowka", "city": "Lutz"}
    pieces = colour.stream(chain, asked)
    assert "Lutz" in colour.invoke(chain, asked)
    assert "Lutz" in "".join(pieces)
    assert len(pieces) > 3


def test_an_object_by_a_grammar(llm: ChatOneRouter, colour: Colour) -> None:
    """The schema binds the engine; partial objects stream and the last is whole."""
    text = "Ada Lovelace is 36 years old and glad."
    asking = llm.with_structured_output(Person)
    found = colour.invoke(asking, text)
    assert isinstance(found, Person)
    assert colour.stream(asking, text)[-1] == found


def test_an_object_with_its_message(llm: ChatOneRouter, colour: Colour) -> None:
    """What was said and counted comes with the object."""
    asking = llm.with_structured_output(Person, include_raw=True)
    found = colour.invoke(asking, "Ada Lovelace is 36 years old and glad.")
    assert Person.model_validate_json(found["raw"].text) == found["parsed"]
    assert found["raw"].usage_metadata["output_tokens"] > 0


def test_an_object_cut_short(llm: ChatOneRouter, colour: Colour) -> None:
    """Half an object is an error, not an object."""
    with pytest.raises(OneRouterError):
        colour.invoke(llm.with_structured_output(Person), "Ada is glad.", max_tokens=8)


def test_tools_that_this_model_does_not_call(llm: ChatOneRouter, colour: Colour) -> None:
    """Its template knows no tools: the engine answers 200, in words, though a call was required."""
    answer = colour.invoke(llm.bind_tools([get_weather], tool_choice="any"), "Weather in Oslo?")
    assert (answer.tool_calls, answer.invalid_tool_calls) == ([], [])
    assert answer.text
    asking = llm.with_structured_output(Person, method="function_calling")
    with pytest.raises(OneRouterError):
        colour.invoke(asking, "How are you?", max_tokens=8)


def test_an_agent_that_needs_no_tool(llm: ChatOneRouter, colour: Colour) -> None:
    """It ends with the model's words."""
    asked: Any = {"messages": [("user", "Hi")]}
    messages = colour.invoke(create_agent(llm, [get_weather]), asked)["messages"]
    assert [message.type for message in messages] == ["human", "ai"]
    assert messages[-1].text.startswith("Hello")


def test_a_history_with_tool_calls(llm: ChatOneRouter, colour: Colour) -> None:
    """Calls and their results are taken by the engine's own reading of messages."""
    call = {"name": "get_weather", "args": {"city": "Oslo"}, "id": "call-1"}
    history = [
        HumanMessage("What is the weather in Oslo?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("sunny in Oslo", tool_call_id="call-1"),
    ]
    answer = colour.invoke(llm.bind_tools([get_weather]), history)
    assert answer.text
    assert answer.usage_metadata["input_tokens"] > 0
