"""Query engines, response synthesizers, chat engines and ingestion pipelines of LlamaIndex."""

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
from llama_index.core.extractors import KeywordExtractor, SummaryExtractor
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.retrievers.bm25 import BM25Retriever
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Simulator
from tests.llama_index.conftest import LLMFactory, Mode


class Sum(BaseModel):
    """A sum."""

    total: int


NODES = [
    TextNode(text="The lighthouse of Norden was built in 1886."),
    TextNode(text="The harbour of Norden freezes in January."),
    TextNode(text="Bread is baked at dawn."),
]


QUESTION = "When was the lighthouse of Norden built?"
# The retriever causes numeric warnings, and one chat engine uses a deprecated class of LlamaIndex.
ignore_warnings = pytest.mark.filterwarnings("ignore")


def retriever() -> BM25Retriever:
    """Return a retriever that finds one text by its words."""
    return BM25Retriever.from_defaults(nodes=NODES, similarity_top_k=1)


# --- query engines ---


@ignore_warnings
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_query_engine_answers_from_the_retrieved_text(
    make_llm: LLMFactory, sim: Simulator, streaming: bool
) -> None:
    """Sync and async; the retrieved text is in the prompt, and a stream has many tokens."""
    async with make_llm() as llm:
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


@pytest.mark.parametrize("response_mode", ["compact", "refine", "tree_summarize", "accumulate"])
def test_each_response_mode_gives_an_answer(
    mode: Mode, llm: OneRouterLLM, response_mode: str
) -> None:
    """Each mode combines several texts into one answer."""
    nodes = [NodeWithScore(node=node) for node in NODES]
    synthesizer = get_response_synthesizer(llm=llm, response_mode=response_mode)  # type: ignore[arg-type]
    assert "1886" in str(mode.call(synthesizer, "synthesize", "When was it built?", nodes))


def test_a_synthesizer_with_output_cls_returns_an_object(mode: Mode, llm: OneRouterLLM) -> None:
    """`output_cls` uses structured prediction."""
    nodes = [NodeWithScore(node=node) for node in NODES]
    synthesizer = get_response_synthesizer(llm=llm, output_cls=Sum)  # type: ignore[arg-type]
    answer = mode.call(synthesizer, "synthesize", "When was the lighthouse built?", nodes)
    assert isinstance(answer.response, Sum)


def memory() -> ChatMemoryBuffer:
    """Return a memory large enough for the test."""
    return ChatMemoryBuffer.from_defaults(token_limit=9000)


# --- chat engines ---


def simple_engine(llm: OneRouterLLM) -> Any:
    """Return a chat engine that only has a memory."""
    return SimpleChatEngine.from_defaults(llm=llm, memory=memory())


def context_engine(llm: OneRouterLLM) -> Any:
    """Return a chat engine that retrieves a text on each turn."""
    return ContextChatEngine.from_defaults(retriever(), llm=llm, memory=memory())


def condense_engine(llm: OneRouterLLM) -> Any:
    """Return a chat engine that rewrites each question before it retrieves."""
    return CondensePlusContextChatEngine.from_defaults(retriever(), llm=llm, memory=memory())


@ignore_warnings
@pytest.mark.parametrize("make_engine", [simple_engine, context_engine, condense_engine])
async def test_a_chat_engine_sends_the_earlier_turns(
    make_llm: LLMFactory, sim: Simulator, make_engine: Any
) -> None:
    """Sync and async, streamed or not."""
    async with make_llm() as llm:
        engine = make_engine(llm)
        assert str(engine.chat(f"First: {QUESTION}"))
        assert len(list(engine.stream_chat("The second turn of us two").response_gen)) > 2
        assert str(await engine.achat("The third"))
        streamed = await engine.astream_chat("The fourth turn of us two")
        assert len([token async for token in streamed.async_response_gen()]) > 2
    sent = [m["content"] for m in sim.last.body["messages"] if m["role"] == "user"]
    assert [str(text).split()[0] for text in sent[:3]] == ["First:", "The", "The"]
    assert "fourth" in str(sent[-1])


