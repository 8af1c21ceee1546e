"""Quirks 1 to 15: what recorded calls and the documentation of the gateway show.

Each row names a server that does it, and the page or report that shows it.
"""

from dataclasses import replace
from typing import Any

from onerouter_simulator.conversation import JSON
from onerouter_simulator.errors import RejectedError, failure
from onerouter_simulator.quirks.changes import (
    choice_of,
    chunks_of,
    in_bodies,
    in_events,
    in_messages,
    with_choice,
)
from onerouter_simulator.quirks.quirk import GITHUB, RESPONSE, STREAM, Quirk
from onerouter_simulator.request_log import RecordedRequest
from onerouter_simulator.scripts import Event, Script, encode_json

RECORDED_CALLS = GITHUB + "InfronAI/prompt-cache-bench"
ERROR_BODIES = GITHUB + "zbigniew73/pi-infron-ai"
KEEP_ALIVE = b": OPENROUTER PROCESSING\r\n\r\n"


def add_null_usage(chunks: list[JSON]) -> list[JSON]:
    """Send `usage: null` in every chunk without usage."""
    return [{"usage": None} | chunk for chunk in chunks]


def start_without_choices(chunks: list[JSON]) -> list[JSON]:
    """Send a chunk with an empty list of choices first."""
    results = [{"prompt_index": 0, "content_filter_results": {}}]
    return [chunks[0] | {"choices": [], "prompt_filter_results": results}, *chunks]


