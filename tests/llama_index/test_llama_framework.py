"""LlamaIndex around the model: agents, engines, handlers, spans."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.program.function_program import FunctionCallingProgram
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import FunctionTool
from llama_index.retrievers.bm25 import BM25Retriever
from pydantic import BaseModel, Field

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, tool_call
from tests.llama_index.conftest import Colour, Make, say

# LlamaIndex's agents use names that pydantic and its own workflows have deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called:DeprecationWarning"),
]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add, name="math.add")


class Sum(BaseModel):
    """A sum."""

    total: int


def test_it_is_a_llama_index_model() -> None:
    """Everything that takes an LLM takes this one."""
    assert issubclass(OneRouterLLM, FunctionCallingLLM)
    assert issubclass(OneRouterLLM, BaseLLM)


# --- agents ---


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_runs_its_tools(make: Make, sim: Simulator, streaming: bool) -> None:
    """A FunctionAgent calls a tool with a dot in its name and answers with its result."""
    async with make() as llm:
        agent = FunctionAgent(tools=[ADD], llm=llm, streaming=streaming)
        handler = agent.run(
            "What is 20 + 22?", memory=ChatMemoryBuffer.from_defaults(token_limit=9000)
        )
        events = [event async for event in handler.stream_events()]
        answer = await handler
    (result,) = [event for event in events if isinstance(event, ToolCallResult)]
    assert (result.tool_name, result.tool_kwargs) == ("math.add", {"a": 20, "b": 22})
    assert "42" in str(answer)
    _, call, tool = sim.last.body["messages"]
    assert call["tool_calls"][0]["function"]["name"] == "math_add"
    assert tool == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "42"}
    assert answer.raw["usage"]


async def test_an_agent_never_runs_a_cut_call(make: Make, sim: Simulator) -> None:
    """A call that a length limit cut is told to the model, which tries again."""
    ran: list[int] = []
    tool = FunctionTool.from_defaults(lambda a, **_: ran.append(a), name="note", fn_schema=Sum)
    cut = tool_call("note", '{"a": 1, "b": "half a', index=0)
    sim.script(
        Script(events=[chunk({"tool_calls": [cut]}), chunk({}, finish_reason="length")]),
        Script(events=[chunk("Sorry."), chunk({}, finish_reason="stop")]),
    )
    async with make() as llm:
        answer = await FunctionAgent(tools=[tool], llm=llm).run(
            "x", memory=ChatMemoryBuffer.from_defaults(token_limit=9000)
        )
    assert ran == []
    assert str(answer) == "Sorry."
    _, call, told = sim.last.body["messages"]
    assert call["tool_calls"][0]["function"]["name"] == "note"
    assert told["content"].startswith("Tool note (not run: The arguments were cut off.")


async def test_an_agent_sends_reasoning_back(make: Make, sim: Simulator) -> None:
    """In a loop with tools the upstream gets its reasoning back unchanged; users see it stream."""
    details = [{"type": "reasoning.encrypted", "data": "abc==", "id": "r1"}]
    call = tool_call("math_add", {"a": 1, "b": 2}, index=0)
    sim.script(
        Script(
            events=[
                chunk({"reasoning": "Hm.", "reasoning_details": details}),
                chunk({"tool_calls": [call]}),
                chunk({}, finish_reason="tool_calls"),
            ]
        )
    )
    async with make() as llm:
        handler = FunctionAgent(tools=[ADD], llm=llm).run(
            "x", memory=ChatMemoryBuffer.from_defaults(token_limit=9000)
        )
        events = [event async for event in handler.stream_events()]
        await handler
    thoughts = [e.thinking_delta for e in events if isinstance(e, AgentStream) and e.thinking_delta]
    assert thoughts == ["Hm."]
    assert sim.last.body["messages"][1]["reasoning_details"] == details


async def test_an_agent_calls_in_parallel(make: Make, sim: Simulator) -> None:
    """Two calls in one answer both run, and both results go back."""
    calls = [tool_call("math_add", {"a": n, "b": n}, f"c{n}", index=n) for n in (0, 1)]
    sim.script(Script(events=[chunk({"tool_calls": calls}), chunk({}, finish_reason="tool_calls")]))
    async with make() as llm:
        await FunctionAgent(tools=[ADD], llm=llm).run(
            "x", memory=ChatMemoryBuffer.from_defaults(token_limit=9000)
        )
    assert [m["content"] for m in sim.last.body["messages"][2:]] == ["0", "2"]


async def test_an_agent_ends_with_an_object(make: Make, sim: Simulator) -> None:
    """`output_cls` makes an object of the conversation."""
    async with make() as llm:
        agent = FunctionAgent(tools=[ADD], llm=llm, output_cls=Sum)
        answer = await agent.run(
            "What is 20 + 22?", memory=ChatMemoryBuffer.from_defaults(token_limit=9000)
        )
    assert answer.get_pydantic_model(Sum) is not None
    assert sim.last.body["response_format"]["json_schema"]["name"] == "Sum"


async def test_a_react_agent_runs(make: Make, sim: Simulator) -> None:
    """An agent that reads words gets words."""
    events = [chunk("Thought: easy.\n"), chunk("Answer: 42"), chunk({}, finish_reason="stop")]
    sim.script(Script(events=events))
    async with make() as llm:
        answer = await ReActAgent(tools=[ADD], llm=llm).run(
            "x", memory=ChatMemoryBuffer.from_defaults(token_limit=9000)
        )
    assert str(answer) == "42"


def test_llama_index_streaming_program(llm: OneRouterLLM, sim: Simulator) -> None:
    """LlamaIndex's own program over tools finds the growing arguments where it looks for them."""
    deltas = [
        tool_call("Sum", '{"tot', index=0),
        {"index": 0, "function": {"arguments": 'al": 5}'}},
    ]
    events = [chunk({"tool_calls": [delta]}) for delta in deltas]
    sim.script(Script(events=[*events, chunk({}, finish_reason="tool_calls")]))
    program = FunctionCallingProgram.from_defaults(Sum, "5", llm=llm)
    *_, last = program.stream_call()
    assert last == Sum(total=5)


