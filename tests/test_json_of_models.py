"""JSON as models write it, through both classes: what runs, what is an error, what goes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core import PromptTemplate
from pydantic import BaseModel

from onerouter_core.errors import MalformedReplyError
from onerouter_simulator import Script, Simulator, chunk, completion
from tests.both_classes import (
    LANGCHAIN,
    METHODS,
    ask,
    call,
    invalid_reasons,
    message_of,
    model,
    script,
    sent_back,
    text_of,
    valid_calls,
)


class Note(BaseModel):
    """A note."""

    text: str


READ = {
    "line break": ('{"text": "one\ntwo\tthree"}', "one\ntwo\tthree"),
    "half of an emoji": (r'{"text": "smile \ud83d"}', "smile \ufffd"),
    "second half": (r'{"text": "\ude00 smile"}', "\ufffd smile"),
    "whole emoji": (r'{"text": "\ud83d\ude00"}', "😀"),
    "word": ('{"text": "NaN"}', "NaN"),
}
REJECTED = {
    "NaN": ('{"n": NaN}', "NaN is not JSON"),
    "infinity": ('{"n": [-Infinity]}', "-Infinity is not JSON"),
    "overflow": ('{"n": 1e999}', "too large"),
    "digits": ('{"n": ' + "9" * 4400 + "}", "digits"),
}
by_method = pytest.mark.parametrize("method", METHODS)


@by_method
@pytest.mark.parametrize(("arguments", "text"), READ.values(), ids=READ)
def test_arguments_are_read_and_go_back_as_valid_json(
    sim: Simulator, method: str, arguments: str, text: str
) -> None:
    """The tool and a strict upstream read the same."""
    llm = model(sim, method)
    message = {"content": None, "tool_calls": [call(arguments)]}
    sim.script(script(method, message, "tool_calls"))
    answer = ask(llm, method)
    assert valid_calls(llm, answer) == [{"text": text}]
    (sent,) = sent_back(sim, llm, method, answer)["tool_calls"]
    assert json.loads(sent["function"]["arguments"]) == {"text": text}


@pytest.mark.parametrize("method", [name for name in METHODS if "stream" in name])
@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_escapes_that_are_split_between_events_are_joined(
    sim: Simulator, method: str, size: int
) -> None:
    """A pair is a character; a half is replaced, wherever the text was cut."""
    text = r'{"text": "\ud83d\ude00 \\ud83d \ud83d \n"}'
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    deltas = [
        chunk({"tool_calls": [{"index": 0, **call("")}]}),
        *(chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}) for part in parts),
    ]
    sim.script(Script(events=[*deltas, chunk({}, finish_reason="tool_calls")]))
    llm = model(sim, method)
    assert valid_calls(llm, ask(llm, method)) == [{"text": "😀 \\ud83d \ufffd \n"}]


@by_method
@pytest.mark.parametrize(("arguments", "reason"), REJECTED.values(), ids=REJECTED)
def test_numbers_that_json_cannot_hold_make_an_invalid_call(
    sim: Simulator, method: str, arguments: str, reason: str
) -> None:
    """Nothing runs; the model gets its text back within valid JSON."""
    llm = model(sim, method)
    message = {"content": None, "tool_calls": [call(arguments)]}
    sim.script(script(method, message, "tool_calls"))
    answer = ask(llm, method)
    assert valid_calls(llm, answer) == []
    assert reason in invalid_reasons(llm, answer)[0]
    (sent,) = sent_back(sim, llm, method, answer)["tool_calls"]
    assert json.loads(sent["function"]["arguments"]) == {"invalid_arguments": arguments}


@by_method
@pytest.mark.parametrize(
    "digits", ["0.12345678901234567890123", "1.00000000000000000001e5", "9" * 60]
)
def test_numbers_keep_their_digits_in_what_goes_back(
    sim: Simulator, method: str, digits: str
) -> None:
    """An edit of the arguments goes back instead."""
    llm = model(sim, method)
    arguments = f'{{"n": {digits}}}'
    sim.script(script(method, {"content": None, "tool_calls": [call(arguments)]}, "tool_calls"))
    answer = ask(llm, method)
    (sent,) = sent_back(sim, llm, method, answer)["tool_calls"]
    assert sent["function"]["arguments"] == arguments
    if method in LANGCHAIN:
        answer.tool_calls[0]["args"] = {"n": 1}
    else:
        answer.message.blocks[-1].tool_kwargs = {"n": 1}
    (sent,) = sent_back(sim, llm, method, answer)["tool_calls"]
    assert json.loads(sent["function"]["arguments"]) == {"n": 1}


@by_method
@pytest.mark.parametrize(
    "fields",
    [
        {"content": "a \ud83d"},
        {"reasoning": "a \ud83d", "content": "b"},
        {
            "content": "b",
            "reasoning_details": [{"type": "reasoning.text", "text": "\ud83d", "signature": "S"}],
        },
        {"content": "b", "extra_content": {"google": {"x": "\ud83d", "\ud83d": 1}}},
        {"content": None, "tool_calls": [call("{}", call_id="c1") | {"extra": "\ud83d"}]},
        {"content": None, "tool_calls": [call({"text": "\ud83d"})]},
        {"content": "b", "annotations": [{"type": "\ud83d"}], "peculiar": "\ud83d"},
    ],
    ids=["text", "reasoning", "details", "extra", "call", "object", "unknown"],
)
def test_a_half_of_a_pair_anywhere_leaves_the_next_request_writable(
    sim: Simulator, method: str, fields: dict[str, Any]
) -> None:
    """Everything that was received can be written as UTF-8."""
    llm = model(sim, method)
    sim.script(script(method, fields, "tool_calls" if "tool_calls" in fields else "stop"))
    answer = ask(llm, method)
    assert answer.model_dump_json().encode()
    assert sent_back(sim, llm, method, answer)


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("endpoint", ["invoke", "stream"])
@pytest.mark.parametrize(("text", "value"), READ.values(), ids=READ)
def test_objects_of_langchain_are_read(
    sim: Simulator, method: Any, endpoint: str, text: str, value: str
) -> None:
    """In the text of an answer and in arguments."""
    message = {"content": text}
    if method == "function_calling":
        message = {"content": None, "tool_calls": [call(text, "Note")]}
    sim.script(script(endpoint, message))
    llm = model(sim, "invoke").with_structured_output(Note, method=method)
    made = llm.invoke("x") if endpoint == "invoke" else list(llm.stream("x"))[-1]
    assert made == Note(text=value)


@pytest.mark.parametrize(("text", "value"), READ.values(), ids=READ)
def test_objects_of_llama_index_are_read(sim: Simulator, text: str, value: str) -> None:
    """Whole, and as the last of a stream."""
    llm = model(sim, "chat")
    sim.script(script("chat", {"content": text}), script("stream_chat", {"content": text}))
    prompt = PromptTemplate("x")
    assert llm.structured_predict(Note, prompt) == Note(text=value)
    assert list(llm.stream_structured_predict(Note, prompt))[-1] == Note(text=value)


@pytest.mark.parametrize(("text", "reason"), REJECTED.values(), ids=REJECTED)
def test_objects_with_numbers_that_json_cannot_hold_are_errors(
    sim: Simulator, text: str, reason: str
) -> None:
    """The reason is in the message."""
    sim.script(*[Script(json=completion(message={"content": text}))] * 4)
    langchain = model(sim, "invoke").with_structured_output(Note, method="json_mode")
    with pytest.raises(MalformedReplyError, match=reason):
        langchain.invoke("x")
    with pytest.raises(MalformedReplyError, match=reason):
        model(sim, "chat").structured_predict(Note, PromptTemplate("x"))


@by_method
def test_the_text_of_an_error_can_be_written(sim: Simulator, method: str) -> None:
    """Halves of pairs are replaced in error bodies."""
    body = r'{"error": {"message": "no \ud83d", "code": 400}}'
    sim.script(Script(status=400, body=body, content_type="application/json"))
    with pytest.raises(Exception, match="no") as caught:
        ask(model(sim, method), method)
    assert str(caught.value).encode()


def test_texts_are_whole(sim: Simulator) -> None:
    """A text whose pair is split between two events is joined."""
    events = [chunk({"content": "a \ud83d"}), chunk({"content": "\ude00"}, finish_reason="stop")]
    for method in ("stream", "stream_chat"):
        sim.script(Script(events=events))
        answer = ask(model(sim, method), method)
        assert text_of(answer) == "a 😀"
        assert message_of(answer)
