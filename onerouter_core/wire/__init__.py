"""Wire format of the API: no other package knows its JSON keys.

`encode_request` encodes a Request as a JSON body. `decode.decode_reply` decodes a completion to a
Reply, and `stream.StreamDecoder` decodes the bytes of a stream to deltas. No module here does any
input or output.
"""

from onerouter_core.model_json import is_reproduced, nests_too_deeply
from onerouter_core.wire.annotations import decode_citations, decode_logprobs
from onerouter_core.wire.coerce import as_items, as_json_text, as_mapping, as_text, omit
from onerouter_core.wire.content_parts import decode_cache_control, decode_part
from onerouter_core.wire.decode import (
    REPLAYED_KEYS,
    decode_partial_reply,
    decode_tool_call,
    unknown_call_keys,
)
from onerouter_core.wire.encode import encode_request
from onerouter_core.wire.finish_reasons import finish_meaning
from onerouter_core.wire.tool_names import ToolNames
from onerouter_core.wire.tools import (
    arguments_text,
    check_tool_choice,
    decode_tool,
    decode_tool_choice,
    encode_tool,
)

__all__ = [
    "REPLAYED_KEYS",
    "ToolNames",
    "arguments_text",
    "as_items",
    "as_json_text",
    "as_mapping",
    "as_text",
    "check_tool_choice",
    "decode_cache_control",
    "decode_citations",
    "decode_logprobs",
    "decode_part",
    "decode_partial_reply",
    "decode_tool",
    "decode_tool_call",
    "decode_tool_choice",
    "encode_request",
    "encode_tool",
    "finish_meaning",
    "is_reproduced",
    "nests_too_deeply",
    "omit",
    "unknown_call_keys",
]
