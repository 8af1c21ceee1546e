"""Base class of both framework classes: the gateway fields, and a gateway to call with them.

Instances can be used from many threads and event loops, copied, pickled, compared and closed. No
framework is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import Parameter, Signature, cleandoc, signature
from typing import Any, ClassVar, TypeVar

from pydantic import Field, PrivateAttr
from pydantic.fields import FieldInfo

from onerouter_core.catalog import Catalog
from onerouter_core.client_pool import ClientOwner, Clients
from onerouter_core.errors import ConfigurationError, OneRouterError
from onerouter_core.fields import CallSettings, GatewayFields, resolve_call
from onerouter_core.gateway import Gateway
from onerouter_core.model_ids import ReplayPolicy
from onerouter_core.types import ModelInfo, Reply

E = TypeVar("E", bound=OneRouterError)


class GatewayModel(ClientOwner, GatewayFields):
    """Gateway fields, and SDK clients that are created on first use."""

    _eq_ignored_fields: ClassVar[frozenset[str]] = frozenset()
    """Names of fields that equality ignores."""

    catalog: Catalog | None = Field(default=None, exclude=True, repr=False)
    """Model catalogue to look up the model's limits and prices in."""

    replay_reasoning: ReplayPolicy = Field(default="same_model")
    """Assistant messages whose reasoning is sent back in later turns: those of the model that is
    called now ("same_model"), all ("always"), or none ("never")."""

    _clients: Clients = PrivateAttr(default_factory=Clients)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Give `help` and editors the fields at once; pydantic does so with the first instance."""
        super().__pydantic_init_subclass__(**kwargs)
        cls.__signature__ = _signature_of(cls)
        if cls.__doc__:
            lines = "".join(map(_format_field_line, cls.model_fields.items()))
            cls.__doc__ = f"{cleandoc(cls.__doc__)}\n\nFields:\n{lines}"

    def model_post_init(self, context: Any, /) -> None:
        """Call the framework's own: the one that pydantic makes for private attributes does not."""
        super().model_post_init(context)

    def _prepare_call(self, overrides: Mapping[str, Any]) -> tuple[Gateway, CallSettings]:
        """Return the gateway and the settings of one call; raise ConfigurationError."""
        settings = resolve_call(self, overrides)
        connection = settings.connection
        if self.catalog is not None:
            connection = replace(connection, prices=self.catalog)
        return Gateway(connection, self._clients), settings

    @property
    def model_name(self) -> str:
        """Model id: the name that other classes give to `model`."""
        return self.model

    @property
    def _model_info(self) -> ModelInfo | None:
        """The catalogue's entry for the model; None without a catalogue or an entry."""
        return None if self.catalog is None else self.catalog.get(self.model)

    def _redact_error(self, error: E) -> E:
        """Remove the secrets that were sent from an error about an answer; return the error."""
        return self._clients.sent_secrets.redact(error)

    def _raw_json(self, reply: Reply) -> dict[str, Any]:
        """Return the JSON of a reply without the secrets that were sent."""
        return dict(self._clients.sent_secrets.redact_json(reply.raw))

    def models(self) -> Catalog:
        """Fetch the gateway's model list; raise OneRouterError."""
        return Catalog.of(self._prepare_call({})[0].models())

    async def amodels(self) -> Catalog:
        """Fetch the gateway's model list; raise OneRouterError."""
        return Catalog.of(await self._prepare_call({})[0].amodels())

    def __eq__(self, other: object) -> bool:
        """Compare the fields; clients and remembered methods are no part of an instance's value."""
        if type(other) is not type(self):
            return NotImplemented
        names = type(self).model_fields.keys() - self._eq_ignored_fields
        return all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[Any, Any]:
        """Refuse to pickle the user's own HTTP client: a copy would silently use another one."""
        for name in ("http_client", "http_async_client"):
            if getattr(self, name) is not None:
                raise ConfigurationError(f"{name} cannot be pickled: give it to the copy instead.")
        return super().__getstate__()


def _signature_of(cls: type[GatewayModel]) -> Signature:
    """Return the constructor's signature: the fields, unless a subclass has its own `__init__`."""
    owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
    if issubclass(owner, GatewayModel):
        _, *parameters = signature(owner.__init__).parameters.values()  # without self
        return Signature(parameters)
    return Signature([_to_signature_parameter(*field) for field in cls.model_fields.items()])


def _to_signature_parameter(name: str, field: FieldInfo) -> Parameter:
    default = Parameter.empty if field.is_required() else field.get_default()
    default = ... if field.default_factory else default  # a new value for each instance
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=field.annotation)


def _format_field_line(item: tuple[str, FieldInfo]) -> str:
    name, field = item
    if not field.description:
        return ""
    description = " ".join(field.description.split())
    default = field.get_default()
    has_one = default is not None and not field.is_required() and field.default_factory is None
    return f"    {name}: {description}" + (f" [{default!r}]\n" if has_one else "\n")
