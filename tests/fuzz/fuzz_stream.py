"""Fuzz the stream decoder: `python -m tests.fuzz.fuzz_stream -max_total_time=60`.

Half of what it is given is bytes as they come, half is a stream that hypothesis makes of them, so
that it gets past the JSON. Whatever they are, the pieces add up, or there is one error of ours.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["onerouter_core"]):
    from hypothesis import given

    from tests.core.generated import cut, odd_streams
    from tests.core.test_round_trip_properties import check_cuts, often


@often
@given(chunks=odd_streams)
def told(chunks: list[bytes]) -> None:
    """Read a stream that is nearly one."""
    check_cuts(chunks)


def one(data: bytes) -> None:
    """Read the same bytes in one piece and in several."""
    if data[:1] < b"\x80":
        told.hypothesis.fuzz_one_input(data[1:])
    else:
        stream = data[2:]
        check_cuts(cut(stream, [min(place, len(stream)) for place in data[1:2]]))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
