"""What `as_structured_llm` returns: a model whose every answer is an object.

This module knows StructuredLLM, and that the model inside can be asked for objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    MessageRole,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.structured_llm import StructuredLLM

from llama_index_onerouter.replies import ato_completions, to_completion, to_completions
from llama_index_onerouter.tracing import traced_endpoint

if TYPE_CHECKING:
    from llama_index_onerouter.structured_output import StructuredPrediction


class StructuredOneRouterLLM(StructuredLLM):
    """A model whose answers are objects of one class, and carry the usage of the call."""

    def to_payload(self) -> dict[str, Any]:
        """Return what traces show: the model inside, which knows what is secret."""
        return {**self._model.to_payload(), "class_name": self.class_name()}

    @property
    def _model(self) -> StructuredPrediction:
        return cast("StructuredPrediction", self.llm)

    @traced_endpoint(llm_chat_callback())
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return a response whose `raw` is the object and whose content is its JSON."""
        return self._model.structured_chat(self.output_cls, messages, **kwargs)

    @traced_endpoint(llm_chat_callback())
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return a response whose `raw` is the object and whose content is its JSON."""
        return await self._model.astructured_chat(self.output_cls, messages, **kwargs)

    @traced_endpoint(llm_chat_callback())
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Yield the object as it grows."""
        return self._model.stream_structured_chat(self.output_cls, messages, **kwargs)

    @traced_endpoint(llm_chat_callback())
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Yield the object as it grows."""
        return await self._model.astream_structured_chat(self.output_cls, messages, **kwargs)

    @traced_endpoint(llm_completion_callback())
    def complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 -- LlamaIndex passes it
        **kwargs: Any,
    ) -> CompletionResponse:
        """Return a completion whose `raw` is the object and whose text is its JSON."""
        messages = _prompt_messages(prompt)
        return to_completion(self._model.structured_chat(self.output_cls, messages, **kwargs))

    @traced_endpoint(llm_completion_callback())
    async def acomplete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 -- LlamaIndex passes it
        **kwargs: Any,
    ) -> CompletionResponse:
        """Return a completion whose `raw` is the object and whose text is its JSON."""
        model, messages = self._model, _prompt_messages(prompt)
        return to_completion(await model.astructured_chat(self.output_cls, messages, **kwargs))

    @traced_endpoint(llm_completion_callback())
    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 -- LlamaIndex passes it
        **kwargs: Any,
    ) -> CompletionResponseGen:
        """Yield the object's JSON as it grows; `raw` is the object."""
        responses = self._model.stream_structured_chat(
            self.output_cls, _prompt_messages(prompt), **kwargs
        )
        return to_completions(responses)

    @traced_endpoint(llm_completion_callback())
    async def astream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 -- LlamaIndex passes it
        **kwargs: Any,
    ) -> CompletionResponseAsyncGen:
        """Yield the object's JSON as it grows; `raw` is the object."""
        model, messages = self._model, _prompt_messages(prompt)
        responses = await model.astream_structured_chat(self.output_cls, messages, **kwargs)
        return ato_completions(responses)


def _prompt_messages(prompt: str) -> list[ChatMessage]:
    return [ChatMessage(prompt, role=MessageRole.USER)]