def end_early(script: Script, _: JSON) -> Script:
    """End a stream half way, without a finish reason and without an error."""
    if script.events is None:
        return script
    unfinished = [e for e in chunks_of(script) if not choice_of(e).get("finish_reason")]
    return replace(script, events=unfinished[: len(unfinished) // 2 + 1], done=False)


def fail_under_200(script: Script, _: JSON) -> Script:
    """Send an error in the body, or in an event of the stream, under status 200."""
    error = {"code": 502, "message": "Provider disconnected unexpectedly"}
    if script.events is None:
        return replace(script, json={"error": error})
    first = chunks_of(script)[0]
    last = with_choice(first, delta={"content": ""}, finish_reason="error") | {"error": error}
    return replace(script, events=[first, last])


def send_html(script: Script, _: JSON) -> Script:
    """Send the page of a proxy in front of the gateway."""
    page = "<html><head><title>502 Bad Gateway</title></head></html>"
    return Script(502, body=page, content_type="text/html", delay=script.delay)


def reject(status: int, message: str, **error: Any) -> Any:
    """Return a play that sends the gateway's error."""
    return lambda *_: failure(status, message, **error)


def name_reasoning_twice(message: JSON) -> JSON:
    """Return a message with the same reasoning under two keys."""
    return message | ({"reasoning_content": message["reasoning"]} if "reasoning" in message else {})


def add_odd_fields(body: JSON) -> JSON:
    """Return a body with null fields, unknown fields, and a field of another type."""
    odd = {"x_vendor": {"id": 1}, "x_null": None, "service_tier": None}
    return body | odd | {"system_fingerprint": {"backend": "b1"}}


def write_odd_lines(script: Script, _: JSON) -> Script:
    """Send the events with CRLF, comments and odd spaces, and a body after blank lines."""
    if script.events is None:
        body = b"\n   \n" + encode_json(script.json)
        return replace(script, json=..., body=body, content_type="application/json")
    events = [line for event in script.events for line in (KEEP_ALIVE, odd_event(event))]
    return replace(script, events=[*events, b"data:[DONE]"], done=False)


def odd_event(event: Event) -> bytes:
    """Return an event without a space after `data:`, with one at its end, and with CRLF."""
    return b"event: message\r\ndata:" + encode_json(event) + b" \r\n\r\n"


def list_models_oddly(body: JSON) -> JSON:
    """Return the list of models under `models`, with null limits and an entry that is no model."""
    models = [model | {"max_output_tokens": None, "object": None} for model in body["data"]]
    return {"models": [*models, {"id": "acme/draw", "category_type": "Text to Image"}]}


def block_plain_clients(recorded: RecordedRequest) -> None:
    """Reject the user agents that HTTP libraries send by default."""
    agent = recorded.headers.get("user-agent", "")
    if not agent or agent.startswith(("python", "node", "Go-http-client", "undici")):
        raise RejectedError(403, "error code: 1010")


GATEWAY = (
    Quirk(
        number=1,
        name="cost-with-new-details",
        sender="OneRouter",
        source=RECORDED_CALLS,
        sends="The cost is at the root; its details have keys that no page lists.",
        play=in_bodies(
            lambda body: (
                body
                | (
                    {"cost_details": body["cost_details"] | {"new_cost": 0}}
                    if "cost" in body
                    else {}
                )
            )
        ),
    ),
    Quirk(
        number=2,
        name="usage-null-until-the-end",
        sender="OpenAI",
        source=GITHUB + "ollama/ollama/issues/4448",
        sends="`usage` is null in all chunks but the last.",
        play=in_events(add_null_usage),
        stage=STREAM,
    ),
    Quirk(
        number=3,
        name="chunk-without-choices-first",
        sender="Azure OpenAI",
        source=GITHUB + "AbanteAI/archive-old-cli-mentat/issues/429",
        sends="The first chunk has an empty list of choices.",
        play=in_events(start_without_choices),
        stage=STREAM,
    ),
    Quirk(
        number=4,
        name="stream-ends-early",
        sender="OneRouter",
        source=RECORDED_CALLS,
        sends="A stream ends half way, without a finish reason and without an error.",
        play=end_early,
        stage=RESPONSE,
    ),
    Quirk(
        number=5,
        name="error-under-200",
        sender="OpenRouter",
        source=GITHUB + "damianvtran/local-operator/pull/223",
        sends="An error comes under status 200: in the body, or in an event of the stream.",
        play=fail_under_200,
        stage=RESPONSE,
    ),
    Quirk(
        number=6,
        name="error-as-html",
        sender="Cloudflare, which stands in front of the gateway",
        source=RECORDED_CALLS,
        sends="An error is an HTML page.",
        play=send_html,
        stage=RESPONSE,
    ),
    Quirk(
        number=7,
        name="error-of-another-status",
        sender="OneRouter",
        source=ERROR_BODIES,
        sends="Status 429 means that the account has no money; only the text says so.",
        play=reject(429, "Free model requires Team balance greater than $4.999999."),
        stage=RESPONSE,
    ),
    Quirk(
        number=8,
        name="retry-after-in-prose",
        sender="OneRouter",
        source=GITHUB + "rnixai/rnix",
        sends="Only the text of a 429 says when to ask again.",
        play=reject(
            429,
            "Rate limit exceeded (5 requests per minute). Please try again after 6 seconds.",
        ),
        stage=RESPONSE,
    ),
    Quirk(
        number=9,
        name="id-empty",
        sender="OneRouter (upstream Morph)",
        source=RECORDED_CALLS,
        sends="The id of a reply is an empty text.",
        play=in_bodies(lambda body: body | {"id": ""}),
    ),
    Quirk(
        number=10,
        name="reasoning-under-two-names",
        sender="vLLM (proposed), LightLLM",
        source=GITHUB + "ModelTC/LightLLM/pull/1345",
        sends="The same reasoning is in `reasoning` and in `reasoning_content`.",
        play=in_messages(name_reasoning_twice),
    ),
    Quirk(
        number=11,
        name="fields-null-or-unknown",
        sender="OneRouter",
        source=RECORDED_CALLS,
        sends="Fields are null or of another type, and there are unknown keys.",
        play=in_bodies(add_odd_fields),
    ),
    Quirk(
        number=12,
        name="sse-with-comments",
        sender="OpenRouter",
        source=GITHUB + "mnfst/llm-gateway/issues/2053",
        sends="A stream has comments, CRLF and odd spaces; a body begins with blank lines.",
        play=write_odd_lines,
        stage=RESPONSE,
    ),
    Quirk(
        number=13,
        name="models-in-another-envelope",
        sender="OneRouter (`data`); its plugin reads `models`, too",
        source=GITHUB + "Xyntax/infron-claude-plugin",
        sends="The list of models is under `models`, with null limits and entries without any.",
        list_models=list_models_oddly,
    ),
    Quirk(
        number=14,
        name="served-by-another-model",
        sender="OneRouter, with fallbacks",
        source="https://infron.ai/docs/features/model-fallbacks",
        sends="The model that answered is another than the one asked for.",
        play=in_bodies(lambda body: body | {"model": "acme/fallback"}),
    ),
    Quirk(
        number=15,
        name="user-agent-required",
        sender="OneRouter's media host (Cloudflare)",
        source=GITHUB + "Xyntax/infron-claude-plugin",
        sends="Requests with the default user agent of an HTTP library are rejected with 403.",
        check=block_plain_clients,
    ),
)
