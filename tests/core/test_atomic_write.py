"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onerouter_core.atomic_write import write_atomically


def test_a_new_file_and_an_old_one_are_written(tmp_path: Path) -> None:
    """Half of a surrogate pair is replaced."""
    for text in ("new", "again \ud83d"):
        write_atomically(tmp_path / "file", text)
    assert (tmp_path / "file").read_text("utf-8") == "again ?"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """A pipe, for example: a file could not take its place."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        text = pool.submit(pipe.read_text)
        write_atomically(pipe, "text")
        assert text.result() == "text"
    assert pipe.is_fifo()


def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the last bytes are written."""
    file = tmp_path / "costs.jsonl"
    file.write_text("old")
    write = Path.write_bytes

    def fill_disk(path: Path, data: bytes) -> int:
        write(path, data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
