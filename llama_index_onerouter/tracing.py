"""How a call is traced: once, and without its secrets.

LlamaIndex's events and spans show what a call was given before any code of ours runs. So a key or
headers that are given per call put on a mask before LlamaIndex sees them, and take it off behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

from llama_index.core.llms.llm import dispatcher
from pydantic import Secret

SECRET = frozenset({"api_key", "default_headers", "extra_headers"})
"""The names of what a call may be given that no trace may show."""

_Method = TypeVar("_Method", bound=Callable[..., Any])


def endpoint(callback: Callable[..., Any]) -> Callable[[_Method], _Method]:
    """Return LlamaIndex's decorator of an endpoint, as one that lets no secret through."""

    def decorate(method: _Method) -> _Method:
        # LlamaIndex would put its span around whatever is here, the mask included.
        traced: Any = dispatcher.span(callback(method))

        @wraps(traced)
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            return traced.__get__(self, type(self))(*args, **masked(kwargs))

        @wraps(traced)
        async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
            return await traced.__get__(self, type(self))(*args, **masked(kwargs))

        return cast("_Method", awaited if iscoroutinefunction(method) else called)

    return decorate


def masked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's keywords, the secret ones as stars to whoever looks."""
    return {
        name: Secret(value) if name in SECRET and not isinstance(value, Secret) else value
        for name, value in given.items()
    }


def unmasked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords as the caller gave them."""
    return {
        name: value.get_secret_value() if isinstance(value, Secret) else value
        for name, value in given.items()
    }
