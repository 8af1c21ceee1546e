"""Questions of the quirk matrix to a simulator, and what both classes make of the answers.

An asker puts questions to one class in one mode. A result is an Outcome, the JSON of an object, or
the name of an error.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import add as add_chunks
from typing import Any, Protocol, TypeAlias

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ThinkingBlock
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import OneRouterError
from onerouter_simulator import Simulator

ONE_CALL = "Please multiply 12 and 7."
TWO_CALLS = "Please add and multiply 12 and 7."
OTHER_CALLS = "Give the status, and note 'one\ttwo'."
THANKS = "Thank you!"
LONG = "Hello, hello, hello!"
# What is left of half a surrogate pair: the half itself, or U+FFFD in its place.
HALVES = "\ud83d\ufffd"


class Note(BaseModel):
    """A note."""

    text: str


@dataclass(frozen=True)
class Outcome:
    """The parts of an answer that a quirk must not change.

    `tokens` are those of the prompt, of the completion and of both; `cost` is in USD; `invalid` is
    the number of calls that cannot run.
    """

    text: str = ""
    reasoning: str = ""
    calls: tuple[str, ...] = ()
    invalid: int = 0
    tokens: tuple[int, int, int] | None = None
    cached: int | None = None
    cost: float | None = None


Result: TypeAlias = Outcome | str


def describe_call(name: str, arguments: Any) -> str:
    """Return a call as text, without halves of surrogate pairs."""
    return f"{name} {clean(json.dumps(arguments, ensure_ascii=False, sort_keys=True))}"


def clean(text: str) -> str:
    """Return a text without halves of surrogate pairs."""
    return "".join(character for character in text if character not in HALVES)


class Asker(Protocol):
    """Puts questions to one class in one mode."""

    llm: Any
    loop: asyncio.AbstractEventLoop

    def __init__(self, mode: str, **fields: Any) -> None: ...

    def ask(self, history: list[Any], **options: Any) -> Any:
        """Return the class's answer to a list of messages, with the tools."""

    def ask_object(self, text: str, **options: Any) -> str:
        """Return the JSON of the Note that is the answer."""

    def user(self, text: str) -> Any:
        """Return a user message."""

    def results(self, answer: Any) -> list[Any]:
        """Return the answer as a message, and the results of its calls."""

    def outcome(self, answer: Any) -> Outcome:
        """Return the parts of an answer."""


# The calls of the tools so far. Making tools takes longer than an answer, so they are made once.
RAN: list[str] = []


def get_status() -> str:
    """Return the status."""
    RAN.append(describe_call("get_status", {}))
    return "fine"


def note(text: str) -> str:
    """Write a note."""
    RAN.append(describe_call("note", {"text": text}))
    return "noted"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    RAN.append(describe_call("add", {"a": a, "b": b}))
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    RAN.append(describe_call("multiply", {"a": a, "b": b}))
    return a * b


FUNCTIONS = [get_status, note, add, multiply]
LANGCHAIN_TOOLS = [tool(function) for function in FUNCTIONS]
LLAMA_INDEX_TOOLS = [FunctionTool.from_defaults(function) for function in FUNCTIONS]


class LangChainAsker:
    """Puts questions to ChatOneRouter."""

    def __init__(self, mode: str, **fields: Any) -> None:
        self.mode, self.loop = mode, asyncio.new_event_loop()
        self.llm = ChatOneRouter(**fields)
        self.bound = self.llm.bind_tools(LANGCHAIN_TOOLS)

    def _send(self, runnable: Any, messages: Any, **options: Any) -> Any:
        call = getattr(runnable, self.mode)(messages, **options)
        match self.mode:
            case "ainvoke":
                return self.loop.run_until_complete(call)
            case "stream":
                return [*call]
            case "astream":
                return self.loop.run_until_complete(collect(call))
            case _:
                return call

    def ask(self, history: list[Any], **options: Any) -> AIMessage:
        """Return the message, or the sum of the chunks."""
        answer = self._send(self.bound, history, **options)
        return reduce(add_chunks, answer) if isinstance(answer, list) else answer

    def ask_object(self, text: str, **options: Any) -> str:
        """Return the JSON of the last object."""
        found = self._send(self.llm.with_structured_output(Note), text, **options)
        return (found[-1] if isinstance(found, list) else found).model_dump_json()

    def user(self, text: str) -> HumanMessage:
        """Return a user message."""
        return HumanMessage(text)

    def results(self, answer: AIMessage) -> list[Any]:
        """Return the message, and the results of its calls."""
        calls = answer.tool_calls
        return [answer, *(ToolMessage("84", tool_call_id=call["id"]) for call in calls)]

    def outcome(self, answer: AIMessage) -> Outcome:
        """Return the parts of a message."""
        usage: Any = answer.usage_metadata
        calls = [describe_call(call["name"], call["args"]) for call in answer.tool_calls]
        return Outcome(
            text=clean(answer.text),
            reasoning=clean(answer.additional_kwargs.get("reasoning_content", "")),
            calls=tuple(calls),
            invalid=len(answer.invalid_tool_calls),
            tokens=usage and (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]),
            cached=(usage or {}).get("input_token_details", {}).get("cache_read"),
            cost=answer.response_metadata.get("cost"),
        )


