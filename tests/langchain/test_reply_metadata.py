"""Usage and metadata of messages: tokens, cost, ids, finish reasons, headers."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, chunk, completion
from tests.langchain.conftest import CallModel, Mode
from tests.langchain.scripted_replies import BILLING, ROOT, USAGE, complete_reply, streamed_reply


def test_usage_metadata(llm: ChatOneRouter, sim: Simulator, call_model: CallModel) -> None:
    """Token counts and all details have LangChain's names."""
    sim.script(complete_reply({"content": "Hi"}, **BILLING))
    assert call_model(llm, "Hi").usage_metadata == {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_token_details": {
            "audio": 30,
            "cache_creation": 20,
            "cache_read": 10,
            "image": 5,
            "video": 6,
        },
        "output_token_details": {"audio": 8, "reasoning": 7, "image": 9},
    }


def test_missing_usage_is_not_invented(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """Without details there are no details, without usage there is no usage."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    sim.script(
        complete_reply({"content": "Hi"}, usage=usage),
        complete_reply({"content": "Hi"}, usage=None),
    )
    assert call_model(llm, "Hi").usage_metadata == {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
    }
    assert call_model(llm, "Hi").usage_metadata is None


def test_metadata_repeated_on_every_chunk_is_not_added_up(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """Unknown fields are kept."""
    root = {
        **ROOT,
        **BILLING,
        "system_fingerprint": "fp",
        "service_tier": "flex",
        "request_id": "r",
        "safety": {"level": 3},
    }
    last = chunk({}, finish_reason="stop", **root)
    last["choices"][0]["native_finish_reason"] = "STOP"
    first = chunk("Hel", **{**root, "cost": 0.5}), chunk("lo", finish_reason="stop", **root)
    sim.script(Script(events=[*first, last, chunk(**root)]))
    message = call_model(llm, "Hi")
    assert message.content == "Hello"
    request_id = message.response_metadata.pop("request_id")
    assert request_id != "r", "the id is that of the response header, for the gateway's support"
    assert message.response_metadata == {
        "model_provider": "onerouter",
        "model_name": "vendor/served",
        "requested_model": "simulated/echo",
        "id": "gen-1",
        "provider": "vendor/eu",
        "created": 1700000001,
        "finish_reason": "stop",
        "native_finish_reason": "STOP",
        "normalized_finish_reason": "stop",
        "system_fingerprint": "fp",
        "service_tier": "flex",
        "cost": 0.000123,
        "cost_details": {"prompt_cost": 0.0001},
        "token_usage": USAGE,
        "safety": {"level": 3},
    }
    assert message.usage_metadata is not None
    assert message.usage_metadata["input_tokens"] == 100


@pytest.mark.parametrize(
    ("finish_reason", "normalized"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_call"),
        ("function_call", "tool_call"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("peculiar", None),
    ],
)
def test_finish_reasons(
    llm: ChatOneRouter,
    sim: Simulator,
    call_model: CallModel,
    finish_reason: str,
    normalized: str | None,
) -> None:
    """The gateway's value is kept; LangChain's is added where it has one."""
    sim.script(complete_reply({"content": "Hi"}, finish_reason))
    metadata = call_model(llm, "Hi").response_metadata
    assert metadata["finish_reason"] == finish_reason
    assert metadata.get("normalized_finish_reason") == normalized


def test_message_id_and_generation_id(llm: ChatOneRouter, sim: Simulator, mode: Mode) -> None:
    """The chunks have LangChain's run id; the metadata has the generation id once."""
    sim.script(streamed_reply(["Hel", "lo"]))
    chunks = mode.stream(llm, "Hi")
    assert len({item.id for item in chunks}) == 1
    assert chunks[0].id.startswith("lc_run-")
    metadata = [item.response_metadata for item in chunks]
    assert [fields["id"] for fields in metadata if "id" in fields] == ["gen-1"]


@pytest.mark.parametrize("streaming", [False, True])
def test_attempts_and_rate_limit_headers(
    llm: ChatOneRouter, sim: Simulator, *, streaming: bool
) -> None:
    """The metadata has the number of requests and the rate limit headers."""
    headers = {"x-ratelimit-remaining-requests": "7", "x-other": "1"}
    body: dict[str, Any] = {"json": completion("Hi")}
    if streaming:
        body = {"events": [chunk("Hi"), chunk({}, finish_reason="stop")]}
    sim.script(Script(status=500), Script(headers=headers, **body))
    retrying_llm = llm.model_copy(update={"max_retries": 1, "streaming": streaming})
    metadata = retrying_llm.invoke("x").response_metadata
    assert metadata["attempts"] == 2
    assert metadata["headers"] == {"x-ratelimit-remaining-requests": "7"}


def test_the_name_of_a_participant_is_the_name_of_the_message(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """Some servers send one; a name that is no text, or empty, is none."""
    for name, expected in (("Bob", "Bob"), ("", None), (5, None)):
        sim.script(
            Script(json=completion(message={"content": "Hi", "name": name}, finish_reason="stop"))
        )
        assert call_model(llm, "Hi").name == expected
