"""Finish reasons: one table of the words of all servers, by their meaning.

Words are compared without case, spaces, dashes and underscores: gateways in front of Gemini send
them in capitals (QwenLM/qwen-code#9882), others translate them to camel case.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

FinishMeaning: TypeAlias = Literal["stop", "tool_calls", "length", "moderation", "failure"]

_WORDS: dict[FinishMeaning, tuple[str, ...]] = {
    "stop": (
        *("stop", "end_turn", "stop_sequence"),  # OpenAI; Anthropic and Bedrock
        *("eos", "eos_token", "complete", "completed"),  # Together, TGI, Cohere
    ),
    "tool_calls": ("tool_calls", "tool_call", "function_call", "tool_use"),
    "length": (
        "length",
        "max_tokens",  # Anthropic, Google (Portkey-AI/gateway#1200), Cohere, Bedrock
        "max_output_tokens",  # OpenAI's Responses API
        "model_context_window_exceeded",  # Anthropic, Zhipu (earendil-works/pi#1868)
        "model_length",  # Mistral
        "error_limit",  # Cohere: the context window
    ),
    "moderation": (
        *("content_filter", "content_filtered", "guardrail_intervened"),  # OpenAI, Bedrock
        *("safety", "recitation", "prohibited_content", "blocklist", "spii"),  # Google
        *("image_safety", "image_prohibited_content", "image_recitation"),  # Google
        "model_armor",  # Vertex AI
        "refusal",  # Anthropic: a classifier has stopped the answer
        "sensitive",  # Zhipu (langgenius/dify#7559)
        "error_toxic",  # Cohere
    ),
    "failure": (
        *("error", "failed"),  # OpenRouter (mastra-ai/mastra#20302), Mistral, vLLM, Cohere
        "insufficient_system_resource",  # DeepSeek
        "network_error",  # Zhipu (promptfoo/promptfoo#9905)
        *("engine_overloaded", "engine_overloaded_error"),  # Moonshot (MoonshotAI/kimi-cli#2571)
        *("abort", "aborted"),  # vLLM (vllm-project/vllm#57082), SGLang
        *("cancelled", "canceled", "user_cancel"),  # Cohere, gateways that lost their upstream
        *("timeout", "overloaded", "server_error", "internal_error", "upstream_error"),
        # Google and Bedrock: the model wrote a call that their parser rejects
        # (googleapis/python-genai#1836, NousResearch/hermes-agent#83882).
        *("malformed_function_call", "unexpected_tool_call", "too_many_tool_calls"),
        *("malformed_response", "malformed_model_output", "malformed_tool_use"),
    ),
}


def _normalize(word: str) -> str:
    return re.sub(r"[\W_]+", "", word).lower()


_MEANINGS: dict[str, FinishMeaning] = {
    _normalize(word): meaning for meaning, words in _WORDS.items() for word in words
}


def finish_meaning(reason: str | None, native: str | None = None) -> FinishMeaning | None:
    """Return the meaning of a finish reason; None for no reason, or an unknown word.

    The upstream's own word decides if the gateway's says "stop" or nothing known, and the answer
    did not end by itself: OpenRouter has "stop" for some of these (reVrost/go-openrouter#43).
    """
    meaning = _MEANINGS.get(reason or "") or _MEANINGS.get(_normalize(reason or ""))
    if native is None or meaning not in (None, "stop"):
        return meaning
    of_native = _MEANINGS.get(native) or _MEANINGS.get(_normalize(native))
    return of_native if meaning is None or of_native in _UNUSUAL else meaning


_UNUSUAL = {"length", "moderation", "failure"}
