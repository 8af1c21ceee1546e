"""Answers of a real engine and of a proxy in front of it: each class, sync and async."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.adapters import Caller
from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers

PROMPT = "Hi"
MANY = 16


def constant_format(text: str) -> dict[str, Any]:
    """Return a response format whose grammar allows only this text, in quotes."""
    schema = {"name": "constant", "schema": {"const": text}, "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def test_an_answer_has_text_finish_reason_model_and_usage(caller: Caller, server: Server) -> None:
    """The metadata of the engine reach the caller."""
    answer = caller.call(PROMPT)
    assert answer.text.startswith("Hello")
    assert answer.finish_reason == "stop"
    assert answer.model == server.model
    assert answer.tokens[0] > 0
    assert sum(answer.tokens[:2]) == answer.tokens[2]


def test_the_sum_of_a_stream_is_the_complete_answer(caller: Caller) -> None:
    """Text, finish reason, model and usage are those of the call without streaming."""
    texts, streamed = caller.stream(PROMPT)
    answer = caller.call(PROMPT)
    assert len([text for text in texts if text]) > 3
    assert "".join(texts) == streamed.text == answer.text
    assert (streamed.finish_reason, streamed.model) == (answer.finish_reason, answer.model)
    assert streamed.tokens == answer.tokens


def test_a_stop_sequence_ends_the_answer(caller: Caller) -> None:
    """The answer ends before the stop sequence, complete and streamed."""
    options = {"response_format": constant_format("one two three four"), "stop": ["three"]}
    _, streamed = caller.stream("Count.", **options)
    for answer in (streamed, caller.call("Count.", **options)):
        assert (answer.text, answer.finish_reason) == ('"one two ', "stop")


def test_a_length_limit_gives_finish_reason_length(caller: Caller) -> None:
    """The answer has three tokens, and its finish reason is "length"."""
    _, streamed = caller.stream(PROMPT, max_tokens=3)
    for answer in (streamed, caller.call(PROMPT, max_tokens=3)):
        assert (answer.finish_reason, answer.tokens[1]) == ("length", 3)


def test_log_probabilities_of_every_token(caller: Caller) -> None:
    """Every token has a log probability, and as many alternatives as were requested."""
    options = {"logprobs": True, "top_logprobs": 2, "max_tokens": 4}
    _, streamed = caller.stream(PROMPT, **options)
    complete = caller.call(PROMPT, **options)
    for answer in (streamed, complete):
        assert "".join(token for token, _, _ in answer.logprobs) == answer.text
        assert all(logprob <= 0 and others == 2 for _, logprob, others in answer.logprobs)
    tokens = [token for token, *_ in complete.logprobs]
    assert [token for token, *_ in streamed.logprobs] == tokens


def test_a_character_of_several_tokens_arrives_whole(caller: Caller) -> None:
    """Cyrillic, Chinese and an emoji: no replacement character in any part of a stream."""
    text = "Привет, 世界 🦙"
    options = {"response_format": constant_format(text)}
    texts, streamed = caller.stream("Greet.", **options)
    assert streamed.text == caller.call("Greet.", **options).text == f'"{text}"'
    assert "\ufffd" not in "".join(texts)


def test_concurrent_streams_get_their_own_answers(caller: Caller) -> None:
    """There are more calls than the engine has slots."""
    texts = [f"stream {number}" for number in range(MANY)]
    options = [{"response_format": constant_format(text)} for text in texts]
    answers = caller.stream_concurrently(["Speak."] * MANY, options)
    assert [answer.text for answer in answers] == [f'"{text}"' for text in texts]


def test_the_cost_of_a_stream(caller: Caller, server: Server) -> None:
    """LiteLLM sends the cost in USD with a stream; llama.cpp sends none."""
    _, streamed = caller.stream(PROMPT)
    prompt_tokens, completion_tokens, _ = streamed.tokens
    cost = prompt_tokens * 1e-6 + completion_tokens * 2e-6
    assert streamed.cost == (pytest.approx(cost) if server.name == "proxy" else None)
