"""Fuzz the SSE parser: `python -m tests.fuzz.fuzz_events -max_total_time=60`.

The first bytes of the input are the positions at which the other bytes are cut. The parser must
find the same events in the cut bytes, in the whole bytes, and as a line-by-line reference parser.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["onerouter_core"]):
    from tests.core.generated import cut
    from tests.core.payloads import reference_sse_events, sse_events


def fuzz_one_input(data: bytes) -> None:
    """Parse the same bytes cut and whole."""
    provider = atheris.FuzzedDataProvider(data)
    positions = [provider.ConsumeIntInRange(0, 255) for _ in range(4)]
    stream = provider.ConsumeBytes(sys.maxsize)
    chunks = cut(stream, sorted(min(position, len(stream)) for position in positions))
    assert sse_events(chunks) == sse_events([stream]) == reference_sse_events(stream)


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_one_input)
    atheris.Fuzz()
