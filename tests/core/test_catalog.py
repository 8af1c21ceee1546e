"""The catalogue: fetching, saving, finding models, and its behaviour as a value."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onerouter_core import Catalog, ConnectionSettings, ModelInfo
from onerouter_core.errors import ConfigurationError, ModelNotFoundError
from onerouter_core.wire.model_list import decode_model_info, is_chat_model
from onerouter_simulator import Simulator
from tests.core.generated import values
from tests.core.payloads import FULL_MODEL_ENTRY, MINIMAL_MODEL_ENTRY


def model(model_id: str, prices: tuple[Any, Any] | None = None, **fields: Any) -> ModelInfo:
    """Return a model; `prices` are those of an input and an output token."""
    input_price, output_price = (None, None) if prices is None else map(Decimal, prices)
    return ModelInfo(model_id, input_price=input_price, output_price=output_price, **fields)


def ids(models: Any) -> list[str]:
    """Return the ids of models."""
    return [model.id for model in models]


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*FULL_MODEL_ENTRY, *FULL_MODEL_ENTRY["providers"][0], "model_id"]),
        values
        | st.lists(st.dictionaries(st.sampled_from([*FULL_MODEL_ENTRY["providers"][0]]), values)),
    )
)
def test_any_entry_can_be_decoded_and_searched(entry: dict[str, Any]) -> None:
    """No type of value in an entry raises, there or in `find`."""
    assert isinstance(is_chat_model(entry), bool)
    found = Catalog([decode_model_info(entry), decode_model_info(FULL_MODEL_ENTRY)]).find(text="")
    assert 1 <= len(found) <= 2


# --- fetching, saving and loading ---


@pytest.fixture(params=["sync", "async"])
def fetch(request: pytest.FixtureRequest) -> Callable[..., Catalog]:
    """Return `Catalog.fetch`, or a sync form of `Catalog.afetch`."""
    if request.param == "sync":
        return Catalog.fetch
    return lambda *args: asyncio.run(Catalog.afetch(*args))


def test_fetch_keeps_the_chat_models(sim: Simulator, fetch: Callable[..., Catalog]) -> None:
    """It sends one request, without an API key."""
    catalog = fetch(ConnectionSettings(base_url=sim.base_url))
    assert ids(catalog) == [
        *("simulated/echo", "simulated/senses"),
        *("simulated/boundless:free", "simulated/dead-upstream", "simulated/cache"),
    ]
    assert catalog["simulated/senses"].input_price == Decimal("6.5E-7")
    assert catalog["boundless:free"].free
    assert len(sim.requests) == 1
    assert "authorization" not in sim.last.headers


def test_fetch_without_settings_reads_the_environment(
    sim: Simulator, fetch: Callable[..., Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Base URL and key are those of a model without arguments."""
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    assert "simulated/echo" in fetch()
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"


def test_fetch_from_a_wrong_url_raises(sim: Simulator, fetch: Callable[..., Catalog]) -> None:
    """The server answers 404."""
    with pytest.raises(ModelNotFoundError):
        fetch(ConnectionSettings(base_url=sim.base_url + "/nowhere"))


def test_of_keeps_the_first_chat_model_of_each_id() -> None:
    """Embedding models and entries without an id are left out."""
    embedding = {"id": "e", "category_type": "Embeddings"}
    catalog = Catalog.of(
        [
            FULL_MODEL_ENTRY,
            embedding,
            MINIMAL_MODEL_ENTRY,
            {**FULL_MODEL_ENTRY, "display_name": "other"},
            {},
        ]
    )
    assert ids(catalog) == [FULL_MODEL_ENTRY["id"], MINIMAL_MODEL_ENTRY["id"]]
    assert catalog[FULL_MODEL_ENTRY["id"]].name == "Moonshot: Kimi K2.6"


def test_a_saved_catalog_can_be_loaded(tmp_path: Path) -> None:
    """Models that were fetched and models that were constructed are equal after loading."""
    catalog = Catalog(
        [
            decode_model_info(FULL_MODEL_ENTRY),
            decode_model_info(MINIMAL_MODEL_ENTRY),
            model("made/by-hand", ("0.1", "0")),
        ]
    )
    path = tmp_path / "catalog.json"
    catalog.save(path)
    assert Catalog.load(path) == Catalog.load(str(path)) == catalog
    assert ids(Catalog.load(path)) == ids(catalog)
    assert Catalog.load(path)["made/by-hand"].input_price == Decimal("0.1")
    assert json.loads(path.read_text("utf-8"))[0]["id"] == FULL_MODEL_ENTRY["id"]


@pytest.mark.parametrize("text", ["", "{}", '[{"name": "no id"}]', '{"data": []}', "[5]"])
def test_loading_another_file_is_a_configuration_error(tmp_path: Path, text: str) -> None:
    """The error names the file; a missing file is a FileNotFoundError."""
    path = tmp_path / "catalog.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=r"catalog\.json is not a saved catalogue: ."):
        Catalog.load(path)
    with pytest.raises(FileNotFoundError):
        Catalog.load(tmp_path / "nowhere.json")


def test_unknown_fields_in_a_saved_file_are_ignored(tmp_path: Path) -> None:
    """A later version may have written the file."""
    path = tmp_path / "catalog.json"
    path.write_text('[{"id": "m", "height": 3}]', "utf-8")
    assert Catalog.load(path) == Catalog([ModelInfo("m")])


# --- finding a model ---

CATALOG = Catalog(
    model(model_id)
    for model_id in (
        *("deepseek/deepseek-v4-flash", "deepseek/deepseek-v4:free", "deepseek/deepseek-v4"),
        *("anthropic/claude-3-5-sonnet", "openai/gpt-5", "azure/gpt-5", "plain"),
        *("google/nano-banana/text-to-image", "anthropic/claude@2024"),
    )
)


