"""Runnable features of a model: batch, configurable fields, fallbacks and retries of LangChain."""

from __future__ import annotations

from langchain_core.runnables import ConfigurableField

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import InvalidRequestError
from onerouter_simulator import Simulator, failure
from tests.langchain.conftest import CallModel, LLMFactory, Mode


def test_batch_returns_answers_in_input_order(
    llm: ChatOneRouter, mode: Mode, sim: Simulator
) -> None:
    """Each input is one request."""
    inputs = [f"number {number}" for number in range(8)]
    messages = mode.batch(llm, inputs)
    assert [message.content for message in messages] == [f"You said: {text}" for text in inputs]
    assert len(sim.requests) == 8


def test_batch_with_return_exceptions(make_llm: LLMFactory, mode: Mode, sim: Simulator) -> None:
    """A failed input does not affect the others."""
    results = mode.batch(
        make_llm(max_retries=0), ["a", "b"], config={"max_concurrency": 1}, return_exceptions=True
    )
    assert [type(result).__name__ for result in results] == ["AIMessage"] * 2
    sim.script(failure(400, "no"))
    first, second = mode.batch(
        make_llm(), ["a", "b"], config={"max_concurrency": 1}, return_exceptions=True
    )
    assert isinstance(first, InvalidRequestError)
    assert second.content == "You said: b"


def test_configurable_fields(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """Fields can be set by configuration; the model still streams and has its key."""
    llm = make_llm().configurable_fields(
        model=ConfigurableField(id="model"), temperature=ConfigurableField(id="heat")
    )
    config = {"configurable": {"model": "simulated/senses", "heat": 0}}
    chunks = mode.stream(llm, "Hello you, how are you?", config=config)
    assert sim.last.body["model"] == "simulated/senses"
    assert sim.last.body["temperature"] == 0
    assert len(chunks) > 2


def test_with_fallbacks(make_llm: LLMFactory, sim: Simulator, call_model: CallModel) -> None:
    """The fallback model answers when the first model fails."""
    llm = make_llm(model="unknown/model").with_fallbacks([make_llm(model="simulated/senses")])
    assert call_model(llm, "Hi").content == "You said: Hi"
    assert [request.body["model"] for request in sim.requests] == [
        "unknown/model",
        "simulated/senses",
    ]


def test_with_retry(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """`with_retry` repeats a failed call."""
    sim.script(failure(500, "down"))
    llm = make_llm(max_retries=0).with_retry(
        stop_after_attempt=2, wait_exponential_jitter=False, retry_if_exception_type=(Exception,)
    )
    assert mode.invoke(llm, "Hi").content == "You said: Hi"
    assert len(sim.requests) == 2
