"""Replayed fields: other keys of calls and messages, and reasoning under its own key, go back.

Each reply comes over a socket to both classes, whole and streamed, sync and async. It is stored as
an application stores it, and the next request to the same model, or to another one, is looked at.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Callable
from copy import deepcopy
from functools import reduce
from inspect import iscoroutine
from operator import add
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.memory import ChatMemoryBuffer, Memory
from sqlalchemy.ext.asyncio import create_async_engine

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, completion

MODEL = "google/gemini-3-flash"
SIGNATURE = {"google": {"thought_signature": "AbCd=="}}
DETAILS = [{"type": "reasoning.text", "text": "Hm.", "signature": "S"}]


def run(result: Any) -> Any:
    """Return the value of a coroutine; the items of a stream, sync or async, as a list."""

    async def collect(stream: AsyncIterable[Any]) -> list[Any]:
        return [item async for item in stream]

    async def wait() -> Any:
        value = await result if iscoroutine(result) else result
        return await collect(value) if isinstance(value, AsyncIterable) else value

    if iscoroutine(result) or isinstance(result, AsyncIterable):
        return asyncio.run(wait())
    return result


class LangChain:
    """A ChatOneRouter in one mode; its messages are stored in a JSON checkpoint."""

    methods = ("invoke", "ainvoke", "stream", "astream")

    def __init__(self, sim: Simulator, method: str, **fields: Any) -> None:
        connection = {"base_url": sim.base_url, "api_key": sim.api_key, "max_retries": 0}
        self.llm: Any = ChatOneRouter(**{"model": MODEL, **connection, **fields})
        self.is_stream = "stream" in method
        self._call = getattr(self.llm, method)

    def ask(self, **options: Any) -> AIMessage:
        """Return the answer to a question."""
        answer = run(self._call("x", **options))
        return reduce(add, answer) if self.is_stream else answer

    def stored(self, message: AIMessage) -> list[AIMessage]:
        """Return a message as it is, and out of a JSON checkpoint."""
        dumped = json.loads(json.dumps(messages_to_dict([message])))
        return [message, *messages_from_dict(dumped)]

    def sent(self, message: AIMessage, **options: Any) -> dict[str, Any]:
        """Return the message in a later request, with results of its calls."""
        results = [ToolMessage("6", tool_call_id=call["id"]) for call in message.tool_calls]
        history = [HumanMessage("x"), message, *results, HumanMessage("y")]
        before = deepcopy(history)
        body = self.llm.preview(history, **options)
        assert history == before
        return body["messages"][1]

    def visible(self, message: AIMessage) -> str:
        """Return the fields of a message that users see besides its text."""
        return str(message.additional_kwargs)


class LlamaIndex:
    """A OneRouterLLM in one mode; its messages are stored in both memories and as JSON."""

    methods = ("chat", "achat", "stream_chat", "astream_chat")

    def __init__(self, sim: Simulator, method: str, **fields: Any) -> None:
        connection = {"base_url": sim.base_url, "api_key": sim.api_key, "max_retries": 0}
        self.llm: Any = OneRouterLLM(
            **{"model": MODEL, "context_window": 100_000, **connection, **fields}
        )
        self.is_stream = "stream" in method
        self._call = getattr(self.llm, method)

    def ask(self, **options: Any) -> ChatMessage:
        """Return the answer to a question."""
        answer = run(self._call([ChatMessage("x")], **options))
        return (list(answer)[-1] if self.is_stream else answer).message

    def stored(self, message: ChatMessage) -> list[ChatMessage]:
        """Return a message as it is, as JSON, and out of both memories."""
        buffer = ChatMemoryBuffer.from_defaults(chat_history=[message], token_limit=9000)
        as_json = ChatMessage.model_validate_json(message.model_dump_json())
        return [message, as_json, *buffer.get_all(), *asyncio.run(through_memory(message))]

    def sent(self, message: ChatMessage, **options: Any) -> dict[str, Any]:
        """Return the message in a later request, with results of its calls."""
        calls = message.additional_kwargs.get("tool_calls", ())
        results = [
            ChatMessage("6", role="tool", additional_kwargs={"tool_call_id": call["id"]})
            for call in calls
        ]
        history = [ChatMessage("x"), message, *results, ChatMessage("y")]
        before = deepcopy(history)
        body = self.llm.preview(history, **options)
        assert history == before
        return body["messages"][1]

    def visible(self, message: ChatMessage) -> str:
        """Return the fields of a message that users see besides its text."""
        return str(message.additional_kwargs)


async def through_memory(message: ChatMessage) -> list[ChatMessage]:
    """Return a message out of the memory that agents use, which is an SQL table."""
    engine = create_async_engine("sqlite+aiosqlite:///:memory:")
    memory = Memory.from_defaults(session_id="s", token_limit=9000, async_engine=engine)
    await memory.aput(message)
    stored = await memory.aget_all()
    await engine.dispose()
    return stored


CASES = [(kind, method) for kind in (LangChain, LlamaIndex) for method in kind.methods]


@pytest.fixture(params=CASES, ids=lambda case: case[1])
def make(request: pytest.FixtureRequest, sim: Simulator) -> Callable[..., Any]:
    """Return a factory of models in one mode of one class."""
    kind, method = request.param
    return lambda **fields: kind(sim, method, **fields)


def script(sim: Simulator, client: Any, message: dict[str, Any], model: str = MODEL) -> None:
    """Script a reply: the message whole, or in one delta, whose calls have an index."""
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    if not client.is_stream:
        message = {"role": "assistant", "content": None, **message}
        body = completion(message=message, finish_reason=reason, model=model)
        sim.script(Script(json=body))
        return
    calls = [{"index": i, **call} for i, call in enumerate(message.get("tool_calls", ()))]
    delta = {**message, **({"tool_calls": calls} if calls else {})}
    end = chunk({}, finish_reason=reason, model=model)
    sim.script(Script(events=[chunk(delta, model=model), end]))


def call(call_id: str = "c1", **more: Any) -> dict[str, Any]:
    """Return a tool call with other keys."""
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}


# --- other keys of calls and of messages ---


@pytest.mark.parametrize(
    "extra",
    [
        {"extra_content": SIGNATURE},
        {"provider_specific_fields": {"thought_signature": "AbCd=="}},
        {"thought_signature": "AbCd==", "flags": [1, {"a": None}]},
        {"extra_content": SIGNATURE, "vendor": 1.5},
    ],
)
def test_other_keys_of_a_call_go_back(
    make: Callable[..., Any], sim: Simulator, extra: dict[str, Any]
) -> None:
    """Unchanged, through every store, whatever the policy for reasoning; and users see them."""
    client = make(replay_reasoning="never")
    script(sim, client, {"tool_calls": [call("c1", **extra), call("c2")]})
    answer = client.ask()
    for message in client.stored(answer):
        assert client.sent(message)["tool_calls"] == [call("c1", **extra), call("c2")]
        assert all(str(value) in client.visible(message) for value in extra.values())


def test_other_keys_of_the_function_go_back(make: Callable[..., Any], sim: Simulator) -> None:
    """LiteLLM has Gemini's signature there, too."""
    client = make()
    function = {"name": "f", "arguments": "{}", "provider_specific_fields": SIGNATURE}
    signed = {**call(), "function": function}
    script(sim, client, {"tool_calls": [signed]})
    for message in client.stored(client.ask()):
        assert client.sent(message)["tool_calls"] == [signed]


