"""Tool names as the API allows them, and back.

This module knows the pattern of legal names (source: the API, as OpenAI's). A name that fits goes
out as it is; one that does not is spelled differently on the way out and spelled back on the way
in, so that neither framework ever sees the other spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2s

_LEGAL = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ILLEGAL_CHARACTER = re.compile(r"[^a-zA-Z0-9_-]")
_KEPT_LENGTH = 55  # characters of a name that is cut: 64 less an underscore and eight of a digest


class ToolNames:
    """The two spellings of the tools of one request."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Spell each name; two that would look alike get different spellings."""
        self._encoded: dict[str, str] = {}
        self._decoded: dict[str, str] = {}
        known = list(dict.fromkeys(names))
        taken = {name for name in known if _LEGAL.fullmatch(name)}
        for name in known:
            if name not in taken:
                self._encoded[name] = spelling = _legal_name(name, taken | self._decoded.keys())
                self._decoded[spelling] = name

    def encode(self, name: str) -> str:
        """Return the name for the wire."""
        return self._encoded.get(name, name)

    def decode(self, name: str) -> str:
        """Return the caller's name for a name from the wire."""
        return self._decoded.get(name, name)


def _legal_name(name: str, taken: set[str]) -> str:
    """Return a legal name, the same each time; a digest tells apart what would look alike."""
    plain = _ILLEGAL_CHARACTER.sub("_", name)
    if _LEGAL.fullmatch(plain) and plain not in taken:
        return plain
    digest = blake2s(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{plain[:_KEPT_LENGTH]}_{digest}"
