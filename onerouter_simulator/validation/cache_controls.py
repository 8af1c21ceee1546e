"""Validation of the cache_control of tools and parts: their number, and the order of lifetimes.

Knows where a request can have cache_control. The cache_control of one part is checked in parts.py.
"""

from collections.abc import Iterator
from typing import Any

from onerouter_simulator.errors import bad_request

JSON = dict[str, Any]

MAX_CACHE_CONTROLS = 4
SYSTEM_ROLES = ("system", "developer")


def check_cache_controls(body: JSON) -> None:
    """Check that there are four at most, and that none of 1 hour follows one of 5 minutes."""
    lifetimes = [mark.get("ttl") or "5m" for mark in cache_controls(body)]
    if len(lifetimes) > MAX_CACHE_CONTROLS:
        raise bad_request(
            f"At most {MAX_CACHE_CONTROLS} parts can have cache_control, not {len(lifetimes)}",
            "messages",
        )
    if lifetimes != sorted(lifetimes):  # "1h" is before "5m"
        raise bad_request(
            "A cache_control with ttl 1h must not come after one with ttl 5m"
            " (in the order of tools, system, messages)",
            "messages",
        )


def cache_controls(body: JSON) -> Iterator[JSON]:
    """Yield each cache_control in Anthropic's order: tools, system messages, other messages."""
    bodies = [*body.get("tools", ())]
    for message in sorted(body["messages"], key=lambda sent: sent["role"] not in SYSTEM_ROLES):
        content = message.get("content")
        bodies += content if isinstance(content, list) else ()
    return (item["cache_control"] for item in bodies if "cache_control" in item)
