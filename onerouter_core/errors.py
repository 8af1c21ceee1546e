"""The error classes, the rules that choose among them, and Retry-After.

    OneRouterError
    ├── ConfigurationError (a ValueError)   an argument is invalid; nothing was sent
    │   └── UnsupportedContentError         the API has no content part for it; nothing was sent
    ├── BudgetExceededError                 the ledger's budget or limit is spent; nothing was sent
    ├── APIConnectionError                  connection refused or reset, TLS, DNS
    │   └── APITimeoutError                 no data for `timeout` seconds
    │       └── DeadlineExceededError       the call took longer than `deadline` seconds
    ├── AuthenticationError                 the key is missing, wrong or disabled
    ├── PermissionDeniedError               the account lacks the permission
    ├── InsufficientCreditsError            the account's credits are used up
    ├── InvalidRequestError                 the gateway or the upstream rejects the request
    │   └── ContextOverflowError            the prompt exceeds the model's context window
    ├── ModelNotFoundError                  no provider serves the model
    ├── RateLimitError                      too many requests or tokens per minute
    ├── UpstreamError                       the gateway or the upstream provider failed
    ├── MalformedReplyError                 the reply holds no answer
    ├── IncompleteStreamError               the stream ended before the answer did
    ├── RefusalError                        the model declined to answer
    ├── ContentFilterError                  moderation blocked the request or the answer
    └── LengthLimitError                    the answer was cut off before it was usable

`classify` is the only place that maps a failure to its class; `transient` and `retry_after` follow
from the class and the response. This module knows no framework, no HTTP library and no JSON key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, ClassVar, NamedTuple, TypeVar

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
    "is_unsupported_feature",
    "redact",
    "retry_after",
    "shorten",
]

T = TypeVar("T")


class OneRouterError(Exception):
    """Base class of all errors. Attributes are None where the failure does not tell them."""

    transient: bool = False
    """Whether the same request may succeed later: such errors are retried."""

    hint: ClassVar[str] = ""
    """Advice for the user, at the end of the message."""

    message: str
    """Description of the failure, without attributes and hint."""

    status: int | None
    """HTTP status of the response, or the code of an error inside a reply."""

    code: str | None
    """Error code of the gateway or the upstream, such as "context_length_exceeded"."""

    request_id: str | None
    """Request id, which the gateway's support asks for."""

    generation_id: str | None
    """Generation id of the reply."""

    model: str | None
    """Model id of the request, or of the reply if it names one."""

    provider: str | None
    """Upstream provider that served the request."""

    retry_after: float | None
    """Seconds after which the server asks to retry."""

    partial: Any
    """The `Reply` up to the failure. None if there was none."""

    attempts: int
    """Number of requests that the call sent; 0 if none was sent."""

    def __init__(self, message: str, **attributes: Any) -> None:
        super().__init__(message)
        self.message = message
        self.status = None
        self.code = None
        self.request_id = None
        self.generation_id = None
        self.model = None
        self.provider = None
        self.retry_after = None
        self.partial = None
        self.attempts = 0
        vars(self).update({k: v for k, v in attributes.items() if v is not None})

    def add(self, **attributes: Any) -> None:
        """Set attributes, except those given as None."""
        for name, value in attributes.items():
            if value is not None:
                setattr(self, name, value)

    def __str__(self) -> str:
        labelled = {
            "status": self.status,
            "model": self.model,
            "upstream": self.provider,
            "request id": self.request_id,
            "requests sent": self.attempts if self.attempts > 1 else None,
        }
        context = ", ".join(
            f"{label} {value}" for label, value in labelled.items() if value is not None
        )
        return " ".join(filter(None, [self.message, f"[{context}]" if context else "", self.hint]))


class ConfigurationError(OneRouterError, ValueError):
    """An argument is invalid; nothing was sent. Also a ValueError."""


class UnsupportedContentError(ConfigurationError):
    """The API has no content part for this content; nothing was sent."""


class BudgetExceededError(OneRouterError):
    """The ledger's budget or a limit of it is spent; nothing was sent."""

    hint = "Raise the budget or limit, or stop."


class APIConnectionError(OneRouterError):
    """The connection failed: refused, reset, or closed before a response; DNS or TLS."""

    transient = True
    hint = "Check base_url, proxy and certificates."


class APITimeoutError(APIConnectionError):
    """The server sent no data for `timeout` seconds."""

    hint = "Raise timeout if the model may think longer."


class DeadlineExceededError(APITimeoutError):
    """The call, retries included, took longer than `deadline` seconds."""

    transient = False
    hint = "Raise deadline, or lower max_tokens."


class AuthenticationError(OneRouterError):
    """The API key is missing, wrong or disabled (401)."""

    hint = "Check api_key or ONEROUTER_API_KEY."


