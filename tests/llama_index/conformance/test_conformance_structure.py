"""Structured prediction: an object of the class, or an error that says why there is none.

A class asks for objects by a schema or by a forced call: the suite looks which, and so answers.
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
from tests.llama_index.conformance.answers import USAGE, answer, message, refuse
from tests.llama_index.conformance.bench import Bench, say
from tests.llama_index.conformance.readers import usage

# LlamaIndex's programs and agents use names that pydantic and its own workflows have deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called:DeprecationWarning"),
]

T = TypeVar("T")
PREDICT, STREAM = "structured_predict", "stream_structured_predict"
ABOUT = PromptTemplate("A song about {topic}")


class Song(BaseModel):
    """A song."""

    title: str
    year: int


class Album(BaseModel):
    """An album."""

    songs: list[Song]


class Wrap(BaseModel, Generic[T]):
    """Anything, wrapped."""

    value: T


class Tree(BaseModel):
    """A tree, with a name that JSON spells otherwise."""

    name: str = Field(alias="label")
    children: list[Tree] = []


MOON = {"title": "Moon", "year": 1999}
SONG = json.dumps(MOON)


def in_kind(bench: Bench, cls: type[BaseModel]) -> str | None:
    """Return the name of the call by which the class asks for an object; None for a schema."""
    bench.script(refuse(400, "seed must be an integer"))
    bench.attempt(PREDICT, cls, ABOUT, topic="x")
    body = bench.sim.requests[0].body
    bench.sim.clear()
    return body["tools"][0]["function"]["name"] if body.get("tools") else None


def replied(name: str | None, text: str, *, streamed: bool, end: str | None = None) -> Script:
    """Return this JSON as what was asked for, in pieces if it streams."""
    reason = end or ("tool_calls" if name else "stop")
    if not streamed:
        call = {"content": None, "tool_calls": [tool_call(name or "", text)]}
        return message("chat", reason, **(call if name else {"content": text}))
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    if name is None:
        deltas: list[Any] = list(pieces)
    else:
        rest = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
        deltas = [{"tool_calls": [one]} for one in (tool_call(name, "", index=0), *rest)]
    ended = [chunk({}, finish_reason=reason), chunk(usage=USAGE)]
    return Script(events=[*map(chunk, deltas), *ended])


def reply(bench: Bench, text: str, method: str = PREDICT, cls: Any = Song, **how: Any) -> None:
    """Script this JSON as the answer to a class that asks for an object."""
    bench.script(replied(in_kind(bench, cls), text, streamed="stream" in method, **how))


# --- asking ---


def test_an_object_is_asked_for(bench: Bench) -> None:
    """By a schema or by a call that must be made, streamed or not: not by hoping."""
    for method in (PREDICT, STREAM):
        reply(bench, SONG, method)
        bench.items(method, Song, ABOUT, topic="x")
        by_schema = (bench.body.get("response_format") or {}).get("type") == "json_schema"
        assert by_schema or bench.body.get("tool_choice") not in (None, "auto", "none")


@pytest.mark.parametrize("method", [PREDICT, STREAM])
def test_the_system_prompt_is_kept(bench: Bench, method: str) -> None:
    """It leads the messages."""
    bench.make(system_prompt="Be musical.")
    reply(bench, SONG, method)
    bench.items(method, Song, ABOUT, topic="x")
    assert bench.body["messages"][0] == {"role": "system", "content": "Be musical."}


def test_keywords_reach_the_model_and_are_left_alone(bench: Bench) -> None:
    """`llm_kwargs` are the caller's."""
    options = {"temperature": 0.5}
    for method in (PREDICT, STREAM):
        reply(bench, SONG, method)
        bench.items(method, Song, ABOUT, options, topic="x")
        assert bench.body["temperature"] == 0.5
    assert options == {"temperature": 0.5}


def test_braces_survive(bench: Bench) -> None:
    """What a user says is no template, even where it looks like one."""
    words = 'Like {"title": "Sun"} and {topic}, {0}.'
    reply(bench, SONG)
    structured = bench.llm.as_structured_llm(Song)
    list(bench.colour.items(getattr(structured, bench.colour.named("chat")), say(words)))
    assert bench.body["messages"][-1]["content"] == words


def test_a_template_is_filled_in_once(bench: Bench) -> None:
    """Braces in what is filled in are what they are."""
    template = ChatPromptTemplate([ChatMessage("About {topic}", role="user")])
    reply(bench, SONG)
    bench.last(PREDICT, Song, template, topic='{"a": {b}}')
    assert bench.body["messages"][-1]["content"] == 'About {"a": {b}}'


# --- objects ---


def test_an_object_is_predicted(bench: Bench) -> None:
    """Of the class."""
    reply(bench, SONG)
    assert bench.last(PREDICT, Song, ABOUT, topic="x") == Song(**MOON)


