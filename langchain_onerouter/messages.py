"""Conversion of LangChain messages to `onerouter_core.Message`.

Content may be strings, standard blocks of LangChain (v0 and v1), blocks of Anthropic, or parts of
the API, which `onerouter_core.wire` decodes. Input is never changed. An unknown block or role
raises UnsupportedContentError; it is never left out silently.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast, get_args

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolMessage,
)

from langchain_onerouter.invalid_tool_calls import received_invalid_calls
from onerouter_core import (
    Answer,
    Audio,
    CacheControl,
    File,
    Image,
    Json,
    Message,
    Part,
    ReplayPolicy,
    Reply,
    Role,
    Text,
    ToolCall,
    Video,
    should_replay,
)
from onerouter_core.errors import UnsupportedContentError
from onerouter_core.wire import (
    REPLAYED_KEYS,
    arguments_text,
    as_items,
    as_mapping,
    as_text,
    decode_cache_control,
    decode_part,
)

PROVIDER = "onerouter"
"""Value of `model_provider` in our messages; only reasoning of these messages is sent back."""

CALL_EXTRAS_KEY = "tool_call_extras"
"""Key in `additional_kwargs` of the other keys of tool calls, such as thought signatures, by id.
If one call has any, all calls are there, in their order."""

ARGUMENTS_KEY = "tool_call_arguments"
"""Key in `additional_kwargs` of the text of arguments, by call id: only where the parsed arguments
have lost digits of a number. It goes back in place of the arguments as long as they are equal."""

# Block types of an assistant message that are not sent as content:
# - tool calls: they are in `tool_calls` as well;
# - reasoning: ours is in `additional_kwargs`, that of other vendors must not be sent;
# - calls and results of tools that a vendor ran on its servers, in the formats of LangChain,
#   OpenAI, Anthropic and Google.
_SKIPPED_BLOCK_TYPES = {
    *("tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "input_json_delta"),
    *("function_call", "custom_tool_call"),
    *("thinking", "redacted_thinking", "reasoning", "reasoning_content"),
    *("server_tool_call", "server_tool_call_chunk", "server_tool_result"),
    *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"),
    *("mcp_call", "mcp_list_tools", "tool_search_call", "tool_search_output"),
    *("server_tool_use", "mcp_tool_use", "executable_code", "code_execution_result"),
}
_SERVER_TOOL_RESULT_SUFFIX = "_tool_result"  # Anthropic has one type per tool


def to_messages(
    messages: Sequence[BaseMessage], model: str, replay: ReplayPolicy = "same_model"
) -> tuple[Message, ...]:
    """Convert messages for a request to `model`."""
    may_be_legacy = [
        message
        for message in messages
        if "function_call" in message.additional_kwargs
        or isinstance(message, (FunctionMessage, ChatMessage))
    ]
    if may_be_legacy:
        messages = [*_with_legacy_call_ids(messages)]
    return tuple([_to_message(message, model, replay) for message in messages])


# A result belongs to the last call of its function; one without a call has the function's name
# as its id.
def _with_legacy_call_ids(messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
    """Yield the messages with an id for each legacy function call and for its result."""
    pending: dict[str, str] = {}
    for index, message in enumerate(messages):
        if isinstance(message, AIMessage):
            pending |= {call["name"]: call["id"] or "" for call in message.tool_calls}
        if call := _legacy_call(message):
            pending[call["name"]] = f"call_{index}"
            extras = {**message.additional_kwargs, "function_call": {**call, "id": f"call_{index}"}}
            yield message.model_copy(update={"additional_kwargs": extras})
        elif _is_function_result(message):
            name = message.name or next(reversed(pending), "function")
            yield ToolMessage(message.content, tool_call_id=pending.pop(name, name))
        else:
            yield message


def _is_function_result(message: BaseMessage) -> bool:
    match message:
        case FunctionMessage() | ChatMessage(role="function"):
            return True
    return False


def _legacy_call(message: BaseMessage) -> Json | None:
    """Return OpenAI's legacy `function_call` of a message without tool calls, else None."""
    match message:
        case AIMessage(
            tool_calls=[],
            invalid_tool_calls=[],
            additional_kwargs={"function_call": {"name": str()} as call},
        ):
            return as_mapping(call)
    return None


