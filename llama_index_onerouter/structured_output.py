"""Structured prediction: an object of the caller's class, or an error that says why there is none.

This module knows which way a model is asked for an object, and what LlamaIndex calls to ask. It
asks through `chat` and `stream_chat`, so that handlers see the tokens; it knows nothing below.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, Literal, TypeVar, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    MessageRole,
)
from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import dispatcher
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import Model, PydanticProgramMode
from pydantic import BaseModel, Field, PrivateAttr

from llama_index_onerouter.structured_llm import StructuredOneRouterLLM
from llama_index_onerouter.tracing import endpoint, of_prediction, veiled
from llama_index_onerouter.wanted import Mode, Wanted
from onerouter_core.errors import MalformedReplyError, OneRouterError, says_unsupported

Answer = TypeVar("Answer")

# What a model is asked next that cannot be asked this way.
_LOWER: dict[Mode, Mode] = {"json_schema": "function", "function": "json_object"}


class StructuredPrediction(FunctionCallingLLM):
    """A chat model that answers with objects."""

    structured_output_mode: Literal["auto", "json_schema", "function", "json_object"] = Field(
        default="auto",
        description="How objects are asked for; auto finds out what the model can do.",
    )
    structured_output_retries: int = Field(
        default=0,
        ge=0,
        description="How often an invalid object is asked for anew; each is billed.",
    )
    _modes: dict[str, Mode] = PrivateAttr(default_factory=dict)  # what each model last took

    # --- what LlamaIndex calls ---

    @endpoint(mask=of_prediction)
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return an object of the class; raise OneRouterError."""
        if self._asks_by_program():
            program = super().structured_predict
            return cast("Model", program(output_cls, prompt, llm_kwargs, **prompt_args))
        dispatcher.event(_started(output_cls, prompt, prompt_args))
        messages = prompt.format_messages(llm=self, **prompt_args)
        found = self.structured_chat(output_cls, messages, **(llm_kwargs or {})).raw
        dispatcher.event(LLMStructuredPredictEndEvent(output=found))
        return cast("Model", found)

    @endpoint(mask=of_prediction)
    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return an object of the class; raise OneRouterError."""
        if self._asks_by_program():
            program = super().astructured_predict
            return cast("Model", await program(output_cls, prompt, llm_kwargs, **prompt_args))
        dispatcher.event(_started(output_cls, prompt, prompt_args))
        messages = prompt.format_messages(llm=self, **prompt_args)
        found = (await self.astructured_chat(output_cls, messages, **(llm_kwargs or {}))).raw
        dispatcher.event(LLMStructuredPredictEndEvent(output=found))
        return cast("Model", found)

    @veiled(of_prediction)
    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        """Yield the object as it grows; the last one is valid and whole. Raise OneRouterError."""
        return super().stream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)

    @veiled(of_prediction)
    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        """Yield the object as it grows; the last one is valid and whole. Raise OneRouterError."""
        program = super().astream_structured_predict
        return await program(output_cls, prompt, llm_kwargs, **prompt_args)

    def _structured_stream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        if self._asks_by_program():
            return super()._structured_stream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        messages = prompt.format_messages(llm=self, **prompt_args)
        return _objects(self.stream_structured_chat(output_cls, messages, **(llm_kwargs or {})))

    async def _structured_astream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        if self._asks_by_program():
            program = super()._structured_astream_call
            return await program(output_cls, prompt, llm_kwargs, **prompt_args)
        messages = prompt.format_messages(llm=self, **prompt_args)
        responses = await self.astream_structured_chat(output_cls, messages, **(llm_kwargs or {}))
        return _aobjects(responses)

    def as_structured_llm(
        self, output_cls: type[BaseModel], **kwargs: Any
    ) -> StructuredOneRouterLLM:
        """Return this model as one that always answers with an object of the class."""
        return StructuredOneRouterLLM(llm=self, output_cls=output_cls, **kwargs)

    # --- the same for messages, with the response around the object ---

    def structured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        """Return a response whose `raw` is the object; raise OneRouterError."""
        wanted, turns = Wanted(output_cls), self._extend_messages(list(messages))
        return self._whole(wanted, turns, kwargs, self.structured_output_retries)

    async def astructured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        """Return a response whose `raw` is the object; raise OneRouterError."""
        wanted, turns = Wanted(output_cls), self._extend_messages(list(messages))
        return await self._awhole(wanted, turns, kwargs, self.structured_output_retries)

    def stream_structured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseGen:
        """Yield responses whose `raw` is the object so far; the last one's is valid and whole."""
        wanted, turns = Wanted(output_cls), self._extend_messages(list(messages))
        responses = self._asked(self.stream_chat, wanted, turns, kwargs)
        return _growing(wanted, responses)

    async def astream_structured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Yield responses whose `raw` is the object so far; the last one's is valid and whole."""
        wanted, turns = Wanted(output_cls), self._extend_messages(list(messages))
        responses = await self._aasked(self.astream_chat, wanted, turns, kwargs)
        return _agrowing(wanted, responses)

    def _whole(
        self, wanted: Wanted, messages: list[ChatMessage], given: Mapping[str, Any], left: int
    ) -> ChatResponse:
        """Ask, and while any retries are left ask again for what is not valid."""
        response = self._asked(self.chat, wanted, messages, given)
        try:
            return _around(wanted.read(response), response)
        except MalformedReplyError as error:
            if not left:
                raise
            messages = wanted.once_more(messages, response, error)
        return self._whole(wanted, messages, given, left - 1)

    async def _awhole(
        self, wanted: Wanted, messages: list[ChatMessage], given: Mapping[str, Any], left: int
    ) -> ChatResponse:
        response = await self._aasked(self.achat, wanted, messages, given)
        try:
            return _around(wanted.read(response), response)
        except MalformedReplyError as error:
            if not left:
                raise
            messages = wanted.once_more(messages, response, error)
        return await self._awhole(wanted, messages, given, left - 1)

    # --- which way to ask ---

    def _asks_by_program(self) -> bool:
        """Tell whether the user chose one of LlamaIndex's own programs, such as text and parse."""
        ours = (PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION)
        return self.pydantic_program_mode not in ours

    def _asked(
        self,
        chat: Callable[..., Answer],
        wanted: Wanted,
        messages: list[ChatMessage],
        given: Mapping[str, Any],
    ) -> Answer:
        mode = self._mode(given)
        while True:
            try:
                answer = chat(**wanted.question(mode, messages, given))
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                mode = self._lower(mode, error)
            else:
                self._modes[self._model(given)] = mode
                return answer

    async def _aasked(
        self,
        chat: Callable[..., Awaitable[Answer]],
        wanted: Wanted,
        messages: list[ChatMessage],
        given: Mapping[str, Any],
    ) -> Answer:
        mode = self._mode(given)
        while True:
            try:
                answer = await chat(**wanted.question(mode, messages, given))
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                mode = self._lower(mode, error)
            else:
                self._modes[self._model(given)] = mode
                return answer

    def _mode(self, given: Mapping[str, Any]) -> Mode:
        chosen = self._chosen_mode()
        return self._modes.get(self._model(given), "json_schema") if chosen is None else chosen

    def _chosen_mode(self) -> Mode | None:
        if self.pydantic_program_mode is PydanticProgramMode.FUNCTION:
            return "function"
        return None if self.structured_output_mode == "auto" else self.structured_output_mode

    def _lower(self, mode: Mode, error: OneRouterError) -> Mode:
        """Return the next lower mode; raise the error if that would not help."""
        by_itself = self._chosen_mode() is None
        if not by_itself or mode not in _LOWER or not says_unsupported(error):
            raise error
        return _LOWER[mode]

    def _model(self, given: Mapping[str, Any]) -> str:
        return str(given.get("model") or self.metadata.model_name)


