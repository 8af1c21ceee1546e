"""The constructor fields of both classes, declared once; per call the same names override them.

This module knows names, types and ranges (source: the API page). It knows no framework, no
message and no transport. `Parameters.resolve` turns fields and per-call keywords into what a call
needs: how to reach the gateway (`Connection`) and what to ask of it (`Settings.parameters`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic import model_validator as _model_validator

from onerouter_core.connection import (
    DEFAULT_BASE_URL,
    ApiKey,
    ConnectionSettings,
    Headers,
    check_base_url,
)
from onerouter_core.errors import ConfigurationError, format_validation_errors
from onerouter_core.ledger import Ledger
from onerouter_core.request_options import (
    FallbackRules,
    ProviderRouting,
    Reasoning,
    WebSearchOptions,
)
from onerouter_core.suggestions import suggestion
from onerouter_core.types import JsonSchema


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What one call needs, constructor and call merged."""

    model: str
    connection: ConnectionSettings
    parameters: dict[str, Any]


def _first_env(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _api_key_from_env() -> SecretStr | None:
    key = _first_env("ONEROUTER_API_KEY", "INFRON_API_KEY")
    return SecretStr(key) if key else None


def _base_url_from_env() -> str:
    return _first_env("ONEROUTER_BASE_URL") or DEFAULT_BASE_URL


# pydantic makes an object of a dict, and a secret of a string; type checkers are told so here.
if TYPE_CHECKING:
    ApiKeyOrStr: TypeAlias = ApiKey | str
    ReasoningOrDict: TypeAlias = Reasoning | Mapping[str, Any]
    ProviderRoutingOrDict: TypeAlias = ProviderRouting | Mapping[str, Any]
    FallbackRulesOrDict: TypeAlias = FallbackRules | Mapping[str, Any]
    WebSearchOrDict: TypeAlias = WebSearchOptions | Mapping[str, Any]
else:
    ApiKeyOrStr, ReasoningOrDict = ApiKey, Reasoning
    ProviderRoutingOrDict, FallbackRulesOrDict = ProviderRouting, FallbackRules
    WebSearchOrDict = WebSearchOptions

_MAX_SECONDS = 10_000_000.0  # seconds: beyond some months an operating system's timers give up
UnitInterval = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class Parameters(BaseModel):
    """Fields of `ChatOneRouter` and `OneRouterLLM`; all can be given per call, which wins."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        populate_by_name=True,
        defer_build=True,  # until the first instance: an import should take no time
    )

    model: str = Field(min_length=1, description='Model id, such as "deepseek/deepseek-v4-flash".')
    api_key: ApiKeyOrStr | None = Field(
        default_factory=_api_key_from_env,
        exclude=True,
        description="Key, or a callable (sync or async) asked per request. "
        "Env: ONEROUTER_API_KEY, then INFRON_API_KEY.",
    )
    base_url: str = Field(
        default_factory=_base_url_from_env,
        validate_default=True,
        description="Gateway. Env: ONEROUTER_BASE_URL.",
    )
    timeout: float | None = Field(
        default=600.0,
        gt=0,
        le=_MAX_SECONDS,
        description="Seconds to connect, to the first event, between data events.",
    )
    deadline: float | None = Field(
        default=None,
        gt=0,
        le=_MAX_SECONDS,
        description="Seconds for the whole call, retries included.",
    )
    max_retries: int = Field(default=2, ge=0, description="Requests beyond the first.")
    default_headers: Headers | None = Field(
        default=None, exclude=True, repr=False, description="Sent with every request."
    )
    http_client: Any = Field(
        default=None, exclude=True, repr=False, description="Your httpx client for sync calls."
    )
    http_async_client: Any = Field(
        default=None, exclude=True, repr=False, description="Your httpx client for async calls."
    )

    ledger: Ledger | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="Where costs are booked, and a budget kept.",
    )

    temperature: float | None = Field(
        default=None, ge=0, le=2, description="0 to 2; None: the model's."
    )
    top_p: UnitInterval | None = Field(default=None, description="0 to 1.")
    max_tokens: int | None = Field(default=None, gt=0, description="Most tokens to generate.")
    frequency_penalty: Penalty | None = Field(default=None, description="-2 to 2.")
    presence_penalty: Penalty | None = Field(default=None, description="-2 to 2.")
    stop: list[str] | str | None = Field(default=None, description="Where to stop generating.")
    seed: int | None = Field(default=None, description="For answers that repeat.")
    logprobs: bool | None = Field(default=None, description="Report log probabilities.")
    top_logprobs: int | None = Field(
        default=None, ge=0, le=20, description="Alternatives per token."
    )
    logit_bias: dict[str, float] | None = Field(default=None, description="Token id to -100..100.")
    user: str | None = Field(default=None, description="Your end user's id.")
    parallel_tool_calls: bool | None = Field(
        default=None, description="Several calls in one answer."
    )
    response_format: dict[str, Any] | JsonSchema | str | None = Field(
        default=None, description="json_schema, json (legacy), json_object or text."
    )
    modalities: list[str] | None = Field(
        default=None, description='Answer in "text", "image", "audio".'
    )
    reasoning: ReasoningOrDict | None = Field(
        default=None, description="How much the model may think."
    )
    reasoning_effort: str | None = Field(
        default=None, description='Short for reasoning={"effort": ...}.'
    )
    provider: ProviderRoutingOrDict | None = Field(
        default=None, description="Which upstreams may serve."
    )
    fallback_models: list[str] | None = Field(
        default=None, description="Models to try after `model`."
    )
    fallback_rules: FallbackRulesOrDict | Literal["auto", ""] | None = Field(
        default=None, description="When to fall back; the gateway's default is auto."
    )
    web_search_options: WebSearchOrDict | None = Field(
        default=None, description="Search the web first."
    )
    extra_body: dict[str, Any] | None = Field(
        default=None, description="Merged into the JSON body last: for what has no field here."
    )
    stream_usage: bool = Field(default=True, description="Ask for usage and cost.")
    file_form: Literal["data", "file_data"] = Field(
        default="data",
        description="How a document is spelled: the API page's \"data\", or OpenRouter's.",
    )

    @_model_validator(mode="before")
    @classmethod
    def _reject_unknown_arguments(cls, given: Any) -> Any:
        """Refuse a misspelt argument rather than ignore it."""
        if isinstance(given, Mapping):
            names = set(_field_names(cls))
            for name in given:
                if name not in names:
                    raise ConfigurationError(f"Unknown argument {name!r}.{suggestion(name, names)}")
        return given

    @field_validator("api_key", mode="before")
    @classmethod
    def _read_api_key(cls, key: Any) -> Any:
        """Take None for not given: so do those who load a model without its key."""
        if not (key is None or isinstance(key, str | SecretStr) or callable(key)):
            what = type(key).__name__
            raise ConfigurationError(f"api_key must be a string or a callable, not {what}.")
        return _api_key_from_env() if key is None else key

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        return check_base_url(url)

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _stringify_token_ids(cls, bias: Any) -> Any:
        """JSON has no integer keys, Python users write them."""
        return {str(k): v for k, v in bias.items()} if isinstance(bias, Mapping) else bias

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        """Copy all but the user's own HTTP clients, which cannot be and stay shared."""
        memo = {} if memo is None else memo
        for client in (self.http_client, self.http_async_client):
            memo[id(client)] = client
        return super().__deepcopy__(memo)

    def resolve(self, overrides: Mapping[str, Any] | None = None) -> CallSettings:
        """Merge per-call keywords over the fields; None means not given.

        An unknown keyword goes into the body as it is. Raises ConfigurationError.
        """
        known, unknown = _validate_overrides(overrides) if overrides else ({}, {})

        value = {**self.__dict__, **known}
        if "reasoning" in known and "reasoning_effort" not in known:
            value["reasoning_effort"] = None  # it is short for a part of the other
        parameters = {n: v for n in _ON_THE_WIRE if (v := value[n]) is not None}
        if overrides:
            body = deep_merge(self.extra_body, known.get("extra_body"))
            parameters["extra_body"] = {**(body or {}), **unknown}
        return CallSettings(
            model=value["model"],
            connection=ConnectionSettings(
                headers={**(value["default_headers"] or {}), **known.get("extra_headers", {})},
                **{name: value[name] for name in _TO_CONNECT},
            ),
            parameters=parameters,
        )


def _field_names(model: type[BaseModel]) -> Iterator[str]:
    """Yield what the fields are called, by their other names, too."""
    for name, info in model.model_fields.items():
        yield name
        if isinstance(info.validation_alias, AliasChoices):
            yield from map(str, info.validation_alias.choices)


def deep_merge(one: Any, other: Any) -> Any:
    """Return both objects in one, the other's keys first; of what is no object, the other."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return one if other is None else other
    both = {name: deep_merge(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **both}


_TO_CONNECT = (
    *("api_key", "base_url", "timeout", "deadline", "max_retries"),
    *("http_client", "http_async_client", "ledger"),
)
_ON_THE_WIRE = tuple(
    name
    for name in Parameters.model_fields
    if name not in {*_TO_CONNECT, "model", "default_headers"}
)


class _PerCallFields(Parameters):
    """What may be given per call: the fields, no longer required, and headers for this call."""

    model: str = Field(default="-", min_length=1)
    base_url: str = DEFAULT_BASE_URL
    extra_headers: Headers | None = None


def _validate_overrides(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split per-call keywords into validated known ones and unknown ones."""
    given = {name: value for name, value in overrides.items() if value is not None}
    unknown = {n: given.pop(n) for n in tuple(given) if n not in _PerCallFields.model_fields}
    if not given:
        return {}, unknown
    try:
        checked = _PerCallFields(**given)
    except ValidationError as error:
        raise ConfigurationError(format_validation_errors(error)) from None
    return {name: getattr(checked, name) for name in given}, unknown
