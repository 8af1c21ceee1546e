"""Quirks 16 to 28: the deltas of tool calls in a stream, and their indices.

Each row names a server that does it, and the report that shows it.
"""

from collections.abc import Callable

from onerouter_simulator.conversation import JSON
from onerouter_simulator.quirks.changes import Calls, in_other_deltas, pieces, without
from onerouter_simulator.quirks.quirk import CALLS, GITHUB, Play, Quirk
from onerouter_simulator.scripts import Script


def one_by_one(split: Callable[[JSON, int], list[Calls]]) -> Play:
    """Return a play that sends one call after the other; `split` returns the deltas per chunk."""
    return in_other_deltas(
        lambda calls: [
            {"tool_calls": deltas}
            for index, call in enumerate(calls)
            for deltas in split(call, index)
        ]
    )


def in_one_chunk(split: Callable[[JSON, int], Calls]) -> Play:
    """Return a play that sends all calls in one chunk; `split` returns the deltas of each."""
    return in_other_deltas(
        lambda calls: [{"tool_calls": [d for i, call in enumerate(calls) for d in split(call, i)]}]
    )


def with_first_index(call: JSON, index: int, first: int | None) -> list[Calls]:
    """Return deltas of which the first has another index, or none."""
    head, *rest = pieces(call, index, 3)
    head = without(head, "index") | ({} if first is None else {"index": first})
    return [[head], *([piece] for piece in rest)]


def send_tool_index_first(script: Script, request: JSON) -> Script:
    """Send the first delta of each call with the place of its tool in the request as index."""
    names = [tool["function"]["name"] for tool in request.get("tools", ())]
    play = one_by_one(
        lambda call, i: with_first_index(call, i, names.index(call["function"]["name"]))
    )
    return play(script, request)


def in_pairs(call: JSON, index: int) -> list[Calls]:
    """Return four deltas in two chunks: the second chunk continues the call."""
    deltas = pieces(call, index, 4)
    return [deltas[:2], deltas[2:]]


CALL_DELTAS = (
    Quirk(
        number=16,
        name="call-deltas-without-index",
        sender="Gemini's OpenAI-compatible endpoint (gemini-3-flash-preview)",
        source=GITHUB + "openai/openai-python/issues/2806",
        sends="No delta of a tool call has an index.",
        play=one_by_one(lambda call, _: [[piece] for piece in pieces(call, None, 3)]),
        stage=CALLS,
    ),
    Quirk(
        number=17,
        name="call-in-two-pieces",
        sender="vLLM (its Kimi K2 parser)",
        source=GITHUB + "vllm-project/vllm/pull/42683",
        sends="One chunk has two deltas of one call: the name, and the arguments.",
        play=one_by_one(lambda call, index: [pieces(call, index, 2)]),
        stage=CALLS,
    ),
    Quirk(
        number=18,
        name="call-in-three-pieces",
        sender="vLLM, as quirk 17, with more decode steps in one chunk",
        source=GITHUB + "vllm-project/vllm/pull/42683",
        sends="One chunk has three deltas of one call: the name, and the arguments in two parts.",
        play=one_by_one(lambda call, index: [pieces(call, index, 3)]),
        stage=CALLS,
    ),
    Quirk(
        number=19,
        name="call-in-pairs-of-pieces",
        sender="vLLM, as quirk 17, when the arguments go on in the next chunk",
        source=GITHUB + "vllm-project/vllm/pull/42683",
        sends="Two chunks have two deltas each of one call.",
        play=one_by_one(in_pairs),
        stage=CALLS,
    ),
    Quirk(
        number=20,
        name="calls-in-pieces-in-one-chunk",
        sender="vLLM, as quirk 17, with parallel calls",
        source=GITHUB + "vllm-project/vllm/pull/42683",
        sends="One chunk has all deltas of all calls, several of each.",
        play=in_one_chunk(lambda call, index: pieces(call, index, 3)),
        stage=CALLS,
    ),
    Quirk(
        number=21,
        name="index-of-tool-first",
        sender="SGLang (Qwen; Gemma 4 parser)",
        source=GITHUB + "sgl-project/sglang/issues/6310",
        sends="The index of a call's first delta is the place of its tool in the request.",
        play=send_tool_index_first,
        stage=CALLS,
    ),
    Quirk(
        number=22,
        name="index-minus-one-first",
        sender="SGLang (parsers give -1 to a tool that they do not find)",
        source=GITHUB + "sgl-project/sglang/issues/25073",
        sends="The index of a call's first delta is -1; the next ones have the call's own.",
        play=one_by_one(lambda call, index: with_first_index(call, index, -1)),
        stage=CALLS,
    ),
    Quirk(
        number=23,
        name="index-from-minus-one",
        sender="Bedrock Access Gateway",
        source=GITHUB + "aws-samples/bedrock-access-gateway/pull/247",
        sends="All deltas of the first call have the index -1, those of the second 0.",
        play=one_by_one(lambda call, index: [[piece] for piece in pieces(call, index - 1, 3)]),
        stage=CALLS,
    ),
    Quirk(
        number=24,
        name="index-absent-first",
        sender="reported of OpenAI-compatible servers, unnamed",
        source=GITHUB + "SamSaffron/term-llm/pull/314",
        sends="A call's first delta has no index; the next ones have the call's own.",
        play=one_by_one(lambda call, index: with_first_index(call, index, None)),
        stage=CALLS,
    ),
    Quirk(
        number=25,
        name="parallel-index-0",
        sender="Ollama; LiteLLM in front of Gemini",
        source=GITHUB + "ollama/ollama/issues/15457",
        sends="All parallel calls have index 0, each with an id, in several chunks.",
        play=one_by_one(lambda call, _: [[piece] for piece in pieces(call, 0, 3)]),
        stage=CALLS,
    ),
    Quirk(
        number=26,
        name="parallel-index-0-without-ids",
        sender="Ollama and gateways, in Vercel's AI SDK",
        source=GITHUB + "vercel/ai/issues/18440",
        sends="All parallel calls have index 0 and no id, each complete in a chunk of its own.",
        play=one_by_one(lambda call, _: [[{"index": 0} | without(call, "id")]]),
        stage=CALLS,
    ),
    Quirk(
        number=27,
        name="parallel-index-0-in-one-chunk",
        sender="Gemini adapters (omnigent)",
        source=GITHUB + "omnigent-ai/omnigent/pull/28",
        sends="One chunk has all parallel calls, complete, each with index 0 and an id.",
        play=in_one_chunk(lambda call, _: [{"index": 0} | call]),
        stage=CALLS,
    ),
    Quirk(
        number=28,
        name="parallel-index-0-in-one-chunk-without-ids",
        sender="Gemini's OpenAI-compatible endpoint sends empty ids",
        source=GITHUB + "meilisearch/meilisearch/pull/5712",
        sends="One chunk has all parallel calls, complete, each with index 0 and an empty id.",
        play=in_one_chunk(lambda call, _: [{"index": 0} | call | {"id": ""}]),
        stage=CALLS,
    ),
)
