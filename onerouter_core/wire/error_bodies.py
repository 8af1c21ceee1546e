"""An error body to one of our errors.

This module knows how the gateway states a failure: under a bad status, under a good one, inside a
stream, as JSON, as prose, as somebody's HTML page. Which class it is, `onerouter_core.errors` says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from onerouter_core.errors import MalformedReplyError, OneRouterError, classify, retry_after
from onerouter_core.types import Json, Reply
from onerouter_core.wire.coerce import as_mapping, as_text

_SNIPPET = 300  # characters of a body that is not JSON: enough to recognise whose page it is


def decode_error(
    body: Any,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    partial: Reply | None = None,
) -> OneRouterError:
    """Return the error a body states; under a good status a body that states none is malformed."""
    if isinstance(body, str):
        body = _parse_body(body)
    root, headers = as_mapping(body), headers or {}
    error = root.get("error") or (has_error(root) and root)
    facts = as_mapping(error)
    message = as_text(facts.get("message")) or as_text(error) or _snippet(body, status)
    code = facts.get("code")
    status = status or _status(code)
    stated = error or status is not None
    kind = classify(status, f"{message} {code} {facts.get('type')}") if stated else None
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
    """Tell whether a body or an event says that something went wrong."""
    return bool(root.get("error") or ("choices" not in root and root.get("message")))


def _parse_body(body: str) -> Any:
    """Return the JSON in a body, or the body."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _request_id(headers: Mapping[str, str], message: str, root: Json) -> str | None:
    """Return the id to report; the gateway gives it in a header, in prose or in the body."""
    in_prose = re.search(r"\(request id: ([^)\s]+)\)", message)
    return (
        as_text(headers.get("x-infron-request-id"))
        or (in_prose[1] if in_prose else None)
        or as_text(root.get("request_id"))
    )


def _status(code: Any) -> int | None:
    """Return an error code that is an HTTP status, as number or as string."""
    digits = str(code)
    return int(digits) if re.fullmatch(r"[45]\d\d", digits) else None


def _snippet(body: Any, status: int | None) -> str:
    """Describe a body that states no error: the title of a page, or its first words."""
    page = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
    title = re.search(r"<title>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    words = " ".join((title[1] if title else page).split())[:_SNIPPET]
    what = "The reply holds no answer" if status is None else "The gateway refused"
    return f"{what}: {words}" if words else f"{what}, and says nothing."
