"""Fuzz the stream decoder: `python -m tests.fuzz.fuzz_stream -max_total_time=60`.

Half of the inputs are raw bytes; from the other half hypothesis makes streams of valid JSON, which
reach the code behind the JSON parser. The deltas must add up to the final reply, or there must be
one OneRouterError.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["onerouter_core"]):
    from hypothesis import given

    from tests.core.generated import cut
    from tests.core.generated_malformed import malformed_streams
    from tests.core.test_round_trip_properties import check_cuts, slow_property


@slow_property
@given(chunks=malformed_streams)
def check_generated_stream(chunks: list[bytes]) -> None:
    """Check a stream that is almost valid."""
    check_cuts(chunks)


def fuzz_one_input(data: bytes) -> None:
    """Decode a generated stream, or raw bytes cut at one position; the first byte decides."""
    if data[:1] < b"\x80":
        check_generated_stream.hypothesis.fuzz_one_input(data[1:])
    else:
        stream = data[2:]
        check_cuts(cut(stream, [min(position, len(stream)) for position in data[1:2]]))


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_one_input)
    atheris.Fuzz()
