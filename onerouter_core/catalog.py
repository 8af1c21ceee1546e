"""Catalogue of the gateway's models: their limits, abilities and prices, found by id or by filter.

This module knows how model ids are written. It knows no framework and no JSON key of the API; only
`fetch`, `load` and `save` do input or output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import Self

from onerouter_core.budgets import as_usd
from onerouter_core.connection import ConnectionSettings, check_base_url
from onerouter_core.errors import ConfigurationError, ModelNotFoundError, format_validation_errors
from onerouter_core.fields import GatewayFields, resolve_call
from onerouter_core.gateway import Gateway
from onerouter_core.html_table import per_million, to_html
from onerouter_core.model_ids import bare_name
from onerouter_core.suggestions import close_matches
from onerouter_core.types import Json, ModelInfo
from onerouter_core.wire.model_list import decode_model_info, is_chat_model


class Catalog:
    """Immutable collection of models, by id.

    >>> Catalog.fetch().find(vision=True, tools=True)[0].id
    """

    __slots__ = ("_by_id",)

    def __init__(self, models: Iterable[ModelInfo] = ()) -> None:
        """Keep the models in order; of several with the same id, the first."""
        self._by_id: dict[str, ModelInfo] = {}
        for model in models:
            self._by_id.setdefault(model.id, model)

    # --- fetching, saving and loading ---

    @classmethod
    def fetch(cls, connection: ConnectionSettings | str | None = None) -> Self:
        """Fetch the gateway's model list (GET /models) and keep the chat models.

        Args:
            connection: connection settings, whose API key may be None, or the base URL. Default:
                base URL and key from the environment, as in the constructor of a model.

        Raises:
            ConfigurationError: the base URL is invalid.
            OneRouterError: the request failed.

        """
        with Gateway(_settings(connection)) as gateway:
            return cls.of(gateway.models())

    @classmethod
    async def afetch(cls, connection: ConnectionSettings | str | None = None) -> Self:
        """Fetch the gateway's model list; the async variant of `fetch`."""
        async with Gateway(_settings(connection)) as gateway:
            return cls.of(await gateway.amodels())

    @classmethod
    def of(cls, entries: Iterable[Json]) -> Self:
        """Return the catalogue of the chat models among entries of the gateway's model list."""
        return cls(decode_model_info(entry) for entry in entries if is_chat_model(entry))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file of `save`; raise ConfigurationError if it is another one, or OSError."""
        try:
            return cls(_models_adapter().validate_json(Path(path).read_bytes()))
        except ValidationError as error:
            raise ConfigurationError(
                f"{path} is not a saved catalogue: {format_validation_errors(error)}"
            ) from None

    def save(self, path: str | Path) -> None:
        """Write all models to a JSON file; raise OSError."""
        Path(path).write_bytes(_models_adapter().dump_json(tuple(self), indent=1))

    # --- finding a model ---

    def __getitem__(self, model_id: str) -> ModelInfo:
        """Return a model, as `get` does; raise ModelNotFoundError, which suggests similar ids."""
        model = self.get(model_id)
        if model is None:
            similar = " or ".join(map(repr, self._similar_ids(model_id)))
            hint = f" Did you mean {similar}?" if similar else ""
            raise ModelNotFoundError(f"The catalogue has no such model.{hint}", model=model_id)
        return model

    def get(self, model_id: str) -> ModelInfo | None:
        """Return a model, or None.

        The id may also have a variant (":free") or a version ("@20240620") that the listed id has
        not, and may lack the vendor if only one vendor has a model of that name.
        """
        for candidate in _id_candidates(model_id):
            if candidate in self._by_id:
                return self._by_id[candidate]
            namesakes = [model for model in self if bare_name(model.id) == candidate]
            if len(namesakes) == 1:
                return namesakes[0]
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
        """Return the models that meet all conditions, cheapest first; no deprecated ones.

        A model whose entry does not tell an ability meets neither True nor False.

        Args:
            text: words that must all be in id or name, in any case and order.
            vision: whether the model reads images.
            tools: whether the model can call tools.
            free: whether the model costs nothing.
            max_price: highest price in USD per million tokens, for input and for output, from 0.

        Raises:
            ConfigurationError: max_price is not a number, or below 0.

        """
        limit = None if max_price is None else as_usd(max_price, "max_price").scaleb(-6)
        matches = (
            model
            for model in self
            if not model.deprecated
            and (text is None or _matches_text(model, text))
            and (vision is None or model.vision is vision)
            and (tools is None or model.tools is tools)
            and (free is None or model.free is free)
            and (limit is None or _is_within_price(model, limit))
        )
        return tuple(sorted(matches, key=_price_sort_key))

    def _similar_ids(self, model_id: str) -> list[str]:
        """Return up to three ids that resemble this one, with or without their vendor."""
        ids_by_spelling: dict[str, list[str]] = {}
        for listed_id in self._by_id:
            for spelling in {listed_id.lower(), bare_name(listed_id).lower()}:
                ids_by_spelling.setdefault(spelling, []).append(listed_id)
        close = close_matches(model_id.lower(), ids_by_spelling)
        similar = (listed_id for spelling in close for listed_id in ids_by_spelling[spelling])
        return list(dict.fromkeys(similar))[:3]

    # --- collection, equality and copies ---

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
        """Return a table of the models, cheapest first, for notebooks."""
        head = ("model", "context", "input, USD per million tokens", "output", "modalities")
        rows = (
            (
                *(m.id, m.context_window),
                *(per_million(price) for price in (m.input_price, m.output_price)),
                ", ".join(m.input_modalities),
            )
            for m in self.find()
        )
        return to_html(repr(self)[1:-1], head, rows)


def _settings(connection: ConnectionSettings | str | None) -> ConnectionSettings:
    """Return connection settings; without any, those of a model without arguments."""
    match connection:
        case None:
            return resolve_call(GatewayFields(model="-")).connection
        case str():  # the key of the environment is for another address
            return ConnectionSettings(base_url=check_base_url(connection))
        case _:
            return connection


@cache
def _models_adapter() -> TypeAdapter[tuple[ModelInfo, ...]]:
    return TypeAdapter(tuple[ModelInfo, ...])


def _id_candidates(model_id: str) -> dict[str, None]:
    """Return an id as it is, without its variant, and without its version, in this order."""
    without_variant = model_id.partition(":")[0]
    return dict.fromkeys((model_id, without_variant, without_variant.partition("@")[0]))


def _matches_text(model: ModelInfo, text: str) -> bool:
    searched = f"{model.id} {model.name}".lower()
    return all(word in searched for word in text.lower().split())


def _is_within_price(model: ModelInfo, limit: Decimal) -> bool:
    prices = (model.input_price, model.output_price)
    return all(price is not None and price <= limit for price in prices)


def _price_sort_key(model: ModelInfo) -> tuple[bool, Decimal, str]:
    """Sort by price, models of unknown price last, then by id."""
    return model.price is None, model.price or Decimal(0), model.id
