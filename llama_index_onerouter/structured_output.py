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

from llama_index_onerouter.output_request import OutputRequest, StructuredMethod
from llama_index_onerouter.structured_llm import StructuredOneRouterLLM
from llama_index_onerouter.tracing import mask_prediction, redacted_endpoint, traced_endpoint
from onerouter_core.errors import MalformedReplyError, OneRouterError, is_unsupported_feature

Answer = TypeVar("Answer")

# What a model is asked next that cannot be asked this way.
FALLBACK_ORDER: dict[StructuredMethod, StructuredMethod] = {
    "json_schema": "function",
    "function": "json_object",
}


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
    _method_by_model: dict[str, StructuredMethod] = PrivateAttr(
        default_factory=dict
    )  # what each model last took

    # --- what LlamaIndex calls ---

    @traced_endpoint(mask=mask_prediction)
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return an object of the class; raise OneRouterError."""
        if self._uses_llama_index_program():
            program = super().structured_predict
            return cast("Model", program(output_cls, prompt, llm_kwargs, **prompt_args))
        dispatcher.event(_start_event(output_cls, prompt, prompt_args))
        messages = prompt.format_messages(llm=self, **prompt_args)
        output = self.structured_chat(output_cls, messages, **(llm_kwargs or {})).raw
        dispatcher.event(LLMStructuredPredictEndEvent(output=output))
        return cast("Model", output)

    @traced_endpoint(mask=mask_prediction)
    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return an object of the class; raise OneRouterError."""
        if self._uses_llama_index_program():
            program = super().astructured_predict
            return cast("Model", await program(output_cls, prompt, llm_kwargs, **prompt_args))
        dispatcher.event(_start_event(output_cls, prompt, prompt_args))
        messages = prompt.format_messages(llm=self, **prompt_args)
        output = (await self.astructured_chat(output_cls, messages, **(llm_kwargs or {}))).raw
        dispatcher.event(LLMStructuredPredictEndEvent(output=output))
        return cast("Model", output)

    @redacted_endpoint(mask_prediction)
    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        """Yield the object as it grows; the last one is valid and whole. Raise OneRouterError."""
        return super().stream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)

    @redacted_endpoint(mask_prediction)
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
        if self._uses_llama_index_program():
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
        if self._uses_llama_index_program():
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
        output_request, turns = OutputRequest(output_cls), self._extend_messages(list(messages))
        return self._structured_response(
            output_request, turns, kwargs, self.structured_output_retries
        )

    async def astructured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        """Return a response whose `raw` is the object; raise OneRouterError."""
        output_request, turns = OutputRequest(output_cls), self._extend_messages(list(messages))
        return await self._astructured_response(
            output_request, turns, kwargs, self.structured_output_retries
        )

    def stream_structured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseGen:
        """Yield responses whose `raw` is the object so far; the last one's is valid and whole."""
        output_request, turns = OutputRequest(output_cls), self._extend_messages(list(messages))
        responses = self._request_with_fallback(self.stream_chat, output_request, turns, kwargs)
        return _stream_objects(output_request, responses)

    async def astream_structured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Yield responses whose `raw` is the object so far; the last one's is valid and whole."""
        output_request, turns = OutputRequest(output_cls), self._extend_messages(list(messages))
        responses = await self._arequest_with_fallback(
            self.astream_chat, output_request, turns, kwargs
        )
        return _astream_objects(output_request, responses)

    def _structured_response(
        self,
        output_request: OutputRequest,
        messages: list[ChatMessage],
        given: Mapping[str, Any],
        left: int,
    ) -> ChatResponse:
        """Ask, and while any retries are left ask again for what is not valid."""
        response = self._request_with_fallback(self.chat, output_request, messages, given)
        try:
            return _object_response(output_request.read(response), response)
        except MalformedReplyError as error:
            if not left:
                raise
            messages = output_request.repair_messages(messages, response, error)
        return self._structured_response(output_request, messages, given, left - 1)

    async def _astructured_response(
        self,
        output_request: OutputRequest,
        messages: list[ChatMessage],
        given: Mapping[str, Any],
        left: int,
    ) -> ChatResponse:
        response = await self._arequest_with_fallback(self.achat, output_request, messages, given)
        try:
            return _object_response(output_request.read(response), response)
        except MalformedReplyError as error:
            if not left:
                raise
            messages = output_request.repair_messages(messages, response, error)
        return await self._astructured_response(output_request, messages, given, left - 1)

    # --- which way to ask ---

    def _uses_llama_index_program(self) -> bool:
        """Tell whether the user chose one of LlamaIndex's own programs, such as text and parse."""
        ours = (PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION)
        return self.pydantic_program_mode not in ours

    def _request_with_fallback(
        self,
        chat: Callable[..., Answer],
        output_request: OutputRequest,
        messages: list[ChatMessage],
        given: Mapping[str, Any],
    ) -> Answer:
        method = self._first_method(given)
        while True:
            try:
                answer = chat(**output_request.request_kwargs(method, messages, given))
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                method = self._next_method(method, error)
            else:
                self._method_by_model[self._model_id(given)] = method
                return answer

    async def _arequest_with_fallback(
        self,
        chat: Callable[..., Awaitable[Answer]],
        output_request: OutputRequest,
        messages: list[ChatMessage],
        given: Mapping[str, Any],
    ) -> Answer:
        method = self._first_method(given)
        while True:
            try:
                answer = await chat(**output_request.request_kwargs(method, messages, given))
            except OneRouterError as error:  # noqa: PERF203 -- three turns
                method = self._next_method(method, error)
            else:
                self._method_by_model[self._model_id(given)] = method
                return answer

    def _first_method(self, given: Mapping[str, Any]) -> StructuredMethod:
        chosen = self._fixed_method()
        return (
            self._method_by_model.get(self._model_id(given), "json_schema")
            if chosen is None
            else chosen
        )

    def _fixed_method(self) -> StructuredMethod | None:
        if self.pydantic_program_mode is PydanticProgramMode.FUNCTION:
            return "function"
        return None if self.structured_output_mode == "auto" else self.structured_output_mode

    def _next_method(self, method: StructuredMethod, error: OneRouterError) -> StructuredMethod:
        """Return the next lower mode; raise the error if that would not help."""
        by_itself = self._fixed_method() is None
        if not by_itself or method not in FALLBACK_ORDER or not is_unsupported_feature(error):
            raise error
        return FALLBACK_ORDER[method]

    def _model_id(self, given: Mapping[str, Any]) -> str:
        return str(given.get("model") or self.metadata.model_name)


