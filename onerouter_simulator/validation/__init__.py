"""Strictness: what the API page does not allow is rejected, with the gateway's own error bodies.

Knows what a request may look like. Knows nothing of how a valid one is answered.
"""

from typing import Any

from onerouter_simulator.errors import RejectedError
from onerouter_simulator.validation.formats import check_response_format
from onerouter_simulator.validation.messages import check_messages
from onerouter_simulator.validation.parameters import check_parameters
from onerouter_simulator.validation.tools import check_tools

__all__ = ["check"]


def check(body: Any) -> dict[str, Any]:
    """Return the body of a request if it is valid; keys that nobody knows are let through."""
    if not isinstance(body, dict):
        raise RejectedError(
            400, "Invalid text request: not a JSON object", param="", code="invalid_text_request"
        )
    check_parameters(body)
    check_messages(body["messages"])
    check_tools(body)
    check_response_format(body)
    return body
