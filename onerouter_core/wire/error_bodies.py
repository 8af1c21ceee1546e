"""Error bodies, decoded to an OneRouterError.

This module knows where the gateway reports a failure: in the body of an HTTP error, in a body
with status 200, or in an event of a stream; and in which form: JSON, plain text, or the HTML page
of a proxy. `onerouter_core.errors` chooses the class.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from onerouter_core.errors import (
    MalformedReplyError,
    OneRouterError,
    classify,
    retry_after,
    shorten,
)
from onerouter_core.types import Json, Reply
from onerouter_core.wire.coerce import as_mapping, as_text, beginning_of_text, parse_json_bytes

_REQUEST_ID = re.compile(r"\(request id: ([^)\s]+)\)")
_EXCERPT_LENGTH = 300  # characters of a body without a message: enough to recognise its sender


def decode_error(
    body: Any,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    partial: Reply | None = None,
) -> OneRouterError:
    """Return the error in a body: parsed JSON, or the bytes or the text of the body.

    `status` is the HTTP status of an error response, None for a body that came with 200; then an
    error code that is an HTTP status takes its place. A body with neither an error nor such a
    code is a MalformedReplyError. `headers` have lower-case names. `partial` is the reply so far.
    """
    if isinstance(body, str | bytes | bytearray):
        body = _parse_json_or_text(body)
    root, headers = as_mapping(body), headers or {}
    error = root.get("error") or (has_error(root) and root)
    details = as_mapping(error)
    message = as_text(details.get("message")) or as_text(error) or _describe_body(body, status)
    code = details.get("code")
    status = status or _as_http_status(code)
    is_error = error or status is not None
    kind = classify(status, f"{message} {code} {details.get('type')}") if is_error else None
    return (kind or MalformedReplyError)(
        message,
        status=status,
        code=None if code is None else str(code),
        request_id=_request_id(headers, message, root),
        generation_id=as_text(root.get("id")),
        model=as_text(root.get("model")),
        provider=as_text(root.get("provider")),
        retry_after=retry_after(headers, message),
        partial=partial,
    )


def has_error(root: Json) -> bool:
    """Return whether a body or an event has an error: under its key, or as a bare message."""
    return bool(root.get("error") or ("choices" not in root and root.get("message")))


def _parse_json_or_text(body: str | bytes | bytearray) -> Any:
    try:
        return parse_json_bytes(body.encode() if isinstance(body, str) else body)
    except ValueError:
        return body if isinstance(body, str) else beginning_of_text(body)


def _request_id(headers: Mapping[str, str], message: str, root: Json) -> str | None:
    """Return the request id, from a header, from the text of the message, or from the body."""
    in_message = _REQUEST_ID.search(shorten(message))
    return (
        as_text(headers.get("x-infron-request-id"))
        or (in_message[1] if in_message else None)
        or as_text(root.get("request_id"))
    )


def _as_http_status(code: Any) -> int | None:
    """Return an error code that is an HTTP error status, a number or a string; else None."""
    digits = str(code)
    return int(digits) if re.fullmatch(r"[45]\d\d", digits) else None


def _describe_body(body: Any, status: int | None) -> str:
    """Return a message for a body without one: the title of an HTML page, or how it begins."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
    title = _html_title(text)
    # Cut before it is split into words: a body may have a million of them.
    start = (text if title is None else title).lstrip()[: 10 * _EXCERPT_LENGTH]
    excerpt = " ".join(start.split())[:_EXCERPT_LENGTH]
    problem = "Unexpected response body" if status is None else "The gateway returned an error"
    return f"{problem}: {excerpt or '(empty)'}"


# One pattern for both tags would look for the end of the page from each `<title>`.
_TITLE_START, _TITLE_END = (re.compile(tag, re.IGNORECASE) for tag in ("<title>", "</title>"))


def _html_title(text: str) -> str | None:
    """Return the title of an HTML page; None if it has none."""
    start = _TITLE_START.search(text)
    end = _TITLE_END.search(text, start.end()) if start else None
    return text[start.end() : end.start()] if start and end else None
