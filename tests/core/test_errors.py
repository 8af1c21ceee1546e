"""Which error a failure is, and what follows from it."""

from __future__ import annotations

import pickle
from datetime import datetime, timezone
from email.utils import format_datetime, formatdate
from time import time
from typing import Any

import pytest

from onerouter_core import Reply
from onerouter_core import errors as all_errors
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
    is_unsupported_feature,
    redact,
    retry_after,
)
from onerouter_core.wire.error_bodies import decode_error

ID = "(request id: req-test)"
GATEWAY = "infron_ai_error"
THROTTLE = (
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
    (429, {"message": THROTTLE}, RateLimitError),
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
    # under a good status, or in a stream, without a code that is a status
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


@pytest.mark.parametrize(("status", "stated", "kind"), OBSERVED)
def test_what_the_gateway_says(
    status: int | None, stated: dict[str, Any], kind: type[OneRouterError]
) -> None:
    """Each refusal of the gateway's is an error of its class, and time mends only some."""
    error = decode_error({"error": stated}, status=status)
    assert type(error) is kind
    assert error.status == status
    mended = {RateLimitError, UpstreamError, APITimeoutError}
    assert error.transient is (kind in mended)
    assert error.retry_after == (6 if stated["message"] == THROTTLE else None)
    assert error.request_id == ("req-test" if ID in stated["message"] else None)
    assert error.code == (None if stated.get("code") is None else str(stated["code"]))


TOO_LONG = {
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


@pytest.mark.parametrize("stated", TOO_LONG.values(), ids=TOO_LONG)
@pytest.mark.parametrize("status", [400, 413, 422, 500, None])
def test_what_is_too_long(status: int | None, stated: Any) -> None:
    """A context overflow is known by the words of each upstream, under any status."""
    error = decode_error({"error": stated}, status=status)
    assert type(error) is ContextOverflowError
    assert not error.transient


def test_an_overflow_under_a_throttle_is_a_throttle() -> None:
    """Words alone do not make an overflow: the status has its say."""
    error = decode_error({"error": TOO_LONG["OpenAI"]}, status=429)
    assert type(error) is RateLimitError


@pytest.mark.parametrize(
    ("error", "unsupported"),
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
def test_what_a_model_cannot_do(error: OneRouterError, unsupported: bool) -> None:
    """A refusal for what the model cannot do is told from one for what was wrong."""
    assert is_unsupported_feature(error) is unsupported


def test_facts_of_an_error_body() -> None:
    """An error knows all that its body says beside the message."""
    body = {"error": "no", "id": "gen-1", "model": "m", "provider": "p", "request_id": "r"}
    partial = Reply(text="Hel")
    error = decode_error(body, status=500, partial=partial)
    assert (error.generation_id, error.model, error.provider) == ("gen-1", "m", "p")
    assert (error.request_id, error.partial, error.status) == ("r", partial, 500)


# --- waiting ---


@pytest.mark.parametrize(
    "stated",
    [
        {"message": "Please try again in 20s, or add a payment method: account/billing."},
        {"message": "You exceeded your quota: see plan and billing. Please retry in 38.2s."},
        {"message": "See billing.", "code": "rate_limit_exceeded"},
    ],
)
def test_a_limit_that_speaks_of_money(stated: dict[str, Any]) -> None:
    """OpenAI and Google name the billing page in what passes within a minute."""
    error = decode_error({"error": stated}, status=429)
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
def test_how_long_to_wait(headers: dict[str, str], message: str, seconds: float | None) -> None:
    """The time to wait is read from headers first, then from the prose, and is never negative."""
    assert retry_after(headers, message) == seconds


def test_how_long_to_wait_until_a_date() -> None:
    """A date is a time to wait from now."""
    for date in (
        formatdate(time() + 30, usegmt=True),
        format_datetime(datetime.fromtimestamp(time() + 30, timezone.utc)),
    ):
        assert retry_after({"retry-after": date}, "") == pytest.approx(30, abs=2)


# --- the errors themselves ---

ALL = [
    *(APIConnectionError, APITimeoutError, AuthenticationError, BudgetExceededError),
    *(ConfigurationError, ContentFilterError, ContextOverflowError, DeadlineExceededError),
    *(IncompleteStreamError, InsufficientCreditsError, InvalidRequestError, LengthLimitError),
    *(MalformedReplyError, ModelNotFoundError, OneRouterError, PermissionDeniedError),
    *(RateLimitError, RefusalError, UnsupportedContentError, UpstreamError),
]


def test_all_errors_are_here() -> None:
    """These are all errors there are, and each is a OneRouterError."""
    kinds = [kind for kind in vars(all_errors).values() if isinstance(kind, type)]
    assert {kind for kind in kinds if issubclass(kind, OneRouterError)} == {*ALL}


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (ConfigurationError, ValueError),
        (UnsupportedContentError, ConfigurationError),
        (APITimeoutError, APIConnectionError),
        (DeadlineExceededError, APITimeoutError),
        (ContextOverflowError, InvalidRequestError),
    ],
)
def test_kinships(kind: type, parent: type) -> None:
    """Who catches the wider error catches the narrower, too."""
    assert issubclass(kind, parent)


@pytest.mark.parametrize("kind", ALL)
def test_time_mends(kind: type[OneRouterError]) -> None:
    """Only what time may mend is transient; a deadline that is over is over."""
    mended = {APIConnectionError, APITimeoutError, RateLimitError, UpstreamError}
    assert kind("no").transient is (kind in {*mended, IncompleteStreamError})


FACTS = {
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


@pytest.mark.parametrize("kind", ALL)
def test_errors_can_be_pickled(kind: type[OneRouterError]) -> None:
    """An error that went through bytes has its message and all its facts."""
    error = kind("no", **FACTS)
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    assert type(other) is kind
    assert vars(other) == vars(error) == {"message": "no", **FACTS}
    assert str(other) == str(error)


def test_facts_that_are_none_are_not_facts() -> None:
    """A fact that is None takes nothing back; an error has all attributes from the start."""
    error = OneRouterError("no", status=500)
    error.add(status=None, model="m")
    assert (error.status, error.model) == (500, "m")
    assert (error.partial, error.attempts, error.retry_after, error.code) == (None, 0, None, None)


def test_errors_in_words() -> None:
    """An error says what happened, where, and what may help; nothing more."""
    assert str(OneRouterError("no")) == "no"
    said = "Too fast. Wait, or use a rate limiter."
    assert str(RateLimitError("Too fast.", attempts=1)) == said
    error = AuthenticationError("No token.", status=401, model="m", provider="p", request_id="r")
    error.add(attempts=2)
    assert str(error) == (
        "No token. [status 401, model m, upstream p, request id r, requests sent 2] "
        "Check api_key or ONEROUTER_API_KEY."
    )


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
def test_redaction(secret: str | None, expected: str) -> None:
    """A key is taken out of a text; what is too short to be one is not."""
    assert redact("bad key sk-123456", secret) == expected
