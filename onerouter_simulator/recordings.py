"""Recordings: requests with their replies in a file of JSON Lines, without secrets.

Knows the format of the file, and which headers and values must not be in it. Knows no HTTP
library and no rule of matching. A line is one exchange:

    {"recording": 1, "request": {"method", "path", "body"},
     "reply": {"status", "headers", "seconds", "chunks": [[seconds, text], ...], "end"}}

Paths are relative to the base URL. A body of a request is its JSON value, or its text. Texts of
replies are exact: bytes that are no UTF-8 are escaped as Python's `surrogateescape` does.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from onerouter_simulator.request_log import RecordedRequest
from onerouter_simulator.scripts import encode_json

VERSION = 1
Packet: TypeAlias = tuple[float, bytes]

# Response headers that clients read. No other is written: cookies and account names are among them.
KEPT_HEADERS = re.compile(
    r"content-type|content-encoding|retry-after(-ms)?|x-ratelimit-.+|x-(infron-)?request-id"
    r"|x-litellm-response-cost"
)
SECRET_HEADER = re.compile(
    r"auth(?!ors?\b)|key\b|token|secret|cookie|passw|credential|signature|session|jwt",
    re.IGNORECASE,
)
SECRET_PART = re.compile(r"(?:^(?:Bearer|Basic|Token) +|=)([^;\s]+)", re.IGNORECASE)
MIN_SECRET = 6  # characters; a shorter key is a placeholder, and may be a word of the answer
# Names of fields in a request's body whose texts are secrets, such as those of a remote tool.
SECRET_FIELD = re.compile(
    r"[\w-]*(?:api[-_]?key|authorization|password|secret|cookies?|credentials?|(?:access|auth)[-_]token)",
    re.IGNORECASE,
)
ACCOUNT_FIELD = re.compile(
    r'("(?:account(?:_id|_name)?|user_(?:id|name|email)|username|e-?mail|owner'
    r'|(?:org|organi[sz]ation|team)(?:_id|_name)?)"\s*:\s*)"(?:[^"\\]|\\.)*"',
    re.IGNORECASE,
)
HIDDEN = "***"


class RecordingError(ValueError):
    """A recording cannot be made or replayed: a file, or an address, is not usable."""


@dataclass(frozen=True)
class RequestContent:
    """Content of a request: method, path below the base URL, and body."""

    method: str
    path: str
    body: Any

    @classmethod
    def of(cls, request: RecordedRequest) -> "RequestContent":
        """Return the content of a request, without its secrets."""
        secrets = secrets_in(request.headers)
        path = hide_secrets(request.path.removeprefix("/v1"), secrets)
        return cls(request.method, path, decode_body(hide_secrets(to_text(request.raw), secrets)))


@dataclass(frozen=True)
class Exchange:
    """A request and its reply."""

    request: RequestContent
    status: int
    headers: Mapping[str, str]
    seconds: float
    packets: tuple[Packet, ...]
    end: Literal["close", "cut"] = "close"

    def to_line(self) -> bytes:
        """Return the line of the file, with its newline."""
        chunks = [[round(pause, 4), to_text(data)] for pause, data in self.packets]
        reply = {
            "status": self.status,
            "headers": dict(self.headers),
            "seconds": round(self.seconds, 4),
            "chunks": chunks,
            "end": self.end,
        }
        return (
            encode_json({"recording": VERSION, "request": vars(self.request), "reply": reply})
            + b"\n"
        )

    @classmethod
    def from_json(cls, row: Any) -> "Exchange":
        """Return the exchange of a line; raise KeyError, TypeError or ValueError if it is none."""
        reply = row["reply"]
        status, seconds = int(reply["status"]), to_seconds(reply["seconds"])
        if not 200 <= status < 600:  # noqa: PLR2004 -- final responses (RFC 9110, section 15)
            raise ValueError(status)
        return cls(
            RequestContent(*(row["request"][name] for name in ("method", "path", "body"))),
            status,
            {str(name): str(value) for name, value in reply["headers"].items()},
            seconds,
            tuple((to_seconds(pause), to_bytes(text)) for pause, text in reply["chunks"]),
            "cut" if reply["end"] == "cut" else "close",
        )


def to_seconds(value: Any) -> float:
    """Return a time in seconds; raise ValueError if it is negative or no number."""
    seconds = float(value)
    if not 0 <= seconds < float("inf"):
        raise ValueError(value)
    return seconds


# --- the file ---


def read_recording(path: Path) -> list[Exchange]:
    """Return the exchanges of a file.

    Raises:
        RecordingError: The file cannot be read, is no recording, or is of a newer version.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except OSError as error:
        raise RecordingError(
            f"The recording {path} cannot be read: {error.strerror}. Simulator.record makes one."
        ) from error
    except UnicodeDecodeError:
        raise not_a_recording(path, 1) from None
    return [parse_line(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]


def parse_line(line: str, path: Path, number: int) -> Exchange:
    """Return the exchange of one line; raise RecordingError."""
    try:
        row = json.loads(line)
        is_newer = row["recording"] > VERSION
        exchange = None if is_newer else Exchange.from_json(row)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise not_a_recording(path, number) from None
    if exchange is None:
        raise RecordingError(
            f"{path}, line {number}: this recording has version {row['recording']}, and this"
            f" package reads version {VERSION}: update onerouter-integrations, or record it again."
        )
    return exchange


def not_a_recording(path: Path, number: int) -> RecordingError:
    """Return the error of a line that is no exchange."""
    return RecordingError(
        f"{path}, line {number}: this is not a recording. Give a file that Simulator.record has"
        " written; a line that was cut off can be deleted."
    )


def check_writable(path: Path) -> None:
    """Raise RecordingError unless exchanges can be appended to a file; create it."""
    if path.is_file():
        read_recording(path)
    try:
        path.open("ab").close()
    except OSError as error:
        raise RecordingError(
            f"The recording {path} cannot be written: {error.strerror}. Give a file in a folder"
            " that exists and that you may write to."
        ) from error


def append(path: Path, exchange: Exchange) -> None:
    """Add an exchange to a file; raise OSError."""
    with path.open("ab") as file:
        file.write(exchange.to_line())


# --- secrets ---


def secrets_in(headers: Mapping[str, str]) -> set[str]:
    """Return the values of secret request headers, and their parts: a token, a cookie's value."""
    values = [value for name, value in headers.items() if SECRET_HEADER.search(name)]
    parts = [part for value in values for part in SECRET_PART.findall(value)]
    return {text for text in (*values, *parts) if len(text) >= MIN_SECRET}


def kept_headers(headers: Iterable[tuple[str, str]], secrets: Iterable[str]) -> dict[str, str]:
    """Return the response headers that are recorded, with names in lower case."""
    lower = ((name.lower(), value) for name, value in headers)
    return {name: hide_secrets(v, secrets) for name, v in lower if KEPT_HEADERS.fullmatch(name)}


def hide_secrets(text: str, secrets: Iterable[str]) -> str:
    """Replace secrets in a text, the longest first: one may contain another."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def hide_accounts(text: str) -> str:
    """Replace the values of fields that name an account, in JSON text."""
    return ACCOUNT_FIELD.sub(rf'\1"{HIDDEN}"', text)


def hide_in_packets(
    packets: list[Packet], secrets: Iterable[str], *, is_answer: bool
) -> tuple[Packet, ...]:
    """Replace secrets in the body of a reply; one that is in two packets makes one packet of all.

    Account names are replaced, too, except in an answer of a model without an error: there such a
    field is an argument of a tool (some servers send the object itself).
    """
    whole = to_text(b"".join(data for _, data in packets))
    keeps_accounts = is_answer and '"error"' not in whole

    def hide(text: str) -> str:
        hidden = hide_secrets(text, secrets)
        return hidden if keeps_accounts else hide_accounts(hidden)

    each = [(pause, to_bytes(hide(to_text(data)))) for pause, data in packets]
    if to_text(b"".join(data for _, data in each)) == hide(whole):
        return tuple(each)
    return ((sum(pause for pause, _ in packets), to_bytes(hide(whole))),)


def hide_secret_fields(value: Any) -> Any:
    """Replace texts in fields such as "api_key" of a JSON value."""
    if isinstance(value, list):
        return [hide_secret_fields(item) for item in value]
    return dict(_without_secrets(value)) if isinstance(value, dict) else value


def _without_secrets(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        is_secret = isinstance(value, str) and SECRET_FIELD.fullmatch(name)
        yield name, HIDDEN if is_secret else hide_secret_fields(value)


# --- bodies ---


def decode_body(text: str) -> Any:
    """Return a request body as a JSON value without secret fields, else as text; None if empty."""
    if not text:
        return None
    try:
        return hide_secret_fields(json.loads(text))
    except (ValueError, RecursionError):
        return text


def to_text(data: bytes) -> str:
    """Decode UTF-8; other bytes become half surrogates, which `to_bytes` makes bytes again."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Encode a text of `to_text`."""
    return text.encode("utf-8", "surrogateescape")
