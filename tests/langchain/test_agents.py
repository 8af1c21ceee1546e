"""Agents of the langchain package: tools, structured answers, tokens as they come, broken calls."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
)
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.langchain.conftest import Async, Colour, Make
from tests.langchain.media import PNG_64

WEATHER = "What is the weather in 'Oslo', 21 degrees?"


class Weather(BaseModel):
    """The weather somewhere."""

    city: str
    degrees: int


@pytest.fixture
def asked() -> list[str]:
    """Return what the tool was asked for, which begins with nothing."""
    return []


@pytest.fixture
def weather(asked: list[str]) -> BaseTool:
    """Make a tool that writes down what it is asked for."""

    @tool
    def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        asked.append(city)
        return f"sunny in {city}"

    return get_weather


def talk(text: str = WEATHER) -> dict[str, Any]:
    """Return what an agent is asked."""
    return {"messages": [("user", text)]}


@pytest.mark.parametrize("streaming", [None, True])
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_an_agent_uses_a_tool(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make,
    colour: Colour,
    weather: BaseTool,
    asked: list[str],
    version: str,
    streaming: bool | None,
) -> None:
    """Question, call, result, answer."""
    agent = create_agent(make(output_version=version, streaming=streaming), [weather])
    messages = colour.invoke(agent, talk())["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert asked == ["Oslo"]
    assert messages[-1].text == "According to get_weather: sunny in Oslo"


def test_an_agent_that_thinks(
    make: Make, sim: Simulator, colour: Colour, weather: BaseTool
) -> None:
    """What it thought before the call goes back with it, signed."""
    colour.invoke(create_agent(make(reasoning={"effort": "low"}), [weather]), talk())
    _, spoken, result = sim.last.body["messages"]
    assert spoken["reasoning_details"][0]["signature"]
    assert spoken["tool_calls"][0]["id"] == result["tool_call_id"]


@pytest.mark.parametrize("with_tools", [False, True])
@pytest.mark.parametrize(
    "wanted",
    [
        Weather,
        ToolStrategy(Weather),
        ProviderStrategy(Weather),
        ToolStrategy(Weather.model_json_schema()),
        ProviderStrategy(Weather.model_json_schema()),
        Weather.model_json_schema(),
    ],
    ids=["class", "tool", "provider", "tool, dict", "provider, dict", "dict"],
)
def test_an_agent_answers_by_a_schema(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make,
    sim: Simulator,
    colour: Colour,
    weather: BaseTool,
    wanted: Any,
    with_tools: bool,
) -> None:
    """By every strategy, with tools and without; no empty list of tools is sent."""
    agent = create_agent(make(), [weather] if with_tools else [], response_format=wanted)
    answer = colour.invoke(agent, talk())["structured_response"]
    found = answer if isinstance(answer, dict) else answer.model_dump()
    assert found == {"city": "Oslo", "degrees": 21}
    for request in sim.requests:
        assert request.body.get("tools") != []
        if isinstance(wanted, ProviderStrategy):
            assert request.body["response_format"]["json_schema"]["name"] == "Weather"
        else:
            assert request.body["tool_choice"] == "required"


def test_tokens_of_an_agent(make: Make, colour: Colour, weather: BaseTool) -> None:
    """`stream_mode="messages"` hands out each token of each answer, and the tool's result."""
    if sys.version_info < (3, 11) and isinstance(colour, Async):
        pytest.skip("before Python 3.11 asyncio does not carry LangGraph's callbacks to the model")
    agent = create_agent(make(), [weather])
    parts = [part for part, _ in colour.stream(agent, talk(), stream_mode="messages")]
    text = "".join(part.text for part in parts if isinstance(part, AIMessage))
    assert text == "According to get_weather: sunny in Oslo"
    assert len([part for part in parts if part.text and isinstance(part, AIMessage)]) > 2
    assert [part.content for part in parts if isinstance(part, ToolMessage)] == ["sunny in Oslo"]
    arguments = "".join(
        piece["args"] or "" for part in parts for piece in getattr(part, "tool_call_chunks", ())
    )
    assert arguments == '{"city": "Oslo"}'


BROKEN = [
    '{"city": "Os',
    '{"city": "Oslo"',
    '{"city": "Oslo", "days": [1, {"a": ',
    '{"city": "Oslo"} and more',
    '["Oslo"]',
    '"Oslo"',
    "null",
    "{'city': 'Oslo'}",
    "Oslo",
]