@pytest.mark.parametrize(
    ("model_id", "found"),
    [
        ("plain", "plain"),
        ("deepseek/deepseek-v4:free", "deepseek/deepseek-v4:free"),
        ("deepseek-v4:free", "deepseek/deepseek-v4:free"),
        ("deepseek/deepseek-v4-flash:free", "deepseek/deepseek-v4-flash"),
        ("claude-3-5-sonnet@20240620", "anthropic/claude-3-5-sonnet"),
        ("anthropic/claude-3-5-sonnet@20240620:beta", "anthropic/claude-3-5-sonnet"),
        ("anthropic/claude@2024", "anthropic/claude@2024"),
        ("nano-banana/text-to-image", "google/nano-banana/text-to-image"),
        ("openai/gpt-5", "openai/gpt-5"),
        ("gpt-5", None),
        ("text-to-image", None),
        ("other/deepseek-v4", None),
        ("deepseek", None),
        ("", None),
    ],
)
def test_get_ignores_variant_version_and_missing_vendor(model_id: str, found: str | None) -> None:
    """A name that two vendors have is not found without its vendor."""
    known = CATALOG.get(model_id)
    assert (known and known.id) == found
    assert (model_id in CATALOG) is (found is not None)


@pytest.mark.parametrize(
    ("model_id", "suggested"),
    [
        ("gpt-5", "Did you mean 'openai/gpt-5' or 'azure/gpt-5'"),
        ("DeepSeek-v4-flsh", "'deepseek/deepseek-v4-flash'"),
        ("antropic/claude-3.5-sonnet", "'anthropic/claude-3-5-sonnet'"),
        ("zzzzzzzz", r"no such model\. \[model zzzzzzzz\]"),
    ],
)
def test_an_unknown_id_is_an_error_that_suggests_similar_ids(model_id: str, suggested: str) -> None:
    """The error has the unknown id."""
    with pytest.raises(ModelNotFoundError, match=suggested) as caught:
        CATALOG[model_id]
    assert caught.value.model == model_id


PRICED_CATALOG = Catalog(
    [
        model("v/expensive", (5, 10), name="Grand One", tools=True, input_modalities=("text",)),
        model("v/unpriced", name="grand two", tools=False),
        model("v/cheap", (1, 2), tools=True, input_modalities=("text", "image")),
        model("v/also-cheap", (2, 1), tools=False, input_modalities=("text", "image")),
        model("v/gratis:free", (0, 0)),
        model("v/withdrawn", (0, 0), deprecated=True),
    ]
)


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({}, ["v/gratis:free", "v/also-cheap", "v/cheap", "v/expensive", "v/unpriced"]),
        ({"text": "GRAND"}, ["v/expensive", "v/unpriced"]),
        ({"text": "one v/ grand"}, ["v/expensive"]),
        ({"text": "grand three"}, []),
        ({"vision": True}, ["v/also-cheap", "v/cheap"]),
        ({"vision": False}, ["v/expensive"]),
        ({"tools": True}, ["v/cheap", "v/expensive"]),
        ({"tools": False}, ["v/also-cheap", "v/unpriced"]),
        ({"free": True}, ["v/gratis:free"]),
        ({"free": False}, ["v/also-cheap", "v/cheap", "v/expensive"]),
        ({"max_price": 2_000_000}, ["v/gratis:free", "v/also-cheap", "v/cheap"]),
        ({"max_price": "1.5e6"}, ["v/gratis:free"]),
        ({"max_price": 0}, ["v/gratis:free"]),
        ({"vision": True, "tools": True}, ["v/cheap"]),
    ],
)
def test_find_returns_the_models_that_meet_all_conditions(
    conditions: dict[str, Any], found: list[str]
) -> None:
    """The cheapest comes first; deprecated models are left out."""
    assert ids(PRICED_CATALOG.find(**conditions)) == found


# --- collection, equality and copies ---


def pickle_copy(value: Any) -> Any:
    """Return a copy that went through pickle."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 -- bytes of this process


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, pickle_copy])
def test_a_copy_equals_its_original(make_copy: Any) -> None:
    """Catalogues with the same models are equal."""
    catalog = Catalog([decode_model_info(FULL_MODEL_ENTRY), decode_model_info(MINIMAL_MODEL_ENTRY)])
    assert make_copy(catalog) == catalog
    assert make_copy(catalog)["kimi-k2.6"].raw == FULL_MODEL_ENTRY
    assert catalog != Catalog([decode_model_info(FULL_MODEL_ENTRY)])
    assert catalog != [decode_model_info(FULL_MODEL_ENTRY), decode_model_info(MINIMAL_MODEL_ENTRY)]


def test_a_catalog_is_an_immutable_collection() -> None:
    """Models keep their order; `in` takes ids and models."""
    one, other = model("v/one"), model("v/other")
    catalog = Catalog([one, other, model("v/one", (1, 1))])
    assert list(catalog) == [one, other]
    assert len(catalog) == 2
    assert one in catalog
    assert model("v/one", (1, 1)) not in catalog
    assert 5 not in catalog
    assert repr(catalog) == "<Catalog of 2 models>"
    assert not Catalog()
    with pytest.raises(AttributeError):
        catalog.models = ()  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        hash(catalog)


def test_a_notebook_shows_a_table_of_the_models() -> None:
    """The cheapest comes first, and names are escaped."""
    priced = {"min_prompt_price": 1, "min_completion_price": 1}
    shown = Catalog.of([{"id": "a/<b>", **priced}, {"id": "c/d"}])._repr_html_()
    assert "Catalog of 2 models" in shown
    assert "<td>a/&lt;b&gt;</td><td></td><td>1</td>" in shown
