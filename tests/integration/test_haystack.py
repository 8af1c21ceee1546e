"""The Haystack example: replies, sync and async, whole and streamed; tools, objects and errors."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from onerouter_core.errors import LengthLimitError, RateLimitError
from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call

EXAMPLES = Path(__file__).parents[2] / "examples"


class City(BaseModel):
    """A city."""

    name: str
    people: int


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """Import the example."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")
    pytest.importorskip("haystack", reason="make integration installs it")
    spec = importlib.util.spec_from_file_location(
        "haystack_generator", EXAMPLES / "haystack_generator.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]
    monkeypatch.undo()


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """Run a gateway of this test's own."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def generator(example: Any, sim: Simulator) -> Any:
    """Return the generator, with the simulator as its gateway."""
    return example.OneRouterChatGenerator(
        "simulated/echo", base_url=sim.base_url, api_key=sim.api_key, max_retries=0
    )


@pytest.fixture(params=["run", "run_async"])
def run(request: pytest.FixtureRequest, generator: Any, example: Any) -> Any:
    """Return a function that runs the generator; it returns the reply and the chunks."""

    def call(messages: Any, *, is_streamed: bool = False, **kwargs: Any) -> tuple[Any, list[Any]]:
        chunks: list[Any] = []

        async def add(item: Any) -> None:
            chunks.append(item)

        texts = (
            messages if isinstance(messages, list) else [example.ChatMessage.from_user(messages)]
        )
        if request.param == "run":
            callback: Any = chunks.append
            result = generator.run(texts, callback if is_streamed else None, **kwargs)
        else:
            result = asyncio.run(generator.run_async(texts, add if is_streamed else None, **kwargs))
        return result["replies"][0], chunks

    return call


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_reply_has_text_usage_and_model(run: Any, sim: Simulator, is_streamed: bool) -> None:
    """The chunks of a stream add up to it; keywords of a run are sent."""
    reply, chunks = run("Hello", is_streamed=is_streamed, generation_kwargs={"temperature": 0})
    assert reply.text == "You said: Hello"
    assert reply.meta["usage"]["total_tokens"] > 0
    assert reply.meta["model"] == "simulated/echo"
    assert "".join(item.content for item in chunks) == (reply.text if is_streamed else "")
    assert sim.last.body["temperature"] == 0


def add_numbers(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_tool_call_makes_the_round_trip(
    run: Any, sim: Simulator, example: Any, is_streamed: bool
) -> None:
    """The model calls, Haystack's tool runs, and the model reads the result."""
    haystack_tools = pytest.importorskip("haystack.tools")
    tool = haystack_tools.create_tool_from_function(add_numbers)
    call = tool_call("add_numbers", {"a": 2, "b": 3}, "c1")
    events = [chunk({"tool_calls": [{**call, "index": 0}]}), chunk({}, finish_reason="tool_calls")]
    body = completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls")
    sim.script(Script(events=events) if is_streamed else Script(json=body))
    question = example.ChatMessage.from_user("2 + 3?")
    asked, chunks = run([question], is_streamed=is_streamed, tools=[tool])
    (made,) = asked.tool_calls
    assert (made.tool_name, made.arguments, made.id) == ("add_numbers", {"a": 2, "b": 3}, "c1")
    assert bool(chunks) == is_streamed
    result = example.ChatMessage.from_tool(str(tool.invoke(**made.arguments)), origin=made)
    run([question, asked, result], tools=[tool])
    *_, sent_call, sent_result = sim.last.body["messages"]
    assert sent_call["tool_calls"][0]["function"]["name"] == "add_numbers"
    assert (sent_result["tool_call_id"], sent_result["content"]) == ("c1", "5")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_an_object_is_of_the_class(run: Any, sim: Simulator, is_streamed: bool) -> None:
    """Also of a model without JSON schemas, which is remembered."""
    sim.script(failure(400, "response_format json_schema is not supported by this model"))
    for _ in range(2):
        reply, _ = run("3 people in 'Oslo'", is_streamed=is_streamed, output_class=City)
        assert reply.meta["object"] == City(name="Oslo", people=3)
    assert ["tools" in request.body for request in sim.requests] == [False, True, True]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_an_error_has_its_class(run: Any, sim: Simulator, is_streamed: bool) -> None:
    """Of the call, and of an object."""
    sim.script(failure(429, "Too many requests"))
    with pytest.raises(RateLimitError):
        run("Hello", is_streamed=is_streamed)
    cut = completion('{"name": "Os', finish_reason="length")
    sim.script(Script(json=cut))
    with pytest.raises(LengthLimitError, match="length limit"):
        run("Oslo?", is_streamed=is_streamed, output_class=City)
