"""JSON that is read by key or by attribute.

LlamaIndex and the tracers around it disagree on what `raw` and a tool call are: some take dicts,
some objects. This is both, at every level. It knows no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class AttributeDict(dict[str, Any]):
    """A dict whose keys are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def to_attribute_dict(value: Any) -> Any:
    """Return a copy of JSON in which every object is a Raw."""
    match value:
        case dict():
            return AttributeDict([(key, to_attribute_dict(item)) for key, item in value.items()])
        case list():
            return [to_attribute_dict(item) for item in value]
        case _:
            return value


def get_field(value: Any, name: str) -> Any:
    """Return a key's or an attribute's value, None if there is no such."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
