"""attribute_dict: JSON that is read by key or by attribute."""

from __future__ import annotations

import copy
import json
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from llama_index_onerouter.attribute_dict import AttributeDict, get_field, to_attribute_dict

BODY = {"usage": {"total_tokens": 3}, "choices": [{"message": {"content": "Hi"}}], "cost": None}


def test_keys_are_attributes_at_every_level() -> None:
    """Objects in lists included."""
    value = to_attribute_dict(BODY)
    assert value == BODY
    assert value.usage.total_tokens == value["usage"]["total_tokens"] == 3
    assert value.choices[0].message.content == "Hi"
    assert value.cost is None


def test_a_missing_attribute_raises_attribute_error() -> None:
    """So that `getattr` with a default and `hasattr` work."""
    value = to_attribute_dict(BODY)
    with pytest.raises(AttributeError, match="no_such_key"):
        _ = value.no_such_key
    assert getattr(value, "no_such_key", "default") == "default"
    assert not hasattr(value, "model_dump")


def test_to_attribute_dict_returns_a_deep_copy() -> None:
    """Changing the copy does not change the original."""
    value = to_attribute_dict(BODY)
    value.choices[0].message["content"] = "changed"
    value.usage.clear()
    assert BODY["usage"] == {"total_tokens": 3}
    assert BODY["choices"] == [{"message": {"content": "Hi"}}]


@pytest.mark.parametrize("value", ["text", 1, 0.5, None, True])
def test_a_scalar_is_returned_unchanged(value: Any) -> None:
    """A JSON body may be a scalar."""
    assert to_attribute_dict(value) is value


@pytest.mark.parametrize(
    "copy_value",
    [
        copy.copy,
        copy.deepcopy,
        lambda value: pickle.loads(pickle.dumps(value)),  # noqa: S301 -- a pickle of this test
    ],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_is_an_equal_attribute_dict(copy_value: Any) -> None:
    """LlamaIndex copies and pickles responses."""
    copied = copy_value(to_attribute_dict(BODY))
    assert isinstance(copied, AttributeDict)
    assert copied == BODY
    assert copied.usage.total_tokens == 3


def test_an_attribute_dict_is_json_serializable() -> None:
    """It is a dict."""
    assert json.loads(json.dumps(to_attribute_dict(BODY))) == BODY


@pytest.mark.parametrize(
    "value", [{"name": "f"}, AttributeDict(name="f"), SimpleNamespace(name="f")]
)
def test_get_field_reads_mappings_and_objects(value: Any) -> None:
    """A missing field is None."""
    assert get_field(value, "name") == "f"
    assert get_field(value, "arguments") is None
