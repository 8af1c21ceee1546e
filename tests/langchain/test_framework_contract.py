"""What LangChain and its neighbours expect of a model besides answers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from langchain_core.load import dumpd, dumps, loads
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool

from langchain_onerouter import ChatOneRouter, register
from onerouter_simulator import Script, Simulator, completion
from tests.langchain.conftest import Make

CANARY = "sk-canary-0123456789"


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_a_serialised_model_is_the_same_model(
    make: Make, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dumps` and `loads` give an equal model; the key comes from the environment."""
    register()
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    llm = make(temperature=0, provider={"sort": "price"}, stop=["x"])
    loaded = loads(dumps(llm), allowed_objects="all", valid_namespaces=["langchain_onerouter"])
    assert loaded == llm
    assert loaded.invoke("Hello").text


def test_a_serialised_model_has_no_secret() -> None:
    """Neither key nor headers are in repr, dumps, dumpd or the tracing payload."""
    llm = ChatOneRouter(model="a/b", api_key=CANARY, default_headers={"x-secret": CANARY})
    shown = (repr(llm), str(llm), dumps(llm), str(dumpd(llm)), str(llm.asdict()))
    assert [text for text in shown if CANARY in text] == []


def test_a_model_by_its_name(monkeypatch: pytest.MonkeyPatch, sim: Simulator) -> None:
    """`init_chat_model` makes one, after `register`, colons in the model's id and all."""
    base = pytest.importorskip("langchain.chat_models", exc_type=ImportError)
    register()
    register()
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    llm = base.init_chat_model("onerouter:vendor/model:free", api_key=sim.api_key, temperature=0)
    assert isinstance(llm, ChatOneRouter)
    assert (llm.model, llm.temperature) == ("vendor/model:free", 0)


def test_registering_is_silent_where_there_is_nothing_to_register_with() -> None:
    """When LangChain's table has moved, or langchain is not there, nothing happens."""
    code = (
        "import sys, types\n"
        "sys.modules['langchain.chat_models.base'] = types.ModuleType('moved')\n"
        "sys.modules['langchain'] = None\n"
        "import langchain_onerouter\n"
        "langchain_onerouter.register()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 -- our own


def test_tokens_are_counted_without_a_download(make: Make) -> None:
    """Roughly, by length; tools count."""

    @tool
    def find(text: str) -> str:
        """Find a text."""
        return text

    llm = make()
    short = llm.get_num_tokens("word")
    assert 0 < short < llm.get_num_tokens("word " * 100) < 400
    message = [HumanMessage("word")]
    assert llm.get_num_tokens_from_messages(message) < llm.get_num_tokens_from_messages(
        message, tools=[find]
    )


def test_what_a_batch_used_together(make: Make, sim: Simulator) -> None:
    """`generate` adds up counts, nested ones too; what has none does not disturb."""
    usage = {"prompt_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}, "tier": "a"}
    answers = [
        Script(json=completion("Hi", usage=usage)),
        Script(json=completion("Hi", usage=None)),
    ]
    sim.script(*answers, Script(json=completion("Hi", usage=usage)))
    output: Any = make().generate([[HumanMessage("x")]] * 3).llm_output
    assert output["token_usage"] == {
        "prompt_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 2},
        "tier": "a",
    }
    assert output["model_name"]


def test_what_a_stream_used_is_in_its_message(make: Make) -> None:
    """A streamed answer has no output beside its message, and none is made up."""
    output = make(streaming=True).generate([[HumanMessage("x")]]).llm_output
    assert not (output or {}).get("token_usage")


def test_counts_learn_from_reported_usage(make: Make) -> None:
    """What an answer says that the talk so far took corrects the guess."""
    llm = make()
    said = AIMessage(
        "word " * 50,
        usage_metadata={"input_tokens": 400, "output_tokens": 400, "total_tokens": 800},
        response_metadata={"model_provider": "onerouter"},
    )
    guessed = said.model_copy(update={"usage_metadata": None})
    count = llm.get_num_tokens_from_messages
    assert count([HumanMessage("word"), said]) > count([HumanMessage("word"), guessed])
