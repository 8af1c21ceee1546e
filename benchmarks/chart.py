"""Charts of the main metrics: a bar for each target, and a line for each no-op model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from benchmarks.measurement import Metric, Metrics

_IMAGES = Path(__file__).parents[1] / "docs" / "images"
CHART = _IMAGES / "performance.png"
FIRST_PANEL = _IMAGES / "performance-chunk.png"  # the first of these captions alone

_CAPTIONS = {
    "text chunk": "one more streamed text chunk",
    "text chunk, async": "the same, async",
    "text chunk, paced, async": "the same, one packet a chunk",
    "reasoning chunk": "one more reasoning chunk",
    "tool-call delta": "one more tool-call delta",
    "first token": "first byte to first text (wall)",
    "short call": "a short call",
    "call with 200 messages": "a call with 200 messages",
    "call with 20 tools": "a call with 20 tools",
    "medium concurrency": "50 chunks among 500 streams",
    "medium concurrency: memory": "memory of 500 streams",
    "import": "import after the framework",
}
_COLUMNS = 3
_OURS, _PEERS, _OTHERS = "#1a7f5a", "#b9504a", "#a9b2bb"
_NO_OP_MODELS = {"LangChain no-op model": "#2456a6", "LlamaIndex no-op model": "#8b5bb5"}


def draw(metrics: Metrics) -> None:
    """Draw the metrics that were measured: all in one chart, and the first in one of its own."""
    captions = {title: caption for title, caption in _CAPTIONS.items() if title in metrics}
    _draw_panels(metrics, captions, CHART, _COLUMNS)
    _draw_panels(metrics, dict(list(captions.items())[:1]), FIRST_PANEL, 1)


def _draw_panels(metrics: Metrics, captions: dict[str, str], path: Path, columns: int) -> None:
    """Draw a panel for each caption, and save the chart."""
    rows = -(-len(captions) // columns)
    width = 12.8 if columns > 1 else 7.2
    figure = Figure(figsize=(width, 2.9 * rows + 0.5), layout="constrained")
    all_axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (title, caption) in zip(all_axes, captions.items(), strict=False):
        _draw_metric(axes, caption, metrics[title])
    for axes in all_axes[len(captions) :]:
        axes.set_axis_off()
    figure.suptitle("CPU time of the client, log scale: less is better")
    lines = [Line2D([], [], color=color, linestyle=":") for color in _NO_OP_MODELS.values()]
    figure.legend(
        lines, list(_NO_OP_MODELS), loc="outside lower center", ncols=len(lines), fontsize=9
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _draw_metric(axes: Any, caption: str, metric: Metric) -> None:
    """Draw the bars and lines of one metric."""
    medians = {name: measurement.median for name, measurement in metric.by_target.items()}
    bars = {n: value for n, value in medians.items() if n not in _NO_OP_MODELS and value > 0}
    names = list(bars)[::-1]
    axes.barh(names, [bars[name] for name in names], color=[_bar_color(name) for name in names])
    for name in names:
        axes.annotate(
            f" {bars[name]:.3g}", (bars[name], name), va="center", fontsize=8, color="#333333"
        )
    for name, color in _NO_OP_MODELS.items():
        if name in medians:
            axes.axvline(medians[name], color=color, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlim(min(bars.values()) / 2, max(bars.values()) * 4)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{caption} ({metric.unit})", fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _bar_color(name: str) -> str:
    if name.startswith(("ChatOneRouter", "OneRouterLLM")):
        return _OURS
    return _PEERS if name.startswith(("ChatOpen", "OpenAILike")) else _OTHERS
