"""Quirks 76 to 84: token counts under other names and in other places, and costs.

Each row names a server that does it, and the page or report that shows it.
"""

from collections.abc import Iterator
from typing import Any

from onerouter_simulator.conversation import JSON
from onerouter_simulator.quirks.changes import (
    choice_of,
    in_bodies,
    in_events,
    in_usage,
    with_choice,
    without,
)
from onerouter_simulator.quirks.quirk import GITHUB, STREAM, Quirk

DETAILS = ("prompt_tokens_details", "completion_tokens_details")
COST = ("cost", "cost_details")


def cached(usage: JSON) -> int:
    """Return the prompt tokens that these quirks count as cached: half of them."""
    return int(usage["prompt_tokens"]) // 2


def with_flat_counts(usage: JSON, **counts: Any) -> JSON:
    """Return the counts without their details, and with these beside them."""
    return without(usage, *DETAILS) | counts


def to_input_and_output(usage: JSON) -> JSON:
    """Return the counts under the names of the Responses API."""
    return {
        "input_tokens": usage["prompt_tokens"],
        "output_tokens": usage["completion_tokens"],
        "total_tokens": usage["total_tokens"],
    }


def repeat_on_every_chunk(chunks: list[JSON]) -> Iterator[JSON]:
    """Send the usage so far in every chunk: the completion tokens grow."""
    usage = chunks[-1].get("usage")
    for number, chunk in enumerate(chunks, 1):
        if not usage:
            yield chunk
            continue
        completion = usage["completion_tokens"] * number // len(chunks)
        total = usage["prompt_tokens"] + completion
        yield chunk | {"usage": usage | {"completion_tokens": completion, "total_tokens": total}}


def move_into_choice(chunks: list[JSON]) -> Iterator[JSON]:
    """Send the usage in the choice with the finish reason; the last chunk has the cost alone."""
    usage = chunks[-1].get("usage")
    for chunk in chunks:
        is_end = usage and choice_of(chunk).get("finish_reason")
        yield without(with_choice(chunk, usage=usage) if is_end else chunk, "usage")


def move_cost(body: JSON) -> JSON:
    """Return a body with the cost and its details among the counts."""
    cost = {key: body[key] for key in COST if key in body}
    return without(body, *COST) | {"usage": body["usage"] | cost} if body.get("usage") else body


USAGE = (
    Quirk(
        number=76,
        name="usage-input-and-output-tokens",
        sender="mlx-vlm",
        source=GITHUB + "earendil-works/pi/issues/2326",
        sends="Usage has `input_tokens` and `output_tokens`.",
        play=in_usage(to_input_and_output),
    ),
    Quirk(
        number=77,
        name="usage-prompt-cache-hit-tokens",
        sender="DeepSeek",
        source="https://api-docs.deepseek.com/guides/kv_cache",
        sends="Cached tokens are `prompt_cache_hit_tokens`, the others `prompt_cache_miss_tokens`.",
        play=in_usage(
            lambda usage: with_flat_counts(
                usage,
                prompt_cache_hit_tokens=cached(usage),
                prompt_cache_miss_tokens=usage["prompt_tokens"] - cached(usage),
            )
        ),
    ),
    Quirk(
        number=78,
        name="usage-cached-tokens",
        sender="Moonshot",
        source=GITHUB + "Bike4Mind/bike4mind/pull/1089",
        sends="Cached tokens are `cached_tokens`, beside the other counts.",
        play=in_usage(lambda usage: with_flat_counts(usage, cached_tokens=cached(usage))),
    ),
    Quirk(
        number=79,
        name="usage-prompt-tokens-cache-read",
        sender="OneRouter, by a version of its documentation",
        source="https://infron.ai/docs",
        sends="Cached tokens are `prompt_tokens_cache_read` and `prompt_tokens_cache_write`.",
        play=in_usage(
            lambda usage: with_flat_counts(
                usage, prompt_tokens_cache_read=cached(usage), prompt_tokens_cache_write=1
            )
        ),
    ),
    Quirk(
        number=80,
        name="usage-cache-read-input-tokens",
        sender="LiteLLM in front of Anthropic",
        source=GITHUB + "BerriAI/litellm/issues/29998",
        sends="Cached tokens are `cache_read_input_tokens` and `cache_creation_input_tokens`.",
        play=in_usage(
            lambda usage: with_flat_counts(
                usage, cache_read_input_tokens=cached(usage), cache_creation_input_tokens=1
            )
        ),
    ),
    Quirk(
        number=81,
        name="usage-on-every-chunk",
        sender="vLLM and SGLang with `continuous_usage_stats`; Baseten",
        source="https://docs.rs/dynamo-protocols/latest/dynamo_protocols/types/"
        "struct.ChatCompletionStreamOptions.html",
        sends="Every chunk has the usage so far.",
        play=in_events(repeat_on_every_chunk),
        stage=STREAM,
    ),
    Quirk(
        number=82,
        name="usage-in-the-choice",
        sender="Moonshot (Kimi K2.5)",
        source=GITHUB + "earendil-works/pi/issues/2017",
        sends="Usage is in the choice that has the finish reason.",
        play=in_events(move_into_choice),
        stage=STREAM,
    ),
    Quirk(
        number=83,
        name="no-usage",
        sender="Text Generation Inference, Ollama (in streams)",
        source=GITHUB + "huggingface/text-generation-inference/issues/2531",
        sends="There is no usage and no cost, although the request asks for them.",
        play=in_bodies(lambda body: without(body, "usage", *COST)),
    ),
    Quirk(
        number=84,
        name="cost-in-usage",
        sender="OpenRouter",
        source="https://www.openrouter.ai/docs/use-cases/usage-accounting",
        sends="`cost` and `cost_details` are in `usage`.",
        play=in_bodies(move_cost),
    ),
)
