"""Token counts under the names of all gateways, decoded to a Usage.

A count that no gateway's name gives is None, never 0: it is unknown.
"""

from __future__ import annotations

from typing import Any

from onerouter_core.types import Json, Usage
from onerouter_core.wire.coerce import as_count, as_mapping

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
    inputs = _details(usage, "prompt_tokens_details", "input_tokens_details")
    outputs = _details(usage, "completion_tokens_details", "output_tokens_details")
    output_tokens = _first(usage, "completion_tokens", "output_tokens")
    cached = _known(_first(inputs, *_CACHE_READ_DETAILS), _first(usage, *_CACHE_READ))
    written = _known(_first(inputs, *_CACHE_WRITE_DETAILS), _first(usage, *_CACHE_WRITE))
    input_tokens = _input_tokens(usage, output_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=_first(usage, "total_tokens") or _sum(input_tokens, output_tokens),
        cached_tokens=cached,
        cache_write_tokens=written,
        input_audio_tokens=_first(inputs, "audio_tokens"),
        input_image_tokens=_first(inputs, "image_tokens"),
        input_video_tokens=_first(inputs, "video_tokens"),
        reasoning_tokens=_known(
            _first(outputs, "reasoning_tokens"), _first(usage, "reasoning_tokens")
        ),
        output_audio_tokens=_first(outputs, "audio_tokens"),
        output_image_tokens=_first(outputs, "image_tokens"),
        raw=usage,
    )


def _details(usage: Json, *keys: str) -> dict[str, Any]:
    """Return the details of a total, under any of its names."""
    found = [as_mapping(usage.get(key)) for key in reversed(keys)]
    return {name: count for each in found for name, count in each.items() if count is not None}


def _first(counts: Json, *names: str) -> int | None:
    """Return the count under the first name that has one, but 0 only if no other has more.

    new-api sends OpenAI's names with the counts, and 0 under Anthropic's.
    """
    return _known(*[as_count(counts[name]) for name in names if name in counts])


def _known(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None and count >= 0]
    return next(filter(None, known), known[0] if known else None)


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def _input_tokens(usage: Json, output_tokens: int | None) -> int | None:
    """Return the tokens of the prompt, cached ones included.

    Anthropic's `input_tokens` are without those read from the cache and written to it
    (platform.claude.com, Prompt caching); the total tells whether a gateway has added them.
    """
    prompt, uncached = _first(usage, "prompt_tokens"), _first(usage, "input_tokens")
    if prompt or uncached is None:
        return prompt if prompt is not None else uncached
    total = _first(usage, "total_tokens")
    if total and total == _sum(uncached, output_tokens):
        return uncached
    return uncached + sum(_first(usage, name) or 0 for name in (_ANTHROPIC_READ, _ANTHROPIC_WRITE))
