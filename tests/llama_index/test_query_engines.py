"""Engines: texts retrieved, answers made of them, conversations that remember."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.extractors import KeywordExtractor
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.retrievers.bm25 import BM25Retriever
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Simulator
from tests.llama_index.conftest import Colour, Make


class Sum(BaseModel):
    """A sum."""

    total: int


NODES = [
    TextNode(text="The lighthouse of Norden was built in 1886."),
    TextNode(text="The harbour of Norden freezes in January."),
    TextNode(text="Bread is baked at dawn."),
]


QUESTION = "When was the lighthouse of Norden built?"
# The retriever's numerics warn, and one chat engine uses what LlamaIndex has deprecated.
noisy = pytest.mark.filterwarnings("ignore")


def retriever() -> BM25Retriever:
    """Return what finds one text by its words."""
    return BM25Retriever.from_defaults(nodes=NODES, similarity_top_k=1)


# --- queries ---


@noisy
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_query_engine_answers(make: Make, sim: Simulator, streaming: bool) -> None:
    """What is retrieved goes into the prompt, and the answer rests on it."""
    async with make() as llm:
        engine = RetrieverQueryEngine.from_args(
            retriever(), llm=llm, streaming=streaming, use_async=True
        )
        assert "1886" in str(engine.query(QUESTION))
        answer: Any = await engine.aquery(QUESTION)
        if streaming:
            tokens = [token async for token in answer.async_response_gen()]
            assert len(tokens) > 2
            assert "1886" in "".join(tokens)
        assert "1886" in str(answer)
    assert "The lighthouse of Norden" in sim.last.body["messages"][-1]["content"]
    assert sim.last.body.get("stream", False) is streaming


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


def memory() -> ChatMemoryBuffer:
    """Return a memory that has room."""
    return ChatMemoryBuffer.from_defaults(token_limit=9000)


# --- conversations ---


def simple(llm: OneRouterLLM) -> Any:
    """Return an engine that only remembers."""
    return SimpleChatEngine.from_defaults(llm=llm, memory=memory())


def context(llm: OneRouterLLM) -> Any:
    """Return an engine that retrieves for each turn."""
    return ContextChatEngine.from_defaults(retriever(), llm=llm, memory=memory())


def condensed(llm: OneRouterLLM) -> Any:
    """Return an engine that has each question put in whole words before it retrieves."""
    return CondensePlusContextChatEngine.from_defaults(retriever(), llm=llm, memory=memory())


@noisy
@pytest.mark.parametrize("make_engine", [simple, context, condensed])
async def test_a_chat_engine_remembers(make: Make, sim: Simulator, make_engine: Any) -> None:
    """Turns go back as they came, in both colours, streamed or not; tokens stream."""
    async with make() as llm:
        engine = make_engine(llm)
        assert str(engine.chat(f"First: {QUESTION}"))
        assert len(list(engine.stream_chat("The second turn of us two").response_gen)) > 2
        assert str(await engine.achat("The third"))
        streamed = await engine.astream_chat("The fourth turn of us two")
        assert len([token async for token in streamed.async_response_gen()]) > 2
    asked = [m["content"] for m in sim.last.body["messages"] if m["role"] == "user"]
    assert [str(words).split()[0] for words in asked[:3]] == ["First:", "The", "The"]
    assert "fourth" in str(asked[-1])


@noisy
def test_a_chat_engine_answers_from_what_it_found(colour: Colour, make: Make) -> None:
    """What is retrieved for a turn reaches the model."""
    assert "1886" in str(colour.call(context(make()), "chat", QUESTION))


# --- other ways to ask ---


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


# --- many at once ---


async def test_many_objects_at_once(make: Make) -> None:
    """Query engines with an output class ask for many objects at the same time."""
    async with make(max_retries=0) as llm:
        prompt = PromptTemplate("{n}")
        sums = await asyncio.gather(*(llm.astructured_predict(Sum, prompt, n=n) for n in range(30)))
    assert [one.total for one in sums] == list(range(30))


def test_a_pipeline_takes_the_model_to_other_processes(make: Make, sim: Simulator) -> None:
    """Workers get the model pickled, key included, and each works there as it does here."""
    pipeline = IngestionPipeline(
        transformations=[KeywordExtractor(llm=make(), keywords=2, show_progress=False)],
        disable_cache=True,
    )
    nodes = pipeline.run(nodes=NODES, num_workers=2)
    assert len(nodes) == len(sim.requests) == len(NODES)
    assert all(node.metadata["excerpt_keywords"] for node in nodes)
    asked = json.dumps([received.body["messages"] for received in sim.requests])
    assert all(node.text in asked for node in NODES)
