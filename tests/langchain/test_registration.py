"""`register`: init_chat_model and loads of LangChain find ChatOneRouter."""

from __future__ import annotations

import subprocess
import sys

import pytest
from langchain_core.load import dumps, loads

from langchain_onerouter import ChatOneRouter, register
from onerouter_simulator import Simulator
from tests.langchain.conftest import LLMFactory


def test_init_chat_model_after_register(monkeypatch: pytest.MonkeyPatch, sim: Simulator) -> None:
    """The model id may contain a colon; a second `register` changes nothing."""
    base = pytest.importorskip("langchain.chat_models", exc_type=ImportError)
    register()
    register()
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    llm = base.init_chat_model("onerouter:vendor/model:free", api_key=sim.api_key, temperature=0)
    assert isinstance(llm, ChatOneRouter)
    assert (llm.model, llm.temperature) == ("vendor/model:free", 0)


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_loads_returns_an_equal_model(
    make_llm: LLMFactory, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of the loaded model comes from the environment."""
    register()
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    llm = make_llm(temperature=0, provider={"sort": "price"}, stop=["x"])
    loaded = loads(dumps(llm), allowed_objects="all", valid_namespaces=["langchain_onerouter"])
    assert loaded == llm
    assert loaded.invoke("Hello").text


@pytest.mark.parametrize("allowed", ["all", "core", "messages"])
def test_register_after_loads(allowed: str) -> None:
    """LangChain keeps the classes that it may load from the first call on."""
    code = (
        "from langchain_core.load import dumps, loads\n"
        "from langchain_core.messages import HumanMessage\n"
        "from langchain_onerouter import ChatOneRouter, register\n"
        f"loads(dumps(HumanMessage('x')), allowed_objects={allowed!r})\n"
        "loads(dumps(HumanMessage('x')), allowed_objects='all')\n"
        "register()\n"
        "text = dumps(ChatOneRouter(model='a/b', api_key='k'))\n"
        "options = {'allowed_objects': 'all', 'valid_namespaces': ['langchain_onerouter']}\n"
        "assert loads(text, **options).model == 'a/b'\n"
    )
    done = subprocess.run(  # noqa: S603 -- code of this test
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_register_without_langchain_raises_nothing() -> None:
    """Also if a table of another LangChain version has moved."""
    code = (
        "import sys, types\n"
        "sys.modules['langchain.chat_models.base'] = types.ModuleType('moved')\n"
        "sys.modules['langchain'] = None\n"
        "import langchain_onerouter\n"
        "langchain_onerouter.register()\n"
    )
    done = subprocess.run(  # noqa: S603 -- code of this test
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
