"""The context window: the field's, else the catalogue's, else a cautious one."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from llama_index_onerouter import OneRouterLLM
from onerouter_core import Catalog, Connection, ModelInfo
from onerouter_simulator import Simulator
from tests.llama_index.conftest import Colour, Make

LISTED = Catalog([ModelInfo("vendor/m", context_window=9000), ModelInfo("vendor/silent")])


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


def test_a_catalog_travels_but_is_not_sent(make: Make, sim: Simulator, colour: Colour) -> None:
    """Pickles hold it; dumps, reprs and requests do not."""
    catalog = Catalog.fetch(Connection(base_url=sim.base_url))
    llm = make(model="simulated/senses", catalog=catalog)
    assert pickle.loads(pickle.dumps(llm)).catalog == catalog  # noqa: S301 -- our own
    assert "catalog" not in repr(llm) + llm.to_json()
    assert llm.metadata.context_window == 262144
    colour.complete(llm, "Hi")
    assert "catalog" not in sim.last.body
