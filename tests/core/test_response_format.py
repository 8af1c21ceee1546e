"""Response formats of classes: pydantic, dataclass and TypedDict."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar

import pytest
import typing_extensions
from pydantic import BaseModel
from pydantic import v1 as pydantic_v1

from onerouter_core import JsonSchema, class_response_format, to_json_schema
from onerouter_core.errors import ConfigurationError

T = TypeVar("T")


class Place(BaseModel):
    """A place."""

    city: str


class Old(pydantic_v1.BaseModel):
    """A place."""

    city: str


@dataclass
class Plain:
    """A place."""

    city: str


class Typed(typing.TypedDict):
    """A place."""

    city: str


class Extended(typing_extensions.TypedDict):
    """A place."""

    city: str


class Box(BaseModel, Generic[T]):
    """A generic class."""

    item: T


class Open(BaseModel):
    """A class that no strict schema describes."""

    anything: dict[str, Any]


class Trip(typing.TypedDict, total=False):
    """TypedDicts at several depths."""

    start: typing_extensions.Required[Typed]
    stops: Annotated[list[Typed], ..., "In order."]
    end: Optional[Typed]  # noqa: UP045
    way: dict[str, Typed] | None
    kind: Literal["car", "train"]


class Node(typing.TypedDict):
    """A recursive TypedDict."""

    children: list[Node]


@pytest.mark.parametrize("cls", [Place, Old, Plain, Typed, Extended])
def test_a_class_is_a_strict_schema_with_its_name(cls: type) -> None:
    """Whichever kind it is."""
    response_format = class_response_format(cls)
    assert (response_format.name, response_format.strict) == (cls.__name__, True)
    assert response_format.schema["properties"]["city"]["type"] == "string"
    assert response_format.schema["required"] == ["city"]


def test_a_generic_class_has_a_legal_name() -> None:
    """The API takes no brackets."""
    assert class_response_format(Box[int]).name == "Box_int"


@pytest.mark.parametrize("strict", [None, False])
def test_a_class_that_cannot_be_strict_is_not(strict: bool | None) -> None:
    """Unless the caller insists."""
    assert class_response_format(Open, strict=strict).strict is None
    with pytest.raises(ConfigurationError, match="cannot be strict"):
        class_response_format(Open, strict=True)


def test_typed_dicts_are_read_at_every_depth() -> None:
    """With the descriptions that LangChain's users write, and with what is not required."""
    schema = class_response_format(Trip, strict=False).schema
    assert schema["required"] == ["start"]
    assert schema["$defs"]["Typed"]["required"] == ["city"]
    assert schema["properties"]["stops"]["description"] == "In order."
    assert schema["properties"]["kind"]["enum"] == ["car", "train"]
    assert {"$ref": "#/$defs/Typed"} in schema["properties"]["end"]["anyOf"]


@pytest.mark.parametrize("cls", [int, str, list, object, pytest.Item, Node])
def test_a_class_without_fields_is_rejected(cls: type) -> None:
    """The message names it."""
    with pytest.raises(ConfigurationError, match=cls.__name__):
        class_response_format(cls)


def test_a_schema_keeps_its_description() -> None:
    """The name is made of the title."""
    schema = {"type": "object", "properties": {}}
    assert to_json_schema("My title", schema, "d", strict=False) == JsonSchema(
        "My_title", schema, None, "d"
    )
