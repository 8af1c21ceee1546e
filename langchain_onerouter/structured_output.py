"""`with_structured_output`: an object of the schema, or an error that says why there is none.

This module knows three ways to ask for an object, and what is an object of a schema. How an answer
is read, `object_parser` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, SystemMessage
from langchain_core.runnables import (
    Runnable,
    RunnableAssign,
    RunnableLambda,
    RunnableMap,
    RunnablePassthrough,
)
from langchain_core.runnables.passthrough import identity
from langchain_core.utils.pydantic import is_basemodel_subclass

from langchain_onerouter.method_fallback import MethodFallback, StructuredMethod
from langchain_onerouter.object_parser import ObjectParser
from langchain_onerouter.tools import schema_tool
from onerouter_core import Json, JsonSchema, json_instruction, schema_name, to_strict_schema
from onerouter_core.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_onerouter.chat_models import ChatOneRouter

Method: TypeAlias = Literal["auto", "json_schema", "function_calling", "json_mode"]


def structured_output_runnable(  # noqa: PLR0913 -- the arguments of `with_structured_output`
    model: ChatOneRouter,
    method_by_model: dict[str, StructuredMethod],
    schema: dict[str, Any] | type | None,
    /,  # a keyword may be called `model`, and is the call's
    *,
    method: Method,
    include_raw: bool,
    strict: bool | None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, Any]:
    """Return the model bound to the schema, and the parser after it."""
    if method == "json_mode" and strict:
        raise ConfigurationError("json_mode keeps to no schema: strict needs another method.")
    chains = {
        method: _method_chain(
            model, schema, method, include_raw=include_raw, strict=strict, **kwargs
        )
        for method in (get_args(StructuredMethod) if method == "auto" else (method,))
    }
    if method != "auto":
        return chains[method]
    return MethodFallback(chains, model, method_by_model, kwargs.get("model"))


def _method_chain(
    model: ChatOneRouter,
    schema: dict[str, Any] | type | None,
    method: StructuredMethod,
    /,
    *,
    include_raw: bool,
    strict: bool | None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, Any]:
    """Return what asks in one way, and reads the answer."""
    asked = _bind_method(model, schema, method, strict, **kwargs)
    object_schema = None if schema is None else _object_schema(schema, method)
    if method == "json_mode" and object_schema is not None:
        words = SystemMessage(json_instruction(object_schema))
        asked = RunnableLambda(partial(_with_instruction, model, words, asked))
    parser = ObjectParser(
        convert=_converter(schema, object_schema),
        streams_parts=not _is_pydantic_class(schema),
        tool=schema_tool(schema).name if method == "function_calling" else None,
    )
    return asked | (_include_raw(parser) if include_raw else parser)


def _include_raw(parser: ObjectParser) -> Runnable[AIMessage, dict[str, Any]]:
    """Return what gives all there is: the message, and the object or why there is none."""
    parsed = RunnableMap(parsed=itemgetter("raw") | parser, parsing_error=_none)
    failed = RunnableMap(parsed=_none)
    raw = RunnableMap(raw=RunnablePassthrough())  # keywords reach the first step: the model
    fallback = [RunnableAssign(failed)]
    return raw | RunnableAssign(parsed).with_fallbacks(fallback, exception_key="parsing_error")


def _none(_: Any) -> None:
    """Return what stands where there is no object, or no error."""


def _with_instruction(
    model: ChatOneRouter,
    words: SystemMessage,
    bound: Runnable[LanguageModelInput, AIMessage],
    given: LanguageModelInput,
    /,
    **kwargs: Any,
) -> Runnable[Any, AIMessage]:
    """Say the schema in words, to a model that can be held to none; return what is then run.

    A call's keywords reach the first step of a chain alone: this one hands them on to the model.
    """
    messages = [words, *model.to_messages(given)]
    return RunnableLambda(lambda _: messages) | bound.bind(**kwargs)


def _bind_method(
    model: ChatOneRouter,
    schema: dict[str, Any] | type | None,
    method: StructuredMethod,
    strict: bool | None,
    /,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, AIMessage]:
    """Return the model asked for the schema in one way; `tools` may be called besides."""
    if method not in get_args(Method):
        raise ConfigurationError(f"method must be one of {get_args(Method)}, not {method!r}.")
    if schema is not None:
        about = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        kwargs = {"ls_structured_output_format": about, **kwargs}
    if method == "function_calling":
        tools = [schema, *kwargs.pop("tools", ())]
        kwargs = {"parallel_tool_calls": False, "tool_choice": schema_tool(schema).name, **kwargs}
        return model.bind_tools(tools, strict=strict, **kwargs)
    if method == "json_schema":
        kwargs["response_format"] = to_format(schema, strict=strict)
    else:
        kwargs["response_format"] = "json_object"
    if tools := kwargs.pop("tools", None):
        return model.bind_tools(tools, strict=strict, **kwargs)
    return model.bind(**kwargs)


def to_format(schema: dict[str, Any] | type | None, *, strict: bool | None) -> JsonSchema:
    """Return the response format: strict if it was asked for, or if nothing was and it can be."""
    tool = schema_tool(schema)
    object_schema, is_strict = tool.parameters, bool(strict)
    if strict is not False:
        try:
            object_schema, is_strict = to_strict_schema(object_schema), True
        except ConfigurationError:
            if strict:
                raise
    return JsonSchema(schema_name(tool.name), object_schema, is_strict, tool.description or None)


# --- what the object is ---


def _is_pydantic_class(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def _object_schema(schema: dict[str, Any] | type, method: StructuredMethod) -> Json:
    """Return the JSON schema of an object; one that is only said in words needs no name."""
    if method == "json_mode" and isinstance(schema, dict) and _is_untitled_object(schema):
        return schema
    return schema_tool(schema).parameters


def _is_untitled_object(schema: Json) -> bool:
    return schema.get("type") == "object" and "title" not in schema


def _converter(schema: Any, object_schema: Json | None) -> Callable[[Any], Any]:
    """Return what makes the object of parsed JSON; it raises ValueError if it is none."""
    if object_schema is None:
        return identity
    if not _is_pydantic_class(schema):
        return partial(_require_keys, object_schema.get("required", ()))
    validate: Callable[[Any], Any] = getattr(schema, "model_validate", None) or schema.parse_obj
    return validate  # which it is depends on the generation of pydantic


def _require_keys(required: Sequence[str], value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} instead of an object")  # noqa: TRY004 -- one kind of failure for the parser
    if missing := [key for key in required if key not in value]:
        raise ValueError(f"the keys {missing} are missing")
    return value
