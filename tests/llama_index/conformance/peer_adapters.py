"""Adapters of other LlamaIndex classes for such a server; imported only when they are tested.

Each class has the settings that its documentation gives for a chat model with tools. Where two
settings are possible, it has the one with which more cases pass.
"""

from typing import Any

from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike
from llama_index.llms.openrouter import OpenRouter

from tests.llama_index.conformance.adapter import Adapter

_CAPABILITIES: dict[str, Any] = {
    "context_window": 128_000,
    "is_chat_model": True,
    "is_function_calling_model": True,
    "should_use_structured_outputs": True,
}

OPENAI = Adapter(OpenAI, fields={"model": "gpt-4o"}, env_prefix="OPENAI_")
OPENAI_LIKE = Adapter(OpenAILike, fields=_CAPABILITIES)
OPENROUTER = Adapter(
    OpenRouter, fields={**_CAPABILITIES, "max_tokens": 1024}, env_prefix="OPENROUTER_"
)
