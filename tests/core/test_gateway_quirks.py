"""What the gateway is known to do, streamed and whole: one test, or a few, for each quirk.

The numbers are those of the list of quirks that recorded calls and the gateway's docs left us.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from onerouter_core import Gateway, Reply
from onerouter_core.errors import (
    ContentFilterError,
    IncompleteStreamError,
    InsufficientCreditsError,
    LengthLimitError,
    MalformedReplyError,
    ModelNotFoundError,
    OneRouterError,
    RateLimitError,
    UpstreamError,
)
from onerouter_core.wire.decode import decode_models
from onerouter_core.wire.error_bodies import decode_error
from onerouter_simulator import Script, Simulator
from tests.core.payloads import HELLO, added_up, chunk, completion, end_of, sse, streamed, whole

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def both(message: Any = "Hi", finish: str | None = "stop", **root: Any) -> tuple[Reply, Reply]:
    """Return the same answer read whole, and read from a stream."""
    reply = whole(completion(message, finish, **root))
    return reply, end_of(streamed(chunk(message), chunk(finish=finish, **root)))


def test_quirk_01_cost_at_the_root() -> None:
    """Cost and its details stand at the root, beside usage; the details are an open map."""
    details = {"prompt_cost": 0.000226044, "is_byok": False, "some_new_cost": 0}
    for reply in both(cost=0.000264, cost_details=details, usage=USAGE):
        assert reply.cost == 0.000264
        assert reply.cost_details == details
        assert reply.extra == {}


def test_quirk_01_cost_in_usage_second() -> None:
    """Cost in usage counts only where the root has none, and the two are never added."""
    usage = {**USAGE, "cost": 0.5}
    for reply in both(usage=usage):
        assert reply.cost == 0.5
    for reply in both(usage=usage, cost=0):
        assert reply.cost == 0


def test_quirk_01_cost_absent() -> None:
    """A cost that is not there is None, not zero, and no usage is made up from a cost alone."""
    assert [reply.cost for reply in both(usage=USAGE)] == [None, None]
    assert [reply.usage for reply in both(cost=0.1)] == [None, None]


@pytest.mark.parametrize("cost", [True, "a lot", float("nan"), float("inf"), [], {}])
def test_quirk_01_cost_that_is_no_number(cost: Any) -> None:
    """What is no number is no cost."""
    assert [reply.cost for reply in both(cost=cost)] == [None, None]


@pytest.mark.parametrize("usage", [None, {}, [], "free"])
def test_quirk_02_usage_that_says_nothing(usage: Any) -> None:
    """Usage that is null, empty or no object is None."""
    assert [reply.usage for reply in both(usage=usage)] == [None, None]


def test_quirk_02_usage_details() -> None:
    """Counts and their details are read; what the gateway does not count is None."""
    prompt = {"cached_tokens": 7, "cache_write_tokens": 1, "audio_tokens": 0, "video_tokens": 2}
    output = {"reasoning_tokens": 120, "image_tokens": 0, "audio_tokens": 4}
    details = {"prompt_tokens_details": prompt, "completion_tokens_details": output}
    for reply in both(usage={**USAGE, **details}):
        usage = reply.usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 2, 5)
        assert (usage.cached_tokens, usage.cache_write_tokens) == (7, 1)
        assert (usage.input_audio_tokens, usage.input_video_tokens) == (0, 2)
        assert usage.input_image_tokens is None
        assert (usage.reasoning_tokens, usage.output_image_tokens) == (120, 0)
        assert usage.output_audio_tokens == 4
        assert usage.raw == {**USAGE, **details}


def test_quirk_02_usage_of_odd_types() -> None:
    """Floats and strings are counts, null details are none, a missing total is the sum."""
    odd = {"prompt_tokens": 3.0, "completion_tokens": "2", "prompt_tokens_details": None}
    for reply in both(usage=odd):
        usage = reply.usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 2, 5)


def test_quirk_02_usage_on_every_chunk() -> None:
    """Cumulative usage on every chunk: the last one counts, and it leaves the decoder once."""
    counts = [{**USAGE, "completion_tokens": count, "total_tokens": 3 + count} for count in (1, 2)]
    pieces = streamed(
        chunk("a", usage=counts[0], cost=0.1),
        chunk("b", "stop", usage=counts[1], cost=0.2),
        chunk(usage=None, cost=None),
    )
    reply = end_of(pieces)
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
def test_quirk_02_usage_chunk_of_any_form(last: dict[str, Any]) -> None:
    """The chunk with usage may repeat the finish reason, have none, or have no choices."""
    pieces = streamed(chunk("Hi"), chunk(finish="stop"), last)
    assert [piece.text for piece in pieces] == ["Hi", ""]
    reply = end_of(pieces)
    assert reply.usage is not None
    assert reply.usage.total_tokens == 5
    assert (reply.finish_reason, reply.text) == ("stop", "Hi")


@pytest.mark.parametrize("choices", [[], None, "x", [None], [[]]])
def test_quirk_03_no_choices(choices: Any) -> None:
    """A reply without a choice is malformed, whole; in a stream such a chunk is passed over."""
    with pytest.raises(MalformedReplyError, match="holds no answer"):
        whole({"id": "gen-1", "choices": choices})
    assert end_of(streamed({"choices": choices}, chunk("Hi", "stop"))).text == "Hi"


def test_quirk_03_nothing_but_odd_chunks() -> None:
    """A stream that ends without any choice has no answer in it."""
    with pytest.raises(MalformedReplyError, match="no content and no tool call"):
        streamed({"id": "gen-1", "choices": []})
    with pytest.raises(MalformedReplyError, match="no content and no tool call"):
        streamed()


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("stop", MalformedReplyError),
        (None, MalformedReplyError),
        ("length", LengthLimitError),
        ("content_filter", ContentFilterError),
    ],
)
@pytest.mark.parametrize("content", [None, "", [], 5])
def test_quirk_03_an_answer_without_content(
    content: Any, finish: str | None, kind: type[OneRouterError]
) -> None:
    """An empty answer is an error, which knows who gave it and how far the thinking got."""
    message = {"content": content, "reasoning": "Hm."}
    root = {"model": "m", "provider": "p", "request_id": "r"}
    for read in (
        lambda: whole(completion(message, finish, **root)),
        lambda: streamed(chunk(message), chunk(finish=finish, **root)),
    ):
        with pytest.raises(kind) as caught:
            read()
        error = caught.value
        assert type(error) is kind
        assert (error.model, error.provider, error.request_id) == ("m", "p", "r")
        assert (error.generation_id, error.partial.reasoning) == ("gen-1", "Hm.")
        assert not error.transient


def test_quirk_04_a_stream_that_ends_early() -> None:
    """Neither finish reason nor [DONE]: the end is missing, and the error holds what came."""
    events = (chunk("Hel", model="m", provider="p"), chunk("lo", request_id="r"))
    with pytest.raises(IncompleteStreamError) as caught:
        streamed(*events, done=False)
    error = caught.value
    assert error.partial.text == "Hello"
    assert (error.model, error.provider, error.request_id) == ("m", "p", "r")
    assert error.generation_id == "gen-1"
    with pytest.raises(IncompleteStreamError):
        streamed(done=False)
    with pytest.raises(IncompleteStreamError):
        streamed(b": keep-alive\n\n", done=False)


def test_quirk_04_either_end_will_do() -> None:
    """A finish reason without [DONE] is an end, and [DONE] without a finish reason is one."""
    assert end_of(streamed(chunk("Hi", "stop"), done=False)).finish_reason == "stop"
    assert end_of(streamed(chunk("Hi"), done=True)).finish_reason is None


def test_quirk_04_a_stream_cut_within_an_event() -> None:
    """Half an event at the end is no event: without an end before it, the stream is cut."""
    half = b'data: {"choices":[{"del'
    with pytest.raises(IncompleteStreamError) as caught:
        streamed(chunk("Hi"), half, done=False)
    assert caught.value.partial.text == "Hi"
    assert end_of(streamed(chunk("Hi", "stop"), half, done=False)).text == "Hi"


def test_quirk_04_nothing_counts_after_done() -> None:
    """What comes after [DONE] is not read."""
    assert end_of(streamed(chunk("Hi", "stop"), b"data: [DONE]\n\n", chunk("!"))).text == "Hi"


CREDITS = {"error": {"message": "Your current credits have been used up", "code": 402}}


@pytest.mark.parametrize("extra", [{}, {"choices": []}, {"choices": None}])
def test_quirk_05_an_error_under_a_good_status(extra: dict[str, Any]) -> None:
    """An error body is an error whatever the status said, asked for whole or as a stream."""
    body = {**CREDITS, **extra}
    for read in (
        lambda: whole(body),
        lambda: streamed(json.dumps(body).encode(), done=False),
        lambda: streamed(body),
    ):
        with pytest.raises(InsufficientCreditsError, match="used up") as caught:
            read()
        assert (caught.value.status, caught.value.code) == (402, "402")


def test_quirk_05_an_error_beside_an_answer() -> None:
    """An error in a completion or in its choice is an error, and the answer so far is partial."""
    failure = {"error": {"message": "Provider disconnected", "code": 502}}
    at_the_root = {**completion("Hel", "error", provider="openai"), **failure}
    in_the_choice = completion("Hel", "error", provider="openai")
    in_the_choice["choices"][0] |= failure
    for body in (at_the_root, in_the_choice):
        with pytest.raises(UpstreamError, match="Provider disconnected") as caught:
            whole(body)
        assert (caught.value.partial.text, caught.value.status) == ("Hel", 502)
        assert caught.value.provider == "openai"


def test_quirk_05_an_error_chunk() -> None:
    """An error in mid-stream is raised at once, with what came before it and in it."""
    failure = {"error": {"code": "server_error", "message": "Provider disconnected unexpectedly"}}
    with pytest.raises(UpstreamError, match="Provider disconnected") as caught:
        streamed(chunk("Hel"), chunk("lo", "error", provider="openai", **failure), chunk("!"))
    error = caught.value
    assert (error.partial.text, error.code, error.provider) == ("Hello", "server_error", "openai")
    assert error.transient


def test_quirk_05_a_finish_that_is_an_error() -> None:
    """The finish reason "error" is one, though nothing else says so."""
    for read in (
        lambda: whole(completion("Hel", "error")),
        lambda: streamed(chunk("Hel"), chunk(finish="error")),
    ):
        with pytest.raises(UpstreamError, match="failed while it answered") as caught:
            read()
        assert caught.value.partial.text == "Hel"


@pytest.mark.parametrize(
    ("code", "kept", "status"),
    [
        *(("server_error", "server_error", None), (429, "429", 429), ("429", "429", 429)),
        *((None, None, None), (4290, "4290", None), (200, "200", None), (True, "True", None)),
    ],
)
def test_quirk_06_error_codes_of_any_type(code: Any, kept: str | None, status: int | None) -> None:
    """A code is kept as a string; it is the status only where it looks like one."""
    error = decode_error({"error": {"message": "no", "code": code}})
    assert (error.code, error.status) == (kept, status)


def test_quirk_06_a_real_status_beats_a_code() -> None:
    """The status of the response counts, not the code in its body."""
    assert decode_error({"error": {"message": "no", "code": 400}}, status=429).status == 429


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "out of order"}, "out of order"),
        ({"code": 502, "message": "out of order"}, "out of order"),
        ('{"error": {"message": "out of order"}}', "out of order"),
        ("out  of\norder", "The gateway refused: out of order"),
        ("<html><head><TITLE>Bad\n gateway</TITLE></head>...", "The gateway refused: Bad gateway"),
        ({"error": {"message": ["odd"]}}, 'The gateway refused: {"error": {"message": ["odd"]}}'),
        ({"detail": "no"}, 'The gateway refused: {"detail": "no"}'),
        ("", "The gateway refused, and says nothing."),
        ("[" * 5000, f"The gateway refused: {'[' * 300}"),
        (None, "The gateway refused: null"),
    ],
)
def test_quirk_06_error_bodies_of_any_form(body: Any, message: str) -> None:
    """An error body may be an object, a string, prose, a page, or nothing at all."""
    error = decode_error(body, status=502)
    assert isinstance(error, UpstreamError)
    assert error.message == message


@pytest.mark.parametrize("body", [b"<title>Just a moment</title>", b"\xff\xfe", b"5", b"[1]"])
def test_quirk_06_a_page_instead_of_an_answer(body: bytes) -> None:
    """A body under a good status that is no completion and states no error is malformed."""
    for read in (lambda: whole(body), lambda: streamed(body, done=False)):
        with pytest.raises(MalformedReplyError, match="The reply holds no answer"):
            read()


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (403, "Your current credits have been used up", InsufficientCreditsError),
        (429, "Free model requires Team balance greater than $5", InsufficientCreditsError),
        (503, "No available providers for model vendor/unknown", ModelNotFoundError),
    ],
)
def test_quirk_07_status_and_text_decide(
    status: int, text: str, kind: type[OneRouterError]
) -> None:
    """The gateway says with 403, 429 and 503 what others say otherwise; none is asked again."""
    error = decode_error({"error": {"message": text, "type": "infron_ai_error"}}, status=status)
    assert type(error) is kind
    assert not error.transient


def test_quirk_08_the_time_to_wait_in_prose() -> None:
    """A throttle says in words alone how long it lasts."""
    text = "Rate limit exceeded (5 requests per minute). Please try again after 6 seconds. Please"
    error = decode_error({"error": {"message": text}}, status=429)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 6


@pytest.mark.parametrize("reply_id", ["", None, 7, {}])
def test_quirk_09_ids_of_any_form(reply_id: Any) -> None:
    """An id that says nothing is None, and the reply is read."""
    assert whole(completion(id=reply_id)).id is None
    assert end_of(streamed(chunk("Hi", "stop", id=reply_id))).id is None


def test_quirk_09_request_ids() -> None:
    """The header's request id comes first, then the one in an error's message, then the body's."""
    header = {"x-infron-request-id": "in-header"}
    assert whole(completion(request_id="in-body")).request_id == "in-body"
    assert whole(completion(request_id="in-body"), header).request_id == "in-header"
    events = (chunk("Hi", "stop", request_id="in-body"),)
    assert end_of(streamed(*events)).request_id == "in-body"
    assert end_of(streamed(*events, headers=header)).request_id == "in-header"
    said = {"error": {"message": "no (request id: in-prose)"}, "request_id": "in-body"}
    assert decode_error(said, status=400).request_id == "in-prose"
    assert decode_error(said, status=400, headers=header).request_id == "in-header"
    assert (
        decode_error({"error": "no", "request_id": "in-body"}, status=400).request_id == "in-body"
    )


