"""Requests for objects, and the next method to try when a model does not support one.

The method that worked is remembered per model. `object_reader` reads the answer. Both know no
framework and no key of the API.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias

from onerouter_core.errors import MalformedReplyError, OneRouterError, is_unsupported_feature
from onerouter_core.response_format import ObjectSchema
from onerouter_core.types import JsonSchema, NamedTool, Reply, Request

StructuredMethod: TypeAlias = Literal["json_schema", "function_calling", "json_mode"]
"""Method of asking for an object: a JSON schema as response format, one forced call of a tool whose
arguments are the object, or JSON mode with the schema in a system message."""

_NEXT: dict[StructuredMethod, StructuredMethod] = {
    "json_schema": "function_calling",
    "function_calling": "json_mode",
}


def method_options(
    schema: ObjectSchema, method: StructuredMethod, *, strict: bool | None = None
) -> dict[str, Any]:
    """Return the options of a request for an object: tools, tool choice and parameters, by name.

    Args:
        schema: the schema of the object.
        method: the method.
        strict: whether the answer must match the schema exactly; JSON mode cannot be strict. None:
            with the method json_schema, if the schema can be made strict; otherwise not.

    Raises:
        ConfigurationError: `strict` is True, and the schema cannot be made strict.

    """
    if method == "json_schema":
        return {"response_format": schema.response_format(strict=strict)}
    if method == "json_mode":
        return {"response_format": JsonSchema(schema.title, schema.schema, in_prompt=True)}
    return {
        "tools": [schema.tool(strict=strict)],
        "tool_choice": NamedTool(schema.title),
        "parallel_tool_calls": False,
    }


def ask_for_object(
    request: Request, schema: ObjectSchema, method: StructuredMethod, *, strict: bool | None = None
) -> Request:
    """Return a request that asks for an object; arguments and errors as in `method_options`."""
    options = method_options(schema, method, strict=strict)
    return replace(
        request,
        tools=(*options.pop("tools", ()), *request.tools),
        tool_choice=options.pop("tool_choice", request.tool_choice),
        parameters={**request.parameters, **options},
    )


class SupportedMethods:
    """Methods that models support: the last one that worked, by model id."""

    def __init__(self) -> None:
        """Start without any."""
        self._by_model: dict[str, StructuredMethod] = {}

    def attempts(
        self, model: str, only: StructuredMethod | None = None, *, retries: int = 0
    ) -> ObjectAttempts:
        """Return the attempts of one call.

        >>> attempts = methods.attempts("deepseek/deepseek-v4-flash")
        >>> while True:
        ...     with attempts:
        ...         return gateway.complete(ask_for_object(request, schema, attempts.method))

        Args:
            model: model id of the request.
            only: the only method to try. None: all, the one that last worked first.
            retries: most additional requests for an object whose first answer was invalid.

        """
        return ObjectAttempts(self._by_model, model, only, retries)


class ObjectAttempts:
    """Attempts at an object; as a context, the attempt with the current method.

    The context remembers a method that works. It suppresses an error if there is another attempt to
    make: with the next method for a model that does not support this one, or with the same method
    after an invalid answer.
    """

    def __init__(
        self,
        by_model: dict[str, StructuredMethod],
        model: str,
        only: StructuredMethod | None,
        retries: int,
    ) -> None:
        """Begin with the first method; see `SupportedMethods.attempts`."""
        self._by_model, self._model, self._only, self._retries = by_model, model, only, retries
        self.method: StructuredMethod = only or by_model.get(model, "json_schema")
        """Method of the current attempt."""
        self.has_answer = False
        """Whether the model has answered, which the caller says: it supports the method then."""
        self.repairs: list[tuple[Reply, str]] = []
        """Invalid answers so far, each with an instruction to mend it."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Return whether to make another attempt."""
        if error is None or self.has_answer:
            self._by_model[self._model] = self.method
            return isinstance(error, MalformedReplyError) and self._repair(error)
        is_unsupported = isinstance(error, OneRouterError) and is_unsupported_feature(error)
        if self._only or self.method not in _NEXT or not is_unsupported:
            return False
        self.method = _NEXT[self.method]
        return True

    def _repair(self, error: MalformedReplyError) -> bool:
        if not self._retries:
            return False
        self._retries, self.has_answer = self._retries - 1, False
        instruction = f"{error.message} Answer again with the complete object."
        self.repairs.append((error.partial, instruction))
        return True
