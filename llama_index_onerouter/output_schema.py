"""JSON schemas of pydantic classes and tools, cached by class.

Pydantic takes long to build a JSON schema, and agents and query engines need the same schema on
every turn. The caches hold their classes by weak references.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from llama_index.core.tools import ToolMetadata
from pydantic import BaseModel, ConfigDict, create_model

from onerouter_core import Json, JsonSchema, inline_root_ref, to_json_schema
from onerouter_core.errors import ConfigurationError


class _PartialObject(BaseModel):
    """An incomplete object of a stream: every field is optional and may have any type."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


class OutputSchema:
    """JSON schema of an output class; it keeps no reference to the class."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self.schema = inline_root_ref(output_cls.model_json_schema())
        self.title = str(self.schema.get("title") or output_cls.__name__)
        self._aliases = {name: field.alias for name, field in output_cls.model_fields.items()}

    @cached_property
    def format(self) -> JsonSchema:
        """The schema as a response format; strict if the schema can be made strict."""
        return to_json_schema(self.title, self.schema, self.schema.get("description"))

    @cached_property
    def names(self) -> dict[str, str]:
        """Field names by alias."""
        return {alias: name for name, alias in self._aliases.items() if alias}

    @cached_property
    def partial_model(self) -> type[BaseModel]:
        """A class with the same field names for incomplete objects."""
        fields: dict[str, Any] = dict.fromkeys(self._aliases, (Any, None))
        return create_model(f"Flexible{self.title}", __base__=_PartialObject, **fields)


_output_schemas: WeakKeyDictionary[type[BaseModel], OutputSchema] = WeakKeyDictionary()
_parameters: WeakKeyDictionary[type[BaseModel], Json] = WeakKeyDictionary()


def output_schema_of(output_cls: type[BaseModel]) -> OutputSchema:
    """Return the schema of a class; raise ConfigurationError if it is no pydantic model class."""
    if not (isinstance(output_cls, type) and issubclass(output_cls, BaseModel)):
        raise ConfigurationError(f"output_cls must be a pydantic model class, not {output_cls!r}.")
    if output_cls not in _output_schemas:
        _output_schemas[output_cls] = OutputSchema(output_cls)
    return _output_schemas[output_cls]


def parameters_of(metadata: ToolMetadata) -> Json:
    """Return the JSON schema of a tool's arguments; metadata that overrides it is not cached."""
    source = metadata.fn_schema
    if source is None or type(metadata).get_parameters_dict is not ToolMetadata.get_parameters_dict:
        return metadata.get_parameters_dict()
    if source not in _parameters:
        parameters = metadata.get_parameters_dict()
        if "properties" not in parameters:  # LlamaIndex drops a `$ref` at the root
            parameters = inline_root_ref(source.model_json_schema())
        _parameters[source] = parameters
    return _parameters[source]
