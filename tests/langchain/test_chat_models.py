"""ChatOneRouter: request body, headers, fields, per-call arguments, and hooks of LangChain."""

from __future__ import annotations

import json
import pydoc
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import pytest
from langchain_core.load import dumpd, dumps
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr, SecretStr, ValidationError

from langchain_onerouter import ChatOneRouter, __version__
from langchain_onerouter.errors import (
    APIConnectionError,
    ConfigurationError,
    ModelNotFoundError,
)
from onerouter_simulator import Script, Simulator, chunk, completion, failure
from tests.langchain.callbacks import RecordingHandler, with_callbacks
from tests.langchain.conftest import CallModel, LLMFactory, Mode
from tests.langchain.media import PDF_64

# Every request field with its own name on the wire: a value, and another value that overrides it.
FIELDS: dict[str, tuple[Any, Any]] = {
    "model": ("simulated/echo", "simulated/senses"),
    "temperature": (1.5, 0),
    "top_p": (0.5, 0),
    "max_tokens": (100, 1),
    "frequency_penalty": (1, 0),
    "presence_penalty": (-1, 0),
    "stop": (["a"], ["b"]),
    "seed": (1, 0),
    "logprobs": (True, False),
    "top_logprobs": (2, 0),
    "logit_bias": ({"1": -5}, {"2": 0}),
    "user": ("Ann", ""),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "json_object"}, {"type": "text"}),
    "modalities": (["text"], ["text", "image"]),
    "reasoning": ({"effort": "low"}, {"effort": "none"}),
    "provider": ({"order": ["a/b"]}, {"allow_fallbacks": False}),
    "fallback_models": (["a/b"], ["c/d"]),
    "fallback_rules": ("auto", ""),
    "web_search_options": ({"search_context_size": "low"}, {}),
}
TOOL = {"type": "function", "function": {"name": "f"}}


def request_body(
    sim: Simulator, llm: Runnable[Any, Any], call_model: CallModel, **options: Any
) -> dict[str, Any]:
    """Return the body of the request that a call sends."""
    sim.script(Script(json=completion()))
    call_model(llm, "Hi", **options)
    return sim.last.body


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_sent_and_a_call_overrides_it(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel, name: str
) -> None:
    """False, 0 and "" are values; None per call means not given."""
    value, other = FIELDS[name]
    llm = make_llm(**{name: value})
    options = {"tools": [TOOL]} if name == "parallel_tool_calls" else {}
    assert request_body(sim, llm, call_model, **options)[name] == value
    assert request_body(sim, llm, call_model, **options, **{name: other})[name] == other
    assert request_body(sim, llm, call_model, **options, **{name: None})[name] == value
    assert request_body(sim, make_llm(), call_model, **options, **{name: other})[name] == other


