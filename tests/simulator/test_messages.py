"""Messages of replies: limits, reasoning, citations, media and log probabilities."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from onerouter_simulator.messages import PIXEL, SILENCE, character_limit, cut_text, split_text
from tests.simulator.conftest import CLOCK, JSON, MULTIPLY, Complete

# --- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", ["said", ["never", "said"]])
def test_a_text_ends_before_a_stop_sequence(complete: Complete, stop: Any) -> None:
    """`stop` is a string or a list; the sequence is not in the text."""
    choice = complete("Hello", stop=stop)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("You ", "stop")


@pytest.mark.parametrize("parameter", ["max_tokens", "max_completion_tokens"])
def test_a_text_ends_at_the_token_limit(complete: Complete, parameter: str) -> None:
    """Four characters are one token; the finish reason is `length`."""
    choice = complete("Hello", **{parameter: 2})["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("You said", "length")


def test_tool_call_arguments_end_at_the_token_limit(complete: Complete) -> None:
    """The arguments of the last call are cut, and later calls are missing."""
    prompt = "Multiply 2 by 3 and tell_time in Rome"
    cut = complete(prompt, tools=[MULTIPLY, CLOCK], max_tokens=2)["choices"][0]
    (call,) = cut["message"]["tool_calls"]
    assert call["function"] == {"name": "multiply", "arguments": '{"a": 2,'}
    assert cut["finish_reason"] == "length"
    whole = complete(prompt, tools=[MULTIPLY, CLOCK], max_tokens=50)["choices"][0]
    assert len(whole["message"]["tool_calls"]) == 2
    assert whole["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("request_body", "limit"),
    [({}, None), ({"max_tokens": 3}, 12), ({"max_tokens": 1, "max_completion_tokens": 2}, 4)],
)
def test_the_character_limit_is_four_per_token(request_body: JSON, limit: int | None) -> None:
    """Without a parameter there is no limit; `max_tokens` is read first."""
    assert character_limit(request_body) == limit


@pytest.mark.parametrize(
    ("text", "stop", "limit", "expected"),
    [
        ("abcd", [], None, ("abcd", "stop")),
        ("abcd", [], 4, ("abcd", "stop")),
        ("abcde", [], 4, ("abcd", "length")),
        ("abcde", "d", 4, ("abc", "stop")),
        ("abcde", ["c", "b"], None, ("a", "stop")),
    ],
)
def test_a_stop_sequence_is_applied_before_the_limit(
    text: str, stop: Any, limit: int | None, expected: tuple[str, str]
) -> None:
    """A text that a stop sequence makes short enough ends with `stop`, not `length`."""
    assert cut_text(text, {"stop": stop}, limit) == expected


def test_split_text_has_parts_of_equal_size() -> None:
    """Only the last part may be shorter; an empty text has no parts."""
    assert list(split_text("abcde", 2)) == ["ab", "cd", "e"]
    assert list(split_text("", 2)) == []


# --- reasoning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reasoning", [{"effort": "low"}, {"max_tokens": 100}])
def test_requested_reasoning_has_text_details_and_tokens(
    complete: Complete, reasoning: JSON
) -> None:
    """The details have a signature, and the message is accepted in the next request."""
    reply = complete("Hi. There.", reasoning=reasoning)
    message = reply["choices"][0]["message"]
    (detail,) = message["reasoning_details"]
    assert message["reasoning"] == "The request says: Hi. The rule to follow: echo."
    assert detail["text"] == message["reasoning"]
    assert detail["type"] == "reasoning.text"
    assert (detail["format"], detail["index"]) == ("simulated-v1", 0)
    assert detail["signature"]
    assert reply["usage"]["completion_tokens_details"]["reasoning_tokens"] == 12
    messages = [{"role": "user", "content": "Hi"}, message, {"role": "user", "content": "More"}]
    assert complete(messages)["choices"][0]["message"]["content"] == "You said: More"


@pytest.mark.parametrize("body", [{}, {"reasoning": {"effort": "none"}}, {"reasoning": {}}])
def test_no_reasoning_unless_requested(get_message: Complete, body: JSON) -> None:
    """The effort `none` requests no reasoning."""
    assert "reasoning" not in get_message("Hi", **body)


# --- extras -------------------------------------------------------------------------------------


def test_web_search_options_add_a_citation(get_message: Complete) -> None:
    """One URL citation covers the whole text."""
    message = get_message("Hi", web_search_options={"user_location": {"type": "approximate"}})
    (annotation,) = message["annotations"]
    assert annotation["type"] == "url_citation"
    assert annotation["url_citation"]["url"].startswith("https://")
    assert annotation["url_citation"]["start_index"] == 0
    assert annotation["url_citation"]["end_index"] == len(message["content"])


def test_modalities_add_an_image_and_audio(complete: Complete) -> None:
    """The image is a PNG data URL; the audio is WAV with the text as its transcript."""
    reply = complete("Hi", modalities=["text", "image"])
    (image,) = reply["choices"][0]["message"]["images"]
    assert image["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"
    assert base64.b64decode(PIXEL).startswith(b"\x89PNG")
    assert reply["usage"]["completion_tokens_details"]["image_tokens"] > 0
    message = complete("Hi", modalities=["text", "audio"])["choices"][0]["message"]
    assert message["content"] is None
    assert message["audio"]["transcript"] == "You said: Hi"
    assert set(message["audio"]) == {"id", "data", "transcript", "expires_at"}
    assert base64.b64decode(SILENCE)[:4] == b"RIFF"


def test_logprobs_have_the_tokens_of_the_text(complete: Complete) -> None:
    """The tokens joined are the text, each with `top_logprobs` alternatives."""
    choice = complete("Hi", logprobs=True, top_logprobs=2)["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    assert all(len(token["top_logprobs"]) == 2 for token in tokens)
    without_alternatives = complete("Hi", logprobs=True)["choices"][0]["logprobs"]["content"]
    assert without_alternatives[0]["top_logprobs"] == []
    assert complete("Hi")["choices"][0]["logprobs"] is None
