"""The catalogue: what is read of an entry, how a model is found, and that it is a value."""

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

from onerouter_core import Catalog, ConnectionSettings, GatewayModel, ModelInfo, resolve_call
from onerouter_core.errors import ConfigurationError, ModelNotFoundError
from onerouter_core.wire.model_list import decode_model_info, is_chat_model
from onerouter_simulator import Simulator
from tests.core.generated import values

KIMI: dict[str, Any] = {
    "id": "moonshotai/kimi-k2.6",
    "object": "model",
    "display_name": "Moonshot: Kimi K2.6",
    "category_type": "LLM",
    "supported_endpoint_types": ["openai"],
    "input_modalities": ["Text", "image", "Image"],
    "output_modalities": ["text"],
    "supports_streaming": True,
    "supports_function_calling": True,
    "supports_vision": True,
    "supports_json_mode": False,
    "deprecated": False,
    "is_display_only": False,
    "context_length": 262144,
    "max_input_tokens": 262000,
    "max_output_tokens": None,
    "min_prompt_price": 0.44695,
    "min_completion_price": 1.85655,
    "providers": [
        {
            "provider_slug": "alibaba/cn/flex",
            "service_tier": "flex",
            "prompt_price": 0.44695,
            "completion_price": 1.85655,
            "context_length": 256000,
        },
        {
            "provider_slug": "inceptron",
            "service_tier": "standard",
            "prompt_price": 0.65,
            "completion_price": 3.41,
            "context_length": 250000,
        },
    ],
}
OLD = {"id": "claude-3-5-sonnet", "object": "model", "created": 1626777600, "owned_by": "x"}


def info(model_id: str, prices: tuple[Any, Any] | None = None, **facts: Any) -> ModelInfo:
    """Return a model with these prices, in and out."""
    given, taken = (None, None) if prices is None else map(Decimal, prices)
    return ModelInfo(model_id, input_price=given, output_price=taken, **facts)


def offer(prompt: Any, completion: Any, **facts: Any) -> dict[str, Any]:
    """Return what an upstream asks."""
    return {"prompt_price": prompt, "completion_price": completion, **facts}


def ids(models: Any) -> list[str]:
    """Return the ids of models."""
    return [model.id for model in models]


# --- an entry ---


def test_an_entry_is_read() -> None:
    """Everything the gateway says of a model, in our words."""
    assert decode_model_info(KIMI) == ModelInfo(
        id="moonshotai/kimi-k2.6",
        name="Moonshot: Kimi K2.6",
        context_window=262144,
        max_input_tokens=262000,
        max_output_tokens=None,
        input_modalities=("text", "image"),
        output_modalities=("text",),
        tools=True,
        json_mode=False,
        streaming=True,
        input_price=Decimal("0.00000065"),
        output_price=Decimal("0.00000341"),
        upstreams=("alibaba/cn/flex", "inceptron"),
        deprecated=False,
        raw=KIMI,
    )


def test_an_older_entry_says_nothing() -> None:
    """What is not said is None, not False; the id is the name."""
    old = decode_model_info(OLD)
    assert old == ModelInfo("claude-3-5-sonnet", name="claude-3-5-sonnet", raw=OLD)
    assert (old.vision, old.free, old.price, old.tools) == (None, None, None, None)


@pytest.mark.parametrize(
    ("facts", "prices"),
    [
        ({"providers": [offer(2, 3), offer("1", "2.5"), offer(9, 9)]}, ("1e-6", "2.5e-6")),
        ({"providers": [offer(1, 1, service_tier="Flex"), offer(2, 2)]}, ("2e-6", "2e-6")),
        ({"providers": [offer(1, 1, service_tier=" Standard ")]}, ("1e-6", "1e-6")),
        ({"providers": [offer(1, 1, service_tier="")]}, ("1e-6", "1e-6")),
        ({"providers": [offer(1, 1, service_tier="priority")], **KIMI}, ("0.65e-6", "3.41e-6")),
        ({"min_prompt_price": "0.5", "min_completion_price": None}, ("0.5e-6", None)),
        (
            {
                "providers": [offer(1, 1, service_tier="flex")],
                "min_prompt_price": 3,
                "min_completion_price": 0,
            },
            ("3e-6", "0"),
        ),
        ({"providers": [offer(1, None), offer(-1, -1)], "min_prompt_price": 7}, ("7e-6", None)),
        ({"providers": "many", "min_prompt_price": "a lot", "min_completion_price": -1}, None),
        ({"providers": [None, 5, offer(True, float("nan"))], "min_prompt_price": {}}, None),
    ],
)
def test_prices(facts: dict[str, Any], prices: tuple[Any, Any] | None) -> None:
    """USD per token of the cheapest ordinary offer that says both, else the lowest."""
    found = decode_model_info({"id": "m", **facts})
    said = tuple(None if price is None else Decimal(price) for price in prices or (None, None))
    assert (found.input_price, found.output_price) == said


