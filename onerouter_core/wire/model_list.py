"""The gateway's model list: its entries, decoded to ModelInfo, and which of them are chat models.

This module knows every key of an entry, and how entries vary: older ones have little more than an
id, limits may be null, names of modalities and tiers are in any case. It trusts no type, and an
entry never makes it raise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from onerouter_core.model_json import without_non_finite
from onerouter_core.types import Json, ModelInfo
from onerouter_core.wire.coerce import (
    as_count,
    as_items,
    as_mapping,
    as_number,
    as_text,
    beginning_of_text,
    parse_json_bytes,
)
from onerouter_core.wire.error_bodies import decode_error

_MILLION_EXPONENT = 6  # prices in the list are USD per million tokens
_STANDARD_TIERS = (None, "standard")


def decode_model_list(body: bytes | bytearray) -> tuple[Json, ...]:
    """Return the entries of a model list: below `data`, below `models`, or a bare list.

    Raises MalformedReplyError, or the error in the body, if there is no list.
    """
    try:
        models = without_non_finite(parse_json_bytes(body))
    except ValueError:
        models = beginning_of_text(body)
    entries = as_mapping(models).get("data", as_mapping(models).get("models", models))
    if not isinstance(entries, list):
        raise decode_error(models)
    return tuple(as_items(entries))


def is_chat_model(entry: Json) -> bool:
    """Return whether chat completions can reach a model; a missing key does not exclude it."""
    return (
        bool(_model_id(entry))
        and _lower_text(entry.get("category_type")) in {None, "llm"}
        and entry.get("is_display_only") is not True
        and "openai" in (_lower_texts(entry.get("supported_endpoint_types")) or ("openai",))
    )


def decode_model_info(entry: Json) -> ModelInfo:
    """Return the ModelInfo of an entry."""
    input_price, output_price = _prices(entry)
    upstreams = as_items(entry.get("providers"))
    return ModelInfo(
        id=_model_id(entry),
        name=as_text(entry.get("display_name")) or _model_id(entry),
        context_window=_as_limit(entry.get("context_length")) or _smallest_window(upstreams),
        max_input_tokens=_as_limit(entry.get("max_input_tokens")),
        max_output_tokens=_as_limit(entry.get("max_output_tokens")),
        input_modalities=_input_modalities(entry),
        output_modalities=_lower_texts(entry.get("output_modalities")),
        tools=_as_flag(entry.get("supports_function_calling")),
        json_mode=_as_flag(entry.get("supports_json_mode")),
        streaming=_as_flag(entry.get("supports_streaming")),
        input_price=input_price,
        output_price=output_price,
        upstreams=_unique(as_text(upstream.get("provider_slug")) for upstream in upstreams),
        deprecated=entry.get("deprecated") is True,
        raw=entry,
    )


def _model_id(entry: Json) -> str:
    return as_text(entry.get("id")) or as_text(entry.get("model_id")) or ""


def _input_modalities(entry: Json) -> tuple[str, ...]:
    """Return the input modalities; some entries have images only in `supports_vision`."""
    modalities = _lower_texts(entry.get("input_modalities"))
    if entry.get("supports_vision") is True and "image" not in modalities:
        return (*(modalities or ("text",)), "image")
    return modalities


def _smallest_window(upstreams: list[Json]) -> int | None:
    """Return the smallest context window of the upstreams: any of them may serve a request."""
    windows = (_as_limit(upstream.get("context_length")) for upstream in upstreams)
    return min((window for window in windows if window is not None), default=None)


def _prices(entry: Json) -> tuple[Decimal | None, Decimal | None]:
    """Return the input and output price of the cheapest upstream of the standard tier.

    Without one, return the entry's lowest prices. These may come from two upstreams, and from a
    tier that answers late or not at all.
    """
    prices = list(_standard_prices(entry))
    if prices:
        return min(prices, key=sum)
    return _as_price(entry.get("min_prompt_price")), _as_price(entry.get("min_completion_price"))


def _standard_prices(entry: Json) -> Iterator[tuple[Decimal, Decimal]]:
    """Yield the prices of each upstream of the standard tier that has both."""
    for upstream in as_items(entry.get("providers")):
        input_price = _as_price(upstream.get("prompt_price"))
        output_price = _as_price(upstream.get("completion_price"))
        is_standard = _lower_text(upstream.get("service_tier")) in _STANDARD_TIERS
        if is_standard and input_price is not None and output_price is not None:
            yield input_price, output_price


def _as_price(value: Any) -> Decimal | None:
    """Return a price in USD per token; None for a negative number."""
    number = as_number(value)
    if number is None or number < 0:
        return None
    return Decimal(str(number)).scaleb(-_MILLION_EXPONENT).normalize()


def _as_limit(value: Any) -> int | None:
    """Return a number of tokens; None for 0 or less, which is no limit."""
    count = as_count(value)
    return count if count is not None and count > 0 else None


def _as_flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _lower_text(value: Any) -> str | None:
    """Return a string in lower case, without space around it; None for a blank or no string."""
    return value.strip().lower() or None if isinstance(value, str) else None


def _lower_texts(values: Any) -> tuple[str, ...]:
    return _unique(_lower_text(value) for value in values) if isinstance(values, list) else ()


def _unique(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
