"""Tool names: encoded to the pattern that the API accepts, and decoded to the caller's names.

The API accepts 1 to 64 characters of a-z, A-Z, 0-9, "_" and "-" (source: the API page; OpenAI's
rule). A name that fits is sent as it is. Any other name is encoded in requests and decoded in
replies, so the frameworks see only the caller's names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from hashlib import blake2s

_LEGAL = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ILLEGAL_CHARACTER = re.compile(r"[^a-zA-Z0-9_-]")
_KEPT_LENGTH = 55  # characters of a shortened name: 64 less "_" and eight hexadecimal digits


class ToolNames:
    """Mapping between the tool names of one request and their encoded names."""

    def __init__(self, names: Iterable[str] = (), offered: Collection[str] | None = None) -> None:
        """Encode each name; different names get different encodings.

        `offered` are the names among them that the model can call; None: all of them. The others
        are those of earlier calls.
        """
        self._encoded: dict[str, str] = {}
        self._decoded: dict[str, str] = {}
        unique = list(dict.fromkeys(names))
        legal = {name for name in unique if _LEGAL.fullmatch(name)}
        for name in unique:
            if name not in legal:
                self._encoded[name] = encoded = _legal_name(name, legal | self._decoded.keys())
                self._decoded[encoded] = name
        self._offered = {self.encode(name) for name in (unique if offered is None else offered)}

    def encode(self, name: str) -> str:
        """Return the name to send."""
        return self._encoded.get(name, name)

    def decode(self, name: str) -> str:
        """Return the caller's name for a received one; an unknown name is returned as it is."""
        return self._decoded.get(name, name)

    def is_beginning(self, name: str) -> bool:
        """Return whether a received name is only the beginning of an offered tool's name."""
        return name not in self._offered and self.begins_offered(name)

    def begins_offered(self, name: str) -> bool:
        """Return whether a received name is that of an offered tool, or the beginning of one."""
        return any(offered.startswith(name) for offered in self._offered)


def _legal_name(name: str, taken: set[str]) -> str:
    """Return a legal name that is not taken; it depends on the two arguments only.

    Illegal characters are replaced by "_". Where that makes two names equal, or the name is too
    long or empty, it gets a digest at its end.
    """
    plain = _ILLEGAL_CHARACTER.sub("_", name)
    if _LEGAL.fullmatch(plain) and plain not in taken:
        return plain
    digest = blake2s(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{plain[:_KEPT_LENGTH]}_{digest}"
