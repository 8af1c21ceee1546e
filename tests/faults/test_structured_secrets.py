"""Structured output and tools: no error about an answer, or a wrong argument, shows a secret."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isasyncgen, isawaitable, isgenerator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import OneRouterError
from tests.core.payloads import chunk, completion
from tests.faults.cases import ScriptByMode
from tests.faults.conftest import MakeModel
from tests.faults.entry_points import MESSAGES, multiply
from tests.faults.frame_walk import find_secrets
from tests.faults.http_scripts import response, stream
from tests.faults.secret_recorder import find_leaks
from tests.faults.server import Server
from tests.faults.test_frames import is_ours

KEY = "sk-canary-key-of-this-test"
ECHO = f"You are {KEY}"
OPTIONS = {"api_key": KEY, "extra_headers": {"x-call": "canary-header"}}


class Answer(BaseModel):
    """An object with a number."""

    number: int


def scripts(message: Any, finish: str = "stop") -> ScriptByMode:
    """Return a whole answer, complete and streamed."""
    return ScriptByMode(
        response(completion(message, finish, model=ECHO)),
        stream(chunk(message, model=ECHO), chunk(None, finish)),
    )


ANSWERS = {
    "no JSON": scripts(ECHO),
    "not of the schema": scripts(f'{{"number": "{ECHO}"}}'),
    "refusal": scripts({"content": "", "refusal": ECHO}),
    "cut": scripts(f'{{"number": "{ECHO}', "length"),
    "moderation": scripts(ECHO, "content_filter"),
}
Start = Callable[[Any], Any]


def langchain_calls(**options: Any) -> dict[str, Start]:
    """Return the calls of LangChain for an object; `options` are bound."""

    def chain(llm: ChatOneRouter, **more: Any) -> Any:
        return llm.with_structured_output(Answer, **options, **more)

    return {
        "invoke": lambda llm: chain(llm).invoke("Hi"),
        "ainvoke": lambda llm: chain(llm, method="json_schema").ainvoke("Hi"),
        "stream": lambda llm: chain(llm).stream("Hi"),
        "astream": lambda llm: chain(llm).astream("Hi"),
        "include_raw": lambda llm: chain(llm, include_raw=True).invoke("Hi"),
    }


def llama_index_calls(**options: Any) -> dict[str, Start]:
    """Return the calls of LlamaIndex for an object; `options` are those of the call."""
    prompt = PromptTemplate("Hi")
    return {
        "structured_predict": lambda llm: llm.structured_predict(Answer, prompt, options),
        "achat": lambda llm: llm.as_structured_llm(Answer).achat(MESSAGES, **options),
        "stream_structured_chat": lambda llm: llm.stream_structured_chat(
            Answer, MESSAGES, **options
        ),
        "astream_structured_predict": lambda llm: llm.astream_structured_predict(
            Answer, prompt, options
        ),
    }


CALLS = {
    **dict.fromkeys(langchain_calls(), (ChatOneRouter, langchain_calls)),
    **dict.fromkeys(llama_index_calls(), (OneRouterLLM, llama_index_calls)),
}


async def read(model: Any, start: Start) -> Any:
    """Return the result of a call, or the last one of a stream."""
    result = start(model)
    result = await result if isawaitable(result) else result
    if isasyncgen(result):
        result = [item async for item in result][-1]
    elif isgenerator(result):
        result = list(result)[-1]
    await model.aclose()
    return result


def error_of(model: Any, start: Start) -> OneRouterError:
    """Return the error that a call raises, or that its result has."""
    try:
        result = asyncio.run(read(model, start))
    except OneRouterError as error:
        return error
    error = result["parsing_error"]
    assert isinstance(error, OneRouterError)
    return error


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_key_in_an_answer_without_an_object_is_redacted(
    server: Server, make_model: MakeModel, call: str, answer: str
) -> None:
    """Of a call, or of a function: in the error, its causes, and `partial`."""
    model_class, calls = CALLS[call]
    is_streamed = "stream" in call
    endpoint = server.endpoint(getattr(ANSWERS[answer], "stream" if is_streamed else "complete"))
    is_per_call = answer in {"no JSON", "cut"}
    fields = {} if is_per_call else {"api_key": lambda: KEY}
    options = {"api_key": KEY} if is_per_call else {}
    error = error_of(make_model(model_class.__name__, endpoint, **fields), calls(**options)[call])
    assert "***" in f"{error.message} {error.partial}"
    assert error.model == "You are ***"
    assert find_secrets(error, lambda _: False) == []
    assert find_leaks([error, *error.args, error.partial]) == []


def test_a_tool_that_is_not_there_is_redacted(server: Server, make_model: MakeModel) -> None:
    """Its name is what the model said."""
    call = {"id": "c", "type": "function", "function": {"name": ECHO, "arguments": "{}"}}
    endpoint = server.endpoint(response(completion({"tool_calls": [call]}, "tool_calls")))
    model = make_model("OneRouterLLM", endpoint, api_key=KEY)
    with pytest.raises(OneRouterError, match=r"\*\*\*") as caught:
        model.predict_and_call([FunctionTool.from_defaults(multiply)], "Hi")
    assert find_secrets(caught.value, is_ours) == []


def test_an_answer_is_what_the_model_said(server: Server, make_model: MakeModel) -> None:
    """Only errors are redacted; without an echo, they are left as they are."""
    endpoint = server.endpoint(ANSWERS["no JSON"].complete, response(completion("No.")))
    model = make_model("ChatOneRouter", endpoint, api_key=KEY)
    assert model.invoke("Hi").text == ECHO
    with pytest.raises(OneRouterError) as caught:
        model.with_structured_output(Answer).invoke("Hi")
    assert caught.value.partial.text == "No."
    assert caught.value.__cause__ is not None


# --- keywords that are bound, or of a call for an object ---

WRONG: dict[str, tuple[type, Start]] = {
    "bind_tools": (ChatOneRouter, lambda llm: llm.bind_tools([5], **OPTIONS)),
    "tool_choice": (
        ChatOneRouter,
        lambda llm: llm.bind_tools([multiply], tool_choice="x", **OPTIONS),
    ),
    "schema": (ChatOneRouter, lambda llm: llm.with_structured_output({"type": 5}, **OPTIONS)),
    "method": (
        ChatOneRouter,
        lambda llm: llm.with_structured_output(Answer, method="x", **OPTIONS),
    ),
    "tools": (
        ChatOneRouter,
        lambda llm: llm.with_structured_output(Answer, tools=[5], **OPTIONS),
    ),
    "structured_chat": (OneRouterLLM, lambda llm: llm.structured_chat(5, MESSAGES, **OPTIONS)),
    "astructured_chat": (
        OneRouterLLM,
        lambda llm: llm.astructured_chat(Answer, MESSAGES, top_p=9, **OPTIONS),
    ),
    "stream_structured_chat": (
        OneRouterLLM,
        lambda llm: llm.stream_structured_chat(5, MESSAGES, **OPTIONS),
    ),
    "astream_structured_chat": (
        OneRouterLLM,
        lambda llm: llm.astream_structured_chat(5, MESSAGES, **OPTIONS),
    ),
    "chat_with_tools": (
        OneRouterLLM,
        lambda llm: llm.chat_with_tools([5], chat_history=[ChatMessage("Hi")], **OPTIONS),
    ),
    "as_structured_llm": (OneRouterLLM, lambda llm: llm.as_structured_llm(5, **OPTIONS)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_argument_beside_a_key_leaves_it_in_no_frame(
    server: Server, make_model: MakeModel, wrong: str
) -> None:
    """Of ours; a caller's frame shows its own arguments."""
    model_class, start = WRONG[wrong]
    model = make_model(model_class.__name__, server.endpoint())
    with pytest.raises((ValueError, OneRouterError)) as caught:
        asyncio.run(read(model, start))
    assert find_secrets(caught.value, is_ours) == []
