"""Tracing decorators: each call has one span, and no trace shows a secret.

LlamaIndex's events and spans record the arguments of a call before the method runs. Secret
arguments that are given per call are therefore wrapped in pydantic's Secret before LlamaIndex sees
them, and unwrapped inside the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, TypeVar, cast

from llama_index.core.instrumentation.dispatcher import (  # type: ignore[attr-defined]
    DISPATCHER_SPAN_DECORATED_ATTR,  # pyright: ignore[reportPrivateImportUsage]
)
from llama_index.core.instrumentation.event_handlers import NullEventHandler
from llama_index.core.instrumentation.span_handlers import NullSpanHandler
from llama_index.core.llms.llm import dispatcher
from pydantic import Secret

from llama_index_onerouter.tools import to_sent_tools
from onerouter_core import SECRET_ARGUMENTS, OneRouterError, without_frames

_Method = TypeVar("_Method", bound=Callable[..., Any])
_Mask: TypeAlias = Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]


def mask_keywords(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with secret keywords masked."""
    return args, mask_secrets(kwargs)


def mask_call(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with secret keywords masked, and its tools as JSON."""
    if not kwargs:
        return args, {}
    masked = mask_secrets(kwargs)
    if (tools := masked.get("tools")) and _is_traced():
        # openinference writes each tool with json.dumps (4.6, _handler.py, `process_input`)
        masked["tools"] = to_sent_tools(tools)
    return args, masked


def _is_traced() -> bool:
    """Return whether a handler records calls: without one, no tool is encoded for it."""
    root = dispatcher.root
    handlers = (*root.span_handlers, *root.event_handlers)
    return any(not isinstance(each, (NullSpanHandler, NullEventHandler)) for each in handlers)


def mask_prediction(
    output_cls: Any, prompt: Any, llm_kwargs: Any = None, **prompt_args: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a structured prediction with secrets in `llm_kwargs` masked.

    The prompt's own variables are not masked, whatever their names.
    """
    return (output_cls, prompt, llm_kwargs and mask_secrets(llm_kwargs)), prompt_args


def traced_endpoint(
    callback: Callable[..., Any] = lambda method: method, mask: _Mask = mask_call
) -> Callable[[_Method], _Method]:
    """Return a decorator that gives a method LlamaIndex's span and callback, secrets masked."""
    return lambda method: _mask_before_tracing(mask, dispatcher.span(callback(method)), method)


def redacted_endpoint(mask: _Mask = mask_keywords) -> Callable[[_Method], _Method]:
    """Return a decorator that masks secrets of a method whose base class has the span."""

    def decorate(method: _Method) -> _Method:
        setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)
        return _mask_before_tracing(mask, method, method)

    return decorate


def _mask_before_tracing(mask: _Mask, traced: Any, method: _Method) -> _Method:
    # `wraps` copies the attribute that marks a method as traced. Without it LlamaIndex would add a
    # second span around the mask, which would record the secrets. Inside the method they are not
    # masked: an error has no frames from there.
    @wraps(traced)
    def masked(self: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = mask(*args, **kwargs)
        try:
            return traced.__get__(self, type(self))(*args, **kwargs)
        except OneRouterError as error:
            errors = [error]
        raise self._redact_error(without_frames(errors.pop()))

    @wraps(traced)
    async def amasked(self: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = mask(*args, **kwargs)
        try:
            return await traced.__get__(self, type(self))(*args, **kwargs)
        except OneRouterError as error:
            errors = [error]
        raise self._redact_error(without_frames(errors.pop()))

    return cast("_Method", amasked if iscoroutinefunction(method) else masked)


def mask_secrets(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords with the secret ones wrapped in Secret, whose repr shows only asterisks."""
    return {
        name: Secret(value) if name in SECRET_ARGUMENTS and not isinstance(value, Secret) else value
        for name, value in kwargs.items()
    }


def unmask_secrets(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords with the Secret values unwrapped."""
    return {
        name: value.get_secret_value() if isinstance(value, Secret) else value
        for name, value in kwargs.items()
    }
