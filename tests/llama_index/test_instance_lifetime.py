"""An instance as a value: metadata, equality, copies, serialisation, secrets, threads and loops."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any

import pytest
from llama_index.core.base.llms.types import MessageRole
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.llms.function_calling import FunctionCallingLLM
from pydantic import ValidationError

import llama_index_onerouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import ConfigurationError
from onerouter_simulator import Simulator
from tests.llama_index.conftest import Make, say

KEY = "sk-very-secret"


def test_the_door_is_sorted() -> None:
    """What the package offers is what it says it offers."""
    assert llama_index_onerouter.__all__ == sorted(llama_index_onerouter.__all__)
    for name in llama_index_onerouter.__all__:
        assert hasattr(llama_index_onerouter, name)


def test_the_package_is_typed() -> None:
    """Type checkers read the annotations."""
    assert files(llama_index_onerouter).joinpath("py.typed").is_file()


def test_without_llama_index_the_door_says_what_to_install() -> None:
    """The extra's name is in the error."""
    code = "import sys; sys.modules['llama_index'] = None; import llama_index_onerouter"
    ran = subprocess.run(  # noqa: S603 -- our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert 'pip install "onerouter-integrations[llama-index]"' in ran.stderr


def test_importing_and_constructing_does_nothing() -> None:
    """Neither loads the SDK."""
    code = (
        "import sys; from llama_index_onerouter import OneRouterLLM; OneRouterLLM(model='m');"
        "sys.exit('openai' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 -- our own interpreter


# --- what LlamaIndex asks about the model ---


def test_it_is_a_llama_index_model() -> None:
    """Everything that takes an LLM takes this one."""
    assert issubclass(OneRouterLLM, FunctionCallingLLM)


def test_metadata() -> None:
    """Any model chats and calls, in a window that holds it."""
    metadata = OneRouterLLM(model="vendor/unheard-of").metadata
    assert metadata.model_name == "vendor/unheard-of"
    assert metadata.context_window == 128_000
    assert metadata.num_output == -1
    assert metadata.is_chat_model
    assert metadata.is_function_calling_model
    assert metadata.system_role == MessageRole.SYSTEM


@pytest.mark.parametrize(
    ("window", "max_tokens", "num_output"), [(8000, 500, 500), (8000, 9000, 4000), (1, 1, 0)]
)
def test_the_output_leaves_room_in_the_window(
    window: int, max_tokens: int, num_output: int
) -> None:
    """LlamaIndex takes the output off the window: what is left must hold a prompt."""
    llm = OneRouterLLM(model="m", context_window=window, max_tokens=max_tokens)
    assert llm.metadata.context_window == window
    assert llm.metadata.num_output == num_output


def test_class_name() -> None:
    """The name in serialised models."""
    assert OneRouterLLM.class_name() == "OneRouterLLM"


def test_the_payload_names_the_model() -> None:
    """Traces show model and temperature, 0 too, and nothing secret."""
    llm = OneRouterLLM(model="m", temperature=0, api_key=KEY, default_headers={"x": KEY})
    payload = llm.to_payload()
    assert payload["class_name"] == "OneRouterLLM"
    assert (payload["model"], payload["temperature"]) == ("m", 0)
    assert "max_tokens" not in payload
    assert KEY not in repr(payload)


# --- construction ---


def test_a_misspelt_argument_is_refused() -> None:
    """The error suggests what was meant; LlamaIndex's own fields are known."""
    with pytest.raises(ValidationError, match="Did you mean 'temperature'"):
        OneRouterLLM(model="m", tempreture=0.5)
    with pytest.raises(ValidationError, match="Did you mean 'context_window'"):
        OneRouterLLM(model="m", contxt_window=5)
    own = {"system_prompt": "x", "callback_manager": None, "output_parser": None}
    assert OneRouterLLM(model="m", **own).system_prompt == "x"


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, sim: Simulator) -> None:
    """Key and URL may come from the environment; OpenAI's variables do nothing."""
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-theirs")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-theirs")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-theirs")
    with OneRouterLLM(model="simulated/echo") as llm:
        llm.chat(say("x"))
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"
    assert "theirs" not in repr(sim.last.headers)


# --- copies ---


