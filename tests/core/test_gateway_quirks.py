"""Quirks of the gateway, each tested on a complete and on a streamed reply.

docs/gateway-quirks.md lists all quirks; these are 1 to 3, 9 to 11 and 14 to 16. Tests have the
number of their quirk; `grep -rn quirk_06 tests/core` finds all tests of quirk 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onerouter_core import Gateway
from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
)
from onerouter_simulator import Script, Simulator
from tests.core.payloads import (
    HELLO,
    USAGE,
    chunk,
    completion,
    final_reply,
    joined_calls,
    read_body,
    read_both,
    read_stream,
)

# --- cost and usage ---


def test_quirk_01_cost_at_the_root() -> None:
    """Cost and its details are at the root, beside usage; the details are kept as they are."""
    details = {"prompt_cost": 0.000226044, "is_byok": False, "some_new_cost": 0}
    for reply in read_both(cost=0.000264, cost_details=details, usage=USAGE):
        assert reply.cost == 0.000264
        assert reply.cost_details == details
        assert reply.extra == {}


def test_quirk_01_cost_in_usage_counts_if_there_is_none_at_the_root() -> None:
    """The two are never added; a cost of 0 is a cost."""
    usage = {**USAGE, "cost": 0.5}
    for reply in read_both(usage=usage):
        assert reply.cost == 0.5
    for reply in read_both(usage=usage, cost=0):
        assert reply.cost == 0


def test_quirk_01_an_absent_cost_is_none() -> None:
    """It is not zero; and a cost alone makes no usage."""
    assert [reply.cost for reply in read_both(usage=USAGE)] == [None, None]
    assert [reply.usage for reply in read_both(cost=0.1)] == [None, None]


@pytest.mark.parametrize("cost", [True, "a lot", float("nan"), float("inf"), [], {}])
def test_quirk_01_a_cost_that_is_no_number_is_none(cost: Any) -> None:
    """It does not stop the reply."""
    assert [reply.cost for reply in read_both(cost=cost)] == [None, None]


@pytest.mark.parametrize("usage", [None, {}, [], "free"])
def test_quirk_02_usage_that_is_empty_or_no_object_is_none(usage: Any) -> None:
    """It does not stop the reply."""
    assert [reply.usage for reply in read_both(usage=usage)] == [None, None]


def test_quirk_02_usage_details_are_decoded() -> None:
    """A count that the gateway does not send is None."""
    prompt = {"cached_tokens": 7, "cache_write_tokens": 1, "audio_tokens": 0, "video_tokens": 2}
    output = {"reasoning_tokens": 120, "image_tokens": 0, "audio_tokens": 4}
    details = {"prompt_tokens_details": prompt, "completion_tokens_details": output}
    for reply in read_both(usage={**USAGE, **details}):
        usage = reply.usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 2, 5)
        assert (usage.cached_tokens, usage.cache_write_tokens) == (7, 1)
        assert (usage.input_audio_tokens, usage.input_video_tokens) == (0, 2)
        assert usage.input_image_tokens is None
        assert (usage.reasoning_tokens, usage.output_image_tokens) == (120, 0)
        assert usage.output_audio_tokens == 4
        assert usage.raw == {**USAGE, **details}


def test_quirk_02_usage_may_have_floats_strings_and_nulls() -> None:
    """A missing total is the sum."""
    sent = {"prompt_tokens": 3.0, "completion_tokens": "2", "prompt_tokens_details": None}
    for reply in read_both(usage=sent):
        usage = reply.usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 2, 5)


def test_quirk_02_usage_on_every_chunk_counts_once() -> None:
    """Usage is cumulative: the last one counts, and it is in the final reply only."""
    counts = [{**USAGE, "completion_tokens": count, "total_tokens": 3 + count} for count in (1, 2)]
    deltas = read_stream(
        chunk("a", usage=counts[0], cost=0.1),
        chunk("b", "stop", usage=counts[1], cost=0.2),
        chunk(usage=None, cost=None),
    )
    reply = final_reply(deltas)
    assert reply.usage is not None
    assert reply.usage.output_tokens == 2
    assert reply.cost == 0.2


@pytest.mark.parametrize(
    "last",
    [
        chunk(finish="stop", usage=USAGE),
        {"id": "gen-1", "choices": [], "usage": USAGE},
        {"id": "gen-1", "choices": None, "usage": USAGE},
        {"id": "gen-1", "usage": USAGE},
        chunk("", usage=USAGE),
        {"choices": [{"index": 0, "delta": None, "finish_reason": ""}], "usage": USAGE},
    ],
    ids=["finish again", "empty choices", "null choices", "no choices", "a choice", "empty finish"],
)
def test_quirk_02_the_chunk_with_usage_may_have_any_form(last: dict[str, Any]) -> None:
    """It may repeat the finish reason, have none, or have no choices."""
    deltas = read_stream(chunk("Hi"), chunk(finish="stop"), last)
    assert [delta.text for delta in deltas] == ["Hi", ""]
    reply = final_reply(deltas)
    assert reply.usage is not None
    assert reply.usage.total_tokens == 5
    assert (reply.finish_reason, reply.text) == ("stop", "Hi")


# --- replies without an answer ---


@pytest.mark.parametrize("choices", [[], None, "x", [None], [[]]])
def test_quirk_03_a_reply_without_choices_is_malformed(choices: Any) -> None:
    """A complete reply without a choice is malformed; such a chunk of a stream is ignored."""
    with pytest.raises(MalformedReplyError, match="Unexpected response body"):
        read_body({"id": "gen-1", "choices": choices})
    assert final_reply(read_stream({"choices": choices}, chunk("Hi", "stop"))).text == "Hi"


def test_quirk_03_a_stream_without_any_choice_has_no_answer() -> None:
    """It is malformed, and not incomplete: [DONE] came."""
    with pytest.raises(MalformedReplyError, match="no content and no tool call"):
        read_stream({"id": "gen-1", "choices": []})
    with pytest.raises(MalformedReplyError, match="no content and no tool call"):
        read_stream()


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("peculiar", MalformedReplyError),
        (None, MalformedReplyError),
        ("length", LengthLimitError),
        ("content_filter", ContentFilterError),
    ],
)
@pytest.mark.parametrize("content", [None, "", [], 5])
def test_quirk_03_an_answer_without_content_is_an_error(
    content: Any, finish: str | None, kind: type[OneRouterError]
) -> None:
    """The error has the ids, and the reasoning as its partial reply."""
    message = {"content": content, "reasoning": "Hm."}
    root = {"model": "m", "provider": "p", "request_id": "r"}
    for read in (
        lambda: read_body(completion(message, finish, **root)),
        lambda: read_stream(chunk(message), chunk(finish=finish, **root)),
    ):
        with pytest.raises(kind) as caught:
            read()
        error = caught.value
        assert type(error) is kind
        assert (error.model, error.provider, error.request_id) == ("m", "p", "r")
        assert (error.generation_id, error.partial.reasoning) == ("gen-1", "Hm.")
        assert not error.transient


# --- ids and reasoning ---


@pytest.mark.parametrize("reply_id", ["", None, 7, {}])
def test_quirk_09_an_id_that_is_empty_or_no_string_is_none(reply_id: Any) -> None:
    """It does not stop the reply."""
    assert read_body(completion(id=reply_id)).id is None
    assert final_reply(read_stream(chunk("Hi", "stop", id=reply_id))).id is None


def test_quirk_09_the_request_id_of_the_header_counts_more_than_the_bodys() -> None:
    """The tests of `wire/error_bodies.py` cover the request id of an error."""
    header = {"x-infron-request-id": "in-header"}
    assert read_body(completion(request_id="in-body")).request_id == "in-body"
    assert read_body(completion(request_id="in-body"), header).request_id == "in-header"
    event = chunk("Hi", "stop", request_id="in-body")
    assert final_reply(read_stream(event)).request_id == "in-body"
    assert final_reply(read_stream(event, headers=header)).request_id == "in-header"


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning": "Hm."},
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm.", "reasoning_content": "Hm."},
        {"reasoning": "", "reasoning_content": "Hm."},
        {"reasoning": None, "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}]},
    ],
)
def test_quirk_10_reasoning_is_read_from_any_of_its_keys(fields: dict[str, Any]) -> None:
    """Reasoning is read from one of its keys, never from two."""
    message = {"content": "Hi", **fields}
    for reply in read_both(message):
        assert reply.reasoning == "Hm."
    assert "".join(delta.reasoning for delta in read_stream(chunk(message, "stop"))) == "Hm."


def test_quirk_10_reasoning_details_are_kept() -> None:
    """Fragments of one text are joined, with its signature; encrypted details stay as they are."""
    thought = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    encrypted = {"type": "reasoning.encrypted", "data": "c2VhbGVk", "index": 1, "id": None}
    fragments = [
        {**thought, "text": "Let me "},
        {**thought, "text": "think."},
        {**thought, "signature": "sig"},
        encrypted,
        encrypted,
        {"type": "some.new.kind", "what": [1]},
    ]
    chunks = [chunk({"reasoning_details": [fragment]}) for fragment in fragments]
    reply = final_reply(read_stream(*chunks, chunk("Hi", "stop")))
    assert reply.reasoning_details == (
        {**thought, "text": "Let me think.", "signature": "sig"},
        encrypted,
        encrypted,
        {"type": "some.new.kind", "what": [1]},
    )
    assert reply.reasoning == "Let me think."


def test_quirk_10_details_of_another_index_or_type_are_not_joined() -> None:
    """Each is a detail of its own."""
    details = [
        {"type": "reasoning.text", "text": "a", "index": 0},
        {"type": "reasoning.text", "text": "b", "index": 1},
        {"type": "reasoning.summary", "summary": "c", "index": 1},
    ]
    chunks = [chunk({"reasoning_details": [detail]}) for detail in details]
    reply = final_reply(read_stream(*chunks, chunk("Hi", "stop")))
    assert reply.reasoning_details == tuple(details)


# --- other fields ---


@pytest.mark.parametrize("key", ["provider", "service_tier", "system_fingerprint"])
def test_quirk_11_a_text_field_of_another_type_is_in_extra(key: str) -> None:
    """The field is then None."""
    for reply in read_both(**{key: "text"}):
        assert (getattr(reply, key), reply.extra) == ("text", {})
    for reply in read_both(**{key: None}):
        assert (getattr(reply, key), reply.extra) == (None, {})
    for reply in read_both(**{key: {"a": 1}}):
        assert (getattr(reply, key), reply.extra) == (None, {key: {"a": 1}})


def test_quirk_11_unknown_keys_are_in_extra() -> None:
    """Those of the root, of the choice and of the message, with null and empty values."""
    root = {"x_groq": {"id": 1}, "x_none": None, "x_empty": "", "x_false": False}
    choice = {"stop_reason": None, "x_choice": 0}
    message = {"x_message": 1, "x_null": None}
    body = completion({"content": "Hi", **message}, **root)
    body["choices"][0] |= choice
    event = chunk({"content": "Hi", **message}, "stop", **root)
    event["choices"][0] |= choice
    expected = {**root, **choice, **message}
    assert read_body(body).extra == expected
    assert final_reply(read_stream(event)).extra == expected


@pytest.mark.parametrize("logprobs", [None, [], {}, "x"])
def test_quirk_11_logprobs_that_are_empty_or_no_object_are_none(logprobs: Any) -> None:
    """They do not stop the reply."""
    body, event = completion(), chunk("Hi", "stop")
    body["choices"][0]["logprobs"] = event["choices"][0]["logprobs"] = logprobs
    assert read_body(body).logprobs is None
    assert final_reply(read_stream(event)).logprobs is None


def test_quirk_11_logprobs_are_in_their_delta_and_add_up() -> None:
    """The final reply has those of all deltas."""
    events = [chunk("H"), chunk("i", "stop")]
    for event, token in zip(events, "Hi", strict=True):
        event["choices"][0]["logprobs"] = {"content": [{"token": token, "logprob": -1}]}
    deltas = read_stream(*events)
    assert [delta.logprobs for delta in deltas[:-1]] == [
        {"content": [{"token": "H", "logprob": -1}]},
        {"content": [{"token": "i", "logprob": -1}]},
    ]
    expected = {"content": [{"token": "H", "logprob": -1}, {"token": "i", "logprob": -1}]}
    assert final_reply(deltas).logprobs == expected


def test_quirk_14_the_model_is_the_one_that_answered() -> None:
    """The model of a reply is the one in the response: a fallback may have served it."""
    for reply in read_both(model="other/model:free@1", provider="alibaba/cn"):
        assert (reply.model, reply.provider) == ("other/model:free@1", "alibaba/cn")


def test_quirk_15_user_agent_and_path(sim: Simulator, gateway: Callable[..., Gateway]) -> None:
    """The user agent is the package's, and the path has /v1 once."""
    sim.script(Script(json=completion()))
    gateway().complete(HELLO)
    assert sim.last.headers["user-agent"].startswith("onerouter-integrations/")
    assert sim.last.path == "/v1/chat/completions"


def test_quirk_16_deltas_without_index_are_one_call() -> None:
    """A call whose deltas have no index, and an object as arguments, is one call."""
    fragments = [
        {"id": "1", "function": {"name": "f"}},
        {"function": {"arguments": {"a": 1}}},
    ]
    deltas = read_stream(*(chunk({"tool_calls": [f]}) for f in fragments), chunk(finish="stop"))
    assert joined_calls(deltas) == [("1", "f", '{"a": 1}')]
    call = {"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}
    reply = read_body(completion({"content": None, "tool_calls": [call]}))
    assert reply.tool_calls == final_reply(deltas).tool_calls
    assert reply.tool_calls[0].parsed == {"a": 1}


@pytest.mark.parametrize("arguments", ["", None, " \n"])
def test_quirk_16_blank_arguments_are_an_empty_object(arguments: Any) -> None:
    """Arguments that are empty or null are an empty object."""
    call = {"id": "1", "function": {"name": "f", "arguments": arguments}}
    for reply in read_both({"content": None, "tool_calls": [call]}, "tool_calls"):
        assert (reply.tool_calls[0].parsed, reply.tool_calls[0].error) == ({}, None)
