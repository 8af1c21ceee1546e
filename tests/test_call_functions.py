"""Functions that one call enters: a measure of how much a reader has to know, and of cost.

Only functions of `onerouter_core` and of the framework's package count, each once, however often it
is entered. Comprehensions do not count: from Python 3.12 on they are no functions. The numbers were
measured; a call that enters a tenth more has become more complicated.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import ModelNotFoundError
from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator

ROOT = Path(__file__).parents[1]
FRAMEWORKS = tuple(str(ROOT / f"{name}_onerouter") for name in ("langchain", "llama_index"))
OURS = (str(ROOT / "onerouter_core"), *FRAMEWORKS)
COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>"}
THREADS = "inherited_context.py"  # entered for new threads, once a test has opened a limit

STREAM_FUNCTIONS = 136
ERROR_FUNCTIONS = 91
# Those of the framework's package among them.
CHAT_MODEL_FUNCTIONS = {"stream": 24, "fail": 15, "stream_chat": 32, "chat": 27}
SLACK = 1.1  # for a helper with a good name, and for what other tests of the process have left
NOT_FOUND = Script(status=404, json={"error": {"message": "no such model", "code": 404}})


def entered(call: Callable[[], Any]) -> Counter[str]:
    """Return how often a call enters each function of ours: file, line and name."""
    functions: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        is_ours = code.co_filename.startswith(OURS) and not code.co_filename.endswith(THREADS)
        is_ours = is_ours and code.co_name not in COMPREHENSIONS
        if event == "call" and is_ours:
            functions[f"{code.co_filename}:{code.co_firstlineno} {code.co_name}"] += 1

    before = sys.getprofile()
    gc.collect()  # what other tests have left would enter functions in the middle of the call
    gc.disable()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(before)
        gc.enable()
    return functions


def stream(llm: ChatOneRouter) -> None:
    """Stream one answer."""
    assert "".join(str(chunk.content) for chunk in llm.stream("Hello"))


def fail(llm: ChatOneRouter) -> None:
    """Get one error."""
    with suppress(ModelNotFoundError):
        llm.invoke("Hello")


@pytest.mark.parametrize(
    ("call", "most"), [(stream, STREAM_FUNCTIONS), (fail, ERROR_FUNCTIONS)], ids=["stream", "error"]
)
def test_functions_entered(sim: Simulator, call: Callable[[Any], None], most: int) -> None:
    """By one call after another; the settings of a call are resolved once."""
    llm = ChatOneRouter(model="vendor/model", api_key=sim.api_key, base_url=sim.base_url)
    counts = []
    for _ in range(3):
        if call is fail:
            sim.script(NOT_FOUND)
        counts.append(entered(lambda: call(llm)))
    assert len(sim.requests) == 3
    functions = counts[-1]
    assert [n for name, n in functions.items() if name.endswith(" resolve_call")] == [1]
    assert len(functions) <= SLACK * most, "\n".join(sorted(functions))


def stream_chat(llm: OneRouterLLM) -> None:
    """Stream one answer of LlamaIndex."""
    assert [*llm.stream_chat([ChatMessage("Hello")])][-1].message.content


def chat(llm: OneRouterLLM) -> None:
    """Get one answer of LlamaIndex."""
    assert llm.chat([ChatMessage("Hello")]).message.content


@pytest.mark.parametrize("call", [stream, fail, stream_chat, chat], ids=lambda call: call.__name__)
def test_functions_of_the_framework_package(sim: Simulator, call: Callable[[Any], None]) -> None:
    """What a call has nothing to do with is not entered: tools, images, costs, block types."""
    llm_class = ChatOneRouter if call in {stream, fail} else OneRouterLLM
    llm = llm_class(model="vendor/model", api_key=sim.api_key, base_url=sim.base_url)
    for _ in range(2):
        if call is fail:
            sim.script(NOT_FOUND)
        functions = [n for n in entered(lambda: call(llm)) if n.startswith(FRAMEWORKS)]
    assert len(functions) <= SLACK * CHAT_MODEL_FUNCTIONS[call.__name__], "\n".join(functions)
