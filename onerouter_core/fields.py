"""Constructor fields of both classes, declared once; per call the same names override them.

Membership decides where a field goes: `ConnectionFields` never reach the request body and are
private (no dump, repr, trace or cache key shows them) unless they are marked `PUBLIC`;
`RequestFields` are sent. `resolve_call` merges fields and per-call keywords. Names, types and
ranges: the gateway's API page. No framework, no message and no transport is known here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
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

from onerouter_core.argument_hints import BODY_KEYS, argument_hint
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
from onerouter_core.response_format import class_response_format
from onerouter_core.types import JsonSchema


def _first_env(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _api_key_from_env() -> SecretStr | None:
    key = _first_env("ONEROUTER_API_KEY", "INFRON_API_KEY")
    return SecretStr(key) if key else None


def _base_url_from_env() -> str:
    return _first_env("ONEROUTER_BASE_URL") or DEFAULT_BASE_URL


# pydantic makes an object of a mapping, and a secret of a string; these types tell type checkers.
if TYPE_CHECKING:
    ApiKeyOrStr: TypeAlias = ApiKey | str
    ReasoningOrDict: TypeAlias = Reasoning | Mapping[str, Any]
    ProviderRoutingOrDict: TypeAlias = ProviderRouting | Mapping[str, Any]
    FallbackRulesOrDict: TypeAlias = FallbackRules | Mapping[str, Any]
    WebSearchOrDict: TypeAlias = WebSearchOptions | Mapping[str, Any]
    ResponseFormatOrClass: TypeAlias = dict[str, Any] | JsonSchema | str | type[Any]
else:
    ApiKeyOrStr, ReasoningOrDict = ApiKey, Reasoning
    ProviderRoutingOrDict, FallbackRulesOrDict = ProviderRouting, FallbackRules
    WebSearchOrDict = WebSearchOptions
    ResponseFormatOrClass = dict[str, Any] | JsonSchema | str

_MAX_SECONDS = 10_000_000.0  # about four months: operating system timers overflow beyond
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=_MAX_SECONDS)]
UnitInterval: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2)]

PUBLIC = object()
"""Mark of a connection field that dumps, repr, traces and cache keys may show."""

_MODEL_CONFIG = ConfigDict(
    hide_input_in_errors=True,  # pydantic prints the input, keys included
    arbitrary_types_allowed=True,
    populate_by_name=True,
    use_attribute_docstrings=True,  # the docstring under a field is its description
    defer_build=True,  # until the first instance: an import should take no time
)


class ConnectionFields(BaseModel):
    """Fields that say how to reach the gateway. They are never part of the request body."""

    model_config = _MODEL_CONFIG

    api_key: ApiKeyOrStr | None = Field(default_factory=_api_key_from_env)
    """API key: a string, or a sync or async callable that is called before each request and
    returns the key. Default: ONEROUTER_API_KEY, then INFRON_API_KEY from the environment."""

    base_url: Annotated[str, PUBLIC] = Field(
        default_factory=_base_url_from_env, validate_default=True
    )
    """Base URL of the gateway, up to and including /v1. Default: ONEROUTER_BASE_URL from the
    environment, then https://llm.onerouter.pro/v1."""

    timeout: Annotated[Seconds | None, PUBLIC] = Field(default=600.0)
    """Read timeout in seconds: the longest silence while connecting, before the first event, and
    between events. None: no limit."""

    deadline: Annotated[Seconds | None, PUBLIC] = Field(default=None)
    """Total time limit of a call in seconds, retries and the reading of a stream included. None:
    no limit."""

    max_retries: Annotated[int, PUBLIC] = Field(default=2, ge=0)
    """Most requests that may follow a failed first one: a call sends at most max_retries + 1."""

    max_reply_bytes: Annotated[int | None, PUBLIC] = Field(default=None, gt=0)
    """Largest reply in bytes, decompressed: a body, or all events of a stream together. Default:
    268435456 (256 MiB)."""

    default_headers: Headers | None = Field(default=None)
    """HTTP headers sent with every request. Errors show no value of a header whose name says that
    it is secret ("authorization", "x-api-key", "cookie", ...), nor any that is a SecretStr."""

    http_client: Any = Field(default=None)
    """HTTP client for sync calls: an instance of the openai SDK's HTTP library (httpx.Client with
    openai 2). The stricter of its own timeouts and `timeout` holds. Default: a client that all
    instances share."""

    http_async_client: Any = Field(default=None)
    """HTTP client for async calls (httpx.AsyncClient with openai 2), on one event loop. The
    stricter of its own timeouts and `timeout` holds. Default: a client that all instances on one
    event loop share."""

    ledger: Ledger | None = Field(default=None)
    """Ledger that records the cost of each call (USD) and refuses calls beyond its budget."""

    @field_validator("api_key", mode="before")
    @classmethod
    def _read_api_key(cls, key: Any) -> Any:
        """Treat None as not given: a model that is loaded without its key passes None."""
        if not (key is None or isinstance(key, str | SecretStr) or callable(key)):
            kind = type(key).__name__
            raise ConfigurationError(f"api_key must be a string or a callable, not {kind}.")
        return _api_key_from_env() if key is None else key

    @field_validator("base_url", mode="before")
    @classmethod
    def _read_base_url(cls, url: Any) -> Any:
        """Treat None as not given: programs pass a variable that may not be set."""
        return _base_url_from_env() if url is None else url

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        return check_base_url(url)


