"""What is to be reached: one line for each row of the table, and each class.

A goal compares one figure of ours with others: their sum, times a limit. Without others the limit
is absolute, in the work's own unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.measurement import Figure, Works

LANGCHAIN, LLAMA_INDEX = "ChatOneRouter", "OneRouterLLM"
FLOORS = {LANGCHAIN: "LangChain's floor", LLAMA_INDEX: "LlamaIndex's floor"}
_HTTP, _SDK = "plain HTTP + JSON", "plain SDK"


class Goal(NamedTuple):
    """At most `limit` times the sum of `others`, each a target, or a work and a target."""

    work: str
    ours: str
    limit: float
    others: tuple[str | tuple[str, str], ...] = ()

    def reached(self, works: Works) -> float | None:
        """Return the figure, or the ratio; None if one of the figures is not there."""
        keys = [other if isinstance(other, tuple) else (self.work, other) for other in self.others]
        medians = [
            works[work].figures[name].median if _is_there(works, work, name) else None
            for work, name in ((self.work, self.ours), *keys)
        ]
        if None in medians:
            return None
        ours, *others = medians
        return ours / (sum(others) or math.nan) if others else ours

    def unavoidable(self, works: Works) -> float | None:
        """Return the same for what no class can do without: HTTP, JSON and its framework."""
        if self.work not in works or not self.others:
            return None
        figures = works[self.work].figures
        floor = FLOORS[self.ours.partition(",")[0]]
        if not {_HTTP, floor} <= figures.keys():
            return None
        least = figures[_HTTP].median + figures[floor].median
        both = works[self.work]._replace(figures={**figures, self.ours: Figure(least, least)})
        return self.reached({**works, self.work: both})

    def against(self) -> str:
        """Return what is compared with, in words."""
        names = [other if isinstance(other, str) else other[0] for other in self.others]
        return " + ".join(names)


def _is_there(works: Works, work: str, name: str) -> bool:
    return work in works and name in works[work].figures


def goals() -> Iterator[Goal]:
    """Yield all goals, in the order of the table."""
    yield from _streams()
    yield from _many()
    yield from _calls()
    for ours in (LANGCHAIN, LLAMA_INDEX):
        yield Goal("import", ours, 100)
        yield Goal("import: SDK", ours, 0)
        yield Goal("one more instance", ours, 1)
        yield Goal("one more instance: memory", ours, 20)
        yield Goal("one more instance: sockets", ours, 0)
        yield Goal("one more instance: SSL contexts", ours, 0)
    for work in _LINEAR:
        for ours in (LANGCHAIN, LLAMA_INDEX):
            yield Goal(f"{work}: linear", ours, 1.3)


_LINEAR = ("text chunk", "message in a history", "tool at hand", "one more instance")


def _streams() -> Iterator[Goal]:
    langchain, llama_index = ("ChatOpenAI",), ("OpenAILike",)
    yield Goal("text chunk", LANGCHAIN, 0.20, langchain)
    yield Goal("text chunk", LANGCHAIN, 0.27, (_SDK,))
    yield Goal("text chunk", LANGCHAIN, 1.3, (_HTTP, "LangChain's floor"))
    yield Goal("text chunk", LLAMA_INDEX, 0.22, llama_index)
    yield Goal("text chunk", LLAMA_INDEX, 0.29, (_SDK,))
    yield Goal("text chunk, async", LANGCHAIN, 0.12, langchain)
    yield Goal("text chunk, async", LLAMA_INDEX, 0.15, llama_index)
    yield Goal("tool-call piece", LANGCHAIN, 0.20, langchain)
    yield Goal("tool-call piece: linear", LANGCHAIN, 1.3)
    for reader in ("", ", read by an agent"):
        yield Goal("tool-call piece", LLAMA_INDEX + reader, 0.10, (f"OpenAILike{reader}",))
        yield Goal("tool-call piece: linear", LLAMA_INDEX + reader, 1.3)
    for ours in (LANGCHAIN, LLAMA_INDEX):
        yield Goal("reasoning chunk", ours, 1.2, (("text chunk", ours),))


def _many() -> Iterator[Goal]:
    yield Goal("many at once", LANGCHAIN, 0.15, ("ChatOpenAI",))
    yield Goal("many at once: memory", LANGCHAIN, 0.5, ("ChatOpenAI",))
    yield Goal("many at once", LLAMA_INDEX, 0.20, ("OpenAILike",))
    yield Goal("many at once: memory", LLAMA_INDEX, 0.7, ("OpenAILike",))
    for ours in (LANGCHAIN, LLAMA_INDEX):
        yield Goal("many at once", ours, 1.3, (("few at once", ours),))
        yield Goal("most at once", ours, 1.3, (("few at once", ours),))


def _calls() -> Iterator[Goal]:
    for ours, peer, limits in (
        (LANGCHAIN, "ChatOpenAI", (0.65, 0.08, 0.55, 0.6)),
        (LLAMA_INDEX, "OpenAILike", (0.65, 0.08, 0.20, 0.6)),
    ):
        short, history, tools, first = limits
        yield Goal("short call", ours, short, (peer,))
        yield Goal("short call, async", ours, short, (peer,))
        yield Goal("call with 200 messages", ours, history, (peer,))
        yield Goal("call with 20 tools", ours, tools, (peer,))
        yield Goal("first token", ours, first, (peer,))
