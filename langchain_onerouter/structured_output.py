"""Structured output: the runnables behind `with_structured_output`.

Each method binds its request parameters to the model and adds the output parser of
`object_parser`. The output is an object of the schema, or an error names why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, SystemMessage
from langchain_core.runnables import Runnable, RunnableLambda, RunnableSequence
from langchain_core.runnables.passthrough import identity
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, WithJsonSchema

from langchain_onerouter.method_fallback import MethodFallback, StructuredMethod
from langchain_onerouter.object_parser import ObjectParser
from langchain_onerouter.raw_output import RawOutputParser
from langchain_onerouter.tools import schema_tool
from onerouter_core import Json, JsonSchema, json_instruction, to_json_schema
from onerouter_core.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_onerouter.chat_models import ChatOneRouter

Method: TypeAlias = Literal["auto", "json_schema", "function_calling", "json_mode"]


def structured_output_runnable(  # noqa: PLR0913 -- the arguments of `with_structured_output`
    model: ChatOneRouter,
    method_by_model: dict[str, StructuredMethod],
    schema: dict[str, Any] | type | None,
    /,  # `model` may be among the per-call keywords
    *,
    method: Method,
    include_raw: bool,
    strict: bool | None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, Any]:
    """Return the model with the schema bound, followed by the output parser."""
    if method == "json_mode" and strict:
        raise ConfigurationError(
            'method "json_mode" cannot enforce a schema: for strict=True use "json_schema" or '
            '"function_calling".'
        )
    make_chain = partial(
        _method_chain, model, schema, include_raw=include_raw, strict=strict, **kwargs
    )
    if method != "auto":
        return make_chain(method)
    methods: tuple[StructuredMethod, ...] = get_args(StructuredMethod)
    chains: dict[StructuredMethod, RunnableSequence[Any, Any]] = {m: make_chain(m) for m in methods}
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
) -> RunnableSequence[LanguageModelInput, Any]:
    """Return the model bound for one method, followed by the output parser."""
    bound = _bind_method(model, schema, method, strict, **kwargs)
    object_schema = None if schema is None else _object_schema(schema, method)
    if method == "json_mode" and object_schema is not None:
        instruction = SystemMessage(json_instruction(object_schema))
        bound = RunnableLambda(partial(_with_instruction, model, instruction, bound))
    parser = ObjectParser(
        convert=_converter(schema, object_schema),
        output_type=_output_type(schema, object_schema),
        yields_partial=not _is_pydantic_class(schema),
        tool=schema_tool(schema).name if method == "function_calling" else None,
        redact=model._redact_error,  # noqa: SLF001 -- for the classes of this project only
    )
    return RunnableSequence(bound, RawOutputParser(parser=parser) if include_raw else parser)


def _with_instruction(
    model: ChatOneRouter,
    instruction: SystemMessage,
    bound: Runnable[LanguageModelInput, AIMessage],
    input: LanguageModelInput,
    /,
    **kwargs: Any,
) -> Runnable[Any, AIMessage]:
    """Return a runnable that calls the model with the schema in a system message before the input.

    LangChain passes per-call keywords to the first step of a chain only; here they are bound to
    the model.
    """
    messages = [instruction, *model.to_messages(input)]
    return RunnableLambda(lambda _: messages) | bound.bind(**kwargs)


def _bind_method(
    model: ChatOneRouter,
    schema: dict[str, Any] | type | None,
    method: StructuredMethod,
    strict: bool | None,
    /,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, AIMessage]:
    """Return the model with the parameters of one method bound; `tools` stay callable."""
    if method not in get_args(Method):
        raise ConfigurationError(f"method must be one of {get_args(Method)}, not {method!r}.")
    if schema is not None:
        traced = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        kwargs = {"ls_structured_output_format": traced, **kwargs}
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
    """Convert a schema to a response format of type json_schema."""
    tool = schema_tool(schema)
    return to_json_schema(tool.name, tool.parameters, tool.description or None, strict=strict)


# --- schema and type of the object ---


def _is_pydantic_class(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def _object_schema(schema: dict[str, Any] | type, method: StructuredMethod) -> Json:
    """Return the JSON schema of the object; in JSON mode it needs no title."""
    if method == "json_mode" and isinstance(schema, dict) and _is_untitled_object(schema):
        return schema
    return schema_tool(schema).parameters


def _output_type(schema: Any, object_schema: Json | None) -> Any:
    """Return the type of the object: the class, or a type with the JSON schema of the others."""
    if object_schema is None:
        return None
    if _is_pydantic_class(schema) and issubclass(schema, BaseModel):
        return schema
    base = Any if _is_pydantic_class(schema) else dict[str, Any]  # pydantic.v1 has other schemas
    title = {} if object_schema is schema else {"title": schema_tool(schema).name}
    return Annotated[base, WithJsonSchema({**title, **object_schema})]


def _is_untitled_object(schema: Json) -> bool:
    return schema.get("type") == "object" and "title" not in schema


def _converter(schema: Any, object_schema: Json | None) -> Callable[[Any], Any]:
    """Return a function from parsed JSON to the object; it raises ValueError if it does not fit."""
    if object_schema is None:
        return identity
    if not _is_pydantic_class(schema):
        return partial(_require_keys, object_schema.get("required", ()))
    validate: Callable[[Any], Any] = getattr(schema, "model_validate", None) or schema.parse_obj
    return validate  # `parse_obj` for classes of pydantic.v1


def _require_keys(required: Sequence[str], value: Any) -> Any:
    if not isinstance(value, dict):
        found = type(value).__name__
        raise ValueError(f"expected an object, got {found}")  # noqa: TRY004 -- see `_converter`
    if missing := [key for key in required if key not in value]:
        raise ValueError(f"the keys {missing} are missing")
    return value
