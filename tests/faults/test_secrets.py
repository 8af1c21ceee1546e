"""Secrets: keys and headers reach the server, and are shown nowhere else."""

from __future__ import annotations

import json
import logging
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from langchain_core.load import dumpd, dumps
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from pydantic import BaseModel, SecretStr, ValidationError

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import OneRouterError, resolve_call
from tests.core.payloads import chunk, completion
from tests.faults.adapters import VARIANTS, CallVariant, acall_model, call_model
from tests.faults.cases import Outcome, ScriptByMode
from tests.faults.conftest import CLASSES, Loop, MakeCaller, MakeModel, hide_aiohttp
from tests.faults.http_scripts import response, stream
from tests.faults.leak_check import answer_scripts
from tests.faults.secret_recorder import (
    CallbackRecorder,
    EventRecorder,
    Recorder,
    SpanRecorder,
    error_texts,
    find_leaks,
)
from tests.faults.server import End, Endpoint, HTTPScript, Server
from tests.test_features import missing_tests

KEY, HEADER = "sk-canary-key-of-the-model", "canary-header-of-the-model"
CALL_KEY, CALL_HEADER = "sk-canary-key-of-a-call", "canary-header-of-a-call"
FIELDS = {"api_key": KEY, "default_headers": {"x-tenant": HEADER, "cookie": f"id={HEADER}"}}
OPTIONS = {"api_key": CALL_KEY, "extra_headers": {"x-call": CALL_HEADER}}
ECHO = f"Bad key {CALL_KEY}, cookie id={HEADER}, headers {HEADER} {CALL_HEADER}"

each_class = pytest.mark.parametrize("name", CLASSES)
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)


def test_find_leaks_finds_a_secret() -> None:
    """The search of these tests finds a secret in every kind of object."""
    assert find_leaks(["fine", {"a": KEY}, HEADER, OPTIONS])


@pytest.fixture
def make_model(server: Server) -> Iterator[MakeModel]:
    """Provide a function that makes models with secrets; they are closed at the end."""
    models: list[Any] = []

    def make_model(name: str, endpoint: Endpoint, **fields: Any) -> Any:
        fields = {"model": "m", "base_url": endpoint.base_url, **FIELDS, **fields}
        models.append(CLASSES[name][0](**fields))
        return models[-1]

    yield make_model
    for model in models:
        model.close()


# --- instances ---


class Sum(BaseModel):
    """Schema of a sum."""

    total: int


def shown_by_both(model: Any) -> Iterator[object]:
    """Yield every form in which a model of either class is shown."""
    yield from (repr(model), str(model), f"{model}", [model], repr({"model": model}))
    yield from (model.model_dump(), model.model_dump_json(), model.model_dump(mode="json"))
    yield from (model.model_copy(), pickle.loads(pickle.dumps(model)))  # noqa: S301 -- this test has made it
    yield from (resolve_call(model), resolve_call(model, OPTIONS))


def shown_by_langchain(model: Any) -> Iterator[object]:
    """Yield every form in which a ChatOneRouter, or a runnable made from it, is shown."""
    structured = model.with_structured_output(Sum, method="json_schema")
    bound = model.bind(api_key=SecretStr(CALL_KEY))
    for runnable in (model, model | str, structured, model.bind_tools([Sum]), bound):
        yield from (repr(runnable), dumpd(runnable), dumps(runnable))
    yield from (model.lc_attributes, model.lc_secrets, model.profile, model.get_graph().to_json())
    yield model.preview("x", **OPTIONS)


def shown_by_llama_index(model: Any) -> Iterator[object]:
    """Yield every form in which a OneRouterLLM, or a model made from it, is shown."""
    with_options = model.model_copy(update={"additional_kwargs": {**OPTIONS, "seed": 1}})
    for llm in (model, with_options, model.as_structured_llm(Sum)):
        yield from (repr(llm), llm.to_dict(), llm.to_json(), llm.dict(), llm.metadata)
    yield from (model.to_payload(), model.as_structured_llm(Sum).to_payload())


@each_class
def test_an_instance_shows_no_secret(make_model: MakeModel, server: Server, name: str) -> None:
    """Neither repr nor dumps nor any serialisation has a secret in it."""
    model = make_model(name, server.endpoint())
    shown_by_class = shown_by_langchain if name == "ChatOneRouter" else shown_by_llama_index
    shown = [*shown_by_both(model), *shown_by_class(model)]
    assert len(shown) > 20
    assert find_leaks(shown) == []


@each_class
def test_a_pickle_holds_the_key(make_model: MakeModel, server: Server, name: str) -> None:
    """The unpickled copy can call; the key that a function returns is not in the pickle."""
    endpoint = server.endpoint(response(completion("Hi")))
    model = make_model(name, endpoint)
    assert KEY.encode() in pickle.dumps(model)
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301 -- this test has made it
    call_model(CLASSES[name][1], copy, "complete")
    copy.close()
    assert endpoint.last.headers["authorization"] == f"Bearer {KEY}"
    assert endpoint.last.headers["x-tenant"] == HEADER
    assert b"canary" not in pickle.dumps(
        make_model(name, endpoint, api_key=get_api_key, default_headers=None)
    )


