"""Embeddings: vectors, their encodings, usage, the order of checks, and the command line's log."""

from __future__ import annotations

import asyncio
import math
import struct
from base64 import b64decode
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from onerouter_simulator import Script, Simulator
from onerouter_simulator.__main__ import print_request
from tests.simulator.conftest import authorization

MODEL = "simulated/embedding"


def embed_sync(sim: Simulator, **body: Any) -> Any:
    """Return the reply to a request of the sync SDK client."""
    http = DefaultHttpxClient(verify=False)
    with OpenAI(base_url=sim.base_url, api_key=sim.api_key, http_client=http) as client:
        return client.embeddings.create(model=MODEL, **body)


def embed_async(sim: Simulator, **body: Any) -> Any:
    """Return the reply to a request of the async SDK client."""

    async def create() -> Any:
        http = DefaultAsyncHttpxClient(verify=False)
        async with AsyncOpenAI(
            base_url=sim.base_url, api_key=sim.api_key, http_client=http
        ) as client:
            return await client.embeddings.create(model=MODEL, **body)

    return asyncio.run(create())


def post(http: httpx.Client, given: Any, **body: Any) -> Any:
    """Return the body of the reply to a valid request."""
    reply = http.post("/embeddings", json={"model": MODEL, "input": given} | body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def vectors(http: httpx.Client, given: Any, **body: Any) -> list[list[float]]:
    """Return the vectors of a reply."""
    return [item["embedding"] for item in post(http, given, **body)["data"]]


@pytest.mark.parametrize("embed", [embed_sync, embed_async], ids=["sync", "async"])
def test_the_sdk_reads_the_reply(embed: Any, sim: Simulator) -> None:
    """The SDK asks for base64 and decodes it; the request is recorded."""
    reply = embed(sim, input=["Hello", "Good morning"], dimensions=64)
    assert sim.last.path == "/v1/embeddings"
    assert sim.last.body["input"] == ["Hello", "Good morning"]
    assert [(item.index, len(item.embedding)) for item in reply.data] == [(0, 64), (1, 64)]
    assert reply.model == MODEL
    assert reply.usage.to_dict() == {"prompt_tokens": 5, "total_tokens": 5}
    plain = embed(sim, input="Hello", dimensions=64, encoding_format="float")
    assert plain.data[0].embedding == reply.data[0].embedding


@pytest.mark.parametrize(
    ("given", "count", "tokens"),
    [
        ("Hello", 1, 2),
        (["Hello"], 1, 2),
        (["Hello", "Hello", "?"], 3, 5),
        ([1, 2, 3], 1, 3),
        ([[1, 2, 3], [4]], 2, 4),
    ],
)
def test_each_text_or_list_of_token_numbers_is_an_input(
    http: httpx.Client, given: Any, count: int, tokens: int
) -> None:
    """Inputs are numbered from 0; texts are estimated, token numbers counted."""
    reply = post(http, given)
    assert [item["index"] for item in reply["data"]] == list(range(count))
    assert {item["object"] for item in reply["data"]} == {"embedding"}
    assert {len(item["embedding"]) for item in reply["data"]} == {1536}
    assert reply["object"] == "list"
    assert reply["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_similar_texts_are_near_each_other(http: httpx.Client) -> None:
    """Same words in another order, other forms of the words, and other words; case is ignored."""
    query, *texts = vectors(
        http,
        ["The cat sleeps", "sleeps the CAT", "Cats are sleeping", "Budget of the year", "Invoices"],
    )
    near = [dot(query, text) for text in texts]
    assert near[0] == pytest.approx(1)
    assert near == sorted(near, reverse=True)
    assert near[1] > 2 * abs(near[3])


def dot(left: list[float], right: list[float]) -> float:
    """Return the scalar product of two vectors."""
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("dimensions", [1, 2, 256, 4096])
@pytest.mark.parametrize("given", ["Hello world", "!!!", " ", "\u4f60\u597d", "\U0001f600", [7, 8]])
def test_a_vector_has_length_1_in_both_encodings(
    http: httpx.Client, given: Any, dimensions: int
) -> None:
    """The same request has the same vector; base64 is four bytes for each number."""
    (vector,) = vectors(http, given, dimensions=dimensions, encoding_format="float")
    (encoded,) = vectors(http, given, dimensions=dimensions, encoding_format="base64")
    assert len(vector) == dimensions
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-6)
    assert list(struct.unpack(f"<{dimensions}f", b64decode(encoded))) == vector


@pytest.mark.parametrize(
    ("model", "status"), [("simulated/dead-upstream", 502), ("unknown/model", 503)]
)
def test_a_model_that_is_down_is_an_error(http: httpx.Client, model: str, status: int) -> None:
    """The errors are those of chat completions."""
    assert http.post("/embeddings", json={"model": model, "input": "a"}).status_code == status


def test_scripts_are_left_to_chat_completions(sim: Simulator, http: httpx.Client) -> None:
    """A retrieval program embeds first; the script is for its question."""
    sim.script(Script(json=7))
    assert post(http, "Hello")["object"] == "list"
    assert http.post("/chat/completions").json() == 7


def test_a_share_of_requests_fails() -> None:
    """Chat completions and embeddings are counted together; an invalid request does not count."""
    with Simulator(failing=0.5) as sim, httpx.Client(headers=authorization(sim)) as client:
        url = f"{sim.base_url}/embeddings"
        assert client.post(url, json={}).status_code == 400
        replies = [client.post(url, json={"model": MODEL, "input": "a"}) for _ in range(4)]
        assert [reply.status_code for reply in replies] == [200, 500, 200, 500]


@pytest.mark.parametrize(
    ("given", "count"), [("Hello", 1), (["Hello", "you"], 2), (None, 0), (7, 0)]
)
def test_the_log_has_the_number_of_inputs(
    http: httpx.Client, sim: Simulator, capsys: pytest.CaptureFixture[str], given: Any, count: int
) -> None:
    """A line of the command line's log names the path, the model and the number of inputs."""
    http.post("/embeddings", json={"model": MODEL, "input": given})
    print_request(sim.last)
    assert capsys.readouterr().out == f"POST /v1/embeddings model={MODEL} input={count}\n"
