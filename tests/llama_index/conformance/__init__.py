"""What a careful user checks of a LlamaIndex FunctionCallingLLM, against a loopback server.

The suite knows LlamaIndex, the chat completions API and a class that it is told of, and nothing
else. To point it at yours, say in a module of your own how it is made:

    from llama_index_onerouter import OneRouterLLM
    from onerouter_core.errors import OneRouterError
    from tests.llama_index.conformance.subject import Subject

    SUBJECT = Subject(OneRouterLLM, url="base_url", errors=(OneRouterError,))

and run `pytest tests/llama_index/conformance --subject your_package.your_module`. Those lines are
`ours.py`, which the suite uses when it is told of no other; `Subject` says what else it can hold.
"""
