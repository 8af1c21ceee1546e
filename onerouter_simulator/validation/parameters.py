"""Validation of parameters: a table of names, types and ranges, and the check of a body by it.

Messages, tools and schemas are checked in the modules of their names.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from onerouter_simulator.errors import RejectedError, bad_request

INFINITY = float("inf")
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")


@dataclass(frozen=True)
class Constraint:
    """The values that a parameter allows: a description for error messages, and a predicate."""

    description: str
    is_met: Callable[[Any], bool]


# The constraints of an object by key; an object among its values has its own.
Constraints: TypeAlias = Mapping[str, "Constraint | Constraints"]


def is_number(value: Any) -> bool:
    """Whether a value is a number; booleans are not, although bool is an int in Python."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(low: float, high: float) -> Constraint:
    """Allow numbers from `low` to `high`, both included."""
    return Constraint(
        f"a number from {low:g} to {high:g}",
        lambda value: is_number(value) and low <= value <= high,
    )


def integer(low: float = -INFINITY, high: float = INFINITY) -> Constraint:
    """Allow integers from `low` to `high`, both included."""
    limits = f" of at least {low:g}" if high == INFINITY else f" from {low:g} to {high:g}"
    return Constraint(
        f"an integer{'' if low == -INFINITY else limits}",
        lambda value: is_number(value) and isinstance(value, int) and low <= value <= high,
    )


def one_of(*names: str) -> Constraint:
    """Allow one of some strings."""
    return Constraint(f"one of {', '.join(names)}", lambda value: value in names)


def list_of(constraint: Constraint) -> Constraint:
    """Allow lists in which every item meets a constraint."""
    return Constraint(
        f"a list in which each item is {constraint.description}",
        lambda value: isinstance(value, list) and all(map(constraint.is_met, value)),
    )


def either(*constraints: Constraint) -> Constraint:
    """Allow values that meet at least one of some constraints."""
    return Constraint(
        " or ".join(constraint.description for constraint in constraints),
        lambda value: any(constraint.is_met(value) for constraint in constraints),
    )


BOOLEAN = Constraint("true or false", lambda value: isinstance(value, bool))
STRING = Constraint("a string", lambda value: isinstance(value, str))
OBJECT = Constraint("an object", lambda value: isinstance(value, dict))
TEXT = Constraint("a non-empty string", lambda value: isinstance(value, str) and value != "")
MODEL = Constraint(
    "a model id", lambda value: isinstance(value, str) and MODEL_ID.fullmatch(value) is not None
)
BIAS = Constraint(
    "an object of numbers from -100 to 100",
    lambda value: isinstance(value, dict) and all(map(number(-100, 100).is_met, value.values())),
)
MESSAGES = Constraint(
    "a list of at least one message", lambda value: isinstance(value, list) and value != []
)
COUNTRY = Constraint(
    "a two-letter country code",
    lambda value: isinstance(value, str) and re.fullmatch("[A-Z]{2}", value) is not None,
)
SPEED_PREFERENCE = either(number(0, INFINITY), OBJECT)

PARAMETERS: Constraints = {
    "model": MODEL,
    "messages": MESSAGES,
    "stream": BOOLEAN,
    "temperature": number(0, 2),
    "max_tokens": integer(1),
    "max_completion_tokens": integer(1),
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "stop": either(TEXT, list_of(TEXT)),
    "seed": integer(),
    "n": integer(1, 128),
    "logprobs": BOOLEAN,
    "top_logprobs": integer(0, 20),
    "logit_bias": BIAS,
    "user": STRING,
    "parallel_tool_calls": BOOLEAN,
    "usage": {"include": BOOLEAN},
    "stream_options": {"include_usage": BOOLEAN},
    "modalities": list_of(one_of("text", "image", "audio")),
    "audio": OBJECT,
    "reasoning": {
        "effort": one_of("xhigh", "high", "medium", "low", "minimal", "none"),
        "max_tokens": integer(1),
    },
    "provider": {
        "order": list_of(TEXT),
        "only": list_of(TEXT),
        "ignore": list_of(TEXT),
        "allow_fallbacks": BOOLEAN,
        "require_parameters": BOOLEAN,
        "data_collection": one_of("allow", "deny"),
        "zdr": BOOLEAN,
        "enforce_distillable_text": BOOLEAN,
        "quantizations": list_of(TEXT),
        "sort": either(TEXT, OBJECT),
        "preferred_min_throughput": SPEED_PREFERENCE,
        "preferred_max_latency": SPEED_PREFERENCE,
        "service_tier": one_of("standard", "flex", "priority"),
    },
    "fallback_models": list_of(MODEL),
    "fallback_rules": either(one_of("auto", ""), OBJECT),
    "web_search_options": {
        "search_context_size": one_of("low", "medium", "high"),
        "user_location": {
            "type": one_of("approximate"),
            "city": STRING,
            "country": COUNTRY,
            "region": STRING,
            "timezone": STRING,
        },
    },
}
REQUIRED = frozenset({"model", "messages", "input", "web_search_options.user_location.type"})


def to_object(body: Any, kind: str) -> dict[str, Any]:
    """Return the body of a request of a kind; raise RejectedError if it is no JSON object."""
    if not isinstance(body, dict):
        problem = f"Invalid {kind} request: not a JSON object"
        raise RejectedError(400, problem, param="", code=f"invalid_{kind}_request")
    return body


def check_parameters(body: dict[str, Any]) -> None:
    """Reject a missing parameter, and a value of a wrong type or out of its range."""
    check_object(body, PARAMETERS, "")
    if body.get("top_logprobs") and not body.get("logprobs"):
        raise bad_request("top_logprobs needs logprobs to be true", "top_logprobs")


def check_object(value: Any, constraints: Constraints, path: str) -> None:
    """Check one object and those in it; keys without a constraint are allowed."""
    if not isinstance(value, dict):
        raise bad_request(f"Invalid value for {path}: {value!r} is not an object", path)
    prefix = f"{path}." if path else ""
    for key, constraint in constraints.items():
        key_path = f"{prefix}{key}"
        if key not in value:
            if key_path in REQUIRED:
                raise bad_request(f"Missing required parameter: {key_path}", key_path)
        elif not isinstance(constraint, Constraint):
            check_object(value[key], constraint, key_path)
        elif not constraint.is_met(value[key]):
            raise bad_request(
                f"Invalid value for {key_path}: {value[key]!r} is not {constraint.description}",
                key_path,
            )
