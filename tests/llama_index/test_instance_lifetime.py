"""Instances: construction, metadata, equality, copies, dumps, secrets, threads, event loops."""

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
from tests.llama_index.conftest import LLMFactory, user_messages

KEY = "sk-very-secret"


def test_all_public_names_are_sorted_and_exist() -> None:
    """`__all__` of the package."""
    assert llama_index_onerouter.__all__ == sorted(llama_index_onerouter.__all__)
    for name in llama_index_onerouter.__all__:
        assert hasattr(llama_index_onerouter, name)


def test_the_package_has_a_py_typed_file() -> None:
    """Type checkers read the annotations only with it."""
    assert files(llama_index_onerouter).joinpath("py.typed").is_file()


def test_an_import_without_llama_index_names_the_extra() -> None:
    """The error has the pip command."""
    code = "import sys; sys.modules['llama_index'] = None; import llama_index_onerouter"
    finished = subprocess.run(  # noqa: S603 -- a fixed command
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert 'pip install "onerouter-integrations[llama-index]"' in finished.stderr


def test_import_and_construction_do_not_import_the_sdk() -> None:
    """The openai package is imported by the first request."""
    code = (
        "import sys; from llama_index_onerouter import OneRouterLLM; OneRouterLLM(model='m');"
        "sys.exit('openai' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], check=False)  # noqa: S603 -- a fixed command
    assert finished.returncode == 0


# --- metadata ---


def test_the_class_is_a_function_calling_llm() -> None:
    """LlamaIndex checks for the base class."""
    assert issubclass(OneRouterLLM, FunctionCallingLLM)


def test_metadata_of_an_unknown_model() -> None:
    """A chat model with tool calls and a context window of 128,000 tokens."""
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
def test_num_output_is_at_most_half_the_context_window(
    window: int, max_tokens: int, num_output: int
) -> None:
    """LlamaIndex subtracts it from the window; the rest must hold a prompt."""
    llm = OneRouterLLM(model="m", context_window=window, max_tokens=max_tokens)
    assert llm.metadata.context_window == window
    assert llm.metadata.num_output == num_output


def test_class_name_is_the_name_of_the_class() -> None:
    """Serialised models have this name."""
    assert OneRouterLLM.class_name() == "OneRouterLLM"


def test_the_payload_has_model_and_temperature_and_no_secret() -> None:
    """A temperature of 0 is shown; a field that is not set is not."""
    llm = OneRouterLLM(model="m", temperature=0, api_key=KEY, default_headers={"x": KEY})
    payload = llm.to_payload()
    assert payload["class_name"] == "OneRouterLLM"
    assert (payload["model"], payload["temperature"]) == ("m", 0)
    assert "max_tokens" not in payload
    assert KEY not in repr(payload)


# --- construction ---


def test_a_misspelt_argument_raises_with_a_suggestion() -> None:
    """LlamaIndex's own fields are accepted."""
    with pytest.raises(ValidationError, match="Did you mean 'temperature'"):
        OneRouterLLM(model="m", tempreture=0.5)
    with pytest.raises(ValidationError, match="Did you mean 'context_window'"):
        OneRouterLLM(model="m", contxt_window=5)
    own = {"system_prompt": "x", "callback_manager": None, "output_parser": None}
    assert OneRouterLLM(model="m", **own).system_prompt == "x"


def test_key_and_url_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, sim: Simulator
) -> None:
    """The variables of OpenAI's SDK are not sent."""
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-theirs")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-theirs")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-theirs")
    with OneRouterLLM(model="simulated/echo") as llm:
        llm.chat(user_messages("x"))
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"
    assert "theirs" not in repr(sim.last.headers)


# --- copies ---


def call_sync_and_async(llm: OneRouterLLM) -> OneRouterLLM:
    """Call a model sync and async, and return it."""
    llm.chat(user_messages("x"))
    asyncio.run(llm.achat(user_messages("x")))
    return llm


@pytest.mark.parametrize(
    "copy_llm",
    [
        copy.copy,
        copy.deepcopy,
        lambda llm: llm.model_copy(),
        lambda llm: llm.model_copy(deep=True),
        lambda llm: pickle.loads(pickle.dumps(llm)),  # noqa: S301 -- a pickle of this test
        lambda llm: OneRouterLLM.from_dict(llm.to_dict(), api_key=llm.api_key),
        lambda llm: OneRouterLLM.from_json(llm.to_json(), api_key=llm.api_key),
    ],
    ids=["copy", "deepcopy", "model_copy", "deep model_copy", "pickle", "dict", "json"],
)
def test_a_copy_of_a_used_model_is_equal_and_works(make_llm: LLMFactory, copy_llm: Any) -> None:
    """The original works after it, too."""
    routing = {"provider": {"order": ["a"]}, "reasoning": {"effort": "low"}}
    llm = call_sync_and_async(
        make_llm(temperature=0.0, system_prompt="x", additional_kwargs={"seed": 1}, **routing)
    )
    with copy_llm(llm) as other:
        assert other is not llm
        assert other == llm
        assert other.provider == llm.provider
        call_sync_and_async(other)
    call_sync_and_async(llm)


