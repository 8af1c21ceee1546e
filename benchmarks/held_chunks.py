"""Objects that the garbage collector scans for each chunk that a program holds.

LangChain holds every chunk of a stream to its end, to add them up. With many streams at once the
garbage collector scans them all, again and again.
"""

from __future__ import annotations

import gc

from benchmarks.cases import Harness
from benchmarks.measurement import Measurement, Metric, Metrics
from benchmarks.payloads import CallSpec

_CLASSES = ("ChatOneRouter", "ChatOpenAI", "OneRouterLLM", "OpenAILike")


def tracked_objects(harness: Harness) -> Metrics:
    """Count the tracked objects of one more held chunk of text."""
    short, *_, long = harness.config.text_chunks
    by_target = {}
    for name in _CLASSES:
        if name in harness.targets:
            counts = [_count_tracked(harness, name, size) for size in (short, short, long)]
            per_chunk = (counts[2] - counts[1]) / (long - short)  # the first call warms up
            by_target[name] = Measurement(per_chunk, per_chunk)
    return {"held chunk: tracked objects": Metric("", by_target)}


def _count_tracked(harness: Harness, name: str, size: int) -> int:
    """Return the number of objects that a list of all chunks of a stream adds."""
    gc.collect()
    before = len(gc.get_objects())
    chunks = list(harness.targets[name].stream(CallSpec(f"text-{size}")))
    gc.collect()  # ends the tracking of tuples and dicts of plain values
    count = len(gc.get_objects()) - before
    chunks.clear()
    return count
