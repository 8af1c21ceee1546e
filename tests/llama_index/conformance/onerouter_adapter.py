"""Adapter of OneRouterLLM; no other module of the suite imports that class."""

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import OneRouterError
from tests.llama_index.conformance.adapter import Adapter

ADAPTER = Adapter(OneRouterLLM, url="base_url", errors=(OneRouterError,))
