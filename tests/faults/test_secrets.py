"""Keys and headers, pushed through every path: they reach the server, and nothing else."""

from __future__ import annotations

import json
import logging
import pickle
import re
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span.simple import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from pydantic import BaseModel, Field, SecretStr, ValidationError

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import OneRouterError
from tests.core.payloads import chunk, completion
from tests.faults.adapters import WAYS, Way, aask, ask
from tests.faults.cases import Modes
from tests.faults.conftest import CLASSES, Loop, Users, without_aiohttp
from tests.faults.http_scripts import http, stream
from tests.faults.leak_check import both
from tests.faults.server import End, Line, Play, Server
from tests.test_features import absent

Make: TypeAlias = Callable[..., Any]

KEY, HEADER = "sk-canary-key-of-the-model", "canary-header-of-the-model"
CALLS_KEY, CALLS_HEADER = "sk-canary-key-of-a-call", "canary-header-of-a-call"
FIELDS = {"api_key": KEY, "default_headers": {"x-tenant": HEADER, "cookie": f"id={HEADER}"}}
OPTIONS = {"api_key": CALLS_KEY, "extra_headers": {"x-call": CALLS_HEADER}}
ECHO = f"Bad key {CALLS_KEY}, cookie id={HEADER}, headers {HEADER} {CALLS_HEADER}"

each_class = pytest.mark.parametrize("name", CLASSES)
each_way = pytest.mark.parametrize("way", WAYS, ids=str)


def leaks(shown: Iterable[object]) -> list[str]:
    """Return what shows a canary, and what stands around it."""
    return [found for text in map(str, shown) for found in _SEEN.findall(text)]


_SEEN = re.compile(r".{0,80}canary.{0,40}", re.IGNORECASE | re.DOTALL)


def test_a_leak_is_seen() -> None:
    """The check can fail."""
    assert leaks(["fine", {"a": KEY}, HEADER, OPTIONS])


@pytest.fixture
def make(server: Server) -> Iterator[Make]:
    """Make models that hold canaries; they are closed in the end."""
    made: list[Any] = []

    def make(name: str, line: Line, **fields: Any) -> Any:
        fields = {"model": "m", "base_url": line.base_url, **FIELDS, **fields}
        made.append(CLASSES[name][0](**fields))
        return made[-1]

    yield make
    for model in made:
        model.close()


# --- what an instance shows ---


class Sum(BaseModel):
    """A sum."""

    total: int


def of_both(model: Any) -> Iterator[object]:
    """Yield what shows either model."""
    yield from (repr(model), str(model), f"{model}", [model], repr({"model": model}))
    yield from (model.model_dump(), model.model_dump_json(), model.model_dump(mode="json"))
    yield from (model.model_copy(), pickle.loads(pickle.dumps(model)))  # noqa: S301 -- our own
    yield from (model.resolve(), model.resolve(OPTIONS), model.open(OPTIONS))


def of_langchain(model: Any) -> Iterator[object]:
    """Yield what shows a ChatOneRouter."""
    structured = model.with_structured_output(Sum, method="json_schema")
    hidden = model.bind(api_key=SecretStr(CALLS_KEY))
    for one in (model, model | str, structured, model.bind_tools([Sum]), hidden):
        yield from (repr(one), dumpd(one), dumps(one))
    yield from (model.lc_attributes, model.lc_secrets, model.profile, model.get_graph().to_json())
    yield model.preview("x", **OPTIONS)


def of_llama_index(model: Any) -> Iterator[object]:
    """Yield what shows a OneRouterLLM."""
    always = model.model_copy(update={"additional_kwargs": {**OPTIONS, "seed": 1}})
    for one in (model, always, model.as_structured_llm(Sum)):
        yield from (repr(one), one.to_dict(), one.to_json(), one.dict(), one.metadata)
    yield from (model.to_payload(), model.as_structured_llm(Sum).to_payload())


@each_class
def test_an_instance(make: Make, server: Server, name: str) -> None:
    """Neither repr, nor dumps, nor serialisation of any kind."""
    model = make(name, server.line())
    of_one = of_langchain if name == "ChatOneRouter" else of_llama_index
    shown = [*of_both(model), *of_one(model)]
    assert len(shown) > 20
    assert leaks(shown) == []


@each_class
def test_a_pickle_holds_the_key(make: Make, server: Server, name: str) -> None:
    """It must, for the copy to work. A callable's key is not in it."""
    line = server.line(http(completion("Hi")))
    model = make(name, line)
    assert KEY.encode() in pickle.dumps(model)
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301 -- our own
    ask(CLASSES[name][1], copy, "whole")
    copy.close()
    assert line.last.headers["authorization"] == f"Bearer {KEY}"
    assert line.last.headers["x-tenant"] == HEADER
    assert b"canary" not in pickle.dumps(
        make(name, line, api_key=get_api_key, default_headers=None)
    )


