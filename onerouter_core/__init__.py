"""Core of ChatOneRouter and OneRouterLLM: a client of OneRouter gateways, and its types."""

import warnings as _warnings
from typing import Any as _Any

from onerouter_core.base_model import GatewayModel
from onerouter_core.budgets import BudgetLimit, RequestSize, Reservation
from onerouter_core.catalog import Catalog
from onerouter_core.client_pool import ClientOwner, Clients
from onerouter_core.connection import ApiKey, ConnectionSettings, Headers
from onerouter_core.errors import OneRouterError
from onerouter_core.fields import (
    PUBLIC,
    SECRET_ARGUMENTS,
    CallSettings,
    ConnectionFields,
    GatewayFields,
    RequestFields,
    deep_merge,
    resolve_call,
)
from onerouter_core.gateway import AsyncDeltaStream, DeltaStream, Gateway, awarm_up, warm_up
from onerouter_core.json_text import json_instruction, parse_incomplete_json, parse_json_text
from onerouter_core.ledger import Ledger
from onerouter_core.ledger_entry import LedgerEntry, Prices
from onerouter_core.model_ids import ReplayPolicy, should_replay
from onerouter_core.model_template import ModelTemplate
from onerouter_core.object_reader import (
    Answer,
    GrowingObject,
    ObjectReader,
    excerpt,
    object_converter,
)
from onerouter_core.request_options import (
    FallbackRule,
    FallbackRules,
    Percentiles,
    ProviderRouting,
    Reasoning,
    UserLocation,
    WebSearchOptions,
)
from onerouter_core.response_format import (
    ObjectSchema,
    cached_by_class,
    class_response_format,
    class_schema,
    to_json_schema,
)
from onerouter_core.retry import OnRetry
from onerouter_core.running_reply import RunningCall, RunningReply
from onerouter_core.strict_schema import inline_root_ref, schema_name, to_strict_schema
from onerouter_core.structured_output import (
    ObjectAttempts,
    StructuredMethod,
    SupportedMethods,
    ask_for_object,
    method_options,
)
from onerouter_core.tracebacks import without_frames
from onerouter_core.types import (
    Audio,
    CacheControl,
    Citation,
    File,
    Image,
    Json,
    JsonSchema,
    Message,
    ModelInfo,
    NamedTool,
    Part,
    Reply,
    ReplyDelta,
    Request,
    Role,
    Text,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    Usage,
    Video,
)
from onerouter_core.version import __version__

__all__ = [
    "PUBLIC",
    "SECRET_ARGUMENTS",
    "Answer",
    "ApiKey",
    "AsyncDeltaStream",
    "Audio",
    "BudgetLimit",
    "CacheControl",
    "CallSettings",
    "Catalog",
    "Citation",
    "ClientOwner",
    "Clients",
    "ConnectionFields",
    "ConnectionSettings",
    "DeltaStream",
    "FallbackRule",
    "FallbackRules",
    "File",
    "Gateway",
    "GatewayFields",
    "GatewayModel",
    "GrowingObject",
    "Headers",
    "Image",
    "Json",
    "JsonSchema",
    "Ledger",
    "LedgerEntry",
    "Message",
    "ModelInfo",
    "ModelTemplate",
    "NamedTool",
    "ObjectAttempts",
    "ObjectReader",
    "ObjectSchema",
    "OnRetry",
    "OneRouterError",
    "Part",
    "Percentiles",
    "Prices",
    "ProviderRouting",
    "Reasoning",
    "ReplayPolicy",
    "Reply",
    "ReplyDelta",
    "Request",
    "RequestFields",
    "RequestSize",
    "Reservation",
    "Role",
    "RunningCall",
    "RunningReply",
    "StructuredMethod",
    "SupportedMethods",
    "Text",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "Usage",
    "UserLocation",
    "Video",
    "WebSearchOptions",
    "__version__",
    "ask_for_object",
    "awarm_up",
    "cached_by_class",
    "class_response_format",
    "class_schema",
    "deep_merge",
    "excerpt",
    "inline_root_ref",
    "json_instruction",
    "method_options",
    "object_converter",
    "parse_incomplete_json",
    "parse_json_text",
    "resolve_call",
    "schema_name",
    "should_replay",
    "to_json_schema",
    "to_strict_schema",
    "warm_up",
    "without_frames",
]

_RENAMED = {  # names of version 1.0; the aliases go with the next minor version
    "CacheMark": "CacheControl",
    "Connection": "ConnectionSettings",
    "Entry": "LedgerEntry",
    "Parameters": "GatewayFields",
    "Piece": "ReplyDelta",
}


def __getattr__(name: str) -> _Any:
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new_name = _RENAMED[name]
    _warnings.warn(
        f"onerouter_core.{name} is now onerouter_core.{new_name}", DeprecationWarning, stacklevel=2
    )
    return globals()[new_name]
