"""Files that are written whole or not at all: a program may end, or a disk be full, meanwhile."""

from __future__ import annotations

from pathlib import Path
from shutil import copymode
from uuid import uuid4


def write_atomically(path: Path, text: str) -> None:
    """Write a text file in UTF-8: a temporary file beside it takes its place at the end.

    A character that UTF-8 does not have (half of a surrogate pair) is replaced.
    """
    data, path = text.encode("utf-8", "replace"), path.resolve()  # a link stays a link
    if path.exists() and not path.is_file():  # such as /dev/stdout
        path.write_bytes(data)
        return
    temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        if path.exists():
            copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
