"""The gateway's error bodies, and the exception that carries one up to the app.

Knows their shape. Knows not who is refused for what.
"""

from typing import Any

from onerouter_simulator.scripts import Script

GATEWAY = "infron_ai_error"


class RejectedError(Exception):
    """The gateway will not answer this request; `error` is the inside of the error body."""

    def __init__(self, status: int, message: str, **error: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error = {"type": GATEWAY} | error

    def script(self, request_id: str) -> Script:
        """Return the reply, with the request's id in the message as the gateway writes it."""
        return failure(self.status, f"{self.message} (request id: {request_id})", **self.error)


class UpstreamDownError(RejectedError):
    """A model is known but nobody serves it now: a plain text body, as proxies write them."""

    def script(self, request_id: str) -> Script:  # noqa: ARG002 - proxies know no request id
        """Return the reply of a proxy in between: not JSON."""
        return Script(self.status, body=self.message)


def failure(status: int, message: str, **error: Any) -> Script:
    """Make a script that fails as the gateway does: `{"error": {"message", "type", ...}}`."""
    return Script(status, json={"error": {"message": message, "type": GATEWAY} | error})


def bad_request(message: str, param: str = "") -> RejectedError:
    """Return a parameter or message that the API does not allow."""
    return RejectedError(400, message, type="BadRequestError", param=param, code=400)
