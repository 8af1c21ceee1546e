"""Errors of a failed object: what LlamaIndex means to survive survives, the rest raises ours."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import Document, PromptTemplate, PropertyGraphIndex, SummaryIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.extractors import PydanticProgramExtractor
from llama_index.core.indices.property_graph import SchemaLLMPathExtractor
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_core import errors as core
from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.llama_index.conftest import LLMFactory, Mode, user_messages
from tests.llama_index.samples import METHODS, PROMPT, SONG, Song, text_reply, text_stream

# A reply without an object, the error, and what its message says of the reply.
FAILURES: dict[str, tuple[dict[str, Any], type[core.OneRouterError], str]] = {
    "prose": (completion("No idea."), core.MalformedReplyError, "No idea."),
    "wrong shape": (completion('{"title": "Moon"}'), core.MalformedReplyError, "year: Field"),
    "refusal": (
        completion(None, message={"refusal": "I will not."}),
        *(core.RefusalError, "I will not."),
    ),
    "cut": (completion('{"ti', finish_reason="length"), core.LengthLimitError, '{"ti'),
    "cut before it began": (
        completion("", finish_reason="length"),
        *(core.LengthLimitError, "before the answer began"),
    ),
    "moderation": (
        completion("", finish_reason="content_filter"),
        *(core.ContentFilterError, "Moderation"),
    ),
    "nothing": (completion(""), core.MalformedReplyError, "no content"),
}
each_failure = pytest.mark.parametrize("name", FAILURES)
ignore_warnings = pytest.mark.filterwarnings("ignore")


def nodes(*texts: str) -> list[NodeWithScore]:
    """Return retrieved texts."""
    return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in texts]


@pytest.fixture
def llm(make_llm: LLMFactory) -> OneRouterLLM:
    """Return a model that sends one request per call."""
    return make_llm(max_retries=0, context_window=100_000)


# --- ValueErrors that are typed errors ---


@each_failure
@pytest.mark.parametrize("method", ["structured_predict", "stream_structured_predict"])
def test_the_errors_of_a_failed_object_are_value_errors(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, name: str, method: str
) -> None:
    """They stay typed errors with all attributes, and say what came."""
    body, error_class, words = FAILURES[name]
    delta = {key: body["choices"][0]["message"].get(key) for key in ("content", "refusal")}
    reason = body["choices"][0]["finish_reason"]
    streamed = method.startswith("stream")
    events = [chunk(delta), chunk({}, finish_reason=reason)]
    sim.script(Script(events=events) if streamed else Script(json=body))
    with pytest.raises(ValueError, match=r"(?s).") as caught:
        (mode.collect if streamed else mode.call)(llm, method, Song, PROMPT, topic="x")
    error = caught.value
    assert isinstance(error, error_class)
    assert words in error.message
    assert error.model == "simulated/echo"
    assert error.request_id
    assert error.attempts == 1


@each_failure
def test_the_errors_of_a_program_are_value_errors(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, name: str
) -> None:
    """FunctionCallingProgram asks with a tool; an answer in words is no object."""
    sim.script(Script(json=FAILURES[name][0]))
    program = FunctionCallingProgram.from_defaults(Song, prompt_template_str="x", llm=llm)
    with pytest.raises(ValueError, match=r"(?s).") as caught:
        mode.call(program, "call") if mode_is_async(mode) else program()
    assert isinstance(caught.value, core.OneRouterError)


def mode_is_async(mode: Mode) -> bool:
    """Return whether the calls are async."""
    return type(mode).__name__ == "Async"


def test_cut_arguments_of_a_program_are_a_value_error(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The call does not run, and the message has its arguments' error."""
    call = tool_call("Song", '{"title": "Mo')
    body = completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls")
    sim.script(Script(json=body))
    program = FunctionCallingProgram.from_defaults(Song, prompt_template_str="x", llm=llm)
    with pytest.raises(ValueError, match="not run") as caught:
        mode.call(program, "call") if mode_is_async(mode) else program()
    assert isinstance(caught.value, core.MalformedReplyError)