def to_answer(message: BaseMessage) -> Answer:
    """Return what of a message, of ours or of another package, can hold an object."""
    calls: list[ToolCall] = []
    if isinstance(message, AIMessage):
        calls += (ToolCall(c["id"] or "", c["name"], parsed=c["args"]) for c in message.tool_calls)
        calls += (_invalid_call(call, {}) for call in received_invalid_calls(message))
    metadata = message.response_metadata
    return Answer(
        text=str(message.text),
        tool_calls=calls,
        refusal=message.additional_kwargs.get("refusal"),
        finish_reason=metadata.get("finish_reason"),
        native_finish_reason=metadata.get("native_finish_reason"),
        to_reply=partial(to_reply, message),
    )


def to_reply(message: BaseMessage) -> Reply:
    """Return the reply in a message, for an error without an object."""
    extras, metadata = message.additional_kwargs, message.response_metadata
    names = ("finish_reason", "native_finish_reason", "cost", "provider", "id", "request_id")
    fields: dict[str, Any] = {name: metadata.get(name) for name in names}
    return Reply(
        text=str(message.text),
        reasoning=extras.get("reasoning_content", ""),
        tool_calls=_tool_calls(message, {}) if isinstance(message, AIMessage) else (),
        refusal=extras.get("refusal"),
        model=metadata.get("model_name"),
        attempts=metadata.get("attempts", 1),
        **fields,
    )


def _to_message(message: BaseMessage, model: str, replay: ReplayPolicy) -> Message:
    if isinstance(message, AIMessage):
        return _from_assistant(message, model, replay)
    role = "user" if isinstance(message, HumanMessage) else _role(message)
    parts = _to_parts(message.content, role)
    if isinstance(message, ToolMessage):
        return Message(role, parts, tool_call_id=message.tool_call_id)
    return Message(role, parts, name=message.name)


def _should_replay(message: AIMessage, model: str, replay: ReplayPolicy) -> bool:
    """Return whether the message's reasoning is sent: other models may reject its signatures.

    Older messages have no `requested_model`: that which served them is compared by its spelling.
    """
    metadata = message.response_metadata
    if metadata.get("model_provider") != PROVIDER:
        return False
    author = as_text(metadata.get("requested_model")) or as_text(metadata.get("model_name"))
    return should_replay(replay, author, model)


def _role(message: BaseMessage) -> Role:
    match message:
        case SystemMessage():
            is_developer = message.additional_kwargs.get("__openai_role__") == "developer"
            return "developer" if is_developer else "system"
        case ToolMessage():
            return "tool"
        case ChatMessage(role=role) if role in get_args(Role):
            return cast("Role", role)
    role = getattr(message, "role", message.type)
    raise UnsupportedContentError(
        f"The API has no role {role!r} ({type(message).__name__}): use {', '.join(get_args(Role))}."
    )


def _from_assistant(message: AIMessage, model: str, replay: ReplayPolicy) -> Message:
    extras = message.additional_kwargs
    is_own = _should_replay(message, model, "same_model")  # whatever the policy for reasoning
    has_reasoning = is_own if replay == "same_model" else _should_replay(message, model, replay)
    content = () if isinstance(message.content, str) else message.content
    blocks = [_unwrapped(block) for block in content if not isinstance(block, str)]
    refusals = [block["refusal"] for block in blocks if block.get("refusal")]
    has_calls = message.tool_calls or message.invalid_tool_calls or "function_call" in extras
    call_extras = _call_extras(blocks, extras) if has_calls and is_own else {}
    return Message(
        "assistant",
        _to_parts(message.content, "assistant") if "audio" not in extras else _audio_parts(message),
        name=message.name,
        tool_calls=_tool_calls(message, call_extras) if has_calls else (),
        refusal=extras.get("refusal") or next(iter(refusals), None),
        extra={key: extras[key] for key in REPLAYED_KEYS if key in extras} if is_own else {},
        **(_reasoning_fields(message) if has_reasoning else {}),
    )


