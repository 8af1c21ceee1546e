"""The error classes, their classification, Retry-After, messages and redaction."""

from __future__ import annotations

import pickle
from datetime import datetime, timezone
from email.utils import format_datetime, formatdate
from time import time
from typing import Any

import pytest
from pydantic import BaseModel

from onerouter_core import Reply, errors
from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    ContentFilterError,
    ContextOverflowError,
    DeadlineExceededError,
    IncompleteStreamError,
    InsufficientCreditsError,
    InvalidRequestError,
    LengthLimitError,
    MalformedReplyError,
    ModelNotFoundError,
    OneRouterError,
    PermissionDeniedError,
    RateLimitError,
    RefusalError,
    UnsupportedContentError,
    UpstreamError,
    format_validation_errors,
    is_unsupported_feature,
    redact,
    retry_after,
)
from onerouter_core.wire.error_bodies import decode_error

# --- classification ---

ID = "(request id: req-test)"
GATEWAY = "infron_ai_error"
RATE_LIMIT = (
    "Rate limit exceeded (5 requests per minute). Please try again after 6 seconds. "
    f"Please visit https://infron.ai/dashboard/index {ID}"
)

OBSERVED = [
    (401, {"message": f"No token provided {ID}", "type": GATEWAY}, AuthenticationError),
    (401, {"message": f"The token status is not available {ID}"}, AuthenticationError),
    (
        400,
        {
            "message": f"Invalid text request {ID}",
            "type": GATEWAY,
            "param": "",
            "code": "invalid_text_request",
        },
        InvalidRequestError,
    ),
    (
        400,
        {
            "message": "max_completion_tokens is too large: 400000",
            "type": "BadRequestError",
            "param": "max_completion_tokens",
            "code": 400,
        },
        InvalidRequestError,
    ),
    (
        503,
        {"message": f"No available providers for model vendor/unknown-model {ID}"},
        ModelNotFoundError,
    ),
    (
        403,
        {
            "message": "Your current credits have been used up and we are unable to process "
            f"further rquests {ID}"
        },
        InsufficientCreditsError,
    ),
    (402, {"message": "Payment required"}, InsufficientCreditsError),
    (402, {"message": "Requires account balance greater than $5."}, InsufficientCreditsError),
    (403, {"message": "User banned"}, PermissionDeniedError),
    (403, {"message": "Your input was flagged by moderation"}, ContentFilterError),
    (429, {"message": RATE_LIMIT}, RateLimitError),
    (
        429,
        {"message": "Free model requires Team balance greater than $4.999999."},
        InsufficientCreditsError,
    ),
    (429, {"message": "You exceeded your current quota"}, InsufficientCreditsError),
    (429, {"message": "The load balancer is at capacity"}, RateLimitError),
    (None, {"message": "upstream connect error at load balancer"}, UpstreamError),
    (400, {"message": "Filtered.", "code": "content_filter"}, ContentFilterError),
    (400, {"message": "Your credit balance is too low."}, InsufficientCreditsError),
    (None, {"message": "invalid x-api-key", "type": "authentication_error"}, AuthenticationError),
    (None, {"message": "model: foo", "type": "not_found_error"}, ModelNotFoundError),
    (409, {"message": "Conflict"}, UpstreamError),
    (404, {"message": "Not found"}, ModelNotFoundError),
    (408, {"message": "Request timeout"}, APITimeoutError),
    (413, {"message": "Too large"}, InvalidRequestError),
    (422, {"message": "", "type": "", "param": "", "code": 422}, InvalidRequestError),
    (500, {"message": "Oops"}, UpstreamError),
    (502, {"message": "Model is down"}, UpstreamError),
    (503, {"message": "Overloaded"}, UpstreamError),
    (504, {"message": "Gateway timeout"}, UpstreamError),
    (524, {"message": "A timeout occurred"}, UpstreamError),
    (302, {"message": "Found"}, MalformedReplyError),
    # errors inside a reply, without a status
    (None, {"message": f"No token provided {ID}"}, AuthenticationError),
    (None, {"message": "no", "code": "invalid_api_key"}, AuthenticationError),
    (None, {"message": "credits have been used up"}, InsufficientCreditsError),
    (None, {"message": "no", "code": "content_filter"}, ContentFilterError),
    (None, {"message": "Rate limit exceeded"}, RateLimitError),
    (None, {"message": "no", "code": "rate_limit_exceeded"}, RateLimitError),
    (None, {"message": "no", "type": "invalid_request_error"}, InvalidRequestError),
    (None, {"message": "no", "code": "invalid_text_request"}, InvalidRequestError),
    (None, {"message": "no", "type": "BadRequestError"}, InvalidRequestError),
    (None, {"message": "Provider disconnected", "code": "server_error"}, UpstreamError),
]


