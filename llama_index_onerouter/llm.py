"""OneRouterLLM: fields, metadata and hooks.

This module knows FunctionCallingLLM. What a message, a response or a tool looks like, its
neighbours know; what goes over the wire, only the core does. Sync and async differ in the await.
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
from pydantic import ConfigDict, Field, field_serializer

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
from llama_index_onerouter.tools import to_selections, to_tool, tool_kwargs, unknown_tools_reported
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
)
from onerouter_core.errors import ConfigurationError
from onerouter_core.wire import decode_tool_choice, encode_request

_CONTEXT_WINDOW = 128_000
_MERGED_OPTIONS = ("extra_body", "extra_headers")  # objects whose keys are each an argument
_log = logging.getLogger("onerouter_core")


class OneRouterLLM(GatewayModel, StructuredPrediction):
    """Any model behind a OneRouter key, at `base_url`.

    >>> OneRouterLLM(model="deepseek/deepseek-v4-flash").complete("Hello").text

    What the API takes can be given per call as well: `llm.chat(messages, temperature=0)`. Tokens,
    cost (USD), finish reason, upstream and ids are in a response's `additional_kwargs`, on the last
    item of a stream, too. Raises the errors of `onerouter_core.errors`.
    """

    model_config = ConfigDict(
        hide_input_in_errors=True, arbitrary_types_allowed=True, populate_by_name=True
    )

    # It is equal to nothing but itself.
    _eq_ignored_fields: ClassVar[frozenset[str]] = frozenset({"callback_manager"})

    context_window: int | None = Field(
        default=None, gt=0, description="Tokens in and out; None: the catalogue's, or 128,000."
    )
    is_function_calling_model: bool | None = Field(
        default=None,
        description="Whether agents offer it tools; None: the catalogue's word, or yes.",
    )
    additional_kwargs: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Keywords for every call; the call's win."
    )

    # --- what LlamaIndex asks about the model ---

    @classmethod
    def class_name(cls) -> str:
        """Return the name that serialised models go by."""
        return "OneRouterLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """Return what prompts and memories are cut to; it asks nobody and never raises."""
        return self._metadata(self._known_window() or _warn_assumed_window(self.model))

    def _known_window(self) -> int | None:
        return self.context_window or (
            self._model_info.context_window if self._model_info else None
        )

    def _metadata(self, window: int) -> LLMMetadata:
        calls = self.is_function_calling_model
        if calls is None:
            calls = self._model_info is None or self._model_info.tools is not False
        return LLMMetadata(
            context_window=window,
            # LlamaIndex takes this off the window; what is left must have room for a prompt.
            num_output=min(self.max_tokens, window // 2) if self.max_tokens else -1,
            is_chat_model=True,
            is_function_calling_model=calls,
            model_name=self.model,
        )

    def to_payload(self) -> dict[str, Any]:
        """Return what traces show of the model: nothing secret."""
        shown = ("model", "temperature", "top_p", "max_tokens")
        facts = {name: getattr(self, name) for name in shown}
        return {
            "class_name": self.class_name(),
            **self._metadata(self._known_window() or _CONTEXT_WINDOW).model_dump(),
            **{name: fact for name, fact in facts.items() if fact is not None},
        }

    # --- chat ---

    @traced_endpoint(llm_chat_callback())
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the answer; raise OneRouterError."""
        gateway, request = self._prepare(messages, kwargs)
        return to_response(
            gateway.complete(request, self._retry), single_tool_call=_wants_one_call(request)
        )

    @traced_endpoint(llm_chat_callback())
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the answer; raise OneRouterError."""
        gateway, request = self._prepare(messages, kwargs)
        reply = await gateway.acomplete(request, self._aretry)
        return to_response(reply, single_tool_call=_wants_one_call(request))

    @traced_endpoint(llm_chat_callback())
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Send now, and yield the answer as it grows."""
        return self._stream(messages, kwargs)

    @traced_endpoint(llm_chat_callback())
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Send when awaited, and yield the answer as it grows."""
        return await self._astream(messages, kwargs)

    # --- completion ---

    @traced_endpoint(llm_completion_callback())
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Return the answer to a prompt; raise OneRouterError."""
        gateway, request = self._prepare(self._prompt_messages(prompt, formatted=formatted), kwargs)
        return to_completion(to_response(gateway.complete(request, self._retry)))

    @traced_endpoint(llm_completion_callback())
    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Return the answer to a prompt; raise OneRouterError."""
        gateway, request = self._prepare(self._prompt_messages(prompt, formatted=formatted), kwargs)
        return to_completion(to_response(await gateway.acomplete(request, self._aretry)))

    @traced_endpoint(llm_completion_callback())
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Send now, and yield the answer as it grows."""
        return to_completions(
            self._stream(self._prompt_messages(prompt, formatted=formatted), kwargs)
        )

    @traced_endpoint(llm_completion_callback())
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """Send when awaited, and yield the answer as it grows."""
        messages = self._prompt_messages(prompt, formatted=formatted)
        return ato_completions(await self._astream(messages, kwargs))

    # --- what all of them share ---

    def preview(self, messages: Sequence[ChatMessage], **kwargs: Any) -> dict[str, Any]:
        """Return the JSON body that `chat` would send, and send nothing."""
        _, request = self._prepare(messages, kwargs)
        return deepcopy(encode_request(request)[0])  # the schemas in it are kept

    def _prepare(
        self, messages: Sequence[ChatMessage], given: Mapping[str, Any]
    ) -> tuple[Gateway, Request]:
        """Return where to send a call and what to send; nothing is sent before all is checked."""
        options = self._options(given)
        tools = options.pop("tools", ())
        choice = options.pop("tool_choice", None)
        gateway, settings = self._prepare_call(options)
        request = Request(
            model=settings.model,
            messages=to_messages(messages, settings.model, self.replay_reasoning),
            tools=tuple(to_tool(tool) for tool in tools),
            tool_choice=decode_tool_choice(choice),
            parameters=settings.parameters,
        )
        return gateway, request

    def _options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords of a call over those of every call."""
        always = self.additional_kwargs
        options = always | {n: v for n, v in unmask_secrets(given).items() if v is not None}
        for name in options:
            if name in type(self).model_fields and name not in GatewayFields.model_fields:
                raise ConfigurationError(f"{name} belongs to the model: a call cannot change it.")
        for name in _MERGED_OPTIONS:
            if name in always:
                options[name] = deep_merge(always[name], options[name])
        return options

    def _stream(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> ChatResponseGen:
        gateway, request = self._prepare(messages, given)
        return to_responses(
            gateway.stream(request, self._retry), single_tool_call=_wants_one_call(request)
        )

    async def _astream(
        self, messages: Sequence[ChatMessage], given: Mapping[str, Any]
    ) -> ChatResponseAsyncGen:
        gateway, request = self._prepare(messages, given)
        deltas = await gateway.astream(request, self._aretry)
        return ato_responses(deltas, single_tool_call=_wants_one_call(request))

    def _prompt_messages(self, prompt: str, *, formatted: bool) -> list[ChatMessage]:
        if not isinstance(prompt, str):  # LlamaIndex would make an empty message of it
            raise ConfigurationError(
                f"A prompt is a string, not {type(prompt).__name__}: use chat."
            )
        if not formatted and self.completion_to_prompt is not None:
            prompt = self.completion_to_prompt(prompt)
        return [ChatMessage(prompt, role=MessageRole.USER)]

    def _retry(self, _: Any) -> None:
        """Ask the rate limiter again: LlamaIndex does so once per call."""
        if limiter := getattr(self, "rate_limiter", None):  # older versions have none
            limiter.acquire()

    async def _aretry(self, _: Any) -> None:
        if limiter := getattr(self, "rate_limiter", None):
            await limiter.async_acquire()

    # --- tools ---

    @traced_endpoint()
    def _prepare_chat_with_tools(  # noqa: PLR0913, PLR0917 -- LlamaIndex's signature
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,  # noqa: ARG002 -- LlamaIndex passes it
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: Any = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the keywords for `chat`."""
        if isinstance(user_msg, str):
            user_msg = ChatMessage(user_msg, role=MessageRole.USER)
        offered = tool_kwargs(
            tools,
            choice=tool_choice,
            required=tool_required,
            parallel=allow_parallel_tool_calls,
            keep_strictly=bool(strict),
        )
        messages = [*(chat_history or ()), *([user_msg] if user_msg else ())]
        return {"messages": messages, **offered, **kwargs}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **_: Any
    ) -> list[ToolSelection]:
        """Return what is to be called; raise ValueError, as LlamaIndex's models do, if nothing is.

        A call whose arguments are invalid names no tool of yours and says in its name why: it
        never runs, and an agent reports it to the model.
        """
        selections = to_selections(response.message)
        if not selections and error_on_no_tool_call:
            raise ValueError("Expected at least one tool call, but got none.")
        return selections

    @redacted_endpoint()
    def predict_and_call(
        self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any
    ) -> AgentChatResponse:
        """Run the tools that the model calls; raise OneRouterError for a call that cannot be."""
        with unknown_tools_reported():
            return super().predict_and_call(tools, *args, **kwargs)

    @redacted_endpoint()
    async def apredict_and_call(
        self, tools: Sequence[BaseTool], *args: Any, **kwargs: Any
    ) -> AgentChatResponse:
        """Run the tools that the model calls; raise OneRouterError for a call that cannot be."""
        with unknown_tools_reported():
            return await super().apredict_and_call(tools, *args, **kwargs)

    # --- an instance as a value ---

    def __getstate__(self) -> dict[str, Any]:
        """Take what does not pickle from a copy: LlamaIndex takes it from the living."""
        return super(OneRouterLLM, self.model_copy()).__getstate__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        """Copy all but those who watch over the calls: they stay shared."""
        memo = {} if memo is None else memo
        for watcher in (self.callback_manager, getattr(self, "rate_limiter", None)):
            memo[id(watcher)] = watcher
        return super().__deepcopy__(memo)

    @field_serializer("additional_kwargs")
    def _without_secrets(self, options: dict[str, Any]) -> dict[str, Any]:
        return {name: option for name, option in options.items() if name not in SECRET_ARGUMENTS}


def _wants_one_call(request: Request) -> bool:
    """Tell whether one tool call was asked for: models that cannot be told still send several."""
    return request.parameters.get("parallel_tool_calls") is False


@cache
def _warn_assumed_window(model: str) -> int:
    """Return the usual window, and say once for a model that it is a guess."""
    _log.warning(
        "Nothing says how large the context window of %r is; %d tokens are assumed. "
        "Give context_window=, or catalog=Catalog.fetch().",
        model,
        _CONTEXT_WINDOW,
    )
    return _CONTEXT_WINDOW