def _reasoning_fields(message: AIMessage) -> dict[str, Any]:
    """Return the reasoning, and the keys under which it came; an empty one is in no extras."""
    extras, keys = message.additional_kwargs, message.response_metadata.get("reasoning_keys")
    keys = tuple(keys) if isinstance(keys, (list, tuple)) else ("reasoning",)
    return {
        "reasoning": extras.get("reasoning_content", "" if "reasoning_content" in keys else None),
        "reasoning_keys": keys,
        "reasoning_details": tuple(as_items(extras.get("reasoning_details"))),
    }


def _call_extras(blocks: Sequence[Json], extras: Json) -> Json:
    """Return the other keys of tool calls, by id: from v1 content, and from `additional_kwargs`."""
    in_blocks = {
        str(block.get("id")): as_mapping(block.get("extras"))
        for block in blocks
        if block.get("type") in {"tool_call", "tool_call_chunk"}
    }
    return {**in_blocks, **as_mapping(extras.get(CALL_EXTRAS_KEY))}


def _audio_parts(message: AIMessage) -> tuple[Part, ...]:
    """Return the content; without text in it, the transcript of the audio comes first.

    ChatOpenAI keeps the transcript in `additional_kwargs["audio"]`.
    """
    parts = _to_parts(message.content, "assistant")
    transcript = as_text(as_mapping(message.additional_kwargs["audio"]).get("transcript"))
    if transcript is None or any(isinstance(part, Text) for part in parts):
        return parts
    return Text(transcript), *parts


def _tool_calls(message: AIMessage, extras: Json) -> tuple[ToolCall, ...]:
    texts = as_mapping(message.additional_kwargs.get(ARGUMENTS_KEY))
    calls: list[ToolCall] = []
    for call in message.tool_calls:
        call_id, args = call["id"] or "", call["args"]
        text, extra = arguments_text(args, texts.get(call_id)), as_mapping(extras.get(call_id))
        calls.append(ToolCall(call_id, call["name"], text, parsed=args, extra=extra))
    if message.invalid_tool_calls:
        calls += (_invalid_call(call, extras) for call in received_invalid_calls(message))
    if "function_call" in message.additional_kwargs and (legacy := _legacy_call(message)):
        arguments = as_text(legacy.get("arguments")) or ""
        calls.append(ToolCall(legacy["id"], legacy["name"], arguments))
    return tuple(calls)


def _invalid_call(call: InvalidToolCall, extras: Json) -> ToolCall:
    error = call.get("error") or "The arguments are not a JSON object."
    call_id, name = call["id"] or "", call["name"] or ""
    extra = as_mapping(extras.get(call_id))
    return ToolCall(call_id, name, call["args"] or "", error=error, extra=extra)


def _unwrapped(block: Any) -> Any:
    """Return what a `non_standard` block of LangChain holds, and any other block as it is."""
    match block:
        case {"type": "non_standard", "value": Mapping() as wrapped}:
            return wrapped
    return block


def _to_parts(content: str | Sequence[str | Json], role: Role) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),) if content else ()
    blocks = [_unwrapped(block) for block in content if block != ""]
    return tuple(
        [
            Text(block) if isinstance(block, str) else _to_part(block, role)
            for block in blocks
            if not (role == "assistant" and _is_skipped_block(block))
        ]
    )


def _is_skipped_block(block: Json) -> bool:
    """Return whether an assistant's block is not sent: see `_SKIPPED_BLOCK_TYPES`."""
    match block:
        case {"type": "image_generation_call"} if _generated_image(block):
            return False
        case {"type": str(kind)}:
            return kind in {*_SKIPPED_BLOCK_TYPES, "refusal"} or kind.endswith(
                _SERVER_TOOL_RESULT_SUFFIX
            )
    return False


