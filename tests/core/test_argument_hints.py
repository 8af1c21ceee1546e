"""Hints for arguments that no field has the name of: other classes' names, and slips."""

from __future__ import annotations

from pathlib import Path

import pytest

from onerouter_core import GatewayFields
from onerouter_core.argument_hints import ADVICE, BODY_KEYS, RENAMED, argument_hint

NAMES = set(GatewayFields.model_fields)
PAGE = Path(__file__).parents[2] / "docs" / "migrating.md"

# Constructor arguments that ours do not have: langchain-openai 1.7.4, langchain-openrouter 0.2.9,
# llama-index-llms-openai-like 0.7.2, llama-index-llms-openrouter 0.6.0.
OF_OTHER_CLASSES = {
    "ChatOpenAI": """
        async_client client context_management default_query disabled_params http_socket_options
        include include_response_headers max_completion_tokens model_kwargs model_name
        openai_api_base openai_api_key openai_organization openai_proxy organization
        prompt_cache_options request_timeout root_async_client root_client service_tier store
        stream_chunk_timeout tiktoken_model_name truncation use_previous_response_id
        use_responses_api verbosity""",
    "ChatOpenRouter": """
        app_categories app_title app_url client max_completion_tokens model_kwargs model_name
        openrouter_api_base openrouter_api_key openrouter_provider plugins request_timeout route
        session_id trace""",
    "OpenAILike": """
        api_base api_version async_http_client async_openai_client audio_config is_chat_model
        openai_client reuse_client should_use_structured_outputs strict tokenizer""",
    "OpenRouter": """
        allow_fallbacks api_base api_version audio_config is_chat_model order reuse_client
        should_use_structured_outputs strict tokenizer""",
}


@pytest.mark.parametrize("name", sorted({n for s in OF_OTHER_CLASSES.values() for n in s.split()}))
def test_every_argument_of_other_classes_has_a_hint(name: str) -> None:
    """The field, or what to do."""
    if name in RENAMED:
        assert argument_hint(name, NAMES) == f" Did you mean {RENAMED[name]!r}?"
    else:
        assert argument_hint(name, NAMES) == " " + ADVICE[name].replace("NAME", name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("temperatur", "temperature"),
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("maxtokens", "max_tokens"),
        ("apikey", "api_key"),
        ("baseurl", "base_url"),
        ("base_ur", "base_url"),
        ("modle", "model"),
        ("time_out", "timeout"),
        ("max_retry", "max_retries"),
        ("onerouter_api_key", "api_key"),
        ("fallback_model", "fallback_models"),
    ],
)
def test_a_slip_is_answered_with_the_field(name: str, expected: str) -> None:
    """So is a name that other classes give to it."""
    assert argument_hint(name, NAMES) == f" Did you mean {expected!r}?"


@pytest.mark.parametrize(
    "name",
    [
        *("app_url", "api_version", "proxy_url", "webhook_url", "database_url", "use_url", "key"),
        *("keys", "client_id", "headers_only", "http_proxy", "models_dir", "provider_id"),
        *("service_tier", "strict", "tokenizer", "store", "tools", "system_prompt", "budget_usd"),
    ],
)
def test_no_name_suggests_a_field_that_sends_data_elsewhere_by_chance(name: str) -> None:
    """The key and the prompts go where such a field says."""
    hint = argument_hint(name, NAMES)
    for field in ("base_url", "api_key", "http_client", "http_async_client", "default_headers"):
        assert f"mean {field!r}" not in hint


@pytest.mark.parametrize("name", ["zzz", "top_k", "repetition_penalty", "model_kwargs", "x" * 999])
def test_a_name_without_a_field_is_answered_with_extra_body(name: str) -> None:
    """Also a name that resembles a field, top_p for example, and means another parameter."""
    assert "extra_body" in argument_hint(name, NAMES)
    assert "Did you mean" not in argument_hint(name, NAMES)


def test_a_hint_is_one_of_the_given_names() -> None:
    """The names are those of the class that was called."""
    assert argument_hint("colr", {"colour", "size"}) == " Did you mean 'colour'?"
    assert "Did you mean" not in argument_hint("api_base", {"colour"})


def test_no_hint_is_about_a_field() -> None:
    """A name with a hint and a field at once would never be answered."""
    assert not NAMES & {*RENAMED, *ADVICE}
    assert not {*RENAMED} & {*ADVICE}
    assert not BODY_KEYS & NAMES


def test_the_page_has_the_same_hints() -> None:
    """A row for each name, in alphabetical order."""
    assert hint_table() in PAGE.read_text("utf-8")


def hint_table() -> str:
    """Return the table of the page."""
    hints = {name: f"`{field}`" for name, field in RENAMED.items()}
    hints |= {name: advice.replace("NAME", name) for name, advice in ADVICE.items()}
    rows = (f"| `{name}` | {hints[name]} |" for name in sorted(hints))
    return "\n".join(["| argument | here |", "| --- | --- |", *rows])
