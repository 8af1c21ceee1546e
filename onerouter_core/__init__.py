"""What ChatOneRouter and OneRouterLLM share: a OneRouter gateway, and the values it speaks in."""

from onerouter_core.catalog import Catalog
from onerouter_core.clients import Clients
from onerouter_core.costs import Entry, Ledger
from onerouter_core.errors import OneRouterError
from onerouter_core.gateway import Gateway, awarm_up, warm_up
from onerouter_core.model import GatewayModel
from onerouter_core.options import FallbackRules, ProviderRouting, Reasoning, WebSearchOptions
from onerouter_core.parameters import Connection, Parameters
from onerouter_core.values import (
    Audio,
    CacheMark,
    File,
    Image,
    JsonSchema,
    Message,
    ModelInfo,
    NamedTool,
    Piece,
    Reply,
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
    "CacheMark",
    "Catalog",
    "Clients",
    "Connection",
    "Entry",
    "FallbackRules",
    "File",
    "Gateway",
    "GatewayModel",
    "Image",
    "JsonSchema",
    "Ledger",
    "Message",
    "ModelInfo",
    "NamedTool",
    "OneRouterError",
    "Parameters",
    "Piece",
    "ProviderRouting",
    "Reasoning",
    "Reply",
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
