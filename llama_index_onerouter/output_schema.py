"""What is known of a pydantic class: its JSON schema, and what follows from that.

Pydantic takes long to make a schema, and agents and query engines ask for the same one on every
turn. This module makes each once, and forgets it with its class.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from llama_index.core.tools import ToolMetadata
from pydantic import BaseModel, ConfigDict, create_model

from onerouter_core import Json, JsonSchema, inline_root_ref, schema_name, to_strict_schema
from onerouter_core.errors import ConfigurationError


class _PartialObject(BaseModel):
    """An object that streams in: any field may be missing yet, and of any type."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


class OutputSchema:
    """What a class looks like; it does not hold the class."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self.schema = inline_root_ref(output_cls.model_json_schema())
        self.title = str(self.schema.get("title") or output_cls.__name__)
        self._aliases = {name: field.alias for name, field in output_cls.model_fields.items()}

    @cached_property
    def format(self) -> JsonSchema:
        """The response format that asks for it, strict if the class can be held to that."""
        name, description = schema_name(self.title), self.schema.get("description")
        try:
            return JsonSchema(name, to_strict_schema(self.schema), True, description)
        except ConfigurationError:
            return JsonSchema(name, self.schema, None, description)

    @cached_property
    def names(self) -> dict[str, str]:
        """The fields' names by their aliases."""
        return {alias: name for name, alias in self._aliases.items() if alias}

    @cached_property
    def partial_model(self) -> type[BaseModel]:
        """A class for objects that are not whole yet."""
        fields: dict[str, Any] = dict.fromkeys(self._aliases, (Any, None))
        return create_model(f"Flexible{self.title}", __base__=_PartialObject, **fields)


_output_schemas: WeakKeyDictionary[type[BaseModel], OutputSchema] = WeakKeyDictionary()
_parameters: WeakKeyDictionary[type[BaseModel], Json] = WeakKeyDictionary()


def output_schema_of(output_cls: type[BaseModel]) -> OutputSchema:
    """Return the shape of a class; raise ConfigurationError if it is none of pydantic's."""
    if not (isinstance(output_cls, type) and issubclass(output_cls, BaseModel)):
        raise ConfigurationError(f"An object is made of a pydantic class, not of {output_cls!r}.")
    if output_cls not in _output_schemas:
        _output_schemas[output_cls] = OutputSchema(output_cls)
    return _output_schemas[output_cls]


def parameters_of(description: ToolMetadata) -> Json:
    """Return the JSON schema of a tool's arguments."""
    source = description.fn_schema
    if (
        source is None
        or type(description).get_parameters_dict is not ToolMetadata.get_parameters_dict
    ):
        return description.get_parameters_dict()
    if source not in _parameters:
        parameters = description.get_parameters_dict()
        if "properties" not in parameters:  # it leaves out a reference at the root
            parameters = inline_root_ref(source.model_json_schema())
        _parameters[source] = parameters
    return _parameters[source]