@pytest.mark.parametrize(("status", "body", "error_class"), OBSERVED)
def test_an_error_body_is_classified(
    status: int | None, body: dict[str, Any], error_class: type[OneRouterError]
) -> None:
    """Bodies of the gateway and its upstreams; class, Retry-After and ids are read from them."""
    error = decode_error({"error": body}, status=status)
    assert type(error) is error_class
    assert error.status == status
    assert error.transient is (error_class in {RateLimitError, UpstreamError, APITimeoutError})
    assert error.retry_after == (6 if body["message"] == RATE_LIMIT else None)
    assert error.request_id == ("req-test" if ID in body["message"] else None)
    assert error.code == (None if body.get("code") is None else str(body["code"]))


CONTEXT_OVERFLOWS = {
    "OpenAI, by code": {"message": "no", "code": "context_length_exceeded"},
    "OpenAI": "This model's maximum context length is 8192 tokens. However, your messages resulted "
    "in 9000 tokens. Please reduce the length of the messages.",
    "OpenAI, newer": "Your input exceeds the context window of this model.",
    "Anthropic": "prompt is too long: 212345 tokens > 200000 maximum",
    "Anthropic, with max_tokens": "input length and `max_tokens` exceed context limit: 190000 + "
    "20000 > 200000",
    "Google": "The input token count (1200000) exceeds the maximum number of tokens allowed",
    "Alibaba": "Range of input length should be [1, 129024]",
    "vLLM": "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "llama.cpp": "the request exceeds the available context size, try increasing it",
    "llama.cpp, by type": {"message": "no", "type": "exceed_context_size_error"},
    "Bedrock": "Input is too long for requested model.",
    "Groq": "Please reduce the length of the messages or completion.",
}


@pytest.mark.parametrize("body", CONTEXT_OVERFLOWS.values(), ids=CONTEXT_OVERFLOWS)
@pytest.mark.parametrize("status", [400, 413, 422, 500, None])
def test_a_context_overflow_is_recognised_by_each_upstreams_message(
    status: int | None, body: Any
) -> None:
    """Under any of these statuses; it is not retried."""
    error = decode_error({"error": body}, status=status)
    assert type(error) is ContextOverflowError
    assert not error.transient


def test_the_message_of_an_overflow_under_429_is_a_rate_limit() -> None:
    """The status counts as well as the message."""
    error = decode_error({"error": CONTEXT_OVERFLOWS["OpenAI"]}, status=429)
    assert type(error) is RateLimitError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidRequestError("response_format is not allowed here"), True),
        (InvalidRequestError("This model does not support tools."), True),
        (InvalidRequestError("Invalid text request"), False),
        (ContextOverflowError("tools are too long"), False),
        (ModelNotFoundError("No available providers for model x/y"), True),
        (UpstreamError("tools are down"), False),
        (ConfigurationError("tool_choice needs tools"), False),
    ],
)
def test_is_unsupported_feature(error: OneRouterError, expected: bool) -> None:
    """A feature that the model lacks is distinguished from a mistake in the request."""
    assert is_unsupported_feature(error) is expected


