"""Figures: what was measured of one target, over rounds that are interleaved.

This module knows clocks and the arithmetic of rounds. It knows no target and no work.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import linear_regression, median
from typing import Any, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Figure(NamedTuple):
    """The median of the rounds, and the least of them."""

    median: float
    least: float

    @classmethod
    def of(cls, rounds: Iterable[float], scale: float = 1) -> Figure:
        """Sum rounds up."""
        scaled = [one * scale for one in rounds]
        return cls(median(scaled), min(scaled))


class Work(NamedTuple):
    """A work: its unit, and each target's figure."""

    unit: str
    figures: dict[str, Figure]


Works = dict[str, Work]


def spent(runs: Mapping[Key, Callable[[], Any]], rounds: int) -> dict[Key, list[float]]:
    """Return the CPU seconds of each run in each round: A B C, A B C; the first only warms up."""
    seconds: dict[Key, list[float]] = {key: [] for key in runs}
    for number in range(rounds + 1):
        for key, run in runs.items():
            gc.collect()
            begun = time.process_time()
            run()
            if number:
                seconds[key].append(time.process_time() - begun)
        gc.freeze()  # what is left is not looked at again: the next collections are quick
    return seconds


def sloped(by_size: Mapping[int, Figure]) -> Figure:
    """Return what one more costs: the slope of the line through all sizes."""
    sizes = list(by_size)
    medians, leasts = zip(*by_size.values(), strict=True)
    return Figure(linear_regression(sizes, medians).slope, linear_regression(sizes, leasts).slope)


def growth(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return the slope of the last step over that of the first: 1 is linear, 4 is a square."""
    points = list(zip(sizes, costs, strict=True))
    steps = [
        (cost - before) / (size - smaller) for (smaller, before), (size, cost) in pairwise(points)
    ]
    return steps[-1] / steps[0]
