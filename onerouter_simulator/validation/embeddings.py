"""Validation of requests for embeddings, as OpenAI's reference of POST /embeddings describes them.

Knows the parameters. Knows no vector.
"""

from typing import Any

from onerouter_simulator.validation.parameters import (
    MODEL,
    STRING,
    TEXT,
    Constraint,
    Constraints,
    check_object,
    integer,
    list_of,
    one_of,
    to_object,
)

MAX_INPUTS = 2048  # of one request; OpenAI's limit
MAX_DIMENSIONS = 4096
TOKEN = integer(0)


def is_input(value: Any) -> bool:
    """Whether a value is a text, a list of token numbers, or a list of either, and not empty."""
    if not isinstance(value, list):
        return TEXT.is_met(value)
    return len(value) > 0 and any(
        list_of(item).is_met(value) and (item is TOKEN or len(value) <= MAX_INPUTS)
        for item in (TEXT, TOKEN, TOKENS)
    )


TOKENS = Constraint(
    "a list of token numbers", lambda value: value != [] and list_of(TOKEN).is_met(value)
)
INPUT = Constraint(
    "a non-empty string, a list of token numbers, or a list of either with 1 to"
    f" {MAX_INPUTS} items",
    is_input,
)
PARAMETERS: Constraints = {
    "model": MODEL,
    "input": INPUT,
    "dimensions": integer(1, MAX_DIMENSIONS),
    "encoding_format": one_of("float", "base64"),
    "user": STRING,
}


def validate_embeddings(body: Any) -> dict[str, Any]:
    """Return the body of a valid request.

    Raises:
        RejectedError: The body is not allowed; the error has status 400 and names the parameter.
    """
    request = to_object(body, "embeddings")
    check_object(request, PARAMETERS, "")
    return request
