"""Model profiles from the catalogue."""

from __future__ import annotations

import copy
from typing import Any, get_type_hints

import pytest
from langchain_core.language_models import ModelProfile
from langchain_core.load import dumps

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.profiles import to_profile
from onerouter_core import Catalog, ConnectionSettings, ModelInfo
from onerouter_simulator import Simulator
from tests.langchain.conftest import LLMFactory, Mode


@pytest.fixture
def catalog(sim: Simulator) -> Catalog:
    """Return the simulator's model list."""
    return Catalog.fetch(ConnectionSettings(base_url=sim.base_url))


def test_a_profile_from_the_catalog(make_llm: LLMFactory, catalog: Catalog) -> None:
    """Limits, modalities and abilities have LangChain's names."""
    assert make_llm(model="simulated/senses", catalog=catalog).profile == {
        "name": "Simulated: Senses",
        "max_input_tokens": 262144,
        "max_output_tokens": 262144,
        "tool_calling": True,
        "text_inputs": True,
        "image_inputs": True,
        "audio_inputs": True,
        "video_inputs": True,
        "pdf_inputs": True,
        "text_outputs": True,
        "image_outputs": True,
        "audio_outputs": True,
        "video_outputs": False,
    }


@pytest.mark.parametrize(
    ("info_fields", "expected"),
    [
        ({}, {}),
        ({"context_window": 5}, {"max_input_tokens": 5}),
        ({"context_window": 5, "max_input_tokens": 4}, {"max_input_tokens": 4}),
        ({"tools": False}, {"tool_calling": False}),
        ({"json_mode": True}, {}),
        ({"json_mode": False}, {"structured_output": False}),
        ({"deprecated": True}, {"status": "deprecated"}),
    ],
)
def test_unknown_values_are_left_out(info_fields: dict[str, Any], expected: dict[str, Any]) -> None:
    """LangChain trusts every key; JSON mode does not imply JSON schemas."""
    assert to_profile(ModelInfo("m", **info_fields)) == expected


def test_all_keys_are_keys_of_model_profile() -> None:
    """LangChain warns about keys that it does not know."""
    everything = ModelInfo(
        *("m", "M", 1, 1, 1, ("text", "pdf"), ("text",), True, False), deprecated=True
    )
    profile = to_profile(everything)
    assert profile.keys() <= get_type_hints(ModelProfile).keys()
    assert profile["pdf_inputs"]
    assert not profile["image_inputs"]


def test_an_explicit_profile_overrides_the_catalog(make_llm: LLMFactory, catalog: Catalog) -> None:
    """The catalogue is used only without a profile."""
    explicit = {"max_input_tokens": 7}
    assert make_llm(model="simulated/senses", catalog=catalog, profile=explicit).profile == explicit


def test_no_profile_without_a_catalog_entry(make_llm: LLMFactory, catalog: Catalog) -> None:
    """There is no catalogue, or it does not contain the model."""
    assert make_llm().profile is None
    assert make_llm(model="vendor/other", catalog=catalog).profile is None


def test_a_catalog_is_neither_sent_nor_shown(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, catalog: Catalog
) -> None:
    """The request is the same with it; no dump contains it; copies are equal."""
    llm = make_llm(catalog=catalog)
    mode.invoke(llm, "Hi")
    body = sim.last.body
    mode.invoke(make_llm(), "Hi")
    assert sim.last.body == body
    assert "catalog" not in dumps(llm) + str(llm.asdict()) + repr(llm)
    assert copy.deepcopy(llm) == llm == make_llm(catalog=catalog)


def test_a_catalog_of_the_wrong_type_raises() -> None:
    """The error names the type that is needed."""
    with pytest.raises(ValueError, match="Catalog"):
        ChatOneRouter(model="m", catalog=[{"id": "m"}])
