"""Changes of replies: of the body of a completion and, alike, of the chunks of a stream.

Knows the format of completions, chunks and deltas. Knows no server.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeAlias, TypeGuard

from onerouter_simulator.conversation import JSON
from onerouter_simulator.quirks.quirk import Play
from onerouter_simulator.scripts import Event, Script

Change: TypeAlias = Callable[[JSON], JSON]
Calls: TypeAlias = list[JSON]

# Keys whose string is complete in every fragment; strings under other keys are concatenated.
COMPLETE_KEYS = {"role", "id", "type", "format", "name"}


def in_bodies(change: Change) -> Play:
    """Return a play that changes the body of a completion, or of each chunk of a stream."""

    def play(script: Script, _: JSON) -> Script:
        if script.events is not None:
            events = [change(dict(e)) if is_chunk(e) else e for e in script.events]
            return replace(script, events=events)
        return replace(script, json=change(dict(script.json))) if is_chunk(script.json) else script

    return play


def in_choices(change: Change) -> Play:
    """Return a play that changes each choice of a completion or chunk."""

    def change_body(body: JSON) -> JSON:
        return body | {"choices": [change(choice) for choice in body["choices"]]}

    return in_bodies(change_body)


def in_messages(change: Change) -> Play:
    """Return a play that changes the message of each choice, or the delta of each chunk."""

    def change_choice(choice: JSON) -> JSON:
        key = "message" if "message" in choice else "delta"
        return choice | {key: change(choice[key])}

    return in_choices(change_choice)


def in_calls(change: Change) -> Play:
    """Return a play that changes each tool call of a message, or its first delta."""

    def change_message(message: JSON) -> JSON:
        calls = message.get("tool_calls", [])
        changed = [change(call) if "type" in call else call for call in calls]
        return message | {"tool_calls": changed} if calls else message

    return in_messages(change_message)


def in_usage(change: Change) -> Play:
    """Return a play that changes the object with the token counts, wherever it is."""

    def change_body(body: JSON) -> JSON:
        return body | {"usage": change(body["usage"])} if body.get("usage") else body

    return in_bodies(change_body)


def in_events(change: Callable[[list[JSON]], Iterable[Event]]) -> Play:
    """Return a play that changes the list of a stream's chunks; a completion is not changed."""

    def play(script: Script, _: JSON) -> Script:
        if script.events is None:
            return script
        return replace(script, events=list(change(chunks_of(script))))

    return play


def both(*plays: Play) -> Play:
    """Return a play that plays several, one after the other."""

    def play_all(script: Script, request: JSON) -> Script:
        for play in plays:
            script = play(script, request)
        return script

    return play_all


# --- chunks ---


def is_chunk(event: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether an event is a chunk, or a body a completion."""
    return isinstance(event, Mapping) and "choices" in event


def chunks_of(script: Script) -> list[JSON]:
    """Return the chunks of a stream; none if the script is a completion."""
    return [dict(event) for event in script.events or () if is_chunk(event)]


def choice_of(chunk: JSON) -> JSON:
    """Return the choice of a chunk; an empty object if it has none."""
    return next(iter(chunk["choices"]), {})


def delta_of(chunk: JSON) -> JSON:
    """Return the delta of a chunk; an empty object if it has none."""
    delta: JSON = choice_of(chunk).get("delta", {})
    return delta


def with_choice(chunk: JSON, **fields: Any) -> JSON:
    """Return a chunk with some fields of its choice replaced."""
    return chunk | {"choices": [choice_of(chunk) | fields]}


def group_by_choice(chunks: list[JSON]) -> Iterator[list[JSON]]:
    """Yield the chunks of each choice; those without a choice are a group, too."""
    for _, group in groupby(chunks, lambda chunk: choice_of(chunk).get("index")):
        yield list(group)


def join_deltas(chunks: list[JSON]) -> JSON:
    """Return the message that the deltas of one choice add up to."""
    message: JSON = {}
    for chunk in chunks:
        message = join(message, delta_of(chunk))
    if "tool_calls" in message:
        message["tool_calls"] = [without(call, "index") for call in message["tool_calls"]]
    return message


def join(value: Any, update: Any, key: str = "") -> Any:
    """Join a value with its next fragment: texts, objects, and list items of the same index."""
    match value, update:
        case str(), str():
            return update if key in COMPLETE_KEYS else value + update
        case dict(), dict():
            return value | {name: join(value.get(name), update[name], name) for name in update}
        case None, list():
            return join([], update, key)
        case list(), list() if all("index" in item for item in [*value, *update]):
            items = {item["index"]: item for item in value}
            for item in update:
                items[item["index"]] = join(items.get(item["index"]), item)
            return list(items.values())
        case list(), list():
            return value + update
        case _:
            return update


# --- tool calls ---


def in_other_deltas(split: Callable[[Calls], list[JSON]]) -> Play:
    """Return a play that sends the tool calls of a stream in other deltas, one in each chunk."""

    def change(chunks: list[JSON]) -> Iterator[JSON]:
        for group in group_by_choice(chunks):
            calls = join_deltas(group).get("tool_calls", [])
            first = next((chunk for chunk in group if "tool_calls" in delta_of(chunk)), None)
            for chunk in group:
                if chunk is first:
                    yield from (with_choice(chunk, delta=delta) for delta in split(calls))
                elif "tool_calls" not in delta_of(chunk):
                    yield chunk

    return in_events(change)


def in_complete_calls(change: Callable[[Calls], Calls]) -> Play:
    """Return a play that changes the list of complete calls, in a message and in a stream."""

    def change_message(message: JSON) -> JSON:
        calls = message.get("tool_calls")
        return message | {"tool_calls": change(calls)} if calls else message

    def change_completion(script: Script, request: JSON) -> Script:
        return script if script.events is not None else in_messages(change_message)(script, request)

    return both(change_completion, in_other_deltas(lambda calls: deltas_of(change(calls))))


def in_each_call(change: Change) -> Play:
    """Return a play that changes each complete call."""
    return in_complete_calls(lambda calls: [change(call) for call in calls])


def deltas_of(calls: Calls) -> list[JSON]:
    """Return the ordinary deltas of calls: id and name, then the arguments, unless it is empty."""
    deltas = []
    for index, call in enumerate(calls):
        arguments = call["function"]["arguments"]
        if not isinstance(arguments, str) or not arguments:
            deltas.append({"tool_calls": [{"index": index} | call]})
            continue
        deltas += [{"tool_calls": [piece]} for piece in pieces(call, index, 3)]
    return deltas


def pieces(call: JSON, index: int | None, count: int) -> Calls:
    """Return a call in pieces: id and name, then the arguments in `count` - 1 parts."""
    text = call["function"]["arguments"]
    size = -(-len(text) // (count - 1)) or 1
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    position = {} if index is None else {"index": index}
    head = position | with_function(call, arguments="")
    return [head, *(position | {"function": {"arguments": part}} for part in parts)]


def with_function(call: JSON, **fields: Any) -> JSON:
    """Return a call with some fields of its function replaced."""
    return call | {"function": call["function"] | fields}


def without(value: JSON, *keys: str) -> JSON:
    """Return an object without some of its keys."""
    return {key: value[key] for key in value if key not in keys}
