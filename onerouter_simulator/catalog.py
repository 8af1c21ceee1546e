"""The models on offer and what they cost.

Knows the catalogue's shape and prices. Knows nothing of requests and answers.
"""

from typing import Any

JSON = dict[str, Any]


def entry(model: str, name: str, **fields: Any) -> JSON:
    """One model of the catalogue: an ordinary one but for `fields`."""
    ordinary = {
        "id": model,
        "object": "model",
        "created": 1626777600,
        "display_name": name,
        "description": "Simulated: answers by rules, from what the request says.",
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
        "providers": [offer("simulated/eu", "standard", 0.5, 1.5)],
    }
    return ordinary | fields


def offer(slug: str, tier: str, prompt: float, completion: float, context: int = 131072) -> JSON:
    """Return what one upstream asks, in USD per million tokens."""
    return {
        "provider_slug": slug,
        "service_tier": tier,
        "prompt_price": prompt,
        "completion_price": completion,
        "context_length": context,
    }


MODELS = [
    entry("simulated/echo", "Simulated: Echo"),
    entry(
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
            offer("simulated/cn/flex", "flex", 0.44695, 1.85655, 256000),
            offer("simulated/us", "standard", 0.65, 3.41, 256000),
        ],
    ),
    entry(
        "simulated/boundless:free",
        "Simulated: Boundless",
        context_length=None,
        max_input_tokens=None,
        max_output_tokens=None,
        min_prompt_price=0,
        min_completion_price=0,
        supports_function_calling=False,
        providers=[offer("simulated/eu", "standard", 0, 0)],
    ),
    entry("simulated/dead-upstream", "Simulated: its upstream is down"),
    entry(
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
    entry("simulated/showroom", "Simulated: Showroom", is_display_only=True, providers=[]),
]

# Models outside the catalogue are served too, at the price of an ordinary one.
UNLISTED = entry("", "Simulated: Unlisted")


def listed(model: str) -> JSON:
    """Return the catalogue's entry of a model, or that of an ordinary one."""
    return next((known for known in MODELS if known["id"] == model), UNLISTED)