def test_other_keys_of_a_call_in_a_later_delta(make: Callable[..., Any], sim: Simulator) -> None:
    """Fragments are merged as those of unknown keys: texts are joined, objects merged."""
    client = make()
    pieces = [
        {"id": "c1", "function": {"name": "f", "arguments": "{"}, "extra_content": {"a": "x"}},
        {"function": {"arguments": "}"}, "extra_content": {"a": "y", "b": {"c": [1]}}},
        {"extra_content": {"b": {"c": [2]}}},
    ]
    whole = call(extra_content={"a": "xy", "b": {"c": [1, 2]}})
    if client.is_stream:
        events = [chunk({"tool_calls": [{"index": 0, **piece}]}, model=MODEL) for piece in pieces]
        end = chunk({}, finish_reason="tool_calls", model=MODEL)
        sim.script(Script(events=[*events, end]))
    else:
        script(sim, client, {"tool_calls": [whole]})
    (sent,) = client.sent(client.ask())["tool_calls"]
    assert sent == whole


@pytest.mark.parametrize("key", ["extra_content", "provider_specific_fields"])
def test_other_keys_of_a_message_go_back(
    make: Callable[..., Any], sim: Simulator, key: str
) -> None:
    """They stand beside the content, as they came."""
    client = make()
    script(sim, client, {"content": "Hi", key: SIGNATURE})
    for message in client.stored(client.ask()):
        assert client.sent(message) == {"role": "assistant", "content": "Hi", key: SIGNATURE}
        assert str(SIGNATURE) in client.visible(message)


