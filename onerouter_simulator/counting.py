"""Tokens counted from the texts, and what they cost.

Knows prices and lengths. Knows no rule of what to say.
"""

from typing import Any

from onerouter_simulator import catalog
from onerouter_simulator.conversation import JSON, Medium, media_of, text_of
from onerouter_simulator.scripts import compact

LETTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
TOKENS_PER_MEDIUM = 85
FREE = (
    "audio_cost",
    "byok_cost",
    "image_cost",
    "native_web_search_cost",
    "plugin_web_search_cost",
    "prompt_cache_read_cost",
    "prompt_cache_write_1_h",
    "prompt_cache_write_5_min",
    "prompt_cache_write_cost",
    "reasoning_cost",
    "tools_cost",
    "video_cost",
)


def tokens(text: str) -> int:
    """Count tokens: about four letters are one."""
    return -(-len(text) // LETTERS_PER_TOKEN)


def usage_of(request: JSON, message: JSON, choices: int) -> JSON:
    """Return the usage block of a reply."""
    media = [medium for said in request["messages"] for medium in media_of(said)]
    prompt = prompt_tokens(request, media)
    reasoning = tokens(message.get("reasoning", ""))
    completion = choices * (reasoning + answer_tokens(message))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "audio_tokens": media_tokens(media, "audio recording"),
            "video_tokens": media_tokens(media, "video"),
        },
        "completion_tokens_details": {
            "reasoning_tokens": choices * reasoning,
            "image_tokens": TOKENS_PER_MEDIUM * len(message.get("images", ())),
            "audio_tokens": TOKENS_PER_MEDIUM * ("audio" in message),
        },
    }


def prompt_tokens(request: JSON, media: list[Medium]) -> int:
    """Return what was sent: texts, tool calls, tools, schemas, media."""
    texts = [text_of(message) for message in request["messages"]]
    texts += [compact(said["tool_calls"]) for said in request["messages"] if "tool_calls" in said]
    texts += [compact(request[key]) for key in ("tools", "response_format") if key in request]
    framing = TOKENS_PER_MESSAGE * len(request["messages"]) + TOKENS_PER_MEDIUM * len(media)
    return framing + sum(map(tokens, texts))


def media_tokens(media: list[Medium], kind: str) -> int:
    """Return the tokens of one kind of media."""
    return TOKENS_PER_MEDIUM * sum(medium.kind == kind for medium in media)


def answer_tokens(message: JSON) -> int:
    """Return what was said: text, refusal, tool calls, media."""
    texts = [message["content"] or "", message.get("refusal", "")]
    for call in message.get("tool_calls", ()):
        texts += [call["function"]["name"], call["function"]["arguments"]]
    media = len(message.get("images", ())) + ("audio" in message)
    return sum(map(tokens, texts)) + TOKENS_PER_MEDIUM * media


def cost_of(usage: JSON, model: str, provider: str) -> dict[str, Any]:
    """`cost` and `cost_details`, as they stand at the root of a reply."""
    prompt_price, completion_price = prices(model, provider)
    parts = {
        "prompt_cost": usage["prompt_tokens"] * prompt_price / 1_000_000,
        "completion_cost": usage["completion_tokens"] * completion_price / 1_000_000,
    }
    details = dict.fromkeys(FREE, 0) | {"discount_rate": 1, "is_byok": False} | parts
    return {"cost": round(sum(parts.values()), 6), "cost_details": details}


def prices(model: str, provider: str) -> tuple[float, float]:
    """Return what an upstream asks per million tokens, else the catalogue's lowest price."""
    entry = catalog.listed(model)
    for offer in entry["providers"]:
        if offer["provider_slug"] == provider:
            return offer["prompt_price"], offer["completion_price"]
    return entry["min_prompt_price"], entry["min_completion_price"] or 0
