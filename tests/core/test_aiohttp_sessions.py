"""aiohttp sessions: what of a failed connection had been received."""

from __future__ import annotations

from types import SimpleNamespace

from onerouter_core.aiohttp_sessions import take_unread


def test_other_libraries_have_nothing_unread() -> None:
    """The body of a response of another library is read to its error."""
    assert take_unread(SimpleNamespace(stream=object())) == b""