def used(llm: OneRouterLLM) -> OneRouterLLM:
    """Use a model in both colours."""
    llm.chat(say("x"))
    asyncio.run(llm.achat(say("x")))
    return llm


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda llm: llm.model_copy(),
        lambda llm: llm.model_copy(deep=True),
        lambda llm: pickle.loads(pickle.dumps(llm)),  # noqa: S301 -- our own
        lambda llm: OneRouterLLM.from_dict(llm.to_dict(), api_key=llm.api_key),
        lambda llm: OneRouterLLM.from_json(llm.to_json(), api_key=llm.api_key),
    ],
    ids=["copy", "deepcopy", "model_copy", "deep model_copy", "pickle", "dict", "json"],
)
def test_copies_are_equal_and_work(make: Make, copied: Any) -> None:
    """A used model can be copied in every way there is, and the copy used."""
    routing = {"provider": {"order": ["a"]}, "reasoning": {"effort": "low"}}
    llm = used(make(temperature=0.0, system_prompt="x", additional_kwargs={"seed": 1}, **routing))
    with copied(llm) as other:
        assert other is not llm
        assert other == llm
        assert other.provider == llm.provider
        used(other)
    used(llm)


def test_a_model_is_equal_to_its_like() -> None:
    """Settings decide; other classes are other things; a model has no hash."""
    assert OneRouterLLM(model="m") == OneRouterLLM(model="m")
    assert OneRouterLLM(model="m") != OneRouterLLM(model="n")
    assert OneRouterLLM(model="m") != "m"
    with pytest.raises(TypeError):
        hash(OneRouterLLM(model="m"))


def test_a_dump_is_loaded_with_the_environments_key(
    monkeypatch: pytest.MonkeyPatch, make: Make, sim: Simulator
) -> None:
    """A model that was written down without its key takes the one of where it is read."""
    written = make(temperature=0.0, replay_reasoning="never").to_json()
    assert sim.api_key not in written
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    with OneRouterLLM.from_json(written) as llm:
        assert llm.complete("x").text == "You said: x"
    assert (llm.temperature, llm.replay_reasoning) == (0.0, "never")


def test_what_cannot_be_pickled_is_named() -> None:
    """A copy without your HTTP client would go another way without a word."""
    llm = OneRouterLLM(model="m", http_client=object())
    with pytest.raises(ConfigurationError, match="http_client cannot be pickled"):
        pickle.dumps(llm)
    assert llm.http_client is not None


class Locked(LlamaDebugHandler):
    """A handler that can be neither pickled nor deeply copied."""

    def __init__(self) -> None:
        super().__init__(print_trace_on_end=False)
        self.lock = threading.Lock()


def test_pickling_leaves_the_original_whole() -> None:
    """What does not pickle is left out of the pickle, not taken from the model."""
    manager = CallbackManager([Locked()])
    llm = OneRouterLLM(model="m", callback_manager=manager, messages_to_prompt=lambda _: "x")
    pickled = pickle.loads(pickle.dumps(llm))  # noqa: S301 -- our own
    assert pickled.model == "m"
    assert llm.callback_manager is manager
    assert llm.messages_to_prompt is not None
    assert copy.deepcopy(llm).callback_manager is manager


# --- secrets ---


def test_secrets_stay_in() -> None:
    """No dump, no repr and no trace shows a key or a header."""
    llm = OneRouterLLM(
        model="m",
        api_key=KEY,
        default_headers={"x": KEY},
        additional_kwargs={"api_key": KEY, "extra_headers": {"x": KEY}, "seed": 1},
    )
    shown = [repr(llm), str(llm), repr(llm.to_dict()), llm.to_json(), repr(llm.model_dump())]
    assert not any(KEY in one for one in [*shown, repr(llm.to_payload())])
    assert llm.to_dict()["additional_kwargs"] == {"seed": 1}


# --- threads and loops ---


def test_one_instance_on_many_loops(make: Make, sim: Simulator) -> None:
    """A loop that ends takes nothing with it: one request per call, no retry."""
    llm = make(max_retries=0)
    for _ in range(5):
        assert asyncio.run(llm.acomplete("x")).text == "You said: x"
    assert len(sim.requests) == 5


def test_one_instance_on_many_threads(make: Make, sim: Simulator) -> None:
    """Threads share an instance, with sync calls and with loops of their own."""
    llm = make(max_retries=0)

    def both(number: int) -> list[str]:
        return [
            llm.complete(f"a{number}").text,
            asyncio.run(llm.acomplete(f"b{number}")).text,
        ]

    with ThreadPoolExecutor(8) as pool:
        for number, answers in enumerate(pool.map(both, range(24))):
            assert answers == [f"You said: a{number}", f"You said: b{number}"]
    assert len(sim.requests) == 48


async def test_closing(make: Make) -> None:
    """A closed model opens again when it is used."""
    async with make() as llm:
        await llm.acomplete("x")
        llm.complete("x")
    llm.close()
    await llm.aclose()
    assert llm.complete("x").text == (await llm.acomplete("x")).text
    await llm.aclose()
