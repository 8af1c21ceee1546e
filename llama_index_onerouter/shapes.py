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

from onerouter_core.errors import ConfigurationError
from onerouter_core.schemas import rooted, schema_name, strict
from onerouter_core.values import Json, JsonSchema


class _Flexible(BaseModel):
    """An object that streams in: any field may be missing yet, and of any type."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


class Shape:
    """What a class looks like; it does not hold the class."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self.schema = rooted(output_cls.model_json_schema())
        self.title = str(self.schema.get("title") or output_cls.__name__)
        self._aliases = {name: field.alias for name, field in output_cls.model_fields.items()}

    @cached_property
    def format(self) -> JsonSchema:
        """The response format that asks for it, strict if the class can be held to that."""
        name, about = schema_name(self.title), self.schema.get("description")
        try:
            return JsonSchema(name, strict(self.schema), True, about)
        except ConfigurationError:
            return JsonSchema(name, self.schema, None, about)

    @cached_property
    def names(self) -> dict[str, str]:
        """The fields' names by their aliases."""
        return {alias: name for name, alias in self._aliases.items() if alias}

    @cached_property
    def flexible(self) -> type[BaseModel]:
        """A class for objects that are not whole yet."""
        fields: dict[str, Any] = dict.fromkeys(self._aliases, (Any, None))
        return create_model(f"Flexible{self.title}", __base__=_Flexible, **fields)


_shapes: WeakKeyDictionary[type[BaseModel], Shape] = WeakKeyDictionary()
_parameters: WeakKeyDictionary[type[BaseModel], Json] = WeakKeyDictionary()


def shape_of(output_cls: type[BaseModel]) -> Shape:
    """Return the shape of a class; raise ConfigurationError if it is none of pydantic's."""
    if not (isinstance(output_cls, type) and issubclass(output_cls, BaseModel)):
        raise ConfigurationError(f"An object is made of a pydantic class, not of {output_cls!r}.")
    if output_cls not in _shapes:
        _shapes[output_cls] = Shape(output_cls)
    return _shapes[output_cls]


def parameters_of(about: ToolMetadata) -> Json:
    """Return the JSON schema of a tool's arguments."""
    source = about.fn_schema
    if source is None or type(about).get_parameters_dict is not ToolMetadata.get_parameters_dict:
        return about.get_parameters_dict()
    if source not in _parameters:
        parameters = about.get_parameters_dict()
        if "properties" not in parameters:  # it leaves out a reference at the root
            parameters = rooted(source.model_json_schema())
        _parameters[source] = parameters
    return _parameters[source]
