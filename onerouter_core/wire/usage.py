"""Token counts under the names of all gateways, decoded to a Usage.

A count that no gateway's name gives is None, never 0: it is unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onerouter_core.types import Json, Usage
from onerouter_core.wire.coerce import MAX_NUMBER, as_count, as_mapping

# Names of details, beside the totals. The order is that of trust, where several have a number.
_ANTHROPIC_READ, _ANTHROPIC_WRITE = "cache_read_input_tokens", "cache_creation_input_tokens"
_CACHE_READ = (
    "prompt_tokens_cache_read",  # OneRouter's API page
    _ANTHROPIC_READ,  # also LiteLLM
    "prompt_cache_hit_tokens",  # DeepSeek (api-docs.deepseek.com, Context Caching)
    "cached_tokens",  # Moonshot (Bike4Mind/bike4mind#1089)
)
_CACHE_WRITE = ("prompt_tokens_cache_write", _ANTHROPIC_WRITE)
# Names within `prompt_tokens_details`: OpenAI and OpenRouter; then LiteLLM, new-api and Alibaba.
_CACHE_READ_DETAILS = ("cached_tokens", "cache_read_tokens", "cache_read_input_tokens")
_CACHE_WRITE_DETAILS = (
    *("cache_write_tokens", "cache_creation_tokens", "cached_creation_tokens"),
    "cache_creation_input_tokens",
)


def decode_usage(usage: Json) -> Usage:
    """Return the token counts; a gateway may send floats, strings or nulls."""
    of_input = _details(usage, "prompt_tokens_details", "input_tokens_details")
    of_output = _details(usage, "completion_tokens_details", "output_tokens_details")
    output_tokens = _count(usage.get("completion_tokens"), usage.get("output_tokens"))
    prompt_tokens = _count(usage.get("prompt_tokens"))
    input_tokens = prompt_tokens or _input_tokens(usage, prompt_tokens, output_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=_count(usage.get("total_tokens")) or _sum(input_tokens, output_tokens),
        cached_tokens=_count(*map(of_input, _CACHE_READ_DETAILS), *map(usage.get, _CACHE_READ)),
        cache_write_tokens=_count(
            *map(of_input, _CACHE_WRITE_DETAILS), *map(usage.get, _CACHE_WRITE)
        ),
        input_audio_tokens=_count(of_input("audio_tokens")),
        input_image_tokens=_count(of_input("image_tokens")),
        input_video_tokens=_count(of_input("video_tokens")),
        reasoning_tokens=_count(of_output("reasoning_tokens"), usage.get("reasoning_tokens")),
        output_audio_tokens=_count(of_output("audio_tokens")),
        output_image_tokens=_count(of_output("image_tokens")),
        raw=usage,
    )


def _details(usage: Json, *keys: str) -> Callable[[str], Any]:
    """Return a function that returns a detail of a total, under any of the total's names."""
    found = [as_mapping(usage.get(key)) for key in reversed(keys) if usage.get(key)]
    return {name: n for each in found for name, n in each.items() if n is not None}.get


def _count(*values: Any) -> int | None:
    """Return the first value that is a count, but 0 only if no other is more.

    new-api sends OpenAI's names with the counts, and 0 under Anthropic's.
    """
    zero = None
    for value in values:
        count = value if type(value) is int or value is None else as_count(value)
        if count and 0 < count < MAX_NUMBER:
            return count
        zero = 0 if count == 0 else zero
    return zero


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def _input_tokens(usage: Json, prompt: int | None, output_tokens: int | None) -> int | None:
    """Return the tokens of a prompt, cached ones included, if they are not under OpenAI's name.

    Anthropic's `input_tokens` are without those read from the cache and written to it
    (platform.claude.com, Prompt caching); the total tells whether a gateway has added them.
    """
    uncached = _count(usage.get("input_tokens"))
    if uncached is None:
        return prompt
    total = _count(usage.get("total_tokens"))
    if total and total == _sum(uncached, output_tokens):
        return uncached
    cached = [_count(usage.get(name)) or 0 for name in (_ANTHROPIC_READ, _ANTHROPIC_WRITE)]
    return uncached + sum(cached)
