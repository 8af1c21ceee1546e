"""Base class of both framework classes: copies, equality, closing, help and signature."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from onerouter_core import Catalog, GatewayModel, ModelInfo, resolve_call
from onerouter_core.errors import ConfigurationError
from onerouter_simulator import Simulator

KEY = "sk-very-secret-0123456789"


def new_model(**changes: Any) -> GatewayModel:
    """Return an instance with a value in each kind of field."""
    fields = {"model": "m", "api_key": KEY, "default_headers": {"a": "1"}, "stop": ["x"]}
    return GatewayModel(**{**fields, "provider": {"order": ["a"]}, **changes})


def pickle_copy(value: Any) -> Any:
    """Return a copy that went through pickle."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 -- bytes of this process


# --- copies and equality ---


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, pickle_copy])
def test_a_copy_equals_its_original(make_copy: Callable[[Any], Any]) -> None:
    """The key is copied, too, and the original is unchanged."""
    original = new_model()
    duplicate = make_copy(original)
    assert original == duplicate == new_model()
    assert duplicate.api_key == SecretStr(KEY)


def test_instances_with_different_fields_or_classes_are_unequal() -> None:
    """Like other mutable values, instances have no hash."""

    class Child(GatewayModel):
        pass

    assert new_model() != new_model(temperature=1)
    assert GatewayModel(model="m") != Child(model="m")
    assert new_model() != object()
    with pytest.raises(TypeError, match="unhashable"):
        hash(new_model())


def test_a_deep_copy_shares_the_users_http_client() -> None:
    """It cannot be copied; everything else is."""
    client = object()
    original = new_model(http_client=client, extra_body={"a": []})
    duplicate = copy.deepcopy(original)
    assert duplicate.http_client is client
    assert duplicate.extra_body is not original.extra_body


@pytest.mark.parametrize("name", ["http_client", "http_async_client"])
def test_an_instance_with_a_users_http_client_is_not_pickled(name: str) -> None:
    """The copy would silently use another client."""
    with pytest.raises(ConfigurationError, match=f"{name} cannot be pickled"):
        pickle.dumps(new_model(**{name: object()}))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_use_and_closing_change_no_field(sim: Simulator, mode: str) -> None:
    """A used and closed instance equals its earlier copy; it and its copies work again."""
    model = GatewayModel(model="m", api_key=sim.api_key, base_url=sim.base_url)
    before = copy.deepcopy(model)

    async def list_models_async(instance: GatewayModel) -> Catalog:
        async with instance:
            return await instance.amodels()

    def list_models(instance: GatewayModel) -> Catalog:
        if mode == "async":
            return asyncio.run(list_models_async(instance))
        with instance:
            return instance.models()

    for instance in (model, model, copy.deepcopy(model), pickle_copy(model)):
        assert len(list_models(instance))
        assert instance == before


# --- catalogue ---


def test_a_catalog_is_a_field_that_is_neither_shown_nor_sent() -> None:
    """It is part of the instance's value, and shared by copies."""
    catalog = Catalog([ModelInfo("vendor/m")])
    model = GatewayModel(model="m:free", catalog=catalog)
    assert model.catalog is catalog
    assert copy.deepcopy(model).catalog is catalog
    assert pickle_copy(model) == model
    assert model != GatewayModel(model="m:free")
    assert "catalog" not in model.model_dump()
    assert "catalog" not in repr(model).lower()
    assert "catalog" not in resolve_call(model, {"temperature": 1}).parameters


# --- help and signature ---


def test_help_lists_the_fields_with_description_and_default() -> None:
    """The text is the docstring under the field."""

    class Model(GatewayModel):
        """Some model."""

    doc = Model.__doc__ or ""
    assert doc.startswith("Some model.\n\nFields:\n")
    assert "    temperature: Sampling temperature (0 to 2): 0 picks the likeliest token" in doc
    assert "a call sends at most max_retries + 1. [2]\n" in doc


def test_the_signature_has_the_fields_before_the_first_instance() -> None:
    """Editors show it; pydantic builds its own with the first instance only."""

    class Model(GatewayModel):
        pass

    parameters = inspect.signature(Model).parameters
    assert {"model", "timeout", "catalog"} <= parameters.keys()
    assert parameters["model"].default is inspect.Parameter.empty
    assert parameters["max_retries"].default == 2


def test_a_subclass_with_its_own_init_keeps_its_signature() -> None:
    """And so does a subclass of it."""

    class Tenant(GatewayModel):
        def __init__(self, tenant: str, *, model: str = "a/b") -> None:
            super().__init__(model=model, user=tenant)

    class Child(Tenant):
        pass

    for cls in (Tenant, Child):
        assert list(inspect.signature(cls).parameters) == ["tenant", "model"]
        assert cls("t").user == "t"
