"""Comparison of model ids, and the policy for sending reasoning back.

This module knows how model ids are written. It knows no framework and no message.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

ReplayPolicy: TypeAlias = Literal["same_model", "always", "never"]
"""Assistant messages whose reasoning is sent back in later turns: those of the model that is called
now, all, or none."""


def should_replay(policy: ReplayPolicy, author: str | None, model: str) -> bool:
    """Tell whether an assistant message's reasoning is sent back; another model may reject it.

    Args:
        policy: the replay policy.
        author: id of the model that wrote the message. None: unknown, taken as the same model.
        model: id of the model that is called now.

    """
    return policy == "always" or (policy == "same_model" and same_model(author or model, model))


def same_model(first: str, second: str) -> bool:
    """Tell whether two ids name one model. One may lack vendor, variant (":free") or date."""
    short, long = sorted((_bare_name(first), _bare_name(second)), key=len)
    return long.startswith(short) and bool(_DATE_SUFFIX.fullmatch(long[len(short) :]))


_DATE_SUFFIX = re.compile(r"([-@]\d{4}[\d-]*)?")


def _bare_name(model: str) -> str:
    return model.rpartition("/")[2].partition(":")[0]
