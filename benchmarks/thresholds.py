"""Thresholds: the limit of each metric for each class.

A threshold compares one metric of our class with the sum of references, times a limit. Without
references the limit is absolute, in the metric's own unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.measurement import Measurement, Metrics

LANGCHAIN, LLAMA_INDEX = "ChatOneRouter", "OneRouterLLM"
_NO_OP_MODELS = {
    target: (f"{framework} no-op model", f"{framework} no-op model, ready-made chunks")
    for target, framework in ((LANGCHAIN, "LangChain"), (LLAMA_INDEX, "LlamaIndex"))
}
_HTTP, _HTTPX = "HTTP + JSON", "httpx + JSON"
SDK_TRANSPORT = "SDK transport + JSON"


class Threshold(NamedTuple):
    """At most `limit` times the sum of the references.

    A reference is a target, measured by the same metric, or a pair of a metric and a target.
    """

    metric: str
    target: str
    limit: float
    references: tuple[str | tuple[str, str], ...] = ()

    def value(self, metrics: Metrics) -> float | None:
        """Return the measured value or ratio; None if a measurement is missing."""
        keys = [ref if isinstance(ref, tuple) else (self.metric, ref) for ref in self.references]
        medians = [
            metrics[metric].by_target[name].median if _is_measured(metrics, metric, name) else None
            for metric, name in ((self.metric, self.target), *keys)
        ]
        if None in medians:
            return None
        ours, *references = medians
        return ours / (sum(references) or math.nan) if references else ours

    def lower_bound(
        self, metrics: Metrics, transports: tuple[str, ...] = (_HTTP, _HTTPX)
    ) -> float | None:
        """Return the same ratio for a transport, JSON and the framework; None if not measured.

        Args:
            metrics: the metrics of a run.
            transports: targets of which the cheapest one counts.

        """
        if self.metric not in metrics or not self.references:
            return None
        metric = metrics[self.metric]
        frameworks = _NO_OP_MODELS.get(self.target.partition(",")[0], ())
        medians, others = (
            [metric.by_target[name].median for name in names if name in metric.by_target]
            for names in (transports, frameworks)
        )
        if not medians:
            return None
        cost = min(medians) + min(others, default=0)
        by_target = {**metric.by_target, self.target: Measurement(cost, cost)}
        return self.value({**metrics, self.metric: metric._replace(by_target=by_target)})

    def describe_references(self) -> str:
        """Return the names of the references, such as "ChatOpenAI + openai SDK"."""
        names = [ref if isinstance(ref, str) else ref[0] for ref in self.references]
        return " + ".join(names)


def _is_measured(metrics: Metrics, metric: str, name: str) -> bool:
    return metric in metrics and name in metrics[metric].by_target


def thresholds() -> Iterator[Threshold]:
    """Yield all thresholds, in the order of the table."""
    yield from _streams()
    yield from _concurrency()
    yield from _calls()
    for target in (LANGCHAIN, LLAMA_INDEX):
        yield Threshold("import", target, 100)
        yield Threshold("import: SDK loaded", target, 0)
        yield Threshold("instance", target, 1)
        yield Threshold("instance: memory", target, 20)
        yield Threshold("instance: sockets", target, 0)
        yield Threshold("instance: SSL contexts", target, 0)
    for metric in _LINEAR:
        for target in (LANGCHAIN, LLAMA_INDEX):
            yield Threshold(f"{metric}: linearity", target, 1.3)


_LINEAR = ("text chunk", "history message", "bound tool", "instance")


def _streams() -> Iterator[Threshold]:
    langchain, llama_index = ("ChatOpenAI",), ("OpenAILike",)
    yield Threshold("text chunk", LANGCHAIN, 0.17, langchain)
    yield Threshold("text chunk", LLAMA_INDEX, 0.20, llama_index)
    yield Threshold("text chunk", "onerouter_core", 1.25, (_HTTPX,))
    yield Threshold("text chunk, async", LANGCHAIN, 0.07, langchain)
    yield Threshold("text chunk, async", LLAMA_INDEX, 0.12, llama_index)
    yield Threshold("text chunk, paced", LANGCHAIN, 0.25, langchain)
    yield Threshold("tool-call delta", LANGCHAIN, 0.20, langchain)
    yield Threshold("tool-call delta: linearity", LANGCHAIN, 1.3)
    for variant in ("", ", tool calls parsed"):
        target = LLAMA_INDEX + variant
        yield Threshold("tool-call delta", target, 0.10, (f"OpenAILike{variant}",))
        yield Threshold("tool-call delta: linearity", target, 1.3)
    for target in (LANGCHAIN, LLAMA_INDEX):
        yield Threshold("reasoning chunk", target, 1.2, (("text chunk", target),))


def _concurrency() -> Iterator[Threshold]:
    for target, peer, growth in ((LANGCHAIN, "ChatOpenAI", 1.4), (LLAMA_INDEX, "OpenAILike", 1.2)):
        yield Threshold("medium concurrency", target, 0.15, (peer,))
        yield Threshold("medium concurrency: memory", target, 0.5, (peer,))
        yield Threshold("medium concurrency", target, growth, (("low concurrency", target),))
        yield Threshold("high concurrency", target, growth, (("low concurrency", target),))


def _calls() -> Iterator[Threshold]:
    for target, peer, limits in (
        (LANGCHAIN, "ChatOpenAI", (0.50, 0.06, 0.55, 0.6)),
        (LLAMA_INDEX, "OpenAILike", (0.50, 0.06, 0.20, 0.6)),
    ):
        short, history, tools, first = limits
        yield Threshold("short call", target, short, (peer,))
        yield Threshold("short call, async", target, short, (peer,))
        yield Threshold("call with 200 messages", target, history, (peer,))
        yield Threshold("call with 20 tools", target, tools, (peer,))
        yield Threshold("first token", target, first, (peer,))