@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning": "Hm."},
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm.", "reasoning_content": "Hm."},
        {"reasoning": "", "reasoning_content": "Hm."},
        {"reasoning": None, "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}]},
    ],
)
def test_quirk_10_reasoning_under_any_name(thought: dict[str, Any]) -> None:
    """Reasoning is read from one of its names, never from two."""
    message = {"content": "Hi", **thought}
    for reply in both(message):
        assert reply.reasoning == "Hm."
    assert "".join(piece.reasoning for piece in streamed(chunk(message, "stop"))) == "Hm."


def test_signed_thoughts_stay_apart() -> None:
    """A text that has its signature is whole; one of another id is another."""
    thoughts = [
        {"type": "reasoning.text", "id": name, "text": name.upper(), "signature": f"sig-{name}"}
        for name in ("a", "b")
    ]
    unsigned = [{"type": "reasoning.text", "id": name, "text": name} for name in ("c", "d")]
    events = [chunk({"reasoning_details": [one]}) for one in (*thoughts, *unsigned)]
    reply = end_of(streamed(*events, chunk("Hi", "stop")))
    assert reply.reasoning_details == (*thoughts, *unsigned)


def test_an_odd_end() -> None:
    """What is no JSON behind the finish reason takes nothing from an answer that is whole."""
    pieces = streamed(chunk("Hi", "stop"), b"data: [done]\n\n")
    assert end_of(pieces).text == "Hi"


