"""The parameters of a request, each with what it may be: a table, and the walk through it.

Knows names, types and ranges. Knows not what messages, tools and schemas hold.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from onerouter_simulator.errors import bad_request

MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")


@dataclass(frozen=True)
class Rule:
    """What a value must be: in words, and as a predicate."""

    wanted: str
    holds: Callable[[Any], bool]


Rules: TypeAlias = Mapping[str, "Rule | Rules"]


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(low: float, high: float) -> Rule:
    """Any number of a range."""
    return Rule(
        f"a number from {low:g} to {high:g}",
        lambda value: is_number(value) and low <= value <= high,
    )


def integer(low: float, high: float = float("inf")) -> Rule:
    """Return a whole number of a range."""
    limits = f"of at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
    return Rule(
        f"an integer {limits}",
        lambda value: is_number(value) and isinstance(value, int) and low <= value <= high,
    )


def one_of(*names: str) -> Rule:
    """One of some names."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def list_of(rule: Rule) -> Rule:
    """Return a list in which a rule holds for every item."""
    return Rule(
        f"a list in which each item is {rule.wanted}",
        lambda value: isinstance(value, list) and all(map(rule.holds, value)),
    )


def either(*rules: Rule) -> Rule:
    """Any of some rules."""
    return Rule(
        " or ".join(rule.wanted for rule in rules),
        lambda value: any(rule.holds(value) for rule in rules),
    )


BOOLEAN = Rule("true or false", lambda value: isinstance(value, bool))
STRING = Rule("a string", lambda value: isinstance(value, str))
OBJECT = Rule("an object", lambda value: isinstance(value, dict))
TEXT = Rule("a string with something in it", lambda value: isinstance(value, str) and value != "")
MODEL = Rule(
    "a model id", lambda value: isinstance(value, str) and MODEL_ID.fullmatch(value) is not None
)
ENDLESS = float("inf")
BIAS = Rule(
    "an object of numbers from -100 to 100",
    lambda value: isinstance(value, dict) and all(map(number(-100, 100).holds, value.values())),
)
MESSAGES = Rule(
    "a list of at least one message", lambda value: isinstance(value, list) and value != []
)
COUNTRY = Rule(
    "a two-letter country code",
    lambda value: isinstance(value, str) and re.fullmatch("[A-Z]{2}", value) is not None,
)
SPEED = either(number(0, ENDLESS), OBJECT)

PARAMETERS: Rules = {
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
    "seed": integer(-ENDLESS),
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
        "preferred_min_throughput": SPEED,
        "preferred_max_latency": SPEED,
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
REQUIRED = frozenset({"model", "messages", "web_search_options.user_location.type"})


def check_parameters(body: dict[str, Any]) -> None:
    """Reject what is missing, of a wrong type or out of its range."""
    check_object(body, PARAMETERS, "")
    if body.get("top_logprobs") and not body.get("logprobs"):
        raise bad_request("top_logprobs needs logprobs to be true", "top_logprobs")


def check_object(value: Any, rules: Rules, path: str) -> None:
    """Walk through one object; what no rule knows is let through."""
    if not isinstance(value, dict):
        raise bad_request(f"Invalid value for {path}: {value!r} is not an object", path)
    prefix = f"{path}." if path else ""
    for name, rule in rules.items():
        place = f"{prefix}{name}"
        if name not in value:
            if place in REQUIRED:
                raise bad_request(f"Missing required parameter: {place}", place)
        elif not isinstance(rule, Rule):
            check_object(value[name], rule, place)
        elif not rule.holds(value[name]):
            raise bad_request(
                f"Invalid value for {place}: {value[name]!r} is not {rule.wanted}", place
            )
