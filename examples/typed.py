"""Typed program with both classes: mypy and pyright in strict mode report no error.

It can be run, too: with ONEROUTER_API_KEY on the live gateway, or with ONEROUTER_BASE_URL set as
well on a simulator.
"""

# pyright: strict

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from llama_index.core import PromptTemplate
from llama_index.core.llms import ChatMessage, ChatResponse
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from langchain_onerouter import ChatOneRouter, errors
from llama_index_onerouter import OneRouterLLM
from onerouter_core import (
    Catalog,
    FallbackRules,
    Ledger,
    LedgerEntry,
    ModelInfo,
    OneRouterError,
    ProviderRouting,
    Reply,
)

MODEL = "deepseek/deepseek-v4-flash"


class Person(BaseModel):
    """A person in the text."""

    name: str
    age: int


def multiply(a: int, b: int) -> int:
    """Multiply two whole numbers."""
    return a * b


def chat_model(ledger: Ledger, catalog: Catalog) -> ChatOneRouter:
    """Return a model for LangChain; the request objects are dicts."""
    return ChatOneRouter(
        model=MODEL,
        api_key=os.environ["ONEROUTER_API_KEY"],
        temperature=0,
        max_tokens=200,
        reasoning={"effort": "low"},
        provider={"order": ["deepseek"], "allow_fallbacks": True},
        fallback_models=["openai/gpt-5-mini"],
        fallback_rules=FallbackRules(error_code={"hint_array": [503]}, ttft={"hint_threshold": 5}),
        stop=["###"],
        deadline=30,
        max_retries=1,
        ledger=ledger,
        catalog=catalog,
    )


def llm_model(ledger: Ledger) -> OneRouterLLM:
    """Return a model for LlamaIndex; the request objects are our classes."""
    return OneRouterLLM(
        model=MODEL,
        provider=ProviderRouting(sort="price"),
        context_window=32_000,
        structured_output_mode="json_schema",
        additional_kwargs={"top_k": 5},
        ledger=ledger,
    )


# --- LangChain ---


def answer_text(llm: ChatOneRouter) -> str:
    """Return the text of a complete answer."""
    history: list[BaseMessage] = [HumanMessage("Hello")]
    answer: AIMessage = llm.invoke(history, temperature=1)
    return answer.text


def stream_text(llm: ChatOneRouter) -> Iterator[str]:
    """Yield the text of each chunk."""
    for chunk in llm.stream("Hello"):
        yield chunk.text


async def astream_text(llm: ChatOneRouter) -> AsyncIterator[str]:
    """Yield the text of each chunk, on an event loop."""
    async for chunk in llm.astream("Hello"):
        yield chunk.text


def tool_names(llm: ChatOneRouter) -> list[str]:
    """Return the names of the tools that the model calls."""
    bound = llm.bind_tools([multiply], tool_choice="any")
    answer: AIMessage = bound.invoke("Please multiply 12 and 7.")
    return [call["name"] for call in answer.tool_calls]


def extract_person(llm: ChatOneRouter) -> Person:
    """Return an object; its class must be checked, because LangChain does not declare it."""
    person = llm.with_structured_output(Person).invoke("'Ada Lovelace' was 36.")
    if not isinstance(person, Person):
        raise TypeError(person)
    return person


def answer_or_partial_text(llm: ChatOneRouter) -> str:
    """Return the answer; after an error, the partial text or a message."""
    try:
        return llm.invoke("Hello").text
    except errors.RateLimitError as error:
        return f"retry in {error.retry_after or 1.0} s"
    except errors.OneRouterError as error:
        partial: Reply | None = error.partial
        return partial.text if partial is not None else f"{error.status}: {error.message}"


# --- LlamaIndex ---


def chat_text(llm: OneRouterLLM) -> str | None:
    """Return the text of a complete answer."""
    response: ChatResponse = llm.chat([ChatMessage("Hello")], temperature=0)
    return response.message.content


def stream_deltas(llm: OneRouterLLM) -> Iterator[str]:
    """Yield the text of each delta."""
    for response in llm.stream_chat([ChatMessage("Hello")]):
        yield response.delta or ""


async def astream_deltas(llm: OneRouterLLM) -> AsyncIterator[str]:
    """Yield the text of each delta, on an event loop: await, then iterate."""
    async for response in await llm.astream_complete("Hello"):
        yield response.delta or ""


def tool_selections(llm: OneRouterLLM) -> list[ToolSelection]:
    """Return the tool calls of the model."""
    tool = FunctionTool.from_defaults(multiply)
    response = llm.chat_with_tools([tool], "Please multiply 12 and 7.", tool_required=True)
    return llm.get_tool_calls_from_response(response)


def predict_person(llm: OneRouterLLM) -> Person:
    """Return an object; LlamaIndex declares its class."""
    person: Person = llm.structured_predict(Person, PromptTemplate("'Ada Lovelace' was 36."))
    return person


# --- costs and models ---


def costs_by_model(ledger: Ledger) -> dict[str, Decimal]:
    """Return the cost of each model in USD."""
    entries: tuple[LedgerEntry, ...] = ledger.entries
    return {entry.model or "?": entry.cost or Decimal(0) for entry in entries}


def cheapest_model(catalog: Catalog) -> ModelInfo | None:
    """Return the cheapest model that supports tools."""
    models = catalog.find(tools=True, max_price="10")
    return models[0] if models else None


async def stream_both(chat_llm: ChatOneRouter, llm: OneRouterLLM) -> list[str]:
    """Return the texts of both streams."""
    texts = [text async for text in astream_text(chat_llm)]
    return texts + [text async for text in astream_deltas(llm)]


def main() -> None:
    """Call every function above, and print the results."""
    ledger, catalog = Ledger(budget_usd="0.50"), Catalog.fetch()
    try:
        chat_llm, llm = chat_model(ledger, catalog), llm_model(ledger)
        print(
            answer_text(chat_llm),
            *stream_text(chat_llm),
            tool_names(chat_llm),
            extract_person(chat_llm),
        )
        print(chat_text(llm), *stream_deltas(llm), tool_selections(llm), predict_person(llm))
        print(answer_or_partial_text(chat_llm), asyncio.run(stream_both(chat_llm, llm)))
    except OneRouterError as error:
        print(type(error).__name__, error)
    print(costs_by_model(ledger), cheapest_model(catalog))


if __name__ == "__main__":
    main()
