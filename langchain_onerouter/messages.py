"""LangChain's messages to ours.

This module knows every shape of content that LangChain users write: strings, v0 and v1 standard
blocks, Anthropic's blocks; the API's own parts it has the wire room read. It changes nothing it is
given, and raises on what it does not know rather than leave it out.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, cast, get_args

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from onerouter_core import (
    Audio,
    CacheControl,
    File,
    Image,
    Json,
    Message,
    Part,
    ReplayPolicy,
    Role,
    Text,
    ToolCall,
    Video,
    should_replay,
)
from onerouter_core.errors import UnsupportedContentError
from onerouter_core.wire import as_items, as_mapping, as_text, decode_cache_control, decode_part

PROVIDER = "onerouter"
"""What messages of ours say under `model_provider`; only their reasoning is sent back."""

# What an assistant's content may hold beside its words: calls, which stand in `tool_calls` as well;
# thoughts, of which ours travel apart and others' are nobody else's business; and what a vendor's
# own tools did on its servers, in LangChain's words, OpenAI's, Anthropic's and Google's.
_SKIPPED_BLOCK_TYPES = {
    *("tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "input_json_delta"),
    *("function_call", "custom_tool_call"),
    *("thinking", "redacted_thinking", "reasoning", "reasoning_content"),
    *("server_tool_call", "server_tool_call_chunk", "server_tool_result"),
    *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"),
    *("mcp_call", "mcp_list_tools", "tool_search_call", "tool_search_output"),
    *("server_tool_use", "mcp_tool_use", "executable_code", "code_execution_result"),
}
_SERVER_TOOL_RESULT_SUFFIX = "_tool_result"  # Anthropic has one type for each tool


def to_messages(
    messages: Sequence[BaseMessage], model: str, replay: ReplayPolicy = "same_model"
) -> tuple[Message, ...]:
    """Return our messages for a model; raise UnsupportedContentError on what the API cannot carry.

    `replay` says whose reasoning goes back: that of the model that is asked now, all, or none.
    """
    if any("function_call" in message.additional_kwargs for message in messages):
        messages = [*map(_add_legacy_call_id, count(), (None, *messages), messages)]
    return tuple(_to_message(message, model, replay) for message in messages)


def _add_legacy_call_id(
    place: int, before: BaseMessage | None, message: BaseMessage
) -> BaseMessage:
    """Give a legacy function call, and the result behind it, the id that they never had."""
    if isinstance(message, FunctionMessage) and _legacy_call(before):
        return ToolMessage(message.content, tool_call_id=f"call_{place - 1}")
    if call := _legacy_call(message):
        extras = {**message.additional_kwargs, "function_call": {**call, "id": f"call_{place}"}}
        return message.model_copy(update={"additional_kwargs": extras})
    return message


def _legacy_call(message: BaseMessage | None) -> Json | None:
    """Return the call that OpenAI had before there were tool calls, if there are none."""
    match message:
        case AIMessage(
            tool_calls=[],
            invalid_tool_calls=[],
            additional_kwargs={"function_call": {"name": str()} as call},
        ):
            return as_mapping(call)
    return None


def _to_message(message: BaseMessage, model: str, replay: ReplayPolicy) -> Message:
    if isinstance(message, AIMessage):
        return _from_assistant(message, reasons=_should_replay_message(message, model, replay))
    role = _role(message)
    call_id = message.tool_call_id if isinstance(message, ToolMessage) else None
    name = None if role == "tool" else message.name
    return Message(role, tuple(_to_parts(message, role)), name=name, tool_call_id=call_id)


def _should_replay_message(message: AIMessage, model: str, replay: ReplayPolicy) -> bool:
    """Tell whether a message's reasoning is sent: others cannot read it, and may refuse it."""
    facts = message.response_metadata
    ours = facts.get("model_provider") == PROVIDER
    return ours and should_replay(replay, as_text(facts.get("model_name")), model)


def _role(message: BaseMessage) -> Role:
    match message:
        case HumanMessage():
            return "user"
        case SystemMessage():
            developer = message.additional_kwargs.get("__openai_role__") == "developer"
            return "developer" if developer else "system"
        case ToolMessage():
            return "tool"
        case ChatMessage(role=role) if role in get_args(Role):
            return cast("Role", role)
    role = getattr(message, "role", message.type)
    raise UnsupportedContentError(f"The API has no role {role!r} ({type(message).__name__}).")


def _from_assistant(message: AIMessage, *, reasons: bool) -> Message:
    extras = message.additional_kwargs
    return Message(
        "assistant",
        _assistant_parts(message),
        name=message.name,
        tool_calls=tuple(_tool_calls(message)),
        reasoning=extras.get("reasoning_content") if reasons else None,
        reasoning_details=tuple(as_items(extras.get("reasoning_details")) if reasons else ()),
        refusal=extras.get("refusal") or _refusal(message),
    )


def _assistant_parts(message: AIMessage) -> tuple[Part, ...]:
    """Return the content, and if it has no words those that ChatOpenAI keeps with the sound."""
    parts = tuple(_to_parts(message, "assistant"))
    words = as_text(as_mapping(message.additional_kwargs.get("audio")).get("transcript"))
    if words is None or any(isinstance(part, Text) for part in parts):
        return parts
    return Text(words), *parts


def _refusal(message: AIMessage) -> str | None:
    refusals = (b.get("refusal") for b in _iter_blocks(message) if not isinstance(b, str))
    return next((refusal for refusal in refusals if refusal), None)


