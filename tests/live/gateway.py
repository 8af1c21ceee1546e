"""Raw questions to a gateway, on a budget.

Knows HTTP and money: what is sent and what comes are the bytes themselves, for it is they that are
in question. It knows no question.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeAlias

from onerouter_core import Catalog, Ledger, LedgerEntry, OneRouterError, Reply
from onerouter_core.errors import BudgetExceededError, redact
from onerouter_core.wire.error_bodies import decode_error
from onerouter_core.wire.stream import decode_body
from onerouter_core.wire.tool_names import ToolNames

JSON: TypeAlias = dict[str, Any]
PATIENCE = 180  # seconds for one answer
WAITS = (2.0, 8.0, None)  # seconds before the same is asked again, if that may help
MAX_TOKENS = 500  # of an answer, reasoning included


@dataclass(frozen=True)
class Answer:
    """What came: status, headers in lower case, bytes."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body, whatever it is."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body, if it is JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @cached_property
    def read(self) -> Reply | OneRouterError:
        """What the package makes of it."""
        try:
            if self.status >= 300:
                return decode_error(self.text, status=self.status, headers=self.headers)
            return decode_body(self.body, ToolNames(), self.headers)
        except OneRouterError as error:
            return error

    @property
    def is_stream(self) -> bool:
        """Whether the body is server-sent events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def is_taken(self) -> bool:
        """Whether the request was not refused, under whatever status."""
        return self.status == 200 and not (self.json or {}).get("error")

    @property
    def chunks(self) -> list[JSON]:
        """The objects in a stream's events."""
        events = (line.removeprefix("data:").strip() for line in self.lines("data:"))
        return [json.loads(event) for event in events if event.startswith("{")]

    def lines(self, start: str) -> Iterator[str]:
        """Yield the lines of the body that begin so."""
        return (line for line in self.text.splitlines() if line.startswith(start))

    @property
    def message(self) -> JSON:
        """The message of a whole completion, as it is on the wire; empty if there is none."""
        choices = (self.json or {}).get("choices") or [{}]
        return choices[0].get("message") or {}

    def __str__(self) -> str:
        if isinstance(self.read, OneRouterError):
            return f"{self.status}, {type(self.read).__name__}: {self.read.message}"
        return f"{self.status}: {self.read.text}"


@dataclass
class Gateway:
    """A gateway to be asked until the budget is spent."""

    base_url: str
    api_key: str
    model: str
    ledger: Ledger
    answers: list[Answer] = field(default_factory=list)

    def ask(self, asked: str | list[JSON], **body: Any) -> Answer:
        """Ask for a chat completion."""
        messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
        usual = {"model": self.model, "messages": messages, "max_tokens": MAX_TOKENS}
        return self.post("/chat/completions", usual | body)

    def post(self, path: str, body: JSON) -> Answer:
        """Send what may cost money, if what it can cost is left; ask again if that may help."""
        most = self._most(body)
        left = (self.ledger.budget_usd or Decimal(0)) - self.ledger.spent
        if left <= 0 or most > left:
            raise BudgetExceededError(f"{left} USD are left, this may cost {most:.6f}.")
        for wait in WAITS:
            answer = self.send(path, json.dumps(body).encode())
            self._book(answer, str(body["model"]), most)
            if wait is None or not getattr(answer.read, "transient", False):
                break
            time.sleep(wait)
        return answer

    def send(self, path: str, body: bytes | None = None, key: str | None = "") -> Answer:
        """Send anything, by default with the right key; without a body it is a GET."""
        headers = {"content-type": "application/json", "user-agent": "onerouter-integrations/live"}
        if key is not None:
            headers["authorization"] = f"Bearer {key or self.api_key}"
        request = urllib.request.Request(self.base_url + path, body, headers)  # noqa: S310 -- http(s)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as reply:  # noqa: S310 -- http(s)
                answer = self._answer(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                answer = self._answer(refusal.code, refusal.headers, refusal.read())
        self.answers.append(answer)
        return answer

    def _answer(self, status: int, headers: Any, body: bytes) -> Answer:
        """Return an answer in which the key, if it was echoed, is no more."""
        clean = redact(body.decode("utf-8", "replace"), self.api_key).encode()
        return Answer(status, {name.lower(): value for name, value in headers.items()}, clean)

    @cached_property
    def catalog(self) -> Catalog:
        """The models on offer."""
        return Catalog.of((self.send("/models").json or {}).get("data", []))

    def model_that_takes(self, modality: str) -> str:
        """Return the cheapest model that takes such content and costs something."""
        fitting = (
            model.id
            for model in self.catalog.find(free=False)
            if modality in model.input_modalities and "text" in model.output_modalities
        )
        return next(fitting, self.model)

    def _most(self, body: JSON) -> Decimal:
        """Return what a request costs at most: a token for each byte, and all tokens it may get."""
        listed = self.catalog.get(body["model"])
        if listed is None or listed.input_price is None or listed.output_price is None:
            return Decimal(0)
        tokens = body.get("max_tokens", MAX_TOKENS)
        return len(json.dumps(body)) * listed.input_price + tokens * listed.output_price

    def _book(self, answer: Answer, model: str, most: Decimal) -> None:
        """Book what it cost, or the most it can have cost if the gateway does not say."""
        reply = getattr(answer.read, "partial", None) or answer.read
        if isinstance(reply, Reply):
            entry = LedgerEntry.of(replace(reply, model=reply.model or model), 0.0)
            self.ledger.record(entry if entry.cost is not None else _guessed(entry, most))


def _guessed(entry: LedgerEntry, most: Decimal) -> LedgerEntry:
    return replace(entry, cost=most, estimated=True)
