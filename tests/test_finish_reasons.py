"""How answers end and what they count, through both classes in every mode."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core import exceptions as lc
from llama_index.core import PromptTemplate
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import ChatMemoryBuffer
from pydantic import BaseModel

from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    UpstreamError,
)
from onerouter_simulator import Simulator
from tests.both_classes import (
    LANGCHAIN,
    METHODS,
    ask,
    call,
    invalid_reasons,
    message_of,
    model,
    question,
    script,
    text_of,
    tool_result,
    valid_calls,
)

FAILURES = ("error", "ABORT", "network_error", "insufficient_system_resource", "engine_overloaded")
LIMITS = ("length", "MAX_TOKENS", "max tokens", "model_context_window_exceeded", "model_length")
MODERATION = ("content_filter", "SAFETY", "sensitive", "RECITATION", "PROHIBITED_CONTENT")
EMPTY = {
    "null": {"content": None},
    "empty": {"content": ""},
    "no parts": {"content": []},
    "reasoning": {"content": None, "reasoning": "All is done."},
}
by_method = pytest.mark.parametrize("method", METHODS)


class Note(BaseModel):
    """A note."""

    text: str


def save(text: str) -> str:
    """Save a text."""
    return f"saved {text}"


def history(sim: Simulator, llm: Any, method: str) -> list[Any]:
    """Return a conversation that ends with the result of a call."""
    message = {"content": None, "tool_calls": [call("{}")]}
    sim.script(script(method, message, "tool_calls"))
    return [question(method), message_of(ask(llm, method)), tool_result(method)]


@by_method
@pytest.mark.parametrize("message", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("reason", ["stop", "STOP", "end_turn"])
def test_an_empty_end_after_a_tool_result_is_an_empty_message(
    sim: Simulator, method: str, message: dict[str, Any], reason: str
) -> None:
    """The tools have acted: the agent must not fail."""
    llm = model(sim, method)
    conversation = history(sim, llm, method)
    sim.script(script(method, message, reason))
    answer = ask(llm, method, conversation)
    assert text_of(answer) == ""
    assert valid_calls(llm, answer) == []


@by_method
@pytest.mark.parametrize("reason", ["stop", "peculiar"])
def test_elsewhere_an_empty_answer_is_an_error(sim: Simulator, method: str, reason: str) -> None:
    """So is one with an unknown finish reason after a tool result."""
    llm = model(sim, method)
    conversation = history(sim, llm, method) if reason == "peculiar" else None
    sim.script(script(method, {"content": ""}, reason))
    with pytest.raises(MalformedReplyError, match="no content"):
        ask(llm, method, conversation)


@by_method
def test_reasoning_alone_is_an_answer_without_text(sim: Simulator, method: str) -> None:
    """Anywhere, if it ends with stop."""
    sim.script(script(method, EMPTY["reasoning"]))
    assert text_of(ask(model(sim, method), method)) == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # LlamaIndex reads `__fields__`
@pytest.mark.parametrize("message", EMPTY.values(), ids=EMPTY)
def test_agents_end_well(sim: Simulator, message: dict[str, Any]) -> None:
    """After the tool has run, nothing more is said."""
    act = {"content": None, "tool_calls": [call('{"text": "a"}')]}
    sim.script(script("invoke", act, "tool_calls"), script("invoke", message))
    agent = create_agent(model(sim, "invoke"), [save])
    messages = agent.invoke({"messages": [("user", "x")]})["messages"]
    assert [item.type for item in messages] == ["human", "ai", "tool", "ai"]
    assert messages[-1].text == ""
    sim.script(script("stream", act, "tool_calls"), script("stream", message))

    async def work() -> str:
        llm = model(sim, "astream_chat")
        memory = ChatMemoryBuffer.from_defaults(llm=llm)
        return str(await FunctionAgent(tools=[save], llm=llm).run("x", memory=memory))

    assert asyncio.run(work()) in {"", "None"}


@by_method
@pytest.mark.parametrize("reason", FAILURES)
def test_a_failure_is_a_transient_error_with_the_partial_reply(
    sim: Simulator, method: str, reason: str
) -> None:
    """Calls included: none of them is handed out as whole."""
    message = {"content": "Hel", "tool_calls": [call("{}")]}
    sim.script(script(method, message, reason))
    with pytest.raises(UpstreamError, match=reason) as caught:
        ask(model(sim, method), method)
    error = caught.value
    assert error.transient
    assert error.partial.text == "Hel"
    assert [item.name for item in error.partial.tool_calls] == ["save"]


@by_method
def test_a_failure_before_anything_was_handed_out_is_retried(sim: Simulator, method: str) -> None:
    """The second answer is whole."""
    sim.script(script(method, {}, "abort"), script(method, {"content": "Hi"}))
    assert text_of(ask(model(sim, method, max_retries=1), method)) == "Hi"
    assert len(sim.requests) == 2


@by_method
@pytest.mark.parametrize("reason", LIMITS)
def test_a_limit_makes_cut_calls_invalid(sim: Simulator, method: str, reason: str) -> None:
    """No arguments are guessed, and none are blank."""
    calls = [call('{"text": "a', call_id="c1"), call("", call_id="c2")]
    sim.script(script(method, {"content": None, "tool_calls": calls}, reason))
    llm = model(sim, method)
    answer = ask(llm, method)
    assert valid_calls(llm, answer) == []
    assert all("cut off" in error for error in invalid_reasons(llm, answer))


@by_method
@pytest.mark.parametrize(
    ("reasons", "error_class"), [(LIMITS, LengthLimitError), (MODERATION, ContentFilterError)]
)
def test_an_empty_answer_has_the_error_of_its_reason(
    sim: Simulator, method: str, reasons: tuple[str, ...], error_class: type[OneRouterError]
) -> None:
    """Also under the upstream's own word beside "stop"."""
    for reason in reasons:
        sim.script(script(method, {"content": ""}, reason))
        with pytest.raises(error_class):
            ask(model(sim, method), method)
    sim.script(script(method, {"content": ""}, "stop", native_finish_reason=reasons[1]))
    with pytest.raises(error_class):
        ask(model(sim, method), method)