def test_models_with_equal_fields_are_equal() -> None:
    """Another class is not equal, and a model has no hash."""
    assert OneRouterLLM(model="m") == OneRouterLLM(model="m")
    assert OneRouterLLM(model="m") != OneRouterLLM(model="n")
    assert OneRouterLLM(model="m") != "m"
    with pytest.raises(TypeError):
        hash(OneRouterLLM(model="m"))


def test_a_loaded_model_takes_the_api_key_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, make_llm: LLMFactory, sim: Simulator
) -> None:
    """The dump has no key."""
    dump = make_llm(temperature=0.0, replay_reasoning="never").to_json()
    assert sim.api_key not in dump
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    with OneRouterLLM.from_json(dump) as llm:
        assert llm.complete("x").text == "You said: x"
    assert (llm.temperature, llm.replay_reasoning) == (0.0, "never")


def test_a_model_with_an_http_client_cannot_be_pickled() -> None:
    """The error names the field; a copy would silently use another client."""
    llm = OneRouterLLM(model="m", http_client=object())
    with pytest.raises(ConfigurationError, match="http_client cannot be pickled"):
        pickle.dumps(llm)
    assert llm.http_client is not None


class UnpicklableHandler(LlamaDebugHandler):
    """A handler that can be neither pickled nor deep-copied."""

    def __init__(self) -> None:
        super().__init__(print_trace_on_end=False)
        self.lock = threading.Lock()


def test_pickling_does_not_change_the_original() -> None:
    """Unpicklable fields are missing from the pickle only."""
    manager = CallbackManager([UnpicklableHandler()])
    llm = OneRouterLLM(model="m", callback_manager=manager, messages_to_prompt=lambda _: "x")
    pickled = pickle.loads(pickle.dumps(llm))  # noqa: S301 -- a pickle of this test
    assert pickled.model == "m"
    assert llm.callback_manager is manager
    assert llm.messages_to_prompt is not None
    assert copy.deepcopy(llm).callback_manager is manager


# --- secrets ---


def test_no_dump_repr_or_payload_has_a_secret() -> None:
    """API key and headers, also those in `additional_kwargs`."""
    llm = OneRouterLLM(
        model="m",
        api_key=KEY,
        default_headers={"x": KEY},
        additional_kwargs={"api_key": KEY, "extra_headers": {"x": KEY}, "seed": 1},
    )
    dumps = [repr(llm), str(llm), repr(llm.to_dict()), llm.to_json(), repr(llm.model_dump())]
    assert not any(KEY in dump for dump in [*dumps, repr(llm.to_payload())])
    assert llm.to_dict()["additional_kwargs"] == {"seed": 1}


# --- threads and loops ---


def test_one_instance_works_on_many_event_loops(make_llm: LLMFactory, sim: Simulator) -> None:
    """One request per call, and no retry."""
    llm = make_llm(max_retries=0)
    for _ in range(5):
        assert asyncio.run(llm.acomplete("x")).text == "You said: x"
    assert len(sim.requests) == 5


def test_one_instance_works_in_many_threads(make_llm: LLMFactory, sim: Simulator) -> None:
    """Sync calls, and async calls on an event loop per thread."""
    llm = make_llm(max_retries=0)

    def call_both(number: int) -> list[str]:
        return [
            llm.complete(f"a{number}").text,
            asyncio.run(llm.acomplete(f"b{number}")).text,
        ]

    with ThreadPoolExecutor(8) as pool:
        for number, answers in enumerate(pool.map(call_both, range(24))):
            assert answers == [f"You said: a{number}", f"You said: b{number}"]
    assert len(sim.requests) == 48


async def test_a_closed_model_opens_again_when_used(make_llm: LLMFactory) -> None:
    """After `async with`, `close` and `aclose`."""
    async with make_llm() as llm:
        await llm.acomplete("x")
        llm.complete("x")
    llm.close()
    await llm.aclose()
    assert llm.complete("x").text == (await llm.acomplete("x")).text
    await llm.aclose()
