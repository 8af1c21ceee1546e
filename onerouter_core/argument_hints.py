"""Hints for unknown arguments: names of other classes, and slips of the pen.

docs/migrating.md shows the same table. The names of this package's fields are given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping

from onerouter_core.suggestions import close_matches

_MIN_SIMILARITY = 0.8
_MIN_SIMILARITY_OF_DESTINATIONS = 0.9
_DESTINATIONS = frozenset(
    (
        *("api_key", "base_url", "default_headers", "extra_headers", "http_client", "provider"),
        *("http_async_client", "fallback_models"),
    )
)
"""Fields that say where key and prompts go: only a name that is nearly the same suggests them."""

RENAMED: Mapping[str, str] = {
    **dict.fromkeys(("api_base", "openai_api_base", "openrouter_api_base"), "base_url"),
    **dict.fromkeys(("api_url", "endpoint", "host", "url"), "base_url"),
    **dict.fromkeys(("openai_api_key", "openrouter_api_key", "onerouter_api_key"), "api_key"),
    **dict.fromkeys(("infron_api_key", "api_token", "token"), "api_key"),
    **dict.fromkeys(("async_http_client", "http_aclient"), "http_async_client"),
    **dict.fromkeys(("fallbacks", "models"), "fallback_models"),
    **dict.fromkeys(("model_name", "model_id", "deployment_name", "engine"), "model"),
    **dict.fromkeys(("max_completion_tokens", "max_new_tokens", "max_output_tokens"), "max_tokens"),
    **dict.fromkeys(("request_timeout", "stream_chunk_timeout"), "timeout"),
    **dict.fromkeys(("num_retries", "retries"), "max_retries"),
    "headers": "default_headers",
    "openrouter_provider": "provider",
    "stop_sequences": "stop",
    "thinking": "reasoning",
}
"""Field, by the name that another class gives to it."""

_EXTRA_BODY = "Pass extra_body={'NAME': ...}: it has no field here."
_OWN_CLIENT = "Pass http_client= and http_async_client=: HTTP clients, not clients of an SDK."
_PROXY = "Pass http_client= and http_async_client=, or set HTTPS_PROXY and SSL_CERT_FILE."
_HEADERS = "Pass default_headers={...}: by default no header names your application."

ADVICE: Mapping[str, str] = {
    **dict.fromkeys(("context_management", "include", "min_p", "plugins", "preset"), _EXTRA_BODY),
    **dict.fromkeys(("prompt_cache_options", "repetition_penalty", "route", "store"), _EXTRA_BODY),
    **dict.fromkeys(("session_id", "top_k", "trace", "transforms", "truncation"), _EXTRA_BODY),
    **dict.fromkeys(("verbosity",), _EXTRA_BODY),
    "model_kwargs": "Pass extra_body={...}: its keys go into the request body.",
    **dict.fromkeys(("app_categories", "app_title", "app_url"), _HEADERS),
    **dict.fromkeys(
        ("openai_organization", "organization"),
        "Pass default_headers={'OpenAI-Organization': ...}, if your gateway reads it.",
    ),
    **dict.fromkeys(("http_socket_options", "openai_proxy", "proxies", "proxy"), _PROXY),
    **dict.fromkeys(("ssl_verify", "verify"), _PROXY),
    "default_query": "Pass http_client= and http_async_client=: HTTP clients with params=.",
    **dict.fromkeys(("async_client", "async_openai_client", "client"), _OWN_CLIENT),
    **dict.fromkeys(("openai_client", "root_async_client", "root_client"), _OWN_CLIENT),
    "service_tier": "Pass provider={'service_tier': ...}.",
    **dict.fromkeys(("allow_fallbacks", "order"), "Pass provider={'NAME': ...}."),
    "audio_config": "Pass modalities=['text', 'audio'] and extra_body={'audio': ...}.",
    "thinking_budget": "Pass reasoning={'max_tokens': ...}.",
    "json_mode": "Pass response_format='json_object'.",
    **dict.fromkeys(("budget_tokens", "budget_usd"), "Pass ledger=Ledger(NAME=...)."),
    **dict.fromkeys(
        ("functions", "tools"),
        "Pass tools to bind_tools (LangChain) or to chat_with_tools (LlamaIndex).",
    ),
    "strict": "Pass strict= to bind_tools or chat_with_tools; objects are strict if they can be.",
    "should_use_structured_outputs": (
        "Pass structured_output_mode= to OneRouterLLM, or method= to with_structured_output."
    ),
    "system_prompt": "Put a system message first in the messages.",
    "context_window": "Pass profile={'max_input_tokens': ...}, or a catalog=.",
    **dict.fromkeys(
        ("use_previous_response_id", "use_responses_api"),
        "Leave it out: requests go to the chat completions API.",
    ),
    "include_response_headers": (
        "Leave it out: rate limits and request_id are always in response_metadata."
    ),
    "disabled_params": "Leave it out: arguments that are None are not sent.",
    **dict.fromkeys(
        ("tiktoken_model_name", "tokenizer"), "Leave it out: tokens are estimated without one."
    ),
    **dict.fromkeys(
        ("is_chat_model", "is_function_calling_model"),
        "Leave it out: it is one, unless a catalog says otherwise.",
    ),
    **dict.fromkeys(("api_version", "reuse_client"), "Leave it out: it has no meaning here."),
}
"""Sentence, by the name of another class's argument that is no field here. NAME is the name."""

BODY_KEYS = frozenset(
    (
        *("audio", "chat_template_kwargs", "enable_thinking", "image_config", "metadata", "min_p"),
        *("n", "plugins", "prediction", "preset", "repetition_penalty", "route", "service_tier"),
        *("safety_identifier", "session_id", "store", "top_a", "top_k", "transforms", "verbosity"),
    )
)
"""Keywords of a call that have no field and go into the request body: keys that the gateway passes
on to upstreams, or that servers with its API take."""


def argument_hint(name: str, names: set[str]) -> str:
    """Return a sentence that says what to pass instead, to be appended to an error message.

    Args:
        name: the unknown argument.
        names: the arguments that are known.

    """
    if (field := RENAMED.get(name) or _close_name(name, names)) in names and name not in ADVICE:
        return f" Did you mean {field!r}?"
    default = "A parameter of the gateway that has no field here goes into extra_body."
    return " " + ADVICE.get(name, default).replace("NAME", name)


def _close_name(name: str, names: set[str]) -> str | None:
    """Return the known name of which this one is a slip; None if there is none."""
    close = close_matches(name, names - _DESTINATIONS, 1, _MIN_SIMILARITY)
    destinations = names & _DESTINATIONS
    close = close or close_matches(name, destinations, 1, _MIN_SIMILARITY_OF_DESTINATIONS)
    return close[0] if close else None