def get_api_key() -> str:
    """Return the key, asked for with each request."""
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
    ids=["a range", "a name", "a header", "no headers", "a scheme", "a password", "a list"],
)
def test_an_argument_that_is_wrong(make: Make, server: Server, name: str, fields: Any) -> None:
    """The error names the argument, and shows neither it nor the others."""
    with pytest.raises((ValidationError, OneRouterError)) as caught:
        make(name, server.line(), **fields)
    assert leaks(told_by(caught.value)) == []


@each_class
@pytest.mark.parametrize("given", [{"model": "m"}, {"model": "m", "api_key": KEY}])
def test_a_line_that_is_not_encrypted(name: str, given: Mapping[str, Any]) -> None:
    """A warning, which does not show the key; over loopback there is nobody to listen."""
    kind = CLASSES[name][0]
    with pytest.warns(UserWarning, match="unencrypted") as warned:
        kind(base_url="http://gateway.test/v1", **given)
    assert leaks(warning.message for warning in warned) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for host in ("http://localhost:1", "http://127.0.0.1", "http://[::1]:8", "https://a.test"):
            kind(base_url=f"{host}/v1", **given)


# --- what a call shows ---


class Watch:
    """All that is told of calls: to logs, handlers, tracers, and on the screen."""

    def __init__(self, logs: pytest.LogCaptureFixture, screen: Any) -> None:
        self.seen: list[object] = []
        self._logs, self._screen = logs, screen

    def note(self, *args: object, **kwargs: object) -> None:
        """Keep what a handler is given."""
        self.seen += [repr(args), repr(kwargs)]

    def logged(self) -> list[str]:
        """Return the log records, and what a handler might print of them."""
        write, records = logging.Formatter().format, self._logs.records
        facts = ({**vars(record), "exc_info": None} for record in records)  # written as a traceback
        return [*map(write, records), *map(repr, facts)]

    def shown(self) -> list[object]:
        """Return all of it."""
        return [*self.seen, *self.logged(), *self._screen.readouterr()]


class Handler(BaseCallbackHandler):
    """Keeps all that LangChain tells of a model."""

    def __init__(self, watch: Watch) -> None:
        """Tell it to this watch."""
        told = ("chat_model_start", "llm_new_token", "llm_end", "llm_error", "retry")
        for event in told:
            setattr(self, f"on_{event}", watch.note)


class Events(BaseEventHandler):
    """Keeps all events of LlamaIndex."""

    note: Callable[..., None]

    def handle(self, event: Any, **_: Any) -> None:
        """Keep it, also as it would be exported."""
        self.note(event, event.model_dump(), event.model_dump_json(fallback=repr))


class Spans(SimpleSpanHandler):
    """Keeps what each span was given, and its end."""

    note: Callable[..., None] = Field(default=print)

    def new_span(self, id_: str, bound_args: Any, *args: Any, **kwargs: Any) -> SimpleSpan | None:
        """Keep it."""
        self.note(bound_args, bound_args.arguments, kwargs)
        return super().new_span(id_, bound_args, *args, **kwargs)

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> SimpleSpan | None:
        """Keep it."""
        self.note(args, kwargs)
        return super().prepare_to_drop_span(*args, **kwargs)


@pytest.fixture
def watch(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Watch]:
    """Watch every log at DEBUG, and LlamaIndex's instrumentation."""
    watching, dispatcher = Watch(caplog, capfd), get_dispatcher()
    before = list(dispatcher.span_handlers), list(dispatcher.event_handlers)
    dispatcher.add_event_handler(Events(note=watching.note))
    spans = Spans()  # it takes no field of ours
    spans.note = watching.note
    dispatcher.add_span_handler(spans)
    with caplog.at_level(logging.DEBUG):
        yield watching
    dispatcher.span_handlers, dispatcher.event_handlers = before


def told_by(error: BaseException | None) -> Iterator[object]:
    """Yield what shows an error, and all that it came from or with."""
    if error is not None:
        yield "".join(traceback.format_exception(error))
    while error is not None:
        yield from (repr(error), str(error), error.args)
        yield vars(error) if isinstance(error, OneRouterError) else ""
        error = error.__cause__ or error.__context__


def asked(name: str, model: Any, way: Way, loop: Loop, watch: Watch, **options: Any) -> Any:
    """Ask with handlers and tracers, and return the outcome."""
    face, traced = CLASSES[name][1], RunCollectorCallbackHandler()
    legacy = LlamaDebugHandler(print_trace_on_end=True)
    if name == "ChatOneRouter":
        options["config"] = {"callbacks": [Handler(watch), traced]}
    else:
        model.callback_manager = CallbackManager([legacy])
    if way.backend is None:
        got = ask(face, model, way.mode, **options)
    else:
        got = loop.run_until_complete(aask(face, model, way.mode, **options))
    watch.seen += [run.model_dump() for run in traced.traced_runs]
    watch.seen += [(event.payload, event) for event in legacy.get_events()]
    watch.note(got.text, got.calls)
    return got


