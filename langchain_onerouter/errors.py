"""The core's errors, each also the langchain-core ModelError of its kind.

Code that catches `onerouter_core.errors.RateLimitError`, this module's or langchain-core's
`ModelRateLimitError` catches the same error. This module knows names only.
"""

from __future__ import annotations

import sys
from typing import Any

from langchain_core import exceptions as lc

from onerouter_core import errors as core

_ModelRefusalError: Any = getattr(lc, "ModelRefusalError", lc.ModelError)  # langchain-core 1.7.5


class OneRouterError(core.OneRouterError, lc.ModelError):
    """Base of all errors of ChatOneRouter."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.is_retryable = self.transient  # what LangChain's retry middleware asks


class ConfigurationError(OneRouterError, core.ConfigurationError, lc.ModelInvalidRequestError):
    """An argument that cannot be right; nothing was sent."""


class UnsupportedContentError(ConfigurationError, core.UnsupportedContentError):
    """Content that the API cannot carry; nothing was sent."""


class BudgetExceededError(OneRouterError, core.BudgetExceededError):
    """The budget is spent; nothing was sent."""


class APIConnectionError(OneRouterError, core.APIConnectionError, lc.ModelConnectionError):
    """The gateway could not be reached, or hung up before it answered."""


class APITimeoutError(APIConnectionError, core.APITimeoutError, lc.ModelTimeoutError):
    """Nothing came for `timeout` seconds."""


class DeadlineExceededError(APITimeoutError, core.DeadlineExceededError):
    """The whole call took longer than `deadline` seconds."""


class AuthenticationError(OneRouterError, core.AuthenticationError, lc.ModelAuthenticationError):
    """The key is missing, wrong or switched off."""


class PermissionDeniedError(
    OneRouterError, core.PermissionDeniedError, lc.ModelPermissionDeniedError
):
    """The account may not do this."""


class InsufficientCreditsError(
    OneRouterError, core.InsufficientCreditsError, lc.ModelPermissionDeniedError
):
    """The account's credits or balance do not suffice."""


class InvalidRequestError(OneRouterError, core.InvalidRequestError, lc.ModelInvalidRequestError):
    """The gateway or the upstream refuses the request."""


class ContextOverflowError(InvalidRequestError, core.ContextOverflowError, lc.ContextOverflowError):
    """The prompt exceeds the model's context window."""


class ModelNotFoundError(OneRouterError, core.ModelNotFoundError, lc.ModelNotFoundError):
    """No provider serves the model."""


class RateLimitError(OneRouterError, core.RateLimitError, lc.ModelRateLimitError):
    """Too many requests or tokens a minute."""


class UpstreamError(OneRouterError, core.UpstreamError, lc.ModelAPIError):
    """The gateway or the model's provider failed."""


class MalformedReplyError(OneRouterError, core.MalformedReplyError, lc.OutputParserException):
    """A reply that holds no answer, or not the object that was asked for."""


class IncompleteStreamError(OneRouterError, core.IncompleteStreamError, lc.ModelConnectionError):
    """A stream that ended before the answer did; `partial` holds what came."""


class RefusalError(OneRouterError, core.RefusalError, _ModelRefusalError):  # type: ignore[misc]
    """The model declined where its answer was needed."""


class ContentFilterError(OneRouterError, core.ContentFilterError, lc.ModelInvalidRequestError):
    """Moderation stopped the request or the answer."""


class LengthLimitError(OneRouterError, core.LengthLimitError):
    """The answer was cut by `max_tokens` or the context before it was usable."""


def to_langchain(error: core.OneRouterError) -> OneRouterError:
    """Return the same error as the class of this module that has its name."""
    if isinstance(error, OneRouterError):
        return error
    twin: OneRouterError = getattr(sys.modules[__name__], type(error).__name__)(error.message)
    twin.__dict__.update(error.__dict__, is_retryable=error.transient)
    return twin


class _InLangChainWords:
    """Context that raises the core's errors as this module's.

    A generator in its place would make a cycle: see `onerouter_core.tracebacks`.
    """

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if isinstance(failure, core.OneRouterError):
            raise to_langchain(failure) from failure.__cause__


def in_langchain_words() -> _InLangChainWords:
    """Raise the core's errors as this module's."""
    return _InLangChainWords()