@pytest.mark.parametrize("how", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("endpoint", ["invoke", "stream"])
@pytest.mark.parametrize(
    ("reasons", "error_class"), [(LIMITS, LengthLimitError), (MODERATION, ContentFilterError)]
)
def test_objects_of_langchain_have_the_error_of_the_reason(
    sim: Simulator,
    how: Any,
    endpoint: str,
    reasons: tuple[str, ...],
    error_class: type[OneRouterError],
) -> None:
    """A stop by moderation is also langchain-core's refusal."""
    runnable = model(sim, "invoke").with_structured_output(Note, method=how)
    for reason in reasons:
        sim.script(script(endpoint, {"content": '{"text": "a'}, reason))
        with pytest.raises(error_class) as caught:
            runnable.invoke("x") if endpoint == "invoke" else list(runnable.stream("x"))
        if error_class is ContentFilterError:
            assert isinstance(caught.value, getattr(lc, "ModelRefusalError", lc.ModelError))


@pytest.mark.parametrize(
    ("reasons", "error_class"), [(LIMITS, LengthLimitError), (MODERATION, ContentFilterError)]
)
def test_objects_of_llama_index_have_the_error_of_the_reason(
    sim: Simulator, reasons: tuple[str, ...], error_class: type[OneRouterError]
) -> None:
    """Complete and streamed replies."""
    llm = model(sim, "chat")
    for reason in reasons:
        sim.script(script("chat", {"content": '{"text": "a'}, reason))
        with pytest.raises(error_class):
            llm.structured_predict(Note, PromptTemplate("x"))
        sim.script(script("stream", {"content": '{"text": "a'}, reason))
        with pytest.raises(error_class):
            list(llm.stream_structured_predict(Note, PromptTemplate("x")))


@by_method
@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"input_tokens": 9, "output_tokens": 2}, (9, 2, 11)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4}, (9, 2, 11)),
        ({"prompt_tokens": 9}, None),
        ({"cost": 0.5}, None),
    ],
)
def test_counts_that_are_not_said_are_not_zero(
    sim: Simulator, method: str, usage: dict[str, Any], counts: tuple[int, int, int] | None
) -> None:
    """LangChain has all three counts or none; LlamaIndex those that are known."""
    sim.script(script(method, {"content": "Hi"}, usage=usage))
    answer = ask(model(sim, method), method)
    if method in LANGCHAIN:
        known = answer.usage_metadata
        names = ("input_tokens", "output_tokens", "total_tokens")
    else:
        known = answer.additional_kwargs
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
    if counts is None:
        assert not known or known.get(names[2]) is None
    else:
        assert tuple(known[name] for name in names) == counts
        details = known.get("input_token_details", {})
        cached = details.get("cache_read") if method in LANGCHAIN else known.get("cached_tokens")
        assert cached == usage.get("cached_tokens")


@by_method
@pytest.mark.parametrize(
    ("root", "cost"),
    [
        ({"cost": 0.5}, 0.5),
        ({"cost": "0.5"}, 0.5),
        ({"cost": -1}, None),
        ({"cost": "NaN"}, None),
        ({"cost": "free"}, None),
        ({"cost": -1, "usage": {"cost": 0.25}}, 0.25),
    ],
)
def test_a_cost_is_a_number_that_is_not_negative(
    sim: Simulator, method: str, root: dict[str, Any], cost: float | None
) -> None:
    """Else there is none."""
    sim.script(script(method, {"content": "Hi"}, **root))
    answer = ask(model(sim, method), method)
    where = answer.response_metadata if method in LANGCHAIN else answer.additional_kwargs
    assert where.get("cost") == cost


@pytest.mark.parametrize("method", LANGCHAIN)
def test_details_of_the_cost_are_found_in_usage(sim: Simulator, method: str) -> None:
    """Where the root has none."""
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "cost_details": {"prompt_cost": 0.5}}
    sim.script(script(method, {"content": "Hi"}, usage=usage))
    answer = ask(model(sim, method), method)
    assert answer.response_metadata["cost_details"] == {"prompt_cost": 0.5}