def test_ids_model_and_provider_are_read_from_an_error_body() -> None:
    """And the partial reply is kept."""
    body = {"error": "no", "id": "gen-1", "model": "m", "provider": "p", "request_id": "r"}
    partial = Reply(text="Hel")
    error = decode_error(body, status=500, partial=partial)
    assert (error.generation_id, error.model, error.provider) == ("gen-1", "m", "p")
    assert (error.request_id, error.partial, error.status) == ("r", partial, 500)


# --- Retry-After ---


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Please try again in 20s, or add a payment method: account/billing."},
        {"message": "You exceeded your quota: see plan and billing. Please retry in 38.2s."},
        {"message": "See billing.", "code": "rate_limit_exceeded"},
    ],
)
def test_a_rate_limit_that_mentions_billing_is_transient(body: dict[str, Any]) -> None:
    """OpenAI and Google name the billing page in limits that pass within a minute."""
    error = decode_error({"error": body}, status=429)
    assert type(error) is RateLimitError
    assert error.transient


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({}, "", None),
        ({"retry-after": "7"}, "", 7),
        ({"retry-after": " 1.5 "}, "", 1.5),
        ({"retry-after": "0"}, "try again after 9 seconds", 0),
        ({"retry-after": "-3"}, "", 0),
        ({"retry-after": ""}, "try again after 9 seconds", 9),
        ({"retry-after": "soon"}, "try again after 9 seconds", 9),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after-ms": "250"}, "", 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, "", 0.25),
        ({"retry-after-ms": "-1"}, "", 0),
        ({"retry-after-ms": "soon"}, "try again after 9 seconds", 9),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "", 0),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, "", None),
        ({}, "Please try again in 20s.", 20),
        ({}, "Please retry in 1.5 seconds", 1.5),
        ({}, "Retry after 300ms", 0.3),
        ({}, "Please try again after 6 sec", 6),
        ({}, "try again after 6 minutes", None),
        ({}, "try again later", None),
    ],
)
def test_retry_after_is_read_from_headers_then_message(
    headers: dict[str, str], message: str, seconds: float | None
) -> None:
    """It is in seconds, and never negative; an unreadable header is ignored."""
    assert retry_after(headers, message) == seconds


def test_retry_after_may_be_a_date() -> None:
    """It is converted to seconds from now."""
    for date in (
        formatdate(time() + 30, usegmt=True),
        format_datetime(datetime.fromtimestamp(time() + 30, timezone.utc)),
    ):
        assert retry_after({"retry-after": date}, "") == pytest.approx(30, abs=2)


# --- the classes ---

ALL = [
    *(APIConnectionError, APITimeoutError, AuthenticationError, BudgetExceededError),
    *(ConfigurationError, ContentFilterError, ContextOverflowError, DeadlineExceededError),
    *(IncompleteStreamError, InsufficientCreditsError, InvalidRequestError, LengthLimitError),
    *(MalformedReplyError, ModelNotFoundError, OneRouterError, PermissionDeniedError),
    *(RateLimitError, RefusalError, UnsupportedContentError, UpstreamError),
]


def test_all_lists_every_error_class() -> None:
    """Each is a OneRouterError."""
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert {cls for cls in classes if issubclass(cls, OneRouterError)} == {*ALL}


@pytest.mark.parametrize(
    ("error_class", "base"),
    [
        (ConfigurationError, ValueError),
        (UnsupportedContentError, ConfigurationError),
        (APITimeoutError, APIConnectionError),
        (DeadlineExceededError, APITimeoutError),
        (ContextOverflowError, InvalidRequestError),
    ],
)
def test_a_special_error_is_caught_by_its_base(error_class: type, base: type) -> None:
    """ConfigurationError is a ValueError, so that pydantic reports it as a validation error."""
    assert issubclass(error_class, base)


