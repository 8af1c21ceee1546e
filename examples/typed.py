"""Both classes as a typed program uses them: mypy and pyright, both strict, find nothing in it.

It runs, too: live with ONEROUTER_API_KEY, or on the simulator with ONEROUTER_BASE_URL besides.
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
    """Make a model for LangChain; objects may be dicts."""
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


def index_model(ledger: Ledger) -> OneRouterLLM:
    """Make a model for LlamaIndex; objects may be ours."""
    return OneRouterLLM(
        model=MODEL,
        provider=ProviderRouting(sort="price"),
        context_window=32_000,
        structured_output_mode="json_schema",
        additional_kwargs={"top_k": 5},
        ledger=ledger,
    )


# --- LangChain ---


def ask(llm: ChatOneRouter) -> str:
    """Return the whole answer."""
    history: list[BaseMessage] = [HumanMessage("Hello")]
    answer: AIMessage = llm.invoke(history, temperature=1)
    return answer.text


def words(llm: ChatOneRouter) -> Iterator[str]:
    """Yield the answer in pieces."""
    for chunk in llm.stream("Hello"):
        yield chunk.text


async def awords(llm: ChatOneRouter) -> AsyncIterator[str]:
    """Do the same on an event loop."""
    async for chunk in llm.astream("Hello"):
        yield chunk.text


def tool_names(llm: ChatOneRouter) -> list[str]:
    """Return what the model would call."""
    bound = llm.bind_tools([multiply], tool_choice="any")
    answer: AIMessage = bound.invoke("Please multiply 12 and 7.")
    return [call["name"] for call in answer.tool_calls]


def person(llm: ChatOneRouter) -> Person:
    """Return an object; a runnable of LangChain's does not know of which class."""
    found = llm.with_structured_output(Person).invoke("'Ada Lovelace' was 36.")
    if not isinstance(found, Person):
        raise TypeError(found)
    return found


def so_far(llm: ChatOneRouter) -> str:
    """Return the answer, or what came of it."""
    try:
        return llm.invoke("Hello").text
    except errors.RateLimitError as error:
        return f"again in {error.retry_after or 1.0} s"
    except errors.OneRouterError as error:
        partial: Reply | None = error.partial
        return partial.text if partial is not None else f"{error.status}: {error.message}"


# --- LlamaIndex ---


def chat(llm: OneRouterLLM) -> str | None:
    """Return the whole answer."""
    response: ChatResponse = llm.chat([ChatMessage("Hello")], temperature=0)
    return response.message.content


def deltas(llm: OneRouterLLM) -> Iterator[str]:
    """Yield the answer in pieces."""
    for response in llm.stream_chat([ChatMessage("Hello")]):
        yield response.delta or ""


async def adeltas(llm: OneRouterLLM) -> AsyncIterator[str]:
    """Do the same on an event loop: await, then iterate."""
    async for response in await llm.astream_complete("Hello"):
        yield response.delta or ""


def selections(llm: OneRouterLLM) -> list[ToolSelection]:
    """Return what the model would call."""
    tool = FunctionTool.from_defaults(multiply)
    response = llm.chat_with_tools([tool], "Please multiply 12 and 7.", tool_required=True)
    return llm.get_tool_calls_from_response(response)


def predicted(llm: OneRouterLLM) -> Person:
    """Return an object, whose class is known."""
    found: Person = llm.structured_predict(Person, PromptTemplate("'Ada Lovelace' was 36."))
    return found


# --- money and models ---


def bill(ledger: Ledger) -> dict[str, Decimal]:
    """Return what each model has cost."""
    entries: tuple[LedgerEntry, ...] = ledger.entries
    return {entry.model or "?": entry.cost or Decimal(0) for entry in entries}


def cheapest(catalog: Catalog) -> ModelInfo | None:
    """Return the cheapest model that calls functions."""
    fitting = catalog.find(tools=True, max_price="0.00001")
    return fitting[0] if fitting else None


async def both(chat_llm: ChatOneRouter, index_llm: OneRouterLLM) -> list[str]:
    """Stream from both."""
    first = [word async for word in awords(chat_llm)]
    return first + [word async for word in adeltas(index_llm)]


def main() -> None:
    """Do all of it."""
    ledger, catalog = Ledger(budget_usd="0.50"), Catalog.fetch()
    try:
        chat_llm, index_llm = chat_model(ledger, catalog), index_model(ledger)
        print(ask(chat_llm), *words(chat_llm), tool_names(chat_llm), person(chat_llm))
        print(chat(index_llm), *deltas(index_llm), selections(index_llm), predicted(index_llm))
        print(so_far(chat_llm), asyncio.run(both(chat_llm, index_llm)))
    except OneRouterError as error:
        print(type(error).__name__, error)
    print(bill(ledger), cheapest(catalog))


if __name__ == "__main__":
    main()
