"""Test harness: instances of the class under test and their server, called sync or async.

This module knows the call of an endpoint and the iteration over a stream. It knows no reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ChatMessage

from onerouter_simulator import Script, Simulator
from tests.llama_index.conformance.adapter import Adapter

JSON = dict[str, Any]


def user_messages(text: str = "Hello") -> list[ChatMessage]:
    """Return a conversation of one user message."""
    return [ChatMessage(text, role="user")]


def prompt_for(endpoint: str) -> Any:
    """Return the first argument of an endpoint: a prompt for completions, else messages."""
    return "Hello" if "complete" in endpoint else user_messages()


@dataclass
class Outcome:
    """Items and error of a call; a call that is not a stream has one item."""

    items: list[Any] = field(default_factory=list)
    error: Exception | None = None

    @property
    def text(self) -> str:
        """Text of the last item; empty without an item."""
        return (self.items[-1].message.content or "") if self.items else ""


class Sync:
    """Sync calls."""

    def items(self, method: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield the items of a stream, or the one response."""
        result = method(*args, **kwargs)
        if isinstance(result, Iterator):
            yield from result
        else:
            yield result

    def method_name(self, name: str) -> str:
        """Return the name of a method's sync form."""
        return name


class Async(Sync):
    """Async calls, all on one event loop: other tests change the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def items(self, method: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield the items of a stream, or the one response."""
        result = self._run(method(*args, **kwargs))
        if not isinstance(result, AsyncIterator):
            yield result
            return
        while (item := self._run(anext(result, StopAsyncIteration))) is not StopAsyncIteration:
            yield item

    def method_name(self, name: str) -> str:
        """Return the name of a method's async form."""
        return "a" + name

    def _run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(_to_coroutine(awaitable))


async def _to_coroutine(awaitable: Any) -> Any:
    return await awaitable


class Harness:
    """Instances of the class under test, and the server they are connected to."""

    def __init__(self, adapter: Adapter, sim: Simulator, mode: Sync) -> None:
        self.adapter = adapter
        self.sim = sim
        self.mode = mode
        self.instances: list[Any] = []

    @property
    def llm(self) -> Any:
        """The newest instance; creates one with default fields if there is none."""
        return self.instances[-1] if self.instances else self.make_llm()

    def make_llm(self, **fields: Any) -> Any:
        """Create an instance, and use it from now on; its default is `max_retries=0`."""
        fields = {"max_retries": 0, **fields}
        self.instances.append(self.adapter.make_llm(self.sim.base_url, self.sim.api_key, **fields))
        return self.instances[-1]

    def script(self, *scripts: Script) -> None:
        """Queue exact replies."""
        self.sim.script(*scripts)

    def items(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method, and return all items of its stream, or the one response."""
        return self.items_of(self.llm, name, *args, **kwargs)

    def items_of(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Do the same for another instance."""
        return list(self.iterate(llm, name, *args, **kwargs))

    def iterate(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Call a method of an instance, and yield the items one by one."""
        return self.mode.items(getattr(llm, self.mode.method_name(name)), *args, **kwargs)

    def final(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method, and return its response, or the last item of its stream."""
        return self.items(name, *args, **kwargs)[-1]

    def outcome(self, name: str, *args: Any, **kwargs: Any) -> Outcome:
        """Call a method, and return its items and its error."""
        outcome = Outcome()
        try:
            for item in self.iterate(self.llm, name, *args, **kwargs):
                outcome.items.append(item)
        except Exception as error:  # noqa: BLE001 -- the test checks its class
            outcome.error = error
        return outcome

    @property
    def last_body(self) -> JSON:
        """Body of the newest request."""
        body: JSON = self.sim.last.body
        return body

    @property
    def request_count(self) -> int:
        """Number of requests so far."""
        return len(self.sim.requests)

    def assert_error(self, outcome: Outcome, *texts: str) -> None:
        """Assert that a call raised an expected error that contains these texts."""
        assert outcome.error is not None, f"returned {outcome.items!r} instead of an error"
        assert self.adapter.is_expected_error(outcome.error), (
            f"{outcome.error!r} is a programming error"
        )
        for text in texts:
            assert text in f"{outcome.error} {vars(outcome.error)}"
