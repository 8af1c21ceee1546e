"""Both classes in every mode: whole and streamed, sync and async, on the same scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import reduce
from inspect import isawaitable
from operator import add
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, MessageRole

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, completion

LANGCHAIN = ("invoke", "ainvoke", "stream", "astream")
LLAMA_INDEX = ("chat", "achat", "stream_chat", "astream_chat")
METHODS = (*LANGCHAIN, *LLAMA_INDEX)

Json = dict[str, Any]


def script(method: str, message: Json, finish: str | None = "stop", **root: Any) -> Script:
    """Return the script of one answer, as a stream with a delta for it or as a whole."""
    native = {"native_finish_reason": root.pop("native_finish_reason", None)}
    if "stream" not in method:
        body = completion(message=message, finish_reason=finish, **root)
        body["choices"][0] |= native
        return Script(json=body)
    calls = [{"index": n, **call} for n, call in enumerate(message.get("tool_calls") or ())]
    first = chunk({**message, **({"tool_calls": calls} if calls else {})})
    last = chunk({}, finish_reason=finish, **root)
    last["choices"][0] |= native
    return Script(events=[first, last])


def call(arguments: Any, name: str = "save", call_id: str = "c1") -> Json:
    """Return a tool call of the wire."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def model(sim: Simulator, method: str, **fields: Any) -> Any:
    """Return the model whose method this is."""
    kind: Any = ChatOneRouter if method in LANGCHAIN else OneRouterLLM
    connection = {"base_url": sim.base_url, "api_key": sim.api_key, "max_retries": 0}
    return kind(**{"model": "vendor/model", **connection, **fields})


def ask(llm: Any, method: str, history: Sequence[Any] | None = None) -> Any:
    """Return the message of ChatOneRouter, or the last response of OneRouterLLM."""
    return asyncio.run(_ask(llm, method, history or [question(method)]))


async def _ask(llm: Any, method: str, history: Sequence[Any]) -> Any:
    result = getattr(llm, method)(list(history))
    result = await result if isawaitable(result) else result
    if "stream" not in method:
        return result
    items = [item async for item in result] if method.startswith("a") else list(result)
    return reduce(add, items) if method in LANGCHAIN else items[-1]


def question(method: str) -> Any:
    """Return the message of a user."""
    return HumanMessage("Hi") if method in LANGCHAIN else ChatMessage("Hi")


def message_of(answer: Any) -> Any:
    """Return the message of an answer."""
    return answer if isinstance(answer, BaseMessage) else answer.message


def text_of(answer: Any) -> str:
    """Return the text of an answer."""
    return str(answer.text) if isinstance(answer, BaseMessage) else answer.message.content or ""


def tool_result(method: str, call_id: str = "c1") -> Any:
    """Return the result of a call."""
    if method in LANGCHAIN:
        return ToolMessage("Saved.", tool_call_id=call_id)
    kwargs = {"tool_call_id": call_id}
    return ChatMessage("Saved.", role=MessageRole.TOOL, additional_kwargs=kwargs)


def valid_calls(llm: Any, answer: Any) -> list[Json]:
    """Return the arguments of the calls that an agent runs."""
    if isinstance(answer, AIMessage):
        return [dict(item["args"]) for item in answer.tool_calls]
    selections = llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
    return [item.tool_kwargs for item in selections if "not run" not in item.tool_name]


def invalid_reasons(llm: Any, answer: Any) -> list[str]:
    """Return why calls are not run."""
    if isinstance(answer, AIMessage):
        return [str(item["error"]) for item in answer.invalid_tool_calls]
    selections = llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
    return [item.tool_name for item in selections if "not run" in item.tool_name]


def sent_back(sim: Simulator, llm: Any, method: str, answer: Any) -> Json:
    """Send the answer back with a result; return the message as the server received it."""
    sim.clear()
    sim.script(script(method, {"content": "Fine."}))
    ask(llm, method, [question(method), message_of(answer), tool_result(method)])
    messages = sim.requests[-1].body["messages"]
    return next(item for item in messages if item["role"] == "assistant")
