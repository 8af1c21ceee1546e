"""Targets on LlamaIndex: ours, the peers that are installed, and the floor.

The floor is a model class that yields ready-made responses and does nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    LLMMetadata,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import FunctionTool

from benchmarks.baselines import Target
from benchmarks.payloads import KEY, MODEL, Ask, functions
from llama_index_onerouter import OneRouterLLM

Make = Callable[[Ask], FunctionCallingLLM]


def targets(root: str) -> dict[str, Target]:
    """Return the targets by name."""

    def ours(ask: Ask) -> OneRouterLLM:
        return OneRouterLLM(model=MODEL, api_key=KEY, base_url=root + ask.path)

    every: dict[str, Target] = {
        "LlamaIndex's floor": LlamaIndex(lambda ask: Floor(ask=ask)),
        "OneRouterLLM": LlamaIndex(ours),
        "OneRouterLLM, read by an agent": ReadByAgent(ours),
    }
    for name, kind in peers().items():

        def theirs(ask: Ask, kind: Any = kind) -> FunctionCallingLLM:
            flags = {"is_chat_model": True, "is_function_calling_model": True}
            return kind(model=MODEL, api_key=KEY, api_base=root + ask.path, **flags)

        every[name] = LlamaIndex(theirs)
        every[f"{name}, read by an agent"] = ReadByAgent(theirs)
    return every


def peers() -> dict[str, type[FunctionCallingLLM]]:
    """Return the peers' classes, if installed; LlamaIndex's OpenRouter is an OpenAILike."""
    try:
        from llama_index.llms.openai_like import OpenAILike  # noqa: PLC0415 -- not everywhere
    except ImportError:
        return {}
    return {"OpenAILike": OpenAILike}


class LlamaIndex:
    """An LLM, used as its users do."""

    def __init__(self, make: Make) -> None:
        self.make = make
        self._known: dict[Ask, tuple[Any, dict[str, Any]]] = {}

    def _ready(self, ask: Ask) -> tuple[Any, dict[str, Any]]:
        """Return the model, and the keywords for what is asked; with tools the names differ."""
        if ask not in self._known:
            messages = [ChatMessage(role=m["role"], content=m["content"]) for m in ask.messages()]
            tools = [FunctionTool.from_defaults(function) for function in functions(ask.tools)]
            asked = {"tools": tools, "chat_history": messages} if tools else {"messages": messages}
            self._known[ask] = self.make(ask), asked
        return self._known[ask]

    def stream(self, ask: Ask) -> Iterator[Any]:
        """Return the responses."""
        llm, asked = self._ready(ask)
        return llm.stream_chat_with_tools(**asked) if ask.tools else llm.stream_chat(**asked)

    async def astream(self, ask: Ask) -> AsyncIterator[Any]:
        """Return the responses."""
        llm, asked = self._ready(ask)
        method = llm.astream_chat_with_tools if ask.tools else llm.astream_chat
        return await method(**asked)

    def call(self, ask: Ask) -> Any:
        """Return the response."""
        llm, asked = self._ready(ask)
        return llm.chat_with_tools(**asked) if ask.tools else llm.chat(**asked)

    async def acall(self, ask: Ask) -> Any:
        """Return the response."""
        llm, asked = self._ready(ask)
        return await (llm.achat_with_tools(**asked) if ask.tools else llm.achat(**asked))

    def ask_once(self, model: FunctionCallingLLM) -> Any:
        """Return what an instance answers."""
        return model.complete("hi")

    def text(self, item: Any) -> str:
        """Return the words of a response."""
        return item.delta or ""


class ReadByAgent(LlamaIndex):
    """The same, and each response read as FunctionAgent reads it."""

    def stream(self, ask: Ask) -> Iterator[Any]:
        """Yield the tool calls so far."""
        llm, _ = self._ready(ask)
        for response in super().stream(ask):
            yield llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)


class Floor(FunctionCallingLLM):
    """Answers with what is ready."""

    ask: Ask

    @property
    def metadata(self) -> LLMMetadata:
        """Say nothing in particular."""
        return LLMMetadata(is_function_calling_model=True)

    @llm_chat_callback()
    def chat(self, messages: Any, **_: Any) -> ChatResponse:  # noqa: ARG002 -- LlamaIndex's name
        """Return a message."""
        return ChatResponse(message=ChatMessage(" word" * self.ask.size, role="assistant"))

    @llm_chat_callback()
    async def achat(self, messages: Any, **_: Any) -> ChatResponse:  # noqa: ARG002 -- likewise
        """Return a message."""
        return ChatResponse(message=ChatMessage(" word" * self.ask.size, role="assistant"))

    @llm_chat_callback()
    def stream_chat(self, messages: Any, **_: Any) -> Any:  # noqa: ARG002 -- likewise
        """Return a growing message."""
        return self._grow()

    @llm_chat_callback()
    async def astream_chat(self, messages: Any, **_: Any) -> Any:  # noqa: ARG002 -- likewise
        """Return a growing message."""

        async def grow() -> AsyncIterator[ChatResponse]:
            for response in self._grow():
                yield response

        return grow()

    def _grow(self) -> Iterator[ChatResponse]:
        text = ""
        for _ in range(self.ask.size):
            text += " word"
            message = ChatMessage(role="assistant", blocks=[self._block(text)])
            yield ChatResponse(message=message, delta=" word")

    def _block(self, text: str) -> Any:
        match self.ask.kind:
            case "tool":
                return ToolCallBlock(tool_name="look_up_0", tool_kwargs=text)
            case "reasoning":
                return ThinkingBlock(content=text)
            case _:
                return TextBlock(text=text)

    def _prepare_chat_with_tools(self, tools: Any, **asked: Any) -> dict[str, Any]:  # noqa: ARG002
        return {"messages": asked["chat_history"]}

    def complete(self, *_: Any, **__: Any) -> Any:
        """Not measured."""
        raise NotImplementedError

    stream_complete = acomplete = astream_complete = complete