ENDS: dict[str, tuple[Modes | Play, ...]] = {
    "an answer": (both("Hi"),),
    "an answer after retries": (http({"error": {"message": ECHO}}, 502), (End.RESET,), both("Hi")),
    "a refusal": (http({"error": {"message": ECHO, "code": ECHO, "type": ECHO}}, 401),),
    "a page": (http(f"<title>{ECHO}</title>".encode(), 502, "text/html"),),
    "an error under 200": (http({"error": ECHO}),),
    "an error event": (stream(chunk("Hel"), {"error": {"message": ECHO}}),),
    "an event that is no JSON": (stream(chunk("Hel"), f"data: {ECHO}\n\n".encode()),),
    "no answer": (http({"said": ECHO}),),
    "a reset": ((End.RESET,),),
    "its own echo": ((f"POST / HTTP/1.1\r\nx: {ECHO}\r\n\r\n".encode(), End.CLOSE),),
    "a redirect": (http(ECHO.encode(), 302, location="http://127.0.0.1:9/"),),
}


@each_way
@each_class
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_call(  # noqa: PLR0913, PLR0917 -- a case of a table, and its fixtures
    make: Make, server: Server, users: Users, watch: Watch, name: str, way: Way, end: Any
) -> None:
    """No log of any library, no handler, tracer, event, span or error, however the call ends."""
    plays = [play if isinstance(play, tuple) else getattr(play, way.mode) for play in end]
    line = server.line(*plays)
    loop = users(name, way).loop  # its clients, which are shared, are on the way's backend
    got = asked(name, make(name, line), way, loop, watch, **OPTIONS)
    sent = line.last.headers
    assert (sent["authorization"], sent["x-tenant"]) == (f"Bearer {CALLS_KEY}", HEADER)
    assert sent["x-call"] == CALLS_HEADER
    assert len(watch.seen) > 3
    assert leaks([*watch.shown(), *told_by(got.error)]) == []


@each_class
def test_a_key_in_a_keyword_of_the_framework(
    make: Make, server: Server, watch: Watch, name: str
) -> None:
    """Where a framework shows what it was given before we see it, a SecretStr shows nothing."""
    line, key = server.line(http(completion("Hi"))), SecretStr(CALLS_KEY)
    model = make(name, line)
    if name == "ChatOneRouter":
        (model.bind(api_key=key) | str).invoke("x", {"callbacks": [Handler(watch)]})
    else:
        model.chat_with_tools([], "x", api_key=key)
    assert line.last.headers["authorization"] == f"Bearer {CALLS_KEY}"
    assert leaks(watch.shown()) == []


async def test_streamed_events_of_langchain(server: Server, watch: Watch) -> None:
    """`astream_events` shows what happens inside a chain, and no secret."""
    line = server.line(stream(chunk("Hi", "stop")))
    model = ChatOneRouter(model="m", base_url=line.base_url, **FIELDS)
    async for event in (model | str).astream_events("x", version="v2"):
        watch.note(event)
    await model.aclose()
    assert line.last.headers["authorization"] == f"Bearer {KEY}"
    assert len(watch.seen) > 5
    assert leaks(watch.shown()) == []


# --- what is sent ---

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


@each_way
@each_class
def test_variables_of_others(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make,
    server: Server,
    loop: Loop,
    name: str,
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """No OPENAI_* variable changes where a call goes or what it says, also on a new client."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))  # so that no client of before is used
    if way.backend == "default":
        without_aiohttp(monkeypatch)
    for variable, value in VARIABLES.items():
        monkeypatch.setenv(variable, value)
    line = server.line(getattr(both("Hi"), way.mode))
    model, face = make(name, line), CLASSES[name][1]
    if way.backend is None:
        got = ask(face, model, way.mode)
    else:
        got = loop.run_until_complete(aask(face, model, way.mode))
        loop.run_until_complete(model.aclose())
    assert got.text == "Hi"
    said = (line.last.target, dict(line.last.headers), line.last.body)
    assert "poison" not in repr(said).lower()
    assert line.last.headers["authorization"] == f"Bearer {KEY}"


# --- what lies about ---

LOOKS_LIKE_A_KEY = re.compile(
    r"\b(?:sk|lsv2|hf|ghp|pypi|xox[bp])[-_][A-Za-z0-9_-]{12,}|[Bb]earer [\w.~+/-]{12,}"
)
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_holds_no_key(path: Path) -> None:
    """Neither in what was typed nor in what was shown."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert any(cell.get("outputs") for cell in cells)
    assert LOOKS_LIKE_A_KEY.findall(json.dumps(cells)) == []


def test_what_is_promised_is_shown() -> None:
    """Every test that SECURITY.md names is there."""
    promises = (Path(__file__).parents[2] / "SECURITY.md").read_text("utf-8")
    assert promises.count("::test_") > 20
    assert absent(promises) == []


def test_a_key_is_recognised() -> None:
    """The check can fail."""
    assert LOOKS_LIKE_A_KEY.search("api_key='sk-0123456789abcdef'")
    assert OneRouterLLM(model="m", api_key=KEY).api_key is not None
