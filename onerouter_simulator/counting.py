"""Usage and cost: tokens estimated from text lengths, prices from the catalog.

Knows prices and lengths. Knows no rule of the answers.
"""

from typing import Any, NamedTuple

from onerouter_simulator import catalog
from onerouter_simulator.conversation import JSON, Medium, media_of, text_of
from onerouter_simulator.scripts import compact_json

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
TOKENS_PER_MEDIUM = 85
# Keys of cost_details that the gateway always sends; the simulator charges nothing for them.
ZERO_COSTS = (
    "audio_cost",
    "byok_cost",
    "image_cost",
    "native_web_search_cost",
    "plugin_web_search_cost",
    "reasoning_cost",
    "tools_cost",
    "video_cost",
)

# Prices of cached tokens, as multiples of the price of a prompt token: Anthropic's.
READ_PRICE, WRITE_5_MIN_PRICE, WRITE_1_H_PRICE = 0.1, 1.25, 2


class CacheUse(NamedTuple):
    """Tokens of a prompt that are read from the prompt cache, and written for 5 minutes or 1 hour.

    They are parts of the prompt tokens.
    """

    read: int = 0
    written_5_min: int = 0
    written_1_h: int = 0

    @property
    def written(self) -> int:
        """Tokens that are written."""
        return self.written_5_min + self.written_1_h


NO_CACHE = CacheUse()


def count_tokens(text: str) -> int:
    """Return the tokens of a text: four characters each, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def count_usage(request: JSON, message: JSON, choices: int, cache: CacheUse = NO_CACHE) -> JSON:
    """Return the `usage` object of a reply with this message in each of its choices."""
    media = [medium for sent in request["messages"] for medium in media_of(sent)]
    prompt = count_prompt_tokens(request, media)
    reasoning = count_tokens(message.get("reasoning", ""))
    completion = choices * (reasoning + count_answer_tokens(message))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": cache.read,
            "cache_write_tokens": cache.written,
            "audio_tokens": count_media_tokens(media, "audio recording"),
            "video_tokens": count_media_tokens(media, "video"),
        },
        "completion_tokens_details": {
            "reasoning_tokens": choices * reasoning,
            "image_tokens": TOKENS_PER_MEDIUM * len(message.get("images", ())),
            "audio_tokens": TOKENS_PER_MEDIUM * ("audio" in message),
        },
    }


def count_prompt_tokens(request: JSON, media: list[Medium]) -> int:
    """Return the tokens of the request: texts, tool calls, tools, response format, media."""
    messages = request["messages"]
    texts = [text_of(message) for message in messages]
    texts += [compact_json(sent["tool_calls"]) for sent in messages if "tool_calls" in sent]
    texts += [compact_json(request[key]) for key in ("tools", "response_format") if key in request]
    overhead = TOKENS_PER_MESSAGE * len(messages) + TOKENS_PER_MEDIUM * len(media)
    return overhead + sum(map(count_tokens, texts))


def count_media_tokens(media: list[Medium], kind: str) -> int:
    """Return the tokens of all media of one kind."""
    return TOKENS_PER_MEDIUM * sum(medium.kind == kind for medium in media)


def count_answer_tokens(message: JSON) -> int:
    """Return the tokens of an answer without reasoning: text, refusal, tool calls, media."""
    texts = [message["content"] or "", message.get("refusal", "")]
    for call in message.get("tool_calls", ()):
        texts += [call["function"]["name"], call["function"]["arguments"]]
    media = len(message.get("images", ())) + ("audio" in message)
    return sum(map(count_tokens, texts)) + TOKENS_PER_MEDIUM * media


def compute_cost(
    usage: JSON, model: str, provider: str, cache: CacheUse = NO_CACHE
) -> dict[str, Any]:
    """Return `cost` and `cost_details` in USD, as they stand at the root of a reply."""
    prompt_price, completion_price = find_prices(model, provider)
    uncached = usage["prompt_tokens"] - cache.read - cache.written
    write_5_min = cache.written_5_min * WRITE_5_MIN_PRICE * prompt_price / 1_000_000
    write_1_h = cache.written_1_h * WRITE_1_H_PRICE * prompt_price / 1_000_000
    costs = {
        "prompt_cost": uncached * prompt_price / 1_000_000,
        "completion_cost": usage["completion_tokens"] * completion_price / 1_000_000,
        "prompt_cache_read_cost": cache.read * READ_PRICE * prompt_price / 1_000_000,
        "prompt_cache_write_cost": write_5_min + write_1_h,
    }
    by_lifetime = {"prompt_cache_write_5_min": write_5_min, "prompt_cache_write_1_h": write_1_h}
    details = dict.fromkeys(ZERO_COSTS, 0) | {"discount_rate": 1, "is_byok": False}
    cost = round(sum(costs.values()), 6)
    return {"cost": cost, "cost_details": details | by_lifetime | costs}


def find_prices(model: str, provider: str) -> tuple[float, float]:
    """Return the prompt and completion price of a provider, in USD per million tokens.

    A provider that the catalog does not have for the model costs the model's lowest price.
    """
    model_entry = catalog.find_model(model)
    for provider_entry in model_entry["providers"]:
        if provider_entry["provider_slug"] == provider:
            return provider_entry["prompt_price"], provider_entry["completion_price"]
    return model_entry["min_prompt_price"], model_entry["min_completion_price"] or 0
