"""The context window: the field's, else the catalogue's, else a cautious one."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest
from llama_index.core.memory import ChatMemoryBuffer

from llama_index_onerouter import OneRouterLLM
from onerouter_core import Catalog, ConnectionSettings, ModelInfo
from onerouter_simulator import Simulator
from tests.llama_index.conftest import Colour, Make, say

LISTED = Catalog([ModelInfo("vendor/m", context_window=9000), ModelInfo("vendor/silent")])
MUTE = Catalog(
    [
        ModelInfo("vendor/mute", tools=False, input_modalities=("text", "image")),
        ModelInfo("vendor/silent"),
    ]
)


@pytest.mark.parametrize(
    ("fields", "window"),
    [
        ({"model": "vendor/m"}, 128_000),
        ({"model": "vendor/m", "catalog": LISTED}, 9000),
        ({"model": "m:free", "catalog": LISTED}, 9000),
        ({"model": "vendor/m", "catalog": LISTED, "context_window": 50}, 50),
        ({"model": "vendor/silent", "catalog": LISTED}, 128_000),
        ({"model": "vendor/other", "catalog": LISTED}, 128_000),
    ],
)
def test_the_context_window(fields: dict[str, Any], window: int) -> None:
    """The field wins, and a model that the catalogue does not know has the usual one."""
    assert OneRouterLLM(**fields).metadata.context_window == window


def test_a_guess_is_told_once(colour: Colour, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A memory that is cut to a guess says so, once for a model; who only chats hears nothing."""
    name = f"simulated/guessed-{type(colour).__name__}"  # once is once in a process
    one, two = make(model=name), make(model=f"{name}-2")
    with caplog.at_level(logging.INFO, "onerouter_core"):
        colour.chat(one, say("x"))
        one.to_payload()
        assert caplog.records == []
        for llm in (one, one, two, make(model=name)):
            assert ChatMemoryBuffer.from_defaults(llm=llm).token_limit == 96_000
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert f"'{name}'" in caplog.text
    assert "128000 tokens are assumed" in caplog.text
    assert "context_window=" in caplog.text


@pytest.mark.parametrize(
    "fields", [{"context_window": 50}, {"catalog": LISTED}], ids=["the field", "the catalogue"]
)
def test_what_is_known_is_no_guess(
    fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is said where nothing is assumed."""
    assert OneRouterLLM(model="vendor/m", **fields).metadata.context_window
    assert caplog.records == []


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({"model": "vendor/any"}, True),
        ({"model": "vendor/mute", "catalog": MUTE}, False),
        ({"model": "vendor/silent", "catalog": MUTE}, True),
        ({"model": "vendor/mute", "catalog": MUTE, "is_function_calling_model": True}, True),
        ({"model": "vendor/any", "is_function_calling_model": False}, False),
    ],
)
def test_whether_it_calls_tools(fields: dict[str, Any], calls: bool) -> None:
    """The field wins, then the catalogue; a model of which nothing is said does."""
    assert OneRouterLLM(**fields).metadata.is_function_calling_model is calls


def test_what_a_model_can_do() -> None:
    """The instance's catalogue says what its model can do."""
    llm = OneRouterLLM(model="vendor/mute", catalog=MUTE)
    assert llm.catalog is not None
    info = llm.catalog[llm.model]
    assert (info.tools, info.vision) == (False, True)


def test_a_catalog_travels_but_is_not_sent(make: Make, sim: Simulator, colour: Colour) -> None:
    """Pickles hold it; dumps, reprs and requests do not."""
    catalog = Catalog.fetch(ConnectionSettings(base_url=sim.base_url))
    llm = make(model="simulated/senses", catalog=catalog)
    assert pickle.loads(pickle.dumps(llm)).catalog == catalog  # noqa: S301 -- our own
    assert "catalog" not in repr(llm) + llm.to_json()
    assert llm.metadata.context_window == 262144
    colour.complete(llm, "Hi")
    assert "catalog" not in sim.last.body
