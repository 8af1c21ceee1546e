"""What can go wrong, and whether asking again may help.

    OneRouterError
    ├── ConfigurationError (a ValueError)   your arguments; raised before anything is sent
    │   └── UnsupportedContentError         a part that the API cannot carry
    ├── BudgetExceededError                 the ledger is empty; raised before anything is sent
    ├── APIConnectionError                  no answer: refused, reset, TLS, DNS
    │   └── APITimeoutError                 no answer in time
    │       └── DeadlineExceededError       ... in the time for the whole call
    ├── AuthenticationError                 the key
    ├── PermissionDeniedError               the account may not
    ├── InsufficientCreditsError            the account is empty
    ├── InvalidRequestError                 the gateway or the upstream refuses the request
    │   └── ContextOverflowError            ... because it is too long for the model
    ├── ModelNotFoundError                  nobody serves that model
    ├── RateLimitError                      too fast
    ├── UpstreamError                       the model's provider or the gateway failed
    ├── MalformedReplyError                 a reply with no answer in it
    ├── IncompleteStreamError               a stream that stopped half way
    ├── RefusalError                        the model will not
    ├── ContentFilterError                  moderation
    └── LengthLimitError                    the answer was cut before it was one

This module decides, once, which class a failure is (`classify`) and what follows from it
(`transient`, `retry_after`). It knows no framework, no HTTP library and no JSON key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, ClassVar, NamedTuple

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "AuthenticationError",
    "BudgetExceededError",
    "ConfigurationError",
    "ContentFilterError",
    "ContextOverflowError",
    "DeadlineExceededError",
    "IncompleteStreamError",
    "InsufficientCreditsError",
    "InvalidRequestError",
    "LengthLimitError",
    "MalformedReplyError",
    "ModelNotFoundError",
    "OneRouterError",
    "PermissionDeniedError",
    "RateLimitError",
    "RefusalError",
    "UnsupportedContentError",
    "UpstreamError",
    "classify",
    "format_validation_errors",
    "redact",
    "retry_after",
    "says_unsupported",
]


class OneRouterError(Exception):
    """Base of all errors. `partial` is the `Reply` so far; `retry_after` is in seconds."""

    transient: bool = False
    hint: ClassVar[str] = ""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.status: int | None = None
        self.code: str | None = None
        self.request_id: str | None = None
        self.generation_id: str | None = None
        self.model: str | None = None
        self.provider: str | None = None
        self.retry_after: float | None = None
        self.partial: Any = None
        self.attempts: int = 0
        self.add(**facts)

    def add(self, **facts: Any) -> None:
        """Set attributes that are not None."""
        for name, value in facts.items():
            if value is not None:
                setattr(self, name, value)

    def __str__(self) -> str:
        facts = {
            "status": self.status,
            "model": self.model,
            "upstream": self.provider,
            "request id": self.request_id,
            "requests sent": self.attempts if self.attempts > 1 else None,
        }
        where = ", ".join(f"{name} {fact}" for name, fact in facts.items() if fact is not None)
        return " ".join(filter(None, [self.message, f"[{where}]" if where else "", self.hint]))


class ConfigurationError(OneRouterError, ValueError):
    """An argument that cannot be right; nothing was sent."""


class UnsupportedContentError(ConfigurationError):
    """Content that the API cannot carry; nothing was sent."""


class BudgetExceededError(OneRouterError):
    """The budget is spent; nothing was sent."""

    hint = "Raise budget_usd, or stop."


class APIConnectionError(OneRouterError):
    """The gateway could not be reached, or hung up before it answered."""

    transient = True
    hint = "Check base_url, proxy and certificates."


class APITimeoutError(APIConnectionError):
    """Nothing came for `timeout` seconds."""

    hint = "Raise timeout if the model may think longer."


class DeadlineExceededError(APITimeoutError):
    """The whole call took longer than `deadline` seconds."""

    transient = False
    hint = "Raise deadline, or ask for less."


class AuthenticationError(OneRouterError):
    """The key is missing, wrong or switched off (401)."""

    hint = "Check api_key or ONEROUTER_API_KEY."


class PermissionDeniedError(OneRouterError):
    """The account may not do this (403)."""

    hint = "Ask whoever owns the account."


class InsufficientCreditsError(OneRouterError):
    """The account's credits or balance do not suffice (402, 403, 429)."""

    hint = "Top up the account; asking again will not help."


