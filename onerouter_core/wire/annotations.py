"""Citations and token log probabilities of a reply.

Input are `Reply.annotations`, `Reply.logprobs` and `ReplyDelta.logprobs`, as the gateway sent
them. Both frameworks have classes of their own for the results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from onerouter_core.types import Citation, Json, TokenLogprob
from onerouter_core.wire.coerce import as_count, as_items, as_mapping, as_number, as_text

_MAX_BYTE = 255


def decode_citations(annotations: Iterable[Json]) -> Iterator[Citation]:
    """Yield a Citation for each annotation that has a URL.

    The fields of a citation are below `url_citation`, or directly in the annotation.
    """
    for annotation in annotations:
        fields = as_mapping(annotation.get("url_citation")) or annotation
        if url := as_text(fields.get("url")):
            yield Citation(
                url,
                as_text(fields.get("title")) or url,
                as_text(fields.get("content")) or "",
                as_count(fields.get("start_index")),
                as_count(fields.get("end_index")),
            )


def decode_logprobs(logprobs: Json | None) -> tuple[TokenLogprob, ...]:
    """Return the tokens of a reply, or of a delta, with their log probabilities."""
    return tuple(_decode_token(item) for item in as_items(as_mapping(logprobs).get("content")))


def _decode_token(item: Json) -> TokenLogprob:
    alternatives = as_items(item.get("top_logprobs"))
    values = item.get("bytes")
    data = values if isinstance(values, list) and all(map(_is_byte, values)) else ()
    return TokenLogprob(
        as_text(item.get("token")) or "",
        as_number(item.get("logprob")) or 0.0,
        tuple(data),
        tuple(_decode_token(alternative) for alternative in alternatives),
    )


def _is_byte(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_BYTE
