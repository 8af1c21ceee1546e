"""The classes that others use for such a server, as subjects; imported only when they are tested.

Each is set up as its documentation would have it for a chat model with tools, and where there are
two ways of making it, in the way in which more cases pass.
"""

from typing import Any

from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike
from llama_index.llms.openrouter import OpenRouter

from tests.llama_index.conformance.subject import Subject

_ABLE: dict[str, Any] = {
    "context_window": 128_000,
    "is_chat_model": True,
    "is_function_calling_model": True,
    "should_use_structured_outputs": True,
}

OPENAI = Subject(OpenAI, fields={"model": "gpt-4o"}, own="OPENAI_")
OPENAI_LIKE = Subject(OpenAILike, fields=_ABLE)
OPENROUTER = Subject(OpenRouter, fields={**_ABLE, "max_tokens": 1024}, own="OPENROUTER_")
