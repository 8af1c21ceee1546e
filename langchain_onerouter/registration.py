"""`init_chat_model("onerouter:vendor/model")`, and loading of serialised models.

LangChain keeps the providers it knows in private tables, and has no door for others. This module
puts one row into each. Where a table has moved nothing happens: then a model is made by its class.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

_TABLES = (
    (
        *("langchain.chat_models.base", "_BUILTIN_PROVIDERS", "onerouter"),
        ("langchain_onerouter", "ChatOneRouter", lambda cls, **kwargs: cls(**kwargs)),
    ),
    (
        *("langchain_core.load.load", "ALL_SERIALIZABLE_MAPPINGS"),
        ("langchain_onerouter", "chat_models", "ChatOneRouter"),
        ("langchain_onerouter", "chat_models", "ChatOneRouter"),
    ),
)


def register() -> None:
    """Let LangChain make and load ChatOneRouter by name; silent where it cannot."""
    for module, table, key, row in _TABLES:
        with suppress(ImportError, AttributeError):
            rows: dict[Any, Any] = getattr(import_module(module), table)
            rows.setdefault(key, row)
