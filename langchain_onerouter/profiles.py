"""Conversion of `onerouter_core.ModelInfo` to LangChain's ModelProfile.

Nothing is looked up. Values that the catalogue does not have are left out, because LangChain
trusts every key of a profile.
"""

from __future__ import annotations

from typing import Any, cast

from langchain_core.language_models import ModelProfile

from onerouter_core import ModelInfo

_MODALITIES = ("text", "image", "audio", "video")


def to_profile(model: ModelInfo) -> ModelProfile:
    """Convert a model's entry of the catalogue to a profile: limits, modalities, abilities."""
    profile: dict[str, Any] = {
        "name": model.name or None,
        "status": "deprecated" if model.deprecated else None,
        "max_input_tokens": model.max_input_tokens or model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "tool_calling": model.tools,
        # JSON mode does not imply JSON schemas, but without JSON mode there are none
        "structured_output": False if model.json_mode is False else None,
        **_input_abilities(model.input_modalities),
        **_output_abilities(model.output_modalities),
    }
    known = {name: value for name, value in profile.items() if value is not None}
    return cast("ModelProfile", known)


def _input_abilities(modalities: tuple[str, ...]) -> dict[str, bool]:
    if not modalities:
        return {}
    pdf = not {"file", "pdf"}.isdisjoint(modalities)  # the gateway calls a document a file
    return {**{f"{kind}_inputs": kind in modalities for kind in _MODALITIES}, "pdf_inputs": pdf}


def _output_abilities(modalities: tuple[str, ...]) -> dict[str, bool]:
    if not modalities:
        return {}
    return {f"{kind}_outputs": kind in modalities for kind in _MODALITIES}
