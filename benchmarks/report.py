"""Results of the benchmarks: saved as JSON, printed as text, written as Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.cases import Config
from benchmarks.measurement import Measurement, Metric, Metrics
from benchmarks.thresholds import SDK_TRANSPORT, Threshold, thresholds

HERE = Path(__file__).parent
RESULTS, REPORT = HERE / "results", HERE / "RESULTS.md"
HANDWRITTEN = "## Optimizations that were tried"
"""First heading of the part of the report that is written by hand, and kept."""

_PACKAGES = (
    *("openai", "httpx", "httpx2", "aiohttp", "pydantic", "langchain-core", "langchain-openai"),
    *("langchain-openrouter", "llama-index-core", "llama-index-llms-openai-like"),
)


@dataclass(frozen=True)
class Run:
    """One run: the machine and its packages, the configuration, and the metrics."""

    machine: dict[str, str]
    config: dict[str, Any]
    metrics: Metrics

    @classmethod
    def from_metrics(cls, config: Config, metrics: Metrics) -> Run:
        """Return a run that was measured in this environment."""
        return cls(_machine(), asdict(config), metrics)

    @classmethod
    def load(cls, path: Path) -> Run:
        """Load a saved run."""
        saved = json.loads(path.read_text("utf-8"))
        metrics = {
            title: Metric(
                metric["unit"],
                {name: Measurement(*values) for name, values in metric["by_target"].items()},
            )
            for title, metric in saved.pop("metrics").items()
        }
        return cls(**saved, metrics=metrics)

    @property
    def name(self) -> str:
        """Name of the environment: the SDK's major version."""
        return "openai " + self.machine["openai"].partition(".")[0]

    def save(self) -> None:
        """Save the run as JSON, under the name of its environment."""
        RESULTS.mkdir(exist_ok=True)
        metrics = {title: metric._asdict() for title, metric in self.metrics.items()}
        saved = {"machine": self.machine, "config": self.config, "metrics": metrics}
        path = RESULTS / f"{self.name.replace(' ', '-')}.json"
        path.write_text(json.dumps(_round(saved), indent=1) + "\n", "utf-8")


def _round(value: Any) -> Any:
    """Return JSON data with its numbers rounded to four significant digits."""
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {key: _round(item) for key, item in value.items()}
        case list() | tuple():
            return [_round(item) for item in value]
    return value


def _machine() -> dict[str, str]:
    machine = {"python": platform.python_version(), "system": platform.system()}
    machine |= {"cores": str(os.cpu_count()), "processor": _processor()}
    installed = {package.name: package.version for package in distributions()}
    return machine | {name: installed[name] for name in _PACKAGES if name in installed}


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def add_missing_targets(run: Run, source: Run) -> Run:
    """Return a run with the missing targets of another: only one environment has the peers."""
    metrics = {
        title: Metric(metric.unit, {**_by_target(source, title), **metric.by_target})
        for title, metric in run.metrics.items()
    }
    return Run(run.machine, run.config, metrics)


def _by_target(run: Run, title: str) -> dict[str, Measurement]:
    return run.metrics[title].by_target if title in run.metrics else {}


# --- text ---


def to_text(run: Run) -> str:
    """Return the tables of a run as aligned text."""
    tables = [_aligned(_metric_rows(run, title)) for title in run.metrics]
    return "\n\n".join([*tables, _aligned(_threshold_rows([run]))])


def write() -> None:
    """Write the report from the saved runs, and the chart if matplotlib is installed."""
    runs = [Run.load(path) for path in sorted(RESULTS.glob("*.json"))]
    if runs[1:]:
        runs = [runs[0], *(add_missing_targets(run, runs[0]) for run in runs[1:])]
    previous = REPORT.read_text("utf-8") if REPORT.exists() else ""
    handwritten = HANDWRITTEN + (previous.partition(HANDWRITTEN)[2] or "\n")
    REPORT.write_text("\n".join([*_document(runs), handwritten]), "utf-8")
    if find_spec("matplotlib"):
        from benchmarks import chart  # noqa: PLC0415 -- matplotlib is not in every environment

        chart.draw(runs[0].metrics)


def _document(runs: list[Run]) -> Iterator[str]:
    yield _INTRODUCTION
    yield from ("## Thresholds", "", *_markdown(_threshold_rows(runs)), "", _NOTES, "")
    for run in runs:
        yield f"## Measurements, {run.name}\n"
        for title in run.metrics:
            yield from (*_markdown(_metric_rows(run, title)), "")
    yield "## Environment and configuration\n"
    for run in runs:
        settings = {**run.machine, **run.config}
        yield f"* {run.name}: " + ", ".join(f"{key} {value}" for key, value in settings.items())
    yield ""


