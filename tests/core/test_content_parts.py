"""What people spell by hand as the API takes it, read as values."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core import Audio, CacheControl, File, Image, NamedTool, Text, Tool, Video
from onerouter_core.errors import ConfigurationError, UnsupportedContentError
from onerouter_core.wire.content_parts import decode_part, encode_part
from onerouter_core.wire.encode import decode_tool, decode_tool_choice, encode_tool
from onerouter_core.wire.tool_names import ToolNames

PARTS = [
    Text("a"),
    Text("a", cache=CacheControl("1h")),
    Image(url="https://a/b.png", detail="low", cache=CacheControl()),
    Audio("QUJD", "wav"),
    Video(url="https://a/b.mp4"),
    File(data="QUJD", media_type="application/pdf", filename="a.pdf"),
    File(url="https://a/b.pdf", filename="a.pdf"),
]


@pytest.mark.parametrize("part", PARTS)
def test_parts_go_out_and_come_back(part: Any) -> None:
    """A part that is spelled and read again is the same part."""
    assert decode_part(encode_part(part)) == part


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"type": "image_url", "image_url": "u"}, Image(url="u")),
        ({"type": "video_url", "video_url": "u"}, Video(url="u")),
        ({"type": "file", "file": {"file_data": "u"}}, File(url="u")),
        ({"type": "text", "text": "a", "cache_control": None}, Text("a")),
    ],
)
def test_short_spellings(body: dict[str, Any], part: Any) -> None:
    """Short spellings that are in use are read, too."""
    assert decode_part(body) == part


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "text"},
        {"type": "text", "text": 5},
        {"type": "image_url", "image_url": {}},
        {"type": "input_audio", "input_audio": {"data": "QUJD"}},
        {"type": "file", "file": {"data": "QUJD"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "file"},
        {"type": "thinking", "thinking": "Hm."},
    ],
)
def test_what_is_no_part(body: dict[str, Any]) -> None:
    """What is not spelled as the API takes it is no part."""
    assert decode_part(body) is None


@pytest.mark.parametrize("mark", [{"type": "forever"}, {"type": "ephemeral", "x": 1}, "5m", 0])
def test_cache_marks_that_are_none(mark: Any) -> None:
    """A cache mark that the API does not know is an error, not left out."""
    with pytest.raises(UnsupportedContentError, match="no cache_control"):
        decode_part({"type": "text", "text": "a", "cache_control": mark})


@pytest.mark.parametrize(
    "tool",
    [
        Tool("f"),
        Tool("f", "Does.", {"type": "object", "properties": {"a": {}}}, True, CacheControl("5m")),
    ],
)
def test_tools_go_out_and_come_back(tool: Tool) -> None:
    """A tool that is spelled and read again is spelled the same again."""
    spelled = encode_tool(tool, ToolNames())
    assert encode_tool(decode_tool(spelled), ToolNames()) == spelled


@pytest.mark.parametrize("own", [{"type": "web_search"}, {}])
def test_tools_of_the_gateways_own(own: dict[str, Any]) -> None:
    """A tool of another kind stays what it is."""
    assert decode_tool(own) is own


def test_a_function_needs_a_name() -> None:
    """A function without one is no tool of the gateway's own."""
    with pytest.raises(ConfigurationError, match="needs a name"):
        decode_tool({"type": "function", "function": {}})


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        (None, None),
        (False, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("any", "required"),
        (True, "required"),
        ("find", NamedTool("find")),
        (NamedTool("auto"), NamedTool("auto")),
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "function", "function": {"name": "find"}}, NamedTool("find")),
        ({"type": "tool", "name": "find"}, NamedTool("find")),
    ],
)
def test_tool_choices(choice: Any, read: Any) -> None:
    """A tool choice is read in every form that is in use."""
    assert decode_tool_choice(choice) == read


@pytest.mark.parametrize("choice", [5, {}, {"type": "function"}, ["find"]])
def test_tool_choices_that_are_none(choice: Any) -> None:
    """Anything else is an error that shows it."""
    with pytest.raises(ConfigurationError, match="tool_choice must be"):
        decode_tool_choice(choice)
