"""What a model can do, in LangChain's words.

This module knows the keys of ModelProfile. It looks nothing up: what the catalogue does not say is
left out, for a key that is there is believed.
"""

from __future__ import annotations

from typing import Any, cast

from langchain_core.language_models import ModelProfile

from onerouter_core import ModelInfo

_MODALITIES = ("text", "image", "audio", "video")


def to_profile(model: ModelInfo) -> ModelProfile:
    """Return the profile of a model."""
    facts: dict[str, Any] = {
        "name": model.name or None,
        "status": "deprecated" if model.deprecated else None,
        "max_input_tokens": model.max_input_tokens or model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "tool_calling": model.tools,
        # JSON mode does not promise that a schema is kept to; a model without keeps to none
        "structured_output": False if model.json_mode is False else None,
        **_inputs(model.input_modalities),
        **_outputs(model.output_modalities),
    }
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return cast("ModelProfile", known)


def _inputs(said: tuple[str, ...]) -> dict[str, bool]:
    if not said:
        return {}
    pdf = not {"file", "pdf"}.isdisjoint(said)  # the gateway calls a document a file
    return {**{f"{kind}_inputs": kind in said for kind in _MODALITIES}, "pdf_inputs": pdf}


def _outputs(said: tuple[str, ...]) -> dict[str, bool]:
    return {f"{kind}_outputs": kind in said for kind in _MODALITIES} if said else {}
