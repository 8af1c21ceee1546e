"""Structured prediction: objects of the caller's pydantic class, or a typed error.

This module knows LlamaIndex's structured prediction methods and the fallback from one method of
asking for an object to the next. Its requests go through `chat` and `stream_chat`, so that
LlamaIndex's handlers see them; it knows nothing below these methods.
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
    TextBlock,
    ThinkingBlock,
)
from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import dispatcher
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import Model, PydanticProgramMode
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from llama_index_onerouter.errors import object_errors
from llama_index_onerouter.output_request import OutputRequest, StructuredMethod
from llama_index_onerouter.structured_llm import StructuredOneRouterLLM
from llama_index_onerouter.tracing import mask_prediction, redacted_endpoint, traced_endpoint
from onerouter_core.errors import MalformedReplyError, OneRouterError, is_unsupported_feature

_Response = TypeVar("_Response")

_THINKING_DELTA = "thinking_delta"  # LlamaIndex's key of the reasoning that an item adds

FALLBACK_ORDER: dict[StructuredMethod, StructuredMethod] = {
    "json_schema": "function",
    "function": "json_object",
}
"""The next method for a model that does not support a method."""


class StructuredPrediction(FunctionCallingLLM):
    """Base class of a chat model that also answers with objects of a pydantic class."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    structured_output_mode: Literal["auto", "json_schema", "function", "json_object"] = Field(
        default="auto"
    )
    """Method of asking for an object: "json_schema" (JSON schema as response format), "function"
    (one forced tool call), "json_object" (JSON mode, the schema in a system message), or "auto"
    (these three in this order until the model supports one, which is remembered per model)."""

    structured_output_retries: int = Field(default=0, ge=0)
    """Most additional requests for an object whose first answer was invalid (0 or more). Each is
    billed. Streams are not retried."""

    _method_by_model: dict[str, StructuredMethod] = PrivateAttr(default_factory=dict)
    """Method that last succeeded, by model id."""

    # --- LlamaIndex's structured prediction methods ---

    @traced_endpoint(mask=mask_prediction)
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Fill in a prompt and return an object of a pydantic class.

        Args:
            output_cls: Pydantic class of the object.
            prompt: The prompt.
            llm_kwargs: Options of this call, as for `OneRouterLLM.chat`; the keywords that set the
                method (`tools`, `tool_choice`, `response_format`) are ignored.
            **prompt_args: Values of the prompt's variables.

        Raises:
            ConfigurationError: `output_cls` or an option is invalid. Nothing was sent.
            RefusalError: The model refused to answer.
            LengthLimitError: The answer was cut at the length limit.
            ContentFilterError: Moderation stopped the answer.
            MalformedReplyError: The answer is not a valid object, after
                `structured_output_retries` retries.
            OneRouterError: The call failed otherwise.
        """
        if self._uses_llama_index_program():
            predict = super().structured_predict
            return cast("Model", predict(output_cls, prompt, llm_kwargs, **prompt_args))
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
        """Fill in a prompt and return an object; the async form of `structured_predict`."""
        if self._uses_llama_index_program():
            predict = super().astructured_predict
            return cast("Model", await predict(output_cls, prompt, llm_kwargs, **prompt_args))
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
        """Fill in a prompt and yield the object so far.

        Arguments and errors are those of `structured_predict`; there is no retry for an invalid
        object. Incomplete objects are of a class whose fields may all be missing; the last one is
        a valid object of `output_cls`.
        """
        return super().stream_structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)

    @redacted_endpoint(mask_prediction)
    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        """Fill in a prompt and yield the object so far; async `stream_structured_predict`."""
        predict = super().astream_structured_predict
        return await predict(output_cls, prompt, llm_kwargs, **prompt_args)

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
        return _raw_objects(self.stream_structured_chat(output_cls, messages, **(llm_kwargs or {})))

    async def _structured_astream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        if self._uses_llama_index_program():
            predict = super()._structured_astream_call
            return await predict(output_cls, prompt, llm_kwargs, **prompt_args)
        messages = prompt.format_messages(llm=self, **prompt_args)
        responses = await self.astream_structured_chat(output_cls, messages, **(llm_kwargs or {}))
        return _araw_objects(responses)

    @redacted_endpoint()
    def as_structured_llm(
        self, output_cls: type[BaseModel], **kwargs: Any
    ) -> StructuredOneRouterLLM:
        """Return a model whose every answer is an object of a pydantic class.

        Args:
            output_cls: Pydantic class of the answers.
            **kwargs: Fields of LlamaIndex's StructuredLLM, such as `callback_manager`.
        """
        return StructuredOneRouterLLM(llm=self, output_cls=output_cls, **kwargs)

    # --- structured chat: messages instead of a prompt, responses around the objects ---

    @redacted_endpoint()
    def structured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        """Send a chat request and return an object of a pydantic class.

        Args:
            output_cls: Pydantic class of the object.
            messages: The conversation, oldest message first; the system prompt is added.
            **kwargs: Options of this call, as `llm_kwargs` of `structured_predict`.

        Returns:
            A response whose `raw` is the object and whose content is its JSON.

        Raises:
            OneRouterError: As `structured_predict`.
        """
        output_request = OutputRequest(output_cls, self._redact_error)
        history = self._extend_messages(list(messages))
        retries = self.structured_output_retries
        with object_errors():
            return self._structured_response(output_request, history, kwargs, retries)

    @redacted_endpoint()
    async def astructured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        """Send a chat request and return an object; the async form of `structured_chat`."""
        output_request = OutputRequest(output_cls, self._redact_error)
        history = self._extend_messages(list(messages))
        retries = self.structured_output_retries
        with object_errors():
            return await self._astructured_response(output_request, history, kwargs, retries)

    @redacted_endpoint()
    def stream_structured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseGen:
        """Send a chat request and yield the object so far.

        Arguments and errors are those of `structured_chat`. The request is sent at once; errors of
        the answer are raised while the stream is read. There is no retry for an invalid object.

        Returns:
            A generator of responses. `raw` is the incomplete object, in the last one a valid
            object of `output_cls`; `delta` is the JSON text that was added.
        """
        output_request = OutputRequest(output_cls, self._redact_error)
        history = self._extend_messages(list(messages))
        with object_errors():
            responses = self._request_with_fallback(
                self.stream_chat, output_request, history, kwargs
            )
        return _stream_objects(output_request, responses)

    @redacted_endpoint()
    async def astream_structured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Send a chat request and yield the object so far; async `stream_structured_chat`."""
        output_request = OutputRequest(output_cls, self._redact_error)
        history = self._extend_messages(list(messages))
        with object_errors():
            responses = await self._arequest_with_fallback(
                self.astream_chat, output_request, history, kwargs
            )
        return _astream_objects(output_request, responses)

    def _structured_response(
        self,
        output_request: OutputRequest,
        messages: list[ChatMessage],
        kwargs: Mapping[str, Any],
        retries_left: int,
    ) -> ChatResponse:
        """Return the object of a request; repeat the request for an invalid one, with the error."""
        response = self._request_with_fallback(self.chat, output_request, messages, kwargs)
        try:
            return _complete_response(output_request, response)
        except MalformedReplyError as error:
            if not retries_left:
                raise
            messages = output_request.repair_messages(messages, response, error)
        return self._structured_response(output_request, messages, kwargs, retries_left - 1)

    async def _astructured_response(
        self,
        output_request: OutputRequest,
        messages: list[ChatMessage],
        kwargs: Mapping[str, Any],
        retries_left: int,
    ) -> ChatResponse:
        response = await self._arequest_with_fallback(self.achat, output_request, messages, kwargs)
        try:
            return _complete_response(output_request, response)
        except MalformedReplyError as error:
            if not retries_left:
                raise
            messages = output_request.repair_messages(messages, response, error)
        return await self._astructured_response(output_request, messages, kwargs, retries_left - 1)

    def _redact_error(self, error: OneRouterError) -> OneRouterError:
        """Return an error about an answer; `GatewayModel` removes secrets from it."""
        return error

    # --- method of asking for an object ---

    def _uses_llama_index_program(self) -> bool:
        """Whether `pydantic_program_mode` chooses one of LlamaIndex's own programs."""
        own_modes = (PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION)
        return self.pydantic_program_mode not in own_modes

    def _request_with_fallback(
        self,
        chat: Callable[..., _Response],
        output_request: OutputRequest,
        messages: list[ChatMessage],
        kwargs: Mapping[str, Any],
    ) -> _Response:
        method = self._first_method(kwargs)
        while True:
            try:
                response = chat(**output_request.request_kwargs(method, messages, kwargs))
            except OneRouterError as error:  # noqa: PERF203 -- at most three iterations
                method = self._next_method(method, error)
            else:
                self._method_by_model[self._model_id(kwargs)] = method
                return response

    async def _arequest_with_fallback(
        self,
        chat: Callable[..., Awaitable[_Response]],
        output_request: OutputRequest,
        messages: list[ChatMessage],
        kwargs: Mapping[str, Any],
    ) -> _Response:
        method = self._first_method(kwargs)
        while True:
            try:
                response = await chat(**output_request.request_kwargs(method, messages, kwargs))
            except OneRouterError as error:  # noqa: PERF203 -- at most three iterations
                method = self._next_method(method, error)
            else:
                self._method_by_model[self._model_id(kwargs)] = method
                return response

    def _first_method(self, kwargs: Mapping[str, Any]) -> StructuredMethod:
        fixed = self._fixed_method()
        return (
            self._method_by_model.get(self._model_id(kwargs), "json_schema")
            if fixed is None
            else fixed
        )

    def _fixed_method(self) -> StructuredMethod | None:
        """Return the method that the user chose; None in "auto" mode."""
        if self.pydantic_program_mode is PydanticProgramMode.FUNCTION:
            return "function"
        return None if self.structured_output_mode == "auto" else self.structured_output_mode

    def _next_method(self, method: StructuredMethod, error: OneRouterError) -> StructuredMethod:
        """Return the next method; raise the error if there is none or it cannot help."""
        is_auto = self._fixed_method() is None
        if not is_auto or method not in FALLBACK_ORDER or not is_unsupported_feature(error):
            raise error
        return FALLBACK_ORDER[method]

    def _model_id(self, kwargs: Mapping[str, Any]) -> str:
        return str(kwargs.get("model") or self.metadata.model_name)


