"""An entry of the gateway's model list to a ModelInfo, and whether it is a model to chat with.

This module knows every key of an entry, and how entries vary: older ones have an id and little
else, limits may be null, words are in any case. It trusts no type and never raises. It knows no
framework and no transport.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from onerouter_core.types import Json, ModelInfo
from onerouter_core.wire.coerce import as_count, as_items, as_number, as_text

_PRICED_PER = 6  # the list is in USD per million tokens: a million is ten to this power
_ORDINARY_TIERS = (None, "standard")


def is_chat_model(entry: Json) -> bool:
    """Tell whether an entry is a model that chat completions reach; silence means it is."""
    return (
        bool(_model_id(entry))
        and _lower_word(entry.get("category_type")) in {None, "llm"}
        and entry.get("is_display_only") is not True
        and "openai" in (_lower_words(entry.get("supported_endpoint_types")) or ("openai",))
    )


def decode_model_info(entry: Json) -> ModelInfo:
    """Return what an entry says of a model."""
    input_price, output_price = _prices(entry)
    offers = as_items(entry.get("providers"))
    return ModelInfo(
        id=_model_id(entry),
        name=as_text(entry.get("display_name")) or _model_id(entry),
        context_window=_as_limit(entry.get("context_length")) or _smallest_window(offers),
        max_input_tokens=_as_limit(entry.get("max_input_tokens")),
        max_output_tokens=_as_limit(entry.get("max_output_tokens")),
        input_modalities=_input_modalities(entry),
        output_modalities=_lower_words(entry.get("output_modalities")),
        tools=_as_flag(entry.get("supports_function_calling")),
        json_mode=_as_flag(entry.get("supports_json_mode")),
        streaming=_as_flag(entry.get("supports_streaming")),
        input_price=input_price,
        output_price=output_price,
        upstreams=_unique(as_text(offer.get("provider_slug")) for offer in offers),
        deprecated=entry.get("deprecated") is True,
        raw=entry,
    )


def _model_id(entry: Json) -> str:
    return as_text(entry.get("id")) or as_text(entry.get("model_id")) or ""


def _input_modalities(entry: Json) -> tuple[str, ...]:
    """Return what it takes: a list, and a flag that says once more whether images are in it."""
    said = _lower_words(entry.get("input_modalities"))
    if entry.get("supports_vision") is True and "image" not in said:
        return (*(said or ("text",)), "image")
    return said


def _smallest_window(offers: list[Json]) -> int | None:
    """Return the window that all upstreams have: any of them may serve."""
    windows = (_as_limit(offer.get("context_length")) for offer in offers)
    return min((window for window in windows if window is not None), default=None)


def _prices(entry: Json) -> tuple[Decimal | None, Decimal | None]:
    """Return the prices of the cheapest ordinary offer, else the lowest there are.

    The lowest may be two upstreams', and of a tier that answers late or not at all.
    """
    offers = list(_ordinary_offers(entry))
    if offers:
        return min(offers, key=sum)
    return _as_price(entry.get("min_prompt_price")), _as_price(entry.get("min_completion_price"))


def _ordinary_offers(entry: Json) -> Iterator[tuple[Decimal, Decimal]]:
    for offer in as_items(entry.get("providers")):
        prompt, completion = (
            _as_price(offer.get("prompt_price")),
            _as_price(offer.get("completion_price")),
        )
        ordinary = _lower_word(offer.get("service_tier")) in _ORDINARY_TIERS
        if ordinary and prompt is not None and completion is not None:
            yield prompt, completion


def _as_price(value: Any) -> Decimal | None:
    """Return USD per token; less than nothing is no price."""
    number = as_number(value)
    if number is None or number < 0:
        return None
    return Decimal(str(number)).scaleb(-_PRICED_PER).normalize()


def _as_limit(value: Any) -> int | None:
    """Return a number of tokens; none at all is no limit."""
    count = as_count(value)
    return count if count is not None and count > 0 else None


def _as_flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _lower_word(value: Any) -> str | None:
    """Return a word in lower case, or None for a blank."""
    return value.strip().lower() or None if isinstance(value, str) else None


def _lower_words(values: Any) -> tuple[str, ...]:
    return _unique(_lower_word(value) for value in values) if isinstance(values, list) else ()


def _unique(values: Iterator[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
