"""The gateway's error bodies, and the exceptions that carry them to the application.

Knows the format of errors. Knows no check and no rule that raises them.
"""

from typing import Any

from onerouter_simulator.scripts import Script

GATEWAY_ERROR_TYPE = "infron_ai_error"


class RejectedError(Exception):
    """The gateway rejects the request; `error` has the other fields of the error body."""

    def __init__(self, status: int, message: str, **error: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error = {"type": GATEWAY_ERROR_TYPE} | error

    def to_script(self, request_id: str) -> Script:
        """Return the error response; as on the gateway, the message ends with the request id."""
        return failure(self.status, f"{self.message} (request id: {request_id})", **self.error)


class UpstreamDownError(RejectedError):
    """A known model that no upstream serves now: the body is plain text, as a proxy writes it."""

    def to_script(self, request_id: str) -> Script:  # noqa: ARG002 - a proxy has no request id
        """Return the error response of a proxy: plain text instead of JSON."""
        return Script(self.status, body=self.message)


def failure(status: int, message: str, **error: Any) -> Script:
    """Return a script with the gateway's error body, `{"error": {"message", "type", ...}}`.

    Args:
        status: HTTP status, such as 429.
        message: Message of the error.
        error: More fields of the error, such as `code`, or another `type`.
    """
    return Script(status, json={"error": {"message": message, "type": GATEWAY_ERROR_TYPE} | error})


def bad_request(message: str, param: str = "") -> RejectedError:
    """Return the error (400) for a parameter or message that the API does not allow."""
    return RejectedError(400, message, type="BadRequestError", param=param, code=400)