@pytest.mark.parametrize("streaming", [None, True])
@pytest.mark.parametrize("arguments", BROKEN)
def test_a_broken_call_is_never_run(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make,
    sim: Simulator,
    colour: Colour,
    weather: BaseTool,
    asked: list[str],
    arguments: str,
    streaming: bool | None,
) -> None:
    """Half an argument is not acted on, streamed or not."""
    call = tool_call("get_weather", arguments, "c", 0)
    events = [chunk({"tool_calls": [call]}), chunk({}, finish_reason="tool_calls")]
    whole = completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls")
    sim.script(Script(events=events) if streaming else Script(json=whole))
    messages = colour.invoke(create_agent(make(streaming=streaming), [weather]), talk())["messages"]
    assert asked == []
    assert messages[1].tool_calls == []
    assert [bad["name"] for bad in messages[1].invalid_tool_calls] == ["get_weather"]


def test_a_tool_that_shows_a_picture(make: Make, sim: Simulator, colour: Colour) -> None:
    """What a tool's role cannot carry reaches the model all the same."""

    @tool
    def take_picture(what: str) -> list[dict[str, Any]]:
        """Take a picture."""
        return [{"type": "image", "base64": PNG_64, "mime_type": "image/png"}]

    agent = create_agent(make(), [take_picture])
    messages = colour.invoke(agent, talk("Take a picture of 'Oslo'."))["messages"]
    assert "I see 1 image (image/png" in messages[-1].text
    assert [message["role"] for message in sim.last.body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "user",
    ]


def test_an_agents_retry_asks_the_error(make: Make, sim: Simulator, colour: Colour) -> None:
    """LangChain's middleware asks again where it helps, and only there."""
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    agent = create_agent(make(max_retries=0), [], middleware=[retry])
    sim.script(failure(500, "down"))
    assert colour.invoke(agent, talk("Hi"))["messages"][-1].content == "You said: Hi"
    assert len(sim.requests) == 2


def test_an_agent_falls_back(make: Make, sim: Simulator, colour: Colour) -> None:
    """Another model answers where the first is not there."""
    fallback = ModelFallbackMiddleware(make(model="simulated/senses"))
    agent = create_agent(make(model="unknown/model"), [], middleware=[fallback])
    assert colour.invoke(agent, talk("Hi"))["messages"][-1].content == "You said: Hi"
    assert sim.last.body["model"] == "simulated/senses"


def test_an_agent_summarises_by_the_tokens_we_report(make: Make, colour: Colour) -> None:
    """The middleware believes counts of a message whose provider is the model's."""
    llm = make()
    summary = SummarizationMiddleware(llm, trigger=("tokens", 5000), keep=("messages", 1))
    agent = create_agent(llm, [], middleware=[summary])
    long = AIMessage(
        "a",
        usage_metadata={"input_tokens": 9000, "output_tokens": 1, "total_tokens": 9001},
        response_metadata={"model_provider": "onerouter"},
    )
    messages = colour.invoke(agent, {"messages": [("user", "u"), long, ("user", "Hi")]})["messages"]
    assert "summary" in messages[0].text.lower()


def test_many_agents_at_once(make: Make, weather: BaseTool) -> None:
    """One model serves many conversations of one loop."""
    agent = create_agent(make(), [weather])

    async def all_at_once() -> list[Any]:
        cities = (f"What is the weather in 'City {number}'?" for number in range(10))
        return await asyncio.gather(*(agent.ainvoke(talk(text)) for text in cities))

    for number, result in enumerate(asyncio.run(all_at_once())):
        assert result["messages"][-1].content.endswith(f"sunny in City {number}")


def test_an_agent_stops_at_its_limit(
    make: Make, sim: Simulator, colour: Colour, weather: BaseTool
) -> None:
    """LangChain's call limit ends a run that would have asked twice."""
    limit = ModelCallLimitMiddleware(run_limit=1, exit_behavior="end")
    colour.invoke(create_agent(make(), [weather], middleware=[limit]), talk())
    assert len(sim.requests) == 1


def test_a_human_in_the_loop(make: Make, sim: Simulator, weather: BaseTool) -> None:
    """A call waits for consent; what was thought and asked is whole when the run goes on."""
    consent = HumanInTheLoopMiddleware(interrupt_on={"get_weather": True})
    agent = create_agent(
        make(reasoning={"effort": "low"}),
        [weather],
        middleware=[consent],
        checkpointer=InMemorySaver(),
    )
    thread: Any = {"configurable": {"thread_id": "1"}}
    waiting = agent.invoke(talk(), thread)
    assert waiting["__interrupt__"]
    assert len(sim.requests) == 1
    done = agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), thread)
    assert done["messages"][-1].text == "According to get_weather: sunny in Oslo"
    assert sim.last.body["messages"][1]["reasoning_details"][0]["signature"]
