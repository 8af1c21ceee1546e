"""Validation of `tools` and `tool_choice`."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import JSON, Post
from tests.simulator.validation.conftest import (
    TOOL,
    rejected_param,
    with_tool,
)

REJECTED: dict[str, tuple[JSON, str]] = {
    "tools-empty": ({"tools": []}, "tools"),
    "tools-null": ({"tools": None}, "tools"),
    "tools-twice": ({"tools": [TOOL, TOOL]}, "tools"),
    "tool-text": ({"tools": ["search"]}, "tools[0]"),
    "tool-bare": ({"tools": [TOOL["function"]]}, "tools[0]"),
    "tool-input-schema": ({"tools": [{"name": "a", "input_schema": {}}]}, "tools[0]"),
    "tool-type": ({"tools": [TOOL | {"type": "web"}]}, "tools[0]"),
    "tool-name-dot": (with_tool(name="a.b"), "tools[0]"),
    "tool-name-long": (with_tool(name="a" * 65), "tools[0]"),
    "tool-name-empty": (with_tool(name=""), "tools[0]"),
    "tool-description": (with_tool(description=None), "tools[0]"),
    "tool-strict": (with_tool(strict="yes"), "tools[0]"),
    "tool-parameters-list": (with_tool(parameters=[]), "tools[0]"),
    "tool-parameters-string": (with_tool(parameters={"type": "string"}), "tools[0]"),
    "choice-null": ({"tools": [TOOL], "tool_choice": None}, "tool_choice"),
    "choice-any": ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
    "choice-name": ({"tools": [TOOL], "tool_choice": "search"}, "tool_choice"),
    "choice-unknown-tool": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice",
    ),
    "choice-alone": ({"tool_choice": "auto"}, "tool_choice"),
}


@pytest.mark.parametrize(("body", "param"), REJECTED.values(), ids=REJECTED)
def test_a_malformed_tool_or_choice_is_rejected(post: Post, body: JSON, param: str) -> None:
    """The error is a 400 with the gateway's body and the path of the parameter."""
    assert rejected_param(post(**body)) == param


ALLOWED: dict[str, JSON] = {
    "tool-no-type": with_tool(parameters={}),
    "choice-by-name": {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "search"}},
    },
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_a_well_formed_tool_or_choice_is_allowed(post: Post, body: JSON) -> None:
    """A tool may have no parameters, and the choice may name a tool."""
    reply = post(**body)
    assert reply.status_code == 200, reply.text
