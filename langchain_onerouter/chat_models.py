"""`ChatOneRouter`: the fields, and the hooks of LangChain's `BaseChatModel`.

The other modules of this package convert messages, replies, tools and errors; only onerouter_core
knows the wire format. Sync and async hooks differ in `await` alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from copy import deepcopy
from dataclasses import asdict
from functools import partial
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

from langchain_onerouter.errors import OneRouterError, TranslateErrors, translate_errors
from langchain_onerouter.messages import PROVIDER, to_messages
from langchain_onerouter.profiles import to_profile
from langchain_onerouter.replies import (
    ReplyChunks,
    ReplyForm,
    combine_llm_outputs,
    complete_result,
    to_result,
)
from langchain_onerouter.structured_output import Method, structured_output_runnable
from langchain_onerouter.tools import check_choice, to_dicts, to_tools
from onerouter_core import (
    SECRET_ARGUMENTS,
    Gateway,
    GatewayFields,
    GatewayModel,
    JsonSchema,
    Request,
    SupportedMethods,
    __version__,
    class_response_format,
    without_frames,
)
from onerouter_core.errors import ConfigurationError
from onerouter_core.wire import decode_tool_choice, encode_request


class ChatOneRouter(GatewayModel, BaseChatModel):
    """LangChain chat model for the OneRouter gateway: every model id behind one API key.

    >>> ChatOneRouter(model="deepseek/deepseek-v4-flash").invoke("Hello").content

    Request and connection fields can also be given per call, as can `extra_headers`:
    `llm.invoke("Hello", temperature=0)`. An unknown keyword is an error; keys of the request body
    that have no field go into `extra_body`.

    An answer is an AIMessage (streamed: AIMessageChunks). Token counts are in `usage_metadata`;
    cost (USD), upstream provider, ids and finish reason are in `response_metadata`.

    Raises ConfigurationError (a ValueError) for a wrong argument, before anything is sent, and the
    other errors of `langchain_onerouter.errors` for a failed call.
    """

    model_config = ConfigDict(
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        populate_by_name=True,
        use_attribute_docstrings=True,  # the docstring under a field is its description
    )

    stop: list[str] | str | None = Field(
        default=None, validation_alias=AliasChoices("stop", "stop_sequences")
    )
    """Stop sequences: generation ends before the first of them. Alias: stop_sequences."""

    n: int | None = Field(default=None, ge=1)
    """Number of answers per request (1 or more); a streamed call can have only one. Default: 1."""

    streaming: bool | None = Field(default=None)
    """Whether invoke and ainvoke stream the answer, so that callbacks receive each token. Default:
    only if a streaming callback handler is attached, as LangGraph attaches one."""

    cost_in_usage: bool = Field(default=False)
    """Whether to put the cost (USD) into usage_metadata["total_cost"], where LangSmith reads it: of
    a complete message, and of the sum of a stream's chunks. LangChain's `add_usage`, and so its
    UsageMetadataCallbackHandler, cannot add up counts that include a cost."""

    include_raw_response: bool = Field(default=False)
    """Whether to put the gateway's JSON into response_metadata["raw"]: that of a complete answer,
    or the completion that the events of a stream add up to, on its last chunk. Secrets that were
    sent are masked in it."""

    _supported_methods: SupportedMethods = PrivateAttr(default_factory=SupportedMethods)

    # --- model properties that LangChain reads ---

    @property
    def _llm_type(self) -> str:
        return "onerouter-chat"

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return True: `dumps` works, and after `register()` so does `loads`.

        `loads` needs "langchain_onerouter" in its `valid_namespaces`.
        """
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Environment variable of each secret field: `loads` reads the key from it."""
        return {"api_key": "ONEROUTER_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """Fields that hold objects of ours, as dicts that `dumps` can write."""
        objects = {name: value.to_dict() for name, value in self if hasattr(value, "to_dict")}
        if isinstance(self.response_format, JsonSchema):
            objects["response_format"] = asdict(self.response_format)
        return objects

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Parameters that change the answer: cache keys contain them, and traces show them."""
        parameters = {
            name: value.to_dict() if hasattr(value, "to_dict") else value
            for name, value in self._set_parameters().items()
        }
        parameters["extra_body"] = {**(self.extra_body or {}), **({"n": self.n} if self.n else {})}
        return {"model": self.model, "base_url": self.base_url, **parameters}

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the identifying parameters and the per-call ones, without secrets.

        The field `stop` applies unless the call gives its own.
        """
        effective_stop: Any = self.stop if stop is None else stop
        visible = {name: value for name, value in kwargs.items() if name not in SECRET_ARGUMENTS}
        if isinstance(visible.get("response_format"), type):  # a cache key needs its fields
            visible["response_format"] = class_response_format(visible["response_format"])
        return super()._get_invocation_params(stop=effective_stop, **visible)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        """Return the parameters that LangSmith shows, with our provider name and `stop`."""
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        if sequences := stop or self.stop:
            params["ls_stop"] = [sequences] if isinstance(sequences, str) else sequences
        return params

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Return the model's part of a cache key, computed for each call.

        langchain-core serialises the model once for it, which an assignment to a field makes stale.
        """
        params = self._get_invocation_params(stop=stop, **kwargs)
        others = [self.output_version, self.replay_reasoning]
        others += ["include_raw_response"] if self.include_raw_response else []
        return str([*sorted(params.items()), *others])

    def _resolve_model_profile(self) -> ModelProfile | None:
        """Return the profile from the catalogue; LangChain calls this only without `profile`."""
        return to_profile(self._model_info) if self._model_info else None

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        return combine_llm_outputs(llm_outputs)

    def get_num_tokens(self, text: str) -> int:
        """Estimate the number of tokens of a text, without network access."""
        return self.get_num_tokens_from_messages([HumanMessage(text)])

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Estimate the number of tokens of messages and tools, without network access.

        The estimate is scaled by the usage that the answers among the messages report.
        """
        tool_dicts: list[Any] | None = to_dicts(tools, strict=None) if tools else None
        return int(
            count_tokens_approximately(messages, tools=tool_dicts, use_usage_metadata_scaling=True)
        )

    @model_validator(mode="after")
    def _add_version_metadata(self) -> Self:
        self._add_version("langchain-onerouter", __version__)
        return self

    @model_validator(mode="after")
    def _check_streaming_answers(self) -> Self:
        if self.streaming and (self.n or 1) > 1:
            raise ConfigurationError(
                f"streaming=True needs n=1, not {self.n}: a stream carries one."
            )
        return self

    # --- calls ---

    def _prepare(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> tuple[Gateway, Request, ReplyForm]:
        """Return gateway, request and form of the answer of one call; raise ConfigurationError.

        Secret arguments are taken out of `kwargs`.
        """
        options = {**kwargs, "n": kwargs.get("n") or self.n}
        for name in SECRET_ARGUMENTS & kwargs.keys():
            del kwargs[name]  # a local of the frame that shows in the traceback of an error
        for name in kwargs.keys() & _MODEL_ONLY_FIELDS:
            raise ConfigurationError(
                f"{name} belongs to the model and cannot be changed per call: set it in the "
                "constructor of ChatOneRouter."
            )
        tools = options.pop("tools", None) or ()
        choice = options.pop("tool_choice", None)
        stop = options.pop("stop_sequences", stop)
        gateway, settings = self._prepare_call({**options, "stop": stop})
        request = Request(
            model=settings.model,
            messages=to_messages(messages, settings.model, self.replay_reasoning),
            tools=to_tools(tools) if tools else (),
            tool_choice=decode_tool_choice(choice),
            parameters=settings.parameters,
        )
        raw_of = self.include_raw_response and self._raw_json
        return gateway, request, {"cost_in_usage": self.cost_in_usage, "raw_of": raw_of}

    def preview(
        self, messages: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the JSON body that `invoke` would send, without sending it.

        Args:
            messages: the input of `invoke`: a string, a prompt value or a list of messages.
            stop: stop sequences; default: the field.
            **kwargs: per-call keywords, as in `invoke`; also those that a runnable has bound, such
                as `llm.with_structured_output(...).first.kwargs`.

        Raises:
            ConfigurationError: an argument is wrong or out of range.
            UnsupportedContentError: a message has content that the API cannot carry.

        """
        options = {name: value for name, value in kwargs.items() if name not in _TRACING_KEYWORDS}
        with translate_errors:
            _, request, _ = self._prepare(self.to_messages(messages), stop, options)
            # The body shares its schemas with those kept by class.
            return deepcopy(encode_request(request)[0])

    def to_messages(self, input: LanguageModelInput) -> list[BaseMessage]:
        """Convert an input of `invoke` (string, prompt value, list of messages) to messages."""
        return self._convert_input(input).to_messages()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with translate_errors:
            gateway, request, form = self._prepare(messages, stop, kwargs)
            on_retry = partial(self._on_retry, run_manager)
            return to_result(gateway.complete(request, on_retry), **form)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with translate_errors:
            gateway, request, form = self._prepare(messages, stop, kwargs)
            on_retry = partial(self._aon_retry, run_manager)
            return to_result(await gateway.acomplete(request, on_retry), **form)

    async def agenerate(self, *args: Any, **kwargs: Any) -> LLMResult:
        """Return the answers to several lists of messages, see `BaseChatModel.agenerate`.

        Its frame keeps the error that it raises, a reference cycle with the locals of all callers;
        without frames the error breaks the cycle (see `onerouter_core.tracebacks`).
        """
        results = super().agenerate(*args, **kwargs)
        del args, kwargs  # the key may be among them: error trackers show the locals of frames
        try:
            return await results
        except OneRouterError as error:
            caught = [error]
        raise without_frames(caught.pop())

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with translate_errors:
            gateway, request, form = self._prepare(messages, stop, kwargs)
            chunks = ReplyChunks(**form)
            on_retry = partial(self._on_retry, run_manager)
            with closing(gateway.stream(request, on_retry)) as deltas:
                for delta in deltas:
                    yield from chunks.convert(delta)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with translate_errors:
            gateway, request, form = self._prepare(messages, stop, kwargs)
            chunks = ReplyChunks(**form)
            on_retry = partial(self._aon_retry, run_manager)
            async with aclosing(await gateway.astream(request, on_retry)) as deltas:
                async for delta in deltas:
                    for chunk in chunks.convert(delta):
                        yield chunk

    # BaseChatModel's own hooks, not public ones: in a version without them nothing is added.
    def _generate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        with TranslateErrors(kwargs):
            result = super()._generate_with_cache(*args, **kwargs)
        return complete_result(result, cost_in_usage=self.cost_in_usage)

    async def _agenerate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        with TranslateErrors(kwargs):
            result = await super()._agenerate_with_cache(*args, **kwargs)
        return complete_result(result, cost_in_usage=self.cost_in_usage)

    def _on_retry(self, run_manager: CallbackManagerForLLMRun | None, state: Any) -> None:
        """Notify callbacks before a retry, and wait for the rate limiter.

        LangChain itself waits for the rate limiter only once per call.
        """
        if run_manager is not None:
            run_manager.on_retry(state)
        if self.rate_limiter is not None:
            self.rate_limiter.acquire()

    async def _aon_retry(
        self, run_manager: AsyncCallbackManagerForLLMRun | None, state: Any
    ) -> None:
        """Notify callbacks and wait, see `_on_retry`."""
        if run_manager is not None:
            await run_manager.on_retry(state)
        if self.rate_limiter is not None:
            await self.rate_limiter.aacquire()

    # --- tools and structured output ---

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools that the model may call.

        Args:
            tools: functions, BaseTools, pydantic or TypedDict classes, JSON schemas, tool dicts of
                OpenAI or Anthropic, or dicts of tools that the gateway runs itself.
            tool_choice: "auto", "none", "any" (also "required" or True: at least one call), the
                name of a tool, or a dict as OpenAI or Anthropic have it. Default: the model's own.
            strict: whether arguments must match the schemas exactly; the schemas are made strict.
            parallel_tool_calls: whether one answer may hold several calls. Default: the field.
            **kwargs: per-call keywords to bind as well; `response_format` may be a class.

        Raises:
            ConfigurationError: a tool cannot be converted, a schema cannot be made strict, or
                `tool_choice` names none of the tools.

        """
        with TranslateErrors(kwargs):
            dicts = to_dicts(tools, strict=strict)
            check_choice(tool_choice, dicts)
            if isinstance(kwargs.get("response_format"), type):
                kwargs["response_format"] = class_response_format(
                    kwargs["response_format"], strict=strict
                )
        bound = {
            "tools": dicts or None,
            "tool_choice": tool_choice,
            "parallel_tool_calls": parallel_tool_calls,
            **kwargs,
        }
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
        """Return a runnable that outputs an object of the schema.

        Args:
            schema: a pydantic class (the output is an instance), or a TypedDict, JSON schema or
                function dict (the output is a dict). None only with `method="json_mode"`.
            method: "json_schema" (response format), "function_calling" (a forced tool call),
                "json_mode" (the schema is in the prompt), or "auto": the first of these, in this
                order, that the model supports. The choice is remembered per model.
            include_raw: whether the output is {"raw": message, "parsed": object or None,
                "parsing_error": error or None} instead of the object.
            strict: whether the answer must match the schema exactly; the schema is made strict.
                None: strict with a JSON schema that can be made strict, otherwise not.
            **kwargs: per-call keywords to bind as well, such as `tools`.

        Raises:
            ConfigurationError: the schema or the method cannot be used; raised here. Without an
                object, the call raises MalformedReplyError, RefusalError, LengthLimitError or
                ContentFilterError.

        """
        with TranslateErrors(kwargs):
            return structured_output_runnable(
                self,
                self._supported_methods,
                schema,
                method=method,
                include_raw=include_raw,
                strict=strict,
                **kwargs,
            )


# BaseChatModel takes them out of the keywords of a call.
_TRACING_KEYWORDS = {"ls_structured_output_format", "structured_output_format"}
_MODEL_ONLY_FIELDS = (
    ChatOneRouter.model_fields.keys() - GatewayFields.model_fields.keys() - {"n", "stop"}
)
