"""Sums of chunks, in the ways of LangChain and of its users, equal the complete message."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import sys
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    message_chunk_to_message,
    messages_from_dict,
    messages_to_dict,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableParallel
from langchain_core.tracers.langchain import LangChainTracer

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator
from tests.langchain.conftest import LLMFactory, Mode
from tests.langchain.scripted_replies import (
    BILLING,
    arguments_delta,
    call_delta,
    complete_reply,
    streamed_reply,
)

COST = BILLING["cost"]
STREAM = streamed_reply(["Hel", "lo ", "you"], **BILLING)
CUT = streamed_reply(
    ["So ", call_delta("remember", "c"), arguments_delta('{"what": "Par')], "length", **BILLING
)
ALL_AT_ONCE: Callable[[list[Any]], Any] = lambda chunks: chunks[0] + chunks[1:]  # noqa: E731
ONE_BY_ONE: Callable[[list[Any]], Any] = lambda chunks: reduce(add, chunks)  # noqa: E731
REST_FIRST: Callable[[list[Any]], Any] = lambda chunks: chunks[0] + reduce(add, chunks[1:])  # noqa: E731
each_sum = pytest.mark.parametrize(
    "sum_chunks", [ALL_AT_ONCE, ONE_BY_ONE, REST_FIRST], ids=["at once", "one by one", "rest first"]
)
each_version = pytest.mark.parametrize("version", ["v0", "v1"])


def comparable(message: AIMessage) -> dict[str, Any]:
    """Return the fields of a message without those that differ by request."""
    fields = message.model_dump(exclude={"id", "type", "tool_call_chunks", "chunk_position"})
    del fields["response_metadata"]["request_id"]
    return fields


@each_version
@each_sum
@pytest.mark.parametrize("reply", [STREAM, CUT], ids=["text", "a cut call"])
def test_every_sum_is_the_same(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory, sim: Simulator, mode: Mode, reply: Script, sum_chunks: Any, version: str
) -> None:
    """The invalid call with text and error as received, and the cost in the usage."""
    llm = make_llm(cost_in_usage=True, output_version=version)
    sim.script(reply)
    chunks = mode.stream(llm, "Hi")
    total = sum_chunks(chunks)
    assert total == reduce(add, chunks) == chunks[0] + chunks[1:]
    assert type(total) is AIMessageChunk
    assert type(message_chunk_to_message(total)) is AIMessage
    assert total.usage_metadata["total_cost"] == COST
    assert [call["args"] for call in total.invalid_tool_calls] in ([], ['{"what": "Par'])


@each_sum
def test_a_sum_equals_the_complete_message(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, sum_chunks: Any
) -> None:
    """With cost, name and finish reason."""
    llm = make_llm(cost_in_usage=True)
    sim.script(
        complete_reply({"content": "Hello you", "name": "planner"}, **BILLING),
        streamed_reply([{"name": "planner", "content": "Hel"}, "lo ", "you"], **BILLING),
    )
    complete, total = mode.invoke(llm, "Hi"), sum_chunks(mode.stream(llm, "Hi"))
    assert complete.name == total.name == "planner"
    assert comparable(total) == comparable(complete)


def test_sums_of_several_streams_add_the_costs(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """Both the chunks of two streams, and two sums with a stream between them."""
    sim.script(STREAM, STREAM)
    llm = make_llm(cost_in_usage=True)
    chunks = [*mode.stream(llm, "Hi"), *mode.stream(llm, "Hi")]
    for sum_chunks in (ALL_AT_ONCE, ONE_BY_ONE):
        total = sum_chunks(chunks)
        assert total.usage_metadata["total_cost"] == pytest.approx(2 * COST)
        assert total.usage_metadata["total_tokens"] == 300


def test_a_stream_of_one_chunk_has_the_cost(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """After a tool's result a model may have nothing to add."""
    history = [
        HumanMessage("Hi"),
        AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "c"}]),
        {"role": "tool", "content": "1", "tool_call_id": "c"},
    ]
    sim.script(streamed_reply([], **BILLING))
    (chunk,) = mode.stream(make_llm(cost_in_usage=True), history)
    assert type(message_chunk_to_message(chunk)) is AIMessage
    assert chunk.usage_metadata["total_cost"] == COST


