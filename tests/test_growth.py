"""Readers of text from outside are linear: steps are counted, not seconds.

Half as much text again must cost half as many steps again, also for the text that is worst for a
reader or a pattern. `python -m benchmarks.growth` prints the times of the same readers.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from types import FrameType, ModuleType
from typing import Any

import pytest

import langchain_onerouter
import llama_index_onerouter
import onerouter_core
from benchmarks.growth import READERS, Reader, read_stream
from tests.regex_steps import steps

# --- steps of Python code ---

LENGTHS = (3000, 6000, 9000)


def opcodes(reader: Reader, length: int) -> int:
    """Return how many operations of the interpreter a reader takes."""
    value, count = reader.make(length), 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        reader(value)
    finally:
        sys.settrace(before)
    return count


def is_linear(first: int, second: int, third: int) -> bool:
    """Return whether the steps of three lengths, one, two and three times a unit, are on a line."""
    return third - second <= 1.2 * (second - first) + 200


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_takes_linear_time(reader: Reader) -> None:
    """The text is the beginning of what the reader looks for, again and again."""
    opcodes(reader, LENGTHS[0])  # imports and caches
    assert is_linear(*(opcodes(reader, length) for length in LENGTHS))


# --- memory that is copied: a step of the interpreter may copy any amount ---

STREAM_LENGTHS = (40_000, 80_000, 120_000)


def bytes_copied(reader: Reader, length: int) -> int:
    """Return how much memory the events of a stream need beyond what is held between them."""
    total = 0

    def measured(chunks: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal total
        for chunk in chunks:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            yield chunk
            total += tracemalloc.get_traced_memory()[1] - before

    chunks = reader.make(length)
    tracemalloc.start()
    try:
        reader(measured(chunks))
    finally:
        tracemalloc.stop()
    return total


@pytest.mark.parametrize(
    "reader",
    [reader for reader in READERS if reader.read is read_stream],
    ids=lambda reader: reader.name,
)
def test_a_stream_copies_what_it_holds_a_few_times_only(reader: Reader) -> None:
    """An event that is added to the text so far does not copy that text."""
    bytes_copied(reader, STREAM_LENGTHS[0])  # imports and caches
    first, second, third = (bytes_copied(reader, length) for length in STREAM_LENGTHS)
    assert is_linear(first, second, third)


# --- steps of patterns ---

WORDS = (
    *("<title>", "invalid_", "token count", "retry in 1", "content", "insufficient", "rate"),
    *("```", "```a", "[1", "[1]", "[", "[ ", "{", "{ ", "\\", "\\ud83d", "\\ude00", '"', '\\"'),
    *("(request id: ", "-1111", "<think>", " ", "a", "1", "_", "-", "NaN", "response format"),
    *("json ", "credit", "data:", "\x00", "\ud83d"),
)
UNIT = 120  # characters: more than any limit of a repetition
PACKAGES = (onerouter_core, langchain_onerouter, llama_index_onerouter)


def modules() -> Iterator[ModuleType]:
    """Yield the modules of the packages."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                yield importlib.import_module(module.name)


def patterns() -> Iterator[Any]:
    """Yield the patterns for text in the modules' variables: compiled, or those of a table."""
    for module in modules():
        for name, value in vars(module).items():
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(pattern := getattr(item, "pattern", None), str):
                    compiled = item if isinstance(item, re.Pattern) else None
                    yield pytest.param(
                        compiled or re.compile(pattern, re.IGNORECASE),
                        id=f"{module.__name__}.{name.strip('_')}: {pattern[:30]!r}",
                    )


def hostile_words(pattern: re.Pattern[str]) -> list[str]:
    """Return the words that a pattern begins to match, so that it looks further."""
    return [w for w in WORDS if steps(pattern, 3 * w) > steps(pattern, "\x01" * 3 * len(w))]


def steps_of_lengths(pattern: re.Pattern[str] | str, word: str, count: int) -> list[int]:
    """Return the steps for a word so many times, and twice and three times so many."""
    return [steps(pattern, n * count * word + "~") for n in (1, 2, 3)]  # "~" ends no word


def growing_words(pattern: re.Pattern[str], words: list[str]) -> list[str]:
    """Return the words whose repetition takes a pattern more than linear time."""
    counts = {word: max(UNIT // len(word), 2) for word in words}
    return [w for w in words if not is_linear(*steps_of_lengths(pattern, w, counts[w]))]


@pytest.mark.parametrize("pattern", list(patterns()))
def test_a_pattern_takes_linear_time(pattern: re.Pattern[str]) -> None:
    """No repetition runs to the end of the text from each place where it may begin."""
    assert growing_words(pattern, hostile_words(pattern)) == []


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        (r"<title>(.*?)</title>", "<title>"),
        (r"invalid_\w*request", "invalid_"),
        (r"token count.*exceeds", "token count"),
        (r"-(\d{4}[\d-]*)$", "-1111"),
        (r"(?:a+)+b", "a"),
    ],
)
def test_other_patterns_do_not(pattern: str, word: str) -> None:
    """The count can fail."""
    count = 3 if "+)+" in pattern else UNIT // len(word)  # the last one doubles with each letter
    assert not is_linear(*steps_of_lengths(pattern, word, count))
