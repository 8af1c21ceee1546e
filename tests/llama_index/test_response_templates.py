"""Responses of a stream: each is as LlamaIndex's constructors make it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, tool_call
from tests.llama_index.conftest import Mode, user_messages

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
DELTAS: dict[str, Sequence[Any]] = {
    "text": ["Hello", " ", "you"],
    "reasoning": [{"reasoning": "Hm,"}, {"reasoning": " hm."}, "So."],
    "a call": [
        {"tool_calls": [tool_call("f", '{"a": ', "c1", index=0)]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
    ],
    "text, reasoning and two calls": [
        {"reasoning": "Hm."},
        "So.",
        {"tool_calls": [tool_call("f", "{}", "c1", index=0)]},
        {"tool_calls": [tool_call("g", '{"a": "b"}', "c2", index=1)]},
    ],
    "an image": ["See:", {"images": [IMAGE]}],
}


def stored(model: BaseModel) -> tuple[Any, ...]:
    """Return all that pydantic stores of an instance."""
    return vars(model), model.model_fields_set, model.model_extra, model.__pydantic_private__


def constructed(model: BaseModel) -> Any:
    """Return what the constructor makes of the values that an instance was given."""
    return type(model)(**{name: getattr(model, name) for name in model.model_fields_set})


def constructed_response(response: ChatResponse) -> ChatResponse:
    """Return a response with message and blocks, all constructed."""
    blocks = [constructed(block) for block in response.message.blocks]
    given = {name: getattr(response.message, name) for name in response.message.model_fields_set}
    message = ChatMessage(**{**given, "blocks": blocks})
    return constructed(response.model_copy(update={"message": message}))


@pytest.mark.parametrize("deltas", DELTAS.values(), ids=DELTAS)
def test_responses_are_as_their_constructors_make_them(
    llm: OneRouterLLM, sim: Simulator, mode: Mode, deltas: Sequence[Any]
) -> None:
    """Values and given names of response, message and blocks; as JSON and pickled."""
    events = [*map(chunk, deltas), chunk({}, finish_reason="stop")]
    sim.script(Script(events=events))
    responses = mode.stream_chat(llm, user_messages("Hi"))
    assert len(responses) == len(events)
    for response in responses:
        expected = constructed_response(response)
        assert response == expected
        assert stored(response) == stored(expected)
        assert stored(response.message) == stored(expected.message)
        assert [*map(stored, response.message.blocks)] == [*map(stored, expected.message.blocks)]
        assert response.model_dump_json() == expected.model_dump_json()
        assert stored(pickle.loads(pickle.dumps(response))) == stored(expected)  # noqa: S301


NEWER_FRAMEWORK = """
from pydantic import model_validator
import llama_index.core.base.llms.types as types

class TextBlock(types.TextBlock):
    length: int = 0

    @model_validator(mode="after")
    def count(self):
        self.length = len(self.text)
        return self

types.TextBlock = TextBlock
from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Simulator

with Simulator() as sim:
    llm = OneRouterLLM(model="a/b", api_key=sim.api_key, base_url=sim.base_url)
    responses = list(llm.stream_complete("Hello"))
    blocks = [r.message.blocks for r in llm.stream_chat([types.ChatMessage("Hello")])]
assert responses[-1].text == "You said: Hello"
assert len(blocks) > 1
assert all(block.length == len(block.text) for parts in blocks for block in parts)
"""


def test_a_newer_framework_that_computes_a_field_gets_constructed_blocks() -> None:
    """A copy would have the field of another block."""
    command = [sys.executable, "-c", NEWER_FRAMEWORK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own program
    assert (done.returncode, done.stderr) == (0, "")
