"""The model catalog: GET /models and its entries."""

from __future__ import annotations

import httpx
import pytest

from onerouter_simulator import Simulator
from onerouter_simulator.catalog import MODELS, find_model


def test_the_catalog_needs_no_key(sim: Simulator) -> None:
    """The envelope has `data` and `success`, and no `object`, as on the gateway."""
    reply = httpx.get(f"{sim.base_url}/models").json()
    assert set(reply) == {"data", "success"}
    assert reply["data"] == MODELS
    assert all(entry["created"] == 1626777600 for entry in reply["data"])


def test_entries_have_the_gateways_irregular_values() -> None:
    """Mixed case, nulls, free models, and a provider with a shorter context than the model."""
    models = {entry["id"]: entry for entry in MODELS}
    assert len(models) == len(MODELS) >= 6
    senses = models["simulated/senses"]
    assert "Text" in senses["input_modalities"]
    assert senses["providers"][0]["context_length"] < senses["context_length"]
    assert models["simulated/boundless:free"]["context_length"] is None
    assert models["simulated/boundless:free"]["min_prompt_price"] == 0
    assert models["simulated/embedding"]["category_type"] == "Embeddings"
    assert models["simulated/embedding"]["min_completion_price"] is None
    assert models["simulated/showroom"]["is_display_only"]


@pytest.mark.parametrize(
    ("model", "name"),
    [("simulated/echo", "Simulated: Echo"), ("vendor/other", "Simulated: Unlisted")],
)
def test_a_model_outside_the_catalog_has_the_default_entry(model: str, name: str) -> None:
    """Its prices are the default prices."""
    entry = find_model(model)
    assert entry["display_name"] == name
    assert (entry["min_prompt_price"], entry["min_completion_price"]) == (0.5, 1.5)
