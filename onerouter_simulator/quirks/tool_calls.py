"""Quirks 29 to 40: names, ids and arguments of tool calls, and older and doubled messages.

Each row names a server that does it, and the report that shows it.
"""

import json
from collections.abc import Iterator

from onerouter_simulator.conversation import JSON
from onerouter_simulator.quirks.call_deltas import one_by_one
from onerouter_simulator.quirks.changes import (
    Calls,
    both,
    choice_of,
    group_by_choice,
    in_choices,
    in_complete_calls,
    in_each_call,
    in_events,
    in_other_deltas,
    join_deltas,
    pieces,
    with_choice,
    with_function,
    without,
)
from onerouter_simulator.quirks.quirk import CALLS, GITHUB, STREAM, Play, Quirk


def with_split_name(call: JSON, index: int) -> list[Calls]:
    """Return deltas with the two halves of the name, then the arguments."""
    name = call["function"]["name"]
    middle = len(name) // 2
    head, *rest = pieces(call, index, 3)
    second = {"index": index, "function": {"name": name[middle:]}}
    return [[piece] for piece in (with_function(head, name=name[:middle]), second, *rest)]


def with_repeated_name(call: JSON, index: int) -> list[Calls]:
    """Return deltas that all have the name."""
    name = call["function"]["name"]
    return [[with_function(piece, name=name)] for piece in pieces(call, index, 3)]


def with_repeated_id(call: JSON, index: int) -> list[Calls]:
    """Return deltas that all have the id."""
    return [[piece | {"id": call["id"]}] for piece in pieces(call, index, 3)]


def with_blank_id(call: JSON, index: int) -> list[Calls]:
    """Return deltas of which all but the first have a blank id."""
    head, *rest = pieces(call, index, 3)
    return [[head], *([piece | {"id": " "}] for piece in rest)]


def send_complete_message_last(chunks: list[JSON]) -> list[JSON]:
    """Send the complete message in the chunk with the finish reason."""
    changed = []
    for group in group_by_choice(chunks):
        message = join_deltas(group)
        for chunk in group:
            choice = choice_of(chunk)
            if choice.get("finish_reason"):
                choice = without(choice, "delta") | {"message": message}
            changed.append(chunk | {"choices": [choice] if choice else []})
    return changed


def parse_arguments(call: JSON) -> JSON:
    """Return a call whose arguments are an object; a text that the limit has cut stays a text."""
    try:
        return with_function(call, arguments=json.loads(call["function"]["arguments"]))
    except ValueError:
        return call


def replace_empty_arguments(value: str | None) -> Play:
    """Return a play that sends this value where the arguments are an empty object."""

    def change(call: JSON) -> JSON:
        is_empty = call["function"]["arguments"] == "{}"
        return with_function(call, arguments=value) if is_empty else call

    return in_each_call(change)


def send_one_id(calls: Calls) -> Calls:
    """Return calls that all have the id of the first."""
    return [call | {"id": calls[0]["id"]} for call in calls]


def split_function_call(calls: Calls) -> list[JSON]:
    """Return the deltas of a legacy `function_call`; several calls stay tool calls."""
    if len(calls) != 1:
        return [{"tool_calls": [p]} for i, call in enumerate(calls) for p in pieces(call, i, 3)]
    return [{"function_call": piece["function"]} for piece in pieces(calls[0], 0, 3)]


def to_function_call(choice: JSON) -> JSON:
    """Return a choice whose only tool call is a legacy `function_call`."""
    calls = choice.get("message", {}).get("tool_calls", [])
    if len(calls) != 1:
        return choice
    message = without(choice["message"], "tool_calls") | {"function_call": calls[0]["function"]}
    return choice | {"message": message, "finish_reason": "function_call"}


def finish_function_call(chunks: list[JSON]) -> Iterator[JSON]:
    """Give a stream with a `function_call` the finish reason of that name."""
    for group in group_by_choice(chunks):
        is_function_call = "function_call" in join_deltas(group)
        for chunk in group:
            is_end = choice_of(chunk).get("finish_reason") == "tool_calls"
            if is_end and is_function_call:
                yield with_choice(chunk, finish_reason="function_call")
            else:
                yield chunk


