"""Model catalog: the entries of GET /models and their prices.

Knows the fields of an entry. Knows no request and no answer.
"""

from typing import Any

JSON = dict[str, Any]


def model_entry(model: str, name: str, **fields: Any) -> JSON:
    """Return the catalog entry of a model: the default values, replaced by `fields`."""
    defaults = {
        "id": model,
        "object": "model",
        "created": 1626777600,
        "display_name": name,
        "description": "Simulated: answers by rules, from the request alone.",
        "category_type": "LLM",
        "supported_endpoint_types": ["openai"],
        "input_modalities": ["text"],
        "output_modalities": ["text"],
        "supports_streaming": True,
        "supports_function_calling": True,
        "supports_vision": False,
        "supports_json_mode": True,
        "deprecated": False,
        "is_display_only": False,
        "context_length": 131072,
        "max_input_tokens": 131072,
        "max_output_tokens": 8192,
        "min_prompt_price": 0.5,
        "min_completion_price": 1.5,
        "providers": [provider_entry("simulated/eu", "standard", 0.5, 1.5)],
    }
    return defaults | fields


def provider_entry(
    slug: str, tier: str, prompt: float, completion: float, context: int = 131072
) -> JSON:
    """Return the entry of one upstream provider; prices are in USD per million tokens."""
    return {
        "provider_slug": slug,
        "service_tier": tier,
        "prompt_price": prompt,
        "completion_price": completion,
        "context_length": context,
    }


CACHING_MODEL = "simulated/cache"
MODELS = [
    model_entry("simulated/echo", "Simulated: Echo"),
    model_entry(
        "simulated/senses",
        "Simulated: Senses",
        input_modalities=["Text", "Image", "audio", "file", "video"],
        output_modalities=["Text", "image", "audio"],
        supports_vision=True,
        context_length=262144,
        max_input_tokens=262144,
        max_output_tokens=262144,
        min_prompt_price=0.44695,
        min_completion_price=1.85655,
        providers=[
            provider_entry("simulated/cn/flex", "flex", 0.44695, 1.85655, 256000),
            provider_entry("simulated/us", "standard", 0.65, 3.41, 256000),
        ],
    ),
    model_entry(
        "simulated/boundless:free",
        "Simulated: Boundless",
        context_length=None,
        max_input_tokens=None,
        max_output_tokens=None,
        min_prompt_price=0,
        min_completion_price=0,
        supports_function_calling=False,
        providers=[provider_entry("simulated/eu", "standard", 0, 0)],
    ),
    model_entry("simulated/dead-upstream", "Simulated: its upstream is down"),
    model_entry(
        CACHING_MODEL,
        "Simulated: Cache",
        context_length=200000,
        max_input_tokens=200000,
        min_prompt_price=3,
        min_completion_price=15,
        providers=[provider_entry("simulated/eu", "standard", 3, 15, 200000)],
    ),
    model_entry(
        "simulated/embedding",
        "Simulated: Embedding",
        category_type="Embeddings",
        output_modalities=["embedding"],
        max_output_tokens=None,
        min_completion_price=None,
        supports_streaming=False,
        supports_function_calling=False,
        supports_json_mode=False,
        providers=[],
    ),
    model_entry("simulated/showroom", "Simulated: Showroom", is_display_only=True, providers=[]),
]

# A model that is not in the catalog is served too, at the default price.
DEFAULT_ENTRY = model_entry("", "Simulated: Unlisted")


def find_model(model: str) -> JSON:
    """Return the catalog entry with this id, else the default entry."""
    return next((entry for entry in MODELS if entry["id"] == model), DEFAULT_ENTRY)