class RequestFields(BaseModel):
    """Fields that are sent in the request body. None leaves a parameter out of it."""

    model_config = _MODEL_CONFIG

    model: str = Field(min_length=1)
    """Model id, such as "deepseek/deepseek-v4-flash"."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """Sampling temperature (0 to 2): 0 picks the likeliest token, higher values vary more.
    Default: the model's own."""

    top_p: UnitInterval | None = Field(default=None)
    """Nucleus sampling: keep the smallest set of tokens whose probabilities add up to top_p
    (0 to 1). Default: the model's own."""

    max_tokens: int | None = Field(default=None, gt=0)
    """Most tokens to generate, reasoning included. Default: the model's own limit."""

    frequency_penalty: Penalty | None = Field(default=None)
    """Penalty per earlier occurrence of a token (-2 to 2); positive values reduce repetition."""

    presence_penalty: Penalty | None = Field(default=None)
    """Penalty for tokens that have occurred at all (-2 to 2); positive values favour new topics."""

    stop: list[str] | str | None = Field(default=None)
    """Stop sequences: generation ends before the first of them."""

    seed: int | None = Field(default=None)
    """Seed for sampling: the same seed and request give the same answer where the model supports
    it."""

    logprobs: bool | None = Field(default=None)
    """Whether to return the log probability of each output token."""

    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    """Number of alternatives per token that log probabilities list (0 to 20); needs logprobs."""

    logit_bias: dict[str, float] | None = Field(default=None)
    """Bias per token id (-100 bans a token, 100 forces it)."""

    user: str | None = Field(default=None)
    """Id of your end user, for abuse monitoring by the upstream."""

    parallel_tool_calls: bool | None = Field(default=None)
    """Whether one answer may hold several tool calls. Default: the model's own."""

    response_format: ResponseFormatOrClass | None = Field(default=None)
    """Format of the answer: a JsonSchema, a class (pydantic, dataclass or TypedDict: its schema,
    strict if it can be), "json_object", "text", or the API's own mapping of type json_schema, json
    (legacy), json_object or text."""

    modalities: list[str] | None = Field(default=None)
    """Modalities of the answer: "text", "image", "audio". Default: text."""

    reasoning: ReasoningOrDict | None = Field(default=None)
    """Reasoning options: effort ("none" to "xhigh") or max_tokens, and whether to return it."""

    reasoning_effort: str | None = Field(default=None)
    """Reasoning effort, short for reasoning={"effort": ...}: "none", "minimal", "low", "medium",
    "high" or "xhigh"."""

    provider: ProviderRoutingOrDict | None = Field(default=None)
    """Provider routing: which upstream providers may serve the request, and in which order."""

    fallback_models: list[str] | None = Field(default=None)
    """Model ids that the gateway tries, in order, when `model` fails."""

    fallback_rules: FallbackRulesOrDict | Literal["auto", ""] | None = Field(default=None)
    """Conditions under which the gateway goes to the next of fallback_models. Default: "auto"."""

    web_search_options: WebSearchOrDict | None = Field(default=None)
    """Web search before the answer: context size and the user's approximate location."""

    cache_prompt: bool | Literal["5m", "1h"] | None = Field(default=None)
    """Prompt caching: put cache marks on the last text of the system messages and of the two newest
    turns, so that each request reads what the last one wrote; at most four with your own. A time to
    live, "5m" or "1h"; True is the upstream's default, 5 minutes. Default: your own marks only."""

    extra_body: dict[str, Any] | None = Field(default=None)
    """Keys merged into the request body last: for parameters that have no field here."""

    stream_usage: bool = Field(default=True)
    """Whether to ask for token counts and cost; False for servers that refuse the keys `usage` and
    `stream_options`."""

    file_form: Literal["data", "file_data"] = Field(default="data")
    """Form of a file part: "data" is the API page's ({data, media_type, filename}), "file_data" is
    OpenRouter's ({filename, file_data} with a data URL)."""

    @field_validator("cache_prompt", mode="before")
    @classmethod
    def _check_cache_prompt(cls, value: Any) -> Any:
        """Reject what pydantic would take for a bool: 1, 0 and "yes"."""
        if value is None or isinstance(value, bool) or value in ("5m", "1h"):
            return value
        raise ConfigurationError(f'cache_prompt must be True, False, "5m" or "1h", not {value!r}.')

    @field_validator("response_format", mode="before")
    @classmethod
    def _read_class(cls, response_format: Any) -> Any:
        """Turn a class into its JSON schema, which can be stored, compared and sent.

        A JsonSchema that was stored as JSON is read again.
        """
        match response_format:
            case type():
                return class_response_format(response_format)
            case {"name": _, "schema": _, "strict": _, "description": _}:
                return JsonSchema(**response_format)
        return response_format

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _stringify_token_ids(cls, bias: Any) -> Any:
        """Turn integer token ids into the strings that JSON needs as keys."""
        return {str(k): v for k, v in bias.items()} if isinstance(bias, Mapping) else bias