@pytest.mark.parametrize("head", ["event: message\n", "id: 1\n", "\ufeff", "\ufeff: hello\n\n"])
def test_a_stream_that_nobody_asked_for(head: str) -> None:
    """It is known by its first line, whichever that is."""
    assert whole(head.encode() + sse(chunk("Hi", "stop"))).text == "Hi"


@pytest.mark.parametrize("body", ["id:", "event:", ":", "\ufeff:", "data:"])
def test_a_stream_of_nothing(body: str) -> None:
    """It has no end, and so no answer."""
    with pytest.raises(IncompleteStreamError):
        whole(body.encode())


def test_quirk_10_reasoning_details_are_kept() -> None:
    """Fragments of one thought are joined, signature and all; what is encrypted stays as it is."""
    thought = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    sealed = {"type": "reasoning.encrypted", "data": "c2VhbGVk", "index": 1, "id": None}
    fragments = [
        {**thought, "text": "Let me "},
        {**thought, "text": "think."},
        {**thought, "signature": "sig"},
        sealed,
        sealed,
        {"type": "some.new.kind", "what": [1]},
    ]
    chunks = [chunk({"reasoning_details": [fragment]}) for fragment in fragments]
    reply = end_of(streamed(*chunks, chunk("Hi", "stop")))
    assert reply.reasoning_details == (
        {**thought, "text": "Let me think.", "signature": "sig"},
        sealed,
        sealed,
        {"type": "some.new.kind", "what": [1]},
    )
    assert reply.reasoning == "Let me think."


