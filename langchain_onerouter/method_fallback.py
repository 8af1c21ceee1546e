"""`method="auto"`: structured output from a model of which it is not known what it can do.

This module knows an order of ways to ask, and how a gateway says that a model cannot be asked in
one of them. What it found out about a model it remembers on the instance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_core.runnables import Runnable, RunnableConfig

from onerouter_core.errors import OneRouterError, is_unsupported_feature

if TYPE_CHECKING:
    from langchain_onerouter.chat_models import ChatOneRouter

StructuredMethod: TypeAlias = Literal["json_schema", "function_calling", "json_mode"]
FALLBACK_ORDER: dict[StructuredMethod, StructuredMethod] = {
    "json_schema": "function_calling",
    "function_calling": "json_mode",
}


class MethodFallback(Runnable[Any, Any]):
    """Asks in the first way the model can be asked in, and from then on in that way."""

    def __init__(
        self,
        chains: dict[StructuredMethod, Runnable[Any, Any]],
        model: ChatOneRouter,
        method_by_model: dict[str, StructuredMethod],
        bound: str | None = None,
    ) -> None:
        """Take a chain per method, the model, its memory of methods, and the bound model id."""
        self._chains = chains
        self._model = model
        self._method_by_model = method_by_model
        self._bound_model = bound

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return the object."""
        method = self._first_method(kwargs)
        while True:
            try:
                found = self._chains[method].invoke(input, config, **kwargs)
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                method = _next_method(method, error)
            else:
                self._remember(method, kwargs)
                return found

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return the object."""
        method = self._first_method(kwargs)
        while True:
            try:
                found = await self._chains[method].ainvoke(input, config, **kwargs)
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                method = _next_method(method, error)
            else:
                self._remember(method, kwargs)
                return found

    def stream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """Yield the object as it grows; a way that the model cannot fails before anything came."""
        method, yielded = self._first_method(kwargs), False
        while True:
            try:
                for value in self._chains[method].stream(input, config, **kwargs):
                    yielded = True
                    yield value
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                method = _next_method(method, error, yielded=yielded)
            else:
                self._remember(method, kwargs)
                return

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Yield the object as it grows; a way that the model cannot fails before anything came."""
        method, yielded = self._first_method(kwargs), False
        while True:
            try:
                async for value in self._chains[method].astream(input, config, **kwargs):
                    yielded = True
                    yield value
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                method = _next_method(method, error, yielded=yielded)
            else:
                self._remember(method, kwargs)
                return

    def _first_method(self, given: dict[str, Any]) -> StructuredMethod:
        return self._method_by_model.get(self._model_id(given), "json_schema")

    def _remember(self, method: StructuredMethod, given: dict[str, Any]) -> None:
        self._method_by_model[self._model_id(given)] = method

    def _model_id(self, given: dict[str, Any]) -> str:
        return str(given.get("model") or self._bound_model or self._model.model)


def _next_method(
    method: StructuredMethod, error: OneRouterError, *, yielded: bool = False
) -> StructuredMethod:
    """Return the next way to ask; raise the error if there is none, or it would not help.

    It would not if something came already: the model can be asked in this way.
    """
    if yielded or method not in FALLBACK_ORDER or not is_unsupported_feature(error):
        raise error
    return FALLBACK_ORDER[method]
