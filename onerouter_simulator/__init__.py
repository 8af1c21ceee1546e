"""Simulated OneRouter gateway on a loopback port, for tests, demos and notebooks. It has no model.

    with Simulator() as sim:
        client = OpenAI(base_url=sim.base_url, api_key=sim.api_key)

Each answer is made from the request alone, by the first of these rules that applies. The same
request gets the same answer; only ids and times differ.

1.  Refusal. If the user's text contains "please refuse", the reply is a `message.refusal`.
2.  Tool calls. Tools are called if `tool_choice` is "required" or names a function, or if it is
    "auto" (the default) and the user's last text mentions a tool. A text mentions a tool by its
    whole name, by a word of the name that has five letters or more, or by arithmetic (`12 * 7`
    mentions a tool `multiply`). "required" makes one call: to a tool that the text mentions, else
    to the first tool; tools not yet called in this turn come before the others. "auto" calls all
    tools that are mentioned (one, if `parallel_tool_calls` is false), and none once there are tool
    results.
3.  JSON. The answer is JSON if `response_format` asks for it, or if the prompt contains a JSON
    schema, or asks for JSON and shows an example. It follows the schema or the example; without
    them, its keys are the strings that the prompt has in quotes.
4.  Tool results. They are quoted.
5.  Question answering. If the prompt contains a context and a question, the answer is the one or
    two sentences of the context that share most words with the question. In a refine prompt, the
    existing answer stays unless a sentence shares more words. A follow-up question that is to be
    rewritten as a standalone question is repeated.
6.  Echo. Everything else is echoed ("You said: ..."); media are listed with type and size.

Tool arguments and JSON are generated from the schema and the text. A field gets the value that
follows its name in the text, else the next number within its limits, the next string in quotes, a
place ("in City, XX") or a name if the name of the field asks for one, or an enum option that the
text mentions. Without any of these it gets its default, null, or a phrase of the text. Optional
fields are filled only with values from the text. No value is used twice.

Texts end before a `stop` sequence, and at `max_tokens`, where four characters are one token (finish
reason "length"). Reasoning, if requested, names the rule that was followed. Usage is counted from
the texts. The cost, at the root of the reply, is computed from the prices of the catalog.

Prompt cache. Models whose id begins with `anthropic/` or contains `claude`, and `simulated/cache`,
cache prompts up to the texts and tools that have `cache_control`, as Anthropic does behind the
gateway. The prefix (tools, then system messages, then the others) must be the same and have 1,024
tokens; a mark also finds entries that end up to 20 blocks before it. An entry lives for 5 minutes
or 1 hour after its last use; `Simulator.advance` moves the clock. Reading costs 0.1 of the price of
prompt tokens, writing 1.25 (5 minutes) or 2 (1 hour).

`web_search_options`, `modalities` and `logprobs` add invented data: citations, an image of one
pixel, a recording of silence, and log probabilities. Models named `simulated/dead...` fail over to
`fallback_models`; models named `unknown/...` have no provider; every other model id is served.

Embeddings. POST /embeddings returns a vector of length 1 for each text, or list of token numbers,
in `input`: texts that share words, or parts of words, are near each other. `dimensions` (1,536) and
`encoding_format` are OpenAI's.

Validation is strict: a request that the API page does not allow is rejected with the gateway's own
error body. A `Script` replaces the rules for one chat completion: an exact reply, or any failure
that HTTP and TCP allow. With `failing=0.02`, every 50th request fails with status 500. With
`quirks=["call-in-two-pieces"]`, the answers of the rules are sent as other servers send them;
`onerouter_simulator.quirks.QUIRKS` lists these quirks.

`Simulator.record` passes requests on to a real gateway and writes its replies to a file, and
`Simulator.replay` gives them back. `onerouter_simulator.pytest_plugin` has a fixture for pytest.
"""

import typing as _typing
import warnings as _warnings
from importlib import import_module as _import_module

if _typing.TYPE_CHECKING:
    from onerouter_simulator.bodies import chunk, completion, tool_call
    from onerouter_simulator.errors import failure
    from onerouter_simulator.recordings import RecordingError
    from onerouter_simulator.request_log import RecordedRequest
    from onerouter_simulator.scripts import End, Event, Script
    from onerouter_simulator.server import Simulator

__all__ = [
    "End",
    "Event",
    "RecordedRequest",
    "RecordingError",
    "Script",
    "Simulator",
    "chunk",
    "completion",
    "failure",
    "tool_call",
]

# The module of each name, imported at its first use: pytest imports this package at each start, for
# the plugin, also where the extra is not installed.
_MODULES = {
    **dict.fromkeys(("chunk", "completion", "tool_call"), "bodies"),
    **dict.fromkeys(("End", "Event", "Script"), "scripts"),
    "failure": "errors",
    "RecordedRequest": "request_log",
    "RecordingError": "recordings",
    "Simulator": "server",
}
# Names of version 1.0; the alias goes with the next minor version.
_RENAMED = {"Received": "RecordedRequest"}
_REMOVED = {"dialects", "other_servers"}


def __getattr__(name: str) -> _typing.Any:
    if name in _MODULES:
        _check_extra()
        value = getattr(_import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    if name in _REMOVED:
        # `from onerouter_simulator import dialects` would hide the message of an AttributeError.
        raise ImportError(
            f"{__name__}.{name} is no longer part of the package: Simulator(quirks=[...]) plays"
            " what other servers send, and the recorded replies are in tests/other_servers.py of"
            " the repository"
        )
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new_name = _RENAMED[name]
    _warnings.warn(
        f"{__name__}.{name} is now {__name__}.{new_name}", DeprecationWarning, stacklevel=2
    )
    return __getattr__(new_name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _check_extra() -> None:
    """Raise ImportError, which names the extra, if one of its packages is missing."""
    try:
        _import_module("starlette")
        _import_module("uvicorn")
    except ImportError as error:
        raise ImportError(
            "onerouter_simulator needs starlette and uvicorn: "
            'pip install "onerouter-integrations[simulator]"'
        ) from error
