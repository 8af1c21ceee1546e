"""Structured output: the runnables behind `with_structured_output`.

`onerouter_core.structured_output` knows how an object is asked for; here its options are bound to
the model, and the output parser of `object_parser` follows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal, TypeAlias, get_args

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSequence
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, WithJsonSchema

from langchain_onerouter.object_parser import ObjectParser
from langchain_onerouter.tools import object_schema
from onerouter_core import (
    ObjectAttempts,
    ObjectReader,
    ObjectSchema,
    StructuredMethod,
    SupportedMethods,
    method_options,
    object_converter,
)
from onerouter_core.errors import ConfigurationError

Method: TypeAlias = Literal["auto", "json_schema", "function_calling", "json_mode"]
_METHODS: tuple[StructuredMethod, ...] = get_args(StructuredMethod)


def structured_output_runnable(  # noqa: PLR0913 -- the arguments of `with_structured_output`
    model: Any,  # the ChatOneRouter, whose module imports this one
    supported: SupportedMethods,
    schema: dict[str, Any] | type | None,
    /,  # `model` may be among the per-call keywords
    *,
    method: Method,
    include_raw: bool,
    strict: bool | None,
    **kwargs: Any,
) -> RunnableSequence[LanguageModelInput, Any]:
    """Return the model with the schema bound, followed by the output parser."""
    if method not in get_args(Method):
        raise ConfigurationError(f"method must be one of {get_args(Method)}, not {method!r}.")
    if method == "json_mode" and strict:
        raise ConfigurationError(
            'method "json_mode" cannot enforce a schema: for strict=True use "json_schema" or '
            '"function_calling".'
        )
    asked = object_schema(schema, needs_title=method != "json_mode")
    bound: dict[StructuredMethod, Any] = {
        each: _bind_method(model, asked, each, strict, **kwargs)
        for each in (_METHODS if method == "auto" else (method,))
    }
    first = MethodFallback(bound, model, supported) if method == "auto" else bound[method]
    return RunnableSequence(first, _parser(model, schema, asked, include_raw=include_raw))


def _bind_method(
    model: Any,
    asked: ObjectSchema,
    method: StructuredMethod,
    strict: bool | None,
    /,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, AIMessage]:
    """Return the model with the options of one method bound; `tools` stay callable."""
    options = method_options(asked, method, strict=strict)
    tools = [*options.pop("tools", ()), *kwargs.pop("tools", ())]
    if asked.title:  # for tracers; LangChain would make the schema of a class with each call
        about = {"description": asked.description} if asked.description else {}
        json_schema = {"title": asked.title, **about, **asked.schema}
        traced = {"kwargs": {"method": method, "strict": strict}, "schema": json_schema}
        kwargs = {"ls_structured_output_format": traced, **kwargs}
    if method == "function_calling":
        kwargs = {**options, "tool_choice": asked.title, **kwargs}
    else:
        kwargs |= options
    if tools:
        kwargs = {"tools": tools, "strict": strict, **kwargs}
    bound: Runnable[Any, AIMessage] = (model.bind_tools if tools else model.bind)(**kwargs)
    return bound


def _parser(model: Any, schema: Any, asked: ObjectSchema, *, include_raw: bool) -> ObjectParser:
    is_class = isinstance(schema, type) and is_basemodel_subclass(schema)
    output_type: Any = Any
    if is_class and issubclass(schema, BaseModel):
        output_type = schema
    elif schema is not None:  # pydantic.v1 has other schemas
        title = {"title": asked.title} if asked.title else {}
        base: Any = Any if is_class else dict[str, Any]
        output_type = Annotated[base, WithJsonSchema({**title, **asked.schema})]
    reader = ObjectReader(
        object_converter(schema if is_class else None, asked.schema),
        asked.title,
        model._redact_error,  # noqa: SLF001 -- for the classes of this project only
    )
    return ObjectParser(
        reader=reader,
        output_type=output_type,
        yields_partial=not (include_raw or is_class),
        include_raw=include_raw,
    )


class MethodFallback(Runnable[LanguageModelInput, AIMessage]):
    """Model of `method="auto"`: bound for the first method that it supports."""

    def __init__(
        self, bound: dict[StructuredMethod, Any], model: Any, supported: SupportedMethods
    ) -> None:
        """Store the model as bound for each method."""
        self._bound = bound
        self._model = model
        self._supported = supported

    @property
    def kwargs(self) -> dict[str, Any]:
        """Bound keywords of the method that the next call tries."""
        kwargs: dict[str, Any] = self._bound[self._attempts({}).method].kwargs
        return kwargs

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return the answer to the first supported method, see `with_structured_output`."""
        attempts = self._attempts(kwargs)
        while True:
            with attempts:
                return self._bound[attempts.method].invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return the answer to the first supported method, as `invoke` does."""
        attempts = self._attempts(kwargs)
        while True:
            with attempts:
                return await self._bound[attempts.method].ainvoke(input, config, **kwargs)

    def stream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """Yield the chunks of the answer to the first supported method."""
        attempts = self._attempts(kwargs)
        while not attempts.has_answer:
            with attempts:
                for chunk in self._bound[attempts.method].stream(input, config, **kwargs):
                    attempts.has_answer = True
                    yield chunk

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Yield the chunks of the answer, as `stream` does."""
        attempts = self._attempts(kwargs)
        while not attempts.has_answer:
            with attempts:
                async for chunk in self._bound[attempts.method].astream(input, config, **kwargs):
                    attempts.has_answer = True
                    yield chunk

    def _attempts(self, kwargs: dict[str, Any]) -> ObjectAttempts:
        bound_model = self._bound["json_schema"].kwargs.get("model")
        return self._supported.attempts(
            str(kwargs.get("model") or bound_model or self._model.model)
        )
