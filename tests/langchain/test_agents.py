"""Agents of the langchain package: tool calls, structured answers, streamed tokens, middleware."""

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
from tests.langchain.conftest import Async, LLMFactory, Mode
from tests.langchain.media import PNG_64

WEATHER_QUESTION = "What is the weather in 'Oslo', 21 degrees?"


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


@pytest.fixture
def requested_cities() -> list[str]:
    """Return the cities that the tool was called with: none at first."""
    return []


@pytest.fixture
def get_weather_tool(requested_cities: list[str]) -> BaseTool:
    """Return a tool that records its argument."""

    @tool
    def get_weather(city: str) -> str:
        """Get the weather of a city."""
        requested_cities.append(city)
        return f"sunny in {city}"

    return get_weather


def agent_input(text: str = WEATHER_QUESTION) -> dict[str, Any]:
    """Return an agent's input with one user message."""
    return {"messages": [("user", text)]}


@pytest.mark.parametrize("streaming", [None, True])
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_an_agent_uses_a_tool(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory,
    mode: Mode,
    get_weather_tool: BaseTool,
    requested_cities: list[str],
    version: str,
    streaming: bool | None,
) -> None:
    """The messages are question, tool call, tool result and answer."""
    agent = create_agent(make_llm(output_version=version, streaming=streaming), [get_weather_tool])
    messages = mode.invoke(agent, agent_input())["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert requested_cities == ["Oslo"]
    assert messages[-1].text == "According to get_weather: sunny in Oslo"


def test_an_agent_sends_reasoning_back_with_a_tool_result(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, get_weather_tool: BaseTool
) -> None:
    """The reasoning before the tool call is sent back with its signature."""
    mode.invoke(
        create_agent(make_llm(reasoning={"effort": "low"}), [get_weather_tool]), agent_input()
    )
    _, answer, result = sim.last.body["messages"]
    assert answer["reasoning_details"][0]["signature"]
    assert answer["tool_calls"][0]["id"] == result["tool_call_id"]


@pytest.mark.parametrize("with_tools", [False, True])
@pytest.mark.parametrize(
    "response_format",
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
def test_an_agent_returns_a_structured_response(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory,
    sim: Simulator,
    mode: Mode,
    get_weather_tool: BaseTool,
    response_format: Any,
    with_tools: bool,
) -> None:
    """Every strategy and schema form works, with and without tools; no empty tool list is sent."""
    agent = create_agent(
        make_llm(), [get_weather_tool] if with_tools else [], response_format=response_format
    )
    structured = mode.invoke(agent, agent_input())["structured_response"]
    values = structured if isinstance(structured, dict) else structured.model_dump()
    assert values == {"city": "Oslo", "degrees": 21}
    for request in sim.requests:
        assert request.body.get("tools") != []
        if isinstance(response_format, ProviderStrategy):
            assert request.body["response_format"]["json_schema"]["name"] == "Weather"
        else:
            assert request.body["tool_choice"] == "required"


def test_an_agent_streams_tokens(
    make_llm: LLMFactory, mode: Mode, get_weather_tool: BaseTool
) -> None:
    """`stream_mode="messages"` yields each token of each answer, and the tool result."""
    if sys.version_info < (3, 11) and isinstance(mode, Async):
        pytest.skip("before Python 3.11 asyncio does not carry LangGraph's callbacks to the model")
    agent = create_agent(make_llm(), [get_weather_tool])
    chunks = [item for item, _ in mode.stream(agent, agent_input(), stream_mode="messages")]
    text = "".join(item.text for item in chunks if isinstance(item, AIMessage))
    assert text == "According to get_weather: sunny in Oslo"
    assert len([item for item in chunks if item.text and isinstance(item, AIMessage)]) > 2
    assert [item.content for item in chunks if isinstance(item, ToolMessage)] == ["sunny in Oslo"]
    arguments = "".join(
        call_chunk["args"] or ""
        for item in chunks
        for call_chunk in getattr(item, "tool_call_chunks", ())
    )
    assert arguments == '{"city": "Oslo"}'


INVALID_ARGUMENTS = [
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
@pytest.mark.parametrize("arguments", INVALID_ARGUMENTS)
def test_a_call_with_invalid_arguments_is_not_executed(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory,
    sim: Simulator,
    mode: Mode,
    get_weather_tool: BaseTool,
    requested_cities: list[str],
    arguments: str,
    streaming: bool | None,
) -> None:
    """Incomplete or malformed arguments make an invalid tool call, streamed or not."""
    call = tool_call("get_weather", arguments, "c", 0)
    events = [chunk({"tool_calls": [call]}), chunk({}, finish_reason="tool_calls")]
    complete = completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls")
    sim.script(Script(events=events) if streaming else Script(json=complete))
    messages = mode.invoke(
        create_agent(make_llm(streaming=streaming), [get_weather_tool]), agent_input()
    )["messages"]
    assert requested_cities == []
    assert messages[1].tool_calls == []
    assert [invalid["name"] for invalid in messages[1].invalid_tool_calls] == ["get_weather"]


def test_an_image_in_a_tool_result_reaches_the_model(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """The image follows the tool result in a user message."""

    @tool
    def take_picture(subject: str) -> list[dict[str, Any]]:
        """Take a picture."""
        return [{"type": "image", "base64": PNG_64, "mime_type": "image/png"}]

    agent = create_agent(make_llm(), [take_picture])
    messages = mode.invoke(agent, agent_input("Take a picture of 'Oslo'."))["messages"]
    assert "I see 1 image (image/png" in messages[-1].text
    assert [message["role"] for message in sim.last.body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "user",
    ]


def test_retry_middleware_repeats_a_transient_failure(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """ModelRetryMiddleware reads `is_retryable` of the error."""
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    agent = create_agent(make_llm(max_retries=0), [], middleware=[retry])
    sim.script(failure(500, "down"))
    assert mode.invoke(agent, agent_input("Hi"))["messages"][-1].content == "You said: Hi"
    assert len(sim.requests) == 2


def test_fallback_middleware_calls_the_next_model(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """Another model answers when the first one is not found."""
    fallback = ModelFallbackMiddleware(make_llm(model="simulated/senses"))
    agent = create_agent(make_llm(model="unknown/model"), [], middleware=[fallback])
    assert mode.invoke(agent, agent_input("Hi"))["messages"][-1].content == "You said: Hi"
    assert sim.last.body["model"] == "simulated/senses"


def test_summarization_middleware_uses_reported_tokens(make_llm: LLMFactory, mode: Mode) -> None:
    """The middleware trusts the usage of messages that have the model's provider name."""
    llm = make_llm()
    summary = SummarizationMiddleware(llm, trigger=("tokens", 5000), keep=("messages", 1))
    agent = create_agent(llm, [], middleware=[summary])
    earlier = AIMessage(
        "a",
        usage_metadata={"input_tokens": 9000, "output_tokens": 1, "total_tokens": 9001},
        response_metadata={"model_provider": "onerouter"},
    )
    messages = mode.invoke(agent, {"messages": [("user", "u"), earlier, ("user", "Hi")]})[
        "messages"
    ]
    assert "summary" in messages[0].text.lower()


def test_concurrent_agents_share_one_model(
    make_llm: LLMFactory, get_weather_tool: BaseTool
) -> None:
    """One model serves many conversations on one event loop."""
    agent = create_agent(make_llm(), [get_weather_tool])

    async def all_at_once() -> list[Any]:
        cities = (f"What is the weather in 'City {number}'?" for number in range(10))
        return await asyncio.gather(*(agent.ainvoke(agent_input(text)) for text in cities))

    for number, result in enumerate(asyncio.run(all_at_once())):
        assert result["messages"][-1].content.endswith(f"sunny in City {number}")


def test_call_limit_middleware_ends_the_run(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, get_weather_tool: BaseTool
) -> None:
    """ModelCallLimitMiddleware ends a run before its second request."""
    limit = ModelCallLimitMiddleware(run_limit=1, exit_behavior="end")
    mode.invoke(create_agent(make_llm(), [get_weather_tool], middleware=[limit]), agent_input())
    assert len(sim.requests) == 1


def test_human_approval_resumes_the_run(
    make_llm: LLMFactory, sim: Simulator, get_weather_tool: BaseTool
) -> None:
    """The run waits for approval; reasoning and calls are complete when it continues."""
    consent = HumanInTheLoopMiddleware(interrupt_on={"get_weather": True})
    agent = create_agent(
        make_llm(reasoning={"effort": "low"}),
        [get_weather_tool],
        middleware=[consent],
        checkpointer=InMemorySaver(),
    )
    thread: Any = {"configurable": {"thread_id": "1"}}
    waiting = agent.invoke(agent_input(), thread)
    assert waiting["__interrupt__"]
    assert len(sim.requests) == 1
    done = agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), thread)
    assert done["messages"][-1].text == "According to get_weather: sunny in Oslo"
    assert sim.last.body["messages"][1]["reasoning_details"][0]["signature"]