def test_quirk_10_other_thoughts_are_other_details() -> None:
    """Thoughts of another index or another kind are not joined."""
    details = [
        {"type": "reasoning.text", "text": "a", "index": 0},
        {"type": "reasoning.text", "text": "b", "index": 1},
        {"type": "reasoning.summary", "summary": "c", "index": 1},
    ]
    chunks = [chunk({"reasoning_details": [detail]}) for detail in details]
    assert end_of(streamed(*chunks, chunk("Hi", "stop"))).reasoning_details == tuple(details)


@pytest.mark.parametrize("key", ["provider", "service_tier", "system_fingerprint"])
def test_quirk_11_facts_of_another_type(key: str) -> None:
    """A fact is a string or None; one of another type is kept among the extras."""
    for reply in both(**{key: "said"}):
        assert (getattr(reply, key), reply.extra) == ("said", {})
    for reply in both(**{key: None}):
        assert (getattr(reply, key), reply.extra) == (None, {})
    for reply in both(**{key: {"a": 1}}):
        assert (getattr(reply, key), reply.extra) == (None, {key: {"a": 1}})


def test_quirk_11_unknown_keys_are_kept() -> None:
    """What has no name here travels as an extra: of the root, of the choice, of the message."""
    at_the_root = {"x_groq": {"id": 1}, "x_none": None, "x_empty": "", "x_false": False}
    body = completion({"content": "Hi", "x_message": 1, "x_null": None}, **at_the_root)
    body["choices"][0] |= {"stop_reason": None, "x_choice": 0}
    event = chunk({"content": "Hi", "x_message": 1, "x_null": None}, "stop", **at_the_root)
    event["choices"][0] |= {"stop_reason": None, "x_choice": 0}
    of_the_message = {"x_message": 1, "x_null": None}
    expected = {**at_the_root, **of_the_message, "stop_reason": None, "x_choice": 0}
    assert whole(body).extra == expected
    assert end_of(streamed(event)).extra == expected


