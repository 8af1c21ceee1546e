"""What few answers have: citations, and the log probabilities of tokens.

This module reads them out of `Reply.annotations`, `Reply.logprobs` and `Piece.logprobs`, for a
framework that has classes of its own for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from onerouter_core.types import Citation, Json, TokenLogprob
from onerouter_core.wire.coerce import as_count, as_items, as_mapping, as_number, as_text


def decode_citations(annotations: Iterable[Json]) -> Iterator[Citation]:
    """Yield the pages an answer cites."""
    for annotation in annotations:
        facts = as_mapping(annotation.get("url_citation")) or annotation
        if url := as_text(facts.get("url")):
            yield Citation(
                url,
                as_text(facts.get("title")) or url,
                as_text(facts.get("content")) or "",
                as_count(facts.get("start_index")),
                as_count(facts.get("end_index")),
            )


def decode_logprobs(logprobs: Json | None) -> tuple[TokenLogprob, ...]:
    """Return the tokens of an answer, or of a piece of one, with their probabilities."""
    return tuple(_decode_token(item) for item in as_items(as_mapping(logprobs).get("content")))


def _decode_token(item: Json) -> TokenLogprob:
    others = as_items(item.get("top_logprobs"))
    data: Any = item.get("bytes")
    return TokenLogprob(
        as_text(item.get("token")) or "",
        as_number(item.get("logprob")) or 0.0,
        tuple(data) if isinstance(data, list) else (),
        tuple(_decode_token(other) for other in others),
    )
