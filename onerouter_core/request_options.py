"""Parameters that are objects: how providers are chosen, how much is thought, what is searched.

This module knows their keys and types (source: the API page). It knows neither who holds them nor
how they are sent. Keys that it does not know are kept: the gateway grows faster than we do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class _GatewayObject(BaseModel):
    """An object of the gateway's whose unknown keys are kept."""

    model_config = ConfigDict(
        extra="allow", hide_input_in_errors=True, populate_by_name=True, defer_build=True
    )

    def to_dict(self) -> dict[str, Any]:
        """Return what was set, by the gateway's names."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Percentiles(_GatewayObject):
    """A bound per percentile of recent calls."""

    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p99: float | None = None


class ProviderRouting(_GatewayObject):
    """Which upstream providers may serve a call, and in what order (gateway docs: routing)."""

    order: list[str] | None = Field(
        default=None, description='Slugs to try first, as "alibaba/cn".'
    )
    only: list[str] | None = Field(default=None, description="Slugs to choose from.")
    ignore: list[str] | None = Field(default=None, description="Slugs to leave out.")
    allow_fallbacks: bool | None = Field(
        default=None, description="Others may serve (default true)."
    )
    require_parameters: bool | None = Field(
        default=None, description="Only who supports them (true)."
    )
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = Field(default=None, description="Zero data retention only.")
    enforce_distillable_text: bool | None = None
    quantizations: list[str] | None = Field(
        default=None, description='"int4", "int8", "fp8", "fp16".'
    )
    sort: str | dict[str, Any] | None = Field(
        default=None, description='"price", "throughput", "latency", "ttft".'
    )
    preferred_min_throughput: float | Percentiles | None = Field(
        default=None, description="Tokens/s."
    )
    preferred_max_latency: float | Percentiles | None = Field(default=None, description="Seconds.")
    service_tier: str | None = Field(default=None, description='"standard", "flex", "priority".')


class Reasoning(_GatewayObject):
    """How much the model may think: an effort, or tokens."""

    effort: str | None = Field(default=None, description='"none", "minimal", "low" ... "xhigh".')
    max_tokens: int | None = Field(default=None, gt=0)
    enabled: bool | None = None
    exclude: bool | None = None


class UserLocation(_GatewayObject):
    """Where the user is, roughly, for a web search."""

    type: str = "approximate"
    city: str | None = None
    country: str | None = Field(default=None, description="Two letters, ISO 3166.")
    region: str | None = None
    timezone: str | None = Field(default=None, description="IANA name.")


class WebSearchOptions(_GatewayObject):
    """A web search before the answer."""

    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: UserLocation | None = None


class FallbackRule(_GatewayObject):
    """One trigger: error codes, or a threshold."""

    hint_array: list[int] | None = None
    hint_threshold: float | None = None
    action: str = "fallback"


def _rule_field(name: str, on_the_wire: str) -> Any:
    return Field(
        default=None,
        validation_alias=AliasChoices(name, on_the_wire),  # an alias would be all that checkers see
        serialization_alias=on_the_wire,
    )


if TYPE_CHECKING:
    RuleOrDict: TypeAlias = FallbackRule | Mapping[str, Any]
else:
    RuleOrDict = FallbackRule


class FallbackRules(_GatewayObject):
    """When a call goes to the next of `fallback_models`."""

    error_code: RuleOrDict | None = None
    latency: RuleOrDict | None = _rule_field("latency", "Latency")
    ttft: RuleOrDict | None = _rule_field("ttft", "TTFT")
    tpm: RuleOrDict | None = _rule_field("tpm", "TPM")
    rpm: RuleOrDict | None = _rule_field("rpm", "RPM")
