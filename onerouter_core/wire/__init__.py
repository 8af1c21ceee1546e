"""The wire format of the API; no other package has a JSON key of it.

`encode` turns a Request into the JSON body, `decode` a completion into a Reply, `sse` bytes into
events, and `stream` events into deltas. None of them does any input or output.
"""

from onerouter_core.wire.annotations import decode_citations, decode_logprobs
from onerouter_core.wire.coerce import as_items, as_mapping, as_text, omit
from onerouter_core.wire.content_parts import decode_cache_control, decode_part
from onerouter_core.wire.decode import decode_tool_call, encode_arguments, partial_reply
from onerouter_core.wire.encode import (
    check_tool_choice,
    decode_tool,
    decode_tool_choice,
    encode_request,
    encode_tool,
)
from onerouter_core.wire.tool_names import ToolNames

__all__ = [
    "ToolNames",
    "as_items",
    "as_mapping",
    "as_text",
    "check_tool_choice",
    "decode_cache_control",
    "decode_citations",
    "decode_logprobs",
    "decode_part",
    "decode_tool",
    "decode_tool_call",
    "decode_tool_choice",
    "encode_arguments",
    "encode_request",
    "encode_tool",
    "omit",
    "partial_reply",
]
