"""Fuzz the event reader: `python -m tests.fuzz.fuzz_events -max_total_time=60`.

The fuzzer's first bytes say where the others are cut. Whatever they are, the events are those that
stand in them.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["onerouter_core"]):
    from tests.core.generated import cut
    from tests.core.test_round_trip_properties import events_in, events_told


def one(data: bytes) -> None:
    """Read the same bytes in one piece and in several."""
    given = atheris.FuzzedDataProvider(data)
    places = [given.ConsumeIntInRange(0, 255) for _ in range(4)]
    stream = given.ConsumeBytes(sys.maxsize)
    pieces = cut(stream, sorted(min(place, len(stream)) for place in places))
    assert events_in(pieces) == events_in([stream]) == events_told(stream)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