class PermissionDeniedError(OneRouterError):
    """The account lacks the permission (403)."""

    hint = "Ask the owner of the account for access."


class InsufficientCreditsError(OneRouterError):
    """The account's credits or balance are used up (402, 403, 429)."""

    hint = "Top up the account; a retry will not help."


class InvalidRequestError(OneRouterError):
    """The gateway or the upstream rejects the request (400, 413, 422)."""

    hint = "`preview` shows the request body."


class ContextOverflowError(InvalidRequestError):
    """The prompt, or the prompt and `max_tokens`, exceed the model's context window."""

    hint = "Shorten the messages, or choose a model with a larger context."


class ModelNotFoundError(OneRouterError):
    """No provider serves the model (503 from this gateway, or 404)."""

    hint = "Check the model id and base_url."


class RateLimitError(OneRouterError):
    """Too many requests or tokens per minute (429)."""

    transient = True
    hint = "Wait, or use a rate limiter."


class UpstreamError(OneRouterError):
    """The gateway or the upstream provider failed (5xx, 409, 425, or an error inside a reply)."""

    transient = True
    hint = "Retry later, or set fallback_models."


class MalformedReplyError(OneRouterError):
    """The reply holds no answer, or not the one that was requested."""

    hint = "Rephrase the request, or use another model."


class IncompleteStreamError(OneRouterError):
    """The stream ended before the answer did; `partial` holds the reply up to then."""

    transient = True
    hint = "`partial` holds the reply so far."


class RefusalError(OneRouterError):
    """The model declined to answer where an object was requested."""

    hint = "Rephrase the request."


class ContentFilterError(OneRouterError):
    """Moderation blocked the request or the answer."""

    hint = "Rephrase the request."


class LengthLimitError(OneRouterError):
    """`max_tokens` or the context window cut the answer off before it was usable."""

    hint = "Raise max_tokens."


class _Row(NamedTuple):
    """Classification rule: an error class, and the statuses and texts that it applies to."""

    statuses: frozenset[int | None] | None
    """HTTP statuses; None in the set is an error without a status. None: any status."""

    pattern: str
    """Regular expression that the text must contain."""

    kind: type[OneRouterError]


_ANY = None
_UNKNOWN = None  # an error inside a reply, without a code that is a status
_OVERFLOW = (
    r"context_length_exceeded|maximum context length|context window"  # OpenAI, vLLM, Mistral
    r"|longer than the maximum model length"  # vLLM
    r"|prompt is too long|exceed context limit"  # Anthropic
    r"|token count.{0,100}exceeds the maximum number of tokens"  # Google
    r"|range of input length should be"  # Alibaba
    r"|exceed_context_size|exceeds the available context size"  # llama.cpp
    r"|input is too long for requested model"  # Bedrock
    r"|reduce the length of the messages"  # Groq
)
_PAYMENT = (
    r"credit|\bbalance\b|insufficient_quota|exceeded your current quota|billing|payment required"
)
# These limits pass by themselves, although OpenAI and Google mention billing in the same message.
_RATE_LIMIT = r"rate_limit_exceeded|(?:try again|retry) (?:after|in) \d"
_INVALID_KEY = r"invalid_api_key|authentication_error|no token provided"
_NO_CREDIT = r"credit balance is too low|insufficient.?(?:credits|balance|funds)"

# The first row that matches decides. The text is message, code and type of the error. No pattern
# has a repetition without a limit: it would run to the end of the text from each place where the
# words before it stand.
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
    # LiteLLM
    _Row(frozenset({400, 422}), "invalid model name|model_not_found", ModelNotFoundError),
    _Row(frozenset({404}), "", ModelNotFoundError),
    _Row(frozenset({503}), "no available providers? for model", ModelNotFoundError),
    _Row(frozenset({408}), "", APITimeoutError),
    _Row(frozenset({429}), "", RateLimitError),
    _Row(frozenset({409, 425}), "", UpstreamError),  # Conflict, Too Early: temporary
    _Row(frozenset(range(400, 500)), "", InvalidRequestError),
    _Row(frozenset(range(500, 600)), "", UpstreamError),
    _Row(frozenset({_UNKNOWN}), "content.?filter|moderat", ContentFilterError),
    _Row(frozenset({_UNKNOWN}), "rate.?limit|too many requests", RateLimitError),
    _Row(frozenset({_UNKNOWN}), _INVALID_KEY, AuthenticationError),
    _Row(frozenset({_UNKNOWN}), "model_not_found|not_found_error", ModelNotFoundError),
    _Row(frozenset({_UNKNOWN}), "invalid_\\w{0,40}request|BadRequest", InvalidRequestError),
    _Row(frozenset({_UNKNOWN}), "", UpstreamError),
)


