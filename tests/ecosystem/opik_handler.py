"""A program with Opik's handler for LlamaIndex, in a process of its own.

In the process of other tests the handler loses spans: what other tracers have left in LlamaIndex's
callbacks is taken for an open span.
"""

from __future__ import annotations

from contextlib import suppress

import opik
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage
from opik.integrations.llama_index import LlamaIndexCallbackHandler
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_core import OneRouterError
from tests.ecosystem import guard

QUESTION = [ChatMessage("'Ada Lovelace' was 36.")]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def main() -> None:
    """Ask for an object, whole and streamed, and for an answer of a model that is down."""
    manager = CallbackManager([LlamaIndexCallbackHandler(project_name="demo")])
    llm = OneRouterLLM(model="vendor/model", callback_manager=manager, max_retries=0)
    Settings.llm = llm  # Opik asks for its class
    client = opik.Opik()
    opik.set_global_client(client, context_wise=True)
    structured = llm.as_structured_llm(Person)
    structured.chat(QUESTION)
    list(structured.stream_chat(QUESTION))
    with suppress(OneRouterError):
        llm.chat(QUESTION, model="simulated/dead-model")
    client.end()


if __name__ == "__main__":
    guard.install()
    main()