def test_the_first_and_the_last_chunk_are_like_others(
    llm: ChatOneRouter, sim: Simulator, mode: Mode
) -> None:
    """They compare, print, copy and serialize as chunks of LangChain."""
    sim.script(STREAM)
    first, *_, last = mode.stream(llm, "Hi")
    for edge in (first, last):
        plain = AIMessageChunk(**{name: getattr(edge, name) for name in edge.model_fields_set})
        assert edge == plain
        assert plain == edge
        assert edge != AIMessageChunk("other")
        assert repr(edge) == repr(plain)
        assert dumpd(edge) == dumpd(plain)
        assert messages_from_dict(json.loads(json.dumps(messages_to_dict([edge])))) == [plain]
        assert copy.deepcopy(edge) == edge == pickle.loads(pickle.dumps(edge))  # noqa: S301 -- this test has made it
    with pytest.raises(TypeError):
        first + 1


def test_pickled_chunks_have_the_same_sum(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """They are added in another process, for example."""
    sim.script(CUT)
    chunks = mode.stream(make_llm(cost_in_usage=True), "Hi")
    copies = [pickle.loads(pickle.dumps(chunk)) for chunk in chunks]  # noqa: S301 -- this test has made them
    assert reduce(add, copies) == copies[0] + copies[1:] == reduce(add, chunks)


def test_a_chunk_in_a_checkpoint_is_one_of_langchain(
    llm: ChatOneRouter, sim: Simulator, mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    """LangGraph warns of classes that it does not know, and will not load them."""
    serde = pytest.importorskip("langgraph.checkpoint.serde.jsonplus", exc_type=ImportError)
    sim.script(STREAM)
    serializer = serde.JsonPlusSerializer()
    for chunk in mode.stream(llm, "Hi"):
        loaded = serializer.loads_typed(serializer.dumps_typed(chunk))
        assert (type(loaded), loaded) == (AIMessageChunk, chunk)
    assert caplog.records == []


# --- cost in the usage, wherever LangChain adds chunks ---


class Messages(BaseCallbackHandler):
    """Callback handler that keeps the messages of the results."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def on_llm_end(self, response: Any, **_: Any) -> None:
        """Keep the message."""
        self.messages.append(response.generations[0][0].message)


def tracer_and_runs() -> tuple[LangChainTracer, list[Any]]:
    """Return LangSmith's tracer of LangChain, and the list of model runs that it would send."""
    runs: list[Any] = []

    class Tracer(LangChainTracer):
        def _persist_run_single(self, run: Any) -> None: ...

        def _update_run_single(self, run: Any) -> None:
            if run.run_type == "llm":
                runs.append(run)

    client: Any = object()
    return Tracer(client=client), runs


def runnables(llm: ChatOneRouter) -> dict[str, Runnable]:
    """Return runnables that stream from the model."""
    return {
        "model": llm,
        "chain": llm | StrOutputParser(),
        "parallel": RunnableParallel(answer=llm),
        "structured": llm.with_structured_output(method="json_mode", include_raw=True),
    }


@each_version
@pytest.mark.parametrize("name", ["model", "chain", "parallel", "structured"])
@pytest.mark.parametrize("streaming", [None, True], ids=["stream", "invoke with streaming"])
def test_langsmith_sees_the_cost_of_a_stream(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory, sim: Simulator, mode: Mode, name: str, streaming: Any, version: str
) -> None:
    """In the run's metadata and in its message, as of a complete reply."""
    (tracer, runs), handler = tracer_and_runs(), Messages()
    llm = make_llm(cost_in_usage=True, streaming=streaming, output_version=version)
    sim.script(streamed_reply(['{"a"', ": 1", "}"], **BILLING))
    call = mode.invoke if streaming else mode.stream
    call(runnables(llm)[name], "Hi", config={"callbacks": [tracer, handler]})
    (run,) = runs
    assert run.extra["metadata"]["usage_metadata"]["total_cost"] == COST
    message = run.outputs["generations"][0][0]["message"]["kwargs"]
    assert message["usage_metadata"]["total_cost"] == COST
    assert handler.messages[0].usage_metadata["total_cost"] == COST
    assert message["usage_metadata"]["total_tokens"] == 150


def test_langsmith_counts_a_request_for_several_answers_once(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """The usage is that of the request; the tracer adds up those of its messages."""
    tracer, runs = tracer_and_runs()
    reply = complete_reply({"content": "a"}, **BILLING)
    reply.json["choices"].append({**reply.json["choices"][0], "index": 1})
    sim.script(reply)
    first, second = mode.generate(make_llm(cost_in_usage=True), "Hi", n=2, callbacks=[tracer])
    assert (first.usage_metadata["total_tokens"], second.usage_metadata) == (150, None)
    (run,) = runs
    usage = run.extra["metadata"]["usage_metadata"]
    assert (usage["total_tokens"], usage["total_cost"]) == (150, COST)


def test_the_cost_in_streamed_events(make_llm: LLMFactory, sim: Simulator) -> None:
    """The last event of the model has the sum of the chunks."""
    llm = make_llm(cost_in_usage=True)

    async def events() -> list[Any]:
        return [event async for event in llm.astream_events("Hi", version="v2")]

    sim.script(STREAM)
    (end,) = [event for event in asyncio.run(events()) if event["event"] == "on_chat_model_end"]
    assert end["data"]["output"].usage_metadata["total_cost"] == COST


@pytest.mark.parametrize("stream_mode", ["messages", "updates", "values"])
def test_the_cost_in_an_agent(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, stream_mode: str
) -> None:
    """LangGraph streams the model's chunks, and adds them up for the state and for LangSmith."""
    agents = pytest.importorskip("langchain.agents", exc_type=ImportError)
    agent = agents.create_agent(make_llm(cost_in_usage=True), tools=[])
    tracer, runs = tracer_and_runs()
    sim.script(STREAM)
    question = {"messages": [HumanMessage("Hi")]}
    config = {"callbacks": [tracer]}
    if stream_mode == "messages":
        pairs = mode.stream(agent, question, stream_mode="messages", config=config)
        answer = reduce(add, [chunk for chunk, _ in pairs])
    elif stream_mode == "values":
        answer = mode.stream(agent, question, stream_mode="values")[-1]["messages"][-1]
        sim.script(STREAM)
        mode.invoke(agent, question, config=config)
    else:
        (update,) = mode.stream(agent, question, stream_mode="updates", config=config)
        (answer,) = update["model"]["messages"]
    if runs or sys.version_info >= (3, 11):  # before, asyncio has no context for LangGraph's nodes
        assert runs[0].extra["metadata"]["usage_metadata"]["total_cost"] == COST
    assert answer.usage_metadata["total_cost"] == COST


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
def test_the_cost_in_an_agent_that_streams_protocol_events(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """LangChain's events of version 3 have no cost; the model's result has it."""
    agents = pytest.importorskip("langchain.agents", exc_type=ImportError)
    agent = agents.create_agent(make_llm(cost_in_usage=True), tools=[])
    tracer, runs = tracer_and_runs()
    sim.script(STREAM)
    config = {"callbacks": [tracer]}
    events = agent.stream_events({"messages": [HumanMessage("Hi")]}, version="v3", config=config)
    assert list(events)
    (run,) = runs
    assert run.extra["metadata"]["usage_metadata"]["total_cost"] == COST
    assert run.outputs["generations"][0][0]["generation_info"] == {"finish_reason": "stop"}
    assert run.outputs["llm_output"]["id"] == "gen-1"
