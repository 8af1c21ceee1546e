"""What was measured, as JSON, as text and as Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.cases import Scale
from benchmarks.measurement import Figure, Work, Works
from benchmarks.thresholds import Goal, goals

HERE = Path(__file__).parent
RESULTS, REPORT = HERE / "results", HERE / "RESULTS.md"
BY_HAND = "## What was tried and did not help"

_PACKAGES = (
    *("openai", "httpx", "httpx2", "aiohttp", "pydantic", "langchain-core", "langchain-openai"),
    *("langchain-openrouter", "llama-index-core", "llama-index-llms-openai-like"),
)


@dataclass(frozen=True)
class Run:
    """One run: where, how much, and what came out."""

    machine: dict[str, str]
    scale: dict[str, Any]
    works: Works

    @classmethod
    def now(cls, scale: Scale, works: Works) -> Run:
        """Return the run that just ended."""
        return cls(_machine(), asdict(scale), works)

    @classmethod
    def read(cls, path: Path) -> Run:
        """Return a run that was kept."""
        kept = json.loads(path.read_text("utf-8"))
        works = {
            title: Work(work["unit"], {n: Figure(*f) for n, f in work["figures"].items()})
            for title, work in kept.pop("works").items()
        }
        return cls(**kept, works=works)

    @property
    def name(self) -> str:
        """Return what the environments differ in."""
        return "openai " + self.machine["openai"].partition(".")[0]

    def keep(self) -> None:
        """Write the run down."""
        RESULTS.mkdir(exist_ok=True)
        works = {title: work._asdict() for title, work in self.works.items()}
        kept = {"machine": self.machine, "scale": self.scale, "works": works}
        path = RESULTS / f"{self.name.replace(' ', '-')}.json"
        path.write_text(json.dumps(_rounded(kept), indent=1) + "\n", "utf-8")


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {key: _rounded(one) for key, one in value.items()}
        case list() | tuple():
            return [_rounded(one) for one in value]
    return value


def _machine() -> dict[str, str]:
    said = {"python": platform.python_version(), "system": platform.system()}
    said |= {"cores": str(os.cpu_count()), "processor": _processor()}
    installed = {one.name: one.version for one in distributions()}
    return said | {name: installed[name] for name in _PACKAGES if name in installed}


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text("utf-8").splitlines() if told.exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def with_peers_of(run: Run, other: Run) -> Run:
    """Return a run whose missing targets are another's: the peers are on one environment only."""
    works = {
        title: Work(work.unit, {**_figures(other, title), **work.figures})
        for title, work in run.works.items()
    }
    return Run(run.machine, run.scale, works)


def _figures(run: Run, title: str) -> dict[str, Figure]:
    return run.works[title].figures if title in run.works else {}


# --- text ---


def printed(run: Run) -> str:
    """Return what the command prints."""
    tables = [_padded(_table(run, title)) for title in run.works]
    return "\n\n".join([*tables, _padded(_verdicts([run]))])


def write() -> None:
    """Write the report, and the picture where that can be drawn, from the runs that were kept."""
    runs = [Run.read(path) for path in sorted(RESULTS.glob("*.json"))]
    if runs[1:]:
        runs = [runs[0], *(with_peers_of(run, runs[0]) for run in runs[1:])]
    old = REPORT.read_text("utf-8") if REPORT.exists() else ""
    by_hand = BY_HAND + (old.partition(BY_HAND)[2] or "\n")
    REPORT.write_text("\n".join([*_document(runs), by_hand]), "utf-8")
    if find_spec("matplotlib"):
        from benchmarks import chart  # noqa: PLC0415 -- not on every environment

        chart.draw(runs[0].works)


def _document(runs: list[Run]) -> Iterator[str]:
    yield _HEAD
    yield from ("## Goals", "", *_markdown(_verdicts(runs)), "", _NOTE, "")
    for run in runs:
        yield f"## Figures, {run.name}\n"
        for title in run.works:
            yield from (*_markdown(_table(run, title)), "")
    yield "## Where it was measured\n"
    for run in runs:
        facts = {**run.machine, **run.scale}
        yield f"* {run.name}: " + ", ".join(f"{name} {fact}" for name, fact in facts.items())
    yield ""


_HEAD = """\
# Results

Written by `make bench`, which measures all of it again. CPU time is the client process's alone; the
server has a process of its own. Targets take turns (A B C, A B C); a figure is the median of the
rounds, and `least` the least of them. A floor is a model class of the framework that yields what
is ready and does nothing else.

![What each work costs](../docs/images/performance.png)
"""
_NOTE = """\
The peers hold the SDK below its third major version: beside openai 3 their figures are those of the
run on openai 2, on the same machine, minutes before. Linear is the slope of the last step over that
of the first: 1 is linear, 4 would be a square. Unavoidable is what plain HTTP and JSON and the
framework's floor take together: a goal below it cannot be reached by a class of that framework."""


Row = list[str]


def _verdicts(runs: Sequence[Run]) -> list[Row]:
    head = ["work", "class", "goal", *(run.name for run in runs), "unavoidable"]
    return [head, *(_verdict(goal, runs) for goal in goals())]


def _verdict(goal: Goal, runs: Sequence[Run]) -> Row:
    unit = next((run.works[goal.work].unit for run in runs if goal.work in run.works), "")
    wanted = f"at most {goal.limit:g} " + (f"x {goal.against()}" if goal.others else unit)
    least = next((share for run in runs if (share := goal.unavoidable(run.works))), None)
    met = (_met(goal, run) for run in runs)
    return [goal.work, goal.ours, wanted.strip(), *met, "" if least is None else f"{least:.3g}"]


def _met(goal: Goal, run: Run) -> str:
    reached = goal.reached(run.works)
    if reached is None:
        return "not measured"
    return f"{reached:.3g}" + ("" if reached <= goal.limit else " **not met**")


def _table(run: Run, title: str) -> list[Row]:
    """Return a work's figures and what they are times the others'."""
    work = run.works[title]
    heads = {
        "x peer": ("ChatOpenAI", "OpenAILike"),
        "x SDK": ("plain SDK",) * 2,
        "x HTTP + JSON": ("plain HTTP + JSON",) * 2,
        "x floor": ("LangChain's floor", "LlamaIndex's floor"),
    }
    shown = {head: names for head, names in heads.items() if set(names) & work.figures.keys()}
    rows = [[f"{title} ({work.unit})" if work.unit else title, "median", "least", *shown]]
    for name, figure in work.figures.items():
        ratios = (_ratio(work.figures, name, _of(name, *names)) for names in shown.values())
        rows.append([name, f"{figure.median:.3g}", f"{figure.least:.3g}", *ratios])
    return rows


def _of(name: str, langchain: str, llama_index: str) -> str:
    """Return with whom a target is compared; an agent's reading with the same of the peer's."""
    on_llama_index = name.startswith(("OneRouterLLM", "OpenAILike", "LlamaIndex"))
    whom = llama_index if on_llama_index else langchain
    read = name.endswith("read by an agent") and whom == "OpenAILike"
    return f"{whom}, read by an agent" if read else whom


def _ratio(figures: dict[str, Figure], name: str, whom: str) -> str:
    if whom not in figures or not figures[whom].median:
        return ""
    return f"{figures[name].median / figures[whom].median:.2f}"


def _markdown(rows: list[Row]) -> Iterator[str]:
    head, *rest = rows
    for row in (head, ["---"] * len(head), *rest):
        yield "| " + " | ".join(row) + " |"


def _padded(rows: list[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
