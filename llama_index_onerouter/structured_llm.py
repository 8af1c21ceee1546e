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
)
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.structured_llm import StructuredLLM

if TYPE_CHECKING:
    from llama_index_onerouter.structured_output import StructuredPrediction


class StructuredOneRouterLLM(StructuredLLM):
    """A model whose answers are objects of one class, and carry the usage of the call."""

    @property
    def _model(self) -> StructuredPrediction:
        return cast("StructuredPrediction", self.llm)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return a response whose `raw` is the object and whose content is its JSON."""
        return self._model.structured_chat(self.output_cls, messages, **kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return a response whose `raw` is the object and whose content is its JSON."""
        return await self._model.astructured_chat(self.output_cls, messages, **kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Yield the object as it grows."""
        return self._model.stream_structured_chat(self.output_cls, messages, **kwargs)

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Yield the object as it grows."""
        return await self._model.astream_structured_chat(self.output_cls, messages, **kwargs)
