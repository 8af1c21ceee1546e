"""Prompt cache: tokens of a request that are read and written, counted as Anthropic counts them.

Knows marks (`cache_control`), prefixes of a prompt and their times to live. Knows no price and no
answer. Source: the gateway's page on prompt caching, and Anthropic's.
"""

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from onerouter_simulator import catalog
from onerouter_simulator.conversation import JSON
from onerouter_simulator.counting import (
    CHARACTERS_PER_TOKEN,
    NO_CACHE,
    TOKENS_PER_MEDIUM,
    TOKENS_PER_MESSAGE,
    CacheUse,
)
from onerouter_simulator.scripts import compact_json

MIN_TOKENS = 1024  # a shorter prompt up to a mark is not cached
LOOKBACK = 20  # blocks, the marked one included, at which a mark looks for an entry
SECONDS = {None: 300.0, "5m": 300.0, "1h": 3600.0}
SYSTEM_ROLES = ("system", "developer")


def has_prompt_cache(model: str) -> bool:
    """Whether a model caches marked prompts: Anthropic's, and `simulated/cache`."""
    return model.startswith("anthropic/") or "claude" in model or model == catalog.CACHING_MODEL


class Block(NamedTuple):
    """A tool, or a part of a message, as a place in the prompt."""

    key: bytes
    """Hash of the prompt up to and including the block."""

    tokens: int
    """Tokens of the prompt up to and including the block."""

    seconds: float | None
    """Time to live of its mark. None: it has no mark."""


@dataclass
class Entry:
    """A prefix of a prompt in the cache; a read starts its time to live again."""

    seconds: float
    expires: float


class PromptCache:
    """Thread-safe cache of marked prompts, with a clock that can be moved forward."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[bytes, Entry] = {}
        self._advanced = 0.0

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self._lock:
            self._advanced += seconds

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            self._entries.clear()

    def use(self, request: JSON, model: str) -> CacheUse:
        """Read and write the cache for a request; return the tokens that were read and written."""
        if not has_prompt_cache(model):
            return NO_CACHE
        blocks = list(prompt_blocks(request, model))
        marked = [n for n, block in enumerate(blocks) if is_cacheable(block)]
        with self._lock:
            now = time.monotonic() + self._advanced
            self._entries = {key: e for key, e in self._entries.items() if e.expires > now}
            found = self.read(blocks, marked, now)
            new = [blocks[n] for n in marked if n > found]
            return self.write(new, blocks[found].tokens if found >= 0 else 0, now)

    def read(self, blocks: list[Block], marked: list[int], now: float) -> int:
        """Return the index of the longest prefix in the cache, else -1; extend its life."""
        searched = {n for mark in marked for n in range(max(0, mark + 1 - LOOKBACK), mark + 1)}
        found = [n for n in searched if blocks[n].key in self._entries]
        for n in found:
            entry = self._entries[blocks[n].key]
            entry.expires = now + entry.seconds
        return max(found, default=-1)

    def write(self, blocks: list[Block], read: int, now: float) -> CacheUse:
        """Add entries for marked blocks behind the tokens that were read."""
        written, start = {SECONDS["5m"]: 0, SECONDS["1h"]: 0}, read
        for block in blocks:
            seconds = block.seconds or 0.0
            self._entries[block.key] = Entry(seconds, now + seconds)
            written[seconds] += block.tokens - start
            start = block.tokens
        return CacheUse(read, *written.values())


def is_cacheable(block: Block) -> bool:
    """Whether a block has a mark, and enough tokens up to it."""
    return block.seconds is not None and block.tokens >= MIN_TOKENS


def prompt_blocks(request: JSON, model: str) -> Iterator[Block]:
    """Yield the blocks of a prompt in Anthropic's order: tools, system messages, other messages.

    A model has its own cache. Content as a string is the same as content with one text part.
    """
    digest, tokens = hashlib.sha256(model.encode()), 0
    for text, count, mark in rendered_blocks(request):
        digest.update(f"{len(text)}:{text}".encode())
        tokens += count
        seconds = None if mark is None else SECONDS[mark.get("ttl")]
        yield Block(digest.copy().digest(), tokens, seconds)


def rendered_blocks(request: JSON) -> Iterator[tuple[str, int, JSON | None]]:
    """Yield text, tokens and mark of each block.

    Tokens are rounded down, so that their sum is no more than the prompt tokens.
    """
    for tool in request.get("tools", ()):
        text, mark = without_mark(tool)
        yield text, len(text) // CHARACTERS_PER_TOKEN, mark
    for message in sorted(request["messages"], key=lambda sent: sent["role"] not in SYSTEM_ROLES):
        yield from message_blocks(message)


def message_blocks(message: JSON) -> Iterator[tuple[str, int, JSON | None]]:
    """Yield the blocks of a message; the first has the role, the tool calls and the other keys."""
    content = message.get("content") or ""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    head = compact_json({key: value for key, value in message.items() if key != "content"})
    calls = compact_json(message.get("tool_calls", ""))
    tokens = TOKENS_PER_MESSAGE + len(calls) // CHARACTERS_PER_TOKEN
    for part in parts:
        text, mark = without_mark(part)
        yield head + text, tokens + part_tokens(part), mark
        head, tokens = "", 0


def without_mark(body: JSON) -> tuple[str, JSON | None]:
    """Return a tool or a part as text without its mark, and the mark."""
    return compact_json({k: v for k, v in body.items() if k != "cache_control"}), body.get(
        "cache_control"
    )


def part_tokens(part: JSON) -> int:
    """Return the tokens of a part."""
    if part["type"] in {"text", "refusal"}:
        return len(part.get("text", "")) // CHARACTERS_PER_TOKEN
    return TOKENS_PER_MEDIUM