def _tool_calls(message: AIMessage) -> Iterator[ToolCall]:
    for call in message.tool_calls:
        arguments = json.dumps(call["args"], ensure_ascii=False, default=str)
        yield ToolCall(call["id"] or "", call["name"], arguments, parsed=call["args"])
    for bad in message.invalid_tool_calls:
        error = bad.get("error") or "The arguments are not a JSON object."
        yield ToolCall(bad["id"] or "", bad["name"] or "", bad["args"] or "", error=error)
    if "function_call" in message.additional_kwargs and (legacy := _legacy_call(message)):
        yield ToolCall(legacy["id"], legacy["name"], as_text(legacy.get("arguments")) or "")


def _iter_blocks(message: BaseMessage) -> Iterator[str | Json]:
    """Yield the content; what LangChain has wrapped as `non_standard` is itself again."""
    content = message.content
    for block in [content] if isinstance(content, str) else content:
        match block:
            case {"type": "non_standard", "value": Mapping() as wrapped}:
                yield wrapped
            case _:
                yield block


def _to_parts(message: BaseMessage, role: Role) -> Iterator[Part]:
    for block in _iter_blocks(message):
        if isinstance(block, str):
            if block:
                yield Text(block)
        elif not (role == "assistant" and _is_skipped_block(block)):
            yield _to_part(block, role)


def _is_skipped_block(block: Json) -> bool:
    """Tell whether a block says what the message says elsewhere, or what is not to be sent."""
    match block:
        case {"type": "image_generation_call"} if _generated_image(block):
            return False
        case {"type": str(kind)}:
            return kind in {*_SKIPPED_BLOCK_TYPES, "refusal"} or kind.endswith(
                _SERVER_TOOL_RESULT_SUFFIX
            )
    return False


def _to_part(block: Json, role: Role) -> Part:
    flat = _lift_extras(block)
    part = (
        decode_part(flat)
        or _from_standard_block(flat)
        or _from_anthropic_block(flat)
        or _generated_image(flat)
    )
    if part is None:
        said = f"The API cannot carry the block {_describe_block(block)} in a message of role {role!r}."
        known = flat.get("type") == "audio" and "url" in flat
        more = " It takes the data of sound, not its URL: fetch it." if known else ""
        raise UnsupportedContentError(said + more)
    return part


def _describe_block(block: Json) -> str:
    """Describe a block by its type and keys: its data may be large or secret."""
    return f"{block.get('type')!r} with keys {sorted(block)}"


def _from_standard_block(block: Json) -> Part | None:
    """Read LangChain's own blocks, of both generations."""
    source_fields = {
        "url": as_text(block.get("url")),
        "data": as_text(block.get("base64")) or as_text(block.get("data")),
        "media_type": as_text(block.get("mime_type")),
    }
    cache = decode_cache_control(block)
    part: Part | None = None
    match block.get("type"):
        case "text-plain":
            part = _plain_text(block, source_fields, cache)
        case _ if source_fields["url"] is None and source_fields["data"] is None:
            pass  # a block of these types without content is of another vendor
        case "image":
            part = Image(**source_fields, detail=block.get("detail"), cache=cache)
        case "video":
            part = Video(**source_fields, cache=cache)
        case "file":
            part = File(**source_fields, filename=_filename(block), cache=cache)
        case "audio" if source_fields["data"] is not None:
            form = (source_fields["media_type"] or "audio/wav").partition("/")[2]
            part = Audio(source_fields["data"], _AUDIO_FORMATS.get(form, form), cache=cache)
    return part


_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "mp4": "m4a"}


# What may stand beside a block's content; an address there is where the content came from.
_LIFTED_KEYS = ("filename", "name", "title", "detail", "cache_control")


def _lift_extras(block: Json) -> Json:
    """Lift what a block says beyond the standard: v1 has `extras` for it, v0 `metadata`."""
    extras = as_mapping(block.get("extras"))
    metadata = as_mapping(block.get("metadata") or extras.get("metadata"))  # core moves v0's
    beside = {**metadata, **extras}
    return {**{key: beside[key] for key in _LIFTED_KEYS if key in beside}, **block}


def _filename(block: Json) -> str | None:
    return next((str(block[key]) for key in ("filename", "name", "title") if block.get(key)), None)


def _plain_text(
    block: Json, source_fields: dict[str, Any], cache: CacheControl | None
) -> Part | None:
    """Give a text file's words: every model reads words, few read the file."""
    if source_fields["url"] is not None:
        return File(**source_fields, filename=_filename(block), cache=cache)
    words = block.get("text")
    if words is None:
        try:
            words = b64decode(source_fields["data"]).decode("utf-8", "replace")
        except (TypeError, ValueError):  # there is none, or it is not base64
            return None
    return Text(_with_title(block, words), cache)


def _with_title(block: Json, words: str) -> str:
    title = _filename(block)
    return f"{title}:\n{words}" if title else words


def _from_anthropic_block(block: Json) -> Part | None:
    """Read Anthropic's images and documents."""
    source = block.get("source")
    if not isinstance(source, Mapping):
        return None
    cache = decode_cache_control(block)
    source_fields = {
        "url": as_text(source.get("url")),
        "data": as_text(source.get("data")),
        "media_type": as_text(source.get("media_type")),
    }
    match block.get("type"), source.get("type"):
        case "image", "base64" | "url":
            return Image(**source_fields, cache=cache)
        case "document", "base64" | "url":
            return File(**source_fields, filename=_filename(block), cache=cache)
        case "document", "text":
            return Text(_with_title(block, str(source.get("data"))), cache)
    return None


def _generated_image(block: Json) -> Image | None:
    """Read the picture that a tool of OpenAI's made."""
    data = as_text(block.get("result"))
    if data is None or block.get("type") != "image_generation_call":
        return None
    return Image(data=data, media_type=f"image/{block.get('output_format') or 'png'}")