def get_api_key() -> str:
    """Return the key; a callable `api_key` is called for each request."""
    return KEY


@each_class
@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 99},
        {"apikey": KEY},
        {"default_headers": {"x-tenant": f"{HEADER}\n"}},
        {"default_headers": HEADER},
        {"base_url": KEY},
        {"base_url": f"https://user:{KEY}@localhost/v1"},
        {"api_key": [KEY]},
    ],
    ids=[
        *("a value out of range", "an unknown name", "a line break in a header"),
        *("headers that are a string", "a URL without a scheme", "a URL with a password"),
        "a key that is a list",
    ],
)
def test_a_wrong_argument_is_not_shown(
    make_model: MakeModel, server: Server, name: str, fields: Any
) -> None:
    """The error shows neither the value of the wrong argument nor the secrets of the others."""
    with pytest.raises((ValidationError, OneRouterError)) as caught:
        make_model(name, server.endpoint(), **fields)
    assert find_leaks(error_texts(caught.value)) == []


@each_class
@pytest.mark.parametrize("fields", [{"model": "m"}, {"model": "m", "api_key": KEY}])
def test_an_unencrypted_base_url_warns_without_the_key(
    name: str, fields: Mapping[str, Any]
) -> None:
    """An http URL of another host warns; one of loopback, and https, do not."""
    model_class = CLASSES[name][0]
    with pytest.warns(UserWarning, match="unencrypted") as warned:
        model_class(base_url="http://gateway.test/v1", **fields)
    assert find_leaks(warning.message for warning in warned) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for host in ("http://localhost:1", "http://127.0.0.1", "http://[::1]:8", "https://a.test"):
            model_class(base_url=f"{host}/v1", **fields)


# --- calls ---


@pytest.fixture
def recorder(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Recorder]:
    """Record all logs at DEBUG, LlamaIndex's events and spans, and the screen."""
    recorder, dispatcher = Recorder(caplog, capfd), get_dispatcher()
    before = list(dispatcher.span_handlers), list(dispatcher.event_handlers)
    dispatcher.add_event_handler(EventRecorder(record=recorder.record))
    spans = SpanRecorder()  # its constructor does not take fields of a subclass
    spans.record = recorder.record
    dispatcher.add_span_handler(spans)
    with caplog.at_level(logging.DEBUG):
        yield recorder
    dispatcher.span_handlers, dispatcher.event_handlers = before


def call_traced(
    name: str, model: Any, variant: CallVariant, loop: Loop, recorder: Recorder
) -> Outcome:
    """Call with handlers and tracers, record everything they were given; return the outcome."""
    adapter, tracer = CLASSES[name][1], RunCollectorCallbackHandler()
    legacy_handler = LlamaDebugHandler(print_trace_on_end=True)
    options: dict[str, Any] = dict(OPTIONS)
    if name == "ChatOneRouter":
        options["config"] = {"callbacks": [CallbackRecorder(recorder), tracer]}
    else:
        model.callback_manager = CallbackManager([legacy_handler])
    if variant.backend is None:
        outcome = call_model(adapter, model, variant.mode, **options)
    else:
        outcome = loop.run_until_complete(acall_model(adapter, model, variant.mode, **options))
    recorder.seen += [run.model_dump() for run in tracer.traced_runs]
    recorder.seen += [(event.payload, event) for event in legacy_handler.get_events()]
    recorder.record(outcome.text, outcome.tool_calls)
    return outcome


ENDS: dict[str, tuple[ScriptByMode | HTTPScript, ...]] = {
    "an answer": (answer_scripts("Hi"),),
    "an answer after retries": (
        response({"error": {"message": ECHO}}, 502),
        (End.RESET,),
        answer_scripts("Hi"),
    ),
    "an HTTP error": (response({"error": {"message": ECHO, "code": ECHO, "type": ECHO}}, 401),),
    "an HTML page": (response(f"<title>{ECHO}</title>".encode(), 502, "text/html"),),
    "an error under 200": (response({"error": ECHO}),),
    "an error event": (stream(chunk("Hel"), {"error": {"message": ECHO}}),),
    "an event that is not JSON": (stream(chunk("Hel"), f"data: {ECHO}\n\n".encode()),),
    "no answer": (response({"text": ECHO}),),
    "a reset": ((End.RESET,),),
    "an echo of the request": ((f"POST / HTTP/1.1\r\nx: {ECHO}\r\n\r\n".encode(), End.CLOSE),),
    "a redirect": (response(ECHO.encode(), 302, location="http://127.0.0.1:9/"),),
}