def classify(status: int | None, text: str) -> type[OneRouterError]:
    """Return the error class of a failure.

    Args:
        status: HTTP status. None: an error inside a reply, without a status.
        text: message, code and type of the error in one string.

    """
    text = shorten(text)
    for row in _TABLE:
        is_status = row.statuses is None or status in row.statuses
        if is_status and re.search(row.pattern, text, re.IGNORECASE):
            return row.kind
    return MalformedReplyError


_SHORTENED = 8000, 2000  # characters that are kept of the beginning and of the end


def shorten(text: str) -> str:
    """Return the beginning and the end of a text that a server wrote: what patterns search.

    It may be megabytes, and a search must not stop an event loop.
    """
    head, tail = _SHORTENED
    return text if len(text) <= head + tail else f"{text[:head]} {text[-tail:]}"


_MAX_SECONDS = 1e9  # for digits that are no float
_MAX_HEADER = 100  # characters; a date has 29
_RETRY_TEXT = re.compile(
    r"(?:try again|retry) (?:after|in) (\d+(?:\.\d+)?) ?(ms|s\b|sec)", re.IGNORECASE
)


def retry_after(headers: Mapping[str, str], message: str) -> float | None:
    """Return the seconds after which the server asks to retry. None: it names no time.

    Sources, first match wins: the header retry-after-ms (OpenAI, milliseconds), the header
    Retry-After (RFC 9110, section 10.2.3: seconds or a date), the text of the message.
    """
    for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1)):
        if header in headers:
            with suppress(ValueError, OverflowError):  # an unreadable header is ignored
                return _parse_retry_after(headers[header].strip()) * unit
    if match := _RETRY_TEXT.search(shorten(message)):
        seconds = float(match[1]) / (1000 if match[2].lower() == "ms" else 1)
        return min(seconds, _MAX_SECONDS)
    return None


def _parse_retry_after(value: str) -> float:
    """Parse a number, or seconds until a date (0 if past); raise ValueError for anything else."""
    if len(value) > _MAX_HEADER:
        raise ValueError
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return max(0.0, float(value))
    return max(0.0, parsedate_to_datetime(value).timestamp() - time())


def redact(value: T, *secrets: str | None) -> T:
    """Replace API key and secret headers, which some servers echo, with asterisks.

    They are replaced in a text, and in all texts inside a container, a dataclass or a pydantic
    object. The longest secret goes first: where one contains another, the shorter one would leave
    the rest of the longer one readable.
    """
    texts = sorted([s for s in secrets if s and len(s) >= MIN_SECRET], key=len, reverse=True)
    return _redact(value, texts) if texts else value


def _redact(value: Any, secrets: list[str]) -> Any:
    redacted = value
    match value:
        case str():
            for secret in secrets:
                redacted = redacted.replace(secret, "***")
        case Mapping():
            redacted = {_redact(k, secrets): _redact(v, secrets) for k, v in value.items()}
        case list():
            redacted = [_redact(item, secrets) for item in value]
        case tuple():
            items = [_redact(item, secrets) for item in value]
            redacted = type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        case _ if not isinstance(value, type):
            redacted = _redact_object(value, secrets)
    return redacted


def _redact_object(value: Any, secrets: list[str]) -> Any:
    if hasattr(value, "model_copy"):  # pydantic's, such as a framework's message
        return value.model_copy(update=_redact(vars(value), secrets))
    if is_dataclass(value) and not isinstance(value, type):
        attributes = {f.name: _redact(getattr(value, f.name), secrets) for f in fields(value)}
        return replace(value, **attributes)
    return value


MIN_SECRET = 6
"""Characters. A shorter key is a placeholder such as "x"; replacing it would garble messages."""


def format_validation_errors(error: Exception) -> str:
    """Format an error on one line; of a pydantic error without values, which may be secret."""
    details = getattr(error, "errors", None)
    if details is None:
        return " ".join(str(error).split())
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, detail["loc"])), detail["msg"])))
        for detail in details()
    )


_UNSUPPORTED = re.compile(
    r"response.?format|json.?(schema|mode|object)|structured.?output|tool|function"
    r"|not support|unsupported|unavailable",
    re.IGNORECASE,
)


def is_unsupported_feature(error: OneRouterError) -> bool:
    """Tell whether a request was rejected because the model lacks a feature.

    A ModelNotFoundError counts: the gateway looks only among the providers that support every
    parameter of the request, so the model may exist.
    """
    if isinstance(error, ContextOverflowError):
        return False
    if isinstance(error, InvalidRequestError):
        return _UNSUPPORTED.search(shorten(error.message)) is not None
    return isinstance(error, ModelNotFoundError)