def test_a_price_is_written_plainly() -> None:
    """Nothing costs 0, not 0E-7, and a price has the digits it came with."""
    free = decode_model_info({"id": "m", "providers": [offer(0, 0.1)]})
    assert (str(free.input_price), str(free.output_price)) == ("0", "1E-7")


@pytest.mark.parametrize(
    ("facts", "window"),
    [
        ({"context_length": 8192}, 8192),
        ({"context_length": "8192"}, 8192),
        ({"context_length": 8192, "providers": [{"context_length": 5}]}, 8192),
        ({"context_length": None, "providers": [{"context_length": n} for n in (9, 7, 0)]}, 7),
        ({"context_length": 0}, None),
        ({"context_length": True}, None),
        ({"context_length": []}, None),
    ],
)
def test_context_windows(facts: dict[str, Any], window: int | None) -> None:
    """The model's, else the one that all upstreams have."""
    assert decode_model_info({"id": "m", **facts}).context_window == window


@pytest.mark.parametrize(
    ("facts", "modalities", "vision"),
    [
        ({"input_modalities": ["TEXT", " Image "]}, ("text", "image"), True),
        ({"input_modalities": ["Text", None, "", 5]}, ("text",), False),
        ({"input_modalities": ["text"], "supports_vision": True}, ("text", "image"), True),
        ({"supports_vision": True}, ("text", "image"), True),
        ({"supports_vision": False}, (), None),
        ({"input_modalities": "text"}, (), None),
    ],
)
def test_modalities(facts: dict[str, Any], modalities: Any, vision: bool | None) -> None:
    """In lower case and once each; the vision flag counts as well."""
    found = decode_model_info({"id": "m", **facts})
    assert (found.input_modalities, found.vision) == (modalities, vision)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"category_type": "llm"},
        {"category_type": ""},
        {"supported_endpoint_types": []},
        {"supported_endpoint_types": [""]},
        {"supported_endpoint_types": None},
        {"supported_endpoint_types": ["gemini", "OpenAI"]},
        {"deprecated": True},
        {"id": None, "model_id": "m"},
    ],
)
def test_a_model_to_chat_with(facts: dict[str, Any]) -> None:
    """What says nothing against it can be chatted with."""
    assert is_chat_model({"id": "m", **facts})
    assert decode_model_info({"id": "m", **facts}).id == "m"


@pytest.mark.parametrize(
    "facts",
    [
        {"category_type": "Embeddings"},
        {"category_type": "Text to Image"},
        {"is_display_only": True},
        {"supported_endpoint_types": ["openai-response"]},
        {"supported_endpoint_types": ["gemini"]},
        {"id": ""},
        {"id": 5},
    ],
)
def test_no_model_to_chat_with(facts: dict[str, Any]) -> None:
    """Embeddings, showpieces, other endpoints, and what has no name."""
    assert not is_chat_model({"id": "m", **facts})


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*KIMI, *KIMI["providers"][0], "model_id"]),
        values | st.lists(st.dictionaries(st.sampled_from([*KIMI["providers"][0]]), values)),
    )
)
def test_no_entry_breaks_us(entry: dict[str, Any]) -> None:
    """Whatever an entry holds, it is read, and what is read can be sorted and searched."""
    assert isinstance(is_chat_model(entry), bool)
    found = Catalog([decode_model_info(entry), decode_model_info(KIMI)]).find(text="")
    assert 1 <= len(found) <= 2


# --- where it comes from ---


@pytest.fixture(params=["sync", "async"])
def fetch(request: pytest.FixtureRequest) -> Callable[..., Catalog]:
    """Ask the gateway in both colours."""
    if request.param == "sync":
        return Catalog.fetch
    return lambda *args: asyncio.run(Catalog.afetch(*args))


