"""A class under test: how it is made, and which of its errors are meant.

Knows FunctionCallingLLM. Knows no class of that kind, and no test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.llms.function_calling import FunctionCallingLLM

ACCIDENTS = (
    *(AttributeError, TypeError, LookupError, AssertionError, ArithmeticError),
    *(NameError, RecursionError, UnicodeError),
)
"""What Python raises when code has not thought of something; nobody raises it to tell a user."""


@dataclass(frozen=True)
class Subject:
    """A class under test.

    `url` and `key` are its names for the server's address and the key, `fields` whatever else it
    needs to be made. `errors` are the classes that tell a user what went wrong; without them every
    error does that is not one of Python's accidents. `own` is the beginning of the environment
    variables that are its vendor's own.
    """

    cls: Callable[..., FunctionCallingLLM]
    url: str = "api_base"
    key: str = "api_key"
    fields: dict[str, Any] = field(default_factory=dict)
    errors: tuple[type[BaseException], ...] = ()
    own: str = ""

    @property
    def model(self) -> str:
        """The model that is asked."""
        return str(self.fields.get("model", "vendor/model"))

    def reach(self, base_url: str, api_key: str) -> dict[str, Any]:
        """Return the fields that say where the server is."""
        return {self.url: base_url, self.key: api_key}

    def make(self, base_url: str, api_key: str, /, **fields: Any) -> FunctionCallingLLM:
        """Make an instance that speaks to the server."""
        given = {"model": self.model, **self.fields, **self.reach(base_url, api_key), **fields}
        return self.cls(**given)

    def typed(self, error: Any) -> bool:
        """Tell whether this is an error, and was raised to be read."""
        if self.errors:
            return isinstance(error, self.errors)
        return isinstance(error, Exception) and not isinstance(error, ACCIDENTS)
