"""OneRouterLLM and StructuredOneRouterLLM: LlamaIndex models for the OneRouter gateway."""

try:
    import llama_index.core  # noqa: F401 -- checked first, for a helpful error
except ImportError as error:
    raise ImportError(
        'llama_index_onerouter needs LlamaIndex: pip install "onerouter-integrations[llama-index]"'
    ) from error

from llama_index_onerouter.llm import OneRouterLLM
from llama_index_onerouter.structured_llm import StructuredOneRouterLLM
from onerouter_core import __version__

__all__ = ["OneRouterLLM", "StructuredOneRouterLLM", "__version__"]
