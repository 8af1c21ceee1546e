"""Ids of tool calls, and the result of each call: the pairs that strict upstreams require.

OpenAI takes ids of at most 40 characters (agno-agi/agno#5382, camel-ai/camel#2215), Anthropic only
letters, digits, "_" and "-" (maximhq/bifrost#5097: Kimi's ids have "." and ":"), and both refuse
two calls of one id. An id that fits is sent as it is; the frameworks keep the ids of the model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeAlias

from onerouter_core.errors import ConfigurationError
from onerouter_core.types import Message
from onerouter_core.wire.tool_names import encode_illegal_names

Slot: TypeAlias = tuple[int, int]
"""Place of a tool call: index of its message, and its index among the calls of the message."""

_MAX_LENGTH = 40


def encode_call_ids(messages: Sequence[Message]) -> dict[Slot, str]:
    """Return the id to send of each tool call; all are different.

    The first call of an id keeps it, as far as it fits. An id does not change when a conversation
    grows, else the prompt caches of upstreams would miss.
    """
    seen: Counter[str] = Counter()
    keys: dict[Slot, str] = {}
    for index, message in enumerate(messages):
        for position, call in enumerate(message.tool_calls):
            seen[call.id] += 1
            count = seen[call.id]
            keys[index, position] = call.id if count == 1 else f"{call.id}\0{count}"
    encoded = encode_illegal_names(keys.values(), _MAX_LENGTH)
    return {slot: encoded.get(key, key) for slot, key in keys.items()}


def match_results(messages: Sequence[Message]) -> dict[Slot, int]:
    """Return the index of the result of each tool call that has one, anywhere later.

    Results that stand together are one group. If several calls wait for results of one id, those
    of the latest messages are served first: ids of some models are unique in one turn only, and an
    earlier call may never have had a result. A call has one result: the first of its id.

    Raises ConfigurationError for a tool result without an id.
    """
    waiting: defaultdict[str, list[Slot]] = defaultdict(list)
    matched: dict[Slot, int] = {}
    groups = groupby(enumerate(messages), key=lambda pair: pair[1].role == "tool")
    for is_result, group in groups:
        if is_result:
            for call_id, results in _group_by_id(group).items():
                slots = waiting[call_id]
                served = sorted(sorted(slots, key=_latest_message_first)[: len(results)])
                matched.update(zip(served, results, strict=False))
                waiting[call_id] = [slot for slot in slots if slot not in served]
        else:
            for index, message in group:
                for position, call in enumerate(message.tool_calls):
                    waiting[call.id].append((index, position))
    return matched


def _latest_message_first(slot: Slot) -> Slot:
    return -slot[0], slot[1]


def _group_by_id(results: Iterable[tuple[int, Message]]) -> dict[str, list[int]]:
    """Return the indices of tool results by the id of their call."""
    by_id: defaultdict[str, list[int]] = defaultdict(list)
    for index, result in results:
        if not result.tool_call_id:
            raise ConfigurationError("A tool message needs the tool_call_id of its call.")
        by_id[result.tool_call_id].append(index)
    return by_id
