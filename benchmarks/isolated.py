"""Benchmark cases that measure each target in processes of its own, in turns as well."""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.cases import Harness
from benchmarks.measurement import Measurement, Metric, Metrics
from benchmarks.subprocess_cases import GC_TUNED

Results = dict[str, list[dict[str, float]]]
"""By target: the values that each of its processes measured."""

_LANGCHAIN = "langchain_core.language_models.chat_models"
_LLAMA_INDEX = "llama_index.core.llms"
_IMPORTS = {
    "ChatOneRouter": (_LANGCHAIN, "langchain_onerouter"),
    "ChatOpenAI": (_LANGCHAIN, "langchain_openai"),
    "ChatOpenRouter": (_LANGCHAIN, "langchain_openrouter"),
    "OneRouterLLM": (_LLAMA_INDEX, "llama_index_onerouter"),
    "OpenAILike": (_LLAMA_INDEX, "llama_index.llms.openai_like"),
}
_OUR_PACKAGES = ("onerouter_core", "langchain_onerouter", "llama_index_onerouter")
_NOT_AT_HIGH_CONCURRENCY = (
    "openai SDK",
    "openai SDK, aiohttp",
    "ChatOneRouter, httpx",
    "ChatOpenAI",
    "OpenAILike",
)
"""Targets that would take minutes."""
_CLASSES = ("ChatOneRouter", "ChatOpenAI", "OneRouterLLM", "OpenAILike")
_OUR_CLASSES = ("ChatOneRouter", "OneRouterLLM")


def imports(harness: Harness) -> Metrics:
    """Import each package after its framework; ours are compiled first, as pip does."""
    for package in _OUR_PACKAGES:
        compileall.compile_dir(Path(__file__).parents[1] / package, quiet=1)
    installed = harness.target_names(include_slowest=True)
    arguments = {name: modules for name, modules in _IMPORTS.items() if name in installed}
    results = _run_processes("import", arguments, harness.config.processes)
    metrics = {
        "import": _metric("ms", "package, ms", results),
        "import: SDK loaded": _metric("", "SDK loaded", results),
    }
    for name, target in (
        ("LangChain no-op model", "ChatOneRouter"),
        ("LlamaIndex no-op model", "OneRouterLLM"),
    ):
        rounds = (values["framework, ms"] for values in results[target])
        metrics["import"].by_target[name] = Measurement.from_rounds(rounds)
    return metrics


def instances(harness: Harness) -> Metrics:
    """Make instances, and one call with each of some of them."""
    counts = harness.config.instance_counts
    arguments = {
        name: (*_target_arguments(harness, name), *counts)
        for name in _CLASSES
        if name in harness.targets
    }
    results = _run_processes("instances", arguments, harness.config.processes)
    return {
        "instance": _metric("ms", "ms", results),
        "instance: memory": _metric("kB", "kB", results),
        "instance: sockets": _metric("", "sockets", results),
        "instance: SSL contexts": _metric("", "SSL contexts", results),
        "instance: linearity": _metric("x", "linearity", results),
        "instance: first call": _metric("ms", "first call, ms", results),
        "instance: sockets after first call": _metric("", "sockets after first call", results),
    }


def concurrent_streams(harness: Harness) -> Metrics:
    """Read many streams at once, at low, medium and high concurrency."""
    low, medium, high = harness.config.concurrent_streams
    arguments = {
        name: (
            *_target_arguments(harness, name),
            *(low, medium),
            *(() if name in _NOT_AT_HIGH_CONCURRENCY else (high,)),
        )
        for name in harness.target_names("aiohttp", "httpx")
        if harness.config.all_targets or name in _CLASSES
    }
    for name in _OUR_CLASSES:
        server_url, module, _, *counts = arguments[name]
        arguments[name + GC_TUNED] = (server_url, module, name + GC_TUNED, *counts)
    results = _run_processes("concurrent_streams", arguments, harness.config.processes)
    return {
        "low concurrency": _metric("ms", f"ms at {low}", results),
        "medium concurrency": _metric("ms", f"ms at {medium}", results),
        "high concurrency": _metric("ms", f"ms at {high}", results),
        "medium concurrency: memory": _metric("MB", f"MB at {medium}", results),
        "high concurrency: memory": _metric("MB", f"MB at {high}", results),
    }


def _target_arguments(harness: Harness, name: str) -> tuple[str, str, str]:
    """Return the arguments from which a process creates a target: URL, module, name."""
    return harness.server_url, type(harness.targets[name]).__module__, name


def _run_processes(case: str, arguments: Mapping[str, Iterable[object]], rounds: int) -> Results:
    """Run one process per target and round, in turns (A B C, A B C), and return their values."""
    results: Results = {name: [] for name in arguments}
    for _ in range(rounds):
        for name, values in arguments.items():
            command = [sys.executable, "-m", "benchmarks.subprocess_cases", case, *map(str, values)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 -- a module of this package
            results[name].append(json.loads(done.stdout))
    return results


def _metric(unit: str, key: str, results: Results) -> Metric:
    """Return one value of the processes as a metric; targets without it are left out."""
    by_target = {
        name: Measurement.from_rounds(values[key] for values in rounds)
        for name, rounds in results.items()
        if key in rounds[0]
    }
    return Metric(unit, by_target)
