"""Structured prediction: three ways to ask for an object, and every way not to get one."""

from __future__ import annotations

import json
import pickle
from typing import Annotated, Any, Generic, TypeVar

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.program.llm_program import LLMTextCompletionProgram
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.types import PydanticProgramMode
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from llama_index_onerouter import OneRouterLLM, StructuredOneRouterLLM
from onerouter_core.errors import (
    ContentFilterError,
    ContextOverflowError,
    InvalidRequestError,
    LengthLimitError,
    MalformedReplyError,
    ModelNotFoundError,
    OneRouterError,
    RefusalError,
)
from onerouter_core.retry import waiting
from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.llama_index.conftest import Colour, Make, say

T = TypeVar("T")


class Song(BaseModel):
    """A song."""

    title: str
    year: int


class Wrap(BaseModel, Generic[T]):
    """Anything, wrapped."""

    value: T


class Loose(BaseModel):
    """An object with any keys in it, which no strict schema can say."""

    tags: dict[str, int]


class Tree(BaseModel):
    """A tree."""

    name: str = Field(alias="label")
    children: list[Tree] = []


ABOUT = PromptTemplate("A song about {topic}")
SONG = '{"title": "Moon", "year": 1999}'
UNSUPPORTED = failure(400, "response_format json_schema is not supported by this model")
NO_TOOLS = failure(404, "No endpoints found that support tool use")
MODES = ["json_schema", "function", "json_object"]


def text(words: str, **kwargs: Any) -> Script:
    """Return an answer in words."""
    return Script(json=completion(words, **kwargs))


def texts(*deltas: str, finish_reason: str = "stop") -> Script:
    """Return a stream of words."""
    return Script(events=[*map(chunk, deltas), chunk({}, finish_reason=finish_reason)])


# --- asking ---


@pytest.mark.parametrize("mode", [*MODES, "auto"])
def test_an_object_is_predicted(colour: Colour, make: Make, sim: Simulator, mode: str) -> None:
    """Each way to ask gives an object of the class, streamed and not."""
    llm = make(structured_output_mode=mode)
    song = colour.call(llm, "structured_predict", Song, ABOUT, topic="1999")
    assert isinstance(song, Song)
    assert song.year == 1999
    *growing, last = colour.collect(llm, "stream_structured_predict", Song, ABOUT, topic="1999")
    assert last == song
    assert growing
    assert not any(isinstance(one, Song) for one in growing)
    assert all(last.title.startswith(one.title or "") for one in growing)