@each_variant
@each_class
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_call_shows_no_secret(  # noqa: PLR0913, PLR0917 -- parameters and fixtures
    make_model: MakeModel,
    server: Server,
    make_caller: MakeCaller,
    recorder: Recorder,
    name: str,
    variant: CallVariant,
    end: Any,
) -> None:
    """No log of any library, no handler, tracer, event, span or error shows one."""
    scripts = [step if isinstance(step, tuple) else getattr(step, variant.mode) for step in end]
    endpoint = server.endpoint(*scripts)
    loop = make_caller(name, variant).loop  # its shared clients are on the backend of the variant
    outcome = call_traced(name, make_model(name, endpoint), variant, loop, recorder)
    sent = endpoint.last.headers
    assert (sent["authorization"], sent["x-tenant"]) == (f"Bearer {CALL_KEY}", HEADER)
    assert sent["x-call"] == CALL_HEADER
    assert len(recorder.seen) > 3
    assert find_leaks([*recorder.shown(), *error_texts(outcome.error)]) == []


@each_class
def test_a_secretstr_keyword_is_not_shown_by_the_framework(
    make_model: MakeModel, server: Server, recorder: Recorder, name: str
) -> None:
    """A framework shows the arguments it was given; a `SecretStr` among them stays hidden."""
    endpoint, key = server.endpoint(response(completion("Hi"))), SecretStr(CALL_KEY)
    model = make_model(name, endpoint)
    if name == "ChatOneRouter":
        (model.bind(api_key=key) | str).invoke("x", {"callbacks": [CallbackRecorder(recorder)]})
    else:
        model.chat_with_tools([], "x", api_key=key)
    assert endpoint.last.headers["authorization"] == f"Bearer {CALL_KEY}"
    assert find_leaks(recorder.shown()) == []


async def test_astream_events_shows_no_secret(server: Server, recorder: Recorder) -> None:
    """The events of a chain, which include those of the model inside it, have no secret."""
    endpoint = server.endpoint(stream(chunk("Hi", "stop")))
    model = ChatOneRouter(model="m", base_url=endpoint.base_url, **FIELDS)
    async for event in (model | str).astream_events("x", version="v2"):
        recorder.record(event)
    await model.aclose()
    assert endpoint.last.headers["authorization"] == f"Bearer {KEY}"
    assert len(recorder.seen) > 5
    assert find_leaks(recorder.shown()) == []


# --- environment variables ---

VARIABLES = {
    **dict.fromkeys(
        [
            *("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_ORGANIZATION"),
            *("OPENAI_PROJECT_ID", "OPENAI_PROJECT", "OPENAI_WEBHOOK_SECRET", "OPENAI_API_TYPE"),
            *("OPENAI_API_VERSION", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
        ],
        "poison",
    ),
    "OPENAI_BASE_URL": "http://127.0.0.1:9/poison",
    "OPENAI_API_BASE": "http://127.0.0.1:9/poison",
    "OPENAI_PROXY": "http://127.0.0.1:9/poison",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer poison\nX-Poison: poison",
    "OPENAI_LOG": "debug",
}


@each_variant
@each_class
def test_openai_variables_are_not_read(  # noqa: PLR0913, PLR0917 -- parameters and fixtures
    make_model: MakeModel,
    server: Server,
    loop: Loop,
    name: str,
    variant: CallVariant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """No OPENAI_* variable changes the URL, headers or body of a call, also on a new client."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))  # has new HTTP clients made
    if variant.backend == "default":
        hide_aiohttp(monkeypatch)
    for variable, value in VARIABLES.items():
        monkeypatch.setenv(variable, value)
    endpoint = server.endpoint(getattr(answer_scripts("Hi"), variant.mode))
    model, adapter = make_model(name, endpoint), CLASSES[name][1]
    if variant.backend is None:
        outcome = call_model(adapter, model, variant.mode)
    else:
        outcome = loop.run_until_complete(acall_model(adapter, model, variant.mode))
        loop.run_until_complete(model.aclose())
    assert outcome.text == "Hi"
    sent = (endpoint.last.target, dict(endpoint.last.headers), endpoint.last.body)
    assert "poison" not in repr(sent).lower()
    assert endpoint.last.headers["authorization"] == f"Bearer {KEY}"


# --- files of the project ---

LOOKS_LIKE_A_KEY = re.compile(
    r"\b(?:sk|lsv2|hf|ghp|pypi|xox[bp])[-_][A-Za-z0-9_-]{12,}|[Bb]earer [\w.~+/-]{12,}"
)
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_holds_no_key(path: Path) -> None:
    """Neither the cells nor their outputs have one."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert any(cell.get("outputs") for cell in cells)
    assert LOOKS_LIKE_A_KEY.findall(json.dumps(cells)) == []


def test_security_md_names_existing_tests() -> None:
    """Every promise in SECURITY.md names tests, and all of them exist."""
    promises = (Path(__file__).parents[2] / "SECURITY.md").read_text("utf-8")
    assert promises.count("::test_") > 20
    assert missing_tests(promises) == []


def test_the_key_pattern_matches_a_key() -> None:
    """The check of the notebooks can fail."""
    assert LOOKS_LIKE_A_KEY.search("api_key='sk-0123456789abcdef'")
    assert OneRouterLLM(model="m", api_key=KEY).api_key is not None
