"""Strict validation: a request that the API page does not allow gets the gateway's error body.

Knows the format of requests. Knows no rule of the answers.
"""

from typing import Any

from onerouter_simulator.errors import RejectedError
from onerouter_simulator.validation.cache_controls import check_cache_controls
from onerouter_simulator.validation.formats import check_response_format
from onerouter_simulator.validation.messages import check_messages
from onerouter_simulator.validation.parameters import check_parameters
from onerouter_simulator.validation.tools import check_tools

__all__ = ["validate_request"]


def validate_request(body: Any) -> dict[str, Any]:
    """Return the body of a valid request; keys that the API page does not have are allowed.

    Raises:
        RejectedError: The body is not allowed; the error has status 400 and names the parameter.
    """
    if not isinstance(body, dict):
        problem = "Invalid text request: not a JSON object"
        raise RejectedError(400, problem, param="", code="invalid_text_request")
    check_parameters(body)
    check_messages(body["messages"])
    check_tools(body)
    check_response_format(body)
    check_cache_controls(body)
    return body
