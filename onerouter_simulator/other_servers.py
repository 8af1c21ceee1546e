"""The same things in other servers' words: LiteLLM's proxy 1.106 and llama.cpp's own server.

Knows the shapes that were seen on their wire, each as a `Script`, where they differ from the
gateway's. Knows no rule of what to answer.
"""

from typing import Any

from onerouter_simulator.bodies import JSON, root
from onerouter_simulator.scripts import Script

COUNTS = {
    "completion_tokens": 2,
    "prompt_tokens": 31,
    "total_tokens": 33,
    "prompt_tokens_details": {"cached_tokens": 30},
}
TIMINGS = {"cache_n": 30, "prompt_n": 1, "prompt_ms": 12.4, "predicted_n": 2, "predicted_ms": 15.9}
STOP = {"finish_reason": "stop", "index": 0}


def event(*choices: JSON, **fields: Any) -> JSON:
    """Make a chunk whose choices have only what is given."""
    return root("chat.completion.chunk") | {"choices": list(choices)} | fields


def logprobs(token: str, number: int, logprob: float) -> JSON:
    """Make the log probability of a token; llama.cpp adds its number."""
    facts = {"id": number, "token": token, "bytes": list(token.encode()), "logprob": logprob}
    return facts | {"top_logprobs": [facts]}


# --- llama.cpp: no cost, `timings` at the root, null content first, no choice beside the counts ---

_HELLO, _MARK = logprobs("Hello", 19556, -0.544), logprobs("!", 17, -0.328)

LLAMA_CPP_ANSWER = Script(
    json=root("chat.completion")
    | {
        "choices": [
            STOP
            | {
                "message": {"role": "assistant", "content": "Hello!"},
                "logprobs": {"content": [_HELLO, _MARK]},
            }
        ],
        "usage": COUNTS,
        "timings": TIMINGS,
    }
)
_UNFINISHED = {"finish_reason": None, "index": 0}
LLAMA_CPP_STREAM = Script(
    events=[
        event(_UNFINISHED | {"delta": {"role": "assistant", "content": None}}),
        event(_UNFINISHED | {"delta": {"content": "Hello"}, "logprobs": {"content": [_HELLO]}}),
        event(_UNFINISHED | {"delta": {"content": "!"}, "logprobs": {"content": [_MARK]}}),
        event(STOP | {"delta": {}}),
        event(usage=COUNTS, timings=TIMINGS),
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

# --- LiteLLM: the cost in a header, or in the counts of a stream, which come with a choice ---

LITELLM_ANSWER = Script(
    headers={"x-litellm-response-cost": "3.5e-05"},
    json=root("chat.completion")
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
        "usage": COUNTS,
    },
)
LITELLM_STREAM = Script(
    events=[
        event({"index": 0, "delta": {"role": "assistant"}}),
        event({"index": 0, "delta": {"content": "Hello"}}),
        event({"index": 0, "delta": {"content": "!"}}),
        event(STOP | {"delta": {}}),
        event({"index": 0, "delta": {}}, usage=COUNTS | {"cost": 3.5e-05}),
    ]
)


def litellm_refusal(status: int, message: str, kind: str) -> Script:
    """Make one of LiteLLM's refusals, which have their status as a string."""
    error = {"message": message, "type": kind, "param": None, "code": str(status)}
    return Script(status, json={"error": error})


LITELLM_NO_SUCH_MODEL = litellm_refusal(
    400,
    "/chat/completions: Invalid model name passed in model=nope. Call `/v1/models` to view "
    "available models for your key.",
    "invalid_request_error",
)
LITELLM_NO_DATABASE = litellm_refusal(400, "No connected db.", "no_db_connection")
LITELLM_TOO_LONG = litellm_refusal(
    400,
    "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: "
    "OpenAIException - request (5031 tokens) exceeds the available context size (4096 tokens), "
    "try increasing it",
    "invalid_request_error",
)
LITELLM_RESTING = litellm_refusal(
    429,
    "No deployments available for selected model, Try again in 5 seconds. Passed model=nope.",
    "throttling_error",
)
LITELLM_DOWN = litellm_refusal(
    500,
    "litellm.InternalServerError: InternalServerError: OpenAIException - Connection error.",
    "internal_server_error",
)