def test_other_keys_go_to_the_same_model_only(make: Callable[..., Any], sim: Simulator) -> None:
    """Another vendor may reject them, even if reasoning goes to every model."""
    client = make(replay_reasoning="always")
    message = {"tool_calls": [call(extra_content=SIGNATURE)], "extra_content": SIGNATURE}
    script(sim, client, message)
    answer = client.ask()
    assert client.sent(answer)["extra_content"] == SIGNATURE
    other = client.sent(answer, model="openai/gpt-5")
    assert other["tool_calls"] == [call()]
    assert "extra_content" not in other


def test_an_answer_without_other_keys_has_none(make: Callable[..., Any], sim: Simulator) -> None:
    """Nothing is added to the messages of models that sent nothing."""
    client = make()
    script(sim, client, {"content": "Hi", "tool_calls": [call(extra_content=None)]})
    answer = client.ask()
    assert client.sent(answer)["tool_calls"] == [call()]
    assert "extra" not in client.visible(answer)
    assert "requested_model" not in client.visible(answer)


@pytest.mark.parametrize("method", LangChain.methods)
def test_v1_content_has_the_other_keys_as_extras(sim: Simulator, method: str) -> None:
    """They go back from the blocks alone, too."""
    client = LangChain(sim, method, output_version="v1")
    script(sim, client, {"content": "Hi", "tool_calls": [call(extra_content=SIGNATURE)]})
    answer = client.ask()
    (block,) = (b for b in answer.content_blocks if b["type"] == "tool_call")
    assert block["extras"] == {"extra_content": SIGNATURE}
    for message in client.stored(answer):
        assert client.sent(message)["tool_calls"] == [call(extra_content=SIGNATURE)]
    rebuilt = AIMessage(
        content_blocks=answer.content_blocks, response_metadata=answer.response_metadata
    )
    assert client.sent(rebuilt)["tool_calls"] == [call(extra_content=SIGNATURE)]


# --- reasoning ---


@pytest.mark.parametrize(
    "reasoning",
    [
        {"reasoning": "Hm."},
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm.", "reasoning_content": "Hm."},
        {"reasoning_content": ""},
        {"reasoning_details": DETAILS},
        {"reasoning_content": "Hm.", "reasoning_details": DETAILS},
    ],
    ids=lambda reasoning: "+".join(reasoning) + ("" if all(reasoning.values()) else " empty"),
)
@pytest.mark.parametrize("content", [{"content": "Hi"}, {"tool_calls": [call()]}])
def test_reasoning_goes_back_under_its_own_key(
    make: Callable[..., Any], sim: Simulator, reasoning: dict[str, Any], content: dict[str, Any]
) -> None:
    """DeepSeek and Kimi read `reasoning_content`, and want an empty one back after a call."""
    client = make()
    script(sim, client, {**content, **reasoning})
    for message in client.stored(client.ask()):
        sent = client.sent(message)
        assert {k: v for k, v in sent.items() if k.startswith("reasoning")} == reasoning


def test_reasoning_beside_its_details_goes_back_once(
    make: Callable[..., Any], sim: Simulator
) -> None:
    """The details have the text of `reasoning`."""
    client = make()
    script(sim, client, {"content": "Hi", "reasoning": "Hm.", "reasoning_details": DETAILS})
    sent = client.sent(client.ask())
    assert sent == {"role": "assistant", "content": "Hi", "reasoning_details": DETAILS}


@pytest.mark.parametrize("nothing", [{"reasoning": ""}, {"reasoning_content": None}, {}])
def test_no_reasoning_does_not_go_back(
    make: Callable[..., Any], sim: Simulator, nothing: dict[str, Any]
) -> None:
    """Servers that always send the key do not get it back."""
    client = make()
    script(sim, client, {"content": "Hi", **nothing})
    assert client.sent(client.ask()) == {"role": "assistant", "content": "Hi"}


def test_an_empty_reasoning_is_not_visible(make: Callable[..., Any], sim: Simulator) -> None:
    """There is no block of it, and no text."""
    client = make()
    script(sim, client, {"content": "Hi", "reasoning_content": ""})
    answer = client.ask()
    if isinstance(answer, ChatMessage):
        assert not any(isinstance(block, ThinkingBlock) for block in answer.blocks)
    else:
        assert [block["type"] for block in answer.content_blocks] == ["text"]


