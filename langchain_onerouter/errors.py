"""Errors of `ChatOneRouter`: the classes of `onerouter_core.errors`, also langchain-core's.

`RateLimitError` of this module is a subclass of `onerouter_core.errors.RateLimitError` and of
langchain-core's `ModelRateLimitError`: code that catches either of them catches it. The decision
which class a failure is belongs to onerouter_core.
"""

from __future__ import annotations

import sys
from typing import Any

from langchain_core import exceptions as lc
from langchain_core.messages import BaseMessage

from onerouter_core import SECRET_ARGUMENTS
from onerouter_core import errors as core

_ModelRefusalError: Any = getattr(lc, "ModelRefusalError", lc.ModelError)  # langchain-core 1.7.5


class OneRouterError(core.OneRouterError, lc.ModelError):
    """Base class of the errors of ChatOneRouter, and a langchain-core ModelError.

    Attributes, None where unknown: `message`; `status` (HTTP status); `code` (error code of the
    gateway or upstream); `request_id`; `generation_id`; `model`; `provider` (upstream);
    `retry_after` (seconds that the server asks to wait); `partial` (the `onerouter_core.Reply`
    received so far); `attempts` (number of requests sent, 0 if none); `transient` and its
    langchain-core name `is_retryable` (whether the same request may succeed later).
    """

    def __init__(self, message: str, **attributes: Any) -> None:
        super().__init__(message, **attributes)
        self.is_retryable = self.transient  # read by langchain's ModelRetryMiddleware


class ConfigurationError(OneRouterError, core.ConfigurationError, lc.ModelInvalidRequestError):
    """A wrong argument or setting; nothing was sent. Also a ValueError."""


class UnsupportedContentError(ConfigurationError, core.UnsupportedContentError):
    """Message content or a role that the API cannot carry; nothing was sent."""


class BudgetExceededError(OneRouterError, core.BudgetExceededError):
    """The budget (USD) of the model's `ledger` is spent; nothing was sent."""


class APIConnectionError(OneRouterError, core.APIConnectionError, lc.ModelConnectionError):
    """No HTTP response: connection refused, reset or closed, TLS or DNS failure. Transient."""


class APITimeoutError(APIConnectionError, core.APITimeoutError, lc.ModelTimeoutError):
    """No data within `timeout` seconds, or HTTP 408. Transient."""


class DeadlineExceededError(APITimeoutError, core.DeadlineExceededError):
    """The call, retries included, exceeded `deadline` seconds."""


class AuthenticationError(OneRouterError, core.AuthenticationError, lc.ModelAuthenticationError):
    """The API key is missing, wrong or disabled (HTTP 401)."""


class PermissionDeniedError(
    OneRouterError, core.PermissionDeniedError, lc.ModelPermissionDeniedError
):
    """The account lacks permission for the request (HTTP 403)."""


class InsufficientCreditsError(
    OneRouterError, core.InsufficientCreditsError, lc.ModelPermissionDeniedError
):
    """The account's credits or balance are not sufficient (HTTP 402, 403 or 429)."""


class InvalidRequestError(OneRouterError, core.InvalidRequestError, lc.ModelInvalidRequestError):
    """The gateway or the upstream rejects the request (HTTP 400, 413, 422 and other 4xx)."""


class ContextOverflowError(InvalidRequestError, core.ContextOverflowError, lc.ContextOverflowError):
    """The prompt, or prompt and `max_tokens`, exceed the model's context window."""


class ModelNotFoundError(OneRouterError, core.ModelNotFoundError, lc.ModelNotFoundError):
    """No provider serves the model (HTTP 404, or 503 from the gateway)."""


class RateLimitError(OneRouterError, core.RateLimitError, lc.ModelRateLimitError):
    """Too many requests or tokens per minute (HTTP 429). Transient; see `retry_after`."""


class UpstreamError(OneRouterError, core.UpstreamError, lc.ModelAPIError):
    """The gateway or the upstream failed (HTTP 5xx, or an error in a reply). Transient."""


class MalformedReplyError(OneRouterError, core.MalformedReplyError, lc.OutputParserException):
    """The reply has no answer, or structured output does not match the schema."""


class IncompleteStreamError(OneRouterError, core.IncompleteStreamError, lc.ModelConnectionError):
    """The stream ended before the answer was complete; `partial` is the reply so far."""


class RefusalError(OneRouterError, core.RefusalError, _ModelRefusalError):  # type: ignore[misc]
    """The model refused, and structured output needs its answer."""


class ContentFilterError(OneRouterError, core.ContentFilterError, lc.ModelInvalidRequestError):
    """A content filter stopped the request or the answer."""


class ModerationStopError(ContentFilterError, _ModelRefusalError):  # type: ignore[misc]
    """A content filter stopped structured output: also langchain-core's ModelRefusalError."""


class LengthLimitError(OneRouterError, core.LengthLimitError):
    """The answer was cut by `max_tokens` or the context window before it was usable."""


def to_langchain(
    error: core.OneRouterError, error_class: type[OneRouterError] | None = None
) -> OneRouterError:
    """Convert an error of the core: to the class of this module with its name, or to another."""
    if isinstance(error, OneRouterError):
        return error
    named: type[OneRouterError] = getattr(sys.modules[__name__], type(error).__name__)
    converted = (error_class or named)(error.message)
    converted.__dict__.update(error.__dict__, is_retryable=error.transient)
    return converted


def to_object_error(error: core.OneRouterError, message: BaseMessage) -> OneRouterError:
    """Convert an error about the object in a message to the class of this module."""
    is_moderation = isinstance(error, core.ContentFilterError)
    converted = to_langchain(error, ModerationStopError if is_moderation else None)
    if isinstance(converted, RefusalError | ModerationStopError):
        converted.raw_message = message
    converted.__cause__ = error.__cause__
    return converted


class TranslateErrors:
    """Context manager that converts errors of the core with `to_langchain`.

    A generator-based context manager would make a reference cycle, see `onerouter_core.tracebacks`.
    """

    __slots__ = ("_options",)

    def __init__(self, options: dict[str, Any]) -> None:
        """Convert errors; any error takes the secret ones out of the caller's keywords."""
        self._options = options

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            return
        for name in SECRET_ARGUMENTS & self._options.keys():
            del self._options[name]  # a local of the frame in the traceback of an error
        if isinstance(error, core.OneRouterError):
            errors = [to_langchain(error)]
            cause, error.__traceback__, error.__context__ = error.__cause__, None, None
            del error, traceback  # with the error in a local variable: see tracebacks.py
            raise errors.pop() from cause


translate_errors = TranslateErrors({})
"""The context manager for functions that have no keywords with secrets."""
