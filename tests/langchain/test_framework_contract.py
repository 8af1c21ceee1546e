"""LangChain's expectations of a model: serialisation, token counts, usage of a batch."""

from __future__ import annotations

from typing import Any

from langchain_core.load import dumpd, dumps
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, completion
from tests.langchain.conftest import LLMFactory

SECRET = "sk-secret-0123456789"


def test_serialisation_contains_no_secret() -> None:
    """Neither key nor headers are in repr, dumps, dumpd or the trace."""
    llm = ChatOneRouter(model="a/b", api_key=SECRET, default_headers={"x-secret": SECRET})
    outputs = (repr(llm), str(llm), dumps(llm), str(dumpd(llm)), str(llm.asdict()))
    assert [text for text in outputs if SECRET in text] == []


def test_tokens_are_counted_without_a_download(make_llm: LLMFactory) -> None:
    """The estimate depends on the length, and includes tools."""

    @tool
    def find(text: str) -> str:
        """Find a text."""
        return text

    llm = make_llm()
    short = llm.get_num_tokens("word")
    assert 0 < short < llm.get_num_tokens("word " * 100) < 400
    message = [HumanMessage("word")]
    assert llm.get_num_tokens_from_messages(message) < llm.get_num_tokens_from_messages(
        message, tools=[find]
    )


def test_generate_sums_token_usage(make_llm: LLMFactory, sim: Simulator) -> None:
    """Nested counts are summed; a reply without usage is ignored."""
    usage = {"prompt_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}, "tier": "a"}
    replies = [
        Script(json=completion("Hi", usage=usage)),
        Script(json=completion("Hi", usage=None)),
    ]
    sim.script(*replies, Script(json=completion("Hi", usage=usage)))
    output: Any = make_llm().generate([[HumanMessage("x")]] * 3).llm_output
    assert output["token_usage"] == {
        "prompt_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 2},
        "tier": "a",
    }
    assert output["model_name"]


def test_streamed_generate_has_no_llm_output(make_llm: LLMFactory) -> None:
    """The usage of a streamed answer is in its message only."""
    output = make_llm(streaming=True).generate([[HumanMessage("x")]]).llm_output
    assert not (output or {}).get("token_usage")


def test_token_estimates_are_scaled_by_reported_usage(make_llm: LLMFactory) -> None:
    """Usage in an answer corrects the estimate."""
    llm = make_llm()
    answer = AIMessage(
        "word " * 50,
        usage_metadata={"input_tokens": 400, "output_tokens": 400, "total_tokens": 800},
        response_metadata={"model_provider": "onerouter"},
    )
    without_usage = answer.model_copy(update={"usage_metadata": None})
    count = llm.get_num_tokens_from_messages
    assert count([HumanMessage("word"), answer]) > count([HumanMessage("word"), without_usage])
