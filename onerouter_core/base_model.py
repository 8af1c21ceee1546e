"""What both classes are: parameters, and a gateway to use them on.

This module knows that an instance may be used from many threads and loops, copied, pickled and
closed. It knows no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import Parameter, Signature, cleandoc
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr
from pydantic.fields import FieldInfo

from onerouter_core.catalog import Catalog
from onerouter_core.client_pool import ClientOwner, Clients
from onerouter_core.errors import ConfigurationError
from onerouter_core.fields import CallSettings, Parameters
from onerouter_core.gateway import Gateway
from onerouter_core.model_ids import ReplayPolicy
from onerouter_core.types import ModelInfo


class GatewayModel(ClientOwner, Parameters):
    """The fields of `Parameters`, and SDK clients that are made on first use."""

    _eq_ignored_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that are no part of what an instance is: equality looks past them."""

    catalog: Catalog | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="Where the model's limits and prices are looked up.",
    )

    replay_reasoning: ReplayPolicy = Field(
        default="same_model", description="Whose reasoning goes back to it in later turns."
    )

    _clients: Clients = PrivateAttr(default_factory=Clients)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Let `help` and editors know the fields: pydantic does so when the first instance is made.

        They are described where they are declared.
        """
        super().__pydantic_init_subclass__(**kwargs)
        cls.__signature__ = Signature(
            [_to_signature_parameter(*field) for field in cls.model_fields.items()]
        )
        if cls.__doc__:
            _model_info = "".join(map(_format_field_line, cls.model_fields.items()))
            cls.__doc__ = f"{cleandoc(cls.__doc__)}\n\nFields:\n{_model_info}"

    def open(self, overrides: Mapping[str, Any]) -> tuple[Gateway, CallSettings]:
        """Return the gateway for a call, and what to ask of it; raise ConfigurationError."""
        settings = self.resolve(overrides)
        connection = settings.connection
        if self.catalog is not None:
            connection = replace(connection, prices=self.catalog)
        return Gateway(connection, self._clients), settings

    @property
    def _model_info(self) -> ModelInfo | None:
        """What the catalogue, if there is one, says of the model."""
        return None if self.catalog is None else self.catalog.get(self.model)

    def models(self) -> Catalog:
        """Ask the gateway what models there are."""
        return Catalog.of(self.open({})[0].models())

    async def amodels(self) -> Catalog:
        """Ask the gateway what models there are."""
        return Catalog.of(await self.open({})[0].amodels())

    def __eq__(self, other: object) -> bool:
        """Compare the settings; neither use nor what was learnt by it changes an instance."""
        if type(other) is not type(self):
            return NotImplemented
        names = type(self).model_fields.keys() - self._eq_ignored_fields
        return all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[Any, Any]:
        """Refuse to pickle a client of the user's: a copy would go another way without a word."""
        for name in ("http_client", "http_async_client"):
            if getattr(self, name) is not None:
                raise ConfigurationError(f"{name} cannot be pickled: give it to the copy instead.")
        return super().__getstate__()


def _to_signature_parameter(name: str, field: FieldInfo) -> Parameter:
    default = Parameter.empty if field.is_required() else field.get_default()
    default = ... if field.default_factory else default  # made anew for each
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=field.annotation)


def _format_field_line(item: tuple[str, FieldInfo]) -> str:
    name, field = item
    if not field.description:
        return ""
    default = field.get_default()
    has_one = default is not None and not field.is_required() and field.default_factory is None
    return f"    {name}: {field.description}" + (f" [{default!r}]\n" if has_one else "\n")
