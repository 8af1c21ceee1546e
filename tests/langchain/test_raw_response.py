"""`include_raw_response`: the gateway's JSON in `response_metadata["raw"]`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import HumanMessage

from langchain_onerouter.errors import ConfigurationError
from onerouter_simulator import Script, Simulator, completion
from tests.both_classes import LANGCHAIN, ask, call, model, question, script
from tests.langchain.conftest import LLMFactory, Mode

USAGE = {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}
MESSAGE = {"content": "Hi", "reasoning": "Hm.", "tool_calls": [call('{"a": 1}')]}


def answer(method: str, **root: Any) -> Script:
    """Return the script of an answer with keys that LangChain has no place for."""
    fields = {"cost": 0.25, "usage": USAGE, "upstream_ms": {"first": 7}, **root}
    return script(method, MESSAGE, "tool_calls", **fields)


@pytest.mark.parametrize("method", LANGCHAIN)
def test_the_raw_response_is_the_json_of_the_gateway(sim: Simulator, method: str) -> None:
    """Of a stream it is the completion that the events add up to."""
    sim.script(answer(method))
    raw = ask(model(sim, method, include_raw_response=True), method).response_metadata["raw"]
    (choice,) = raw["choices"]
    assert raw["object"] == "chat.completion"
    assert choice["message"]["content"] == "Hi"
    assert choice["message"]["reasoning"] == "Hm."
    assert choice["message"]["tool_calls"] == MESSAGE["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert (raw["usage"], raw["cost"], raw["upstream_ms"]) == (USAGE, 0.25, {"first": 7})


@pytest.mark.parametrize("method", LANGCHAIN)
def test_there_is_none_by_default(sim: Simulator, method: str) -> None:
    """Nothing else changes."""
    sim.script(answer(method), answer(method))
    plain = ask(model(sim, method), method).response_metadata
    raw = ask(model(sim, method, include_raw_response=True), method).response_metadata
    ids = {"id", "request_id"}
    assert "raw" not in plain
    assert plain.keys() == raw.keys() - {"raw"}
    assert all(plain[key] == raw[key] for key in plain.keys() - ids)


def test_one_chunk_has_it(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """It is that with the other metadata, so that a sum has it once."""
    sim.script(answer("stream"))
    chunks = mode.stream(make_llm(include_raw_response=True), "Hi")
    with_raw = [chunk for chunk in chunks if "raw" in chunk.response_metadata]
    assert len(chunks) > 1
    assert with_raw == [chunk for chunk in chunks if "cost" in chunk.response_metadata]
    assert len(with_raw) == 1


def test_a_batch_has_one_for_each_answer(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """Each is its own."""
    answers = mode.batch(make_llm(include_raw_response=True), ["One", "Two"])
    raw = [a.response_metadata["raw"]["choices"][0]["message"]["content"] for a in answers]
    assert raw == ["You said: One", "You said: Two"]
    assert len(sim.requests) == 2


def test_each_of_several_answers_has_the_whole_json(make_llm: LLMFactory, mode: Mode) -> None:
    """It has all choices."""
    messages = mode.generate(make_llm(include_raw_response=True, n=2), "Hi")
    assert [len(m.response_metadata["raw"]["choices"]) for m in messages] == [2, 2]


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.filterwarnings("ignore")  # version 3 is in beta
def test_events_and_streamed_calls_end_with_it(make_llm: LLMFactory, version: Any) -> None:
    """The message that a callback receives is the sum of the chunks."""
    llm = make_llm(include_raw_response=True)
    assert (
        "raw" in make_llm(include_raw_response=True, streaming=True).invoke("Hi").response_metadata
    )

    async def last_metadata() -> Any:
        if version == "v3":
            return (await (await llm.astream_events("Hi", version="v3")).output).response_metadata
        events = [event async for event in llm.astream_events("Hi", version="v2")]
        return events[-1]["data"]["output"].response_metadata

    assert asyncio.run(last_metadata())["raw"]["choices"]


@pytest.mark.parametrize("method", LANGCHAIN)
def test_no_secret_is_in_it(sim: Simulator, method: str) -> None:
    """Some servers echo the headers of a request."""
    headers = {"x-api-key": "secret-of-the-proxy"}
    echoed = {"authorization": [f"Bearer {sim.api_key}"], **headers}
    sim.script(answer(method, echo=echoed))
    llm = model(sim, method, include_raw_response=True, default_headers=headers)
    raw = ask(llm, method).response_metadata["raw"]
    assert raw["echo"] == {"authorization": ["Bearer ***"], "x-api-key": "***"}


@pytest.mark.parametrize("method", LANGCHAIN)
def test_it_is_not_sent_back(sim: Simulator, method: str) -> None:
    """The next request has the message alone."""
    sim.script(answer(method, upstream_ms="once"), answer(method))
    llm = model(sim, method, include_raw_response=True)
    first = ask(llm, method)
    ask(llm, method, [question(method), first, HumanMessage("More")])
    assert b"once" not in sim.last.raw


def test_it_is_a_copy(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """A change of it changes nothing else of the message."""
    sim.script(Script(json=completion(usage=USAGE)))
    message = mode.invoke(make_llm(include_raw_response=True), "Hi")
    message.response_metadata["raw"]["usage"].clear()
    assert message.response_metadata["token_usage"] == USAGE


def test_an_answer_without_it_is_not_taken_from_the_cache(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """The key of the cache contains it; with it, the cached answer has it, too."""
    cache = InMemoryCache()
    mode.invoke(make_llm(cache=cache), "Hi")
    for _ in range(2):
        llm = make_llm(cache=cache, include_raw_response=True)
        assert "raw" in mode.invoke(llm, "Hi").response_metadata
    assert len(sim.requests) == 2


def test_it_belongs_to_the_model(make_llm: LLMFactory, mode: Mode) -> None:
    """Per call it is an error."""
    with pytest.raises(ConfigurationError, match="include_raw_response belongs to the model"):
        mode.invoke(make_llm(), "Hi", include_raw_response=True)
