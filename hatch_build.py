"""README as a package index shows it: there a path of the project leads nowhere.

Badges become code, links that are paths become their text. A build by hatchling calls `ReadmeHook`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_BADGE = re.compile(r"!\[([^\]]+)\]\((?!https?:)[^)\s]+\)")
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)\s]+\)")


class ReadmeHook(MetadataHookInterface):
    """Sets the long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Put the text into the metadata."""
        text = (Path(self.root) / "README.md").read_text("utf-8")
        text = _LINK.sub(r"\1", _BADGE.sub(r"`\1`", text))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
