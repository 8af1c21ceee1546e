"""`method="auto"`: structured output from a model of which it is not known what it can do.

This module knows an order of ways to ask, and how a gateway says that a model cannot be asked in
one of them. What it found out about a model it remembers on the instance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_core.runnables import Runnable, RunnableConfig

from onerouter_core.errors import OneRouterError, says_unsupported

if TYPE_CHECKING:
    from langchain_onerouter.chat_models import ChatOneRouter

Way: TypeAlias = Literal["json_schema", "function_calling", "json_mode"]
_NEXT: dict[Way, Way] = {"json_schema": "function_calling", "function_calling": "json_mode"}


class AutoMethod(Runnable[Any, Any]):
    """Asks in the first way the model can be asked in, and from then on in that way."""

    def __init__(
        self, chains: dict[Way, Runnable[Any, Any]], model: ChatOneRouter, bound: str | None = None
    ) -> None:
        """Take the chain of each way, the model, which remembers the way, and which id is bound."""
        self._chains = chains
        self._model = model
        self._bound = bound

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return the object."""
        way = self._first(kwargs)
        while True:
            try:
                found = self._chains[way].invoke(input, config, **kwargs)
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                way = _next(way, error)
            else:
                self._remember(way, kwargs)
                return found

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return the object."""
        way = self._first(kwargs)
        while True:
            try:
                found = await self._chains[way].ainvoke(input, config, **kwargs)
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                way = _next(way, error)
            else:
                self._remember(way, kwargs)
                return found

    def stream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """Yield the object as it grows; a way that the model cannot fails before anything came."""
        way, came = self._first(kwargs), False
        while True:
            try:
                for value in self._chains[way].stream(input, config, **kwargs):
                    came = True
                    yield value
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                way = _next(way, error, came=came)
            else:
                self._remember(way, kwargs)
                return

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Yield the object as it grows; a way that the model cannot fails before anything came."""
        way, came = self._first(kwargs), False
        while True:
            try:
                async for value in self._chains[way].astream(input, config, **kwargs):
                    came = True
                    yield value
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                way = _next(way, error, came=came)
            else:
                self._remember(way, kwargs)
                return

    def _first(self, given: dict[str, Any]) -> Way:
        return self._model.known_ways.get(self._name(given), "json_schema")

    def _remember(self, way: Way, given: dict[str, Any]) -> None:
        self._model.known_ways[self._name(given)] = way

    def _name(self, given: dict[str, Any]) -> str:
        return str(given.get("model") or self._bound or self._model.model)


def _next(way: Way, error: OneRouterError, *, came: bool = False) -> Way:
    """Return the next way to ask; raise the error if there is none, or it would not help.

    It would not if something came already: the model can be asked in this way.
    """
    if came or way not in _NEXT or not says_unsupported(error):
        raise error
    return _NEXT[way]