class InvalidRequestError(OneRouterError):
    """The gateway or the upstream refuses the request (400, 413, 422)."""

    hint = "`preview` shows what is sent."


class ContextOverflowError(InvalidRequestError):
    """The prompt, or prompt and `max_tokens`, exceed the model's context window."""

    hint = "Shorten the messages, or choose a model with a larger context."


class ModelNotFoundError(OneRouterError):
    """No provider serves the model (503 from this gateway, or 404)."""

    hint = "Check the model id and base_url."


class RateLimitError(OneRouterError):
    """Too many requests or tokens a minute (429)."""

    transient = True
    hint = "Wait, or use a rate limiter."


class UpstreamError(OneRouterError):
    """The gateway or the model's provider failed (5xx, or an error inside a reply)."""

    transient = True
    hint = "Ask again later, or give fallback_models."


class MalformedReplyError(OneRouterError):
    """A reply that holds no answer."""

    hint = "Ask in another way, or another model."


class IncompleteStreamError(OneRouterError):
    """A stream that ended before the answer did; `partial` holds what came."""

    transient = True
    hint = "`partial` has what came."


class RefusalError(OneRouterError):
    """The model declined where its answer was needed."""

    hint = "Ask differently."


class ContentFilterError(OneRouterError):
    """Moderation stopped the request or the answer."""

    hint = "Ask differently."


class LengthLimitError(OneRouterError):
    """The answer was cut by `max_tokens` or the context before it was usable."""

    hint = "Raise max_tokens."


class _Row(NamedTuple):
    """If the status is one of these and the words are said, it is this kind."""

    statuses: frozenset[int | None] | None
    words: str
    kind: type[OneRouterError]


_ANY = None
_UNKNOWN = None
_OVERFLOW = (
    r"context_length_exceeded|maximum context length|context window"  # OpenAI, vLLM, Mistral
    r"|longer than the maximum model length"  # vLLM
    r"|prompt is too long|exceed context limit"  # Anthropic
    r"|token count.*exceeds the maximum number of tokens"  # Google
    r"|range of input length should be"  # Alibaba
    r"|exceed_context_size|exceeds the available context size"  # llama.cpp
    r"|input is too long for requested model"  # Bedrock
    r"|reduce the length of the messages"  # Groq
)
_PAYMENT = (
    r"credit|\bbalance\b|insufficient_quota|exceeded your current quota|billing|payment required"
)
# It passes by itself, though OpenAI and Google speak of billing as well.
_RATE_LIMIT = r"rate_limit_exceeded|(?:try again|retry) (?:after|in) \d"
_INVALID_KEY = r"invalid_api_key|authentication_error|no token provided"
_NO_CREDIT = r"credit balance is too low|insufficient.?(?:credits|balance|funds)"