@pytest.mark.parametrize("logprobs", [None, [], {}, "x"])
def test_quirk_11_logprobs_that_say_nothing(logprobs: Any) -> None:
    """Log probabilities that are null or odd are None."""
    body, event = completion(), chunk("Hi", "stop")
    body["choices"][0]["logprobs"] = event["choices"][0]["logprobs"] = logprobs
    assert whole(body).logprobs is None
    assert end_of(streamed(event)).logprobs is None


def test_quirk_11_logprobs_add_up() -> None:
    """Log probabilities come with their piece, and add up to those of the whole."""
    events = [chunk("H"), chunk("i", "stop")]
    for event, token in zip(events, "Hi", strict=True):
        event["choices"][0]["logprobs"] = {"content": [{"token": token, "logprob": -1}]}
    pieces = streamed(*events)
    assert [piece.logprobs for piece in pieces[:-1]] == [
        {"content": [{"token": "H", "logprob": -1}]},
        {"content": [{"token": "i", "logprob": -1}]},
    ]
    expected = {"content": [{"token": "H", "logprob": -1}, {"token": "i", "logprob": -1}]}
    assert end_of(pieces).logprobs == expected


def test_quirk_12_the_lines_of_a_stream() -> None:
    """Comments, CRLF, no space, trailing spaces, blank lines and no final newline: all are read."""
    written = json.dumps(chunk("é漢🙂")).encode()
    raw = json.dumps(chunk("!", "stop"), ensure_ascii=False).encode()
    stream = (
        b"\xef\xbb\xbf: OPENROUTER PROCESSING\r\n\r\n: OPENROUTER PROCESSING\r\n\r\n"
        b"data:" + written + b"  \r\n\r\n\r\n" + b"event: x\r\ndata: " + raw + b" \n\n"
        b"data: \n\ndata: [DONE] "
    )
    pieces = streamed(stream, done=False)
    assert [piece.text for piece in pieces] == ["é漢🙂", "!", ""]
    assert end_of(pieces).text == "é漢🙂!"


