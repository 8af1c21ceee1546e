"""`method="auto"` of structured output: fall back to the next method that the model supports.

`onerouter_core.errors.is_unsupported_feature` decides whether an error means that the model
does not support a method. The method that worked is remembered per model id, on the
ChatOneRouter instance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_core.runnables import Runnable, RunnableConfig, RunnableSequence
from langchain_core.utils.pydantic import TypeBaseModel

from onerouter_core.errors import OneRouterError, is_unsupported_feature

if TYPE_CHECKING:
    from langchain_onerouter.chat_models import ChatOneRouter

StructuredMethod: TypeAlias = Literal["json_schema", "function_calling", "json_mode"]
FALLBACK_ORDER: dict[StructuredMethod, StructuredMethod] = {
    "json_schema": "function_calling",
    "function_calling": "json_mode",
}


class MethodFallback(Runnable[Any, Any]):
    """Runnable that tries the methods in FALLBACK_ORDER and remembers the supported one."""

    def __init__(
        self,
        chains: dict[StructuredMethod, RunnableSequence[Any, Any]],
        model: ChatOneRouter,
        method_by_model: dict[str, StructuredMethod],
        bound_model: str | None = None,
    ) -> None:
        """Store the chains."""
        self._chains = chains
        self._model = model
        self._method_by_model = method_by_model
        self._bound_model = bound_model

    @property
    def OutputType(self) -> Any:  # noqa: N802 -- langchain-core's name
        """Type of the output, which is the same with each method."""
        return self._chains["json_schema"].OutputType

    def get_output_schema(self, config: RunnableConfig | None = None) -> TypeBaseModel:
        """Return a pydantic class of the output."""
        return self._chains["json_schema"].get_output_schema(config)

    @property
    def first(self) -> Runnable[Any, Any]:
        """First step of the chain that the next call tries: the model with its bound keywords."""
        return self._chains[self._first_method({})].first

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return the output of the first supported chain, see `with_structured_output`."""
        method = self._first_method(kwargs)
        while True:
            try:
                output = self._chains[method].invoke(input, config, **kwargs)
            except OneRouterError as error:  # noqa: PERF203 -- at most three iterations
                method = _next_method(method, error)
            else:
                self._remember(method, kwargs)
                return output

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return the output of the first supported chain, as `invoke` does."""
        method = self._first_method(kwargs)
        while True:
            try:
                output = await self._chains[method].ainvoke(input, config, **kwargs)
            except OneRouterError as error:  # noqa: PERF203 -- at most three iterations
                method = _next_method(method, error)
            else:
                self._remember(method, kwargs)
                return output

    # Only an error before the first output leads to the next method.
    def stream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """Yield the outputs of the first supported chain: partial objects, or one instance."""
        method, yielded = self._first_method(kwargs), False
        while True:
            try:
                for value in self._chains[method].stream(input, config, **kwargs):
                    yielded = True
                    yield value
            except OneRouterError as error:  # noqa: PERF203 -- at most three iterations
                method = _next_method(method, error, yielded=yielded)
            else:
                self._remember(method, kwargs)
                return

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Yield the outputs of the first supported chain, as `stream` does."""
        method, yielded = self._first_method(kwargs), False
        while True:
            try:
                async for value in self._chains[method].astream(input, config, **kwargs):
                    yielded = True
                    yield value
            except OneRouterError as error:  # noqa: PERF203 -- at most three iterations
                method = _next_method(method, error, yielded=yielded)
            else:
                self._remember(method, kwargs)
                return

    def _first_method(self, kwargs: dict[str, Any]) -> StructuredMethod:
        return self._method_by_model.get(self._model_id(kwargs), "json_schema")

    def _remember(self, method: StructuredMethod, kwargs: dict[str, Any]) -> None:
        self._method_by_model[self._model_id(kwargs)] = method

    def _model_id(self, kwargs: dict[str, Any]) -> str:
        return str(kwargs.get("model") or self._bound_model or self._model.model)


def _next_method(
    method: StructuredMethod, error: OneRouterError, *, yielded: bool = False
) -> StructuredMethod:
    """Return the method to try after an error, or raise the error.

    It is raised if no method is left, if it does not say that the method is unsupported, or if a
    value was already yielded: the model supports the method then.
    """
    if yielded or method not in FALLBACK_ORDER or not is_unsupported_feature(error):
        raise error
    return FALLBACK_ORDER[method]
