"""Response formats: the JSON schema of a class, with a name, strict if it can be.

A class is a pydantic model (of version 1, too), a dataclass or a TypedDict. Its schema is made
once: pydantic takes long for it, and the same class comes with every request. The cache holds its
classes by weak references. No framework and no key of the API is known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce, wraps
from operator import or_
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin
from weakref import WeakKeyDictionary

from pydantic import Field, PydanticUserError, TypeAdapter
from typing_extensions import NotRequired, Required, TypedDict, get_type_hints, is_typeddict

from onerouter_core.errors import ConfigurationError
from onerouter_core.strict_schema import inline_root_ref, schema_name, to_strict_schema
from onerouter_core.types import Json, JsonSchema, Tool

T = TypeVar("T")


def cached_by_class(make: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """Return a function that calls `make` once for each class, as long as the class lives.

    The value must hold no reference to the class.
    """
    values: WeakKeyDictionary[type[Any], T] = WeakKeyDictionary()

    @wraps(make)
    def cached(cls: type[Any], /) -> T:
        if cls not in values:
            values[cls] = make(cls)
        return values[cls]

    return cached


def to_json_schema(
    title: str, schema: Json, description: str | None = None, *, strict: bool | None = None
) -> JsonSchema:
    """Return a response format of a schema.

    Args:
        title: text from which the name is made.
        schema: the JSON schema.
        description: description that the model reads.
        strict: True makes the schema strict, False leaves it; None makes it strict if it can be.

    Raises:
        ConfigurationError: `strict` is True, and the schema cannot be made strict.

    """
    is_strict = bool(strict)
    if strict is not False:
        try:
            schema, is_strict = to_strict_schema(schema), True
        except ConfigurationError:
            if strict:
                raise
    return JsonSchema(schema_name(title), schema, is_strict or None, description)


@dataclass(frozen=True)
class ObjectSchema:
    """JSON schema of an object that a model is asked for."""

    title: str
    """Name of the object, of any characters: that of the tool, and of error messages."""

    schema: Json
    """The JSON schema."""

    description: str | None = None
    """Description that the model reads."""

    _formats: dict[bool | None, JsonSchema] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def response_format(self, *, strict: bool | None = None) -> JsonSchema:
        """Return the schema as a response format; `strict` and errors as in `to_json_schema`."""
        if strict not in self._formats:
            self._formats[strict] = to_json_schema(
                self.title, self.schema, self.description, strict=strict
            )
        return self._formats[strict]

    def tool(self, *, strict: bool | None = None) -> Tool:
        """Return a tool whose arguments are the object; `strict` as in `Tool`."""
        return Tool(self.title, self.description or "", self.schema, strict or None)


@cached_by_class
def class_schema(cls: type[Any]) -> ObjectSchema:
    """Return the schema of a class, which is made once.

    Args:
        cls: a pydantic class (of version 1, too), a dataclass or a TypedDict.

    Raises:
        ConfigurationError: the class has no JSON schema.

    """
    try:
        schema = inline_root_ref(_schema_of(cls))
    except (PydanticUserError, TypeError, NameError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(f"{cls.__name__} has no JSON schema: {reason}") from None
    return ObjectSchema(str(schema.get("title") or cls.__name__), schema, schema.get("description"))


# Raises ConfigurationError for a class without fields.
def class_response_format(cls: type[Any], *, strict: bool | None = None) -> JsonSchema:
    """Return the response format of a class; `strict` as in `to_json_schema`."""
    object_schema = class_schema(cls)
    if object_schema.schema.get("type") != "object" or "properties" not in object_schema.schema:
        raise ConfigurationError(
            f"{cls.__name__} has no fields: give a pydantic class, a dataclass or a TypedDict."
        )
    return object_schema.response_format(strict=strict)


def _schema_of(cls: type[Any]) -> Json:
    if schema_method := getattr(cls, "model_json_schema", None):
        schema: Json = schema_method()
        return schema
    if hasattr(cls, "__fields__"):
        legacy: Json = cls.schema()  # pydantic.v1
        return legacy
    return TypeAdapter(_portable(cls)).json_schema()


# pydantic takes no others before Python 3.12. A text in Annotated is a description: LangChain's
# users write them so.
def _portable(annotation: Any) -> Any:
    """Return a type whose TypedDicts, at any depth, are those of typing_extensions."""
    if is_typeddict(annotation):
        return _portable_typed_dict(annotation)
    origin: Any = get_origin(annotation)
    arguments = tuple(map(_portable, get_args(annotation)))
    if origin is Annotated:
        texts = [Field(description=text) for text in arguments[1:] if isinstance(text, str)]
        return Annotated[(*arguments, *texts)]
    if not arguments or arguments == get_args(annotation):
        return annotation
    if origin in _UNIONS:
        return reduce(or_, arguments)
    is_typing = hasattr(annotation, "copy_with")  # of List, Required: their origin is no generic
    return annotation.copy_with(arguments) if is_typing else origin[arguments]


def _portable_typed_dict(cls: Any) -> Any:
    hints = get_type_hints(cls, include_extras=True)
    fields = {
        name: _portable_field(hint, name in cls.__required_keys__) for name, hint in hints.items()
    }
    portable = _TypedDict(cls.__name__, fields)
    portable.__doc__ = cls.__doc__
    return portable


def _portable_field(hint: Any, is_required: bool) -> Any:
    """Return the type of a field; `is_required` is wrong where annotations are strings."""
    qualifier: Any = Required if is_required else NotRequired
    if get_origin(hint) in _QUALIFIERS:
        qualifier, (hint,) = get_origin(hint), get_args(hint)
    return qualifier[_portable(hint)]


_QUALIFIERS: tuple[Any, ...] = (Required, NotRequired)
_UNIONS: tuple[Any, ...] = (Union, UnionType)
_TypedDict: Any = TypedDict  # type checkers take no names and fields that are not literals
