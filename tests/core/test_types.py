"""Value types: immutable, comparable, and derived values of a model's entry."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields
from decimal import Decimal
from typing import Any

import pytest

from onerouter_core import (
    CacheControl,
    Image,
    Message,
    ModelInfo,
    Reply,
    ReplyDelta,
    Request,
    Text,
    Tool,
    Usage,
)

VALUES = [
    Text("Hi", CacheControl("5m")),
    Image(url="https://a/b.png"),
    Message("user", (Text("Hi"),)),
    Tool("f", parameters={"type": "object"}),
    Request("m", (Message("user"),), parameters={"seed": 1}),
    Reply("Hi", usage=Usage(1, 2, 3)),
    ModelInfo("a/b", input_price=Decimal("1e-6")),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_immutable_and_survives_pickle(value: Any) -> None:
    """Values are shared between threads, and sent to other processes."""
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, "other")
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 -- bytes of this process


def test_default_mappings_are_not_shared() -> None:
    """Each reply has its own."""
    assert Reply().raw is not Reply().raw


def test_an_empty_delta_is_a_tuple_of_falsy_values() -> None:
    """The decoder leaves such deltas out."""
    assert not any(ReplyDelta())
    assert any(ReplyDelta(text="a"))


@pytest.mark.parametrize(
    ("modalities", "vision"),
    [((), None), (("text",), False), (("text", "image"), True)],
)
def test_vision_follows_from_the_input_modalities(
    modalities: tuple[str, ...], *, vision: bool | None
) -> None:
    """Without modalities it is unknown."""
    assert ModelInfo("m", input_modalities=modalities).vision is vision


@pytest.mark.parametrize(
    ("input_price", "output_price", "price", "free"),
    [
        (None, None, None, None),
        ("1e-6", None, None, None),
        (None, "1e-6", None, None),
        ("1e-6", "2e-6", "3e-6", False),
        ("0", "0", "0", True),
    ],
)
def test_price_and_free_need_both_prices(
    input_price: str | None, output_price: str | None, price: str | None, *, free: bool | None
) -> None:
    """USD per token; the sum of both is for comparing models."""
    prices = [None if value is None else Decimal(value) for value in (input_price, output_price)]
    model = ModelInfo("m", input_price=prices[0], output_price=prices[1])
    assert model.price == (None if price is None else Decimal(price))
    assert model.free is free