def test_other_failures_are_no_value_errors(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """A job must not go on after a wrong key, nor a chat without an answer be passed over."""
    sim.script(failure(401, "no such key"))
    with pytest.raises(core.AuthenticationError) as caught:
        mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    assert not isinstance(caught.value, ValueError)
    sim.script(text_reply("", finish_reason="length"))
    with pytest.raises(core.LengthLimitError) as cut:
        mode.chat(llm, user_messages("x"))
    assert not isinstance(cut.value, ValueError)


@pytest.mark.parametrize("method", METHODS)
def test_a_retry_is_sent_before_the_error_is_converted(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, method: str
) -> None:
    """`structured_output_retries` asks again for a malformed object."""
    llm = make_llm(structured_output_mode=method, structured_output_retries=1, max_retries=0)
    sim.script(text_reply("No idea."), text_reply(SONG))
    assert mode.call(llm, "structured_predict", Song, PROMPT, topic="x").title == "Moon"


# --- jobs that LlamaIndex means to survive ---


@ignore_warnings
@each_failure
def test_a_property_graph_is_built_without_the_failed_text(
    llm: OneRouterLLM, sim: Simulator, name: str
) -> None:
    """SchemaLLMPathExtractor goes on with the next text."""
    sim.script(Script(json=FAILURES[name][0]))
    index = PropertyGraphIndex.from_documents(
        [Document(text="Ada knows Bob.")],
        llm=llm,
        embed_model=MockEmbedding(3),
        kg_extractors=[SchemaLLMPathExtractor(llm=llm)],
        embed_kg_nodes=False,
    )
    assert index.property_graph_store.get_triplets() == []
    assert len(sim.requests) == 1


@each_failure
def test_an_extractor_that_shall_go_on_goes_on(
    llm: OneRouterLLM, sim: Simulator, name: str
) -> None:
    """PydanticProgramExtractor leaves the failed text without metadata."""
    sim.script(Script(json=FAILURES[name][0]))
    program = FunctionCallingProgram.from_defaults(Song, prompt_template_str="{input}", llm=llm)
    extractor: Any = PydanticProgramExtractor(
        program=program, input_key="input", raise_on_error=False, show_progress=False
    )
    (node,) = extractor.process_nodes([TextNode(text="x")])
    assert node.metadata == {}


class Satisfied(BaseModel):
    """The arguments with which LlamaIndex's refine program is answered."""

    query_satisfied: bool
    answer: str


@ignore_warnings
@each_failure
@pytest.mark.parametrize("streaming", [False, True])
async def test_answer_filtering_passes_over_a_failed_text(
    llm: OneRouterLLM, sim: Simulator, name: str, streaming: bool
) -> None:
    """`structured_answer_filtering`: the next text gives the answer, streamed or not."""
    body = FAILURES[name][0]
    message, reason = body["choices"][0]["message"], body["choices"][0]["finish_reason"]
    good = tool_call("StructuredRefineResponse", {"query_satisfied": True, "answer": "1886"})
    if streaming:
        delta = {key: message.get(key) for key in ("content", "refusal")}
        last = chunk({"tool_calls": [{**good, "index": 0}]})
        end = chunk({}, finish_reason="tool_calls")
        bad_events = [chunk(delta), chunk({}, finish_reason=reason)]
        sim.script(Script(events=bad_events), Script(events=[last, end]))
    else:
        calls = completion(None, message={"tool_calls": [good]}, finish_reason="tool_calls")
        sim.script(Script(json=body), Script(json=calls))
    synthesizer = get_response_synthesizer(
        llm=llm,
        response_mode=ResponseMode.REFINE,
        structured_answer_filtering=True,
        streaming=streaming,
    )
    response: Any = synthesizer.synthesize("When?", nodes("a", "b"))
    assert str(response) == "1886"
    assert len(sim.requests) == 2


# --- "Empty Response" ---


@each_failure
@pytest.mark.parametrize("response_mode", [ResponseMode.COMPACT, ResponseMode.REFINE])
def test_an_engine_with_an_output_class_raises_the_error(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, name: str, response_mode: ResponseMode
) -> None:
    """LlamaIndex would pass over a ValueError and answer "Empty Response"."""
    body, error_class, _ = FAILURES[name]
    engine = SummaryIndex([TextNode(text="a")]).as_query_engine(
        llm=llm, output_cls=Song, response_mode=response_mode
    )
    sim.script(Script(json=body))
    with pytest.raises(error_class):
        mode.call(engine, "query", "Which song?")


@each_failure
def test_an_engine_of_a_structured_model_raises_the_error(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, name: str
) -> None:
    """LlamaIndex would say that "Empty Response" is no JSON."""
    body, error_class, _ = FAILURES[name]
    engine = SummaryIndex([TextNode(text="a")]).as_query_engine(llm=llm.as_structured_llm(Song))
    sim.script(Script(json=body))
    with pytest.raises(error_class):
        mode.call(engine, "query", "Which song?")


@pytest.mark.parametrize("bad", [0, 1])
def test_an_engine_with_an_output_class_passes_over_one_failed_text(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, bad: int
) -> None:
    """The other text has the object."""
    replies = [text_reply(SONG), text_reply(SONG)]
    replies[bad] = text_reply("No idea.")
    sim.script(*replies)
    synthesizer = get_response_synthesizer(
        llm=llm, response_mode=ResponseMode.REFINE, output_cls=Song
    )
    response = mode.call(synthesizer, "synthesize", "Which?", nodes("a", "b"))
    assert response.response == Song(title="Moon", year=1999)


def test_an_engine_with_an_output_class_raises_if_all_texts_failed(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The error is that of the last text."""
    sim.script(text_reply("No idea."), text_reply("Nor here."))
    synthesizer = get_response_synthesizer(
        llm=llm, response_mode=ResponseMode.REFINE, output_cls=Song
    )
    with pytest.raises(core.MalformedReplyError, match="Nor here"):
        mode.call(synthesizer, "synthesize", "Which?", nodes("a", "b"))


def test_a_plain_engine_raises_the_error(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """A cut answer without a word is no "Empty Response"."""
    sim.script(text_reply("", finish_reason="length"))
    engine = SummaryIndex([TextNode(text="a")]).as_query_engine(llm=llm)
    with pytest.raises(core.LengthLimitError):
        mode.call(engine, "query", "Which song?")


def test_a_refusal_is_the_answer_of_a_plain_engine(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Complete and streamed: LlamaIndex would say "Empty Response"."""
    prompt = PromptTemplate("x")
    sim.script(Script(json=completion(None, message={"refusal": "I will not."})))
    engine = SummaryIndex([TextNode(text="a")]).as_query_engine(llm=llm)
    assert str(mode.call(engine, "query", "Which song?")) == "I will not."
    refusal = [chunk({"refusal": "I will "}), chunk({"refusal": "not."})]
    sim.script(Script(events=[*refusal, chunk({}, finish_reason="stop")]))
    assert "".join(mode.collect(llm, "stream", prompt)) == "I will not."
    sim.script(text_stream("Yes."))
    assert "".join(mode.collect(llm, "stream", prompt)) == "Yes."
