"""StructuredOneRouterLLM: the model that `as_structured_llm` returns; its answers are objects.

This module knows StructuredLLM and the structured chat methods of the inner model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from llama_index.core.llms.structured_llm import StructuredLLM

from llama_index_onerouter.replies import ato_completions, to_completion, to_completions
from llama_index_onerouter.tracing import traced_endpoint
from onerouter_core import OneRouterError


class StructuredOneRouterLLM(StructuredLLM):
    """A OneRouterLLM whose answers are objects of one pydantic class.

    >>> OneRouterLLM(model="deepseek/deepseek-v4-flash").as_structured_llm(Song).complete("Hi").raw

    Fields:
        llm: The OneRouterLLM that sends the requests.
        output_cls: Pydantic class of the answers.

    In every response `raw` is the object and the content is its JSON; reasoning is a ThinkingBlock
    before it. `additional_kwargs` has the token counts, cost (USD) and ids of the call, as those of
    OneRouterLLM do, and the JSON body in `raw`. In traces and callback handlers the request of the
    inner model is the only LLM event, so that its tokens are counted once. The methods take the
    same arguments and raise the same errors as the structured chat methods of OneRouterLLM.
    """

    def to_payload(self) -> dict[str, Any]:
        """Return the model settings for traces: those of the inner model, without secrets."""
        return {**self._model.to_payload(), "class_name": self.class_name()}

    @property
    def _model(self) -> Any:  # the StructuredPrediction, whose module imports this one
        return self.llm

    def _redact_error(self, error: OneRouterError) -> OneRouterError:
        redacted: OneRouterError = self._model._redact_error(error)  # noqa: SLF001 -- as private
        return redacted

    @traced_endpoint()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Send a chat request and return the object; as `structured_chat` of the inner model."""
        result: ChatResponse = self._model.structured_chat(self.output_cls, messages, **kwargs)
        return result

    @traced_endpoint()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Send a chat request and return the object; the async form of `chat`."""
        result: ChatResponse = await self._model.astructured_chat(
            self.output_cls, messages, **kwargs
        )
        return result

    @traced_endpoint()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Yield the object so far; as `stream_structured_chat` of the inner model."""
        result: ChatResponseGen = self._model.stream_structured_chat(
            self.output_cls, messages, **kwargs
        )
        return result

    @traced_endpoint()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Yield the object so far; the async form of `stream_chat`."""
        result: ChatResponseAsyncGen = await self._model.astream_structured_chat(
            self.output_cls, messages, **kwargs
        )
        return result

    @traced_endpoint()
    def complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 -- a parameter of LlamaIndex's base class
        **kwargs: Any,
    ) -> CompletionResponse:
        """Send a prompt as one user message and return the object.

        Args:
            prompt: The text of the message.
            formatted: Ignored: the prompt is never formatted.
            **kwargs: Options of this call, as for `chat`.

        Returns:
            A completion whose `raw` is the object and whose text is its JSON.

        Raises:
            OneRouterError: See the class.
        """
        messages = _prompt_messages(prompt)
        return to_completion(self._model.structured_chat(self.output_cls, messages, **kwargs))

    @traced_endpoint()
    async def acomplete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 -- a parameter of LlamaIndex's base class
        **kwargs: Any,
    ) -> CompletionResponse:
        """Send a prompt and return the object; the async form of `complete`."""
        model, messages = self._model, _prompt_messages(prompt)
        return to_completion(await model.astructured_chat(self.output_cls, messages, **kwargs))

    @traced_endpoint()
    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 -- a parameter of LlamaIndex's base class
        **kwargs: Any,
    ) -> CompletionResponseGen:
        """Send a prompt and yield the object so far.

        Arguments are those of `complete`, errors those of `stream_chat`. `raw` of a completion is
        the incomplete object, of the last one a valid `output_cls`; `text` is its JSON.
        """
        responses = self._model.stream_structured_chat(
            self.output_cls, _prompt_messages(prompt), **kwargs
        )
        return to_completions(responses)

    @traced_endpoint()
    async def astream_complete(  # pyright: ignore[reportIncompatibleMethodOverride] -- StructuredLLM's annotation is the sync type
        self,
        prompt: str,
        formatted: bool = False,  # noqa: ARG002 -- a parameter of LlamaIndex's base class
        **kwargs: Any,
    ) -> CompletionResponseAsyncGen:
        """Send a prompt and yield the object so far; the async form of `stream_complete`."""
        model, messages = self._model, _prompt_messages(prompt)
        responses = await model.astream_structured_chat(self.output_cls, messages, **kwargs)
        return ato_completions(responses)


def _prompt_messages(prompt: str) -> list[ChatMessage]:
    return [ChatMessage(prompt, role=MessageRole.USER)]
