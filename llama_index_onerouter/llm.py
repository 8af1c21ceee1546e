"""OneRouterLLM: fields, metadata, and the methods that LlamaIndex calls.

This module knows FunctionCallingLLM. The neighbouring modules convert messages, responses and
tools; only the core knows the wire format. Sync and async methods differ only in the await.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, ClassVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool
from pydantic import (
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
)

from llama_index_onerouter.errors import MalformedReplyError, ObjectErrors
from llama_index_onerouter.failed_spans import FailedSpan
from llama_index_onerouter.messages import to_messages
from llama_index_onerouter.replies import (
    ato_completions,
    ato_responses,
    to_completion,
    to_completions,
    to_response,
    to_responses,
)
from llama_index_onerouter.structured_output import StructuredPrediction
from llama_index_onerouter.tools import UnknownToolsReported, to_selections, to_tool, tool_kwargs
from llama_index_onerouter.tracing import (
    redacted_endpoint,
    traced_endpoint,
    unmask_secrets,
)
from onerouter_core import (
    SECRET_ARGUMENTS,
    Gateway,
    GatewayFields,
    GatewayModel,
    Request,
    deep_merge,
    excerpt,
)
from onerouter_core.errors import ConfigurationError
from onerouter_core.wire import decode_tool_choice, encode_request

_DEFAULT_CONTEXT_WINDOW = 128_000
_MERGED_OPTIONS = ("extra_body", "extra_headers")  # mappings that are merged key by key
_NOT_IN_CACHE_KEYS = ("timeout", "deadline", "max_retries", "stream_usage", "cache_prompt")
_OWN_DUMP = "OneRouterLLM"  # a key of pydantic's serialization context
_log = logging.getLogger("onerouter_core")


class OneRouterLLM(GatewayModel, StructuredPrediction):
    """Chat model for LlamaIndex: any model of a OneRouter gateway, at `base_url`.

    >>> OneRouterLLM(model="deepseek/deepseek-v4-flash").complete("Hello").text

    Request fields can also be given per call: `llm.chat(messages, temperature=0)`. Token counts,
    cost (USD), finish reason, model, provider and ids are in a response's `additional_kwargs`; in a
    stream, in those of the last response.

    Raises:
        pydantic.ValidationError: A field is unknown or its value is invalid (a ValueError).

    Its methods raise the errors of `onerouter_core.errors`: ConfigurationError for an invalid
    argument, before anything is sent, and other subclasses of OneRouterError for a failed call.
    """

    model_config = ConfigDict(
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    # A callback manager is equal only to itself.
    _eq_ignored_fields: ClassVar[frozenset[str]] = frozenset({"callback_manager"})

    context_window: int | None = Field(default=None, gt=0)
    """Context window in tokens, prompt and answer together (1 or more). None: the catalogue's
    value, else 128,000."""

    is_function_calling_model: bool | None = Field(default=None)
    """Whether agents may offer tools to the model. None: the catalogue's value, else True."""

    additional_kwargs: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Keywords of every call. A call's own keywords take precedence; `extra_body` and
    `extra_headers` are merged with the call's key by key."""

    # --- metadata ---

    @classmethod
    def class_name(cls) -> str:
        """Return the class name in serialised models: "OneRouterLLM"."""
        return "OneRouterLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """Context window and output length (tokens), tool support and model id.

        LlamaIndex cuts prompts and memories to it. Reading it sends no request and never raises;
        it logs a warning, once per model, if the context window is unknown.
        """
        return self._metadata(self._known_context_window() or _warn_assumed_window(self.model))

    def _known_context_window(self) -> int | None:
        return self.context_window or (
            self._model_info.context_window if self._model_info else None
        )

    def _metadata(self, window: int) -> LLMMetadata:
        supports_tools = self.is_function_calling_model
        if supports_tools is None:
            supports_tools = self._model_info is None or self._model_info.tools is not False
        return LLMMetadata(
            context_window=window,
            # LlamaIndex subtracts it from the window; the rest must have room for a prompt.
            num_output=min(self.max_tokens, window // 2) if self.max_tokens else -1,
            is_chat_model=True,
            is_function_calling_model=supports_tools,
            model_name=self.model,
        )

    def to_payload(self) -> dict[str, Any]:
        """Return the model settings for traces: class name, metadata and sampling fields.

        It contains no secret.
        """
        names = ("model", "temperature", "top_p", "max_tokens")
        values = {name: getattr(self, name) for name in names}
        window = self._known_context_window() or _DEFAULT_CONTEXT_WINDOW
        return {
            "class_name": self.class_name(),
            **self._metadata(window).model_dump(),
            **{name: value for name, value in values.items() if value is not None},
        }

    # --- chat ---

    @traced_endpoint(llm_chat_callback())
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Send a chat request and return the complete response.

        Args:
            messages: The conversation, oldest message first; at least one message.
            **kwargs: Options of this call: any request field (`temperature=0`), `api_key`,
                `timeout` and the other connection fields, `extra_headers`, `tools`, `tool_choice`,
                or another parameter of the API. They take precedence over `additional_kwargs` and
                over the fields. None: not given.

        Returns:
            The response. `raw` is the JSON body; `additional_kwargs` has token counts, cost (USD),
            finish reason, model, provider and ids.

        Raises:
            ConfigurationError: An argument is invalid; nothing was sent.
            UnsupportedContentError: The API does not support a content block; nothing was sent.
            OneRouterError: The call failed: a subclass for each kind of failure.
        """
        return self._chat(messages, kwargs)

    @traced_endpoint(llm_chat_callback())
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Send a chat request and return the complete response; the async form of `chat`."""
        return await self._achat(messages, kwargs)

    @traced_endpoint(llm_chat_callback())
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Send a chat request and stream the response.

        Arguments and errors are those of `chat`. The request is sent at once, not with the first
        item. An error in the middle of the stream has the text so far in `partial`.

        Returns:
            A generator of responses. Each contains the whole answer so far, and in `delta` the
            text that was added; the last one is equal to the response of `chat`. Closing the
            generator closes the connection.
        """
        return self._stream(messages, kwargs)

    @traced_endpoint(llm_chat_callback())
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Send a chat request and stream the response; the async form of `stream_chat`."""
        return await self._astream(messages, kwargs)

    # --- completion ---

    @traced_endpoint(llm_completion_callback())
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Send a prompt as one user message and return the complete response.

        Args:
            prompt: The text of the message.
            formatted: Whether `completion_to_prompt` has been applied to the prompt; if not, it is
                applied here.
            **kwargs: Options of this call, as for `chat`.

        Returns:
            The completion. `additional_kwargs` has the same keys as that of `chat`, and the
            reasoning in `thinking`.

        Raises:
            OneRouterError: As `chat`; ConfigurationError also for a prompt that is not a string.
        """
        messages = self._prompt_messages(prompt, formatted=formatted)
        return to_completion(self._chat(messages, kwargs))

    @traced_endpoint(llm_completion_callback())
    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Send a prompt and return the complete response; the async form of `complete`."""
        messages = self._prompt_messages(prompt, formatted=formatted)
        return to_completion(await self._achat(messages, kwargs))

    @traced_endpoint(llm_completion_callback())
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Send a prompt as one user message and stream the response.

        Arguments and errors are those of `complete`. The request is sent at once, not with the
        first item.

        Returns:
            A generator of completions. Each contains the whole text so far, and in `delta` the
            text that was added.
        """
        return to_completions(
            self._stream(self._prompt_messages(prompt, formatted=formatted), kwargs)
        )

    @traced_endpoint(llm_completion_callback())
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """Send a prompt and stream the response; the async form of `stream_complete`."""
        messages = self._prompt_messages(prompt, formatted=formatted)
        return ato_completions(await self._astream(messages, kwargs))

    # --- request ---

    def preview(self, messages: Sequence[ChatMessage], **kwargs: Any) -> dict[str, Any]:
        """Return the JSON body that `chat` would send; send nothing.

        Arguments are those of `chat`.

        Raises:
            ConfigurationError: An argument or a content block is invalid.
        """
        _, request = self._prepare(messages, kwargs)
        return deepcopy(encode_request(request)[0])  # the body shares its schemas with the cache

    def _prepare(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> tuple[Gateway, Request]:
        """Return the gateway and the validated request of a call; raise ConfigurationError."""
        options = self._options(kwargs)
        tools, choice = options.pop("tools", ()), options.pop("tool_choice", None)
        gateway, settings = self._prepare_call(options)
        request = Request(
            model=settings.model,
            messages=to_messages(messages, settings.model, self.replay_reasoning),
            tools=tuple([to_tool(tool) for tool in tools]),
            tool_choice=decode_tool_choice(choice),
            parameters=settings.parameters,
        )
        return gateway, request

    def _options(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return `additional_kwargs` updated with the keywords of a call."""
        defaults = self.additional_kwargs
        given = unmask_secrets(kwargs) if kwargs else {}
        options = defaults | {name: value for name, value in given.items() if value is not None}
        for name in options:
            if name in type(self).model_fields and name not in GatewayFields.model_fields:
                raise ConfigurationError(
                    f"{name} belongs to the model: it cannot be given per call. "
                    "Set it in the constructor."
                )
        for name in _MERGED_OPTIONS:
            if name in defaults:
                options[name] = deep_merge(defaults[name], options[name])
        return options

    def _chat(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        with FailedSpan():
            gateway, request = self._prepare(messages, kwargs)
            with ObjectErrors(is_for_object=bool(request.tools)):
                reply = gateway.complete(request, self._retry)
        return to_response(reply, single_tool_call=_is_single_tool_call(request))

    async def _achat(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> ChatResponse:
        with FailedSpan():
            gateway, request = self._prepare(messages, kwargs)
            with ObjectErrors(is_for_object=bool(request.tools)):
                reply = await gateway.acomplete(request, self._aretry)
        return to_response(reply, single_tool_call=_is_single_tool_call(request))

    def _stream(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> ChatResponseGen:
        with (span := FailedSpan()):
            gateway, request = self._prepare(messages, kwargs)
            with (errors := ObjectErrors(is_for_object=bool(request.tools))):
                deltas = gateway.stream(request, self._retry)
        return to_responses(deltas, span, errors, single_tool_call=_is_single_tool_call(request))

    async def _astream(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> ChatResponseAsyncGen:
        with (span := FailedSpan()):
            gateway, request = self._prepare(messages, kwargs)
            with (errors := ObjectErrors(is_for_object=bool(request.tools))):
                deltas = await gateway.astream(request, self._aretry)
        return ato_responses(deltas, span, errors, single_tool_call=_is_single_tool_call(request))

    def _prompt_messages(self, prompt: str, *, formatted: bool) -> list[ChatMessage]:
        if not isinstance(prompt, str):  # ChatMessage() would silently be empty
            raise ConfigurationError(
                f"prompt must be a string, not {type(prompt).__name__}. Use chat() for messages."
            )
        if not formatted and self.completion_to_prompt is not None:
            prompt = self.completion_to_prompt(prompt)
        return [ChatMessage(prompt, role=MessageRole.USER)]

    def _retry(self, _: Any) -> None:
        """Wait for the rate limiter before a retry: LlamaIndex does so only once per call."""
        if self.rate_limiter is not None:
            self.rate_limiter.acquire()

    async def _aretry(self, _: Any) -> None:
        if self.rate_limiter is not None:
            await self.rate_limiter.async_acquire()

    # --- tools ---

    @redacted_endpoint()  # a span of its own would look like a second request
    def _prepare_chat_with_tools(  # noqa: PLR0913, PLR0917 -- LlamaIndex's signature
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,  # noqa: ARG002 -- a parameter of LlamaIndex's base class
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: Any = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the keywords of `chat` for a request that offers tools."""
        if isinstance(user_msg, str):
            user_msg = ChatMessage(user_msg, role=MessageRole.USER)
        tool_options = tool_kwargs(
            tools,
            choice=tool_choice,
            required=tool_required,
            parallel=allow_parallel_tool_calls,
            strict=bool(strict),
        )
        messages = [*(chat_history or ()), *([user_msg] if user_msg else ())]
        return {"messages": messages, **tool_options, **kwargs}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **_: Any
    ) -> list[ToolSelection]:
        """Return the tool calls of a response.

        The name of a call with invalid arguments contains the error, so that it matches no tool:
        the call never runs, and an agent reports it to the model.

        Args:
            response: A complete response, or the last one of a stream.
            error_on_no_tool_call: Whether to raise an error if there is no tool call.

        Raises:
            MalformedReplyError: There is no tool call; also a ValueError, as LlamaIndex's own.
        """
        selections = to_selections(response.message)
        if not selections and error_on_no_tool_call:
            sent = excerpt(response.message.content)
            raise MalformedReplyError(f"Expected at least one tool call, but got none. {sent}")
        return selections

    @redacted_endpoint()
    def predict_and_call(
        self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any
    ) -> AgentChatResponse:
        """Send a chat request with tools and run the tools that the model calls.

        Args:
            tools: The tools that the model may call.
            *args: As for `FunctionCallingLLM.predict_and_call` of LlamaIndex.
            **kwargs: As there, and options of this call, as for `chat`.

        Returns:
            The output of the tools, and in `sources` one ToolOutput per call.

        Raises:
            MalformedReplyError: The model called an unknown tool, or with invalid arguments.
            OneRouterError: The request failed; see `chat`.
        """
        with UnknownToolsReported():
            return super().predict_and_call(tools, *args, **kwargs)

    @redacted_endpoint()
    async def apredict_and_call(
        self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any
    ) -> AgentChatResponse:
        """Run the tools that the model calls; the async form of `predict_and_call`."""
        with UnknownToolsReported():
            return await super().apredict_and_call(tools, *args, **kwargs)

    # --- copying and serialization ---

    def model_dump(self, **kwargs: Any) -> dict[str, Any]:
        """Return the fields as a dict; see `custom_model_dump`."""
        return super().model_dump(**_own_dump(kwargs))

    def model_dump_json(self, **kwargs: Any) -> str:
        """Return the fields as JSON; see `custom_model_dump`."""
        return super().model_dump_json(**_own_dump(kwargs))

    @model_serializer(mode="wrap")
    def custom_model_dump(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Return the fields; within another component's dump only those that change an answer.

        IngestionPipeline's cache key is the dump of a transformation with its model in it: with
        another `timeout`, every answer would be asked for, and billed, again.
        """
        data = super().custom_model_dump(handler, info)
        if not (info.context or {}).get(_OWN_DUMP):
            for name in _NOT_IN_CACHE_KEYS:
                data.pop(name, None)
        return data

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy: LlamaIndex's method deletes unpicklable fields in place."""
        return super(OneRouterLLM, self.model_copy()).__getstate__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        """Copy all fields except the callback manager and the rate limiter, which are shared."""
        memo = {} if memo is None else memo
        for shared in (self.callback_manager, self.rate_limiter):
            memo[id(shared)] = shared
        return super().__deepcopy__(memo)

    @field_serializer("additional_kwargs")
    def _without_secrets(self, options: dict[str, Any]) -> dict[str, Any]:
        return {name: option for name, option in options.items() if name not in SECRET_ARGUMENTS}


def _own_dump(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a dump that is the model's own, not one within another component's."""
    return {**kwargs, "context": {**(kwargs.get("context") or {}), _OWN_DUMP: True}}


def _is_single_tool_call(request: Request) -> bool:
    """Whether to keep only the first tool call: some models ignore `parallel_tool_calls`."""
    return request.parameters.get("parallel_tool_calls") is False


@cache
def _warn_assumed_window(model: str) -> int:
    """Return the default context window in tokens; log a warning, once per model id."""
    _log.warning(
        "The context window of %r is unknown; %d tokens are assumed. "
        "Set context_window=, or give catalog=Catalog.fetch().",
        model,
        _DEFAULT_CONTEXT_WINDOW,
    )
    return _DEFAULT_CONTEXT_WINDOW
