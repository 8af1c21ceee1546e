"""Conformance suite for LlamaIndex's FunctionCallingLLM classes, against a loopback server.

The suite knows LlamaIndex, the chat completions API, and the class under test by its adapter. To
run it on your class, write a module that creates an adapter:

    from llama_index_onerouter import OneRouterLLM
    from onerouter_core.errors import OneRouterError
    from tests.llama_index.conformance.adapter import Adapter

    ADAPTER = Adapter(OneRouterLLM, url="base_url", errors=(OneRouterError,))

and run `pytest tests/llama_index/conformance --adapter your_package.your_module`. These lines are
`onerouter_adapter.py`, the default adapter. The arguments of an adapter are documented in
`Adapter`.
"""
