"""A simulated OneRouter gateway on a loopback port: the other side of the wire, without a model.

    with Simulator() as sim:
        client = OpenAI(base_url=sim.base_url, api_key=sim.api_key)

It answers only from what the request says, by the first of these rules that applies. The same
request gets the same answer; only ids and times differ.

1.  A text that says "please refuse" is refused: `message.refusal`.
2.  Tools are called when `tool_choice` says so ("required" or a function by name), or when it is
    "auto" and the user's last text names them: whole, by a word of the name of five letters or
    more, or by arithmetic (`12 * 7` names a tool `multiply`). "required" calls one: a tool named in
    the text, else the first, those not called in this turn before the others. "auto" calls all that
    are named (one, without `parallel_tool_calls`), and none once there are results.
3.  JSON is written when `response_format` asks for it, or the prompt holds a JSON schema: by the
    schema, else with the words as keys that the prompt has in quotes.
4.  Tool results are quoted.
5.  A prompt that holds a context and a question is answered with the sentence or two of the context
    that share most words with the question; a refined answer stays unless a sentence shares more.
    A follow-up question that is to be made to stand alone is repeated.
6.  Everything else is echoed ("You said: ..."), and media are named with type and size.

Arguments and JSON are made from the schema and the text: what stands at a field's name, else the
next number that fits, the next string in quotes, a place ("in City, XX") or a name where the field
asks for one, an option that the text mentions; else the default, null, or a phrase of the text.
Optional fields are filled only with what the text offers. Nothing is taken twice.

Texts end before a `stop` sequence, and at `max_tokens` of four letters each ("length"). Reasoning,
when asked for, says which rule was followed. Usage is counted from the texts; cost, at the root,
comes from the catalogue's prices. `web_search_options`, `modalities` and `logprobs` add made-up
citations, a pixel, silence, and numbers. Models named `simulated/dead...` fail over to
`fallback_models`; `unknown/...` has no provider; any other id is served.

It is strict: what the API page does not allow is rejected with the gateway's own error bodies.
A `Script` replaces the rules for one chat completion, and fails in every way a wire can;
`failing=0.02` lets every 50th request fail with status 500.
"""

try:
    import starlette as _starlette  # noqa: F401 -- asked for here, to name the extra
    import uvicorn as _uvicorn  # noqa: F401
except ImportError as error:
    raise ImportError(
        'The simulator needs a server: pip install "onerouter-integrations[simulator]"'
    ) from error

from onerouter_simulator.bodies import chunk, completion, tool_call
from onerouter_simulator.errors import failure
from onerouter_simulator.request_log import Received
from onerouter_simulator.scripts import Script
from onerouter_simulator.server import Simulator

__all__ = ["Received", "Script", "Simulator", "chunk", "completion", "failure", "tool_call"]
