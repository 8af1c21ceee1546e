"""Quirks 1 to 15, as they are sent; what they are for is tested in tests/core."""

from __future__ import annotations

import httpx
import pytest

from onerouter_simulator import Simulator
from tests.simulator.quirks.conftest import (
    REASONING,
    deltas_of,
    finish_reasons,
    message_of,
    post,
    send,
    stream,
    texts,
)

USAGE_OPTIONS = {"stream_options": {"include_usage": True}}


def test_fields_of_the_root() -> None:
    """Cost, ids, the model, and unknown fields."""
    assert send("cost-with-new-details")["cost_details"]["new_cost"] == 0
    assert send("id-empty")["id"] == ""
    assert send("served-by-another-model")["model"] == "acme/fallback"
    odd = send("fields-null-or-unknown")
    assert (odd["service_tier"], odd["x_null"], odd["x_vendor"]) == (None, None, {"id": 1})
    assert {chunk["model"] for chunk in stream("served-by-another-model")} == {"acme/fallback"}


def test_usage_is_null_in_all_chunks_but_the_last() -> None:
    """The last has the counts."""
    *first, last = stream("usage-null-until-the-end", **USAGE_OPTIONS)
    assert {chunk["usage"] for chunk in first} == {None}
    assert last["usage"]["total_tokens"]


def test_a_chunk_without_choices_comes_first() -> None:
    """The answer follows it."""
    first, *rest = stream("chunk-without-choices-first")
    assert first["choices"] == []
    assert "".join(texts(rest)) == "You said: Hello"


def test_a_stream_ends_early() -> None:
    """There is a part of the text, no finish reason and no [DONE]."""
    response = post(("stream-ends-early",), "Hello, hello, hello!", stream=True)
    assert "You said:" in response.text
    assert '"stop"' not in response.text
    assert "[DONE]" not in response.text
    assert message_of(send("stream-ends-early"))["content"] == "You said: Hello"


def test_an_error_under_status_200() -> None:
    """The error is in the body, or in the last chunk."""
    assert send("error-under-200") == {
        "error": {"code": 502, "message": "Provider disconnected unexpectedly"}
    }
    last = stream("error-under-200")[-1]
    assert last["error"]["code"] == 502
    assert finish_reasons([last]) == ["error"]


@pytest.mark.parametrize(
    ("quirk", "status", "text"),
    [
        ("error-as-html", 502, "<title>502 Bad Gateway</title>"),
        ("error-of-another-status", 429, "balance greater than $4.999999."),
        ("retry-after-in-prose", 429, "try again after 6 seconds"),
        ("user-agent-required", 403, "error code: 1010"),
    ],
)
def test_errors(quirk: str, status: int, text: str) -> None:
    """Every answer is the error, streamed, too."""
    for streamed in (False, True):
        response = post((quirk,), "Hello", stream=streamed)
        assert response.status_code == status
        assert text in response.text
        assert "retry-after" not in response.headers


def test_a_client_with_a_name_is_accepted() -> None:
    """The quirk refuses the user agents of libraries only."""
    with Simulator(quirks=["user-agent-required"]) as sim:
        headers = {"authorization": f"Bearer {sim.api_key}", "user-agent": "app/1.0"}
        body = {"model": "a/b", "messages": [{"role": "user", "content": "Hello"}]}
        url = f"{sim.base_url}/chat/completions"
        assert httpx.post(url, json=body, headers=headers).status_code == 200


def test_reasoning_under_two_names() -> None:
    """Both have the same text, in each delta, too."""
    message = message_of(send("reasoning-under-two-names", reasoning=REASONING))
    assert message["reasoning_content"] == message["reasoning"]
    deltas = deltas_of(stream("reasoning-under-two-names", reasoning=REASONING))
    assert [d.get("reasoning") for d in deltas] == [d.get("reasoning_content") for d in deltas]


def test_odd_lines() -> None:
    """A body begins with blank lines; a stream has comments and CRLF."""
    assert post(("sse-with-comments",), "Hello").content.startswith(b"\n   \n{")
    content = post(("sse-with-comments",), "Hello", stream=True).content
    assert content.startswith(b": OPENROUTER PROCESSING\r\n\r\nevent: message\r\ndata:{")
    assert content.endswith(b"data:[DONE]")


def test_models_in_another_envelope() -> None:
    """Limits are null, and an entry has none."""
    with Simulator(quirks=["models-in-another-envelope"]) as sim:
        models = httpx.get(f"{sim.base_url}/models").json()["models"]
    assert {model.get("max_output_tokens") for model in models} == {None}
    assert models[-1] == {"id": "acme/draw", "category_type": "Text to Image"}