def test_a_schema_is_asked_for(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """By default the API is told the schema, strictly where that can be."""
    colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    asked = sim.last.body["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["name"] == "Song"
    assert asked["json_schema"]["description"] == "A song."
    assert asked["json_schema"]["strict"] is True
    assert asked["json_schema"]["schema"]["additionalProperties"] is False


def test_a_loose_schema_is_not_called_strict(llm: OneRouterLLM, sim: Simulator) -> None:
    """A dict with any keys goes out as it is."""
    sim.script(text('{"tags": {"a": 1}}'))
    assert llm.structured_predict(Loose, ABOUT, topic="x") == Loose(tags={"a": 1})
    asked = sim.last.body["response_format"]["json_schema"]
    assert "strict" not in asked
    assert asked["schema"] == Loose.model_json_schema()


@pytest.mark.parametrize("mode", MODES)
def test_any_class_will_do(colour: Colour, make: Make, sim: Simulator, mode: str) -> None:
    """Generic and recursive classes, and fields with an alias, work in every mode."""
    llm = make(structured_output_mode=mode)
    assert isinstance(colour.call(llm, "structured_predict", Wrap[int], ABOUT, topic="5"), Wrap)
    answer = {"label": "a", "children": [{"label": "b"}]}
    if mode == "function":
        events = [chunk({"tool_calls": [tool_call("Tree", answer, index=0)]})]
    else:
        events = [chunk(json.dumps(answer))]
    sim.script(Script(events=[*events, chunk({}, finish_reason="stop")]))
    growing, last = colour.collect(llm, "stream_structured_predict", Tree, ABOUT, topic="x")
    assert last == Tree(**answer)
    assert growing.name == "a"
    assert growing.children[0].label == "b"


def test_a_forced_call(colour: Colour, make: Make, sim: Simulator) -> None:
    """In function mode the one tool is forced, streamed too."""
    llm = make(structured_output_mode="function")
    colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    colour.collect(llm, "stream_structured_predict", Song, ABOUT, topic="x")
    for body in (received.body for received in sim.requests):
        assert body["tool_choice"] == {"type": "function", "function": {"name": "Song"}}
        assert body["parallel_tool_calls"] is False
        assert "response_format" not in body


def test_the_schema_in_words(make: Make, sim: Simulator) -> None:
    """In json_object mode the prompt says the schema, which the API does not take."""
    make(structured_output_mode="json_object").structured_predict(Song, ABOUT, topic="x")
    first, last = sim.last.body["messages"]
    assert sim.last.body["response_format"] == {"type": "json_object"}
    assert first["role"] == "system"
    assert json.dumps(Song.model_json_schema()) in first["content"]
    assert last == {"role": "user", "content": "A song about x"}


def test_auto_goes_down_and_remembers(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A model that takes no schema is asked by a call from then on; another one is not."""
    sim.script(UNSUPPORTED)
    assert colour.call(llm, "structured_predict", Song, ABOUT, topic="1999").year == 1999
    assert len(sim.requests) == 2
    colour.collect(llm, "stream_structured_predict", Song, ABOUT, topic="1999")
    assert len(sim.requests) == 3
    assert "tools" in sim.last.body
    colour.call(llm, "structured_predict", Song, ABOUT, {"model": "simulated/other"}, topic="x")
    assert "response_format" in sim.last.body


def test_auto_goes_down_to_the_ground(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A model without schemas and tools is asked for plain JSON, and the last refusal is final."""
    sim.script(UNSUPPORTED, NO_TOOLS)
    *_, last = colour.collect(llm, "stream_structured_predict", Song, ABOUT, topic="1999")
    assert last.year == 1999
    assert sim.last.body["response_format"] == {"type": "json_object"}
    sim.script(UNSUPPORTED)
    with pytest.raises(InvalidRequestError):
        colour.call(llm, "structured_predict", Song, ABOUT, topic="x")


def test_a_model_may_be_there_for_less(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """The gateway says "no providers" of a model whose providers lack a parameter, too."""
    sim.script(failure(503, "No available providers for model simulated/echo"))
    assert colour.call(llm, "structured_predict", Song, ABOUT, topic="1999").year == 1999
    sim.clear()
    sim.script(*[failure(503, "No available providers for model simulated/echo")] * 2)
    with pytest.raises(ModelNotFoundError):
        colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    assert "tools" in sim.last.body


def test_a_refusal_of_all_ways_is_not_remembered(
    colour: Colour, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Only a way that was taken is: a history that no way mends says nothing of the model."""
    sim.script(*[failure(400, "a tool message needs its call")] * 3)
    with pytest.raises(InvalidRequestError):
        colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    assert sim.last.body["response_format"]["type"] == "json_schema"


def test_what_auto_found_out_is_no_part_of_the_model(llm: OneRouterLLM, sim: Simulator) -> None:
    """Experience makes two models neither unequal nor unpicklable."""
    sim.script(UNSUPPORTED)
    before = pickle.loads(pickle.dumps(llm))  # noqa: S301 -- our own
    llm.structured_predict(Song, ABOUT, topic="x")
    assert llm == before == pickle.loads(pickle.dumps(llm))  # noqa: S301 -- our own


@pytest.mark.parametrize(
    ("fields", "refusal", "kind"),
    [
        ({"structured_output_mode": "json_schema"}, UNSUPPORTED, InvalidRequestError),
        ({"pydantic_program_mode": PydanticProgramMode.FUNCTION}, NO_TOOLS, OneRouterError),
        ({}, failure(400, "seed must be an integer"), InvalidRequestError),
        ({}, failure(400, "maximum context length: 9 in functions"), ContextOverflowError),
    ],
    ids=["a chosen mode", "LlamaIndex's mode", "another reason", "too long"],
)
def test_auto_goes_down_only_where_it_helps(  # noqa: PLR0913, PLR0917 -- a case, and two colours
    colour: Colour,
    make: Make,
    sim: Simulator,
    fields: dict[str, Any],
    refusal: Script,
    kind: type[Exception],
) -> None:
    """A chosen mode is kept, and a refusal for other reasons is the user's to read."""
    sim.script(refusal)
    with pytest.raises(kind):
        colour.call(make(**fields), "structured_predict", Song, ABOUT, topic="x")
    assert len(sim.requests) == 1


def test_llama_index_mode_for_functions(colour: Colour, make: Make, sim: Simulator) -> None:
    """`pydantic_program_mode=FUNCTION` is function mode."""
    llm = make(pydantic_program_mode=PydanticProgramMode.FUNCTION)
    assert colour.call(llm, "structured_predict", Song, ABOUT, topic="1999").year == 1999
    assert "tool_choice" in sim.last.body


def test_llama_index_own_programs_still_run(colour: Colour, make: Make, sim: Simulator) -> None:
    """Who asks for LlamaIndex's text program gets it."""
    llm = make(pydantic_program_mode=PydanticProgramMode.LLM)
    sim.script(text(SONG))
    assert colour.call(llm, "structured_predict", Song, ABOUT, topic="x").title == "Moon"
    assert sim.last.body.keys() == {"model", "messages", "usage"}


@pytest.mark.skipif(
    "stream_call" not in vars(LLMTextCompletionProgram), reason="this LlamaIndex has none to stream"
)
def test_llama_index_own_programs_still_stream(colour: Colour, make: Make, sim: Simulator) -> None:
    """Who asks for LlamaIndex's text program gets it streamed."""
    llm = make(pydantic_program_mode=PydanticProgramMode.LLM)
    sim.script(texts(SONG))
    assert colour.collect(llm, "stream_structured_predict", Song, ABOUT, topic="x")


def test_the_system_prompt_is_kept(colour: Colour, make: Make, sim: Simulator) -> None:
    """It leads the messages of every structured call."""
    llm = make(system_prompt="Be musical.")
    colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    assert sim.last.body["messages"][0] == {"role": "system", "content": "Be musical."}
    colour.collect(llm, "stream_structured_predict", Song, ABOUT, topic="x")
    assert sim.last.body["messages"][0] == {"role": "system", "content": "Be musical."}


def test_keywords_are_passed_on_and_left_alone(
    colour: Colour, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The caller's llm_kwargs reach the model and are not changed."""
    kwargs = {"temperature": 0.5, "tool_choice": "auto", "tool_required": True}
    before = dict(kwargs)
    colour.call(llm, "structured_predict", Song, ABOUT, kwargs, topic="x")
    colour.collect(llm, "stream_structured_predict", Song, ABOUT, kwargs, topic="x")
    assert kwargs == before
    assert sim.last.body["temperature"] == 0.5
    assert "tool_choice" not in sim.last.body


# --- reading ---


@pytest.mark.parametrize(
    "words",
    [
        SONG,
        f"```json\n{SONG}\n```",
        f"```\n{SONG}\n```",
        f"Here is your song:\n\n{SONG}\nEnjoy!",
    ],
    ids=["plain", "fenced", "fenced without a name", "between words"],
)
@pytest.mark.parametrize("mode", MODES)
def test_json_in_words_is_read(
    colour: Colour, make: Make, sim: Simulator, mode: str, words: str
) -> None:
    """Fences and words around it do no harm; neither does an answer in words to a forced call."""
    llm = make(structured_output_mode=mode)
    sim.script(text(words), texts(words[:9], words[9:20], words[20:]))
    expected = Song(title="Moon", year=1999)
    assert colour.call(llm, "structured_predict", Song, ABOUT, topic="x") == expected
    items = colour.collect(llm, "stream_structured_predict", Song, ABOUT, topic="x")
    assert items[-1] == expected


def test_strict_fields_are_read_as_json(llm: OneRouterLLM, sim: Simulator) -> None:
    """What JSON has no type for, a date or a tuple, is read as JSON spells it."""

    class Exact(BaseModel, strict=True):
        """Strict, and with a tuple."""

        pair: tuple[int, int]

    sim.script(text('{"pair": [1, 2]}'))
    assert llm.structured_predict(Exact, ABOUT, topic="x").pair == (1, 2)


@pytest.mark.parametrize(
    ("words", "kwargs", "kind"),
    [
        ("I will not.", {"message": {"content": None, "refusal": "No."}}, RefusalError),
        (SONG[:20], {"finish_reason": "length"}, LengthLimitError),
        (SONG, {"finish_reason": "length"}, LengthLimitError),
        (SONG, {"finish_reason": "content_filter"}, ContentFilterError),
        ("A song? Gladly.", {}, MalformedReplyError),
        (SONG[:20], {}, MalformedReplyError),
        ('{"title": "Moon"}', {}, MalformedReplyError),
    ],
    ids=["refusal", "cut", "whole by chance", "moderation", "no JSON", "half JSON", "invalid"],
)
def test_no_object_is_a_typed_error(  # noqa: PLR0913, PLR0917 -- a case, and two colours
    colour: Colour,
    llm: OneRouterLLM,
    sim: Simulator,
    words: str,
    kwargs: dict[str, Any],
    kind: type[OneRouterError],
) -> None:
    """Every way not to get an object has its own name, and says who answered."""
    body = completion(words, **kwargs)
    sim.script(Script(json=body), Script(json=body))
    with pytest.raises(kind) as caught:
        colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    assert caught.value.model == "simulated/echo"
    assert caught.value.generation_id == body["id"]
    with pytest.raises(kind):
        colour.collect(llm, "stream_structured_predict", Song, ABOUT, topic="x")


def test_the_cause_is_pydantic_own(llm: OneRouterLLM, sim: Simulator) -> None:
    """What is wrong with an object, pydantic says."""
    sim.script(text('{"title": "Moon", "year": "soon"}'))
    with pytest.raises(MalformedReplyError, match="year") as caught:
        llm.structured_predict(Song, ABOUT, topic="x")
    assert isinstance(caught.value.__cause__, ValidationError)


def test_broken_arguments_are_no_object(colour: Colour, make: Make, sim: Simulator) -> None:
    """A forced call with broken arguments is not repaired."""
    call = tool_call("Song", '{"title": "Moon", "year": 1999')
    sim.script(Script(json=completion(None, message={"tool_calls": [call]})))
    with pytest.raises(MalformedReplyError, match="not a JSON object"):
        colour.call(make(structured_output_mode="function"), "structured_predict", Song, ABOUT)


# --- asking again ---

INVALID = '{"title": "Moon", "year": "soon"}'


def test_an_invalid_object_is_final(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """Nobody pays for a second answer who did not ask for it."""
    sim.script(text(INVALID))
    with pytest.raises(MalformedReplyError):
        colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    assert len(sim.requests) == 1


@pytest.mark.parametrize("mode", MODES)
def test_an_invalid_object_is_asked_for_again(
    colour: Colour, make: Make, sim: Simulator, mode: str
) -> None:
    """The model is shown its answer and what is wrong with it; the system prompt leads once."""
    llm = make(structured_output_mode=mode, structured_output_retries=2, system_prompt="Sing.")
    call = {"tool_calls": [tool_call("Song", INVALID)]}
    wrong = completion(None, message=call) if mode == "function" else completion(INVALID)
    sim.script(Script(json=wrong), Script(json=wrong), text(SONG))
    song = colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    assert song == Song(title="Moon", year=1999)
    assert len(sim.requests) == 3
    said = [(m["role"], m["content"]) for m in sim.last.body["messages"]]
    assert [words for _, words in said].count("Sing.") == 1
    (_, answered), (_, asked) = said[-2:]
    assert json.loads(answered) == json.loads(INVALID)
    assert "not a valid Song: year: Input should be a valid integer" in asked
    assert [role for role, _ in said[-4:]] == ["assistant", "user", "assistant", "user"]


def test_asking_again_has_an_end(colour: Colour, make: Make, sim: Simulator) -> None:
    """So many retries, so many requests and one; then the error says what was wrong."""
    sim.script(*[text("No song.")] * 3)
    llm = make(structured_output_retries=2)
    with pytest.raises(MalformedReplyError, match="not a valid Song"):
        colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    assert len(sim.requests) == 3


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (completion("No.", message={"content": None, "refusal": "No."}), RefusalError),
        (completion(SONG[:9], finish_reason="length"), LengthLimitError),
    ],
)
def test_what_asking_again_does_not_mend(
    colour: Colour, make: Make, sim: Simulator, body: Any, kind: type[OneRouterError]
) -> None:
    """A refusal and a cut answer are final."""
    sim.script(Script(json=body))
    with pytest.raises(kind):
        colour.call(make(structured_output_retries=2), "structured_predict", Song, ABOUT)
    assert len(sim.requests) == 1


def test_a_stream_is_not_asked_for_again(colour: Colour, make: Make, sim: Simulator) -> None:
    """Its objects have been handed out."""
    sim.script(texts(INVALID))
    llm = make(structured_output_retries=2)
    with pytest.raises(MalformedReplyError):
        colour.collect(llm, "stream_structured_predict", Song, ABOUT, topic="x")
    assert len(sim.requests) == 1


# --- leaving ---


def test_leaving_hangs_up(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """Who has seen enough of an object stops paying for it."""
    sim.script(Script(events=[chunk('{"title": "M'), chunk("oon"), 30.0]))
    wrapped = llm.as_structured_llm(Song)
    (first,) = colour.first(wrapped, "stream_chat", say("x"))
    assert first.raw.title == "M"
    assert sim.last.wait_hung_up(1)


# --- as_structured_llm ---


def test_a_structured_model_reports_usage(
    colour: Colour, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The object is `raw`, its JSON the content, and the call's facts are there."""
    wrapped = llm.as_structured_llm(Song)
    assert isinstance(wrapped, StructuredOneRouterLLM)
    response = colour.chat(wrapped, say("1999"))
    assert isinstance(response.raw, Song)
    assert Song.model_validate_json(response.message.content) == response.raw
    assert response.additional_kwargs["total_tokens"] > 0
    assert response.additional_kwargs["cost"] > 0


def test_a_structured_models_payload(llm: OneRouterLLM) -> None:
    """Traces name the model inside, as they do when it is asked for words."""
    payload = llm.as_structured_llm(Song).to_payload()
    assert (payload["class_name"], payload["model"]) == ("structured_llm", "simulated/echo")


def test_a_structured_model_streams(colour: Colour, llm: OneRouterLLM) -> None:
    """Items grow, and the last one has object and facts."""
    items = colour.stream_chat(llm.as_structured_llm(Song), say("1999"))
    assert [item.raw.title for item in items[:-1]]
    assert isinstance(items[-1].raw, Song)
    assert items[-1].additional_kwargs["finish_reason"] == "stop"


def test_a_structured_model_completes(colour: Colour, llm: OneRouterLLM) -> None:
    """A prompt does as well as messages."""
    wrapped = llm.as_structured_llm(Song)
    response = colour.complete(wrapped, "1999")
    assert Song.model_validate_json(response.text) == response.raw
    assert response.additional_kwargs["total_tokens"] > 0
    *growing, last = colour.stream_complete(wrapped, "1999")
    assert growing
    assert Song.model_validate_json(last.text) == last.raw == response.raw
    assert last.additional_kwargs["finish_reason"] == "stop"


@pytest.mark.parametrize("mode", ["json_schema", "function", "json_object"])
def test_the_deltas_are_the_json(colour: Colour, make: Make, sim: Simulator, mode: str) -> None:
    """All that the model wrote is in them, in each way of asking: chat engines keep their sum."""
    script = (
        [chunk({"tool_calls": [tool_call("Song", part, index=0)]}) for part in ('{"ti', SONG[4:])]
        if mode == "function"
        else [chunk(SONG[at : at + 3]) for at in range(0, len(SONG), 3)]
    )
    sim.script(Script(events=[*script, chunk({}, finish_reason="stop")]))
    llm = make(structured_output_mode=mode).as_structured_llm(Song)
    items = colour.stream_chat(llm, say("1999"))
    assert "".join(item.delta for item in items) == SONG


class Money:
    """A value that pydantic can read and cannot write."""

    def __init__(self, said: str) -> None:
        self.said = said

    def __str__(self) -> str:
        return f"{self.said} in money"


class Bill(BaseModel):
    """A bill."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    amount: Annotated[Money, BeforeValidator(Money), WithJsonSchema({"type": "string"})]


def test_an_object_that_cannot_be_spelled(
    colour: Colour, llm: OneRouterLLM, sim: Simulator
) -> None:
    """It is the answer all the same; beside it stands what can be said of it."""
    sim.script(*[Script(json=completion('{"amount": "5"}'))] * 2)
    assert colour.call(llm, "structured_predict", Bill, ABOUT, topic="x").amount.said == "5"
    response = colour.chat(llm.as_structured_llm(Bill), say("x"))
    assert response.message.content == '{"amount":"5 in money"}'


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (completion('{"title": "Mo', finish_reason="length"), LengthLimitError),
        (completion('{"title": "Moon"}'), MalformedReplyError),
        (completion("No.", message={"refusal": "no"}), RefusalError),
    ],
    ids=["cut", "not valid", "refused"],
)
def test_what_came_instead_travels_with_the_error(
    colour: Colour, llm: OneRouterLLM, sim: Simulator, body: Any, kind: Any
) -> None:
    """It was paid for: the reply is in `partial`, and how often it was asked for in `attempts`."""
    sim.script(failure(503, "Overloaded"), Script(json=body))
    with waiting(0), pytest.raises(kind) as caught:
        colour.call(llm, "structured_predict", Song, ABOUT, topic="x")
    assert caught.value.partial.text == body["choices"][0]["message"]["content"]
    assert caught.value.attempts == 2


def test_braces_survive(colour: Colour, make: Make, sim: Simulator) -> None:
    """A message is not a template, and a value in a template is not one either."""
    llm = make(system_prompt="Say {nothing}.")
    colour.chat(llm.as_structured_llm(Song), [ChatMessage('{"a": {b}}')])
    assert [m["content"] for m in sim.last.body["messages"]] == ["Say {nothing}.", '{"a": {b}}']
    prompt = ChatPromptTemplate([ChatMessage("On {topic}")])
    colour.call(llm, "structured_predict", Song, prompt, topic="{braces}")
    assert sim.last.body["messages"][-1]["content"] == "On {braces}"
