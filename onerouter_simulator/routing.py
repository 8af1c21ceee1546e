"""Which model serves a request, and by which upstream.

Knows model ids, fallbacks and routing wishes. Knows nothing of messages and answers.
"""

from typing import Any

from onerouter_simulator import catalog
from onerouter_simulator.errors import RejectedError, UpstreamDownError

JSON = dict[str, Any]


def served_model(request: JSON) -> str:
    """Return the first of model and fallbacks that lives; if none does, the model's own failure."""
    model: str = request["model"]
    for candidate in (model, *request.get("fallback_models", ())):
        if failure_of(candidate) is None:
            return str(candidate)
    raise failure_of(model) or AssertionError("a living model was passed over")


def failure_of(model: str) -> RejectedError | None:
    """Why a model cannot serve, if it cannot."""
    if model.startswith("simulated/dead"):
        return UpstreamDownError(502, f"Bad gateway: the upstream of {model} does not answer")
    if model.startswith("unknown/"):
        return RejectedError(503, f"No available providers for model {model}")
    return None


def upstream(request: JSON, model: str) -> str:
    """Return the upstream that serves: the first one wished for, else the catalogue's first."""
    wishes = request.get("provider", {})
    offers = [offer["provider_slug"] for offer in catalog.listed(model)["providers"]]
    wished = wishes.get("only") or wishes.get("order") or offers or ["simulated/eu"]
    return str(wished[0])
