"""The bench that a class is tested on: one instance, one server, one of the two colours.

Knows how an endpoint is called and its items are taken, awaited or not. Knows no answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ChatMessage

from onerouter_simulator import Script, Simulator
from tests.llama_index.conformance.subject import Subject

JSON = dict[str, Any]


def say(text: str = "Hello") -> list[ChatMessage]:
    """Return a conversation of one user message."""
    return [ChatMessage(text, role="user")]


def asked(endpoint: str) -> Any:
    """Return what an endpoint is asked with."""
    return "Hello" if "complete" in endpoint else say()


@dataclass
class Attempt:
    """What came of a call: its items (of a whole answer, the one) and the error that ended it."""

    items: list[Any] = field(default_factory=list)
    error: Exception | None = None

    @property
    def text(self) -> str:
        """The text that the user has seen."""
        return (self.items[-1].message.content or "") if self.items else ""


class Sync:
    """Endpoints as they are."""

    def items(self, method: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield the items of a stream, or the one answer."""
        found = method(*args, **kwargs)
        if isinstance(found, Iterator):
            yield from found
        else:
            yield found

    def named(self, name: str) -> str:
        """Return the method's name in this colour."""
        return name


class Async(Sync):
    """Endpoints awaited, all of a test on one loop: changing loops is a test of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def items(self, method: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield the items of a stream, or the one answer."""
        found = self._run(method(*args, **kwargs))
        if not isinstance(found, AsyncIterator):
            yield found
            return
        while (item := self._run(anext(found, StopAsyncIteration))) is not StopAsyncIteration:
            yield item

    def named(self, name: str) -> str:
        """Return the method's name in this colour."""
        return "a" + name

    def _run(self, awaited: Any) -> Any:
        return self.loop.run_until_complete(_awaiting(awaited))


async def _awaiting(awaited: Any) -> Any:
    return await awaited


class Bench:
    """One instance of the class under test, and the server it speaks to."""

    def __init__(self, subject: Subject, sim: Simulator, colour: Sync) -> None:
        self.subject = subject
        self.sim = sim
        self.colour = colour
        self.made: list[Any] = []

    @property
    def llm(self) -> Any:
        """The instance that was made last; without one, one with nothing set."""
        return self.made[-1] if self.made else self.make()

    def make(self, **fields: Any) -> Any:
        """Make the instance to be used from now on; unless said otherwise it does not retry."""
        fields = {"max_retries": 0, **fields}
        self.made.append(self.subject.make(self.sim.base_url, self.sim.api_key, **fields))
        return self.made[-1]

    def script(self, *scripts: Script) -> None:
        """Queue exact answers."""
        self.sim.script(*scripts)

    def items(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method in the bench's colour and return all items; of a whole answer, the one."""
        return list(self.colour.items(self._method(name), *args, **kwargs))

    def last(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return the answer; of a stream, its last item."""
        return self.items(name, *args, **kwargs)[-1]

    def attempt(self, name: str, *args: Any, **kwargs: Any) -> Attempt:
        """Call a method and return what came of it."""
        attempt = Attempt()
        try:
            for item in self.colour.items(self._method(name), *args, **kwargs):
                attempt.items.append(item)
        except Exception as error:  # noqa: BLE001 -- which it is, is the question
            attempt.error = error
        return attempt

    def _method(self, name: str) -> Any:
        return getattr(self.llm, self.colour.named(name))

    @property
    def body(self) -> JSON:
        """The body of the newest request."""
        found: JSON = self.sim.last.body
        return found

    @property
    def count(self) -> int:
        """The number of requests so far."""
        return len(self.sim.requests)
