"""The table of quirks: numbers, names and sources; and playing several quirks."""

from __future__ import annotations

import re

import httpx
import pytest

from onerouter_simulator import Simulator
from onerouter_simulator.quirks import QUIRKS, Quirk
from tests.simulator.conftest import JSON, authorization
from tests.simulator.quirks.conftest import (
    ARGUMENTS,
    ONE_CALL,
    REASONING,
    TOOLS,
    TWO_CALLS,
    call_deltas,
    chunks_in,
    post,
    tool_turn,
)


def test_the_numbers_count_from_one() -> None:
    """Comments in the code cite the numbers."""
    assert [quirk.number for quirk in QUIRKS] == list(range(1, len(QUIRKS) + 1))


def test_the_names_are_distinct_and_in_kebab_case() -> None:
    """Each name can be given to a Simulator."""
    names = [quirk.name for quirk in QUIRKS]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.name)
def test_a_quirk_has_a_sender_a_source_and_a_sentence(quirk: Quirk) -> None:
    """A table of the page can be made of them."""
    assert re.fullmatch(r"https://\S+", quirk.source)
    assert not re.search(r"[|\n]", quirk.sender + quirk.sends)
    assert quirk.sends.endswith(".")


# A response to one of these requests, or the list of models, shows each quirk.
REQUESTS: list[JSON] = [
    {"messages": [{"role": "user", "content": "Hello"}], "reasoning": REASONING},
    {"messages": [{"role": "user", "content": TWO_CALLS}], "tools": TOOLS},
    {"messages": [{"role": "user", "content": ONE_CALL}], "tools": TOOLS},
    {"messages": [{"role": "user", "content": "Give the status, note 'a\tb'"}], "tools": TOOLS},
    {"messages": tool_turn(), "tools": TOOLS},
    {"messages": [{"role": "user", "content": "Hello, hello!"}], "max_tokens": 1},
]


def answers(sim: Simulator) -> list[str]:
    """Return the responses of a simulator to all requests, without random ids and times."""
    url = f"{sim.base_url}/chat/completions"
    bodies = [
        request | {"model": "acme/some-model-1.5", "usage": {"include": True}, "stream": stream}
        for request in REQUESTS
        for stream in (False, True)
    ]
    with httpx.Client(headers=authorization(sim)) as http:
        responses = [http.post(url, json=body) for body in bodies]
        responses.append(http.get(f"{sim.base_url}/models"))
    return [re.sub(r"[0-9a-f]{24,}|created\":\d+", "", response.text) for response in responses]


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.name)
def test_every_quirk_changes_a_response(quirk: Quirk, sim: Simulator) -> None:
    """No row of the table is without effect."""
    with Simulator(quirks=[quirk.name]) as odd:
        assert answers(odd) != answers(sim)


def test_several_quirks_are_played_in_the_order_of_their_stages() -> None:
    """The calls are split before fields are added, and lines are written last."""
    names = ("sse-with-comments", "thought-signature-on-calls", "call-in-two-pieces")
    text = post(names, ONE_CALL, tools=TOOLS, stream=True).text
    assert ": OPENROUTER PROCESSING\n" in text.replace("\r\n", "\n")
    (deltas,) = call_deltas(chunks_in(text))
    assert deltas[0]["extra_content"]["google"]["thought_signature"]
    assert deltas[1] == {"index": 0, "function": {"arguments": ARGUMENTS}}


def test_an_unknown_quirk_is_an_error_with_similar_names() -> None:
    """The error of a name that is like none says where they are listed."""
    with pytest.raises(ValueError, match=r"'call-in-2-pieces'; did you mean .*call-in-two-pieces"):
        Simulator(quirks=["call-in-2-pieces"])
    with pytest.raises(ValueError, match=r"no quirk 'zzz'; --list-quirks lists them"):
        Simulator(quirks=["zzz"])


def test_two_quirks_that_split_calls_exclude_each_other() -> None:
    """The second cannot read what the first has made of the deltas."""
    with pytest.raises(ValueError, match=r"only one .*: call-in-two-pieces or ids-missing"):
        Simulator(quirks=["call-in-two-pieces", "ids-missing"])
