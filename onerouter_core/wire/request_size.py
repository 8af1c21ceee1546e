"""Size of a request: tokens of its prompt, estimated, and the limit of its answer.

The gateway tells the tokens of a prompt in its answer only: a budget needs them before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_CHARACTERS_PER_TOKEN = 4  # of English; LangChain's and LlamaIndex's estimates use it, too
_MEDIA_TOKENS = 1000  # of an image, a sound or a file
_ANSWER_LIMITS = ("max_completion_tokens", "max_tokens")


class RequestSize(NamedTuple):
    """Size of a request."""

    prompt_tokens: int
    """Tokens of the prompt, estimated."""

    max_answer_tokens: int | None
    """Limit of the tokens of all answers. None: no limit."""


def request_size(body: Mapping[str, Any]) -> RequestSize:
    """Return the size of a request with this body."""
    texts = [body.get(key) for key in ("messages", "tools", "response_format")]
    prompt_tokens = -(-_characters(texts) // _CHARACTERS_PER_TOKEN)
    limits = [body[key] for key in _ANSWER_LIMITS if isinstance(body.get(key), int)]
    answers = body.get("n")
    count = answers if isinstance(answers, int) else 1
    return RequestSize(prompt_tokens, min(limits) * count if limits else None)


def _characters(value: Any) -> int:
    """Return the length of all texts; media count as much as their tokens."""
    match value:
        case str():
            return len(value)
        case {"type": str(kind)} if kind in {"image_url", "input_audio", "video_url", "file"}:
            return _MEDIA_TOKENS * _CHARACTERS_PER_TOKEN
        case Mapping():
            return sum(len(key) + _characters(item) for key, item in value.items())
        case list() | tuple():
            return sum(map(_characters, value))
        case _:
            return 1
