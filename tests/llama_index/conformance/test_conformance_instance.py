"""Instances: copies, equality, dumps, construction, metadata and secrets."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager

from tests.llama_index.conformance.harness import Harness, user_messages
from tests.llama_index.conformance.scripted_replies import error_reply, text_reply

# --- copies ---


def used_llm(harness: Harness) -> Any:
    """Return an instance after a call and a stream."""
    for endpoint in ("chat", "stream_chat"):
        harness.script(text_reply(endpoint))
        harness.items(endpoint, user_messages())
    return harness.llm


def assert_copy_works(harness: Harness, copied: Any) -> None:
    """Assert that a copy answers, and that the original still does."""
    harness.instances.insert(0, copied)
    for llm in (copied, harness.llm):
        harness.script(text_reply("chat", "Still here."))
        (response,) = harness.iterate(llm, "chat", user_messages())
        assert response.message.content == "Still here."
        assert harness.last_body["temperature"] == 0.3


@pytest.mark.parametrize(
    "copy_llm",
    [
        copy.copy,
        copy.deepcopy,
        lambda llm: llm.model_copy(),
        lambda llm: pickle.loads(pickle.dumps(llm)),  # noqa: S301 -- a pickle of this test
    ],
    ids=["copy", "deepcopy", "model_copy", "pickle"],
)
def test_a_copy_of_a_used_model_works(harness: Harness, copy_llm: Any) -> None:
    """Pipelines and workflows copy models."""
    harness.make_llm(temperature=0.3)
    copied = copy_llm(used_llm(harness))
    assert copied is not harness.llm
    assert_copy_works(harness, copied)


def test_a_model_can_be_restored_from_its_dict(harness: Harness) -> None:
    """With `from_dict(to_dict())`, base URL and API key."""
    llm = harness.make_llm(temperature=0.3)
    connection = harness.adapter.connection_fields(harness.sim.base_url, harness.sim.api_key)
    restored = type(llm).from_dict({**used_llm(harness).to_dict(), **connection})
    assert_copy_works(harness, restored)


def test_pickling_does_not_change_the_original(sync_harness: Harness) -> None:
    """Unpicklable fields are missing from the pickle only."""
    manager = CallbackManager()
    llm = sync_harness.make_llm(callback_manager=manager, messages_to_prompt=lambda _: "x")
    pickle.dumps(llm)
    assert llm.callback_manager is manager
    assert llm.messages_to_prompt([]) == "x"


def test_models_with_equal_fields_are_equal(sync_harness: Harness) -> None:
    """A used one and a new one; a different temperature is not equal."""
    used_llm(sync_harness)
    same, other = sync_harness.llm, sync_harness.make_llm(temperature=0.9)
    assert sync_harness.make_llm() == same
    assert other != same


# --- construction and metadata ---


def test_construction_sends_no_request(sync_harness: Harness) -> None:
    """The first call sends the first request."""
    sync_harness.make_llm()
    assert sync_harness.request_count == 0


def test_a_misspelt_argument_raises(sync_harness: Harness) -> None:
    """A setting that is silently ignored can be expensive."""
    with pytest.raises(Exception, match="tempreture"):
        sync_harness.make_llm(tempreture=0.3)


def test_an_unknown_model_has_metadata(sync_harness: Harness) -> None:
    """LlamaIndex reads it on every call: it must not raise."""
    metadata = sync_harness.make_llm(model="vendor/released-tomorrow").metadata
    assert metadata.model_name == "vendor/released-tomorrow"
    assert metadata.context_window > 0


# --- secrets ---


def test_repr_and_str_do_not_have_the_api_key(sync_harness: Harness) -> None:
    """Notebooks and logs show them."""
    llm = sync_harness.llm
    assert sync_harness.sim.api_key not in f"{llm!r} {llm}"


def test_dumps_do_not_have_the_api_key(sync_harness: Harness) -> None:
    """Configurations are committed to repositories."""
    llm = sync_harness.llm
    assert sync_harness.sim.api_key not in f"{llm.to_dict()} {llm.to_json()} {llm.model_dump()}"


def test_an_error_does_not_have_the_api_key(harness: Harness) -> None:
    """Servers quote a rejected key in their message."""
    key = harness.sim.api_key
    harness.script(error_reply(401, f"Incorrect API key provided: {key}"))
    error = harness.outcome("chat", user_messages()).error
    assert error is not None
    assert key not in f"{error} {error!r} {vars(error)}"


def test_environment_variables_of_another_vendor_are_not_sent(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's key, organization and project are for OpenAI only."""
    if harness.adapter.env_prefix == "OPENAI_":
        pytest.skip("the class of OpenAI itself")
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, f"theirs-{name}")
    harness.script(text_reply("chat"))
    harness.final("chat", user_messages())
    assert "theirs" not in str(harness.sim.last.headers)