_INTRODUCTION = """\
# Results

Written by `make bench`, which measures everything again. CPU time is that of the client process
alone; the server runs in a process of its own. Targets take turns (A B C, A B C). Each value is the
median of the rounds; `minimum` is the lowest round. A no-op model is a model class of the framework
that does nothing but yield chunks: its cost is the framework's own. One constructs each chunk, the
usual way; "ready-made chunks" has made them before.

Streams send one HTTP chunk for each event, as ASGI servers and proxies do. In "burst" many events
are in one HTTP chunk; in "paced" an event comes each millisecond, and wakes the client up.

"Text chunk", "reasoning chunk", "history message", "bound tool" and "instance" are the cost of one
more of them; "tool-call delta" is the average over a long call. Low, medium and high concurrency
are the cost of one stream of 50 chunks among 100, 500 and 2,000 open streams.

![CPU time by metric and class](../docs/images/performance.png)
"""
_NOTES = """\
The peers need an openai SDK below version 3: in the column for openai 3 their values are those of
the run on openai 2, on the same machine, minutes before. Linearity is the slope between the last
two sizes divided by the slope between the first two: 1 means linear, 4 means quadratic for sizes
that grow by a factor of 4. The lower bound is the cost of plain HTTP and JSON plus the framework's
no-op model, ready-made chunks where they are measured: no class can meet a threshold below it.
"Over the SDK" is the same with the SDK as transport, as our classes use it (async over aiohttp):
none of it is our code. Where no-op models send no request (paced, first token), the bounds are
those of the transport alone."""


Row = list[str]


def _threshold_rows(runs: Sequence[Run]) -> list[Row]:
    bounds = ["lower bound", "over the SDK"]
    head = ["metric", "class", "threshold", *(run.name for run in runs), *bounds]
    return [head, *(_threshold_row(threshold, runs) for threshold in thresholds())]


def _threshold_row(threshold: Threshold, runs: Sequence[Run]) -> Row:
    title = threshold.metric
    unit = next((run.metrics[title].unit for run in runs if title in run.metrics), "")
    reference = f"x {threshold.describe_references()}" if threshold.references else unit
    limit = f"at most {threshold.limit:g} {reference}".strip()
    values = (_checked_value(threshold, run) for run in runs)
    http = (threshold.lower_bound(run.metrics) for run in runs)
    sdk = (threshold.lower_bound(run.metrics, (SDK_TRANSPORT,)) for run in runs)
    return [title, threshold.target, limit, *values, _first(http), _first(sdk)]


def _first(bounds: Iterable[float | None]) -> str:
    return next((f"{bound:.3g}" for bound in bounds if bound is not None), "")


def _checked_value(threshold: Threshold, run: Run) -> str:
    value = threshold.value(run.metrics)
    if value is None:
        return "not measured"
    return f"{value:.3g}" + (" met" if value <= threshold.limit else " **not met**")


def _metric_rows(run: Run, title: str) -> list[Row]:
    """Return the table of a metric: each target's values, and their ratios to the references."""
    metric = run.metrics[title]
    references = {
        "x peer": ("ChatOpenAI", "OpenAILike"),
        "x SDK": ("openai SDK",) * 2,
        "x HTTP + JSON": ("HTTP + JSON",) * 2,
        "x no-op model": ("LangChain no-op model", "LlamaIndex no-op model"),
    }
    columns = {
        head: names for head, names in references.items() if set(names) & metric.by_target.keys()
    }
    rows = [[f"{title} ({metric.unit})" if metric.unit else title, "median", "minimum", *columns]]
    for name, measurement in metric.by_target.items():
        ratios = (
            _ratio(metric.by_target, name, _reference(name, *names)) for names in columns.values()
        )
        rows.append([name, f"{measurement.median:.3g}", f"{measurement.minimum:.3g}", *ratios])
    return rows


def _reference(name: str, langchain: str, llama_index: str) -> str:
    """Return the reference of a target: of its framework, and with tool calls parsed if it has."""
    on_llama_index = name.startswith(("OneRouterLLM", "OpenAILike", "LlamaIndex"))
    reference = llama_index if on_llama_index else langchain
    is_parsing = name.endswith("tool calls parsed") and reference == "OpenAILike"
    return f"{reference}, tool calls parsed" if is_parsing else reference


def _ratio(by_target: dict[str, Measurement], name: str, reference: str) -> str:
    if reference not in by_target or not by_target[reference].median:
        return ""
    return f"{by_target[name].median / by_target[reference].median:.2f}"


def _markdown(rows: list[Row]) -> Iterator[str]:
    head, *rest = rows
    for row in (head, ["---"] * len(head), *rest):
        yield "| " + " | ".join(row) + " |"


def _aligned(rows: list[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