def test_events_can_be_written_down(llm: OneRouterLLM, watched: Any) -> None:
    """Handlers that export events as JSON meet nothing they cannot write."""
    _, events = watched
    llm.chat_with_tools([ADD], "x", tool_choice="math.add")
    llm.structured_predict(Sum, PromptTemplate("5"))
    chats = [event for event in events.events if "Chat" in event.class_name()]
    assert len(chats) == 4
    assert all(event.model_dump_json() for event in chats)


# --- engines ---


NODES = [
    TextNode(text="The lighthouse of Norden was built in 1886."),
    TextNode(text="The harbour of Norden freezes in January."),
    TextNode(text="Bread is baked at dawn."),
]


@pytest.mark.filterwarnings("ignore")  # of the retriever's numerics
@pytest.mark.parametrize("streaming", [False, True])
def test_a_query_engine_answers(llm: OneRouterLLM, sim: Simulator, streaming: bool) -> None:
    """What is retrieved goes into the prompt, and the answer rests on it."""
    retriever = BM25Retriever.from_defaults(nodes=NODES, similarity_top_k=1)
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm, streaming=streaming)
    answer = str(engine.query("When was the lighthouse of Norden built?"))
    assert "1886" in answer
    assert "The lighthouse of Norden" in sim.last.body["messages"][-1]["content"]


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "accumulate"])
def test_synthesizers_answer(colour: Colour, llm: OneRouterLLM, mode: str) -> None:
    """Every way to make one answer of many texts works."""
    nodes = [NodeWithScore(node=node) for node in NODES]
    synthesizer = get_response_synthesizer(llm=llm, response_mode=mode)  # type: ignore[arg-type]
    assert "1886" in str(colour.call(synthesizer, "synthesize", "When was it built?", nodes))


def test_a_synthesizer_makes_an_object(colour: Colour, llm: OneRouterLLM) -> None:
    """`output_cls` reaches structured prediction."""
    nodes = [NodeWithScore(node=node) for node in NODES]
    synthesizer = get_response_synthesizer(llm=llm, output_cls=Sum)  # type: ignore[arg-type]
    answer = colour.call(synthesizer, "synthesize", "When was the lighthouse built?", nodes)
    assert isinstance(answer.response, Sum)


def test_a_chat_engine_remembers(llm: OneRouterLLM, sim: Simulator) -> None:
    """Turns go back as they came."""
    engine = SimpleChatEngine.from_defaults(
        llm=llm, memory=ChatMemoryBuffer.from_defaults(token_limit=9000)
    )
    engine.chat("first")
    assert "".join(engine.stream_chat("second").response_gen) == "You said: second"
    assert [m["role"] for m in sim.last.body["messages"]] == ["user", "assistant", "user"]


def test_predict_and_stream(colour: Colour, make: Make) -> None:
    """The prompt helpers of every LLM."""
    llm = make(system_prompt="Be brief.")
    assert colour.call(llm, "predict", PromptTemplate("Say {x}"), x="hi") == "You said: Say hi"
    tokens = colour.collect(llm, "stream", PromptTemplate("Say {x}"), x="hi")
    assert "".join(tokens) == "You said: Say hi"


def test_prompts_fit_whatever_max_tokens_is(make: Make) -> None:
    """A large `max_tokens` leaves LlamaIndex room to pack texts."""
    helper = PromptHelper.from_llm_metadata(make(max_tokens=200_000).metadata)
    assert helper.repack(PromptTemplate("{context_str}"), ["a", "b"])