def _make_private(fields: type[BaseModel]) -> frozenset[str]:
    """Keep fields without the mark `PUBLIC` out of dumps and repr; return their names."""
    private = {n: info for n, info in fields.model_fields.items() if PUBLIC not in info.metadata}
    for info in private.values():
        info.exclude, info.repr = True, False
    return frozenset(private)


SECRET_ARGUMENTS = _make_private(ConnectionFields) | {"extra_headers"}
"""Names of the arguments, of constructor or call, that no trace and no cache key may show."""


class GatewayFields(ConnectionFields, RequestFields):
    """Fields of `ChatOneRouter` and `OneRouterLLM`; all of them can be given per call, too."""

    @_model_validator(mode="before")
    @classmethod
    def _reject_unknown_arguments(cls, given: Any) -> Any:
        """Reject an unknown argument, and suggest the name that was probably meant."""
        if isinstance(given, Mapping):
            names = set(_field_names(cls))
            for name in given:
                if name not in names:
                    raise ConfigurationError(
                        f"Unknown argument {name!r}.{argument_hint(name, names)}"
                    )
        return given

    def _set_parameters(self) -> dict[str, Any]:
        """Return the values of the request fields that are set, by field name; without `model`."""
        values = self.__dict__
        return {name: v for name in _PARAMETER_NAMES if (v := values[name]) is not None}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        """Copy all but the user's own HTTP clients, which cannot be copied and stay shared."""
        memo = {} if memo is None else memo
        for client in (self.http_client, self.http_async_client):
            memo[id(client)] = client
        return super().__deepcopy__(memo)


def _field_names(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names of the fields and their validation aliases."""
    for name, info in model.model_fields.items():
        yield name
        if isinstance(info.validation_alias, AliasChoices):
            yield from map(str, info.validation_alias.choices)


# --- one call: fields and per-call keywords merged ---


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Settings of one call: fields and per-call keywords merged."""

    model: str
    """Model id."""

    connection: ConnectionSettings
    """Connection settings; `headers` are default_headers and extra_headers merged."""

    parameters: dict[str, Any]
    """Values of the request fields that are set, by field name, for `Request.parameters`."""


_CONNECTION_NAMES = tuple(
    field.name
    for field in dataclass_fields(ConnectionSettings)
    if field.name in ConnectionFields.model_fields
)
_PARAMETER_NAMES = tuple(name for name in RequestFields.model_fields if name != "model")


class _PerCallFields(GatewayFields):
    """Keywords of one call: the fields, none of them required, and headers for this call."""

    model: str = Field(default="-", min_length=1)
    base_url: str = DEFAULT_BASE_URL
    extra_headers: Headers | None = None


def resolve_call(fields: GatewayFields, overrides: Mapping[str, Any] | None = None) -> CallSettings:
    """Merge per-call keywords over the fields of an instance.

    Args:
        fields: the instance.
        overrides: per-call keywords by field name, `extra_headers`, and those of
            `argument_hints.BODY_KEYS`, which go into the request body as they are. None means not
            given.

    Raises:
        ConfigurationError: a keyword is unknown, has a wrong type or is out of range.

    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    known, in_body = _validate_overrides(given) if given else ({}, {})
    value = {**fields.__dict__, **known}
    if "reasoning" in known and "reasoning_effort" not in known:
        value["reasoning_effort"] = None  # short for a part of `reasoning`, which the call replaced
    parameters = {name: v for name in _PARAMETER_NAMES if (v := value[name]) is not None}
    if known or in_body:
        body = deep_merge(fields.extra_body, known.get("extra_body"))
        parameters["extra_body"] = {**(body or {}), **in_body}
    return CallSettings(
        model=value["model"],
        connection=ConnectionSettings(
            headers={**(value["default_headers"] or {}), **known.get("extra_headers", {})},
            **{name: value[name] for name in _CONNECTION_NAMES},
        ),
        parameters=parameters,
    )


def _validate_overrides(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split per-call keywords into validated fields and those that go into the body."""
    names = _PerCallFields.model_fields.keys()
    in_body = {name: given.pop(name) for name in tuple(given) if name not in names}
    for name in in_body:
        if name not in BODY_KEYS:
            raise ConfigurationError(f"Unknown keyword {name!r}.{argument_hint(name, set(names))}")
    if not given:
        return {}, in_body
    try:
        validated = _PerCallFields(**given)
    except ValidationError as error:
        raise ConfigurationError(format_validation_errors(error)) from None
    return {name: getattr(validated, name) for name in given}, in_body


def deep_merge(base: Any, override: Any) -> Any:
    """Merge two mappings at every level; where a value is no mapping, `override` wins if not None.

    The keys of `override` come first.
    """
    if not (isinstance(base, Mapping) and isinstance(override, Mapping)):
        return base if override is None else override
    both = {name: deep_merge(base[name], override[name]) for name in base.keys() & override.keys()}
    return {**base, **override, **both}