# --- responses around objects ---


def _around(found: BaseModel, response: ChatResponse, delta: str | None = None) -> ChatResponse:
    """Return the object as a response that has the model's usage."""
    spelled = found.model_dump_json(fallback=str)  # of a class that cannot be spelled, its words
    return ChatResponse(
        message=ChatMessage(spelled, role=MessageRole.ASSISTANT),
        raw=found,
        delta=delta,
        additional_kwargs=response.additional_kwargs,
    )


def _growing(wanted: Wanted, responses: ChatResponseGen) -> ChatResponseGen:
    with closing(responses):
        for response in responses:
            if (so_far := wanted.read_growing(response)) is not None:
                yield _around(so_far, response, wanted.written_since(response))
    yield _around(wanted.read(response), response, wanted.written_since(response))


async def _agrowing(wanted: Wanted, responses: ChatResponseAsyncGen) -> ChatResponseAsyncGen:
    async with aclosing(responses):
        async for response in responses:
            if (so_far := wanted.read_growing(response)) is not None:
                yield _around(so_far, response, wanted.written_since(response))
    yield _around(wanted.read(response), response, wanted.written_since(response))


def _objects(responses: ChatResponseGen) -> Generator[Any, None, None]:
    with closing(responses):
        for response in responses:
            yield response.raw


async def _aobjects(responses: ChatResponseAsyncGen) -> AsyncGenerator[Any, None]:
    async with aclosing(responses):
        async for response in responses:
            yield response.raw


def _started(
    output_cls: type[BaseModel], prompt: PromptTemplate, prompt_args: dict[str, Any]
) -> LLMStructuredPredictStartEvent:
    return LLMStructuredPredictStartEvent(
        output_cls=output_cls, template=prompt, template_args=prompt_args
    )
