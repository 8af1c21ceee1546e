"""Templates: copies that are equal to constructed instances, and the constructor where none is."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from onerouter_core import ModelTemplate


class Plain(BaseModel):
    """Model with a container, an optional and a computed-by-default field."""

    text: str
    tags: list[str] = Field(default_factory=list)
    note: str | None = None


class Open(Plain):
    """Model that takes values of any name."""

    model_config = ConfigDict(extra="allow")


class Counted(Plain):
    """Model with a field that its validator computes."""

    length: int = 0

    @model_validator(mode="after")
    def count(self) -> Counted:
        """Compute the length."""
        self.length = len(self.text)
        return self


class Remembering(Plain):
    """Model that keeps a private value of its own."""

    _seen: list[str] = PrivateAttr(default_factory=list)

    def model_post_init(self, _: Any) -> None:
        """Remember the text."""
        self._seen.append(self.text)


FIRST, OTHER = {"text": "a"}, {"text": "bcd"}


def stored(model: BaseModel) -> tuple[Any, ...]:
    """Return all that pydantic stores of an instance."""
    return vars(model), model.model_fields_set, model.model_extra, model.__pydantic_private__


@pytest.mark.parametrize("model_class", [Plain, Open, Counted, Remembering])
@pytest.mark.parametrize("values", [FIRST, OTHER, {"text": ""}])
def test_an_instance_is_equal_to_a_constructed_one(
    model_class: type[Plain], values: dict[str, str]
) -> None:
    """In all that pydantic stores, as JSON, and pickled; also where a field is computed."""
    new, expected = ModelTemplate(model_class, FIRST, OTHER).new(**values), model_class(**values)
    assert new == expected
    assert stored(new) == stored(expected)
    assert new.model_dump_json() == expected.model_dump_json()
    assert new.model_dump(exclude_unset=True) == expected.model_dump(exclude_unset=True)
    assert repr(new) == repr(expected)
    for twin in (pickle.loads(pickle.dumps(new)), copy.deepcopy(new), new.model_copy()):  # noqa: S301
        assert stored(twin) == stored(expected)


def test_two_instances_share_nothing_that_can_change() -> None:
    """Neither lists nor the set of given fields, with each other or with the template."""
    template = ModelTemplate(Open, FIRST, OTHER)
    one = template.new(text="one")
    one.tags.append("x")
    one.note = "given"
    one.model_fields_set.add("more")
    one.unknown = 1  # type: ignore[attr-defined]
    assert stored(template.new(text="two")) == stored(Open(text="two"))


@pytest.mark.parametrize(
    ("model_class", "validates"),
    [(Plain, False), (Open, False), (Counted, True), (Remembering, True)],
)
def test_the_constructor_is_used_where_a_copy_would_differ(
    model_class: type[Plain], *, validates: bool
) -> None:
    """A copy takes an invalid value as it is; the constructor refuses it."""
    new = ModelTemplate(model_class, FIRST, OTHER).new
    if validates:
        with pytest.raises(ValueError, match="text"):
            new(text=["no text"])
    else:
        assert new(text=["no text"]).text == ["no text"]  # type: ignore[comparison-overlap]