def _to_part(block: Json, role: Role) -> Part:
    lifted = _lift_extras(block)
    standard = _from_anthropic_block(lifted)
    part = decode_part(lifted) or _from_standard_block(standard) or _generated_image(lifted)
    if part is None:
        raise UnsupportedContentError(_unsupported_block_message(block, role))
    return part


def _unsupported_block_message(block: Json, role: Role) -> str:
    """Name the block by its type and keys only: its data may be large or secret."""
    if block.get("type") == "audio" and "url" in block:
        advice = "Audio must be base64 data, not a URL: download it first."
    else:
        advice = "Convert it to a text, image, audio, video or file block, or leave it out."
    return (
        f"The API cannot carry the block {block.get('type')!r} with keys {sorted(block)} in a "
        f"message of role {role!r}. {advice}"
    )


def _from_standard_block(block: Json) -> Part | None:
    """Convert a standard block of LangChain, v0 or v1."""
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
            pass  # without a URL or data it is a block of another vendor
        case "image":
            part = Image(**source_fields, detail=block.get("detail"), cache=cache)
        case "video":
            part = Video(**source_fields, cache=cache)
        case "file":
            part = File(**source_fields, filename=_filename(block), cache=cache)
        case "audio" if source_fields["data"] is not None:
            subtype = (source_fields["media_type"] or "audio/wav").partition("/")[2]
            audio_format = _AUDIO_FORMATS.get(subtype, subtype)
            part = Audio(source_fields["data"], audio_format, cache=cache)
    return part


# Subtype of an audio media type to the API's format, where they differ.
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "mp4": "m4a"}

# Keys with a meaning in `extras` or `metadata`; a URL there is the origin of the content, not sent.
_LIFTED_KEYS = ("filename", "name", "title", "detail", "cache_control")


def _lift_extras(block: Json) -> Json:
    """Copy the known keys of `extras` (v1) and `metadata` (v0) into the block itself."""
    extras = as_mapping(block.get("extras"))
    # langchain-core moves the `metadata` of a v0 block into `extras`
    metadata = as_mapping(block.get("metadata") or extras.get("metadata"))
    nested = {**metadata, **extras}
    return {**{key: nested[key] for key in _LIFTED_KEYS if key in nested}, **block}


def _filename(block: Json) -> str | None:
    return next((str(block[key]) for key in ("filename", "name", "title") if block.get(key)), None)


def _plain_text(
    block: Json, source_fields: dict[str, Any], cache: CacheControl | None
) -> Part | None:
    """Convert a text file to a text part: few models read files; a URL stays a file part."""
    if source_fields["url"] is not None:
        return File(**source_fields, filename=_filename(block), cache=cache)
    text = block.get("text")
    if text is None:
        try:
            text = b64decode(source_fields["data"]).decode("utf-8", "replace")
        except (TypeError, ValueError):  # no data, or not base64
            return None
    return Text(_with_title(block, text), cache)


def _with_title(block: Json, text: str) -> str:
    title = _filename(block)
    return f"{title}:\n{text}" if title else text


def _from_anthropic_block(block: Json) -> Json:
    """Return an image or document block of Anthropic as a standard one, any other as it is."""
    kind, source = block.get("type"), as_mapping(block.get("source"))
    match kind, source:
        case "image" | "document", {"type": "base64" | "url"}:
            kind = "file" if kind == "document" else kind
            data, media_type = source.get("data"), source.get("media_type")
            fields = {"url": source.get("url"), "base64": data, "mime_type": media_type}
            return {**block, "type": kind, **fields}
        case "document", {"type": "text"}:
            return {**block, "type": "text-plain", "text": str(source.get("data"))}
    return block


def _generated_image(block: Json) -> Image | None:
    """Convert the result of OpenAI's image generation tool, else return None."""
    data = as_text(block.get("result"))
    if data is None or block.get("type") != "image_generation_call":
        return None
    return Image(data=data, media_type=f"image/{block.get('output_format') or 'png'}")
