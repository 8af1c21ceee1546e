"""Error bodies: scripted failures, and the exceptions that carry an error to the application."""

from __future__ import annotations

import pytest

from onerouter_simulator import Simulator, failure
from onerouter_simulator.errors import RejectedError, UpstreamDownError, bad_request
from tests.simulator.conftest import Post


def test_a_failure_has_the_gateways_error_body(post: Post, sim: Simulator) -> None:
    """Status and message, the gateway's type, and the given fields."""
    sim.script(failure(429, "Slow down", code="rate"), failure(400, "No", type="BadRequestError"))
    reply = post()
    assert reply.status_code == 429
    expected = {"message": "Slow down", "type": "infron_ai_error", "code": "rate"}
    assert reply.json() == {"error": expected}
    assert post().json() == {"error": {"message": "No", "type": "BadRequestError"}}


def test_a_rejected_request_names_the_request_id(post: Post) -> None:
    """The message ends with the id that the header has."""
    reply = post(temperature=3)
    request_id = reply.headers["x-infron-request-id"]
    assert reply.json()["error"]["message"].endswith(f"(request id: {request_id})")


def test_bad_request_has_the_parameter() -> None:
    """The error has status 400, and the script has the same fields."""
    error = bad_request("Not this", "messages[0]")
    assert isinstance(error, RejectedError)
    assert error.to_script("r1").json == {
        "error": {
            "message": "Not this (request id: r1)",
            "type": "BadRequestError",
            "param": "messages[0]",
            "code": 400,
        }
    }


def test_an_upstream_error_is_plain_text_without_the_request_id() -> None:
    """A proxy writes the body, not the gateway."""
    script = UpstreamDownError(502, "Bad gateway").to_script("r1")
    assert (script.status, script.body, script.json) == (502, "Bad gateway", ...)


def test_a_failure_with_a_status_that_is_no_number_is_an_error() -> None:
    """The status is checked when the script is made."""
    with pytest.raises(TypeError, match=r"status must be a number, .*, not '429'"):
        failure("429", "Slow down")  # type: ignore[arg-type]
