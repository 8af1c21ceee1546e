"""LangChain chat model for the OneRouter gateway: `ChatOneRouter`."""

try:
    import langchain_core as _langchain_core  # noqa: F401 -- to name the missing extra
except ImportError as error:
    raise ImportError(
        'ChatOneRouter needs langchain-core: pip install "onerouter-integrations[langchain]"'
    ) from error

from langchain_onerouter import content_blocks as _content_blocks
from langchain_onerouter.chat_models import ChatOneRouter
from langchain_onerouter.registration import register
from onerouter_core import __version__

__all__ = ["ChatOneRouter", "__version__", "register"]

_content_blocks.register()
