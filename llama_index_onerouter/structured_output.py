"""Structured prediction: objects of the caller's pydantic class, or a typed error.

This module knows LlamaIndex's structured prediction methods. `onerouter_core.structured_output`
knows how an object is asked for, and `onerouter_core.object_reader` how it is read. Requests go
through `chat` and `stream_chat`, so that LlamaIndex's handlers see them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, closing
from typing import Any, Literal, cast

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

from llama_index_onerouter.errors import ObjectErrors
from llama_index_onerouter.output_schema import output_schema_of, partial_object
from llama_index_onerouter.replies import received
from llama_index_onerouter.structured_llm import StructuredOneRouterLLM
from llama_index_onerouter.tracing import mask_prediction, redacted_endpoint, traced_endpoint
from onerouter_core import (
    GrowingObject,
    ObjectAttempts,
    ObjectReader,
    Reply,
    StructuredMethod,
    SupportedMethods,
    method_options,
    object_converter,
)
from onerouter_core.errors import OneRouterError

_THINKING_DELTA = "thinking_delta"  # LlamaIndex's key of the reasoning that an item adds

_METHODS: dict[str, StructuredMethod] = {
    "json_schema": "json_schema",
    "function": "function_calling",
    "json_object": "json_mode",
}

# LlamaIndex's own programs pass these keywords; here the method sets them.
_METHOD_KEYWORDS = {
    "tools",
    "tool_choice",
    "tool_required",
    "allow_parallel_tool_calls",
    "response_format",
}


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

    _supported_methods: SupportedMethods = PrivateAttr(default_factory=SupportedMethods)

    # --- structured prediction: LlamaIndex's methods, each with the arguments of its base class ---

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
        output, attempts = self._prepare_object(output_cls, messages, kwargs, retry=True)
        with ObjectErrors():
            while True:
                with attempts:
                    response = self.chat(**output.request_kwargs(attempts))
                    attempts.has_answer = True
                    return output.response(response)

    @redacted_endpoint()
    async def astructured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        """Send a chat request and return an object; the async form of `structured_chat`."""
        output, attempts = self._prepare_object(output_cls, messages, kwargs, retry=True)
        with ObjectErrors():
            while True:
                with attempts:
                    response = await self.achat(**output.request_kwargs(attempts))
                    attempts.has_answer = True
                    return output.response(response)

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
        output, attempts = self._prepare_object(output_cls, messages, kwargs)
        with ObjectErrors():
            while True:
                with attempts:
                    responses = self.stream_chat(**output.request_kwargs(attempts))
                    return _stream_objects(output, responses)

    @redacted_endpoint()
    async def astream_structured_chat(
        self, output_cls: type[BaseModel], messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Send a chat request and yield the object so far; async `stream_structured_chat`."""
        output, attempts = self._prepare_object(output_cls, messages, kwargs)
        with ObjectErrors():
            while True:
                with attempts:
                    responses = await self.astream_chat(**output.request_kwargs(attempts))
                    return _astream_objects(output, responses)

    def _redact_error(self, error: OneRouterError) -> OneRouterError:
        """Return an error about an answer; `GatewayModel` removes secrets from it."""
        return error

    def _uses_llama_index_program(self) -> bool:
        """Whether `pydantic_program_mode` chooses one of LlamaIndex's own programs."""
        own_modes = (PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION)
        return self.pydantic_program_mode not in own_modes

    def _prepare_object(
        self,
        output_cls: type[BaseModel],
        messages: Sequence[ChatMessage],
        kwargs: dict[str, Any],
        *,
        retry: bool = False,
    ) -> tuple[_Output, ObjectAttempts]:
        is_function = self.pydantic_program_mode is PydanticProgramMode.FUNCTION
        mode = "function" if is_function else self.structured_output_mode
        attempts = self._supported_methods.attempts(
            str(kwargs.get("model") or self.metadata.model_name),
            _METHODS.get(mode),
            retries=self.structured_output_retries if retry else 0,
        )
        history = self._extend_messages(list(messages))
        return _Output(output_cls, history, kwargs, self._redact_error), attempts