def test_an_object_grows(bench: Bench) -> None:
    """Parts show while it streams, texts too, and the last is whole and of the class."""
    text = json.dumps({"title": "A very long title of a song", "year": 1999})
    reply(bench, text, STREAM)
    items = bench.items(STREAM, Song, ABOUT, topic="x")
    assert items[-1] == Song.model_validate_json(text)
    seen = {getattr(item, "title", None) or "" for item in items}
    assert any(0 < len(title) < len(items[-1].title) for title in seen)


@pytest.mark.parametrize(
    ("cls", "value"),
    [
        (Album, {"songs": [MOON, MOON]}),
        (Wrap[int], {"value": 5}),
        (Tree, {"label": "a", "children": [{"label": "b", "children": []}]}),
    ],
    ids=["nested", "generic", "recursive"],
)
def test_any_class_will_do(bench: Bench, cls: type[BaseModel], value: Any) -> None:
    """References, generics, recursion and aliases, streamed or not."""
    for method in (PREDICT, STREAM):
        reply(bench, json.dumps(value), method, cls)
        assert bench.last(method, cls, ABOUT, topic="x") == cls.model_validate(value)


@pytest.mark.parametrize(
    "words",
    [f"```json\n{SONG}\n```", f"Here is your song:\n\n{SONG}\nEnjoy!"],
    ids=["fenced", "between words"],
)
@pytest.mark.parametrize("method", [PREDICT, STREAM])
def test_json_in_words_is_read(bench: Bench, method: str, words: str) -> None:
    """Models put fences around JSON, and answer in words where a call was asked for."""
    bench.script(answer(method, words))
    assert bench.last(method, Song, ABOUT, topic="x") == Song(**MOON)


@pytest.mark.parametrize("endpoint", ["chat", "stream_chat"])
def test_a_structured_llm(bench: Bench, endpoint: str) -> None:
    """Its answers are objects, and say what they took."""
    reply(bench, SONG, endpoint)
    structured = bench.llm.as_structured_llm(Song)
    *_, last = bench.colour.items(getattr(structured, bench.colour.named(endpoint)), say())
    assert last.raw == Song(**MOON)
    assert json.loads(last.message.content) == MOON


def test_what_an_object_took_is_told(bench: Bench) -> None:
    """Tokens are paid for objects, too."""
    reply(bench, SONG)
    structured = bench.llm.as_structured_llm(Song)
    (response,) = bench.colour.items(getattr(structured, bench.colour.named("chat")), say())
    assert usage(response) == (11, 7)


async def test_many_objects_at_once(plain_bench: Bench) -> None:
    """As query engines with an output class ask for them."""
    name = in_kind(plain_bench, Song)
    plain_bench.script(*[replied(name, SONG, streamed=False)] * 12)
    asked = (plain_bench.llm.astructured_predict(Song, ABOUT, topic=str(n)) for n in range(12))
    assert await asyncio.gather(*asked) == [Song(**MOON)] * 12


async def test_an_agent_ends_with_an_object(plain_bench: Bench) -> None:
    """`output_cls` makes an object of the conversation."""
    name = in_kind(plain_bench, Song)
    plain_bench.script(answer("stream_chat", "Sung."), replied(name, SONG, streamed=False))
    tool = FunctionTool.from_defaults(lambda: "la", name="sing", description="Sing.")
    agent = FunctionAgent(tools=[tool], llm=plain_bench.llm, output_cls=Song)
    result = await agent.run("Sing.", memory=ChatMemoryBuffer.from_defaults(token_limit=9000))
    assert result.get_pydantic_model(Song) == Song(**MOON)


# --- no object ---


def failing(bench: Bench, kind: str, method: str) -> Exception:
    """Return the error of a prediction that fails in this way."""
    if kind == "refused":
        bench.script(message(method, refusal="I will not sing.", content=None))
    elif kind == "cut":
        reply(bench, SONG[:12], method, end="length")
    else:
        reply(bench, '{"title": "Moon"}', method)
    attempt = bench.attempt(method, Song, ABOUT, topic="x")
    assert attempt.error is not None, f"was given {attempt.items!r}"
    assert bench.subject.typed(attempt.error), f"{attempt.error!r} is an accident"
    return attempt.error


@pytest.mark.parametrize("method", [PREDICT, STREAM])
@pytest.mark.parametrize("kind", ["refused", "cut", "invalid"])
def test_no_object_is_an_error(bench: Bench, kind: str, method: str) -> None:
    """Streamed or not, and never an object that is not of the class."""
    failing(bench, kind, method)


def test_the_reasons_are_told_apart(bench: Bench) -> None:
    """Asking again helps with one, more tokens with another, and nothing with the third."""
    errors = {kind: failing(bench, kind, PREDICT) for kind in ("refused", "cut", "invalid")}
    assert len({type(error) for error in errors.values()}) == 3
    assert "I will not sing." in str(errors["refused"])
