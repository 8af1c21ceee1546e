"""Raw HTTP requests to a gateway, within a budget.

This module knows HTTP and costs. It sends and keeps the bytes themselves, because they are in
question. It knows no question.
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
from onerouter_core.errors import BudgetExceededError, MalformedReplyError, redact
from onerouter_core.wire.decode import ReplyContext
from onerouter_core.wire.error_bodies import decode_error
from onerouter_core.wire.stream import decode_body

JSON: TypeAlias = dict[str, Any]
TIMEOUT = 180  # seconds for one response
RETRY_DELAYS = (2.0, 8.0, None)  # seconds before each retry of a transient error; None: no retry
MAX_TOKENS = 500  # of an answer, reasoning included


@dataclass(frozen=True)
class Answer:
    """An HTTP response: status, headers with lower-case names, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The decoded body; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @cached_property
    def decoded(self) -> Reply | OneRouterError:
        """The reply or the error that onerouter_core decodes."""
        try:
            if self.status >= 300:
                return decode_error(self.text, status=self.status, headers=self.headers)
            return decode_body(self.body, ReplyContext(headers=self.headers))
        except OneRouterError as error:
            return error

    @property
    def is_stream(self) -> bool:
        """Whether the body is server-sent events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def is_accepted(self) -> bool:
        """Whether the gateway accepted the request: status 200, and no error in the body."""
        return self.status == 200 and not (self.json or {}).get("error")

    @property
    def chunks(self) -> list[JSON]:
        """The JSON objects in the events of a stream."""
        events = (line.removeprefix("data:").strip() for line in self.lines("data:"))
        return [json.loads(event) for event in events if event.startswith("{")]

    def lines(self, start: str) -> Iterator[str]:
        """Yield the lines of the body that begin with this text."""
        return (line for line in self.text.splitlines() if line.startswith(start))

    @property
    def message(self) -> JSON:
        """The message of a complete response, as it is on the wire; empty if there is none."""
        choices = (self.json or {}).get("choices") or [{}]
        return choices[0].get("message") or {}

    def __str__(self) -> str:
        if isinstance(self.decoded, OneRouterError):
            return f"{self.status}, {type(self.decoded).__name__}: {self.decoded.message}"
        return f"{self.status}: {self.decoded.text}"


def check_decoded(answer: Answer) -> None:
    """Check that onerouter_core decodes an answer as a reply, or as an error of a precise class."""
    assert not isinstance(answer.decoded, MalformedReplyError), answer.text


@dataclass
class Gateway:
    """A gateway, the key and the model to use, the ledger with the budget, and all answers."""

    base_url: str
    api_key: str
    model: str
    ledger: Ledger
    answers: list[Answer] = field(default_factory=list)

    def ask(self, prompt: str | list[JSON], **body: Any) -> Answer:
        """Request a chat completion for a user message or for messages."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        defaults = {"model": self.model, "messages": messages, "max_tokens": MAX_TOKENS}
        return self.post("/chat/completions", defaults | body)

    def post(self, path: str, body: JSON) -> Answer:
        """Send a request that may cost money, with retries of transient errors.

        Raises:
            BudgetExceededError: the request may cost more than the rest of the budget.

        """
        max_cost = self._max_cost(body)
        left = (self.ledger.budget_usd or Decimal(0)) - self.ledger.spent
        if left <= 0 or max_cost > left:
            raise BudgetExceededError(f"{left} USD are left, this may cost {max_cost:.6f}.")
        for delay in RETRY_DELAYS:
            answer = self.send(path, json.dumps(body).encode())
            self._record_cost(answer, str(body["model"]), max_cost)
            if delay is None or not getattr(answer.decoded, "transient", False):
                break
            time.sleep(delay)
        return answer

    def send(self, path: str, body: bytes | None = None, key: str | None = "") -> Answer:
        """Send one request: a POST, or a GET without a body.

        Args:
            path: the path below the base URL.
            body: the bytes to send.
            key: an API key in place of the gateway's own; None sends no key.

        """
        headers = {"content-type": "application/json", "user-agent": "onerouter-integrations/live"}
        if key is not None:
            headers["authorization"] = f"Bearer {key or self.api_key}"
        request = urllib.request.Request(self.base_url + path, body, headers)  # noqa: S310 -- http(s)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 -- http(s)
                answer = self._answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                answer = self._answer(error.code, error.headers, error.read())
        self.answers.append(answer)
        return answer

    def _answer(self, status: int, headers: Any, body: bytes) -> Answer:
        """Return an answer without the API key, which the gateway may echo."""
        clean = redact(body.decode("utf-8", "replace"), self.api_key).encode()
        return Answer(status, {name.lower(): value for name, value in headers.items()}, clean)

    @cached_property
    def catalog(self) -> Catalog:
        """The gateway's list of models."""
        return Catalog.of((self.send("/models").json or {}).get("data", []))

    def model_with_input(self, modality: str) -> str:
        """Return the cheapest model that accepts this modality and is not free."""
        candidates = (
            model.id
            for model in self.catalog.find(free=False)
            if modality in model.input_modalities and "text" in model.output_modalities
        )
        return next(candidates, self.model)

    def _max_cost(self, body: JSON) -> Decimal:
        """Return an upper limit of the cost in USD: one token per byte, and `max_tokens`."""
        model = self.catalog.get(body["model"])
        if model is None or model.input_price is None or model.output_price is None:
            return Decimal(0)
        max_tokens = body.get("max_tokens", MAX_TOKENS)
        return len(json.dumps(body)) * model.input_price + max_tokens * model.output_price

    def _record_cost(self, answer: Answer, model: str, max_cost: Decimal) -> None:
        """Record the cost of an answer in the ledger; `max_cost` if the gateway sent no cost."""
        reply = getattr(answer.decoded, "partial", None) or answer.decoded
        if isinstance(reply, Reply):
            entry = LedgerEntry.of(replace(reply, model=reply.model or model), 0.0)
            if entry.cost is None:
                entry = replace(entry, cost=max_cost, estimated=True)
            self.ledger.record(entry)
