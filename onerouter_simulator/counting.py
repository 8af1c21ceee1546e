"""Usage and cost: tokens estimated from text lengths, prices from the catalog.

Knows prices and lengths. Knows no rule of the answers.
"""

from typing import Any

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
    "prompt_cache_read_cost",
    "prompt_cache_write_1_h",
    "prompt_cache_write_5_min",
    "prompt_cache_write_cost",
    "reasoning_cost",
    "tools_cost",
    "video_cost",
)


def count_tokens(text: str) -> int:
    """Return the tokens of a text: four characters each, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def count_usage(request: JSON, message: JSON, choices: int) -> JSON:
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
            "cached_tokens": 0,
            "cache_write_tokens": 0,
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


def compute_cost(usage: JSON, model: str, provider: str) -> dict[str, Any]:
    """Return `cost` and `cost_details` in USD, as they stand at the root of a reply."""
    prompt_price, completion_price = find_prices(model, provider)
    costs = {
        "prompt_cost": usage["prompt_tokens"] * prompt_price / 1_000_000,
        "completion_cost": usage["completion_tokens"] * completion_price / 1_000_000,
    }
    details = dict.fromkeys(ZERO_COSTS, 0) | {"discount_rate": 1, "is_byok": False} | costs
    return {"cost": round(sum(costs.values()), 6), "cost_details": details}


def find_prices(model: str, provider: str) -> tuple[float, float]:
    """Return the prompt and completion price of a provider, in USD per million tokens.

    A provider that the catalog does not have for the model costs the model's lowest price.
    """
    model_entry = catalog.find_model(model)
    for provider_entry in model_entry["providers"]:
        if provider_entry["provider_slug"] == provider:
            return provider_entry["prompt_price"], provider_entry["completion_price"]
    return model_entry["min_prompt_price"], model_entry["min_completion_price"] or 0
