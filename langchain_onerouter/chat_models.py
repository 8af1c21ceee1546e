"""ChatOneRouter: fields and hooks.

This module knows BaseChatModel. What a message, a reply or an error looks like, its neighbours
know; what goes over the wire, only the core does. Sync and async hooks differ in the await alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import AliasChoices, ConfigDict, Field, PrivateAttr, model_validator
from typing_extensions import Self

from langchain_onerouter.auto_method import Way
from langchain_onerouter.errors import OneRouterError, in_langchain_words
from langchain_onerouter.messages import PROVIDER, to_messages
from langchain_onerouter.profiles import to_profile
from langchain_onerouter.replies import to_chunks, to_result, total_of
from langchain_onerouter.structured_output import Method, structured, to_format
from langchain_onerouter.tools import check_choice, to_dicts, to_tools
from onerouter_core import Gateway, GatewayModel, Parameters, Request, __version__
from onerouter_core.errors import ConfigurationError
from onerouter_core.retry import OnRetry
from onerouter_core.tracebacks import without_frames
from onerouter_core.wire.requests import encode, read_tool_choice

# What a call may be given that no trace and no cache key may show.
_HIDDEN = {"api_key", "default_headers", "extra_headers", "http_client", "http_async_client"}


class ChatOneRouter(GatewayModel, BaseChatModel):
    """Chat with any model behind a OneRouter key, at `base_url`.

    >>> ChatOneRouter(model="deepseek/deepseek-v4-flash").invoke("Hello").content

    What the API takes can be given per call as well: `llm.invoke("Hello", temperature=0)`. Tokens
    are in an answer's `usage_metadata`; cost (USD), upstream and ids in `response_metadata`. Raises
    the errors of `langchain_onerouter.errors`.
    """

    model_config = ConfigDict(
        hide_input_in_errors=True, arbitrary_types_allowed=True, populate_by_name=True
    )

    stop: list[str] | str | None = Field(
        default=None,
        validation_alias=AliasChoices("stop", "stop_sequences"),
        description="Where to stop generating.",
    )
    n: int | None = Field(default=None, ge=1, description="How many answers; only unstreamed.")
    streaming: bool | None = Field(
        default=None, description="Stream also where `invoke` was called."
    )
    cost_in_usage: bool = Field(
        default=False,
        description="Put the cost into usage_metadata, where LangSmith looks for it; LangChain "
        "itself cannot add up counts that have a cost.",
    )

    _known_ways: dict[str, Way] = PrivateAttr(default_factory=dict)

    @property
    def known_ways(self) -> dict[str, Way]:
        """How each model was last asked for an object with success, by its id."""
        return self._known_ways

    # --- what LangChain asks about the model ---

    @property
    def _llm_type(self) -> str:
        return "onerouter-chat"

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Say that `dumps` works; so does `loads` after `register()`, with our namespace valid."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Where the key comes from when a serialised model is loaded."""
        return {"api_key": "ONEROUTER_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """Return the objects among the fields as what they are made of."""
        return {n: value.to_dict() for n, value in self if hasattr(value, "to_dict")}

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Return what changes the answer: the cache key is made of it, and traces show it."""
        settings = self.resolve({"n": self.n})
        plain = {
            name: value.to_dict() if hasattr(value, "to_dict") else value
            for name, value in settings.parameters.items()
        }
        return {"model": self.model, "base_url": self.base_url, **plain}

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the same with a call's own, but no secret; its silence means the field."""
        stop_now: Any = self.stop if stop is None else stop
        shown = {name: value for name, value in kwargs.items() if name not in _HIDDEN}
        return super()._get_invocation_params(stop=stop_now, **shown)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        if stop_now := stop or self.stop:
            params["ls_stop"] = [stop_now] if isinstance(stop_now, str) else stop_now
        return params

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Return the cache key; core's own is made once, and stale after an assignment."""
        asked = self._get_invocation_params(stop=stop, **kwargs)
        return str([*sorted(asked.items()), self.output_version, self.replay_reasoning])

    def _resolve_model_profile(self) -> ModelProfile | None:
        """Return what the catalogue says of the model; LangChain asks only without `profile`."""
        return to_profile(self.listed) if self.listed else None

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        return total_of(llm_outputs)

    def get_num_tokens(self, text: str) -> int:
        """Return about how many tokens a text has; nothing is looked up or downloaded."""
        return self.get_num_tokens_from_messages([HumanMessage(text)])

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return about how many tokens messages and tools have, by the usage reported so far."""
        offered: list[Any] | None = to_dicts(tools, strict=None) if tools else None
        return int(
            count_tokens_approximately(messages, tools=offered, use_usage_metadata_scaling=True)
        )

    @model_validator(mode="after")
    def _say_which_version(self) -> Self:
        self._add_version("langchain-onerouter", __version__)
        return self

    # --- calls ---

    def _prepare(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]
    ) -> tuple[Gateway, Request]:
        """Return where to send a call and what to send; nothing is sent before all is checked."""
        for name in given.keys() & _OF_THE_MODEL:
            raise ConfigurationError(f"{name} belongs to the model: a call cannot change it.")
        options = {**given, "n": given.get("n") or self.n}
        tools = options.pop("tools", None) or ()
        choice = options.pop("tool_choice", None)
        stop = options.pop("stop_sequences", stop)
        gateway, settings = self.open({**options, "stop": stop})
        request = Request(
            model=settings.model,
            messages=to_messages(messages, settings.model, self.replay_reasoning),
            tools=to_tools(tools),
            tool_choice=read_tool_choice(choice),
            parameters=settings.parameters,
        )
        return gateway, request

    def preview(
        self, messages: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the JSON body that `invoke` would send, and send nothing."""
        with in_langchain_words():
            _, request = self._prepare(self.to_messages(messages), stop, kwargs)
            return encode(request)[0]

    def to_messages(self, given: LanguageModelInput) -> list[BaseMessage]:
        """Return what `invoke` makes of a string, a prompt or a list of messages in any form."""
        return self._convert_input(given).to_messages()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with in_langchain_words():
            gateway, request = self._prepare(messages, stop, kwargs)
            reply = gateway.complete(request, self._retry(run_manager))
            return to_result(reply, cost_in_usage=self.cost_in_usage)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with in_langchain_words():
            gateway, request = self._prepare(messages, stop, kwargs)
            reply = await gateway.acomplete(request, self._aretry(run_manager))
            return to_result(reply, cost_in_usage=self.cost_in_usage)

    async def agenerate(self, *args: Any, **kwargs: Any) -> LLMResult:
        """Return the answers to several lists of messages, as LangChain does."""
        try:
            return await super().agenerate(*args, **kwargs)
        except OneRouterError as error:
            failed = [error]
        raise without_frames(failed.pop())

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with in_langchain_words():
            gateway, request = self._prepare(messages, stop, kwargs)
            with closing(gateway.stream(request, self._retry(run_manager))) as pieces:
                for piece in pieces:
                    yield from to_chunks(piece, cost_in_usage=self.cost_in_usage)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with in_langchain_words():
            gateway, request = self._prepare(messages, stop, kwargs)
            stream = await gateway.astream(request, self._aretry(run_manager))
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    for chunk in to_chunks(piece, cost_in_usage=self.cost_in_usage):
                        yield chunk

    def _retry(self, run_manager: CallbackManagerForLLMRun | None) -> OnRetry:
        """Let callbacks hear of a retry, and ask the rate limiter: LangChain does once per call."""

        def on_retry(state: Any) -> None:
            if run_manager is not None:
                run_manager.on_retry(state)
            if self.rate_limiter is not None:
                self.rate_limiter.acquire()

        return on_retry

    def _aretry(self, run_manager: AsyncCallbackManagerForLLMRun | None) -> OnRetry:
        async def on_retry(state: Any) -> None:
            if run_manager is not None:
                await run_manager.on_retry(state)
            if self.rate_limiter is not None:
                await self.rate_limiter.aacquire()

        return on_retry

    # --- tools and structured output ---

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return this model with tools to call.

        `tool_choice` is "auto", "none", "any" (or "required", True), a tool's name, or the API's
        own form; `strict` makes the models that can keep to the schemas do so. Any per-call
        parameter can be bound with them; `response_format` may be a class.
        """
        with in_langchain_words():
            dicts = to_dicts(tools, strict=strict)
            check_choice(tool_choice, dicts)
            if isinstance(kwargs.get("response_format"), type):
                kwargs["response_format"] = to_format(kwargs["response_format"], strict=strict)
        bound = {"tools": dicts or None, "tool_choice": tool_choice, **kwargs}
        return self.bind(**{name: value for name, value in bound.items() if value is not None})

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Method = "auto",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a runnable that answers with an object of the schema, or raises.

        `schema` is a pydantic class, a TypedDict or a JSON schema; for `method="json_mode"` it may
        be None. "auto" asks by JSON schema, and where the model cannot, by function calling, then
        by JSON mode. With `include_raw` the result is {"raw", "parsed", "parsing_error"}.
        """
        with in_langchain_words():
            return structured(
                self, schema, method=method, include_raw=include_raw, strict=strict, **kwargs
            )


_OF_THE_MODEL = ChatOneRouter.model_fields.keys() - Parameters.model_fields.keys() - {"n", "stop"}