# --- responses with objects ---


def _object_response(
    output: BaseModel,
    response: ChatResponse,
    additional_kwargs: dict[str, Any],
    delta: str | None = None,
) -> ChatResponse:
    """Return a response with the object, its JSON, and the reasoning of the model's response."""
    json_text = output.model_dump_json(fallback=str)  # str() of values without a JSON form
    thinking = [block for block in response.message.blocks if isinstance(block, ThinkingBlock)]
    blocks = [*thinking, TextBlock(text=json_text)]
    return ChatResponse(
        message=ChatMessage(blocks=blocks, role=MessageRole.ASSISTANT),
        raw=output,
        delta=delta,
        additional_kwargs=additional_kwargs,
    )


def _complete_response(
    output_request: OutputRequest, response: ChatResponse, delta: str | None = None
) -> ChatResponse:
    """Return the response with the valid object, token counts, ids, and the JSON body (`raw`)."""
    kwargs = {**response.additional_kwargs, "raw": response.raw}
    kwargs.pop(_THINKING_DELTA, None)  # an item before this one had it
    return _object_response(output_request.parse(response), response, kwargs, delta)


def _partial_response(output_request: OutputRequest, response: ChatResponse) -> ChatResponse | None:
    """Return an item of a stream with the object so far; None if nothing has been added.

    Before the object begins there is only reasoning: the object is empty, and there is no text.
    """
    thought = response.additional_kwargs.get(_THINKING_DELTA)
    partial = output_request.parse_partial(response)
    if partial is None and thought is None:
        return None
    item = _object_response(
        partial or output_request.last_partial,
        response,
        {} if thought is None else {_THINKING_DELTA: thought},
        output_request.new_text(response) if output_request.has_begun else "",
    )
    if not output_request.has_begun:
        item.message.blocks.pop()
    return item


