"""Doctor: checks that tell why calls fail, from the environment to cost, each with a hint.

This module knows the order of the checks, what each needs, and what a failure probably means. It
knows no framework and no JSON key of the API. Printing is the command line's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from onerouter_core.catalog import Catalog
from onerouter_core.client_pool import Clients
from onerouter_core.connection import ConnectionSettings
from onerouter_core.doctor_hints import describe, hint_for, quote
from onerouter_core.environment import missing_certificates, network_variables, package_versions
from onerouter_core.errors import (
    AuthenticationError,
    ConfigurationError,
    LengthLimitError,
    MalformedReplyError,
    ModelNotFoundError,
    OneRouterError,
    PermissionDeniedError,
    format_validation_errors,
    is_unsupported_feature,
)
from onerouter_core.fields import GatewayFields, resolve_call
from onerouter_core.gateway import Gateway
from onerouter_core.json_text import parse_json_text
from onerouter_core.ledger import Ledger
from onerouter_core.types import Json, JsonSchema, Message, ModelInfo, Reply, Request, Text, Tool

MAX_COST = Decimal("0.01")
"""USD that all checks together may cost, as far as prices are known."""

DEFAULT_MODEL = "deepseek/deepseek-v4-flash"
_MAX_TOKENS = 400  # of one answer; a model that reasons needs some before it answers
_MIN_TOKENS = 16
_INPUT_TOKENS = 250  # of one request, tools and schema included: an estimate
_NO_ENDPOINT = {404, 405, 501}
_TIMEOUT = 30.0  # seconds

Result: TypeAlias = Literal["ok", "failed", "skipped"]

_NUMBERS = {"a": {"type": "integer"}, "b": {"type": "integer"}}
_TOOL = Tool(
    "multiply",
    "Multiply two whole numbers.",
    {"type": "object", "properties": _NUMBERS, "required": ["a", "b"]},
)
_SCHEMA = JsonSchema(
    "place",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    strict=True,
)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check."""

    name: str
    """Name of the check."""

    result: Result
    """Whether it has passed. A check is skipped if one that it needs has not passed."""

    detail: str
    """Finding of the check."""

    hint: str = ""
    """Remedy; empty if the check has passed."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Results of all checks."""

    checks: tuple[CheckResult, ...]
    """The checks, in order."""

    base_url: str | None
    """Base URL of the gateway. None: the configured one is invalid."""

    model: str | None
    """Model that was asked. None: no check came to it."""

    spent: Decimal
    """Cost of all checks in USD; unknown costs count as 0."""

    @property
    def ok(self) -> bool:
        """Whether no check has failed."""
        return all(check.result != "failed" for check in self.checks)


class _NotPassedError(Exception):
    """A check has found a fault, or cannot be made; the arguments are those of CheckResult."""

    def __init__(self, detail: str, hint: str = "", result: Result = "failed") -> None:
        super().__init__(detail)
        self.outcome = (result, detail, hint)


def diagnose(model: str | None = None) -> Diagnosis:
    """Check the environment, the gateway and a model; no failure is raised.

    Address and key are those of the environment. At most MAX_COST is spent: answers get fewer
    tokens, or a check is skipped, if the model's prices in the gateway's list would exceed it.

    Args:
        model: model id. None: deepseek/deepseek-v4-flash if the gateway lists it, else the cheapest
            listed model that calls tools.

    """
    doctor = _Doctor(model)
    with closing(doctor.clients):
        checks = [doctor.run(name, check, needs) for name, needs, check in doctor.checks()]
    base_url = doctor.connection.base_url if doctor.connection else None
    return Diagnosis(tuple(checks), base_url, doctor.model, doctor.ledger.spent)


