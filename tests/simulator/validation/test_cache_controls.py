"""Validation of cache_control: how many there are, and in which order of lifetimes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import JSON, Post
from tests.simulator.validation.conftest import TOOL, rejected_param, text_part, with_parts


def mark(ttl: str | None = None) -> JSON:
    """Return the key of a mark."""
    return {"cache_control": {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})}


def texts(*lifetimes: str | None, role: str = "user") -> JSON:
    """Return a message with a marked text for each lifetime."""
    return {"role": role, "content": [text_part(**mark(ttl)) for ttl in lifetimes]}


MARKED_TOOL = TOOL | mark("5m")
REJECTED: dict[str, JSON] = {
    "five": {"messages": [texts(*[None] * 5)]},
    "five with a tool": {"messages": [texts(*["5m"] * 4)], "tools": [MARKED_TOOL]},
    "1h after 5m": {"messages": [texts("5m", "1h")]},
    "1h after the default": {"messages": [texts(None, "1h")]},
    "1h after a tool": {"messages": [texts("1h")], "tools": [MARKED_TOOL]},
    "1h after a later system message": {
        "messages": [texts("1h"), texts("5m", role="system"), texts("5m")]
    },
}
ALLOWED: dict[str, JSON] = {
    "four": {"messages": [texts(*["1h"] * 4)]},
    "four with a tool": {"messages": [texts(*["5m"] * 3)], "tools": [MARKED_TOOL]},
    "5m after 1h": {"messages": [texts("1h", "5m", None)]},
    "system before others": {"messages": [texts("5m"), texts("1h", role="developer")]},
}


@pytest.mark.parametrize("body", REJECTED.values(), ids=REJECTED)
def test_too_many_and_a_wrong_order_are_rejected(post: Post, body: Any) -> None:
    """Anthropic counts tools, too, and reads them first, then system messages."""
    assert rejected_param(post(**body)) == "messages"


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_four_in_order_are_allowed(post: Post, body: Any) -> None:
    """A lifetime that is not given is 5 minutes."""
    assert post(**body).status_code == 200


@pytest.mark.parametrize("control", [{"type": "ephemeral", "ttl": "2h"}, {"type": "other"}, 5])
def test_the_cache_control_of_a_tool_is_checked(post: Post, control: Any) -> None:
    """It is that of a part."""
    body = with_parts(text_part()) | {"tools": [TOOL | {"cache_control": control}]}
    assert rejected_param(post(**body)) == "tools[0].cache_control"
