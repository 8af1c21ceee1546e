"""Strict validation: a request that the API page does not allow gets the gateway's error body.

Knows the format of requests. Knows no rule of the answers.
"""

from typing import Any

from onerouter_simulator.validation.cache_controls import check_cache_controls
from onerouter_simulator.validation.formats import check_response_format
from onerouter_simulator.validation.messages import check_messages
from onerouter_simulator.validation.parameters import check_parameters, to_object
from onerouter_simulator.validation.tools import check_tools

__all__ = ["validate_request"]


def validate_request(body: Any) -> dict[str, Any]:
    """Return the body of a valid request; keys that the API page does not have are allowed.

    Raises:
        RejectedError: The body is not allowed; the error has status 400 and names the parameter.
    """
    request = to_object(body, "text")
    check_parameters(request)
    check_messages(request["messages"])
    check_tools(request)
    check_response_format(request)
    check_cache_controls(request)
    return request