class _Output:
    """Objects of one call: keywords of its requests, and responses with the object."""

    def __init__(
        self,
        output_cls: type[BaseModel],
        messages: list[ChatMessage],
        kwargs: dict[str, Any],
        redact: Callable[[OneRouterError], OneRouterError],
    ) -> None:
        self._class = output_cls
        self._schema = output_schema_of(output_cls)
        self._kwargs = {n: kwargs[n] for n in kwargs.keys() - _METHOD_KEYWORDS}
        self._messages = messages
        title = self._schema.title
        convert = object_converter(output_cls, self._schema.schema)
        self._reader = ObjectReader(convert, title, redact)
        self._growing = GrowingObject(title)

    def request_kwargs(self, attempts: ObjectAttempts) -> dict[str, Any]:
        """Return the keywords for `chat`: the messages, the method's, and the caller's others."""
        messages = list(self._messages)
        for reply, instruction in attempts.repairs:
            answer = self._reader.text_of(reply)
            messages.append(ChatMessage(answer, role=MessageRole.ASSISTANT))
            messages.append(ChatMessage(instruction, role=MessageRole.USER))
        options = method_options(self._schema, attempts.method)
        return {**self._kwargs, **options, "messages": messages}

    def response(self, response: ChatResponse, delta: str | None = None) -> ChatResponse:
        """Return the response with the valid object, token counts, ids, and the body (`raw`)."""
        kwargs = {**response.additional_kwargs, "raw": response.raw}
        kwargs.pop(_THINKING_DELTA, None)  # an item before this one had it
        output = self._reader.read(received(response).final_reply or Reply())
        return _object_response(output, response, kwargs, delta)

    def item(self, response: ChatResponse) -> ChatResponse | None:
        """Return an item of a stream with the object so far; None if nothing has been added.

        Before the object begins there is only reasoning: the object is empty, and there is no text.
        """
        thought = response.additional_kwargs.get(_THINKING_DELTA)
        has_grown, value = self._growing.add(received(response)), self._growing.value
        has_begun = isinstance(value, dict)
        if not (has_grown and has_begun) and thought is None:
            return None
        item = _object_response(
            partial_object(self._class, value if has_begun else {}),
            response,
            {} if thought is None else {_THINKING_DELTA: thought},
            self._growing.take_new_text() if has_begun else "",
        )
        if not has_begun:
            item.message.blocks.pop()
        return item

    def last_item(self, response: ChatResponse) -> ChatResponse:
        """Return the last item of a stream."""
        return self.response(response, self._growing.take_new_text())


def _object_response(
    output: BaseModel,
    response: ChatResponse,
    additional_kwargs: dict[str, Any],
    delta: str | None = None,
) -> ChatResponse:
    """Return a response with the object, its JSON, and the reasoning of the model's response."""
    thinking = [block for block in response.message.blocks if isinstance(block, ThinkingBlock)]
    text = TextBlock(text=output.model_dump_json(fallback=str))  # of values without a JSON form
    return ChatResponse(
        message=ChatMessage(blocks=[*thinking, text], role=MessageRole.ASSISTANT),
        raw=output,
        delta=delta,
        additional_kwargs=additional_kwargs,
    )


def _stream_objects(output: _Output, responses: ChatResponseGen) -> ChatResponseGen:
    response = ChatResponse(message=ChatMessage())  # a stream has at least one response
    with ObjectErrors():
        with closing(responses):
            for response in responses:
                if (item := output.item(response)) is not None:
                    yield item
        last = output.last_item(response)
    yield last


async def _astream_objects(
    output: _Output, responses: ChatResponseAsyncGen
) -> ChatResponseAsyncGen:
    response = ChatResponse(message=ChatMessage())
    with ObjectErrors():
        async with aclosing(responses):
            async for response in responses:
                if (item := output.item(response)) is not None:
                    yield item
        last = output.last_item(response)
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