def test_fetching(sim: Simulator, fetch: Callable[..., Catalog]) -> None:
    """One request without a key, of which the models to chat with are kept."""
    catalog = fetch(ConnectionSettings(base_url=sim.base_url))
    assert ids(catalog) == [
        *("simulated/echo", "simulated/senses"),
        *("simulated/boundless:free", "simulated/dead-upstream"),
    ]
    assert catalog["simulated/senses"].input_price == Decimal("6.5E-7")
    assert catalog["boundless:free"].free
    assert len(sim.requests) == 1
    assert "authorization" not in sim.last.headers


def test_fetching_from_the_environment(
    sim: Simulator, fetch: Callable[..., Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing said, where a model with nothing set would send its calls, and with its key."""
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    assert "simulated/echo" in fetch()
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"


def test_fetching_in_vain(sim: Simulator, fetch: Callable[..., Catalog]) -> None:
    """A server that is no gateway raises an error of ours."""
    with pytest.raises(ModelNotFoundError):
        fetch(ConnectionSettings(base_url=sim.base_url + "/nowhere"))


def test_entries_as_the_gateway_sends_them() -> None:
    """Only models to chat with, each once: the first counts."""
    embedding = {"id": "e", "category_type": "Embeddings"}
    catalog = Catalog.of([KIMI, embedding, OLD, {**KIMI, "display_name": "other"}, {}])
    assert ids(catalog) == [KIMI["id"], OLD["id"]]
    assert catalog[KIMI["id"]].name == "Moonshot: Kimi K2.6"


def test_saving_and_loading(tmp_path: Path) -> None:
    """What was saved is loaded, whatever it was made of."""
    catalog = Catalog(
        [decode_model_info(KIMI), decode_model_info(OLD), info("made/by-hand", ("0.1", "0"))]
    )
    path = tmp_path / "catalog.json"
    catalog.save(path)
    assert Catalog.load(path) == Catalog.load(str(path)) == catalog
    assert ids(Catalog.load(path)) == ids(catalog)
    assert Catalog.load(path)["made/by-hand"].input_price == Decimal("0.1")
    assert json.loads(path.read_text("utf-8"))[0]["id"] == KIMI["id"]


@pytest.mark.parametrize("text", ["", "{}", '[{"name": "no id"}]', '{"data": []}', "[5]"])
def test_loading_something_else(tmp_path: Path, text: str) -> None:
    """A file that holds no catalogue says so; one that is not there is Python's business."""
    path = tmp_path / "catalog.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=r"No catalogue in .*catalog\.json"):
        Catalog.load(path)
    with pytest.raises(FileNotFoundError):
        Catalog.load(tmp_path / "nowhere.json")


def test_a_later_version_may_say_more(tmp_path: Path) -> None:
    """A file with fields that this version has no name for is read."""
    path = tmp_path / "catalog.json"
    path.write_text('[{"id": "m", "height": 3}]', "utf-8")
    assert Catalog.load(path) == Catalog([ModelInfo("m")])


# --- finding a model ---

LISTED = Catalog(
    info(model_id)
    for model_id in (
        *("deepseek/deepseek-v4-flash", "deepseek/deepseek-v4:free", "deepseek/deepseek-v4"),
        *("anthropic/claude-3-5-sonnet", "openai/gpt-5", "azure/gpt-5", "plain"),
        *("google/nano-banana/text-to-image", "anthropic/claude@2024"),
    )
)


@pytest.mark.parametrize(
    ("asked", "found"),
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
def test_an_id_in_other_words(asked: str, found: str | None) -> None:
    """Variant, version and vendor may differ, but a name that two vendors have is nobody's."""
    known = LISTED.get(asked)
    assert (known and known.id) == found
    assert (asked in LISTED) is (found is not None)


@pytest.mark.parametrize(
    ("asked", "suggested"),
    [
        ("gpt-5", "Did you mean 'openai/gpt-5' or 'azure/gpt-5'"),
        ("DeepSeek-v4-flsh", "'deepseek/deepseek-v4-flash'"),
        ("antropic/claude-3.5-sonnet", "'anthropic/claude-3-5-sonnet'"),
        ("zzzzzzzz", r"no such model\. \[model zzzzzzzz\]"),
    ],
)
def test_a_model_that_is_not_there(asked: str, suggested: str) -> None:
    """The error names the model, and what is spelled like it."""
    with pytest.raises(ModelNotFoundError, match=suggested) as caught:
        LISTED[asked]
    assert caught.value.model == asked


OFFERED = Catalog(
    [
        info("v/dear", (5, 10), name="Grand One", tools=True, input_modalities=("text",)),
        info("v/unpriced", name="grand two", tools=False),
        info("v/cheap", (1, 2), tools=True, input_modalities=("text", "image")),
        info("v/also-cheap", (2, 1), tools=False, input_modalities=("text", "image")),
        info("v/gift:free", (0, 0)),
        info("v/gone", (0, 0), deprecated=True),
    ]
)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["v/gift:free", "v/also-cheap", "v/cheap", "v/dear", "v/unpriced"]),
        ({"text": "GRAND"}, ["v/dear", "v/unpriced"]),
        ({"text": "one v/ grand"}, ["v/dear"]),
        ({"text": "grand three"}, []),
        ({"vision": True}, ["v/also-cheap", "v/cheap"]),
        ({"vision": False}, ["v/dear"]),
        ({"tools": True}, ["v/cheap", "v/dear"]),
        ({"tools": False}, ["v/also-cheap", "v/unpriced"]),
        ({"free": True}, ["v/gift:free"]),
        ({"free": False}, ["v/also-cheap", "v/cheap", "v/dear"]),
        ({"max_price": 2}, ["v/gift:free", "v/also-cheap", "v/cheap"]),
        ({"max_price": "1.5"}, ["v/gift:free"]),
        ({"max_price": 0}, ["v/gift:free"]),
        ({"vision": True, "tools": True}, ["v/cheap"]),
    ],
)
def test_finding(wanted: dict[str, Any], found: list[str]) -> None:
    """All that is wanted must fit; the cheapest comes first, what is deprecated never."""
    assert ids(OFFERED.find(**wanted)) == found