class LlamaIndexAsker:
    """Puts questions to OneRouterLLM."""

    def __init__(self, mode: str, **fields: Any) -> None:
        self.mode, self.loop = mode, asyncio.new_event_loop()
        self.llm = OneRouterLLM(**fields, context_window=100_000)

    def _send(self, llm: Any, method: str, *args: Any, **options: Any) -> Any:
        name = self.mode.replace("chat", method)
        call = getattr(llm, name)(*args, **options)
        match self.mode:
            case "achat":
                return self.loop.run_until_complete(call)
            case "stream_chat":
                return [*call][-1]
            case "astream_chat":
                return self.loop.run_until_complete(collect_awaited(call))[-1]
            case _:
                return call

    def ask(self, history: list[Any], **options: Any) -> ChatResponse:
        """Return the response, or the last one of the stream."""
        answer: ChatResponse = self._send(
            self.llm, "chat_with_tools", LLAMA_INDEX_TOOLS, chat_history=history, **options
        )
        return answer

    def ask_object(self, text: str, **options: Any) -> str:
        """Return the JSON of the last object."""
        llm = self.llm.as_structured_llm(Note)
        note: Note = self._send(llm, "chat", [ChatMessage(text)], **options).raw
        return note.model_dump_json()

    def user(self, text: str) -> ChatMessage:
        """Return a user message."""
        return ChatMessage(text)

    def results(self, answer: ChatResponse) -> list[Any]:
        """Return the message, and the results of its calls."""
        calls = self.llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        return [
            answer.message,
            *(
                ChatMessage("84", role="tool", additional_kwargs={"tool_call_id": call.tool_id})
                for call in calls
            ),
        ]

    def outcome(self, answer: ChatResponse) -> Outcome:
        """Return the parts of a response."""
        calls = self.llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        valid = [call for call in calls if "(not run" not in call.tool_name]
        facts = answer.additional_kwargs
        counts = ("prompt_tokens", "completion_tokens", "total_tokens")
        thoughts = [b for b in answer.message.blocks if isinstance(b, ThinkingBlock)]
        return Outcome(
            text=clean(answer.message.content or ""),
            reasoning=clean("".join(block.content or "" for block in thoughts)),
            calls=tuple(describe_call(call.tool_name, call.tool_kwargs) for call in valid),
            invalid=len(calls) - len(valid),
            tokens=tuple(facts[key] for key in counts) if counts[0] in facts else None,
            cached=facts.get("cached_tokens"),
            cost=facts.get("cost"),
        )


async def collect(items: Any) -> list[Any]:
    """Return the items of an async generator."""
    return [item async for item in items]


async def collect_awaited(items: Any) -> list[Any]:
    """Return the items of an async generator that is first awaited."""
    return await collect(await items)


MODES: dict[type[Asker], tuple[str, ...]] = {
    LangChainAsker: ("invoke", "ainvoke", "stream", "astream"),
    LlamaIndexAsker: ("chat", "achat", "stream_chat", "astream_chat"),
}
CELLS = [(asker, mode) for asker, modes in MODES.items() for mode in modes]


def fields_for(sim: Simulator) -> dict[str, Any]:
    """Return the fields of either class: one try, with reasoning."""
    connection = {"base_url": sim.base_url, "api_key": sim.api_key, "max_retries": 0}
    return {"model": "acme/some-model-1.5", "reasoning": {"effort": "low"}, **connection}


def name_of_error(call: Callable[[], Result]) -> Result:
    """Return the result of a call, or the name of the package's error that it raises."""
    try:
        return call()
    except OneRouterError as error:
        return type(error).__name__


@contextmanager
def open_asker(asker: type[Asker], mode: str, sim: Simulator) -> Iterator[Asker]:
    """Provide an asker that is connected to a simulator; close its connections."""
    opened = asker(mode, **fields_for(sim))
    try:
        yield opened
    finally:
        opened.loop.run_until_complete(opened.llm.aclose())
        opened.loop.close()


def ask_all(asker: Asker) -> dict[str, Result]:
    """Return the results of all questions."""

    def ask(text: str, **options: Any) -> Outcome:
        return asker.outcome(asker.ask([asker.user(text)], **options))

    def go_on() -> Outcome:
        question = asker.user(ONE_CALL)
        turn = asker.results(asker.ask([question]))
        last = [asker.user(THANKS)] if len(turn) == 1 else []
        outcome = asker.outcome(asker.ask([question, *turn, *last]))
        # Ids and fields that go back count as tokens, too.
        return replace(outcome, tokens=None, cached=None, cost=None)

    questions: dict[str, Callable[[], Result]] = {
        "text": lambda: ask("Hello"),
        "one call": lambda: ask(ONE_CALL),
        "two calls": lambda: ask(TWO_CALLS),
        "other calls": lambda: ask(OTHER_CALLS),
        "after a call": go_on,
        "text cut": lambda: ask(LONG, max_tokens=1),
        "call cut": lambda: ask(ONE_CALL, max_tokens=2),
        "object": lambda: clean(asker.ask_object("Note 'one\ttwo'")),
        "object cut": lambda: asker.ask_object("Note 'one\ttwo'", max_tokens=1),
    }
    return {name: name_of_error(question) for name, question in questions.items()}
