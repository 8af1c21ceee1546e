"""Replies in the formats of other servers: the LiteLLM proxy 1.106 and llama.cpp's llama-server.

Each is a `Script` with the fields that were seen on the wire of that server, where they differ
from the gateway's format.
"""

from __future__ import annotations

from typing import Any

from onerouter_simulator.bodies import JSON, common_fields
from onerouter_simulator.scripts import Script

USAGE = {
    "completion_tokens": 2,
    "prompt_tokens": 31,
    "total_tokens": 33,
    "prompt_tokens_details": {"cached_tokens": 30},
}
TIMINGS = {"cache_n": 30, "prompt_n": 1, "prompt_ms": 12.4, "predicted_n": 2, "predicted_ms": 15.9}
STOP = {"finish_reason": "stop", "index": 0}


def event(*choices: JSON, **fields: Any) -> JSON:
    """Return a chunk with these choices, unchanged, and these root fields."""
    return common_fields("chat.completion.chunk") | {"choices": list(choices)} | fields


def logprobs(token: str, token_id: int, logprob: float) -> JSON:
    """Return the log probability of a token; llama.cpp adds the token's id."""
    entry = {"id": token_id, "token": token, "bytes": list(token.encode()), "logprob": logprob}
    return entry | {"top_logprobs": [entry]}


# --- llama.cpp: no cost; `timings` at the root; first content null; usage in a chunk of its own ---

_HELLO, _EXCLAMATION = logprobs("Hello", 19556, -0.544), logprobs("!", 17, -0.328)

LLAMA_CPP_ANSWER = Script(
    json=common_fields("chat.completion")
    | {
        "choices": [
            STOP
            | {
                "message": {"role": "assistant", "content": "Hello!"},
                "logprobs": {"content": [_HELLO, _EXCLAMATION]},
            }
        ],
        "usage": USAGE,
        "timings": TIMINGS,
    }
)
_UNFINISHED = {"finish_reason": None, "index": 0}
LLAMA_CPP_STREAM = Script(
    events=[
        event(_UNFINISHED | {"delta": {"role": "assistant", "content": None}}),
        event(_UNFINISHED | {"delta": {"content": "Hello"}, "logprobs": {"content": [_HELLO]}}),
        event(_UNFINISHED | {"delta": {"content": "!"}, "logprobs": {"content": [_EXCLAMATION]}}),
        event(STOP | {"delta": {}}),
        event(usage=USAGE, timings=TIMINGS),
    ]
)
LLAMA_CPP_TOO_LONG = Script(
    400,
    json={
        "error": {
            "code": 400,
            "message": "request (5031 tokens) exceeds the available context size (4096 tokens), "
            "try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 5031,
            "n_ctx": 4096,
        }
    },
)

# --- LiteLLM: cost in a header, or in the usage of a stream, in a chunk that has a choice ---

LITELLM_ANSWER = Script(
    headers={"x-litellm-response-cost": "3.5e-05"},
    json=common_fields("chat.completion")
    | {
        "choices": [
            STOP
            | {
                "message": {
                    "content": "Hello!",
                    "role": "assistant",
                    "provider_specific_fields": {"refusal": None},
                },
                "provider_specific_fields": {},
            }
        ],
        "usage": USAGE,
    },
)
LITELLM_STREAM = Script(
    events=[
        event({"index": 0, "delta": {"role": "assistant"}}),
        event({"index": 0, "delta": {"content": "Hello"}}),
        event({"index": 0, "delta": {"content": "!"}}),
        event(STOP | {"delta": {}}),
        event({"index": 0, "delta": {}}, usage=USAGE | {"cost": 3.5e-05}),
    ]
)


def litellm_error(status: int, message: str, kind: str) -> Script:
    """Return an error of LiteLLM: its `code` is the status as a string."""
    error = {"message": message, "type": kind, "param": None, "code": str(status)}
    return Script(status, json={"error": error})


LITELLM_NO_SUCH_MODEL = litellm_error(
    400,
    "/chat/completions: Invalid model name passed in model=nope. Call `/v1/models` to view "
    "available models for your key.",
    "invalid_request_error",
)
# A wrong API key, on a proxy without a database of keys.
LITELLM_NO_DATABASE = litellm_error(400, "No connected db.", "no_db_connection")
LITELLM_TOO_LONG = litellm_error(
    400,
    "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: "
    "OpenAIException - request (5031 tokens) exceeds the available context size (4096 tokens), "
    "try increasing it",
    "invalid_request_error",
)
# All deployments of the model are in cooldown.
LITELLM_RESTING = litellm_error(
    429,
    "No deployments available for selected model, Try again in 5 seconds. Passed model=nope.",
    "throttling_error",
)
# The upstream server is not reachable.
LITELLM_DOWN = litellm_error(
    500,
    "litellm.InternalServerError: InternalServerError: OpenAIException - Connection error.",
    "internal_server_error",
)
