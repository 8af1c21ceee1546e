"""A recorded agent run, replayed: the same requests and answers, in both frameworks, all modes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from onerouter_core.errors import InvalidRequestError
from onerouter_simulator import Simulator
from tests.both_classes import METHODS, ask, message_of, model
from tests.quirk_agents import AGENTS, RunAgent

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the frameworks' own


@pytest.mark.parametrize(
    ("run", "mode"), AGENTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_recorded_agent_run_is_replayed(
    sim: Simulator, tmp_path: Path, run: RunAgent, mode: str
) -> None:
    """Four turns with tool calls: each request has the same bytes, each answer is the same."""
    path = tmp_path / "answers.jsonl"
    with Simulator.record(path, upstream=sim.base_url, api_key=sim.api_key) as recorder:
        recorded = asyncio.run(run(mode, recorder))
        requests = [request.raw for request in recorder.requests]
    sim.clear()
    with Simulator.replay(path) as replay:
        assert asyncio.run(run(mode, replay)) == recorded
        assert [request.raw for request in replay.requests] == requests
    assert recorded.ran
    assert len(requests) > 4
    assert sim.requests == []


@pytest.mark.parametrize("method", METHODS)
def test_a_replayed_answer_is_equal_in_every_field(
    sim: Simulator, tmp_path: Path, method: str
) -> None:
    """Ids, cost, usage, upstream and request id included."""
    path = tmp_path / "answers.jsonl"
    with Simulator.record(path, upstream=sim.base_url, api_key=sim.api_key) as recorder:
        recorded = fields(ask(model(recorder, method), method))
    with Simulator.replay(path) as replay:
        assert fields(ask(model(replay, method), method)) == recorded


def fields(answer: Any) -> dict[str, Any]:
    """Return the fields of a message, without the id that LangChain gives to a run."""
    values: dict[str, Any] = message_of(answer).model_dump(exclude={"id"})
    return values | {"raw": getattr(answer, "raw", None)}


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_request_is_one_typed_error(sim: Simulator, tmp_path: Path, method: str) -> None:
    """It is not retried, and its message shows the difference."""
    path = tmp_path / "answers.jsonl"
    with Simulator.record(path, upstream=sim.base_url, api_key=sim.api_key) as recorder:
        ask(model(recorder, method), method)
    with Simulator.replay(path) as replay:
        with pytest.raises(
            InvalidRequestError, match=r"model: recorded \"vendor/model\", now \"a/b"
        ):
            ask(model(replay, method, model="a/b", max_retries=2), method)
        assert len(replay.requests) == 1