def test_quirk_12_space_before_a_body() -> None:
    """A whole body may begin with blank lines, which keep the connection alive."""
    body = b"\n         \n\n         \n" + json.dumps(completion()).encode()
    assert whole(body).text == "Hi"
    assert end_of(streamed(body, done=False)).text == "Hi"


def test_quirk_12_a_whole_body_instead_of_a_stream() -> None:
    """A server that does not stream when asked to still gives pieces that add up, and an end."""
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": "1", "function": function}]
    message = {"content": "Hi", "reasoning": "Hm.", "tool_calls": calls}
    body = json.dumps(completion(message, "tool_calls")).encode()
    pieces = streamed(body[:20], body[20:], done=False)
    assert [(piece.text, piece.reasoning) for piece in pieces] == [("Hi", "Hm."), ("", "")]
    assert added_up(pieces) == [("1", "f", "{}")]
    assert end_of(pieces).tool_calls[0].parsed == {}


def test_quirk_12_a_stream_instead_of_a_whole_body() -> None:
    """A server that streams though not asked to is read as well, or fails as a stream does."""
    stream = sse(b": ping\n\n", chunk("H"), chunk("i", "stop", usage=USAGE))
    assert whole(stream).text == "Hi"
    with pytest.raises(IncompleteStreamError):
        whole(sse(chunk("H"), done=False))
    for empty in (b"data: [DONE]\n\n", b"data:\n\n", b"data"):
        with pytest.raises(OneRouterError):
            whole(empty)


def test_quirk_12_the_answer_in_one_event() -> None:
    """Some send the whole message as the only event of a stream."""
    body = completion({"content": "Hi", "tool_calls": None}, usage=USAGE)
    pieces = streamed(body)
    assert "".join(piece.text for piece in pieces) == end_of(pieces).text == "Hi"


@pytest.mark.parametrize("text", ["\\ud83d", "\\ud83d\\ude42", "\xff"])
def test_quirk_12_letters_that_are_none(text: str) -> None:
    """Bytes that are no UTF-8, and halves of surrogate pairs, do not stop a reply."""
    body = json.dumps(completion("?")).replace("?", text).encode("latin-1")
    said = whole(body).text
    assert said == end_of(streamed(b"data: " + body + b"\n\n")).text
    assert said.encode() == said.encode("utf-8", "replace") != b""


def test_quirk_12_a_character_in_two_events() -> None:
    """Half a character waits for its other half, in words, thoughts and arguments; or is lost."""
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": '{"a": "\ud83d'}}
    rest = {"index": 0, "function": {"arguments": '\ude42"}'}}
    events = (
        chunk({"content": "a\ud83d", "reasoning": "\ud83d", "tool_calls": [call]}),
        chunk({"content": "\ude42b", "reasoning": "\ude42", "tool_calls": [rest]}),
        chunk({"content": "\ude42\ud83d"}, "stop"),
    )
    pieces = streamed(*(b"data: %s\n\n" % json.dumps(event).encode() for event in events))
    end = end_of(pieces)
    assert [piece.text for piece in pieces] == ["a", "\U0001f642b", "\ufffd", "\ufffd"]
    assert "".join(piece.text for piece in pieces) == end.text
    assert end.reasoning == "\U0001f642"
    assert end.tool_calls[0].parsed == {"a": "\U0001f642"}


def test_quirk_05_an_event_that_is_an_error_and_does_not_say_so() -> None:
    """An event without choices that has a message states an error, [DONE] or not."""
    with pytest.raises(UpstreamError, match="boom") as caught:
        streamed(chunk("Hel"), b'data: {"code": 500, "message": "boom"}\n\ndata: [DONE]\n\n')
    assert caught.value.partial.text == "Hel"


