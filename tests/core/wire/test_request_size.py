"""Size of a request: what a budget expects of it before it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core.wire.request_size import request_size

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}


def size(content: Any, **body: Any) -> Any:
    """Return the size of a request with one message."""
    return request_size({"messages": [{"role": "user", "content": content}], **body})


def test_four_characters_are_a_token() -> None:
    """The keys of a message and its role are some, too."""
    assert size("x" * 4000).prompt_tokens - size("").prompt_tokens == 1000


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "video_url", "file"])
def test_media_count_as_a_thousand_tokens(kind: str) -> None:
    """However long their data are."""
    part = {"type": kind, kind: {"data": "A" * 100_000}}
    assert size([part, part]).prompt_tokens - size([]).prompt_tokens == 2000


def test_tools_and_schemas_count() -> None:
    """They are part of the prompt."""
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"x": "y" * 400}}}]
    assert size("", tools=tools).prompt_tokens > size("").prompt_tokens + 100
    assert size("", response_format={"x": "y" * 400}).prompt_tokens >= size("").prompt_tokens + 100


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, None),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 7, "max_completion_tokens": 5}, 5),
        ({"max_tokens": 7, "n": 3}, 21),
        ({"max_tokens": "7"}, None),
        ({"n": 3}, None),
    ],
)
def test_the_limit_of_the_answers(body: dict[str, Any], expected: int | None) -> None:
    """Of all that are asked for."""
    assert size("x", **body).max_answer_tokens == expected