@pytest.mark.parametrize("error_class", ALL)
def test_only_some_errors_are_transient(error_class: type[OneRouterError]) -> None:
    """A passed deadline is not, although it is a timeout."""
    transient = {APIConnectionError, APITimeoutError, RateLimitError, UpstreamError}
    assert error_class("no").transient is (error_class in {*transient, IncompleteStreamError})


ATTRIBUTES = {
    "status": 429,
    "code": "c",
    "request_id": "r",
    "generation_id": "g",
    "model": "m",
    "provider": "p",
    "retry_after": 1.5,
    "partial": Reply(text="Hel"),
    "attempts": 3,
    "transient": True,
}


@pytest.mark.parametrize("error_class", ALL)
def test_an_error_can_be_pickled(error_class: type[OneRouterError]) -> None:
    """The copy has message and attributes."""
    error = error_class("no", **ATTRIBUTES)
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 -- bytes of this process
    assert type(other) is error_class
    assert vars(other) == vars(error) == {"message": "no", **ATTRIBUTES}
    assert str(other) == str(error)


def test_add_ignores_none() -> None:
    """All attributes exist from the start."""
    error = OneRouterError("no", status=500)
    error.add(status=None, model="m")
    assert (error.status, error.model) == (500, "m")
    assert (error.partial, error.attempts, error.retry_after, error.code) == (None, 0, None, None)


# --- messages ---


def test_the_message_ends_with_attributes_and_hint() -> None:
    """Attributes that are None, and a single attempt, are left out."""
    assert str(OneRouterError("no")) == "no"
    error = RateLimitError("Too fast.", attempts=1)
    assert str(error) == "Too fast. Wait, or use a rate limiter."
    error = AuthenticationError("No token.", status=401, model="m", provider="p", request_id="r")
    error.add(attempts=2)
    assert str(error) == (
        "No token. [status 401, model m, upstream p, request id r, requests sent 2] "
        "Check api_key or ONEROUTER_API_KEY."
    )


WITHOUT_HINT = {OneRouterError, ConfigurationError, UnsupportedContentError}


@pytest.mark.parametrize("error_class", [cls for cls in ALL if cls not in WITHOUT_HINT])
def test_the_message_ends_with_advice(error_class: type[OneRouterError]) -> None:
    """A ConfigurationError has the advice in the message itself."""
    assert error_class.hint
    assert str(error_class("No.")).endswith(error_class.hint)


# --- redaction ---


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (None, "bad key sk-123456"),
        ("", "bad key sk-123456"),
        ("b", "bad key sk-123456"),
        ("sk-123456", "bad key ***"),
        ("sk-other", "bad key sk-123456"),
    ],
)
def test_redact_replaces_a_secret(secret: str | None, expected: str) -> None:
    """A text of fewer than six characters is a placeholder, not a secret."""
    assert redact("bad key sk-123456", secret) == expected


@pytest.mark.parametrize("reverse", [False, True])
def test_redact_replaces_the_longest_secret_first(*, reverse: bool) -> None:
    """One secret contains another: replacing the shorter one first would leave "-tenant-7"."""
    secrets = sorted(["sk-123456", "sk-123456-tenant-7"], reverse=reverse)
    assert redact("bad key sk-123456-tenant-7", *secrets) == "bad key ***"


def test_format_validation_errors_names_places_without_values() -> None:
    """The values of a pydantic error may be secret; other errors are put on one line."""

    class Answer(BaseModel):
        count: int
        inner: dict[str, int]

    with pytest.raises(ValueError, match="validation error") as caught:
        Answer.model_validate({"count": "secret", "inner": {"a": "secret"}})
    line = format_validation_errors(caught.value)
    assert "count: Input should be a valid integer" in line
    assert "; inner.a: " in line
    assert "secret" not in line
    assert format_validation_errors(ValueError("two\n lines")) == "two lines"