@ignore_warnings
def test_a_context_chat_engine_answers_from_the_retrieved_text(
    mode: Mode, make_llm: LLMFactory
) -> None:
    """The retrieved text is in the prompt."""
    assert "1886" in str(mode.call(context_engine(make_llm()), "chat", QUESTION))


# --- prompt methods ---


def test_predict_and_stream_fill_in_the_prompt(mode: Mode, make_llm: LLMFactory) -> None:
    """`predict` and `stream` of LlamaIndex's LLM class."""
    llm = make_llm(system_prompt="Be brief.")
    assert mode.call(llm, "predict", PromptTemplate("Say {x}"), x="hi") == "You said: Say hi"
    tokens = mode.collect(llm, "stream", PromptTemplate("Say {x}"), x="hi")
    assert "".join(tokens) == "You said: Say hi"


def test_a_large_max_tokens_leaves_room_for_a_prompt(make_llm: LLMFactory) -> None:
    """LlamaIndex's PromptHelper can still pack texts."""
    helper = PromptHelper.from_llm_metadata(make_llm(max_tokens=200_000).metadata)
    assert helper.repack(PromptTemplate("{context_str}"), ["a", "b"])


# --- concurrency and worker processes ---


async def test_concurrent_structured_predictions_return_their_own_objects(
    make_llm: LLMFactory,
) -> None:
    """Query engines with an output class predict concurrently."""
    async with make_llm(max_retries=0) as llm:
        prompt = PromptTemplate("{n}")
        sums = await asyncio.gather(*(llm.astructured_predict(Sum, prompt, n=n) for n in range(30)))
    assert [each.total for each in sums] == list(range(30))


def test_an_ingestion_pipeline_pickles_the_model_to_worker_processes(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """The workers have the API key, and each node costs one request."""
    pipeline = IngestionPipeline(
        transformations=[KeywordExtractor(llm=make_llm(), keywords=2, show_progress=False)],
        disable_cache=True,
    )
    nodes = pipeline.run(nodes=NODES, num_workers=2)
    assert len(nodes) == len(sim.requests) == len(NODES)
    assert all(node.metadata["excerpt_keywords"] for node in nodes)
    sent = json.dumps([request.body["messages"] for request in sim.requests])
    assert all(node.text in sent for node in NODES)


@pytest.mark.parametrize(
    ("fields", "requests"),
    [
        ({"timeout": 5.0, "deadline": 60.0, "max_retries": 0, "stream_usage": False}, 1),
        ({"api_key": "sk-simulated", "default_headers": {"x-a": "b"}}, 1),
        ({"temperature": 0.5}, 2),
        ({"model": "simulated/other"}, 2),
        ({"system_prompt": "Be brief."}, 2),
    ],
    ids=["limits", "secrets", "temperature", "model", "prompt"],
)
@ignore_warnings
def test_the_cache_of_a_pipeline_knows_what_changes_an_answer(
    make_llm: LLMFactory, sim: Simulator, fields: dict[str, Any], requests: int
) -> None:
    """Other limits do not ask for, and pay, every answer again."""
    cache, document = IngestionCache(), TextNode(text="The harbour of Norden.", id_="1")
    for llm in (make_llm(), make_llm(**fields)):
        extractor = SummaryExtractor(llm=llm, show_progress=False)
        IngestionPipeline(transformations=[extractor], cache=cache).run(
            nodes=[document.model_copy(deep=True)]
        )
    assert len(sim.requests) == requests


def test_the_dump_of_a_model_itself_has_its_limits(make_llm: LLMFactory) -> None:
    """A copy made of it has the same."""
    llm = make_llm(timeout=5.0, deadline=60.0, max_retries=0, stream_usage=False)
    for copied in (OneRouterLLM.from_dict(llm.to_dict()), OneRouterLLM.from_json(llm.to_json())):
        assert (copied.timeout, copied.deadline, copied.max_retries) == (5.0, 60.0, 0)
        assert copied.stream_usage is False
