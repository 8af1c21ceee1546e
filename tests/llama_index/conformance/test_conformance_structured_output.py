"""Structured prediction: an object of the class, or an error.

A class requests objects by a JSON schema or by a forced tool call. The suite detects the method and
sends a matching answer.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Generic, TypeVar

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field

from onerouter_simulator import Script, chunk, tool_call
from tests.llama_index.conformance.harness import Harness, user_messages
from tests.llama_index.conformance.readers import token_usage
from tests.llama_index.conformance.scripted_replies import (
    USAGE,
    error_reply,
    message_reply,
    text_reply,
)

# LlamaIndex's programs and agents use deprecated names of pydantic and of its workflows package.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called:DeprecationWarning"),
]

T = TypeVar("T")
PREDICT, STREAM = "structured_predict", "stream_structured_predict"
PROMPT = PromptTemplate("A song about {topic}")


class Song(BaseModel):
    """A song."""

    title: str
    year: int


class Album(BaseModel):
    """An album."""

    songs: list[Song]


class Wrap(BaseModel, Generic[T]):
    """A generic class."""

    value: T


class Tree(BaseModel):
    """A recursive class whose field has an alias."""

    name: str = Field(alias="label")
    children: list[Tree] = []


MOON = {"title": "Moon", "year": 1999}
SONG = json.dumps(MOON)


def forced_call_name(harness: Harness, cls: type[BaseModel]) -> str | None:
    """Return the name of the tool call that the class forces; None if it sends a JSON schema."""
    harness.script(error_reply(400, "seed must be an integer"))
    harness.outcome(PREDICT, cls, PROMPT, topic="x")
    body = harness.sim.requests[0].body
    harness.sim.clear()
    return body["tools"][0]["function"]["name"] if body.get("tools") else None


def object_reply(
    name: str | None, text: str, *, streamed: bool, finish_reason: str | None = None
) -> Script:
    """Return JSON as the answer: the text, or the arguments of a call; in deltas if streamed."""
    finish_reason = finish_reason or ("tool_calls" if name else "stop")
    if not streamed:
        call = {"content": None, "tool_calls": [tool_call(name or "", text)]}
        return message_reply("chat", finish_reason, **(call if name else {"content": text}))
    parts = [text[at : at + 5] for at in range(0, len(text), 5)]
    if name is None:
        deltas: list[Any] = list(parts)
    else:
        rest = [{"index": 0, "function": {"arguments": part}} for part in parts]
        deltas = [{"tool_calls": [call]} for call in (tool_call(name, "", index=0), *rest)]
    end = [chunk({}, finish_reason=finish_reason), chunk(usage=USAGE)]
    return Script(events=[*map(chunk, deltas), *end])


def script_object(
    harness: Harness, text: str, method: str = PREDICT, cls: Any = Song, **kwargs: Any
) -> None:
    """Script JSON as the answer to the method that the class uses."""
    harness.script(
        object_reply(forced_call_name(harness, cls), text, streamed="stream" in method, **kwargs)
    )


# --- request ---


def test_an_object_is_requested_by_a_schema_or_a_forced_call(harness: Harness) -> None:
    """Streamed or not."""
    for method in (PREDICT, STREAM):
        script_object(harness, SONG, method)
        harness.items(method, Song, PROMPT, topic="x")
        has_schema = (harness.last_body.get("response_format") or {}).get("type") == "json_schema"
        assert has_schema or harness.last_body.get("tool_choice") not in (None, "auto", "none")


@pytest.mark.parametrize("method", [PREDICT, STREAM])
def test_the_system_prompt_is_the_first_message(harness: Harness, method: str) -> None:
    """Streamed or not."""
    harness.make_llm(system_prompt="Be musical.")
    script_object(harness, SONG, method)
    harness.items(method, Song, PROMPT, topic="x")
    assert harness.last_body["messages"][0] == {"role": "system", "content": "Be musical."}


def test_llm_kwargs_are_sent_and_not_changed(harness: Harness) -> None:
    """Streamed or not."""
    options = {"temperature": 0.5}
    for method in (PREDICT, STREAM):
        script_object(harness, SONG, method)
        harness.items(method, Song, PROMPT, options, topic="x")
        assert harness.last_body["temperature"] == 0.5
    assert options == {"temperature": 0.5}


def test_braces_in_a_message_are_not_formatted(harness: Harness) -> None:
    """A message is not a template."""
    text = 'Like {"title": "Sun"} and {topic}, {0}.'
    script_object(harness, SONG)
    structured = harness.llm.as_structured_llm(Song)
    harness.items_of(structured, "chat", user_messages(text))
    assert harness.last_body["messages"][-1]["content"] == text


def test_braces_in_template_values_are_not_formatted(harness: Harness) -> None:
    """Only the prompt's own variables are filled in."""
    template = ChatPromptTemplate([ChatMessage("About {topic}", role="user")])
    script_object(harness, SONG)
    harness.final(PREDICT, Song, template, topic='{"a": {b}}')
    assert harness.last_body["messages"][-1]["content"] == 'About {"a": {b}}'


# --- objects ---


