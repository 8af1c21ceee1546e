"""Error bodies: JSON, text or HTML, decoded to an error with status, code, ids and message.

The numbers of quirks are explained in `tests/core/test_gateway_quirks.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core import Reply
from onerouter_core.errors import (
    InsufficientCreditsError,
    MalformedReplyError,
    ModelNotFoundError,
    OneRouterError,
    RateLimitError,
    UpstreamError,
)
from onerouter_core.wire.error_bodies import decode_error, has_error


@pytest.mark.parametrize(
    ("code", "kept", "status"),
    [
        *(("server_error", "server_error", None), (429, "429", 429), ("429", "429", 429)),
        *((None, None, None), (4290, "4290", None), (200, "200", None), (True, "True", None)),
    ],
)
def test_quirk_06_a_code_is_kept_as_a_string(code: Any, kept: str | None, status: Any) -> None:
    """It is also the status if it is an HTTP error status."""
    error = decode_error({"error": {"message": "no", "code": code}})
    assert (error.code, error.status) == (kept, status)


def test_quirk_06_the_http_status_counts_more_than_the_code() -> None:
    """A code in the body does not replace it."""
    assert decode_error({"error": {"message": "no", "code": 400}}, status=429).status == 429


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "out of order"}, "out of order"),
        ({"code": 502, "message": "out of order"}, "out of order"),
        ('{"error": {"message": "out of order"}}', "out of order"),
        ("out  of\norder", "The gateway returned an error: out of order"),
        (
            "<html><head><TITLE>Bad\n gateway</TITLE></head>...",
            "The gateway returned an error: Bad gateway",
        ),
        (
            {"error": {"message": ["odd"]}},
            'The gateway returned an error: {"error": {"message": ["odd"]}}',
        ),
        ({"detail": "no"}, 'The gateway returned an error: {"detail": "no"}'),
        ("", "The gateway returned an error: (empty)"),
        ("[" * 5000, f"The gateway returned an error: {'[' * 300}"),
        (None, "The gateway returned an error: null"),
    ],
)
def test_quirk_06_the_message_is_read_from_a_body_of_any_form(body: Any, message: str) -> None:
    """A body without a message is quoted: the title of an HTML page, or how it begins."""
    error = decode_error(body, status=502)
    assert isinstance(error, UpstreamError)
    assert error.message == message


@pytest.mark.parametrize("body", ["<title>Just a moment</title>", [1], {}, {"choices": []}, None])
def test_a_body_without_an_error_is_malformed(body: Any) -> None:
    """It came with status 200, and should have been a completion."""
    error = decode_error(body)
    assert type(error) is MalformedReplyError
    assert error.message.startswith("Unexpected response body: ")
    assert error.status is None


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (403, "Your current credits have been used up", InsufficientCreditsError),
        (429, "Free model requires Team balance greater than $5", InsufficientCreditsError),
        (503, "No available providers for model vendor/unknown", ModelNotFoundError),
    ],
)
def test_quirk_07_status_and_text_decide_the_class(
    status: int, text: str, kind: type[OneRouterError]
) -> None:
    """The gateway has these texts under statuses that usually mean another error; none is retried.

    (403: permission, 429: rate limit, 503: overload.)
    """
    error = decode_error({"error": {"message": text, "type": "infron_ai_error"}}, status=status)
    assert type(error) is kind
    assert not error.transient


def test_quirk_08_retry_after_is_read_from_the_message() -> None:
    """The gateway has it in no header."""
    text = "Rate limit exceeded (5 requests per minute). Please try again after 6 seconds. Please"
    error = decode_error({"error": {"message": text}}, status=429)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 6


def test_retry_after_is_read_from_the_headers() -> None:
    """They count more than the message."""
    body = {"error": {"message": "Please try again after 6 seconds."}}
    error = decode_error(body, status=429, headers={"retry-after": "2"})
    assert error.retry_after == 2


def test_quirk_09_the_request_id_is_in_a_header_in_the_message_or_in_the_body() -> None:
    """The first of these counts."""
    header = {"x-infron-request-id": "in-header"}
    body = {"error": {"message": "no (request id: in-message)"}, "request_id": "in-body"}
    assert decode_error(body, status=400, headers=header).request_id == "in-header"
    assert decode_error(body, status=400).request_id == "in-message"
    error = decode_error({"error": "no", "request_id": "in-body"}, status=400)
    assert error.request_id == "in-body"


def test_ids_model_provider_and_partial_reply_are_kept() -> None:
    """An error in a chunk has them beside it."""
    partial = Reply(text="Hel")
    body = {"error": "no", "id": "gen-1", "model": "m", "provider": "p"}
    error = decode_error(body, partial=partial)
    assert (error.generation_id, error.model, error.provider) == ("gen-1", "m", "p")
    assert error.partial is partial


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ({"error": {"message": "no"}}, True),
        ({"error": "no", "choices": []}, True),
        ({"message": "no"}, True),
        ({"message": "no", "choices": []}, False),
        ({"error": None}, False),
        ({}, False),
    ],
)
def test_has_error(root: dict[str, Any], expected: bool) -> None:
    """A message without choices is an error, with choices it is not."""
    assert has_error(root) is expected
