"""Replayer: answers requests with the replies of a recording, or says how they differ.

Knows how requests are compared. Knows no file and no HTTP.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from starlette.routing import Route

from onerouter_simulator.app import BALANCE, SimulatorApp
from onerouter_simulator.errors import RejectedError
from onerouter_simulator.recorder import METHODS
from onerouter_simulator.recordings import Exchange, RecordingError, RequestContent
from onerouter_simulator.request_log import RecordedRequest, RequestLog
from onerouter_simulator.scripts import Event, Script

NO_MATCH = 422
MAX_SHOWN = 5  # differences in an error message
MAX_VALUE = 80  # characters of a value in an error message
MAX_REQUEST = 300  # characters of the nearest request in an error message
NOTHING = object()


class ReplayApp(SimulatorApp):
    """ASGI application that answers with recorded replies.

    Identical requests get their replies in the order of the recording, then the last one again.

    Args:
        log: Receives every request; has the queued scripts, which come before the recording.
        exchanges: The recording; at least one exchange.
        timing: Whether replies take the time that they took.
        ignore: Fields of the body that are not compared: names, or paths such as "metadata.run",
            which pass through every item of a list.
        source: Name of the recording, for error messages.
    """

    def __init__(
        self,
        log: RequestLog,
        exchanges: Sequence[Exchange],
        *,
        timing: bool,
        ignore: Sequence[str],
        source: str,
    ) -> None:
        if not exchanges:
            raise RecordingError(f"The recording {source} is empty: Simulator.record makes one.")
        self.exchanges = exchanges
        self.timing = timing
        self.ignore = [field.split(".") for field in ignore]
        self.source = source
        self.compared = [self.comparable(exchange.request) for exchange in exchanges]
        self.used: set[int] = set()
        super().__init__(log)

    def routes(self) -> list[Route]:
        """Return one route for all paths but the balance, which no recording has."""
        return [
            Route("/v1/balance", self.endpoint(balance), methods=["GET"]),
            Route("/v1/{path:path}", self.endpoint(self.replay), methods=METHODS),
        ]

    def clear(self) -> None:
        """Begin again with the first replies."""
        super().clear()
        self.used.clear()

    def replay(self, recorded: RecordedRequest) -> Script:
        """Return the reply of the recorded request that says the same."""
        script = self.log.take_script()
        if script is not None:
            return script
        wanted = self.comparable(RequestContent.of(recorded))
        matches = [n for n, known in enumerate(self.compared) if known == wanted]
        if not matches:
            raise RejectedError(NO_MATCH, self.describe_nearest(wanted), type="no_recorded_request")
        number = next((n for n in matches if n not in self.used), matches[-1])
        self.used.add(number)
        return to_script(self.exchanges[number], timing=self.timing)

    def comparable(self, request: RequestContent) -> dict[str, Any]:
        """Return what is compared of a request."""
        body = with_sorted_results(request.body)
        for path in self.ignore:
            body = without_field(body, path)
        return {"method": request.method, "path": request.path, "body": body}

    def describe_nearest(self, wanted: Mapping[str, Any]) -> str:
        """Return the message about a request that fits no recorded one."""
        every = [list(differences(known, wanted)) for known in self.compared]
        number = min(range(len(every)), key=lambda n: len(every[n]))
        found, nearest = every[number], self.compared[number]
        shown = "; ".join(found[:MAX_SHOWN])
        more = f"; and {len(found) - MAX_SHOWN} more" if len(found) > MAX_SHOWN else ""
        body = shorten(nearest["body"], MAX_REQUEST)
        return (
            f"No recorded request says the same. The nearest is number {number + 1} of"
            f" {self.source}: {nearest['method']} {nearest['path']} {body}. They differ in {shown}"
            f"{more}. Record again, or name fields that do not matter in"
            " Simulator.replay(..., ignore=[...])."
        )


def balance(_: RecordedRequest) -> Script:
    """GET /v1/balance."""
    return Script(json=BALANCE)


def to_script(exchange: Exchange, *, timing: bool) -> Script:
    """Return the script of a recorded reply, with or without its pauses."""
    head: dict[str, Any] = {
        "status": exchange.status,
        "headers": exchange.headers,
        "content_type": exchange.headers.get("content-type", ""),
        "delay": exchange.seconds if timing else 0.0,
        "end": exchange.end,
    }
    if not head["content_type"].startswith("text/event-stream"):
        pauses = sum(pause for pause, _ in exchange.packets) if timing else 0.0
        body = b"".join(data for _, data in exchange.packets)
        return Script(**head | {"delay": head["delay"] + pauses}, body=body)
    events: list[Event] = []
    for pause, data in exchange.packets:
        events += [pause, data] if timing else [data]
    return Script(**head, events=events, done=False)


# --- comparison ---


# LlamaIndex's agents run the tools of one answer at the same time, and send each result as its tool
# ends: findings/llama-index-tool-results.sh.
def with_sorted_results(body: Any) -> Any:
    """Return a body with the results of the tools of one answer in the order of their ids."""
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list):
        return body
    ordered: list[Any] = []
    for _, group in groupby(messages, is_tool_result):
        ordered += sorted(group, key=result_id)
    return {**body, "messages": ordered}


def is_tool_result(message: Any) -> bool:
    """Whether a message is the result of a tool."""
    return isinstance(message, dict) and message.get("role") == "tool"


def result_id(message: Any) -> str:
    """Return the id of the call that a result belongs to; any other message has none."""
    return str(message.get("tool_call_id")) if is_tool_result(message) else ""


def without_field(value: Any, path: Sequence[str]) -> Any:
    """Return a JSON value without the field at a path; a list is passed through."""
    if isinstance(value, list):
        return [without_field(item, path) for item in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    name, *rest = path
    if not rest:
        return {key: kept for key, kept in value.items() if key != name}
    return {**value, name: without_field(value[name], rest)}


def differences(known: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """Yield the places where two JSON values differ, with both values."""
    if known == wanted:
        return
    if isinstance(known, dict) and isinstance(wanted, dict):
        for name in {**known, **wanted}:
            place = f"{path}.{name}" if path else name
            yield from differences(known.get(name, NOTHING), wanted.get(name, NOTHING), place)
    elif isinstance(known, list) and isinstance(wanted, list):
        for n in range(max(len(known), len(wanted))):
            old, new = (side[n] if n < len(side) else NOTHING for side in (known, wanted))
            yield from differences(old, new, f"{path}[{n}]")
    else:
        place = path.removeprefix("body.")
        yield f"{place}: recorded {shorten(known)}, now {shorten(wanted)}"


def shorten(value: Any, length: int = MAX_VALUE) -> str:
    """Return a JSON value as text of limited length; "nothing" for one that is not there."""
    if value is NOTHING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= length else f"{text[:length]}..."
