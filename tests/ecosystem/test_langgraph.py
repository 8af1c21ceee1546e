"""Agents on LangGraph: prebuilt teams, checkpoints, tools over MCP."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, completion, tool_call

MCP_SERVER = str(Path(__file__).with_name("mcp_server.py"))


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def calling(name: str, **arguments: str) -> Script:
    """Return a reply that calls a tool."""
    return Script(json=completion(None, message={"tool_calls": [tool_call(name, arguments)]}))


@pytest.mark.package("langgraph-supervisor", "a supervisor hands a question to an agent")
def test_supervisor(chat_model: ChatOneRouter, sim: Simulator) -> None:
    """The supervisor calls the agent by its hand-off tool, one call at a time."""
    weather = create_agent(chat_model, [get_weather], name="meteorologist")
    team = create_supervisor([weather], model=chat_model).compile()
    sim.script(calling("transfer_to_meteorologist"), calling("get_weather", city="Oslo"))
    state = team.invoke({"messages": [("user", "How is the weather in Oslo?")]})
    assert any("sunny in Oslo" in message.text for message in state["messages"])
    assert sim.requests[0].body["parallel_tool_calls"] is False


@pytest.mark.package("langgraph-swarm", "an agent hands the conversation over to another")
def test_swarm(chat_model: ChatOneRouter) -> None:
    """The second agent is active after the hand-off, in the next turn also."""
    greet = create_agent(chat_model, [create_handoff_tool(agent_name="meteorologist")], name="host")
    weather = create_agent(chat_model, [get_weather], name="meteorologist")
    swarm = create_swarm([greet, weather], default_active_agent="host")
    team = swarm.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    state = team.invoke({"messages": [("user", "transfer to meteorologist")]}, config)
    assert state["active_agent"] == "meteorologist"
    state = team.invoke({"messages": [("user", "get_weather in 'Oslo'")]}, config)
    assert "sunny in Oslo" in state["messages"][-1].text


@pytest.mark.package("langgraph-checkpoint-sqlite", "an agent remembers an earlier turn")
def test_sqlite(chat_model: ChatOneRouter, sim: Simulator, tmp_path: Path) -> None:
    """The history is read from the file: the second request has both turns."""
    config = {"configurable": {"thread_id": "1"}}
    for question in ("get_weather in 'Oslo'", "Thank you"):
        with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
            agent = create_agent(chat_model, [get_weather], checkpointer=saver)
            agent.invoke({"messages": [("user", question)]}, config)
    roles = [message["role"] for message in sim.last.body["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.package("deepagents", "an agent with files calls a tool")
def test_deep_agent(chat_model: ChatOneRouter, sim: Simulator) -> None:
    """The agent has its own tools besides the user's."""
    agent = create_deep_agent(model=chat_model, tools=[get_weather])
    state = agent.invoke({"messages": [("user", "get_weather in 'Oslo'")]})
    assert "sunny in Oslo" in state["messages"][-1].text
    tools = {tool["function"]["name"] for tool in sim.last.body["tools"]}
    assert {"get_weather", "write_file", "read_file"} <= tools


@pytest.mark.package("langchain-mcp-adapters", "an agent calls tools of an MCP server")
async def test_mcp_tools(chat_model: ChatOneRouter) -> None:
    """The server is a process, and the result of its tool comes back to the model."""
    server = {"transport": "stdio", "command": sys.executable, "args": [MCP_SERVER]}
    tools = await MultiServerMCPClient({"weather": server}).get_tools()
    agent = create_agent(chat_model, tools)
    state = await agent.ainvoke({"messages": [("user", "forecast for 'Oslo'")]})
    assert "rain in Oslo" in state["messages"][-1].text
