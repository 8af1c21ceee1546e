"""structured_output: parsing of objects, errors, retries and templates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate
from pydantic import (
    BaseModel,
    ValidationError,
)

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
)
from onerouter_core.retry import waiting
from onerouter_simulator import Script, Simulator, completion, failure, tool_call
from tests.llama_index.conftest import LLMFactory, Mode
from tests.llama_index.samples import METHODS, PROMPT, SONG, Song, text_reply, text_stream

# --- parsing ---


@pytest.mark.parametrize(
    "text",
    [
        SONG,
        f"```json\n{SONG}\n```",
        f"```\n{SONG}\n```",
        f"Here is your song:\n\n{SONG}\nEnjoy!",
    ],
    ids=["plain", "fenced", "fenced without a language", "in prose"],
)
@pytest.mark.parametrize("method", METHODS)
def test_json_in_fences_or_prose_is_parsed(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, method: str, text: str
) -> None:
    """Streamed or not, with each method; also text instead of a forced call."""
    llm = make_llm(structured_output_mode=method)
    sim.script(text_reply(text), text_stream(text[:9], text[9:20], text[20:]))
    expected = Song(title="Moon", year=1999)
    assert mode.call(llm, "structured_predict", Song, PROMPT, topic="x") == expected
    items = mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="x")
    assert items[-1] == expected


def test_a_strict_class_is_validated_in_json_mode(llm: OneRouterLLM, sim: Simulator) -> None:
    """JSON has no tuples: pydantic's JSON mode accepts a list."""

    class Exact(BaseModel, strict=True):
        """Strict, and with a tuple."""

        pair: tuple[int, int]

    sim.script(text_reply('{"pair": [1, 2]}'))
    assert llm.structured_predict(Exact, PROMPT, topic="x").pair == (1, 2)


@pytest.mark.parametrize(
    ("text", "kwargs", "error_class"),
    [
        ("I will not.", {"message": {"content": None, "refusal": "No."}}, RefusalError),
        (SONG[:20], {"finish_reason": "length"}, LengthLimitError),
        (SONG, {"finish_reason": "length"}, LengthLimitError),
        (SONG, {"finish_reason": "content_filter"}, ContentFilterError),
        ("A song? Gladly.", {}, MalformedReplyError),
        (SONG[:20], {}, MalformedReplyError),
        ('{"title": "Moon"}', {}, MalformedReplyError),
    ],
    ids=["refusal", "cut", "cut but valid", "moderation", "prose", "cut JSON", "invalid"],
)
def test_each_failure_raises_its_own_error(  # noqa: PLR0913, PLR0917 -- case and fixtures
    mode: Mode,
    llm: OneRouterLLM,
    sim: Simulator,
    text: str,
    kwargs: dict[str, Any],
    error_class: type[OneRouterError],
) -> None:
    """Streamed or not; the error has the model and the generation id."""
    body = completion(text, **kwargs)
    sim.script(Script(json=body), Script(json=body))
    with pytest.raises(error_class) as caught:
        mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    assert caught.value.model == "simulated/echo"
    assert caught.value.generation_id == body["id"]
    with pytest.raises(error_class):
        mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="x")


def test_the_cause_of_an_invalid_object_is_a_validation_error(
    llm: OneRouterLLM, sim: Simulator
) -> None:
    """The message names the invalid field."""
    sim.script(text_reply('{"title": "Moon", "year": "soon"}'))
    with pytest.raises(MalformedReplyError, match="year") as caught:
        llm.structured_predict(Song, PROMPT, topic="x")
    assert isinstance(caught.value.__cause__, ValidationError)


