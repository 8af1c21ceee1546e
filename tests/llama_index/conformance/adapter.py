"""Adapter of a class under test: its constructor arguments and its error classes.

This module knows FunctionCallingLLM. It knows no subclass and no test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.llms.function_calling import FunctionCallingLLM

PROGRAMMING_ERRORS = (
    *(AttributeError, TypeError, LookupError, AssertionError, ArithmeticError),
    *(NameError, RecursionError, UnicodeError),
)
"""Exceptions that Python raises for a mistake in the code; no library raises them on purpose."""


@dataclass(frozen=True)
class Adapter:
    """Adapter of a class under test."""

    cls: Callable[..., FunctionCallingLLM]
    """The class under test."""

    url: str = "api_base"
    """Name of the constructor argument for the server's base URL."""

    key: str = "api_key"
    """Name of the constructor argument for the API key."""

    fields: dict[str, Any] = field(default_factory=dict)
    """Other constructor arguments that the class needs."""

    errors: tuple[type[BaseException], ...] = ()
    """Error classes that the class raises on purpose. Empty: every Exception that is not one of
    PROGRAMMING_ERRORS."""

    env_prefix: str = ""
    """Prefix of the environment variables of the class's own vendor, such as "OPENAI_"."""

    @property
    def model(self) -> str:
        """Id of the model that the tests call."""
        return str(self.fields.get("model", "vendor/model"))

    def connection_fields(self, base_url: str, api_key: str) -> dict[str, Any]:
        """Return the constructor arguments for the base URL and the API key."""
        return {self.url: base_url, self.key: api_key}

    def make_llm(self, base_url: str, api_key: str, /, **fields: Any) -> FunctionCallingLLM:
        """Return an instance that is connected to the server."""
        connection = self.connection_fields(base_url, api_key)
        return self.cls(**{"model": self.model, **self.fields, **connection, **fields})

    def is_expected_error(self, error: Any) -> bool:
        """Whether a value is an error that the class raises on purpose."""
        if self.errors:
            return isinstance(error, self.errors)
        return isinstance(error, Exception) and not isinstance(error, PROGRAMMING_ERRORS)
