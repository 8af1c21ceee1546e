"""Model ids compared, and the policy that decides whose reasoning is sent back.

This module knows how model ids are spelled. It knows no framework and no message.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

ReplayPolicy: TypeAlias = Literal["same_model", "always", "never"]


def should_replay(replay: ReplayPolicy, wrote: str | None, asked: str) -> bool:
    """Tell whether reasoning is sent to the model that is asked: others may refuse it.

    `wrote` is the model that reasoned; None, where nobody knows, counts as the same.
    """
    return replay == "always" or (replay == "same_model" and same_model(wrote or asked, asked))


def same_model(one: str, other: str) -> bool:
    """Tell whether two ids name one model: vendor, variant and date may be said or not."""
    short, long = sorted((_bare_name(one), _bare_name(other)), key=len)
    return long.startswith(short) and bool(_DATE_SUFFIX.fullmatch(long[len(short) :]))


_DATE_SUFFIX = re.compile(r"([-@]\d{4}[\d-]*)?")


def _bare_name(model: str) -> str:
    return model.rpartition("/")[2].partition(":")[0]