# The first row that fits decides. Words are looked for in the message, the code and the type.
_TABLE = (
    _Row(frozenset({400, 413, 422, 500, _UNKNOWN}), _OVERFLOW, ContextOverflowError),
    _Row(frozenset({401}), "", AuthenticationError),
    _Row(frozenset({402}), "", InsufficientCreditsError),
    _Row(frozenset({429, _UNKNOWN}), _RATE_LIMIT, RateLimitError),
    _Row(frozenset({403, 429, _UNKNOWN}), _PAYMENT, InsufficientCreditsError),
    _Row(frozenset({400}), _NO_CREDIT, InsufficientCreditsError),  # Anthropic
    _Row(frozenset({400}), "content_filter|content_policy_violation", ContentFilterError),
    _Row(frozenset({403}), "moderat|flagged|content.?(policy|filter)", ContentFilterError),
    _Row(frozenset({403}), "", PermissionDeniedError),
    _Row(
        frozenset({400, 422}), "invalid model name|model_not_found", ModelNotFoundError
    ),  # LiteLLM
    _Row(frozenset({404}), "", ModelNotFoundError),
    _Row(frozenset({503}), "no available providers? for model", ModelNotFoundError),
    _Row(frozenset({408}), "", APITimeoutError),
    _Row(frozenset({429}), "", RateLimitError),
    _Row(frozenset({409, 425}), "", UpstreamError),  # a conflict, too early: both pass
    _Row(frozenset(range(400, 500)), "", InvalidRequestError),
    _Row(frozenset(range(500, 600)), "", UpstreamError),
    _Row(frozenset({_UNKNOWN}), "content.?filter|moderat", ContentFilterError),
    _Row(frozenset({_UNKNOWN}), "rate.?limit|too many requests", RateLimitError),
    _Row(frozenset({_UNKNOWN}), _INVALID_KEY, AuthenticationError),
    _Row(frozenset({_UNKNOWN}), "model_not_found|not_found_error", ModelNotFoundError),
    _Row(frozenset({_UNKNOWN}), "invalid_\\w*request|BadRequest", InvalidRequestError),
    _Row(frozenset({_UNKNOWN}), "", UpstreamError),
    _Row(_ANY, "", MalformedReplyError),
)


def classify(status: int | None, text: str) -> type[OneRouterError]:
    """Return the class of a failure; `text` is message, code and type in one string."""
    return next(
        row.kind
        for row in _TABLE
        if (row.statuses is None or status in row.statuses)
        and re.search(row.words, text, re.IGNORECASE)
    )


_RETRY_PROSE = re.compile(
    r"(?:try again|retry) (?:after|in) (\d+(?:\.\d+)?) ?(ms|s\b|sec)", re.IGNORECASE
)


def retry_after(headers: Mapping[str, str], message: str) -> float | None:
    """Return the seconds the server asks to wait: from headers, else from its prose."""
    for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1)):
        with suppress(ValueError, OverflowError):  # a header that says nothing: the next may
            return _parse_retry_after(headers.get(header, "").strip()) * unit
    if found := _RETRY_PROSE.search(message):
        return float(found[1]) / (1000 if found[2].lower() == "ms" else 1)
    return None


def _parse_retry_after(value: str) -> float:
    """Read a Retry-After value: a number of seconds, or a date; else raise ValueError."""
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return max(0.0, float(value))
    return max(0.0, parsedate_to_datetime(value).timestamp() - time())


def redact(text: str, *secrets: str | None) -> str:
    """Return the text without the key and the user's headers, which some servers echo."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):  # one may hold another
        if len(secret) >= MIN_SECRET:
            text = text.replace(secret, "***")
    return text


MIN_SECRET = 6
"""A shorter "key" is a placeholder such as "x"; cutting it out would only garble messages."""


def format_validation_errors(error: Exception) -> str:
    """Return what an error found, on one line; of pydantic's no values, which may be secret."""
    if not hasattr(error, "errors"):
        return " ".join(str(error).split())
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, found["loc"])), found["msg"])))
        for found in error.errors()
    )


_UNSUPPORTED = (
    r"response.?format|json.?(schema|mode|object)|structured.?output|tool|function"
    r"|not support|unsupported|unavailable"
)


def says_unsupported(error: OneRouterError) -> bool:
    """Tell whether a request was refused for what the model cannot do, not for what was wrong.

    A model that is not found may be there after all: the gateway counts only the providers that
    support every parameter.
    """
    if isinstance(error, ContextOverflowError):
        return False
    if isinstance(error, InvalidRequestError):
        return re.search(_UNSUPPORTED, error.message, re.IGNORECASE) is not None
    return isinstance(error, ModelNotFoundError)
