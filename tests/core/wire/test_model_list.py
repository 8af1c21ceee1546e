"""The gateway's model list: entries decoded to ModelInfo, and which are chat models."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onerouter_core import ModelInfo
from onerouter_core.errors import InsufficientCreditsError, MalformedReplyError
from onerouter_core.wire.model_list import decode_model_info, decode_model_list, is_chat_model
from tests.core.generated import values
from tests.core.payloads import FULL_MODEL_ENTRY, MINIMAL_MODEL_ENTRY


def upstream(input_price: Any, output_price: Any, **fields: Any) -> dict[str, Any]:
    """Return an upstream with these prices in USD per million tokens."""
    return {"prompt_price": input_price, "completion_price": output_price, **fields}


# --- the list ---


@pytest.mark.parametrize(
    "models",
    [
        {"data": [{"id": "m", "context_length": None}], "success": True},
        {"models": [{"id": "m"}]},
        [{"id": "m"}, None, "x"],
    ],
    ids=["data", "models", "bare"],
)
def test_quirk_13_a_model_list_may_have_any_envelope(models: Any) -> None:
    """Entries are returned as they are; items that are no objects are skipped."""
    entries = decode_model_list(json.dumps(models).encode())
    assert [entry["id"] for entry in entries] == ["m"]


@pytest.mark.parametrize("body", [b'{"data": null}', b"{}", b"<title>no</title>", b"5"])
def test_quirk_13_a_body_without_a_list_is_malformed(body: bytes) -> None:
    """It is no empty list."""
    with pytest.raises(MalformedReplyError):
        decode_model_list(body)


def test_an_error_in_place_of_a_list_is_raised() -> None:
    """The gateway may send it with status 200."""
    with pytest.raises(InsufficientCreditsError, match="used up"):
        decode_model_list(b'{"error": {"message": "Your credits are used up", "code": 402}}')


# --- an entry ---


def test_a_full_entry_is_decoded() -> None:
    """Every field of ModelInfo has its value."""
    assert decode_model_info(FULL_MODEL_ENTRY) == ModelInfo(
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
        raw=FULL_MODEL_ENTRY,
    )


def test_missing_keys_are_none() -> None:
    """They are not False; the name is the id."""
    model = decode_model_info(MINIMAL_MODEL_ENTRY)
    assert model == ModelInfo(
        "claude-3-5-sonnet", name="claude-3-5-sonnet", raw=MINIMAL_MODEL_ENTRY
    )
    assert (model.vision, model.free, model.price, model.tools) == (None, None, None, None)


@pytest.mark.parametrize(
    ("fields", "prices"),
    [
        ({"providers": [upstream(2, 3), upstream("1", "2.5"), upstream(9, 9)]}, ("1e-6", "2.5e-6")),
        ({"providers": [upstream(1, 1, service_tier="Flex"), upstream(2, 2)]}, ("2e-6", "2e-6")),
        (
            {"providers": [upstream(1, 1, service_tier="priority"), upstream(2, 2)]},
            ("2e-6", "2e-6"),
        ),
        ({"providers": [upstream(1, 1, service_tier=" Standard ")]}, ("1e-6", "1e-6")),
        ({"providers": [upstream(1, 1, service_tier="")]}, ("1e-6", "1e-6")),
        ({"min_prompt_price": "0.5", "min_completion_price": None}, ("0.5e-6", None)),
        (
            {
                "providers": [upstream(1, 1, service_tier="flex")],
                "min_prompt_price": 3,
                "min_completion_price": 0,
            },
            ("3e-6", "0"),
        ),
        (
            {"providers": [upstream(1, None), upstream(-1, -1)], "min_prompt_price": 7},
            ("7e-6", None),
        ),
        (
            {"providers": "many", "min_prompt_price": "a lot", "min_completion_price": -1},
            (None, None),
        ),
        ({"providers": [None, 5, upstream(True, float("nan"))]}, (None, None)),
        ({"min_prompt_price": {}}, (None, None)),
    ],
    ids=[
        *(
            "cheapest upstream",
            "flex tier",
            "priority tier",
            "tier in any case",
            "blank tier",
            "one lowest price",
        ),
        *("no standard tier", "incomplete prices", "no numbers", "no prices", "no number"),
    ],
)
def test_prices_are_those_of_the_cheapest_standard_upstream(
    fields: dict[str, Any], prices: tuple[str | None, str | None]
) -> None:
    """In USD per token; without such an upstream the lowest prices of the entry count."""
    model = decode_model_info({"id": "m", **fields})
    expected = tuple(None if price is None else Decimal(price) for price in prices)
    assert (model.input_price, model.output_price) == expected


def test_a_price_has_no_superfluous_digits() -> None:
    """No price is 0, not 0E-7; others have the digits that the gateway sent."""
    free = decode_model_info({"id": "m", "providers": [upstream(0, 0.1)]})
    assert (str(free.input_price), str(free.output_price)) == ("0", "1E-7")


@pytest.mark.parametrize(
    ("fields", "window"),
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
def test_the_context_window_is_the_models_or_the_smallest_of_its_upstreams(
    fields: dict[str, Any], window: int | None
) -> None:
    """0 and values of another type are no window."""
    assert decode_model_info({"id": "m", **fields}).context_window == window


@pytest.mark.parametrize(
    ("fields", "modalities", "vision"),
    [
        ({"input_modalities": ["TEXT", " Image "]}, ("text", "image"), True),
        ({"input_modalities": ["Text", None, "", 5]}, ("text",), False),
        ({"input_modalities": ["text"], "supports_vision": True}, ("text", "image"), True),
        ({"supports_vision": True}, ("text", "image"), True),
        ({"supports_vision": False}, (), None),
        ({"input_modalities": "text"}, (), None),
    ],
)
def test_modalities_are_in_lower_case_and_include_vision(
    fields: dict[str, Any], modalities: Any, vision: bool | None
) -> None:
    """An entry may have images in the list, in the flag, or in both."""
    model = decode_model_info({"id": "m", **fields})
    assert (model.input_modalities, model.vision) == (modalities, vision)


# --- chat models ---


@pytest.mark.parametrize(
    "fields",
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
def test_a_model_is_a_chat_model_unless_a_key_excludes_it(fields: dict[str, Any]) -> None:
    """Missing and empty keys do not; its id may be in `model_id`."""
    assert is_chat_model({"id": "m", **fields})
    assert decode_model_info({"id": "m", **fields}).id == "m"


@pytest.mark.parametrize(
    "fields",
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
def test_other_models_are_no_chat_models(fields: dict[str, Any]) -> None:
    """Another category or endpoint, an entry for display only, an entry without an id."""
    assert not is_chat_model({"id": "m", **fields})


@settings(max_examples=100, deadline=None)
@given(
    entry=st.dictionaries(
        st.sampled_from([*FULL_MODEL_ENTRY, *FULL_MODEL_ENTRY["providers"][0], "model_id"]),
        values
        | st.lists(st.dictionaries(st.sampled_from([*FULL_MODEL_ENTRY["providers"][0]]), values)),
    )
)
def test_an_entry_with_any_values_is_decoded(entry: dict[str, Any]) -> None:
    """No entry raises, and prices and limits are never negative."""
    assert is_chat_model(entry) in (True, False)
    model = decode_model_info(entry)
    assert model.raw == entry
    numbers = (model.context_window, model.max_output_tokens, model.input_price, model.output_price)
    assert all(number is None or number >= 0 for number in numbers)
