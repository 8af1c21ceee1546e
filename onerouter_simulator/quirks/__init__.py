"""Quirks: how the replies of real gateways and models depart from the API page.

`QUIRKS` is the list; docs/gateway-quirks.md shows it, and comments in the code cite its numbers.
Each answer keeps its meaning, so a client that is right gets the same text, calls and counts as
without the quirk, or a typed error if the quirk is a failure.
"""

import difflib
from collections.abc import Iterable

from onerouter_simulator.conversation import JSON
from onerouter_simulator.quirks.call_deltas import CALL_DELTAS
from onerouter_simulator.quirks.carried_fields import CARRIED_FIELDS
from onerouter_simulator.quirks.endings import ENDINGS
from onerouter_simulator.quirks.gateway import GATEWAY
from onerouter_simulator.quirks.json_text import JSON_TEXT
from onerouter_simulator.quirks.quirk import CALLS, Quirk
from onerouter_simulator.quirks.tool_calls import TOOL_CALLS
from onerouter_simulator.quirks.usage import USAGE
from onerouter_simulator.request_log import RecordedRequest
from onerouter_simulator.scripts import Script

__all__ = ["QUIRKS", "ActiveQuirks", "Quirk"]

QUIRKS: tuple[Quirk, ...] = (
    *GATEWAY,
    *CALL_DELTAS,
    *TOOL_CALLS,
    *CARRIED_FIELDS,
    *JSON_TEXT,
    *ENDINGS,
    *USAGE,
)
"""All quirks, in the order of their numbers."""


class ActiveQuirks:
    """The quirks that a simulator plays; several are played in the order of their stages.

    Raises:
        ValueError: A name is unknown, or two quirks send the tool calls of a stream.
    """

    def __init__(self, names: Iterable[str]) -> None:
        found = [find_quirk(name) for name in names]
        self._quirks = sorted(found, key=lambda quirk: quirk.stage)
        of_calls = [quirk.name for quirk in found if quirk.stage == CALLS]
        if len(of_calls) > 1:
            raise ValueError(f"only one quirk can send the tool calls: {' or '.join(of_calls)}")

    def check(self, recorded: RecordedRequest) -> None:
        """Raise RejectedError for a request that one of these servers refuses."""
        for quirk in self._quirks:
            quirk.check(recorded)

    def rewrite(self, message: JSON, request: JSON) -> JSON:
        """Return the message to send instead of an ordinary one."""
        for quirk in self._quirks:
            message = quirk.rewrite(message, request)
        return message

    def play(self, script: Script, request: JSON) -> Script:
        """Return the script to send instead of an ordinary reply."""
        for quirk in self._quirks:
            script = quirk.play(script, request)
        return script

    def list_models(self, body: JSON) -> JSON:
        """Return the body to send instead of an ordinary list of models."""
        for quirk in self._quirks:
            body = quirk.list_models(body)
        return body


def find_quirk(name: str) -> Quirk:
    """Return the quirk of this name; the error for an unknown one lists similar names."""
    by_name = {quirk.name: quirk for quirk in QUIRKS}
    if name not in by_name:
        similar = difflib.get_close_matches(str(name), by_name, cutoff=0.5)
        hint = f"did you mean {' or '.join(similar)}?" if similar else "--list-quirks lists them"
        raise ValueError(f"there is no quirk {name!r}; {hint}")
    return by_name[name]