def _stream_objects(output_request: OutputRequest, responses: ChatResponseGen) -> ChatResponseGen:
    response = ChatResponse(message=ChatMessage())  # a stream has at least one response
    with object_errors():
        with closing(responses):
            for response in responses:
                if (item := _partial_response(output_request, response)) is not None:
                    yield item
        last = _complete_response(output_request, response, output_request.new_text(response))
    yield last


async def _astream_objects(
    output_request: OutputRequest, responses: ChatResponseAsyncGen
) -> ChatResponseAsyncGen:
    response = ChatResponse(message=ChatMessage())
    with object_errors():
        async with aclosing(responses):
            async for response in responses:
                if (item := _partial_response(output_request, response)) is not None:
                    yield item
        last = _complete_response(output_request, response, output_request.new_text(response))
    yield last


def _raw_objects(responses: ChatResponseGen) -> Generator[Any, None, None]:
    with closing(responses):
        for response in responses:
            if response.message.content:  # else there is only reasoning so far
                yield response.raw


async def _araw_objects(responses: ChatResponseAsyncGen) -> AsyncGenerator[Any, None]:
    async with aclosing(responses):
        async for response in responses:
            if response.message.content:
                yield response.raw


def _start_event(
    output_cls: type[BaseModel], prompt: PromptTemplate, prompt_args: dict[str, Any]
) -> LLMStructuredPredictStartEvent:
    return LLMStructuredPredictStartEvent(
        output_cls=output_cls, template=prompt, template_args=prompt_args
    )
