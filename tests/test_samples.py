"""Sample images in pages, notebooks, examples and tests are whole: a strict decoder reads them."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "examples", "notebooks", "onerouter_simulator", "tests", "benchmarks")
# Base64 of a PNG's signature; the text may go on in the literals of the next lines.
PNG_TEXT = re.compile(r"iVBORw0KGgo[\w+/=]*(?:\\?[\"'](?:\\n[\"'],)?\s*[\"']\s*\\?[\"']?[\w+/=]+)*")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a PNG; raise ValueError if its framing or a checksum is wrong."""
    if not data.startswith(SIGNATURE):
        raise ValueError("no PNG signature")
    at = len(SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if data[at + 8 + length : at + 12 + length] != struct.pack(">I", zlib.crc32(kind + body)):
            raise ValueError(f"wrong checksum of {kind!r}")
        yield kind, body
        at += 12 + length


def check_png(data: bytes) -> None:
    """Raise ValueError unless an image has exactly its pixels, and nothing follows them."""
    chunks = list(png_chunks(data))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != b"IHDR" or kinds[-1] != b"IEND":
        raise ValueError(f"wrong order: {kinds}")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    reader = zlib.decompressobj()
    pixels = reader.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    row = 1 + (width * CHANNELS[colour] * depth + 7) // 8
    if not reader.eof or reader.unused_data or (not interlaced and len(pixels) != row * height):
        raise ValueError(f"{len(pixels)} bytes of pixels, not {row * height}")


def samples() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the data of each sample image."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            name = str(path.relative_to(ROOT))
            if path.suffix == ".png":
                yield name, path.read_bytes()
            elif path.suffix in {".py", ".md", ".ipynb"} and path != Path(__file__):
                texts = PNG_TEXT.findall(path.read_text("utf-8"))
                for number, text in enumerate(texts):
                    if encoded := re.sub(r"\\n|[^A-Za-z0-9+/=]", "", text).strip():
                        yield f"{name}:{number}", base64.b64decode(encoded)


SAMPLES = [(name, data) for name, data in samples() if len(data) > len(SIGNATURE) + 24]


@pytest.mark.parametrize(("name", "data"), SAMPLES, ids=[name for name, _ in SAMPLES])
def test_a_sample_image_is_whole(name: str, data: bytes) -> None:
    """Upstreams decode it; a lenient viewer hides a missing byte."""
    check_png(data)


def test_the_pages_have_a_sample_image() -> None:
    """The search finds them."""
    assert any(name.startswith("docs/multimodal.md") for name, _ in SAMPLES)


@pytest.mark.parametrize("at", [-13, 42, 50, 20])
def test_a_broken_image_is_found(at: int) -> None:
    """A byte that is missing anywhere."""
    data = next(data for name, data in SAMPLES if name.startswith("docs/multimodal.md"))
    with pytest.raises((ValueError, zlib.error, struct.error)):
        check_png(data[:at] + data[at:][1:])