def test_structured_predict_returns_an_object_of_the_class(harness: Harness) -> None:
    """The JSON is the answer."""
    script_object(harness, SONG)
    assert harness.final(PREDICT, Song, PROMPT, topic="x") == Song(**MOON)


def test_a_streamed_object_grows_and_ends_valid(harness: Harness) -> None:
    """Incomplete strings are shown; the last item is of the class."""
    text = json.dumps({"title": "A very long title of a song", "year": 1999})
    script_object(harness, text, STREAM)
    items = harness.items(STREAM, Song, PROMPT, topic="x")
    assert items[-1] == Song.model_validate_json(text)
    titles = {getattr(item, "title", None) or "" for item in items}
    assert any(0 < len(title) < len(items[-1].title) for title in titles)


@pytest.mark.parametrize(
    ("cls", "value"),
    [
        (Album, {"songs": [MOON, MOON]}),
        (Wrap[int], {"value": 5}),
        (Tree, {"label": "a", "children": [{"label": "b", "children": []}]}),
    ],
    ids=["nested", "generic", "recursive"],
)
def test_nested_generic_recursive_and_aliased_classes_work(
    harness: Harness, cls: type[BaseModel], value: Any
) -> None:
    """Streamed or not."""
    for method in (PREDICT, STREAM):
        script_object(harness, json.dumps(value), method, cls)
        assert harness.final(method, cls, PROMPT, topic="x") == cls.model_validate(value)


@pytest.mark.parametrize(
    "text",
    [f"```json\n{SONG}\n```", f"Here is your song:\n\n{SONG}\nEnjoy!"],
    ids=["fenced", "in prose"],
)
@pytest.mark.parametrize("method", [PREDICT, STREAM])
def test_json_in_fences_or_prose_is_parsed(harness: Harness, method: str, text: str) -> None:
    """Also instead of a forced call."""
    harness.script(text_reply(method, text))
    assert harness.final(method, Song, PROMPT, topic="x") == Song(**MOON)


@pytest.mark.parametrize("endpoint", ["chat", "stream_chat"])
def test_a_structured_llm_response_has_the_object_and_its_json(
    harness: Harness, endpoint: str
) -> None:
    """In `raw`, and as the content."""
    script_object(harness, SONG, endpoint)
    structured = harness.llm.as_structured_llm(Song)
    *_, last = harness.items_of(structured, endpoint, user_messages())
    assert last.raw == Song(**MOON)
    assert json.loads(last.message.content) == MOON


def test_a_structured_llm_response_has_the_usage(harness: Harness) -> None:
    """The tokens of an object are billed, too."""
    script_object(harness, SONG)
    structured = harness.llm.as_structured_llm(Song)
    (response,) = harness.items_of(structured, "chat", user_messages())
    assert token_usage(response) == (11, 7)


async def test_concurrent_structured_predictions_return_objects(sync_harness: Harness) -> None:
    """Query engines with an output class predict concurrently."""
    name = forced_call_name(sync_harness, Song)
    sync_harness.script(*[object_reply(name, SONG, streamed=False)] * 12)
    predictions = (
        sync_harness.llm.astructured_predict(Song, PROMPT, topic=str(n)) for n in range(12)
    )
    assert await asyncio.gather(*predictions) == [Song(**MOON)] * 12


async def test_an_agent_with_output_cls_returns_an_object(sync_harness: Harness) -> None:
    """It makes the object from the conversation."""
    name = forced_call_name(sync_harness, Song)
    sync_harness.script(
        text_reply("stream_chat", "Sung."), object_reply(name, SONG, streamed=False)
    )
    tool = FunctionTool.from_defaults(lambda: "la", name="sing", description="Sing.")
    agent = FunctionAgent(tools=[tool], llm=sync_harness.llm, output_cls=Song)
    result = await agent.run("Sing.", memory=ChatMemoryBuffer.from_defaults(token_limit=9000))
    assert result.get_pydantic_model(Song) == Song(**MOON)


# --- errors ---


def prediction_error(harness: Harness, kind: str, method: str) -> Exception:
    """Return the error of a prediction that is refused, cut or invalid."""
    if kind == "refused":
        harness.script(message_reply(method, refusal="I will not sing.", content=None))
    elif kind == "cut":
        script_object(harness, SONG[:12], method, finish_reason="length")
    else:
        script_object(harness, '{"title": "Moon"}', method)
    outcome = harness.outcome(method, Song, PROMPT, topic="x")
    harness.assert_error(outcome)
    assert outcome.error is not None
    return outcome.error


@pytest.mark.parametrize("method", [PREDICT, STREAM])
@pytest.mark.parametrize("kind", ["refused", "cut", "invalid"])
def test_a_prediction_without_a_valid_object_raises(
    harness: Harness, kind: str, method: str
) -> None:
    """Streamed or not."""
    assert prediction_error(harness, kind, method)


def test_refused_cut_and_invalid_objects_raise_different_classes(harness: Harness) -> None:
    """Each needs a different reaction; the refusal's text is in its error."""
    errors = {
        kind: prediction_error(harness, kind, PREDICT) for kind in ("refused", "cut", "invalid")
    }
    assert len({type(error) for error in errors.values()}) == 3
    assert "I will not sing." in str(errors["refused"])
