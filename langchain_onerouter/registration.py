"""Registration with LangChain: `init_chat_model("onerouter:vendor/model")`, and `loads`.

LangChain keeps its providers in private tables and has no public way to add one. This module adds
a row to each of two tables. If a table has moved, nothing is added and nothing is raised: the class
itself can still be used.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

# Module and name of each table, key and value of the row.
_TABLE_ROWS = (
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

_LOADABLE_CLASSES = "_default_class_paths_cache"
"""Name of langchain-core's cache of the second table, which `loads` fills at its first call."""


def register() -> None:
    """Register ChatOneRouter with LangChain by name.

    Afterwards `init_chat_model("onerouter:vendor/model")` of langchain creates a ChatOneRouter, and
    `langchain_core.load.loads` loads serialised ones. A second call changes nothing. A LangChain
    without the tables (langchain not installed, or another version) is left as it is; nothing is
    raised.
    """
    for module, table_name, key, value in _TABLE_ROWS:
        with suppress(ImportError, AttributeError):
            table: dict[Any, Any] = getattr(import_module(module), table_name)
            table.setdefault(key, value)
    with suppress(ImportError, AttributeError):
        getattr(import_module("langchain_core.load.load"), _LOADABLE_CLASSES).clear()
