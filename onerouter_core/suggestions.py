"""What an argument that nobody knows was meant to be.

This module knows what other classes call their arguments. It knows none of ours but their names.
"""

from __future__ import annotations

import difflib


def suggestion(name: str, names: set[str]) -> str:
    """Return a sentence that helps who gave an argument that is none of these."""
    close = difflib.get_close_matches(name, names, n=1)
    match _OTHER_CLASSES_NAMES.get(name, *close):
        case None | "extra_body":
            return " What the gateway takes and this class has no name for goes into extra_body."
        case meant:
            return f" Did you mean {meant!r}?"


# What other classes call it; what looks like one of our names and is none.
_OTHER_CLASSES_NAMES = {
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
