"""Measurements of targets over interleaved rounds: CPU time, medians and slopes.

This module knows clocks and the arithmetic of rounds. It knows no target and no benchmark case.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import linear_regression, median
from typing import Any, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Measurement(NamedTuple):
    """Median and minimum over all rounds."""

    median: float
    minimum: float

    @classmethod
    def from_rounds(cls, rounds: Iterable[float], scale: float = 1) -> Measurement:
        """Summarize the values of all rounds, each multiplied by `scale`."""
        scaled = [value * scale for value in rounds]
        return cls(median(scaled), min(scaled))


class Metric(NamedTuple):
    """One measured quantity: its unit, and the measurement of each target."""

    unit: str
    by_target: dict[str, Measurement]


Metrics = dict[str, Metric]
"""Metrics by title."""


def cpu_seconds(runs: Mapping[Key, Callable[[], Any]], rounds: int) -> dict[Key, list[float]]:
    """Return the CPU seconds of each run in each round.

    The runs take turns (A B C, A B C). The first round is a warm-up and is not counted.
    """
    seconds: dict[Key, list[float]] = {key: [] for key in runs}
    for round_number in range(rounds + 1):
        for key, run in runs.items():
            gc.collect()
            started = time.process_time()
            run()
            if round_number:
                seconds[key].append(time.process_time() - started)
        gc.freeze()  # objects alive now are not scanned again: the next collections are quick
    return seconds


def marginal_cost(by_size: Mapping[int, Measurement]) -> Measurement:
    """Return the cost of one more item: the slope of the regression line through all sizes."""
    sizes = list(by_size)
    medians, minimums = zip(*by_size.values(), strict=True)
    return Measurement(
        linear_regression(sizes, medians).slope, linear_regression(sizes, minimums).slope
    )


def linearity(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return the slope between the last two sizes divided by the slope between the first two.

    1 means that the cost is linear. A quadratic cost gives the factor between two sizes: 4 if each
    size is four times the one before.
    """
    points = list(zip(sizes, costs, strict=True))
    slopes = [
        (cost - previous_cost) / (size - previous_size)
        for (previous_size, previous_cost), (size, cost) in pairwise(points)
    ]
    return slopes[-1] / slopes[0]
