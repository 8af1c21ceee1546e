"""What models there are, what they can do and what they cost.

This module knows how models are named and found. It knows no framework and no JSON key, and does
no input or output unless asked by `fetch`, `load` or `save`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import Self

from onerouter_core.connection import ConnectionSettings
from onerouter_core.errors import ConfigurationError, ModelNotFoundError, format_validation_errors
from onerouter_core.fields import GatewayFields, resolve_call
from onerouter_core.gateway import Gateway
from onerouter_core.html_table import per_million, to_html
from onerouter_core.ledger import as_usd
from onerouter_core.types import Json, ModelInfo
from onerouter_core.wire.model_list import decode_model_info, is_chat_model


class Catalog:
    """Models by their ids; a value that never changes.

    >>> Catalog.fetch().find(vision=True, tools=True)[0].id
    """

    __slots__ = ("_by_id",)

    def __init__(self, models: Iterable[ModelInfo] = ()) -> None:
        """Hold models; of those with one id, the first."""
        self._by_id: dict[str, ModelInfo] = {}
        for model in models:
            self._by_id.setdefault(model.id, model)

    # --- where it comes from, and where it is kept ---

    @classmethod
    def fetch(cls, connection: ConnectionSettings | None = None) -> Self:
        """Ask the gateway, by default the environment's; no key is needed."""
        with Gateway(connection or _from_environment()) as gateway:
            return cls.of(gateway.models())

    @classmethod
    async def afetch(cls, connection: ConnectionSettings | None = None) -> Self:
        """Ask the gateway, by default the environment's; no key is needed."""
        async with Gateway(connection or _from_environment()) as gateway:
            return cls.of(await gateway.amodels())

    @classmethod
    def of(cls, entries: Iterable[Json]) -> Self:
        """Return the models to chat with in a list as the gateway sends it."""
        return cls(decode_model_info(entry) for entry in entries if is_chat_model(entry))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; raise ConfigurationError if it is something else."""
        try:
            return cls(_models_adapter().validate_json(Path(path).read_bytes()))
        except ValidationError as error:
            raise ConfigurationError(
                f"No catalogue in {path}: {format_validation_errors(error)}"
            ) from None

    def save(self, path: str | Path) -> None:
        """Write all models to a JSON file."""
        Path(path).write_bytes(_models_adapter().dump_json(tuple(self), indent=1))

    # --- finding a model ---

    def __getitem__(self, model_id: str) -> ModelInfo:
        """Return what `get` does; raise ModelNotFoundError, which says what is called alike."""
        found = self.get(model_id)
        if found is None:
            alike = " or ".join(map(repr, self._similar_ids(model_id)))
            raise ModelNotFoundError(
                "The catalogue has no such model." + (f" Did you mean {alike}?" if alike else ""),
                model=model_id,
            )
        return found

    def get(self, model_id: str) -> ModelInfo | None:
        """Return a model, or None.

        An id that is not listed may be one with a variant (`:free`), a version (`@20240620`), or
        without its vendor, if only one vendor has a model of that name.
        """
        for spelling in _id_candidates(model_id):
            if spelling in self._by_id:
                return self._by_id[spelling]
            named = [model for model in self if _model_name(model.id) == spelling]
            if len(named) == 1:
                return named[0]
        return None

    def find(
        self,
        *,
        text: str | None = None,
        vision: bool | None = None,
        tools: bool | None = None,
        free: bool | None = None,
        max_price: Decimal | float | str | None = None,
    ) -> tuple[ModelInfo, ...]:
        """Return the models that fit, cheapest first; deprecated ones never do.

        All words of `text` must be in id or name. A model that does not say whether it can is
        found neither by True nor by False. `max_price` is in USD per token, in and out alike.
        """
        limit = None if max_price is None else as_usd(max_price, "max_price")
        fitting = (
            model
            for model in self
            if not model.deprecated
            and (text is None or _matches_text(model, text))
            and (vision is None or model.vision is vision)
            and (tools is None or model.tools is tools)
            and (free is None or model.free is free)
            and (limit is None or _is_within_price(model, limit))
        )
        return tuple(sorted(fitting, key=_price_sort_key))

    def _similar_ids(self, model_id: str) -> list[str]:
        """Return up to three ids that are spelled like this one, with or without the vendor."""
        spelled: dict[str, list[str]] = {}
        for listed in self._by_id:
            for spelling in {listed.lower(), _model_name(listed).lower()}:
                spelled.setdefault(spelling, []).append(listed)
        close = difflib.get_close_matches(model_id.lower(), spelled)
        return list(dict.fromkeys(listed for match in close for listed in spelled[match]))[:3]

    # --- a collection as a value ---

    def __iter__(self) -> Iterator[ModelInfo]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, model: object) -> bool:
        if isinstance(model, str):
            return self.get(model) is not None
        return isinstance(model, ModelInfo) and self._by_id.get(model.id) == model

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Catalog):
            return NotImplemented
        return self._by_id == other._by_id

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} models>"

    def _repr_html_(self) -> str:
        """Show what can be chosen from, cheapest first, in a notebook."""
        head = ("model", "context", "in, USD per million tokens", "out", "takes")
        rows = (
            (
                *(m.id, m.context_window),
                *(per_million(price) for price in (m.input_price, m.output_price)),
                ", ".join(m.input_modalities),
            )
            for m in self.find()
        )
        return to_html(repr(self)[1:-1], head, rows)


def _from_environment() -> ConnectionSettings:
    """Return the connection settings of a model with nothing set."""
    return resolve_call(GatewayFields(model="-")).connection


@cache
def _models_adapter() -> TypeAdapter[tuple[ModelInfo, ...]]:
    return TypeAdapter(tuple[ModelInfo, ...])


def _id_candidates(model_id: str) -> dict[str, None]:
    """Return an id as it is, without its variant, and without its version, in this order."""
    plain = model_id.partition(":")[0]
    return dict.fromkeys((model_id, plain, plain.partition("@")[0]))


def _model_name(model_id: str) -> str:
    """Return an id without its vendor; some names have slashes of their own."""
    vendor, _, name = model_id.partition("/")
    return name or vendor


def _matches_text(model: ModelInfo, text: str) -> bool:
    said = f"{model.id} {model.name}".lower()
    return all(word in said for word in text.lower().split())


def _is_within_price(model: ModelInfo, limit: Decimal) -> bool:
    prices = (model.input_price, model.output_price)
    return all(price is not None and price <= limit for price in prices)


def _price_sort_key(model: ModelInfo) -> tuple[bool, Decimal, str]:
    """Sort by price, the unpriced last, then by id."""
    return model.price is None, model.price or Decimal(0), model.id