# --- a value ---


def pickled(value: Any) -> Any:
    """Return a copy that went through bytes."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 -- our own bytes


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_is_equal(copied: Any) -> None:
    """A catalogue is what is in it."""
    catalog = Catalog([decode_model_info(KIMI), decode_model_info(OLD)])
    assert copied(catalog) == catalog
    assert copied(catalog)["kimi-k2.6"].raw == KIMI
    assert catalog != Catalog([decode_model_info(KIMI)])
    assert catalog != [decode_model_info(KIMI), decode_model_info(OLD)]


def test_a_catalog_is_a_collection() -> None:
    """Models go in and come out in order, ids and models are in it, and nothing else gets in."""
    one, other = info("v/one"), info("v/other")
    catalog = Catalog([one, other, info("v/one", (1, 1))])
    assert list(catalog) == [one, other]
    assert len(catalog) == 2
    assert one in catalog
    assert info("v/one", (1, 1)) not in catalog
    assert 5 not in catalog
    assert repr(catalog) == "<Catalog of 2 models>"
    assert not Catalog()
    with pytest.raises(AttributeError):
        catalog.models = ()  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        hash(catalog)


# --- on a model ---


def test_a_model_with_a_catalog() -> None:
    """It is part of what the model is, travels with copies, and is neither shown nor sent."""
    catalog = Catalog([decode_model_info(KIMI)])
    made = GatewayModel(model="kimi-k2.6:free", catalog=catalog)
    assert made.catalog is catalog
    assert copy.deepcopy(made).catalog is catalog
    assert pickled(made) == made
    assert made != GatewayModel(model="kimi-k2.6:free")
    assert "catalog" not in made.model_dump()
    assert "catalog" not in repr(made).lower()
    assert resolve_call(made, {"temperature": 1}).parameters.keys() == {
        *("temperature", "stream_usage", "file_form", "extra_body")
    }


def test_what_a_catalog_looks_like() -> None:
    """A notebook shows the models, cheapest first, and escapes what others named."""
    priced = {"min_prompt_price": 1, "min_completion_price": 1}
    shown = Catalog.of([{"id": "a/<b>", **priced}, {"id": "c/d"}])._repr_html_()
    assert "Catalog of 2 models" in shown
    assert "<td>a/&lt;b&gt;</td><td></td><td>1</td>" in shown
