"""Routing: the model that serves a request, and its upstream provider.

Knows model ids, fallbacks and provider preferences. Knows no messages and no answers.
"""

from typing import Any

from onerouter_simulator import catalog
from onerouter_simulator.errors import RejectedError, UpstreamDownError

JSON = dict[str, Any]

DEFAULT_PROVIDER = "simulated/eu"


def select_model(request: JSON) -> str:
    """Return the first available model of `model` and `fallback_models`.

    Raises:
        RejectedError: No model is available; this is the error of `model`.
    """
    model: str = request["model"]
    for candidate in (model, *request.get("fallback_models", ())):
        if availability_error(candidate) is None:
            return str(candidate)
    raise availability_error(model) or AssertionError(f"{model} is available but not selected")


def availability_error(model: str) -> RejectedError | None:
    """Return the error of a model that cannot serve; None if it is available."""
    if model.startswith("simulated/dead"):
        return UpstreamDownError(502, f"Bad gateway: the upstream of {model} does not answer")
    if model.startswith("unknown/"):
        return RejectedError(503, f"No available providers for model {model}")
    return None


def select_provider(request: JSON, model: str) -> str:
    """Return the first provider of `provider.only`, else of `provider.order`, else the catalog."""
    preferences = request.get("provider", {})
    catalogued = [entry["provider_slug"] for entry in catalog.find_model(model)["providers"]]
    preferred = preferences.get("only") or preferences.get("order")
    return str((preferred or catalogued or [DEFAULT_PROVIDER])[0])