def test_the_policy_never_holds_for_an_empty_reasoning(
    make: Callable[..., Any], sim: Simulator
) -> None:
    """Neither does it go to another model."""
    client = make()
    script(sim, client, {"content": "Hi", "reasoning_content": ""})
    answer = client.ask()
    assert client.sent(answer, model="openai/gpt-5") == {"role": "assistant", "content": "Hi"}
    client.llm.replay_reasoning = "never"
    assert client.sent(answer) == {"role": "assistant", "content": "Hi"}


# --- Mistral's thinking parts ---

THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}


@pytest.mark.parametrize(
    "content",
    [
        [THINKING, {"type": "text", "text": "Hi"}],
        [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hi"}],
        [{"type": "thinking", "thinking": []}, THINKING, {"type": "text", "text": "Hi"}],
    ],
)
def test_thinking_parts_are_reasoning(
    make: Callable[..., Any], sim: Simulator, content: list[Any]
) -> None:
    """They are no text; they go back as the API takes reasoning."""
    client = make()
    if client.is_stream:
        events = [chunk({"content": [part]}, model=MODEL) for part in content]
        sim.script(Script(events=[*events, chunk({}, finish_reason="stop", model=MODEL)]))
    else:
        script(sim, client, {"content": content})
    answer = client.ask()
    blocks = answer.blocks if isinstance(answer, ChatMessage) else answer.content_blocks
    assert "Hm." in str(blocks[0])
    expected = {"role": "assistant", "content": "Hi", "reasoning": "Hm."}
    assert client.sent(answer) == expected


def test_thinking_parts_in_a_history_are_dropped(sim: Simulator) -> None:
    """ChatMistralAI keeps them in the content; nobody knows whose they are."""
    client = LangChain(sim, "invoke")
    message = AIMessage([THINKING, {"type": "text", "text": "Hi"}])
    assert client.sent(message)["content"] == "Hi"


# --- by whom it was asked ---


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("moonshotai/kimi-k2-thinking", "Kimi-K2-Thinking"),
        ("z-ai/glm-4.6", "zai-org/GLM-4.6"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
        ("anthropic/claude-sonnet-4.5", "anthropic/claude-4.5-sonnet-20250929"),
        ("claude-3-5-sonnet@20240620", "anthropic/claude-sonnet-4.5"),
        ("openai/gpt-5", "some-deployment"),
        ("vendor/auto", "other/model"),
    ],
)
def test_the_spelling_of_the_served_model_does_not_matter(
    make: Callable[..., Any], sim: Simulator, asked: str, served: str
) -> None:
    """Reasoning and other keys go back to the model that was asked, and to no other."""
    message = {
        "content": "Hi",
        "reasoning_details": DETAILS,
        "tool_calls": [call(extra_content=SIGNATURE)],
    }
    client = make(model=asked)
    script(sim, client, message, served)
    for stored in client.stored(client.ask()):
        assert client.sent(stored)["reasoning_details"] == DETAILS
        assert client.sent(stored)["tool_calls"] == message["tool_calls"]
        other = client.sent(stored, model="other/thinker")
        assert "reasoning_details" not in other
        assert other["tool_calls"] == [call()]


def test_a_model_named_per_call_is_the_one_that_was_asked(
    make: Callable[..., Any], sim: Simulator
) -> None:
    """The reply is not that of the model in the constructor."""
    client = make(model="vendor/one")
    script(sim, client, {"content": "Hi", "reasoning_content": "Hm."}, "Two-2026")
    answer = client.ask(model="vendor/two")
    assert "reasoning_content" not in client.sent(answer)
    assert client.sent(answer, model="vendor/two")["reasoning_content"] == "Hm."


@pytest.mark.parametrize("is_per_call", [False, True])
@pytest.mark.parametrize("served", ["anthropic/claude-sonnet-4.5", "Claude-4-5-Sonnet-20250929"])
def test_a_reply_of_a_fallback_model_is_that_models(
    make: Callable[..., Any], sim: Simulator, served: str, *, is_per_call: bool
) -> None:
    """A fallback is found by its id, or by the upstream's spelling of it."""
    fallbacks = {"fallback_models": ["z-ai/glm-4.6", "anthropic/claude-sonnet-4.5"]}
    client = make(model="vendor/one", **({} if is_per_call else fallbacks))
    script(sim, client, {"content": "Hi", "reasoning_details": DETAILS}, served)
    answer = client.ask(**(fallbacks if is_per_call else {}))
    assert "reasoning_details" not in client.sent(answer)
    sent = client.sent(answer, model="anthropic/claude-sonnet-4.5")
    assert sent["reasoning_details"] == DETAILS


