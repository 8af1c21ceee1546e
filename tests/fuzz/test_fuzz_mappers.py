"""Any history becomes a request body or a OneRouterError, and is not changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from langchain_core.messages import AIMessage, HumanMessage
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ThinkingBlock, ToolCallBlock

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import OneRouterError
from tests.core.test_round_trip_properties import check_body
from tests.fuzz.histories import langchain_histories, llama_index_histories

often = settings(
    deadline=None,
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
        Phase.shrink,
    ],  # Phase.explain takes minutes
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
chat = ChatOneRouter(model="vendor/model", api_key="-")
llm = OneRouterLLM(model="vendor/model", api_key="-")


def _thinking_message(**additional_information: Any) -> ChatMessage:
    block = ThinkingBlock(content="Hm.", additional_information=additional_information)
    return ChatMessage(role="assistant", blocks=[block, TextBlock(text="Hi")])


def check_history(model: Any, history: Sequence[Any]) -> None:
    """Check that the request body is valid, or that there is a OneRouterError."""
    before = repr(history)
    with suppress(OneRouterError):
        check_body(model.preview(history))
    assert repr(history) == before


@often
@given(history=langchain_histories)
def test_any_langchain_history_is_encoded_or_an_error(history: list[Any]) -> None:
    """LangChain messages as users, agents and memories may make them."""
    check_history(chat, history)


@often
@given(history=llama_index_histories)
def test_any_llama_index_history_is_encoded_or_an_error(history: list[Any]) -> None:
    """LlamaIndex messages as users, agents and memories may make them."""
    check_history(llm, history)


# --- regressions: histories that raised another error before ---

OUR_METADATA = {"model_provider": "onerouter", "model_name": "vendor/model"}
REGRESSIONS: dict[str, tuple[Any, Any]] = {
    "a block whose type is a list": (chat, AIMessage([{"type": []}])),
    "extras that are a number": (chat, HumanMessage([{"type": "image", "extras": 1.5}])),
    "metadata that is a number": (chat, HumanMessage([{"type": "image", "metadata": 1.5}])),
    "a url that is a number": (chat, HumanMessage([{"type": "file", "url": 0}])),
    "a source without a type": (chat, HumanMessage([{"source": {}}])),
    "calls with names that are a single surrogate": (
        chat,
        AIMessage("", tool_calls=[{"name": name, "args": {}, "id": "c1"} for name in ":\ud800"]),
    ),
    "a model that is a number": (
        chat,
        AIMessage("Hi", response_metadata={**OUR_METADATA, "model_name": 1.5}),
    ),
    "details that are null": (
        chat,
        AIMessage(
            "Hi", response_metadata=OUR_METADATA, additional_kwargs={"reasoning_details": None}
        ),
    ),
    "thinking without details": (llm, _thinking_message(reasoning_details=None)),
    "thinking of a model that is a number": (
        llm,
        _thinking_message(reasoning_details=[], model=1.5),
    ),
    "calls that are a number": (
        llm,
        ChatMessage("Hi", role="assistant", additional_kwargs={"tool_calls": 1.5}),
    ),
    "a call whose id is a list": (
        llm,
        ChatMessage(
            role="assistant",
            blocks=[ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={})],
            additional_kwargs={"tool_calls": [{"id": []}]},
        ),
    ),
}


@pytest.mark.parametrize(("model", "message"), REGRESSIONS.values(), ids=REGRESSIONS)
def test_a_malformed_message_is_encoded_or_an_error(model: Any, message: Any) -> None:
    """A wrong type in a message does not raise a bare TypeError."""
    check_history(model, [message])