# --- responses around objects ---


def _object_response(
    output: BaseModel, response: ChatResponse, delta: str | None = None
) -> ChatResponse:
    """Return the object as a response that has the model's usage."""
    spelled = output.model_dump_json(fallback=str)  # of a class that cannot be spelled, its words
    return ChatResponse(
        message=ChatMessage(spelled, role=MessageRole.ASSISTANT),
        raw=output,
        delta=delta,
        additional_kwargs=response.additional_kwargs,
    )


def _stream_objects(output_request: OutputRequest, responses: ChatResponseGen) -> ChatResponseGen:
    with closing(responses):
        for response in responses:
            if (partial := output_request.read_partial(response)) is not None:
                yield _object_response(partial, response, output_request.new_text(response))
    yield _object_response(
        output_request.read(response), response, output_request.new_text(response)
    )


async def _astream_objects(
    output_request: OutputRequest, responses: ChatResponseAsyncGen
) -> ChatResponseAsyncGen:
    async with aclosing(responses):
        async for response in responses:
            if (partial := output_request.read_partial(response)) is not None:
                yield _object_response(partial, response, output_request.new_text(response))
    yield _object_response(
        output_request.read(response), response, output_request.new_text(response)
    )


def _objects(responses: ChatResponseGen) -> Generator[Any, None, None]:
    with closing(responses):
        for response in responses:
            yield response.raw


async def _aobjects(responses: ChatResponseAsyncGen) -> AsyncGenerator[Any, None]:
    async with aclosing(responses):
        async for response in responses:
            yield response.raw


def _start_event(
    output_cls: type[BaseModel], prompt: PromptTemplate, prompt_args: dict[str, Any]
) -> LLMStructuredPredictStartEvent:
    return LLMStructuredPredictStartEvent(
        output_cls=output_cls, template=prompt, template_args=prompt_args
    )
