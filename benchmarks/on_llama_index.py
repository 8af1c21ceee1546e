"""Targets on LlamaIndex: OneRouterLLM, the comparable class that may be installed, a no-op model.

The no-op models yield responses and do nothing else, so their cost is LlamaIndex's own: one
constructs each response, the other has made them before.
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
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import FunctionTool

from benchmarks.baselines import Target
from benchmarks.payloads import API_KEY, MODEL, CallSpec, tool_functions
from llama_index_onerouter import OneRouterLLM

ModelFactory = Callable[[CallSpec], FunctionCallingLLM]


def create_targets(server_url: str) -> dict[str, Target]:
    """Return the targets by name."""

    def make_onerouter(spec: CallSpec) -> OneRouterLLM:
        return OneRouterLLM(model=MODEL, api_key=API_KEY, base_url=server_url + spec.path)

    targets: dict[str, Target] = {
        "LlamaIndex no-op model": LlamaIndexTarget(lambda spec: NoOpLLM(spec=spec)),
        "LlamaIndex no-op model, ready-made chunks": LlamaIndexTarget(
            lambda spec: ReadyMadeLLM(spec=spec)
        ),
        "OneRouterLLM": LlamaIndexTarget(make_onerouter),
        "OneRouterLLM, tool calls parsed": ToolCallParsingTarget(make_onerouter),
    }
    for name, peer in peer_classes().items():

        def make_peer(spec: CallSpec, peer: Any = peer) -> FunctionCallingLLM:
            flags = {"is_chat_model": True, "is_function_calling_model": True}
            return peer(model=MODEL, api_key=API_KEY, api_base=server_url + spec.path, **flags)

        targets[name] = LlamaIndexTarget(make_peer)
        targets[f"{name}, tool calls parsed"] = ToolCallParsingTarget(make_peer)
    return targets


def peer_classes() -> dict[str, type[FunctionCallingLLM]]:
    """Return OpenAILike by name, if it is installed; LlamaIndex's OpenRouter is a subclass."""
    try:
        from llama_index.llms.openai_like import (  # noqa: PLC0415 -- not in every environment
            OpenAILike,
        )
    except ImportError:
        return {}
    return {"OpenAILike": OpenAILike}


class LlamaIndexTarget:
    """A LlamaIndex LLM, called through its public methods."""

    def __init__(self, make_model: ModelFactory) -> None:
        self.make_model = make_model
        self._prepared: dict[CallSpec, tuple[Any, dict[str, Any]]] = {}

    def _prepare(self, spec: CallSpec) -> tuple[Any, dict[str, Any]]:
        """Return the model and the arguments of a call, made once; tools change the names."""
        if spec not in self._prepared:
            messages = [
                ChatMessage(role=message["role"], content=message["content"])
                for message in spec.messages()
            ]
            functions = tool_functions(spec.tool_count)
            tools = [FunctionTool.from_defaults(function) for function in functions]
            with_tools = {"tools": tools, "chat_history": messages}
            arguments = with_tools if tools else {"messages": messages}
            self._prepared[spec] = self.make_model(spec), arguments
        return self._prepared[spec]

    def stream(self, spec: CallSpec) -> Iterator[Any]:
        """Return the responses."""
        llm, arguments = self._prepare(spec)
        method = llm.stream_chat_with_tools if spec.tool_count else llm.stream_chat
        return method(**arguments)

    async def astream(self, spec: CallSpec) -> AsyncIterator[Any]:
        """Return the responses."""
        llm, arguments = self._prepare(spec)
        method = llm.astream_chat_with_tools if spec.tool_count else llm.astream_chat
        return await method(**arguments)

    def call(self, spec: CallSpec) -> Any:
        """Return the response."""
        llm, arguments = self._prepare(spec)
        method = llm.chat_with_tools if spec.tool_count else llm.chat
        return method(**arguments)

    async def acall(self, spec: CallSpec) -> Any:
        """Return the response."""
        llm, arguments = self._prepare(spec)
        method = llm.achat_with_tools if spec.tool_count else llm.achat
        return await method(**arguments)

    def call_model(self, model: FunctionCallingLLM) -> Any:
        """Make one short call with an instance of the model."""
        return model.complete("hi")

    def text(self, item: Any) -> str:
        """Return the text that a response adds."""
        return item.delta or ""


class ToolCallParsingTarget(LlamaIndexTarget):
    """The same with the tool calls of each response parsed, as FunctionAgent does."""

    def stream(self, spec: CallSpec) -> Iterator[Any]:
        """Yield the tool calls so far."""
        llm, _ = self._prepare(spec)
        for response in super().stream(spec):
            yield llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)


class NoOpLLM(FunctionCallingLLM):
    """An LLM that constructs each response."""

    spec: CallSpec

    @property
    def metadata(self) -> LLMMetadata:
        """Metadata of a model that calls functions."""
        return LLMMetadata(is_function_calling_model=True)

    @llm_chat_callback()
    def chat(self, messages: Any, **_: Any) -> ChatResponse:  # noqa: ARG002 -- LlamaIndex's name
        """Return a message."""
        return ChatResponse(message=ChatMessage(" word" * self.spec.size, role="assistant"))

    @llm_chat_callback()
    async def achat(self, messages: Any, **_: Any) -> ChatResponse:  # noqa: ARG002 -- LlamaIndex's name
        """Return a message."""
        return ChatResponse(message=ChatMessage(" word" * self.spec.size, role="assistant"))

    @llm_chat_callback()
    def stream_chat(self, messages: Any, **_: Any) -> Any:  # noqa: ARG002 -- LlamaIndex's name
        """Return the accumulated message after each delta."""
        return self._responses()

    @llm_chat_callback()
    async def astream_chat(self, messages: Any, **_: Any) -> Any:  # noqa: ARG002 -- LlamaIndex's name
        """Return the accumulated message after each delta."""

        async def responses() -> AsyncIterator[ChatResponse]:
            for response in self._responses():
                yield response

        return responses()

    def _responses(self) -> Iterator[ChatResponse]:
        text = ""
        for _ in range(self.spec.size):
            text += " word"
            message = ChatMessage(role="assistant", blocks=[self._block(text)])
            yield ChatResponse(message=message, delta=" word")

    def _block(self, text: str) -> Any:
        match self.spec.kind:
            case "tool":
                return ToolCallBlock(tool_name="look_up_0", tool_kwargs=text)
            case "reasoning":
                return ThinkingBlock(content=text)
            case _:
                return TextBlock(text=text)

    def _prepare_chat_with_tools(self, tools: Any, **arguments: Any) -> dict[str, Any]:  # noqa: ARG002 -- LlamaIndex's name
        return {"messages": arguments["chat_history"]}

    def complete(self, *_: Any, **__: Any) -> Any:
        """Raise NotImplementedError: this method is not measured."""
        raise NotImplementedError

    stream_complete = acomplete = astream_complete = complete


class ReadyMadeLLM(NoOpLLM):
    """An LLM that has made its responses before."""

    _ready_made: list[ChatResponse] = PrivateAttr(default_factory=list)

    def _responses(self) -> Iterator[ChatResponse]:
        if not self._ready_made:
            self._ready_made.extend(super()._responses())
        yield from self._ready_made
