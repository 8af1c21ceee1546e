"""What a real engine answers, and a real gateway in front of it: one test, eight ways."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.fake_models import Voice
from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(180)  # the first test waits for the servers

ASKED = "Hi"
MANY = 16


def dictated(text: str) -> dict[str, Any]:
    """Return a response format whose grammar lets the model say one thing only, in quotes."""
    schema = {"name": "dictated", "schema": {"const": text}, "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def test_an_answer(voice: Voice, server: Server) -> None:
    """Words, why they ended, who said them, and what they were counted as."""
    answer = voice.ask(ASKED)
    assert answer.text.startswith("Hello")
    assert answer.finish_reason == "stop"
    assert answer.model == server.model
    assert answer.tokens[0] > 0
    assert sum(answer.tokens[:2]) == answer.tokens[2]


def test_a_stream_is_the_answer_in_pieces(voice: Voice) -> None:
    """Its sum is what the unstreamed call says, counts and all."""
    pieces, whole = voice.hear(ASKED)
    answer = voice.ask(ASKED)
    assert len([piece for piece in pieces if piece]) > 3
    assert "".join(pieces) == whole.text == answer.text
    assert (whole.finish_reason, whole.model) == (answer.finish_reason, answer.model)
    assert whole.tokens == answer.tokens


def test_a_stop_sequence(voice: Voice) -> None:
    """The answer ends before it, streamed or not."""
    asked = {"response_format": dictated("one two three four"), "stop": ["three"]}
    _, heard = voice.hear("Count.", **asked)
    for answer in (heard, voice.ask("Count.", **asked)):
        assert (answer.text, answer.finish_reason) == ('"one two ', "stop")


def test_a_length_limit(voice: Voice) -> None:
    """The answer is cut, and says so."""
    _, heard = voice.hear(ASKED, max_tokens=3)
    for answer in (heard, voice.ask(ASKED, max_tokens=3)):
        assert (answer.finish_reason, answer.tokens[1]) == ("length", 3)


def test_log_probabilities(voice: Voice) -> None:
    """Every token has one, and as many alternatives as were asked for."""
    _, heard = voice.hear(ASKED, logprobs=True, top_logprobs=2, max_tokens=4)
    answer = voice.ask(ASKED, logprobs=True, top_logprobs=2, max_tokens=4)
    for said in (heard, answer):
        assert "".join(token for token, _, _ in said.logprobs) == said.text
        assert all(logprob <= 0 and others == 2 for _, logprob, others in said.logprobs)
    assert [token for token, *_ in heard.logprobs] == [token for token, *_ in answer.logprobs]


def test_a_language_that_is_not_latin(voice: Voice) -> None:
    """A letter that the engine makes of several tokens arrives whole."""
    words = "Привет, 世界 🦙"
    pieces, heard = voice.hear("Greet.", response_format=dictated(words))
    assert heard.text == voice.ask("Greet.", response_format=dictated(words)).text == f'"{words}"'
    assert "\ufffd" not in "".join(pieces)


def test_many_streams_at_once(voice: Voice) -> None:
    """Each caller hears its own answer, though the engine has fewer slots than there are calls."""
    words = [f"stream {number}" for number in range(MANY)]
    options = [{"response_format": dictated(said)} for said in words]
    heard = voice.hear_all(["Speak."] * MANY, options)
    assert [answer.text for answer in heard] == [f'"{said}"' for said in words]


def test_what_the_gateway_charges(voice: Voice, server: Server) -> None:
    """LiteLLM says on a stream what it cost, and llama.cpp costs nothing."""
    _, heard = voice.hear(ASKED)
    asked, answered, _ = heard.tokens
    price = asked * 1e-6 + answered * 2e-6
    assert heard.cost == (pytest.approx(price) if server.name == "proxy" else None)
