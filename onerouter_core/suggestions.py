"""Suggestion of the right name for an unknown argument, or for the id of an unknown model.

This module knows the argument names of other packages' classes. The names of this package's fields
are given by the caller.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_COMPARED = 100
"""Characters. The time to compare two names grows with the product of their lengths."""


def suggestion(name: str, names: set[str]) -> str:
    """Return a sentence that suggests a name, to be appended to an error message.

    Args:
        name: the unknown argument.
        names: the arguments that are known.

    """
    close = close_matches(name, names, 1)
    match _NAMES_IN_OTHER_CLASSES.get(name, *close):
        case None | "extra_body":
            return " A parameter of the gateway that has no field here goes into extra_body."
        case known:
            return f" Did you mean {known!r}?"


def close_matches(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Return the names that resemble a name, the closest first; long ones resemble none."""
    if len(name) > MAX_COMPARED:
        return []
    comparable = [known for known in names if len(known) <= MAX_COMPARED]
    return difflib.get_close_matches(name, comparable, count)


# The same argument in other packages' classes; and names that resemble another field's by chance.
_NAMES_IN_OTHER_CLASSES = {
    **dict.fromkeys(("api_base", "openai_api_base"), "base_url"),
    **dict.fromkeys(("openai_api_key", "openrouter_api_key"), "api_key"),
    **dict.fromkeys(("async_http_client", "http_aclient"), "http_async_client"),
    **dict.fromkeys(("fallbacks", "models"), "fallback_models"),
    **dict.fromkeys(("top_k", "repetition_penalty", "verbosity", "model_kwargs"), "extra_body"),
    "max_completion_tokens": "max_tokens",
    "model_name": "model",
    "openrouter_provider": "provider",
    "request_timeout": "timeout",
}
