"""Catalogue: context window, tool support and capabilities of the model."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest
from llama_index.core.memory import ChatMemoryBuffer

from llama_index_onerouter import OneRouterLLM
from onerouter_core import Catalog, ConnectionSettings, ModelInfo
from onerouter_simulator import Simulator
from tests.llama_index.conftest import LLMFactory, Mode, user_messages

WINDOWS = Catalog([ModelInfo("vendor/m", context_window=9000), ModelInfo("vendor/silent")])
CAPABILITIES = Catalog(
    [
        ModelInfo("vendor/no-tools", tools=False, input_modalities=("text", "image")),
        ModelInfo("vendor/silent"),
    ]
)


@pytest.mark.parametrize(
    ("fields", "window"),
    [
        ({"model": "vendor/m"}, 128_000),
        ({"model": "vendor/m", "catalog": WINDOWS}, 9000),
        ({"model": "m:free", "catalog": WINDOWS}, 9000),
        ({"model": "vendor/m", "catalog": WINDOWS, "context_window": 50}, 50),
        ({"model": "vendor/silent", "catalog": WINDOWS}, 128_000),
        ({"model": "vendor/other", "catalog": WINDOWS}, 128_000),
    ],
)
def test_context_window_is_the_fields_else_the_catalogs_else_128000(
    fields: dict[str, Any], window: int
) -> None:
    """The catalogue is searched with the model id."""
    assert OneRouterLLM(**fields).metadata.context_window == window


def test_an_assumed_context_window_is_logged_once_per_model(
    mode: Mode, make_llm: LLMFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """A memory reads the window; a chat call and `to_payload` do not."""
    name = f"simulated/guessed-{type(mode).__name__}"  # the log message is cached per process
    first, second = make_llm(model=name), make_llm(model=f"{name}-2")
    with caplog.at_level(logging.INFO, "onerouter_core"):
        mode.chat(first, user_messages("x"))
        first.to_payload()
        assert caplog.records == []
        for llm in (first, first, second, make_llm(model=name)):
            assert ChatMemoryBuffer.from_defaults(llm=llm).token_limit == 96_000
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert f"'{name}'" in caplog.text
    assert "128000 tokens are assumed" in caplog.text
    assert "context_window=" in caplog.text


@pytest.mark.parametrize(
    "fields", [{"context_window": 50}, {"catalog": WINDOWS}], ids=["field", "catalogue"]
)
def test_a_known_context_window_is_not_logged(
    fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It is set, or in the catalogue."""
    assert OneRouterLLM(model="vendor/m", **fields).metadata.context_window
    assert caplog.records == []


@pytest.mark.parametrize(
    ("fields", "supports_tools"),
    [
        ({"model": "vendor/any"}, True),
        ({"model": "vendor/no-tools", "catalog": CAPABILITIES}, False),
        ({"model": "vendor/silent", "catalog": CAPABILITIES}, True),
        (
            {
                "model": "vendor/no-tools",
                "catalog": CAPABILITIES,
                "is_function_calling_model": True,
            },
            True,
        ),
        ({"model": "vendor/any", "is_function_calling_model": False}, False),
    ],
)
def test_is_function_calling_model_is_the_fields_else_the_catalogs_else_true(
    fields: dict[str, Any], supports_tools: bool
) -> None:
    """A catalogue entry may not say."""
    assert OneRouterLLM(**fields).metadata.is_function_calling_model is supports_tools


def test_the_catalog_of_an_instance_has_its_models_capabilities() -> None:
    """`llm.catalog[llm.model]` is the entry."""
    llm = OneRouterLLM(model="vendor/no-tools", catalog=CAPABILITIES)
    assert llm.catalog is not None
    info = llm.catalog[llm.model]
    assert (info.tools, info.vision) == (False, True)


def test_the_catalog_is_pickled_but_not_dumped_or_sent(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """It is not in the repr, either."""
    catalog = Catalog.fetch(ConnectionSettings(base_url=sim.base_url))
    llm = make_llm(model="simulated/senses", catalog=catalog)
    assert pickle.loads(pickle.dumps(llm)).catalog == catalog  # noqa: S301 -- a pickle of this test
    assert "catalog" not in repr(llm) + llm.to_json()
    assert llm.metadata.context_window == 262144
    mode.complete(llm, "Hi")
    assert "catalog" not in sim.last.body
