"""OneRouterLLM: any model behind a OneRouter key, for LlamaIndex."""

try:
    import llama_index.core  # noqa: F401 -- said here in words that help
except ImportError as error:
    raise ImportError(
        'llama_index_onerouter needs LlamaIndex: pip install "onerouter-integrations[llama-index]"'
    ) from error

from llama_index_onerouter.llm import OneRouterLLM
from llama_index_onerouter.structured_llm import StructuredOneRouterLLM
from onerouter_core import __version__

__all__ = ["OneRouterLLM", "StructuredOneRouterLLM", "__version__"]
