"""JSON schemas of output classes and tools, and classes of incomplete objects, cached by class.

Pydantic takes long to build a JSON schema, and agents and query engines need the same schema on
every turn. The caches hold their classes by weak references.
"""

from __future__ import annotations

from typing import Any

from llama_index.core.tools import ToolMetadata
from pydantic import BaseModel, ConfigDict, create_model

from llama_index_onerouter.attribute_dict import to_attribute_dict
from onerouter_core import Json, ObjectSchema, cached_by_class, class_schema
from onerouter_core.errors import ConfigurationError


class _PartialObject(BaseModel):
    """An incomplete object of a stream: every field is optional and may have any type."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


def output_schema_of(output_cls: type[BaseModel]) -> ObjectSchema:
    """Return the schema of a class; raise ConfigurationError if it is no pydantic model class."""
    if not (isinstance(output_cls, type) and issubclass(output_cls, BaseModel)):
        raise ConfigurationError(f"output_cls must be a pydantic model class, not {output_cls!r}.")
    return class_schema(output_cls)


# An incomplete value can be valid, such as the first digits of a number.
def partial_object(output_cls: type[BaseModel], value: Json) -> BaseModel:
    """Return an incomplete object with the field names of a class, never an instance of it."""
    names, partial_class = _partial_class(output_cls)
    return partial_class.model_validate(
        {names.get(key, key): to_attribute_dict(item) for key, item in value.items()}
    )


@cached_by_class
def _partial_class(output_cls: type[BaseModel]) -> tuple[dict[str, str], type[BaseModel]]:
    """Return the field names by alias, and a class with the same field names."""
    aliases = {name: field.alias for name, field in output_cls.model_fields.items()}
    fields: dict[str, Any] = dict.fromkeys(aliases, (Any, None))
    partial_class = create_model(
        f"Flexible{class_schema(output_cls).title}", __base__=_PartialObject, **fields
    )
    return {alias: name for name, alias in aliases.items() if alias}, partial_class


def parameters_of(metadata: ToolMetadata) -> Json:
    """Return the JSON schema of a tool's arguments; metadata that overrides it is not cached."""
    source = metadata.fn_schema
    if source is None or type(metadata).get_parameters_dict is not ToolMetadata.get_parameters_dict:
        return metadata.get_parameters_dict()
    return _class_parameters(source)


@cached_by_class
def _class_parameters(fn_schema: type[BaseModel]) -> Json:
    """Return what LlamaIndex keeps of the schema, but with the object that its root refers to."""
    schema = class_schema(fn_schema).schema
    return {key: schema[key] for key in _PARAMETER_KEYS if key in schema}


_PARAMETER_KEYS = ("properties", "type", "required", "definitions", "$defs")
