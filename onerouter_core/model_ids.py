"""Comparison of model ids, and the policy for sending reasoning back.

This module knows how model ids are written. It knows no framework and no message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

ReplayPolicy: TypeAlias = Literal["same_model", "always", "never"]
"""Assistant messages whose reasoning is sent back in later turns: those of the model that is called
now, all, or none."""


def should_replay(policy: ReplayPolicy, author: str | None, model: str) -> bool:
    """Tell whether an assistant message's reasoning is sent back; another model may reject it.

    Args:
        policy: the replay policy.
        author: id of the model that was asked for the message; in older histories, of the model
            that served it. None: unknown, taken as the same model.
        model: id of the model that is called now.

    """
    return policy == "always" or (policy == "same_model" and same_model(author or model, model))


def answering_model(requested: str, fallbacks: Sequence[str], served: str | None) -> str:
    """Return the requested id that a reply belongs to: that of the model, or of a fallback.

    Upstreams spell the served id in their own way, so it counts only where it names a fallback.
    """
    candidates = (requested, *fallbacks)
    if served is None or served in candidates:
        return served or requested
    return next((model for model in candidates if same_model(model, served)), requested)


def bare_name(model: str) -> str:
    """Return an id without its vendor, which ends at the first slash; the name may have more."""
    vendor, _, name = model.partition("/")
    return name or vendor


def same_model(first: str, second: str) -> bool:
    """Tell whether two ids name one model, however two upstreams spell its name.

    One may lack vendor, variant (":free") or date; case, dots or dashes, and the order of the words
    do not count: "anthropic/claude-sonnet-4.5" is "claude-4-5-Sonnet-20250929".
    """
    first_name, first_date = _split_date(first)
    second_name, second_date = _split_date(second)
    if first_date and second_date and first_date != second_date:
        return False
    return _spelling(first_name) == _spelling(second_name)


_DATE_CHARACTERS = "0123456789-"
_DATE = re.compile(r"-(\d{4}[\d-]*)")
_SEPARATORS = re.compile(r"[-@._ ]+")


def _split_date(model: str) -> tuple[str, str]:
    """Return the bare name in lower case with dashes only, and the digits of its date, if any."""
    name = _SEPARATORS.sub("-", bare_name(model).partition(":")[0].lower())
    rest = len(name.rstrip(_DATE_CHARACTERS))  # a pattern would look for the end from each dash
    date = _DATE.search(name, rest)
    return (name[: date.start()], date[1].replace("-", "")) if date else (name, "")


def _spelling(name: str) -> tuple[list[str], list[str]]:
    """Return the words of a name in one order, and its numbers in theirs: 4.5 is not 5.4."""
    tokens = name.split("-")
    words = sorted(token for token in tokens if not token.isdigit())
    return words, [token for token in tokens if token.isdigit()]