@dataclass
class _Doctor:
    """State that the checks hand on."""

    model: str | None
    clients: Clients = field(default_factory=Clients)
    connection: ConnectionSettings | None = None
    catalog: Catalog = field(default_factory=Catalog)
    ledger: Ledger = field(default_factory=Ledger)
    replies: list[Reply] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)

    def checks(self) -> tuple[tuple[str, tuple[str, ...], Callable[[], str]], ...]:
        """Return name, needed checks and function of each check, in order."""
        return (
            ("environment", (), self.check_environment),
            ("address", (), self.check_address),
            ("key", ("address",), self.check_key),
            ("model", ("address",), self.check_model),
            ("answer", ("key", "model"), self.check_answer),
            ("stream", ("answer",), self.check_stream),
            ("tool call", ("answer",), self.check_tool_call),
            ("object", ("answer",), self.check_object),
            ("usage and cost", ("answer",), self.check_usage),
        )

    def run(self, name: str, check: Callable[[], str], needs: tuple[str, ...]) -> CheckResult:
        """Make a check if those that it needs have passed."""
        if missing := [need for need in needs if need not in self.passed]:
            return CheckResult(name, "skipped", f"needs: {', '.join(missing)}")
        try:
            detail = check()
        except _NotPassedError as error:
            return CheckResult(name, *error.outcome)
        except OneRouterError as error:
            return CheckResult(name, "failed", describe(error), hint_for(error))
        self.passed.add(name)
        return CheckResult(name, "ok", detail)

    # --- the checks: each returns what it found, or raises ---

    def check_environment(self) -> str:
        """Check that files of certificates exist; return versions and variables."""
        if missing := missing_certificates():
            raise _NotPassedError(
                f"{' and '.join(missing)}: there is no such file or folder",
                "Correct the variable, or unset it.",
            )
        versions = ", ".join(f"{name} {value}" for name, value in package_versions().items())
        return "\n".join([versions, *(f"{k}={v}" for k, v in network_variables().items())])

    def check_address(self) -> str:
        """Check that the base URL is that of a gateway: it has a model list."""
        try:
            settings = resolve_call(GatewayFields(model="-")).connection
        except ValidationError as error:
            raise _NotPassedError(
                format_validation_errors(error), "Correct ONEROUTER_BASE_URL."
            ) from None
        self.connection = replace(settings, timeout=_TIMEOUT, max_retries=0, ledger=self.ledger)
        try:
            self.catalog = Catalog.of(self.list_models())
        except (AuthenticationError, PermissionDeniedError):  # the next check is about the key
            return f"{settings.base_url}: it shows its model list only with a valid key"
        except (ModelNotFoundError, MalformedReplyError) as error:
            raise _NotPassedError(
                f"{settings.base_url}: {describe(error)}",
                "This is not the address of a gateway: ONEROUTER_BASE_URL must end with the path of"
                " the API, as in https://llm.onerouter.pro/v1.",
            ) from None
        self.connection = replace(self.connection, prices=self.catalog)
        return f"{settings.base_url}: {len(self.catalog)} chat models"

    def check_key(self) -> str:
        """Check that the key is accepted, and that there is a balance; hide the account's name."""
        if self.connection is None or self.connection.api_key is None:
            raise _NotPassedError(
                "there is no API key", "Set ONEROUTER_API_KEY, or INFRON_API_KEY."
            )
        try:
            balance = self.gateway().balance()
        except ConfigurationError as error:
            raise _NotPassedError(error.message, "Correct ONEROUTER_API_KEY.") from None
        except OneRouterError as error:
            if error.status in _NO_ENDPOINT or isinstance(error, MalformedReplyError):
                return "not checked: the gateway tells no balance"
            raise
        if balance <= 0:
            raise _NotPassedError(f"the balance is {balance:f} USD", "Top up the account.")
        return f"accepted; the balance is {balance:f} USD"

    def check_model(self) -> str:
        """Check that the gateway lists the model."""
        self.model = self.model or self.choose_model()
        if not self.catalog:
            return f"{self.model}: not checked, there is no model list"
        try:
            entry = self.catalog[self.model]
        except ModelNotFoundError as error:
            raise _NotPassedError(
                f"{self.model}: {error.message}",
                "`python -m onerouter_core models` lists the ids.",
            ) from None
        return f"{self.model}{', which is deprecated' if entry.deprecated else ''}"

    def choose_model(self) -> str:
        """Return the model to ask if none is given: one that costs something is served sooner."""
        candidates = [m for m in self.catalog if m.tools and m.price and not m.deprecated]
        if DEFAULT_MODEL in self.catalog or not candidates:
            return DEFAULT_MODEL
        return min(candidates, key=lambda model: model.price or 0).id

    def check_answer(self) -> str:
        """Check a complete answer."""
        return quote(self.ask("Reply with one word: ready"))

    def check_stream(self) -> str:
        """Check a streamed answer."""
        try:
            deltas = list(self.gateway().stream(self.request("Reply with one word: ready")))
        except LengthLimitError as error:
            return quote(self.keep(error.partial))
        reply = self.keep(deltas[-1].final_reply)
        return f"{sum(bool(delta.text) for delta in deltas)} deltas: {quote(reply)}"

    def check_tool_call(self) -> str:
        """Check a call of a tool and its arguments."""
        hint = "Choose a model that calls tools: `python -m onerouter_core models --tools`."
        if (entry := self.entry()) is not None and entry.tools is False:
            raise _NotPassedError("the model list says that the model cannot call tools", hint)
        reply = self.ask("Please multiply 12 and 7 with the tool.", hint, tools=(_TOOL,))
        calls = [call.parsed for call in reply.tool_calls if call.name == _TOOL.name]
        if not calls:
            raise _NotPassedError(f"no tool was called; {quote(reply)}", hint)
        if calls[0] != {"a": 12, "b": 7}:
            raise _NotPassedError(f"wrong arguments: {reply.tool_calls[0].arguments[:80]}", hint)
        return "multiply(a=12, b=7)"

    def check_object(self) -> str:
        """Check an object of a JSON schema."""
        hint = (
            "Both classes fall back to tool calls and to JSON in the prompt; for objects that"
            " always fit, choose another model."
        )
        prompt = "In which city is the 'Eiffel Tower'? Answer with JSON."
        reply = self.ask(prompt, hint, response_format=_SCHEMA)
        try:
            value = parse_json_text(reply.text)
        except ValueError:
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("city"), str):
            raise _NotPassedError(f"no object of the schema; {quote(reply)}", hint)
        return quote(reply)

    def check_usage(self) -> str:
        """Check that every answer has token counts and a cost."""
        usages = [reply.usage for reply in self.replies]
        if not all(usage and usage.total_tokens for usage in usages):
            raise _NotPassedError(
                "not every answer has its token counts",
                "Budgets and ledgers do not see these answers: ask the operator of the gateway.",
            )
        if any(reply.cost is None for reply in self.replies):
            raise _NotPassedError(
                "the gateway reports no cost",
                "Give the model `catalog=Catalog.fetch()`: ledgers then estimate from its prices.",
            )
        tokens = sum(usage.total_tokens or 0 for usage in usages if usage)
        return f"{tokens} tokens, {self.ledger.spent:f} USD in {len(usages)} answers"

    # --- what they share ---

    def gateway(self) -> Gateway:
        """Return a gateway at the address that was checked; all share one HTTP client."""
        return Gateway(self.connection, self.clients)

    def list_models(self) -> tuple[Json, ...]:
        """Return the model list; the key is sent only if the gateway wants one.

        So a wrong key does not look like a wrong address.
        """
        anonymous = replace(self.connection or ConnectionSettings(), api_key=None)
        try:
            return Gateway(anonymous, self.clients).models()
        except (AuthenticationError, PermissionDeniedError) as error:
            with suppress(ConfigurationError):
                return self.gateway().models()
            raise error from None

    def entry(self) -> ModelInfo | None:
        """Return the model's entry in the list."""
        return self.catalog.get(self.model or "")

    def ask(self, prompt: str, hint: str = "", **parts: Any) -> Reply:
        """Return a complete answer; `hint` is for a request that the model does not support."""
        try:
            return self.keep(self.gateway().complete(self.request(prompt, **parts)))
        except LengthLimitError as error:
            if not hint:  # any answer will do
                return self.keep(error.partial)
            raise
        except OneRouterError as error:
            if hint and is_unsupported_feature(error):
                raise _NotPassedError(describe(error), hint) from None
            raise

    def keep(self, reply: Reply | None) -> Reply:
        """Keep an answer for the check of its usage."""
        self.replies.append(reply or Reply())
        return self.replies[-1]

    def request(self, prompt: str, tools: tuple[Tool, ...] = (), **parameters: Any) -> Request:
        """Return a request whose answer fits into what may still be spent."""
        parameters |= {"max_tokens": self.affordable_tokens()}
        message = Message("user", (Text(prompt),))
        return Request(self.model or "", (message,), tools=tools, parameters=parameters)

    def affordable_tokens(self) -> int:
        """Return the most tokens of the next answer; raise if it may cost too much."""
        entry = self.entry()
        left = MAX_COST - self.ledger.spent
        if entry is not None and entry.input_price is not None and entry.output_price:
            tokens = (left - _INPUT_TOKENS * entry.input_price) / entry.output_price
        else:
            tokens = Decimal(_MAX_TOKENS if left > 0 else 0)
        if tokens < _MIN_TOKENS:
            raise _NotPassedError(
                f"it may cost more than {MAX_COST:f} USD with the others", result="skipped"
            )
        return min(_MAX_TOKENS, int(tokens))
