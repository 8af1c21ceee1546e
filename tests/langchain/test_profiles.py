"""Profiles: what LangChain is told a model can do."""

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
from tests.langchain.conftest import Colour, Make


@pytest.fixture
def catalog(sim: Simulator) -> Catalog:
    """Fetch the simulator's models."""
    return Catalog.fetch(ConnectionSettings(base_url=sim.base_url))


def test_a_profile_from_the_catalog(make: Make, catalog: Catalog) -> None:
    """Limits, modalities and abilities, by LangChain's names."""
    assert make(model="simulated/senses", catalog=catalog).profile == {
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
    ("facts", "profile"),
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
def test_what_is_not_known_is_left_out(facts: dict[str, Any], profile: dict[str, Any]) -> None:
    """A key that is there is believed; that JSON mode works does not say that schemas do."""
    assert to_profile(ModelInfo("m", **facts)) == profile


def test_all_keys_are_langchains() -> None:
    """LangChain warns of keys that it does not know."""
    everything = ModelInfo(
        *("m", "M", 1, 1, 1, ("text", "pdf"), ("text",), True, False), deprecated=True
    )
    profile = to_profile(everything)
    assert profile.keys() <= get_type_hints(ModelProfile).keys()
    assert profile["pdf_inputs"]
    assert not profile["image_inputs"]


def test_your_own_profile_wins(make: Make, catalog: Catalog) -> None:
    """The catalogue is asked only where you say nothing."""
    own = {"max_input_tokens": 7}
    assert make(model="simulated/senses", catalog=catalog, profile=own).profile == own


def test_no_profile(make: Make, catalog: Catalog) -> None:
    """Without a catalogue, or with one that does not know the model."""
    assert make().profile is None
    assert make(model="vendor/other", catalog=catalog).profile is None


def test_a_catalog_is_neither_sent_nor_shown(
    make: Make, sim: Simulator, colour: Colour, catalog: Catalog
) -> None:
    """A call is the same with it; it is in no dump, and copies are equal."""
    llm = make(catalog=catalog)
    colour.invoke(llm, "Hi")
    sent = sim.last.body
    colour.invoke(make(), "Hi")
    assert sim.last.body == sent
    assert "catalog" not in dumps(llm) + str(llm.asdict()) + repr(llm)
    assert copy.deepcopy(llm) == llm == make(catalog=catalog)


def test_a_catalog_of_the_wrong_kind() -> None:
    """A list of entries is no catalogue: the error says what is."""
    with pytest.raises(ValueError, match="Catalog"):
        ChatOneRouter(model="m", catalog=[{"id": "m"}])
