"""Tool names: encoded to the pattern that the API accepts, and decoded to the caller's names.

The API accepts 1 to 64 characters of a-z, A-Z, 0-9, "_" and "-" (source: the API page; OpenAI's
rule). A name that fits is sent as it is. Any other name is encoded in requests and decoded in
replies, so the frameworks see only the caller's names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from hashlib import blake2s

_LEGAL_CHARACTERS = re.compile(r"[a-zA-Z0-9_-]+")
_ILLEGAL_CHARACTER = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_LENGTH = 64
_DIGEST_BYTES = 4


class ToolNames:
    """Mapping between the tool names of one request and their encoded names."""

    def __init__(self, names: Iterable[str] = (), offered: Collection[str] | None = None) -> None:
        """Encode each name; different names get different encodings.

        `offered` are the names among them that the model can call; None: all of them. The others
        are those of earlier calls.
        """
        unique = list(dict.fromkeys(names))
        self._encoded = encode_illegal_names(unique)
        self._decoded = {encoded: name for name, encoded in self._encoded.items()}
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


def encode_illegal_names(names: Iterable[str], max_length: int = _MAX_LENGTH) -> dict[str, str]:
    """Return a legal name for each illegal one: all different, and different from the legal ones.

    It depends on the names and their order only, so each request of a conversation has the same.
    """
    unique = list(dict.fromkeys(names))
    legal = {name for name in unique if _is_legal(name, max_length)}
    encoded: dict[str, str] = {}
    taken = set(legal)
    for name in unique:
        if name not in legal:
            encoded[name] = _legal_name(name, taken, max_length)
            taken.add(encoded[name])
    return encoded


def _is_legal(name: str, max_length: int) -> bool:
    return len(name) <= max_length and _LEGAL_CHARACTERS.fullmatch(name) is not None


def _legal_name(name: str, taken: set[str], max_length: int) -> str:
    """Return a legal name that is not taken; it depends on the arguments only.

    Illegal characters are replaced by "_". Where that makes two names equal, or the name is too
    long or empty, it gets a digest at its end.
    """
    plain = _ILLEGAL_CHARACTER.sub("_", name)
    if _is_legal(plain, max_length) and plain not in taken:
        return plain
    digest = blake2s(name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{plain[: max_length - len(digest) - 1]}_{digest}"


NO_TOOL_NAMES = ToolNames()
"""The names of a request without tools."""
