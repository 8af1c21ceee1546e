"""JSON objects whose keys can also be read as attributes.

LlamaIndex and its tracers do not agree on the type of `raw` and of a tool call: some read dict
keys, others read object attributes. AttributeDict supports both, at every level. This module knows
no key of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onerouter_core import ReplyDelta


class AttributeDict(dict[str, Any]):
    """A dict whose keys can also be read as attributes.

    A method of dict hides the key of its name. Names like `__deepcopy__` are Python's: `copy` and
    `pickle` would call what a server sent under them.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class ResponseBody(AttributeDict):
    """JSON body of a response, and the delta that the response was made of; copies have no delta.

    LlamaIndex hands a response on, and nothing beside it: structured output reads the delta.
    """

    __slots__ = ("received",)  # a dict for it would be one more that each held chunk has

    received: ReplyDelta
    """The delta, that of a complete response with the reply alone."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle the body as an AttributeDict."""
        return AttributeDict, (dict(self),)


def to_attribute_dict(value: Any) -> Any:
    """Return a deep copy of a JSON value in which every object is an AttributeDict."""
    match value:
        case dict():
            return AttributeDict([(key, to_attribute_dict(item)) for key, item in value.items()])
        case list():
            return [to_attribute_dict(item) for item in value]
        case _:
            return value


def get_field(value: Any, name: str) -> Any:
    """Return a mapping's item or an object's attribute; None if it does not exist."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
