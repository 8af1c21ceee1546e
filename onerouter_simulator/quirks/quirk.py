"""A quirk: one way in which a server's replies depart from the API page, and how to play it.

Knows the shape of a row of the table. Knows no server and no reply.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from onerouter_simulator.conversation import JSON
from onerouter_simulator.request_log import RecordedRequest
from onerouter_simulator.scripts import Script

Rewrite: TypeAlias = Callable[[JSON, JSON], JSON]
Play: TypeAlias = Callable[[Script, JSON], Script]
Check: TypeAlias = Callable[[RecordedRequest], None]

# Stages, in the order in which several quirks are played. A quirk of a later stage can change what
# an earlier one sends: a stream of bytes has no deltas any more.
CALLS, FIELDS, STREAM, RESPONSE = range(4)

GITHUB = "https://github.com/"


def keep(message: JSON, _: JSON) -> JSON:
    """Keep the ordinary message."""
    return message


def send_unchanged(script: Script, _: JSON) -> Script:
    """Send the ordinary reply."""
    return script


def accept(_: RecordedRequest) -> None:
    """Accept every request."""


def list_unchanged(body: JSON) -> JSON:
    """Send the ordinary list of models."""
    return body


@dataclass(frozen=True, kw_only=True)
class Quirk:
    """One row of the table.

    Args:
        number: Number in docs/gateway-quirks.md, which comments in the code cite.
        name: Name for `Simulator(quirks=[...])`, in kebab case.
        sender: Vendors or servers that do it, with versions where they are known.
        source: URL of the page or issue that shows it.
        sends: What the server sends, in one sentence.
        rewrite: Returns the message to send instead of an ordinary one; both get the request body.
        play: Returns the script to send instead of an ordinary reply to a request body.
        check: Raises RejectedError for a request that this server refuses.
        list_models: Returns the body to send instead of an ordinary list of models.
        stage: CALLS, FIELDS, STREAM or RESPONSE; only one quirk of stage CALLS can be played.
    """

    number: int
    name: str
    sender: str
    source: str
    sends: str
    rewrite: Rewrite = keep
    play: Play = send_unchanged
    check: Check = accept
    list_models: Callable[[JSON], JSON] = list_unchanged
    stage: int = FIELDS