def test_quirk_12_an_event_that_is_no_json() -> None:
    """An event that is not JSON is malformed, with what came before it."""
    with pytest.raises(MalformedReplyError, match="an event that is not JSON") as caught:
        streamed(chunk("Hi"), b"data: oops\n\n")
    assert caught.value.partial.text == "Hi"


@pytest.mark.parametrize("event", [b"data: 5\n\n", b"data: []\n\n", b'data: "x"\n\n'])
def test_quirk_12_an_event_that_is_no_object(event: bytes) -> None:
    """An event that is JSON but no object says nothing."""
    assert end_of(streamed(event, chunk("Hi", "stop"))).text == "Hi"


@pytest.mark.parametrize(
    "envelope",
    [
        {"data": [{"id": "m", "context_length": None}], "success": True},
        {"models": [{"id": "m"}]},
        [{"id": "m"}, None, "x"],
    ],
)
def test_quirk_13_model_lists_in_any_envelope(envelope: Any) -> None:
    """A model list is read from `data`, from `models`, or bare; entries stay as they are."""
    assert decode_models(json.dumps(envelope).encode())[0]["id"] == "m"
    assert len(decode_models(json.dumps(envelope).encode())) == 1


@pytest.mark.parametrize("body", [b'{"data": null}', b"{}", b"<title>no</title>", b"5"])
def test_quirk_13_no_model_list(body: bytes) -> None:
    """What holds no list is malformed."""
    with pytest.raises(MalformedReplyError):
        decode_models(body)


def test_quirk_14_the_model_that_answered() -> None:
    """The served model is the reply's, not the request's; fallbacks change it."""
    for reply in both(model="other/model:free@1", provider="alibaba/cn"):
        assert (reply.model, reply.provider) == ("other/model:free@1", "alibaba/cn")


def test_quirk_15_agent_and_address(sim: Simulator, gateway: Callable[..., Gateway]) -> None:
    """A user agent of our own is sent, to the base URL with one slash and one /v1."""
    sim.script(Script(json=completion()))
    gateway().complete(HELLO)
    assert sim.last.headers["user-agent"].startswith("onerouter-integrations/")
    assert sim.last.path == "/v1/chat/completions"


def test_quirk_16_deltas_without_anything() -> None:
    """A call whose deltas have no index, and an object as arguments, is one call."""
    deltas = [
        {"id": "1", "function": {"name": "f"}},
        {"function": {"arguments": {"a": 1}}},
    ]
    pieces = streamed(*(chunk({"tool_calls": [delta]}) for delta in deltas), chunk(finish="stop"))
    assert added_up(pieces) == [("1", "f", '{"a": 1}')]
    call = {"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}
    reply = whole(completion({"content": None, "tool_calls": [call]}))
    assert reply.tool_calls == end_of(pieces).tool_calls
    assert reply.tool_calls[0].parsed == {"a": 1}


@pytest.mark.parametrize("arguments", ["", None, " \n"])
def test_quirk_16_no_arguments(arguments: Any) -> None:
    """Arguments that are empty or null are an empty object."""
    call = {"id": "1", "function": {"name": "f", "arguments": arguments}}
    for reply in both({"content": None, "tool_calls": [call]}, "tool_calls"):
        assert (reply.tool_calls[0].parsed, reply.tool_calls[0].error) == ({}, None)


def test_images_stand_beside_or_within_the_content() -> None:
    """Images are read from parts and from beside the content, and come as pieces."""
    pictures = [{"type": "image_url", "image_url": {"url": f"data:,{n}"}} for n in "ab"]
    parts = [{"type": "text", "text": "Hi"}, pictures[0]]
    message = {"content": parts, "images": [pictures[1], {"image_url": {}}, 5]}
    for reply in both(message):
        assert [image.url for image in reply.images] == ["data:,a", "data:,b"]
        assert reply.text == "Hi"
    pieces = streamed(chunk(message, "stop"))
    assert [image.url for image in pieces[0].images] == ["data:,a", "data:,b"]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        *(("UklGR", "wav"), ("SUQz", "mp3"), ("//uQ", "mp3"), ("T2dn", "opus")),
        *(("ZkxhQ", "flac"), ("AAAA", "pcm16")),
    ],
)
def test_audio_adds_up(head: str, kind: str) -> None:
    """Spoken answers are put together; their format is read from their first bytes."""
    deltas = [
        {"audio": {"id": "a", "data": head, "expires_at": None}},
        {"audio": {"transcript": "Hel"}},
        {"audio": {"data": "AA", "transcript": "lo"}},
    ]
    streamed_audio = end_of(streamed(*map(chunk, deltas), chunk(finish="stop"))).audio
    assert streamed_audio is not None
    assert (streamed_audio.data, streamed_audio.format) == (f"{head}AA", kind)
    assert streamed_audio.transcript == "Hello"
    message = {"content": None, "audio": {"data": f"{head}AA", "transcript": "Hello"}}
    assert whole(completion(message)).audio == streamed_audio


