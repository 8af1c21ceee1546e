"""Request options that are objects: provider routing, reasoning, web search and fallback rules.

This module knows their keys and types. Keys that it does not know are kept and sent, so that a new
option of the gateway can be used before it has a field here. It does not know which field holds an
option, nor how one is sent.

Sources (gateway documentation): infron.ai/docs/routing-and-gateway/inference-provider-routing for
`ProviderRouting`, infron.ai/docs/features/model-fallbacks for `FallbackRules`,
infron.ai/docs/features/web-search for `WebSearchOptions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class _GatewayObject(BaseModel):
    """A JSON object of the API whose unknown keys are kept."""

    model_config = ConfigDict(
        extra="allow",
        hide_input_in_errors=True,  # pydantic prints the input, which may be secret
        populate_by_name=True,
        use_attribute_docstrings=True,  # the docstring under a field is its description
        defer_build=True,  # until the first instance: an import should take no time
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the options that are set, by their names in the API."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Percentiles(_GatewayObject):
    """A bound for each percentile of a provider's recent requests. None: no bound."""

    p50: float | None = None
    """Bound of the median."""

    p75: float | None = None
    """Bound of the 75th percentile."""

    p90: float | None = None
    """Bound of the 90th percentile."""

    p99: float | None = None
    """Bound of the 99th percentile."""


class ProviderRouting(_GatewayObject):
    """Provider routing: which upstream providers may serve a request, and in which order.

    Providers are named by slug, such as "fireworks" or "alibaba/cn/flex"; `ModelInfo.upstreams`
    lists those of a model. None leaves an option out of the request: the gateway's default holds.
    """

    order: list[str] | None = None
    """Slugs of the providers to try first, in this order. Switches load balancing off."""

    only: list[str] | None = None
    """Slugs of the providers that may serve the request; no others may."""

    ignore: list[str] | None = None
    """Slugs of the providers that may not serve the request."""

    allow_fallbacks: bool | None = None
    """Whether other providers may serve the request when those of `order` fail. Default: true."""

    require_parameters: bool | None = None
    """Whether only providers that support every parameter of the request may serve it. Default:
    true."""

    data_collection: Literal["allow", "deny"] | None = None
    """Whether providers that store prompts may serve the request: "allow" or "deny". Default:
    "allow"."""

    zdr: bool | None = None
    """Whether only providers with zero data retention may serve the request. Default: false."""

    enforce_distillable_text: bool | None = None
    """Whether only models whose output may be used for distillation may serve the request.
    Default: false."""

    quantizations: list[str] | None = None
    """Quantizations of the weights that are acceptable: "int4", "int8", "fp8", "fp16"."""

    sort: str | dict[str, Any] | None = None
    """Order in which providers are tried, best first: by "price", "throughput", "latency" or "ttft"
    (time to first token), or an object of the API. Switches load balancing off."""

    preferred_min_throughput: float | Percentiles | None = None
    """Throughput in tokens per second that a provider should reach."""

    preferred_max_latency: float | Percentiles | None = None
    """Latency in seconds that a provider should not exceed."""

    service_tier: str | None = None
    """Service tier: "standard", "flex" (cheaper and slower) or "priority". Default: any tier."""


class Reasoning(_GatewayObject):
    """Reasoning options: set `effort` or `max_tokens`. None: the model's default."""

    effort: str | None = None
    """Reasoning effort: "none", "minimal", "low", "medium", "high" or "xhigh"."""

    max_tokens: int | None = Field(default=None, gt=0)
    """Most tokens of reasoning (1 or more); they count towards the request's max_tokens."""

    enabled: bool | None = None
    """Whether the model reasons at all."""

    exclude: bool | None = None
    """Whether to leave the reasoning out of the reply; the model reasons all the same."""


class UserLocation(_GatewayObject):
    """Approximate location of the user, for web search results of the region."""

    type: str = "approximate"
    """Kind of location; the API has no other than "approximate"."""

    city: str | None = None
    """Name of the city."""

    country: str | None = None
    """Country code of two letters (ISO 3166-1 alpha-2)."""

    region: str | None = None
    """Name of the region or state."""

    timezone: str | None = None
    """Time zone name of the IANA database, such as "Europe/Berlin"."""


class WebSearchOptions(_GatewayObject):
    """Options of the web search that precedes the answer."""

    search_context_size: Literal["low", "medium", "high"] | None = None
    """Amount of search results that the model reads: "low", "medium" or "high"."""

    user_location: UserLocation | None = None
    """Approximate location of the user."""


class FallbackRule(_GatewayObject):
    """Condition of one kind: error codes, or a threshold."""

    hint_array: list[int] | None = None
    """Error codes that meet the condition, such as [500, 503]; for `FallbackRules.error_code`."""

    hint_threshold: float | None = None
    """Value beyond which the condition is met; for the other fields of `FallbackRules`."""

    action: str = "fallback"
    """Action when the condition is met; the API documents no other than "fallback"."""


def _rule_field(name: str, on_the_wire: str) -> Any:
    return Field(
        default=None,
        # `alias` would be the only name that type checkers accept
        validation_alias=AliasChoices(name, on_the_wire),
        serialization_alias=on_the_wire,
    )


if TYPE_CHECKING:
    RuleOrDict: TypeAlias = FallbackRule | Mapping[str, Any]
else:
    RuleOrDict = FallbackRule


class FallbackRules(_GatewayObject):
    """Conditions under which the gateway goes to the next of `fallback_models`.

    A field takes a FallbackRule or a mapping of its fields. None: no condition of that kind. The
    gateway documents no units for the thresholds.
    """

    error_code: RuleOrDict | None = None
    """Error codes of the upstream."""

    latency: RuleOrDict | None = _rule_field("latency", "Latency")
    """Threshold of the latency."""

    ttft: RuleOrDict | None = _rule_field("ttft", "TTFT")
    """Threshold of the time to the first token."""

    tpm: RuleOrDict | None = _rule_field("tpm", "TPM")
    """Threshold of the tokens per minute."""

    rpm: RuleOrDict | None = _rule_field("rpm", "RPM")
    """Threshold of the requests per minute."""