# --- handlers ---


def test_tokens_are_counted(colour: Colour, make: Make) -> None:
    """TokenCountingHandler sees what the gateway counted, streamed or not."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    llm = make(callback_manager=CallbackManager([counter]))
    for answered in (
        colour.chat(llm, say("Hello")),
        colour.stream_chat(llm, say("Hello"))[-1],
        colour.complete(llm, "Hello"),
        colour.stream_complete(llm, "Hello")[-1],
    ):
        event = counter.llm_token_counts[-1]
        assert event.prompt_token_count == answered.additional_kwargs["prompt_tokens"] < 1000
        assert event.completion_token_count == answered.additional_kwargs["completion_tokens"]


def test_tokens_of_objects_are_counted(colour: Colour, make: Make) -> None:
    """Structured prediction is a chat like any other to a handler."""
    counter = TokenCountingHandler(tokenizer=lambda _: [0] * 1000)
    llm = make(callback_manager=CallbackManager([counter]))
    colour.call(llm, "structured_predict", Sum, PromptTemplate("5"))
    colour.chat(llm.as_structured_llm(Sum), say("5"))
    assert len(counter.llm_token_counts) == 2
    assert 0 < counter.total_llm_token_count < 1000


class Spans(SimpleSpanHandler):
    """A handler that keeps the names of all spans."""

    names: list[str] = Field(default_factory=list)

    def new_span(self, id_: str, *args: Any, **kwargs: Any) -> SimpleSpan | None:
        """Keep the name."""
        self.names.append(id_.partition("-")[0])
        return super().new_span(id_, *args, **kwargs)


class Events(BaseEventHandler):
    """A handler that keeps all events."""

    events: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        """Keep it."""
        self.events.append(event)


@pytest.fixture
def watched() -> Any:
    """Watch LlamaIndex's instrumentation."""
    dispatcher, spans, events = get_dispatcher(), Spans(), Events()
    before = list(dispatcher.span_handlers), list(dispatcher.event_handlers)
    dispatcher.add_span_handler(spans)
    dispatcher.add_event_handler(events)
    yield spans, events
    dispatcher.span_handlers, dispatcher.event_handlers = before


def test_one_span_and_one_pair_of_events_per_call(
    colour: Colour, llm: OneRouterLLM, watched: Any
) -> None:
    """A call is traced once; the end event has usage, the start event no secret."""
    spans, events = watched
    for endpoint in ("chat", "stream_chat", "complete", "stream_complete"):
        spans.names.clear()
        events.events.clear()
        prompt: Any = "x" if "complete" in endpoint else say("x")
        getattr(colour, endpoint)(llm, prompt)
        (span,) = spans.names
        assert span.replace(".a", ".") == f"OneRouterLLM.{endpoint}"
        names = [event.class_name() for event in events.events]
        kinds = [name for name in names if "InProgress" not in name]
        assert len(kinds) == 2
        assert events.events[-1].response.additional_kwargs["total_tokens"] > 0
        assert events.events[0].model_dict["model"] == "simulated/echo"
        assert llm.api_key.get_secret_value() not in repr(events.events)  # type: ignore[union-attr]


def test_structured_prediction_is_announced(
    colour: Colour, llm: OneRouterLLM, watched: Any
) -> None:
    """Its own events lead and follow."""
    _, events = watched
    colour.call(llm, "structured_predict", Sum, PromptTemplate("5"))
    kinds = [event.class_name() for event in events.events]
    assert kinds[0] == "LLMStructuredPredictStartEvent"
    assert kinds[-1] == "LLMStructuredPredictEndEvent"
    assert events.events[-1].output == Sum(total=5)


def test_a_tracer_that_reads_attributes(llm: OneRouterLLM, sim: Simulator) -> None:
    """Tracers that expect OpenAI's objects find what they look for on a stream's last item."""
    call = tool_call("f", {"a": 1}, index=0)
    sim.script(
        Script(events=[chunk({"tool_calls": [call]}), chunk({}, finish_reason="tool_calls")])
    )
    last = list(llm.stream_chat(say("x")))[-1]
    assert getattr(last.raw, "model", None) == "simulated/echo"
    assert last.raw.choices[0].finish_reason == "tool_calls"
    assert last.raw.choices[0].message.tool_calls[0].function.name == "f"


async def test_many_objects_at_once(make: Make) -> None:
    """Query engines with an output class ask for many objects at the same time."""
    async with make(max_retries=0) as llm:
        prompt = PromptTemplate("{n}")
        sums = await asyncio.gather(*(llm.astructured_predict(Sum, prompt, n=n) for n in range(30)))
    assert [one.total for one in sums] == list(range(30))
