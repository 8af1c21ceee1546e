"""A callback handler that records its calls."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler


class RecordingHandler(BaseCallbackHandler):
    """Callback handler that records its calls."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.results: list[Any] = []
        self.errors: list[BaseException] = []
        self.retries: list[Any] = []
        self.starts: list[dict[str, Any]] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        """Record the start of a call."""
        self.starts.append(kwargs)

    def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        """Record a token."""
        self.tokens.append(token)

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        """Record the result of a call."""
        self.results.append(response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Record the error of a call."""
        self.errors.append(error)

    def on_retry(self, retry_state: Any, **kwargs: Any) -> None:
        """Record the error that causes a retry."""
        self.retries.append(retry_state.outcome.exception())


def with_callbacks(handler: RecordingHandler) -> dict[str, Any]:
    """Return the options that attach a handler to a call."""
    return {"config": {"callbacks": [handler]}}
