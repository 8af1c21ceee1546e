"""OneRouterLLM as a subject: the one file of the suite that knows it."""

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import OneRouterError
from tests.llama_index.conformance.subject import Subject

SUBJECT = Subject(OneRouterLLM, url="base_url", errors=(OneRouterError,))