def test_audio_of_odd_types_does_not_stop_a_reply() -> None:
    """Audio without data is none, and data that is no string is not put together."""
    for reply in both({"content": "Hi", "audio": {"id": "a"}}):
        assert reply.audio is None
    events = (chunk({"audio": {"data": 5}}), chunk({"audio": {"data": "AA"}}), chunk("Hi", "stop"))
    audio = end_of(streamed(*events)).audio
    assert audio is not None
    assert audio.data == "AA"


def test_a_stream_adds_up_to_the_body_it_would_have_been() -> None:
    """The raw completion of a stream is what the gateway would have sent unstreamed."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "Hi", "reasoning": "Hm.", "tool_calls": [call]}
    events = (chunk({"content": "Hi", "reasoning": "Hm."}), chunk({"tool_calls": [call]}))
    reply = end_of(streamed(*events, chunk(finish="tool_calls", usage=USAGE, model="m")))
    assert reply.raw == completion(message, "tool_calls", usage=USAGE, model="m")


def test_refusals_and_annotations_add_up() -> None:
    """A refusal is put together, and annotations are collected."""
    notes = [{"type": "url_citation", "url_citation": {"url": url}} for url in ("a", "b")]
    deltas = [
        {"refusal": "I "},
        {"refusal": None, "annotations": notes[:1]},
        {"refusal": "won't.", "annotations": None},
        {"annotations": notes[1:]},
    ]
    reply = end_of(streamed(*map(chunk, deltas), chunk(finish="stop")))
    assert reply.refusal == "I won't."
    assert reply.annotations == tuple(notes)
    message = {"content": None, "refusal": "I won't.", "annotations": notes}
    assert whole(completion(message)).annotations == tuple(notes)


def test_other_choices_are_alternatives() -> None:
    """With several choices the first is the reply and the others are its alternatives."""
    body = completion("A")
    body["choices"].append({"index": 1, "message": {"content": "B"}, "finish_reason": "stop"})
    reply = whole(body)
    assert reply.text == "A"
    assert [other.text for other in reply.alternatives] == ["B"]


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_an_empty_choice_takes_no_answer_away(reason: str) -> None:
    """The answers that were paid for come first; the empty choice says why it is none."""
    body = completion("", reason)
    body["choices"].append({"index": 1, "message": {"content": "B"}, "finish_reason": "stop"})
    reply = whole(body)
    assert (reply.text, reply.finish_reason) == ("B", "stop")
    assert [(other.text, other.finish_reason) for other in reply.alternatives] == [("", reason)]


def test_a_choice_that_failed_takes_no_answer_away() -> None:
    """It is an error, whose partial reply has all choices."""
    body = completion("Hal", "error")
    body["choices"].append({"index": 1, "message": {"content": "B"}, "finish_reason": "stop"})
    with pytest.raises(UpstreamError) as caught:
        whole(body)
    came = caught.value.partial
    assert [came.text, *(other.text for other in came.alternatives)] == ["Hal", "B"]


def test_other_choices_of_a_stream_are_passed_over() -> None:
    """A stream tells one answer: chunks of other choices say nothing."""
    other = chunk("B")
    other["choices"][0]["index"] = 1
    pieces = streamed(chunk("A"), other, chunk(finish="stop"))
    assert [piece.text for piece in pieces] == ["A", ""]


@pytest.mark.parametrize("depth", [300, 600, 5000])
def test_json_without_a_floor(depth: int) -> None:
    """What is nested so deeply would fail on its way through a framework: it is no answer."""
    body = json.dumps(completion("Hi", extra=0)).replace(
        '"extra": 0', '"extra": ' + "[" * depth + "]" * depth
    )
    with pytest.raises(MalformedReplyError):
        whole(body.encode())