def test_invalid_arguments_of_a_forced_call_raise(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """They are not repaired."""
    call = tool_call("Song", '{"title": "Moon", "year": 1999')
    sim.script(Script(json=completion(None, message={"tool_calls": [call]})))
    with pytest.raises(MalformedReplyError, match="not a JSON object"):
        mode.call(make_llm(structured_output_mode="function"), "structured_predict", Song, PROMPT)


# --- retries ---

INVALID = '{"title": "Moon", "year": "soon"}'


def test_an_invalid_object_is_not_retried_by_default(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """A retry is billed."""
    sim.script(text_reply(INVALID))
    with pytest.raises(MalformedReplyError):
        mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    assert len(sim.requests) == 1


@pytest.mark.parametrize("method", METHODS)
def test_structured_output_retries_send_the_invalid_answer_and_the_error(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, method: str
) -> None:
    """The system prompt is sent once."""
    llm = make_llm(
        structured_output_mode=method, structured_output_retries=2, system_prompt="Sing."
    )
    call = {"tool_calls": [tool_call("Song", INVALID)]}
    invalid = completion(None, message=call) if method == "function" else completion(INVALID)
    sim.script(Script(json=invalid), Script(json=invalid), text_reply(SONG))
    song = mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    assert song == Song(title="Moon", year=1999)
    assert len(sim.requests) == 3
    messages = [(m["role"], m["content"]) for m in sim.last.body["messages"]]
    assert [content for _, content in messages].count("Sing.") == 1
    (_, answer), (_, instruction) = messages[-2:]
    assert json.loads(answer) == json.loads(INVALID)
    assert "not a valid Song: year: Input should be a valid integer" in instruction
    assert [role for role, _ in messages[-4:]] == ["assistant", "user", "assistant", "user"]


def test_structured_output_retries_2_sends_three_requests(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """Then the error of the last answer is raised."""
    sim.script(*[text_reply("No song.")] * 3)
    llm = make_llm(structured_output_retries=2)
    with pytest.raises(MalformedReplyError, match="not a valid Song"):
        mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    assert len(sim.requests) == 3


@pytest.mark.parametrize(
    ("body", "error_class"),
    [
        (completion("No.", message={"content": None, "refusal": "No."}), RefusalError),
        (completion(SONG[:9], finish_reason="length"), LengthLimitError),
    ],
)
def test_a_refusal_or_a_cut_answer_is_not_retried(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, body: Any, error_class: type[OneRouterError]
) -> None:
    """Only an invalid object is retried."""
    sim.script(Script(json=body))
    with pytest.raises(error_class):
        mode.call(make_llm(structured_output_retries=2), "structured_predict", Song, PROMPT)
    assert len(sim.requests) == 1


def test_an_invalid_object_in_a_stream_is_not_retried(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """Incomplete objects have been returned already."""
    sim.script(text_stream(INVALID))
    llm = make_llm(structured_output_retries=2)
    with pytest.raises(MalformedReplyError):
        mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="x")
    assert len(sim.requests) == 1


# --- errors and templates ---


@pytest.mark.parametrize(
    ("body", "error_class"),
    [
        (completion('{"title": "Mo', finish_reason="length"), LengthLimitError),
        (completion('{"title": "Moon"}'), MalformedReplyError),
        (completion("No.", message={"refusal": "no"}), RefusalError),
    ],
    ids=["cut", "invalid", "refusal"],
)
def test_an_error_has_the_partial_reply_and_the_attempts(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, body: Any, error_class: Any
) -> None:
    """The answer was billed; a retried request counts as an attempt."""
    sim.script(failure(503, "Overloaded"), Script(json=body))
    with waiting(0), pytest.raises(error_class) as caught:
        mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    assert caught.value.partial.text == body["choices"][0]["message"]["content"]
    assert caught.value.attempts == 2


def test_braces_in_messages_and_template_values_are_not_formatted(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """Only the prompt's own variables are filled in."""
    llm = make_llm(system_prompt="Say {nothing}.")
    mode.chat(llm.as_structured_llm(Song), [ChatMessage('{"a": {b}}')])
    assert [m["content"] for m in sim.last.body["messages"]] == ["Say {nothing}.", '{"a": {b}}']
    prompt = ChatPromptTemplate([ChatMessage("On {topic}")])
    mode.call(llm, "structured_predict", Song, prompt, topic="{braces}")
    assert sim.last.body["messages"][-1]["content"] == "On {braces}"
