"""One picture of all works: a bar for each target, and a line where the framework's floor is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Sheet
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from benchmarks.measurement import Work, Works

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "performance.png"

_SHOWN = {
    "text chunk": "one more streamed text chunk",
    "text chunk, async": "the same, async",
    "text chunk, paced, async": "the same, one packet a chunk",
    "reasoning chunk": "one more reasoning chunk",
    "tool-call piece": "one more piece of tool arguments",
    "first token": "first byte to first words (wall)",
    "short call": "a short call",
    "call with 200 messages": "a call with 200 messages",
    "call with 20 tools": "a call with 20 tools",
    "many at once": "50 chunks among 500 streams",
    "many at once: memory": "memory of 500 streams",
    "import": "import after the framework",
}
_COLUMNS = 3
_OURS, _PEERS, _OTHERS = "#1a7f5a", "#b9504a", "#a9b2bb"
_LINES = {"LangChain's floor": "#2456a6", "LlamaIndex's floor": "#8b5bb5"}


def draw(works: Works) -> None:
    """Draw the works that were measured, and keep the picture."""
    shown = {title: words for title, words in _SHOWN.items() if title in works}
    rows = -(-len(shown) // _COLUMNS)
    sheet = Sheet(figsize=(12.8, 2.9 * rows + 0.5), layout="constrained")
    places = sheet.subplots(rows, _COLUMNS, squeeze=False).flat
    for place, (title, words) in zip(places, shown.items(), strict=False):
        _bars(place, words, works[title])
    for place in list(places)[len(shown) :]:
        place.set_axis_off()
    sheet.suptitle("CPU time of the client, log scale: less is better")
    lines = [Line2D([], [], color=colour, linestyle=":") for colour in _LINES.values()]
    sheet.legend(lines, list(_LINES), loc="outside lower center", ncols=len(lines), fontsize=9)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    sheet.savefig(PICTURE, dpi=100)


def _bars(place: Any, words: str, work: Work) -> None:
    """Draw a work."""
    bars = {n: f.median for n, f in work.figures.items() if n not in _LINES and f.median > 0}
    names = list(bars)[::-1]
    place.barh(names, [bars[name] for name in names], color=[_colour(name) for name in names])
    for name in names:
        place.annotate(
            f" {bars[name]:.3g}", (bars[name], name), va="center", fontsize=8, color="#333333"
        )
    for floor, colour in _LINES.items():
        if floor in work.figures:
            place.axvline(work.figures[floor].median, color=colour, linestyle=":")
    place.set_xscale("log")
    place.set_xlim(min(bars.values()) / 2, max(bars.values()) * 4)
    place.xaxis.set_minor_formatter(NullFormatter())
    place.set_title(f"{words} ({work.unit})", fontsize=10, loc="left")
    place.tick_params(labelsize=8)
    place.spines[["top", "right"]].set_visible(False)


def _colour(name: str) -> str:
    if name.startswith(("ChatOneRouter", "OneRouterLLM")):
        return _OURS
    return _PEERS if name.startswith(("ChatOpen", "OpenAILike")) else _OTHERS