TOOL_CALLS = (
    Quirk(
        number=29,
        name="calls-with-one-id",
        sender="DeepSeek, Zhipu GLM",
        source=GITHUB + "HKUDS/nanobot/pull/3943",
        sends="All parallel calls have the same id, in a completion, too.",
        play=in_complete_calls(send_one_id),
        stage=CALLS,
    ),
    Quirk(
        number=30,
        name="name-in-two-pieces",
        sender="Gemini, in Continue",
        source=GITHUB + "continuedev/continue/pull/5849",
        sends="The name of a function is cut, and is in two deltas.",
        play=one_by_one(with_split_name),
        stage=CALLS,
    ),
    Quirk(
        number=31,
        name="name-on-every-piece",
        sender="llama.cpp's llama-server (build 5481); MiniMax M2.7 on NVIDIA NIM",
        source=GITHUB + "ggml-org/llama.cpp/issues/13774",
        sends="Every delta of a call has the complete name.",
        play=one_by_one(with_repeated_name),
        stage=CALLS,
    ),
    Quirk(
        number=32,
        name="id-on-every-piece",
        sender="DeepSeek, Qwen",
        source=GITHUB + "langchain4j/langchain4j/pull/4544",
        sends="Every delta of a call has the complete id.",
        play=one_by_one(with_repeated_id),
        stage=CALLS,
    ),
    Quirk(
        number=33,
        name="blank-id-on-later-pieces",
        sender="OpenAI-compatible gateways, in Vercel's AI SDK; vLLM with an empty id",
        source=GITHUB + "vercel/ai/issues/18440",
        sends="Every delta of a call but the first has an id that is a space.",
        play=one_by_one(with_blank_id),
        stage=CALLS,
    ),
    Quirk(
        number=34,
        name="complete-message-last",
        sender="reported of OpenAI-compatible servers, unnamed",
        source=GITHUB + "abundantbeing/hermes-browser-extension/issues/11",
        sends="The last chunk has the complete `message` after all of its deltas.",
        play=in_events(send_complete_message_last),
        stage=STREAM,
    ),
    Quirk(
        number=35,
        name="arguments-as-object",
        sender="llama.cpp's llama-server (March 2026)",
        source=GITHUB + "ggml-org/llama.cpp/issues/20198",
        sends="The arguments of a call are an object, not a text.",
        play=in_each_call(parse_arguments),
        stage=CALLS,
    ),
    Quirk(
        number=36,
        name="arguments-empty",
        sender="Anthropic behind OpenAI-compatible servers; GLM 5.2 on OpenRouter",
        source=GITHUB + "JohnnyZ93/oai-compatible-copilot/pull/151",
        sends="The arguments of a call without arguments are an empty text.",
        play=replace_empty_arguments(""),
        stage=CALLS,
    ),
    Quirk(
        number=37,
        name="arguments-null",
        sender="vLLM (October 2024)",
        source=GITHUB + "vllm-project/vllm/issues/9693",
        sends="The arguments of a call without arguments are null.",
        play=replace_empty_arguments(None),
        stage=CALLS,
    ),
    Quirk(
        number=38,
        name="ids-missing",
        sender="llama.cpp's llama-server (build 4761)",
        source=GITHUB + "ggml-org/llama.cpp/issues/11992",
        sends="Calls have no id, in a completion, too.",
        play=in_each_call(lambda call: without(call, "id")),
        stage=CALLS,
    ),
    Quirk(
        number=39,
        name="ids-empty",
        sender="Gemini's OpenAI-compatible endpoint",
        source=GITHUB + "openai/openai-dotnet/issues/428",
        sends="The ids of calls are empty texts, in a completion, too.",
        play=in_each_call(lambda call: call | {"id": ""}),
        stage=CALLS,
    ),
    Quirk(
        number=40,
        name="function-call",
        sender="OpenAI's functions API of 2023",
        source=GITHUB + "openai/openai-cookbook/pull/496",
        sends="A single call is a `function_call`, with no id and a finish reason of that name.",
        play=both(
            in_choices(to_function_call),
            in_other_deltas(split_function_call),
            in_events(finish_function_call),
        ),
        stage=CALLS,
    ),
)