def test_a_reply_of_the_model_is_its_own_beside_fallbacks(
    make: Callable[..., Any], sim: Simulator
) -> None:
    """A fallback that the served id does not name did not answer."""
    client = make(model="openai/gpt-5", fallback_models=["openai/gpt-5-mini", "openai/gpt-4"])
    script(sim, client, {"content": "Hi", "reasoning_details": DETAILS}, "gpt-5-2025-08-07")
    answer = client.ask()
    assert client.sent(answer)["reasoning_details"] == DETAILS
    assert "reasoning_details" not in client.sent(answer, model="openai/gpt-5-mini")


def test_older_histories_are_compared_by_the_served_model(sim: Simulator) -> None:
    """Their messages do not have the requested id; its spelling may differ."""
    lang_chain, llama_index = LangChain(sim, "invoke"), LlamaIndex(sim, "chat")
    served = "claude-4-5-sonnet-20250929"
    metadata = {"model_provider": "onerouter", "model_name": served}
    kwargs = {"reasoning_details": DETAILS}
    old_message = AIMessage("Hi", additional_kwargs=kwargs, response_metadata=metadata)
    info = {"reasoning_details": DETAILS, "model": served}
    block = ThinkingBlock(content="Hm.", additional_information=info)
    old_chat_message = ChatMessage(role="assistant", blocks=[block])
    for client, message in ((lang_chain, old_message), (llama_index, old_chat_message)):
        sent = client.sent(message, model="anthropic/claude-sonnet-4.5")  # type: ignore[attr-defined]
        assert sent["reasoning_details"] == DETAILS
        sent = client.sent(message, model="anthropic/claude-sonnet-4")  # type: ignore[attr-defined]
        assert "reasoning_details" not in sent


# --- legacy function calls ---


def test_a_legacy_function_call_in_a_reply_is_a_tool_call(
    make: Callable[..., Any], sim: Simulator
) -> None:
    """It has an id, and in a stream its arguments come in fragments."""
    client = make()
    if client.is_stream:
        pieces = [{"name": "f", "arguments": ""}, {"arguments": '{"a":'}, {"arguments": " 1}"}]
        deltas = [{"role": "assistant", "content": None, "function_call": p} for p in pieces]
        events = [chunk(delta, model=MODEL) for delta in deltas]
        sim.script(Script(events=[*events, chunk({}, finish_reason="function_call", model=MODEL)]))
    else:
        script(sim, client, {"function_call": {"name": "f", "arguments": '{"a": 1}'}})
    (sent,) = client.sent(client.ask())["tool_calls"]
    assert sent["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert sent["id"]


def test_a_legacy_call_beside_tool_calls_is_one_call(
    make: Callable[..., Any], sim: Simulator
) -> None:
    """Some servers send both; a null is none."""
    client = make()
    legacy = {"name": "f", "arguments": "{}"}
    script(sim, client, {"tool_calls": [call()], "function_call": legacy})
    assert client.sent(client.ask())["tool_calls"] == [call()]
    script(sim, client, {"content": "Hi", "function_call": None, "tool_calls": []})
    assert client.sent(client.ask()) == {"role": "assistant", "content": "Hi"}


def test_a_legacy_function_call_in_a_history_of_llama_index(sim: Simulator) -> None:
    """The name of the function is the id of the call and of its result."""
    client = LlamaIndex(sim, "chat")
    legacy = {"name": "f", "arguments": '{"a": 1}'}
    history = [
        ChatMessage("x"),
        ChatMessage(role="assistant", content="", additional_kwargs={"function_call": legacy}),
        ChatMessage("6", role="function", additional_kwargs={"name": "f"}),
    ]
    before = deepcopy(history)
    _, asked, result = client.llm.preview(history)["messages"]
    (sent,) = asked["tool_calls"]
    assert sent["function"] == legacy
    assert result == {"role": "tool", "tool_call_id": sent["id"], "content": "6"}
    assert history == before
