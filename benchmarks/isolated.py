"""The works whose targets each have processes of their own, begun in rounds as well."""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.cases import Bench
from benchmarks.measurement import Figure, Work, Works
from benchmarks.subprocess_cases import SPARED

Said = dict[str, list[dict[str, float]]]
"""What each target's processes measured."""

_LANGCHAIN = "langchain_core.language_models.chat_models"
_LLAMA_INDEX = "llama_index.core.llms"
_IMPORTS = {
    "ChatOneRouter": (_LANGCHAIN, "langchain_onerouter"),
    "ChatOpenAI": (_LANGCHAIN, "langchain_openai"),
    "ChatOpenRouter": (_LANGCHAIN, "langchain_openrouter"),
    "OneRouterLLM": (_LLAMA_INDEX, "llama_index_onerouter"),
    "OpenAILike": (_LLAMA_INDEX, "llama_index.llms.openai_like"),
}
_OURS = ("onerouter_core", "langchain_onerouter", "llama_index_onerouter")
_FEW_AND_MANY = (
    "plain SDK",
    "plain SDK, aiohttp",
    "ChatOneRouter, httpx",
    "ChatOpenAI",
    "OpenAILike",
)
_CLASSES = ("ChatOneRouter", "ChatOpenAI", "OneRouterLLM", "OpenAILike")
_OURS_TOGETHER = ("ChatOneRouter", "OneRouterLLM")


def imports(bench: Bench) -> Works:
    """Import a package after its framework; compiled, as what pip installs is."""
    for package in _OURS:
        compileall.compile_dir(Path(__file__).parents[1] / package, quiet=1)
    there = {n: known for n, known in _IMPORTS.items() if n in bench.names(slowest=True)}
    said = _run("imported", there, bench.scale.processes)
    works = {"import": _work("ms", "package, ms", said), "import: SDK": _work("", "SDK", said)}
    for name, framework in (
        ("LangChain's floor", "ChatOneRouter"),
        ("LlamaIndex's floor", "OneRouterLLM"),
    ):
        rounds = (one["framework, ms"] for one in said[framework])
        works["import"].figures[name] = Figure.of(rounds)
    return works


def instances(bench: Bench) -> Works:
    """Make one more instance, and use it once."""
    sizes = bench.scale.instances
    there = {name: (*_where(bench, name), *sizes) for name in _CLASSES if name in bench.targets}
    said = _run("instances", there, bench.scale.processes)
    return {
        "one more instance": _work("ms", "ms", said),
        "one more instance: memory": _work("kB", "kB", said),
        "one more instance: sockets": _work("", "sockets", said),
        "one more instance: SSL contexts": _work("", "contexts", said),
        "one more instance: linear": _work("x", "growth", said),
        "one more instance, its first call": _work("ms", "first call, ms", said),
        "one more instance, used: sockets": _work("", "sockets, used", said),
    }


def together(bench: Bench) -> Works:
    """Read many answers at once; the most of all only where they do not take minutes."""
    few, many, most = bench.scale.together
    names = bench.names("aiohttp", "httpx")
    arguments = {
        name: (*_where(bench, name), few, many, *(() if name in _FEW_AND_MANY else (most,)))
        for name in names
        if bench.scale.thorough or name in _CLASSES
    }
    arguments |= {
        name + SPARED: (*arguments[name][:2], name + SPARED, *arguments[name][3:])
        for name in _OURS_TOGETHER
    }
    said = _run("together", arguments, bench.scale.processes)
    return {
        "few at once": _work("ms", f"ms at {few}", said),
        "many at once": _work("ms", f"ms at {many}", said),
        "most at once": _work("ms", f"ms at {most}", said),
        "many at once: memory": _work("MB", f"MB at {many}", said),
        "most at once: memory": _work("MB", f"MB at {most}", said),
    }


def _where(bench: Bench, name: str) -> tuple[str, str, str]:
    """Return what a process needs to find a target."""
    return bench.root, type(bench.targets[name]).__module__, name


def _run(work: str, arguments: Mapping[str, Iterable[object]], rounds: int) -> Said:
    """Run each target's process: A B C, A B C."""
    said: Said = {name: [] for name in arguments}
    for _ in range(rounds):
        for name, these in arguments.items():
            command = [sys.executable, "-m", "benchmarks.subprocess_cases", work, *map(str, these)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 -- ourselves
            said[name].append(json.loads(done.stdout))
    return said


def _work(unit: str, key: str, said: Said) -> Work:
    figures = {
        name: Figure.of(one[key] for one in rounds)
        for name, rounds in said.items()
        if key in rounds[0]
    }
    return Work(unit, figures)
