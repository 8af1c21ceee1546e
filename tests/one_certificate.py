"""A file with one certificate: to load all of them is most of the time to make an HTTP client."""

from __future__ import annotations

from pathlib import Path

import certifi

END = "-----END CERTIFICATE-----"


def write_one_certificate(file: Path) -> None:
    """Write the first of certifi's certificates to a file."""
    first, end, _ = Path(certifi.where()).read_text("utf-8").partition(END)
    file.write_text(first + end, "utf-8")
