"""How a call is traced: once, and without its secrets.

LlamaIndex's events and spans show what a call was given before any code of ours runs. So a key or
headers that are given per call put on a mask before LlamaIndex sees them, and take it off behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, TypeVar, cast

from llama_index.core.instrumentation.dispatcher import (  # type: ignore[attr-defined]
    DISPATCHER_SPAN_DECORATED_ATTR,
)
from llama_index.core.llms.llm import dispatcher
from pydantic import Secret

from onerouter_core import SECRET_ARGUMENTS

_Method = TypeVar("_Method", bound=Callable[..., Any])
_Mask: TypeAlias = Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]


def mask_call(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Mask what a call is given by keyword."""
    return args, mask_secrets(kwargs)


def mask_prediction(
    output_cls: Any, prompt: Any, llm_kwargs: Any = None, **prompt_args: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Mask the keywords of the call that a prediction makes; those of its prompt are words."""
    return (output_cls, prompt, llm_kwargs and mask_secrets(llm_kwargs)), prompt_args


def traced_endpoint(
    callback: Callable[..., Any] = lambda method: method, mask: _Mask = mask_call
) -> Callable[[_Method], _Method]:
    """Return LlamaIndex's decorator of an endpoint, as one that lets no secret through."""
    return lambda method: _mask_before_tracing(mask, dispatcher.span(callback(method)), method)


def redacted_endpoint(mask: _Mask = mask_call) -> Callable[[_Method], _Method]:
    """Do the same for a method whose span is around what it calls."""

    def decorate(method: _Method) -> _Method:
        setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)
        return _mask_before_tracing(mask, method, method)

    return decorate


def _mask_before_tracing(mask: _Mask, traced: Any, method: _Method) -> _Method:
    # LlamaIndex would put its span around whatever is here, the mask included.
    @wraps(traced)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = mask(*args, **kwargs)
        return traced.__get__(self, type(self))(*args, **kwargs)

    @wraps(traced)
    async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = mask(*args, **kwargs)
        return await traced.__get__(self, type(self))(*args, **kwargs)

    return cast("_Method", awaited if iscoroutinefunction(method) else called)


def mask_secrets(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's keywords, the secret ones as stars to whoever looks."""
    return {
        name: Secret(value) if name in SECRET_ARGUMENTS and not isinstance(value, Secret) else value
        for name, value in given.items()
    }


def unmask_secrets(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords as the caller gave them."""
    return {
        name: value.get_secret_value() if isinstance(value, Secret) else value
        for name, value in given.items()
    }