def test_parallel_tool_calls_is_sent_only_beside_tools(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """OpenAI rejects it without tools; those in `extra_body` are tools, too."""
    llm = make_llm(parallel_tool_calls=False)
    assert "parallel_tool_calls" not in request_body(sim, llm, call_model)
    assert request_body(sim, llm.bind_tools([TOOL]), call_model)["parallel_tool_calls"] is False
    body = request_body(sim, llm, call_model, extra_body={"tools": [TOOL]})
    assert body["parallel_tool_calls"] is False


def test_a_default_request_has_model_messages_and_usage(llm: ChatOneRouter, sim: Simulator) -> None:
    """No other key is sent unless a field or a call sets it."""
    llm.invoke("Hi")
    messages = [{"role": "user", "content": "Hi"}]
    expected = {"model": "simulated/echo", "messages": messages, "usage": {"include": True}}
    assert sim.last.body == expected
    list(llm.stream("Hi"))
    assert sim.last.body == {
        **expected,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_stream_usage_false_requests_no_usage(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """By field or per call; the chunks of a stream then have no usage."""
    for llm, options in ((make_llm(stream_usage=False), {}), (make_llm(), {"stream_usage": False})):
        chunks = mode.stream(llm, "Hi", **options)
        assert not sim.last.body.keys() & {"usage", "stream_options"}
        assert all(part.usage_metadata is None for part in chunks)
        assert chunks[-1].response_metadata["finish_reason"] == "stop"


def test_reasoning_effort_is_merged_into_reasoning(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """`reasoning_effort` sets the key `effort` of the reasoning options."""
    assert request_body(sim, make_llm(reasoning_effort="low"), call_model)["reasoning"] == {
        "effort": "low"
    }
    llm = make_llm(reasoning={"max_tokens": 5})
    body = request_body(sim, llm, call_model, reasoning_effort="high")
    assert body["reasoning"] == {"max_tokens": 5, "effort": "high"}
    assert "reasoning_effort" not in body


@pytest.mark.parametrize("given_by", ["field", "alias", "call", "call alias", "bind"])
def test_stop_sequences_by_field_alias_call_and_bind(
    make_llm: LLMFactory, call_model: CallModel, given_by: str
) -> None:
    """Every LangChain form of stop sequences ends the answer."""
    field = {"field": {"stop": ["you"]}, "alias": {"stop_sequences": ["you"]}}.get(given_by, {})
    llm = make_llm(**field)
    runnable = llm.bind(stop=["you"]) if given_by == "bind" else llm
    options = {"call": {"stop": ["you"]}, "call alias": {"stop_sequences": ["you"]}}.get(
        given_by, {}
    )
    assert call_model(runnable, "I see you there", **options).content == "You said: I see "


@pytest.mark.parametrize(
    "arguments",
    [{"replay_reasoning": "never"}, {"cost_in_usage": True}, {"catalog": None}],
    ids=str,
)
def test_a_model_field_cannot_be_given_per_call(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel, arguments: dict[str, Any]
) -> None:
    """It would have no meaning in the request body."""
    with pytest.raises(ConfigurationError, match="belongs to the model"):
        call_model(llm, "Hello", **arguments)
    assert not sim.requests


def test_an_empty_stop_list_is_not_sent(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """Strict servers reject an empty list; a single string is sent as it is."""
    assert "stop" not in request_body(sim, make_llm(stop=[]), call_model)
    assert request_body(sim, make_llm(stop="a"), call_model)["stop"] == "a"


def test_extra_body_and_unknown_arguments_are_sent(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """Per call, `extra_body` overrides the field key by key."""
    llm = make_llm(extra_body={"a": 1, "b": 1})
    body = request_body(sim, llm, call_model, extra_body={"b": 2, "c": 2}, top_k=5, model="x/y")
    assert {key: body.get(key) for key in "abc"} == {"a": 1, "b": 2, "c": 2}
    assert body["top_k"] == 5
    assert body["model"] == "x/y"


def test_extra_headers_override_default_headers(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """Names are compared without case; the other default headers are kept."""
    llm = make_llm(default_headers={"X-Title": "a", "X-Other": "b"})
    call_model(llm, "Hi", extra_headers={"x-title": "c"})
    headers = sim.last.headers
    assert (headers["x-title"], headers["x-other"]) == ("c", "b")
    assert headers["authorization"] == f"Bearer {sim.api_key}"
    assert headers["user-agent"].startswith("onerouter-integrations/")


def test_api_key_and_base_url_per_call(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """Both override the fields."""
    llm = make_llm(api_key="sk-wrong", base_url="http://127.0.0.1:9/v1", max_retries=0)
    assert (
        call_model(llm, "Hi", api_key=sim.api_key, base_url=sim.base_url).content == "You said: Hi"
    )


def test_a_callable_api_key_is_called_per_request(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """A retry calls it again, so that keys can rotate."""
    keys = iter([SecretStr("sk-first"), sim.api_key])
    llm = make_llm(api_key=lambda: next(keys), max_retries=1)
    sim.script(failure(500, "down"))
    call_model(llm, "Hi")
    assert [request.headers["authorization"] for request in sim.requests] == [
        "Bearer sk-first",
        f"Bearer {sim.api_key}",
    ]


def test_file_form_file_data(make_llm: LLMFactory, sim: Simulator) -> None:
    """A document is sent as `file_data` with a data URL."""
    block = {"type": "file", "base64": PDF_64, "mime_type": "application/pdf"}
    make_llm(file_form="file_data").invoke([("user", [block])])
    (part,) = sim.last.body["messages"][0]["content"]
    data_url = f"data:application/pdf;base64,{PDF_64}"
    assert part["file"] == {"filename": "document.pdf", "file_data": data_url}


@pytest.mark.parametrize(
    ("arguments", "message_part"),
    [
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"reasoning": {"max_tokens": 0}}, "reasoning"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"tool_choice": "any"}, "needs tools"),
        ({"top_k": object()}, "JSON"),
        ({"odd": 1}, "extra_body"),
        ({"temprature": 0}, "Did you mean 'temperature'"),
        ({"model_name": "c/d"}, "Did you mean 'model'"),
    ],
)
def test_an_invalid_argument_per_call_is_not_sent(
    llm: ChatOneRouter,
    sim: Simulator,
    call_model: CallModel,
    arguments: dict[str, Any],
    message_part: str,
) -> None:
    """The error names the argument and is a ValueError as well."""
    with pytest.raises(ConfigurationError, match=message_part) as caught:
        call_model(llm, "Hi", **arguments)
    assert isinstance(caught.value, ValueError)
    assert sim.requests == []


@pytest.mark.parametrize(
    ("arguments", "message_part"),
    [
        ({"temprature": 0}, "Did you mean 'temperature'"),
        ({"model_kwargs": {}}, "extra_body"),
        ({"temperature": 3}, "temperature"),
        ({"n": 0}, "n\n"),
    ],
)
def test_an_invalid_constructor_argument_raises(
    make_llm: LLMFactory, arguments: dict[str, Any], message_part: str
) -> None:
    """A misspelt name raises with a suggestion."""
    with pytest.raises(ValidationError, match=message_part):
        make_llm(**arguments)


@pytest.mark.parametrize("name", ["stop", "n", "streaming", "cost_in_usage", "top_p", "api_key"])
def test_the_docstring_under_a_field_is_its_description(name: str) -> None:
    """`model_fields` and `help` show it, for fields with aliases and inherited ones as well."""
    description = ChatOneRouter.model_fields[name].description
    assert description
    assert description.endswith(".")
    help_text = " ".join(pydoc.render_doc(ChatOneRouter, renderer=pydoc.plaintext).split())
    assert f"{name}: {' '.join(description.split())}" in help_text


# --- preview ---


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0, "top_k": 3, "stop": ["x"]},
        {"tools": [{"type": "function", "function": {"name": "a.b"}}], "tool_choice": "a.b"},
        {"response_format": {"type": "json_object"}, "extra_body": {"a": 1}},
    ],
)
def test_preview_equals_the_request_body(
    llm: ChatOneRouter, sim: Simulator, options: dict[str, Any]
) -> None:
    """`preview` itself sends nothing."""
    previewed = llm.preview([("system", "s"), "Hi"], **options)
    assert sim.requests == []
    sim.script(Script(json=completion()))
    llm.invoke([("system", "s"), "Hi"], **options)
    assert sim.last.body == json.loads(json.dumps(previewed))


def test_preview_validates_arguments(llm: ChatOneRouter) -> None:
    """An argument that `invoke` rejects is rejected."""
    with pytest.raises(ConfigurationError, match="temperature"):
        llm.preview("Hi", temperature=5)


# --- properties of the model ---


def test_langsmith_parameters(make_llm: LLMFactory, call_model: CallModel) -> None:
    """The provider is that of the messages; model and stop of a call override the fields."""
    llm = make_llm(temperature=0, max_tokens=10, stop="x")
    handler = RecordingHandler()
    message = call_model(llm, "Hi", model="simulated/senses", **with_callbacks(handler))
    metadata = handler.starts[0]["metadata"]
    assert metadata["ls_provider"] == message.response_metadata["model_provider"]
    assert metadata["ls_model_name"] == "simulated/senses"
    assert (metadata["ls_temperature"], metadata["ls_max_tokens"]) == (0, 10)
    assert metadata["ls_stop"] == ["x"]
    call_model(llm, "Hi", stop=["y"], **with_callbacks(handler))
    assert handler.starts[1]["metadata"]["ls_stop"] == ["y"]


def test_model_type_version_and_secrets(make_llm: LLMFactory) -> None:
    """`_type`, the package version, and the environment variable of the key."""
    llm = make_llm()
    assert llm.asdict()["_type"] == "onerouter-chat"
    assert llm.metadata["lc_versions"]["langchain-onerouter"] == __version__
    assert llm.lc_secrets == {"api_key": "ONEROUTER_API_KEY"}


class SubclassWithState(ChatOneRouter):
    """A subclass with a private attribute of its own."""

    _state: int = PrivateAttr(default=1)


@pytest.mark.parametrize("model_class", [ChatOneRouter, SubclassWithState])
def test_the_versions_of_langchain_are_in_the_metadata(
    model_class: type[ChatOneRouter], sim: Simulator
) -> None:
    """As with every other chat model; the user's own metadata stay, and are not changed."""
    metadata = {"team": "a"}
    llm = model_class(model="a/b", api_key=sim.api_key, base_url=sim.base_url, metadata=metadata)
    versions = {
        name: version(name) for name in ("langchain-core", "langchain") if find_spec(module(name))
    }
    assert llm.metadata["lc_versions"] == {**versions, "langchain-onerouter": __version__}
    assert (llm.metadata["team"], metadata) == ("a", {"team": "a"})
    handler = RecordingHandler()
    llm.invoke("Hi", **with_callbacks(handler))
    assert handler.starts[0]["metadata"]["lc_versions"] == llm.metadata["lc_versions"]


def module(name: str) -> str:
    """Return the module of a distribution."""
    return name.replace("-", "_")


@pytest.mark.parametrize("fields", [{"n": 2, "streaming": True}, {"streaming": True, "n": 3}])
def test_streaming_several_answers_is_refused_when_made(fields: Any) -> None:
    """A stream carries one; without `streaming` the model can be made."""
    with pytest.raises(ValueError, match="streaming=True needs n=1"):
        ChatOneRouter(model="a/b", api_key="k", **fields)
    ChatOneRouter(model="a/b", api_key="k", n=1, streaming=True)
    ChatOneRouter(model="a/b", api_key="k", n=2, streaming=False)


@pytest.mark.parametrize("include_raw", [False, True])
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "auto"])
def test_preview_takes_the_keywords_of_a_structured_runnable(
    llm: ChatOneRouter, sim: Simulator, method: Any, include_raw: bool
) -> None:
    """What LangChain binds for tracers is no key of the body."""
    schema = {"title": "A", "type": "object", "properties": {"a": {"type": "integer"}}}
    runnable = llm.with_structured_output(
        schema, method=method, include_raw=include_raw, temperature=0
    )
    previewed = llm.preview("Hi", **runnable.first.kwargs)
    sim.script(Script(json=completion('{"a": 1}')))
    runnable.invoke("Hi")
    assert previewed == sim.last.body


def test_secrets_are_in_no_repr_dump_or_trace(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """The key and all headers are hidden, given to the model or per call."""
    secrets = {"api_key": "sk-very-secret", "default_headers": {"X-Key": "hdr-very-secret"}}
    llm = make_llm(**secrets)
    handler = RecordingHandler()
    sim.script(*[Script(json=completion())] * 2)
    call_model(llm, "Hi", **with_callbacks(handler))
    call_model(
        make_llm(),
        "Hi",
        **secrets,
        extra_headers={"X-More": "very-secret"},
        **with_callbacks(handler),
    )
    assert "very-secret" in sim.last.headers["authorization"] + sim.last.headers["x-more"]
    outputs = [repr(llm), str(llm), dumps(llm), str(dumpd(llm)), str(llm.asdict())]
    assert not [text for text in (*outputs, str(handler.starts)) if "very-secret" in text]


# --- streams ---


def test_chunks_are_yielded_as_they_arrive(llm: ChatOneRouter, sim: Simulator) -> None:
    """The first chunk is yielded before the last is sent."""
    sim.script(Script(events=[chunk("a"), 30.0, chunk("b", finish_reason="stop")]))
    stream = llm.stream("Hi")
    assert next(stream).content == "a"
    stream.close()
    assert sim.last.wait_hung_up(5)


def test_an_unreachable_gateway_raises(make_llm: LLMFactory, call_model: CallModel) -> None:
    """The result is an APIConnectionError, not an empty message."""
    with pytest.raises(APIConnectionError):
        call_model(make_llm(base_url="http://127.0.0.1:9/v1", max_retries=0), "Hi")


def test_an_unknown_model_is_not_retried(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """ModelNotFoundError after one request."""
    with pytest.raises(ModelNotFoundError, match="unknown/model"):
        call_model(make_llm(model="unknown/model"), "Hi")
    assert len(sim.requests) == 1
