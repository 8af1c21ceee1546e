"""What ChatOneRouter and OneRouterLLM share: a OneRouter gateway, and the values it speaks in."""

from onerouter_core.base_model import GatewayModel
from onerouter_core.catalog import Catalog
from onerouter_core.client_pool import Clients
from onerouter_core.connection import ConnectionSettings
from onerouter_core.errors import OneRouterError
from onerouter_core.fields import Parameters
from onerouter_core.gateway import Gateway, awarm_up, warm_up
from onerouter_core.ledger import Ledger, LedgerEntry
from onerouter_core.request_options import (
    FallbackRules,
    ProviderRouting,
    Reasoning,
    WebSearchOptions,
)
from onerouter_core.types import (
    Audio,
    CacheControl,
    File,
    Image,
    JsonSchema,
    Message,
    ModelInfo,
    NamedTool,
    Reply,
    ReplyDelta,
    Request,
    Text,
    Tool,
    ToolCall,
    Usage,
    Video,
)
from onerouter_core.version import __version__

__all__ = [
    "Audio",
    "CacheControl",
    "Catalog",
    "Clients",
    "ConnectionSettings",
    "FallbackRules",
    "File",
    "Gateway",
    "GatewayModel",
    "Image",
    "JsonSchema",
    "Ledger",
    "LedgerEntry",
    "Message",
    "ModelInfo",
    "NamedTool",
    "OneRouterError",
    "Parameters",
    "ProviderRouting",
    "Reasoning",
    "Reply",
    "ReplyDelta",
    "Request",
    "Text",
    "Tool",
    "ToolCall",
    "Usage",
    "Video",
    "WebSearchOptions",
    "__version__",
    "awarm_up",
    "warm_up",
]
