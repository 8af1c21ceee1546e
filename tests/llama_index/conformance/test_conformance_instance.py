"""An instance as a value: copied, compared, written down and read again, and keeping its secret."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager

from tests.llama_index.conformance.answers import answer, refuse
from tests.llama_index.conformance.bench import Bench, say

# --- copies ---


def used(bench: Bench) -> Any:
    """Return an instance that has been used in every way."""
    for endpoint in ("chat", "stream_chat"):
        bench.script(answer(endpoint))
        bench.items(endpoint, say())
    return bench.llm


def works(bench: Bench, copied: Any) -> None:
    """Check that a copy answers, and that the original still does."""
    bench.made.insert(0, copied)
    for llm in (copied, bench.llm):
        bench.script(answer("chat", "Still here."))
        (response,) = bench.colour.items(getattr(llm, bench.colour.named("chat")), say())
        assert response.message.content == "Still here."
        assert bench.body["temperature"] == 0.3


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda llm: llm.model_copy(),
        lambda llm: pickle.loads(pickle.dumps(llm)),  # noqa: S301 -- our own
    ],
    ids=["copy", "deepcopy", "model_copy", "pickle"],
)
def test_a_copy_works(bench: Bench, copied: Any) -> None:
    """Pipelines and workflows copy models, after use, too."""
    bench.make(temperature=0.3)
    other = copied(used(bench))
    assert other is not bench.llm
    works(bench, other)


def test_what_is_written_down_can_be_read_again(bench: Bench) -> None:
    """`from_dict(to_dict())` and who the user is make the model anew."""
    llm = bench.make(temperature=0.3)
    reach = bench.subject.reach(bench.sim.base_url, bench.sim.api_key)
    works(bench, type(llm).from_dict({**used(bench).to_dict(), **reach}))


def test_pickling_takes_nothing_away(plain_bench: Bench) -> None:
    """What cannot be pickled is left out of the pickle, not taken from the model."""
    manager = CallbackManager()
    llm = plain_bench.make(callback_manager=manager, messages_to_prompt=lambda _: "x")
    pickle.dumps(llm)
    assert llm.callback_manager is manager
    assert llm.messages_to_prompt([]) == "x"


def test_equal_settings_are_equal_models(plain_bench: Bench) -> None:
    """Used or not, and a different model is another one."""
    used(plain_bench)
    same, other = plain_bench.llm, plain_bench.make(temperature=0.9)
    assert plain_bench.make() == same
    assert other != same


# --- settings ---


def test_making_one_does_nothing(plain_bench: Bench) -> None:
    """No request before the first."""
    plain_bench.make()
    assert plain_bench.count == 0


def test_a_misspelt_argument_is_refused(plain_bench: Bench) -> None:
    """A setting that is silently ignored is found in the bill."""
    with pytest.raises(Exception, match="tempreture"):
        plain_bench.make(tempreture=0.3)


def test_a_model_of_tomorrow_has_metadata(plain_bench: Bench) -> None:
    """Prompts, memories and traces ask for it on every call: it never raises."""
    metadata = plain_bench.make(model="vendor/released-tomorrow").metadata
    assert metadata.model_name == "vendor/released-tomorrow"
    assert metadata.context_window > 0


# --- secrets ---


def test_the_key_is_not_shown(plain_bench: Bench) -> None:
    """Notebooks print models, logs their `repr`."""
    llm = plain_bench.llm
    assert plain_bench.sim.api_key not in f"{llm!r} {llm}"


def test_the_key_is_not_written_down(plain_bench: Bench) -> None:
    """Configurations are committed."""
    llm = plain_bench.llm
    assert plain_bench.sim.api_key not in f"{llm.to_dict()} {llm.to_json()} {llm.model_dump()}"


def test_an_error_does_not_show_the_key(bench: Bench) -> None:
    """Servers quote it when they refuse it."""
    key = bench.sim.api_key
    bench.script(refuse(401, f"Incorrect API key provided: {key}"))
    error = bench.attempt("chat", say()).error
    assert error is not None
    assert key not in f"{error} {error!r} {vars(error)}"


def test_another_vendors_environment_stays_here(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and names of accounts with OpenAI are sent to OpenAI only."""
    if bench.subject.own == "OPENAI_":
        pytest.skip("it is the vendor's own class")
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, f"theirs-{name}")
    bench.script(answer("chat"))
    bench.last("chat", say())
    assert "theirs" not in str(bench.sim.last.headers)
