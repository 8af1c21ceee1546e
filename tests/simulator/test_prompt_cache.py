"""Prompt cache: what is read and written, for how long, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_simulator import Simulator
from onerouter_simulator.prompt_cache import has_prompt_cache
from tests.simulator.conftest import IMAGE_PART, MULTIPLY, WEATHER, Complete, user_message

MODEL = "simulated/cache"
LONG = "x" * 4096  # 1,024 tokens
HALF = "y" * 2048


def text(value: str, ttl: str | None = "") -> Any:
    """Return a text part, with a mark unless `ttl` is empty."""
    mark = {"cache_control": {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})}
    return {"type": "text", "text": value} | ({} if ttl == "" else mark)


def message(role: str, *parts: Any) -> Any:
    """Return a message."""
    return {"role": role, "content": list(parts)}


def cache_counts(complete: Complete, *messages: Any, **body: Any) -> tuple[int, int]:
    """Return the tokens that a request reads and writes."""
    details = complete(list(messages), **{"model": MODEL, **body})["usage"]["prompt_tokens_details"]
    return details["cached_tokens"], details["cache_write_tokens"]


MARKED = message("user", text(LONG, None))


def test_the_first_request_writes_and_the_next_reads(complete: Complete) -> None:
    """The prefix is that up to the mark; what follows it may change."""
    first = cache_counts(complete, MARKED, message("user", text("one")))
    assert first == (0, 1028)
    assert cache_counts(complete, MARKED, message("user", text("two"))) == (1028, 0)
    assert cache_counts(complete, message("user", text(LONG))) == (0, 0)


def test_a_longer_prefix_writes_the_rest(complete: Complete) -> None:
    """Read is what the last request wrote, written what was added."""
    history = [MARKED, {"role": "assistant", "content": HALF}, message("user", text(HALF, None))]
    cache_counts(complete, *history[:1])
    assert cache_counts(complete, *history) == (1028, 1032)
    assert cache_counts(complete, *history) == (2060, 0)


def test_content_as_a_string_is_the_same_as_one_text(complete: Complete) -> None:
    """A mark that moves on leaves the prefix as it is."""
    cache_counts(complete, MARKED)
    string = {"role": "user", "content": LONG}
    assert cache_counts(complete, string, message("user", text("!", None))) == (1028, 4)


@pytest.mark.parametrize("blocks", [19, 20])
def test_a_mark_finds_entries_up_to_20_blocks_before_it(complete: Complete, blocks: int) -> None:
    """An entry farther away is not found."""
    cache_counts(complete, MARKED)
    later = [*[text("z")] * (blocks - 1), text("z", None)]
    read, _ = cache_counts(complete, message("user", text(LONG)), message("user", *later))
    assert read == (1028 if blocks == 19 else 0)


@pytest.mark.parametrize(
    ("length", "written"), [(4 * 1019, 0), (4 * 1020, 1024)], ids=["1,023", "1,024"]
)
def test_less_than_1024_tokens_are_not_cached(
    complete: Complete, length: int, written: int
) -> None:
    """Four tokens are those of the message itself."""
    for expected in ((0, written), (written, 0)):
        assert cache_counts(complete, message("user", text("x" * length, None))) == expected


SYSTEM = {"role": "system", "content": "Be short."}
BASE = {"model": MODEL, "messages": [MARKED, SYSTEM], "tools": [MULTIPLY]}
CHANGED: dict[str, dict[str, Any]] = {
    "tool": {"tools": [WEATHER]},
    "second tool": {"tools": [MULTIPLY, WEATHER]},
    "system": {"messages": [MARKED, SYSTEM | {"content": "Be long."}]},
    "role": {"messages": [MARKED, SYSTEM | {"role": "developer"}]},
    "text": {"messages": [message("user", text("a" + LONG, None)), SYSTEM]},
    "model": {"model": "anthropic/claude-sonnet-4.5"},
}


@pytest.mark.parametrize("changed", CHANGED.values(), ids=CHANGED)
def test_a_change_before_the_mark_reads_nothing(complete: Complete, changed: Any) -> None:
    """Tools come first, then system messages, wherever they stand; each model has its own cache."""

    def counts(**body: Any) -> tuple[int, int]:
        return cache_counts(complete, *body.pop("messages"), **body)

    _, written = counts(**BASE)
    assert counts(**BASE) == (written, 0)
    read, rewritten = counts(**BASE | changed)
    assert (read, rewritten > 1024) == (0, True)


def test_media_and_calls_belong_to_the_prefix(complete: Complete) -> None:
    """An image has 85 tokens; other arguments of a call are another prefix."""

    def history(arguments: str) -> list[Any]:
        function = {"name": "multiply", "arguments": arguments}
        call = {"id": "c1", "type": "function", "function": function}
        return [
            user_message(LONG, IMAGE_PART),
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": [text("84", None)]},
        ]

    _, written = cache_counts(complete, *history('{"a":1}'))
    assert written > 1024 + 85
    assert cache_counts(complete, *history('{"a":1}')) == (written, 0)
    assert cache_counts(complete, *history('{"a":2}')) == (0, written)


def test_a_tool_can_have_a_mark(complete: Complete) -> None:
    """Its own prefix is that of the tools before it."""
    tool = {"type": "function", "function": {"name": "f", "description": LONG}}
    marked = tool | {"cache_control": {"type": "ephemeral"}}
    read, written = cache_counts(complete, message("user", text("a")), tools=[marked])
    assert (read, written > 1024) == (0, True)
    assert cache_counts(complete, message("user", text("b")), tools=[marked]) == (written, 0)


# --- time to live and costs ---


@pytest.mark.parametrize(("ttl", "seconds"), [(None, 300), ("5m", 300), ("1h", 3600)])
def test_an_entry_lives_after_its_last_use(
    complete: Complete, sim: Simulator, ttl: str | None, seconds: int
) -> None:
    """A read starts the time again; after it, the prompt is written again."""
    marked = message("user", text(LONG, ttl))
    cache_counts(complete, marked)
    for _ in range(2):
        sim.advance(seconds * 0.9)
        assert cache_counts(complete, marked) == (1028, 0)
    sim.advance(seconds)
    assert cache_counts(complete, marked) == (0, 1028)


def test_clear_empties_the_cache(complete: Complete, sim: Simulator) -> None:
    """A test begins without cached prompts."""
    cache_counts(complete, MARKED)
    sim.clear()
    assert cache_counts(complete, MARKED) == (0, 1028)


@pytest.mark.parametrize(
    ("parts", "read", "five", "hour"),
    [
        ([text(LONG, "5m")], 0, 1028, 0),
        ([text(LONG, "1h")], 0, 0, 1028),
        ([text(LONG, "1h"), text(HALF, "5m")], 0, 512, 1028),
    ],
)
def test_the_cost_of_reads_and_writes(
    complete: Complete, parts: Any, read: int, five: int, hour: int
) -> None:
    """Writes cost 1.25 or 2 of the price of the prompt (3 USD a million), reads 0.1."""
    price = 3 / 1_000_000
    total = read + five + hour
    for reads, writes in (((0, (five, hour))), (total, (0, 0))):
        reply = complete([message("user", *parts, text("?"))], model=MODEL)
        details = reply["cost_details"]
        uncached = reply["usage"]["prompt_tokens"] - total
        assert details["prompt_cost"] == pytest.approx(uncached * price)
        assert details["prompt_cache_read_cost"] == pytest.approx(reads * 0.1 * price)
        assert details["prompt_cache_write_5_min"] == pytest.approx(writes[0] * 1.25 * price)
        assert details["prompt_cache_write_1_h"] == pytest.approx(writes[1] * 2 * price)
        parts_of_write = details["prompt_cache_write_5_min"] + details["prompt_cache_write_1_h"]
        assert details["prompt_cache_write_cost"] == pytest.approx(parts_of_write)
        names = ("prompt_cost", "completion_cost", "prompt_cache_read_cost")
        cost = sum(details[name] for name in names) + parts_of_write
        assert reply["cost"] == pytest.approx(cost, abs=1e-6)


def test_a_stream_counts_the_same(complete: Complete) -> None:
    """Usage is in its last chunk."""
    body = {"model": MODEL, "stream": True, "stream_options": {"include_usage": True}}
    counts = [complete([MARKED], **body)[-1]["usage"]["prompt_tokens_details"] for _ in range(2)]
    assert [count["cached_tokens"] for count in counts] == [0, 1028]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        *[(name, True) for name in (MODEL, "anthropic/x", "claude-3-5-sonnet@20240620")],
        *[(name, False) for name in ("simulated/echo", "openai/gpt-5", "a/b")],
    ],
)
def test_models_that_cache_marked_prompts(complete: Complete, model: str, expected: bool) -> None:
    """Other models take marks, and ignore them."""
    assert has_prompt_cache(model) is expected
    assert cache_counts(complete, MARKED, model=model) == (0, 1028 * expected)
