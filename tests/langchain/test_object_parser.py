"""ObjectParser: the object in an answer, or an error that names why there is none."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core import exceptions as lc
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import Generation
from langchain_core.runnables import RunnableGenerator

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
)
from onerouter_core.retry import waiting
from onerouter_simulator import Script, Simulator, completion, failure, tool_call
from tests.langchain.conftest import LLMFactory, Mode
from tests.langchain.structured_replies import (
    ANSWER,
    CITY_SCHEMA,
    METHODS,
    OSLO_DICT,
    OSLO_JSON,
    QUESTION,
    City,
    CityDict,
    calls_replies,
    final_value,
    replies,
    text_replies,
    to_dict,
    tool_call_replies,
)
from tests.test_call_functions import entered


@pytest.fixture(params=[City, CITY_SCHEMA], ids=["pydantic", "JSON schema"])
def schema(request: pytest.FixtureRequest) -> Any:
    """Run the test with a class and with a dict."""
    return request.param


NO_OBJECT: dict[str, tuple[tuple[Script, Script], type[OneRouterError], str]] = {
    "refusal": (
        replies({"content": None, "refusal": "Not I."}, [{"refusal": "Not I."}], "stop"),
        RefusalError,
        "Not I.",
    ),
    "cut text": (text_replies(OSLO_JSON[:20], "length"), LengthLimitError, "length limit"),
    "cut call": (
        tool_call_replies("City", OSLO_JSON[:20], "length"),
        LengthLimitError,
        "length limit",
    ),
    "content filter": (
        text_replies(OSLO_JSON[:20], "content_filter"),
        ContentFilterError,
        "content filter",
    ),
    "no JSON": (
        text_replies("I would rather talk."),
        MalformedReplyError,
        "not an object of the schema",
    ),
    "missing key": (text_replies('{"name": "Oslo"}'), MalformedReplyError, "people"),
    "call of another tool": (
        tool_call_replies("look_up", OSLO_JSON),
        MalformedReplyError,
        "called look_up instead",
    ),
    "array": (text_replies("[1, 2]"), MalformedReplyError, "not an object of the schema"),
    "null": (text_replies("null"), MalformedReplyError, "not an object of the schema"),
    "incomplete JSON": (
        text_replies(OSLO_JSON[:-1]),
        MalformedReplyError,
        "not an object of the schema",
    ),
    "incomplete arguments": (
        tool_call_replies("City", OSLO_JSON[:-1]),
        MalformedReplyError,
        "not a complete JSON object",
    ),
    "too deep": (text_replies("[" * 5_000), MalformedReplyError, "not an object of the schema"),
}


@pytest.mark.parametrize(
    ("scripts", "error_class", "message_part"), NO_OBJECT.values(), ids=NO_OBJECT
)
@pytest.mark.parametrize("method", METHODS)
def test_an_answer_without_an_object_raises(  # noqa: PLR0913, PLR0917 -- fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    mode: Mode,
    endpoint: str,
    method: Any,
    schema: Any,
    scripts: tuple[Script, Script],
    error_class: type[OneRouterError],
    message_part: str,
) -> None:
    """The error names the reason, and has the ids of the reply; the output is never None."""
    runnable = llm.with_structured_output(schema, method=method)
    with pytest.raises(error_class, match=message_part) as caught:
        final_value(mode, endpoint, sim, runnable, scripts)
    assert caught.value.model == "simulated/echo"
    assert caught.value.generation_id == "chatcmpl-simulated"
    assert caught.value.request_id
    assert isinstance(caught.value, lc.ModelError)


@pytest.mark.parametrize(
    ("scripts", "error_class", "message_part"), NO_OBJECT.values(), ids=NO_OBJECT
)
def test_include_raw_returns_the_error(  # noqa: PLR0913, PLR0917 -- fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    mode: Mode,
    schema: Any,
    scripts: tuple[Script, Script],
    error_class: type[OneRouterError],
    message_part: str,
) -> None:
    """The output has the error and the message."""
    sim.script(scripts[0])
    result = mode.invoke(llm.with_structured_output(schema, include_raw=True), "x")
    assert isinstance(result["parsing_error"], error_class)
    assert result["parsed"] is None
    assert isinstance(result["raw"], AIMessage)


def test_errors_are_langchain_errors(llm: ChatOneRouter, sim: Simulator, mode: Mode) -> None:
    """OutputParserException or ModelRefusalError catches them."""
    runnable = llm.with_structured_output(City)
    sim.script(text_replies("chat")[0], NO_OBJECT["refusal"][0][0])
    with pytest.raises(lc.OutputParserException):
        mode.invoke(runnable, "x")
    with pytest.raises(getattr(lc, "ModelRefusalError", lc.ModelError)) as caught:
        mode.invoke(runnable, "x")
    assert caught.value.raw_message.additional_kwargs["refusal"] == "Not I."


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{OSLO_JSON}\n```",
        f"Sure!\n```\n{OSLO_JSON}\n```\nAnything else?",
        f"Here it is: {OSLO_JSON}",
        f"\n\n {OSLO_JSON} \n",
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_json_within_text_is_parsed(  # noqa: PLR0913, PLR0917 -- fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    mode: Mode,
    endpoint: str,
    schema: Any,
    method: Any,
    text: str,
) -> None:
    """In a code fence or after an introduction; also if the model ignored the tool."""
    runnable = llm.with_structured_output(schema, method=method)
    assert to_dict(final_value(mode, endpoint, sim, runnable, text_replies(text))) == OSLO_DICT


def test_reasoning_is_not_part_of_the_object(llm: ChatOneRouter, collect_outputs: Any) -> None:
    """It comes before the object in a stream."""
    runnable = llm.with_structured_output(City, reasoning={"effort": "low"})
    assert collect_outputs(runnable, QUESTION)[-1] == City(**ANSWER)


def test_the_parser_accepts_strings(llm: ChatOneRouter, mode: Mode) -> None:
    """A step between model and parser may convert messages to strings."""
    runnable = llm.with_structured_output(CITY_SCHEMA, method="json_schema")
    parser = runnable.last
    assert parser.parse(OSLO_JSON) == OSLO_DICT
    assert parser.parse_result([Generation(text=OSLO_JSON)]) == OSLO_DICT
    assert mode.invoke(parser, OSLO_JSON) == OSLO_DICT
    chain = runnable.first | StrOutputParser() | parser
    assert mode.invoke(chain, QUESTION) == ANSWER
    assert mode.stream(chain, QUESTION)[-1] == ANSWER
    assert mode.stream(parser, AIMessage(OSLO_JSON)) == [OSLO_DICT]


def test_an_empty_stream_yields_nothing(llm: ChatOneRouter, mode: Mode) -> None:
    """The parser adds no value."""

    async def adrain(chunks: Any) -> Any:
        async for _ in chunks:
            pass
        for item in ():
            yield item

    def drain(chunks: Any) -> Any:
        list(chunks)
        yield from ()

    parser = llm.with_structured_output(CITY_SCHEMA, method="json_schema").last
    assert mode.stream(RunnableGenerator(drain, adrain) | parser, "x") == []


BERGEN_DICT = {"name": "Bergen", "people": 9}


def look_up(name: str) -> str:
    """Look up a city."""
    return name


@pytest.mark.parametrize("schema", [City, CityDict], ids=["class", "dict"])
@pytest.mark.parametrize("method", METHODS)
def test_arguments_of_another_tool_are_not_the_object(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory,
    sim: Simulator,
    collect_outputs: Any,
    endpoint: str,
    method: Any,
    schema: Any,
) -> None:
    """Even if they fit the schema; the error names the tool that was called."""
    sim.script(
        calls_replies(tool_call("look_up", {"name": "Oslo", "people": 3}, "c"))[
            endpoint == "stream"
        ]
    )
    runnable = make_llm().with_structured_output(schema, method=method, tools=[look_up])
    with pytest.raises(MalformedReplyError, match="called look_up instead"):
        collect_outputs(runnable, "x")


@pytest.mark.parametrize("schema", [City, CityDict], ids=["class", "dict"])
def test_the_first_call_of_the_schema_is_the_object(
    make_llm: LLMFactory, sim: Simulator, collect_outputs: Any, endpoint: str, schema: Any
) -> None:
    """Text, calls of other tools and later calls are ignored."""
    calls = [
        tool_call("look_up", BERGEN_DICT, "c1"),
        tool_call(schema.__name__, OSLO_DICT, "c2"),
        tool_call(schema.__name__, BERGEN_DICT, "c3"),
    ]
    sim.script(calls_replies(*calls, content="Well.")[endpoint == "stream"])
    runnable = make_llm().with_structured_output(
        schema, method="function_calling", tools=[look_up], tool_choice="any"
    )
    assert [to_dict(value) for value in collect_outputs(runnable, "x")] == [OSLO_DICT]


@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
def test_text_beside_a_call_is_the_object(
    make_llm: LLMFactory, sim: Simulator, collect_outputs: Any, endpoint: str, method: Any
) -> None:
    """With the methods json_schema and json_mode."""
    call = tool_call("look_up", BERGEN_DICT, "c")
    sim.script(calls_replies(call, content=OSLO_JSON)[endpoint == "stream"])
    runnable = make_llm().with_structured_output(CityDict, method=method, tools=[look_up])
    assert collect_outputs(runnable, "x")[-1] == OSLO_DICT


def test_a_missing_key_is_named(
    make_llm: LLMFactory, sim: Simulator, collect_outputs: Any, endpoint: str
) -> None:
    """The error names the missing key of the schema."""
    sim.script(calls_replies(tool_call("City", {"people": 3}, "c"))[endpoint == "stream"])
    with pytest.raises(MalformedReplyError, match="name"):
        collect_outputs(make_llm().with_structured_output(City, method="function_calling"), "x")


@pytest.mark.parametrize("schema", [City, CityDict], ids=["class", "dict"])
@pytest.mark.parametrize("method", METHODS)
def test_a_stream_of_a_model_without_streaming(
    make_llm: LLMFactory, mode: Mode, method: Any, schema: Any
) -> None:
    """Its message is parsed as one chunk, calls included."""
    runnable = make_llm(disable_streaming=True).with_structured_output(schema, method=method)
    assert [to_dict(value) for value in mode.stream(runnable, QUESTION)] == [ANSWER]


@pytest.mark.parametrize(
    ("reply_body", "error_class"),
    [
        (completion('{"name": "Os', finish_reason="length"), LengthLimitError),
        (completion('{"town": "Oslo"}'), MalformedReplyError),
        (completion("No.", message={"refusal": "no"}), RefusalError),
    ],
    ids=["cut", "missing key", "refusal"],
)
def test_the_error_carries_the_answer_and_the_attempts(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, reply_body: Any, error_class: Any
) -> None:
    """The answer was paid for; it is in `partial`."""
    sim.script(failure(503, "Overloaded"), Script(json=reply_body))
    with waiting(0), pytest.raises(error_class) as caught:
        mode.invoke(make_llm().with_structured_output(CityDict, method="json_schema"), QUESTION)
    assert caught.value.partial.text == reply_body["choices"][0]["message"]["content"]
    assert caught.value.attempts == 2


@pytest.mark.parametrize("include_raw", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["invoke", "stream"])
def test_an_object_is_read_in_the_message_and_no_reply_is_made_of_it(
    llm: ChatOneRouter, schema: Any, method: Any, include_raw: bool, is_streamed: bool
) -> None:
    """A reply with the arguments' text is made for an error only, which carries it."""
    runnable: Any = llm.with_structured_output(schema, method=method, include_raw=include_raw)
    outputs: list[Any] = []

    def call() -> None:
        outputs.extend(runnable.stream(QUESTION) if is_streamed else [runnable.invoke(QUESTION)])

    functions = {name.rpartition(" ")[2] for name in entered(call)}
    assert to_dict(outputs[-1]["parsed"] if include_raw else outputs[-1]) == ANSWER
    assert "read_answer" in functions
    assert not functions & {"arguments_text", "to_reply"}
