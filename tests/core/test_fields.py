"""The fields of both classes: their ranges, where they come from, and who wins."""

from __future__ import annotations

import asyncio
import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from onerouter_core import (
    Catalog,
    FallbackRules,
    GatewayFields,
    GatewayModel,
    ProviderRouting,
    Reasoning,
    WebSearchOptions,
    resolve_call,
)
from onerouter_core.connection import DEFAULT_BASE_URL
from onerouter_core.errors import ConfigurationError
from onerouter_simulator import Simulator

KEY = "sk-very-secret-0123456789"

OUT_OF_RANGE = {
    "model": [""],
    "api_key": [3, b"sk"],
    "timeout": [0, -1, float("inf"), float("nan")],
    "deadline": [0, -1, float("inf"), 1e10],
    "max_retries": [-1, 1.5],
    "temperature": [-0.1, 2.1, "hot"],
    "top_p": [-0.1, 1.1],
    "max_tokens": [0, -5, 1.5],
    "frequency_penalty": [-2.1, 2.1],
    "presence_penalty": [-2.1, 2.1],
    "top_logprobs": [-1, 21],
    "reasoning": [{"max_tokens": 0}, "much"],
    "provider": [{"data_collection": "perhaps"}, {"order": "a/b"}, 5],
    "web_search_options": [{"search_context_size": "huge"}],
    "fallback_rules": ["sometimes", {"error_code": {"hint_array": ["x"]}}],
    "file_form": ["inline"],
    "base_url": [
        *("llm.onerouter.pro/v1", "ftp://a/v1", "https://", ""),
        *("https://a/v1?version=1", "https://a/v1#top"),
    ],
    "default_headers": [
        *({"x y": "1"}, {"": "1"}, {"x:a": "1"}, {"x": " 1"}, {"x": "1\n"}),
        *({"Content-Length": "3"}, {"transfer-encoding": "chunked"}),
    ],
    "logit_bias": [5, {"a": "much"}],
    "response_format": [5],
    "stop": [5],
}
CASES = [(name, value) for name, values in OUT_OF_RANGE.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_out_of_range(name: str, value: Any) -> None:
    """What is out of range is a ValidationError when made, a ConfigurationError per call."""
    with pytest.raises(ValidationError, match=name):
        GatewayFields(**{"model": "m", name: value})
    with pytest.raises(ConfigurationError, match=f"^{name}"):
        resolve_call(GatewayFields(model="m"), {name: value})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("temperature", [0, 2]),
        ("top_p", [0, 1]),
        ("frequency_penalty", [-2, 0, 2]),
        ("presence_penalty", [-2, 0, 2]),
        ("top_logprobs", [0, 20]),
        ("max_tokens", [1]),
        ("stop", ["", "x", ["x", "y"]]),
        ("logprobs", [False, True]),
        ("seed", [0, -1]),
        ("user", [""]),
        ("fallback_rules", ["", "auto"]),
        ("parallel_tool_calls", [False]),
        ("stream_usage", [False]),
        ("modalities", [["text", "image"]]),
        ("response_format", ["text", {"type": "json"}]),
        ("file_form", ["data", "file_data"]),
        ("provider", [ProviderRouting(data_collection=kind) for kind in ("allow", "deny")]),
        (
            "web_search_options",
            [WebSearchOptions(search_context_size=size) for size in ("low", "medium", "high")],
        ),
    ],
)
def test_in_range(name: str, values: list[Any]) -> None:
    """The ends of each range are in it, and falsy values are values."""
    for value in values:
        made, called = GatewayFields(**{"model": "m", name: value}), GatewayFields(model="m")
        assert resolve_call(made).parameters[name] == value
        assert resolve_call(called, {name: value}).parameters[name] == value
        other = resolve_call(made, {name: values[-1]}).parameters[name]
        assert other == values[-1]


def test_a_misspelt_name() -> None:
    """A misspelt name is an error that says the right one; an unknown one points to extra_body."""
    with pytest.raises(ValidationError, match=r"'temperatur'\. Did you mean 'temperature'\?"):
        GatewayFields(model="m", temperatur=1)
    with pytest.raises(ValidationError, match=r"'zzz'.*goes into extra_body"):
        GatewayFields(model="m", zzz=1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("api_base", "Did you mean 'base_url'"),
        ("async_http_client", "Did you mean 'http_async_client'"),
        ("max_completion_tokens", "Did you mean 'max_tokens'"),
        ("top_k", "goes into extra_body"),
    ],
)
def test_a_name_of_another_class(name: str, said: str) -> None:
    """What looks like one of our names may mean another one, or be for extra_body."""
    with pytest.raises(ValidationError, match=said):
        GatewayFields(model="m", **{name: 1})


def test_a_calls_reasoning_beats_the_fields_effort() -> None:
    """The effort is short for a part of the reasoning: who gives the whole per call means it."""
    made = GatewayFields(model="m", reasoning_effort="low")
    asked = resolve_call(made, {"reasoning": {"max_tokens": 9}}).parameters
    assert asked["reasoning"].to_dict() == {"max_tokens": 9}
    assert "reasoning_effort" not in asked
    both = resolve_call(
        made, {"reasoning": {"exclude": True}, "reasoning_effort": "high"}
    ).parameters
    assert both["reasoning_effort"] == "high"


def test_something_that_is_no_arguments() -> None:
    """What is no mapping is refused as pydantic refuses it."""
    with pytest.raises(ValidationError):
        GatewayFields.model_validate(5)


def test_bodies_are_merged_all_the_way_down() -> None:
    """What a call adds to an object in the body takes nothing else out of it."""
    made = GatewayFields(model="m", extra_body={"plugins": {"a": 1, "b": {"c": 1}}, "x": [1]})
    body = resolve_call(made, {"extra_body": {"plugins": {"b": {"d": 2}}, "x": [2]}})
    assert body.parameters["extra_body"] == {"plugins": {"a": 1, "b": {"c": 1, "d": 2}}, "x": [2]}
    assert made.extra_body == {"plugins": {"a": 1, "b": {"c": 1}}, "x": [1]}


def test_an_unknown_name_per_call() -> None:
    """An unknown keyword per call goes into the body as it is, beside extra_body."""
    made = GatewayFields(model="m", extra_body={"a": 1, "b": 1, "c": 1})
    assert resolve_call(made).parameters["extra_body"] == {"a": 1, "b": 1, "c": 1}
    body = resolve_call(made, {"extra_body": {"b": 2, "c": 2}, "c": 3, "d": None, "e": 0})
    assert body.parameters["extra_body"] == {"a": 1, "b": 2, "c": 3, "e": 0}
    assert made.extra_body == {"a": 1, "b": 1, "c": 1}
    alone = resolve_call(GatewayFields(model="m"), {"c": 3})
    assert alone.parameters["extra_body"] == {"c": 3}


def test_per_call_beats_constructor() -> None:
    """A keyword per call wins, a falsy one too; None is not given."""
    made = GatewayFields(model="m", temperature=1, max_retries=5, timeout=9, stop=["x"])
    settings = resolve_call(made, {"temperature": 0, "max_retries": 0, "model": "n", "stop": None})
    assert (settings.model, settings.parameters["temperature"]) == ("n", 0)
    assert (settings.connection.max_retries, settings.connection.timeout) == (0, 9)
    assert settings.parameters["stop"] == ["x"]
    assert (made.temperature, made.max_retries, made.model) == (1, 5, "m")


def test_connection_per_call() -> None:
    """How to reach the gateway can be said per call, and its defaults do not come back then."""
    made = GatewayFields(model="m", api_key="one", base_url="https://one/v1", timeout=None)
    settings = resolve_call(made, {"api_key": "two", "deadline": 3})
    assert settings.connection.api_key == SecretStr("two")
    assert settings.connection.base_url == "https://one/v1"
    assert (settings.connection.timeout, settings.connection.deadline) == (None, 3)


def test_headers() -> None:
    """Headers per call are added to the default ones, and win."""
    made = GatewayFields(model="m", default_headers={"a": "1", "b": "1"})
    assert resolve_call(made).connection.headers == {"a": "1", "b": "1"}
    settings = resolve_call(made, {"extra_headers": {"b": "2"}})
    assert settings.connection.headers == {"a": "1", "b": "2"}
    replaced = resolve_call(made, {"default_headers": {"c": "3"}})
    assert replaced.connection.headers == {"c": "3"}


def test_nothing_given_is_nothing_sent() -> None:
    """Of a bare instance only what has a default of its own is a parameter."""
    expected = {"stream_usage": True, "file_form": "data"}
    assert resolve_call(GatewayFields(model="m")).parameters == expected
    assert resolve_call(GatewayFields(model="m"), {}).parameters == expected


@pytest.mark.parametrize(
    ("kind", "given", "sent"),
    [
        (
            ProviderRouting,
            {"order": ["alibaba/cn/flex"], "allow_fallbacks": False, "max_price": {"prompt": 1}},
            None,
        ),
        (ProviderRouting, {"sort": "ttft", "preferred_max_latency": {"p50": 2.0, "p42": 1}}, None),
        (ProviderRouting, {"sort": {"by": "price"}, "preferred_min_throughput": 5.0}, None),
        (Reasoning, {"effort": "low", "summary": "auto"}, None),
        (
            WebSearchOptions,
            {"user_location": {"city": "Bern"}},
            {"user_location": {"type": "approximate", "city": "Bern"}},
        ),
        (
            FallbackRules,
            {"error_code": {"hint_array": [503]}, "Latency": {"hint_threshold": 500.0}},
            {
                "error_code": {"hint_array": [503], "action": "fallback"},
                "Latency": {"hint_threshold": 500.0, "action": "fallback"},
            },
        ),
        (
            FallbackRules,
            {"ttft": {"hint_threshold": 1.0, "x": 0}},
            {"TTFT": {"hint_threshold": 1.0, "action": "fallback", "x": 0}},
        ),
    ],
)
def test_objects_keep_what_they_do_not_know(kind: Any, given: Any, sent: Any) -> None:
    """An object of the gateway's goes out by the gateway's names, unknown keys and all."""
    assert kind(**given).to_dict() == (given if sent is None else sent)


def test_objects_from_dicts() -> None:
    """Where an object is wanted, a plain dict will do."""
    made = GatewayFields(
        model="m", provider={"order": ["a/b"], "x": 1}, reasoning={"effort": "low"}
    )
    assert made.provider == ProviderRouting(order=["a/b"], x=1)
    assert made.reasoning == Reasoning(effort="low")
    called = resolve_call(made, {"provider": {"only": ["c"]}}).parameters["provider"]
    assert called == ProviderRouting(only=["c"])


def test_logit_bias_by_number() -> None:
    """Token ids may be numbers, which JSON's keys cannot."""
    assert GatewayFields(model="m", logit_bias={50256: -100}).logit_bias == {"50256": -100}


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key comes from ONEROUTER_API_KEY, then from INFRON_API_KEY; arguments come first."""
    assert (GatewayFields(model="m").api_key, GatewayFields(model="m").base_url) == (
        None,
        DEFAULT_BASE_URL,
    )
    monkeypatch.setenv("INFRON_API_KEY", "infron")
    assert GatewayFields(model="m").api_key == SecretStr("infron")
    monkeypatch.setenv("ONEROUTER_API_KEY", "onerouter")
    assert GatewayFields(model="m").api_key == SecretStr("onerouter")
    assert GatewayFields(model="m", api_key="given").api_key == SecretStr("given")
    monkeypatch.setenv("ONEROUTER_API_KEY", "")
    assert GatewayFields(model="m").api_key == SecretStr("infron")
    monkeypatch.setenv("ONEROUTER_BASE_URL", "https://elsewhere/v1/")
    assert GatewayFields(model="m").base_url == "https://elsewhere/v1"
    assert GatewayFields(model="m", base_url="https://given/v1").base_url == "https://given/v1"


def test_environment_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base URL from the environment is checked like any other, where it is used."""
    monkeypatch.setenv("ONEROUTER_BASE_URL", "elsewhere/v1")
    with pytest.raises(ValidationError, match="base_url"):
        GatewayFields(model="m")
    resolve_call(GatewayFields(model="m", base_url="https://given/v1"), {"temperature": 1})


def test_per_call_keeps_the_constructors_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call with keywords does not fall back to the environment for the others."""
    made = GatewayFields(model="m", api_key="given", base_url="https://given/v1")
    monkeypatch.setenv("ONEROUTER_API_KEY", "onerouter")
    monkeypatch.setenv("ONEROUTER_BASE_URL", "https://elsewhere/v1")
    connection = resolve_call(made, {"temperature": 1}).connection
    assert (connection.api_key, connection.base_url) == (SecretStr("given"), "https://given/v1")


@pytest.mark.parametrize("url", ["https://a/v1/", "https://a/v1", "https://a/v1///"])
def test_base_urls_end_without_a_slash(url: str) -> None:
    """A slash at the end of the base URL is taken away."""
    assert GatewayFields(model="m", base_url=url).base_url == "https://a/v1"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://10.0.0.1/v1", True),
        ("http://gateway/v1", True),
        ("http://127.0.0.1:8000/v1", False),
        ("http://[::1]/v1", False),
        ("http://localhost:8000/v1", False),
        ("https://gateway/v1", False),
    ],
)
def test_a_key_that_travels_unencrypted(url: str, *, told: bool) -> None:
    """A plain http URL that leaves the machine is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        GatewayFields(model="m", base_url=url)
    assert [str(warning.message).split(":")[0] for warning in caught] == [
        "The key goes to http"
    ] * told


@pytest.mark.parametrize("header", [("x", "\xe9"), ("x", "a\nb"), ("\xe9", "a")])
def test_a_header_that_cannot_be(header: tuple[str, str]) -> None:
    """What no request can carry is refused by its name, when made and per call, value unseen."""
    name, value = header
    with pytest.raises(ValidationError, match=f"header {name!r}: ASCII only"):
        GatewayFields(model="m", default_headers={name: value})
    with pytest.raises(ConfigurationError, match=f"header {name!r}: ASCII only"):
        resolve_call(GatewayFields(model="m"), {"extra_headers": {name: value}})


@pytest.mark.parametrize("key", [KEY, SecretStr(KEY), lambda: KEY])
def test_secrets_are_not_shown(key: Any) -> None:
    """Neither key nor headers are in repr, dumps, or the connection's repr."""
    made = GatewayModel(model="m", api_key=key, default_headers={"x-token": KEY})
    settings = resolve_call(made, {"extra_headers": {"x-other": KEY}})
    shown = [repr(made), str(made), made.model_dump_json(), repr(made.model_dump())]
    shown += [repr(settings), repr(settings.connection)]
    assert not any(KEY in text for text in shown)
    assert not {"api_key", "default_headers"} & made.model_dump().keys()


def test_secrets_are_not_in_errors() -> None:
    """A validation error does not show what was given."""
    with pytest.raises(ValidationError) as caught:
        GatewayFields(model="m", api_key=KEY, default_headers={"x": KEY}, temperature=5)
    assert KEY not in str(caught.value)
    with pytest.raises(ConfigurationError) as called:
        resolve_call(GatewayFields(model="m"), {"api_key": {"key": KEY}, "temperature": 5})
    assert KEY not in str(called.value)
    assert called.value.__cause__ is None


def full(**changes: Any) -> GatewayModel:
    """Return an instance with something in each kind of field."""
    given = {"model": "m", "api_key": KEY, "default_headers": {"a": "1"}, "stop": ["x"]}
    return GatewayModel(**{**given, "provider": {"order": ["a"]}, **changes})


def pickled(value: Any) -> Any:
    """Return a copy that went through bytes."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 -- our own bytes


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies_are_equal(copied: Callable[[Any], Any]) -> None:
    """Copies are equal to their original, which stays whole."""
    made = full()
    other = copied(made)
    assert made == other == full()
    assert other.api_key == SecretStr(KEY)
    assert made != full(temperature=1)
    assert made != object()


def test_http_clients_stay_shared() -> None:
    """A deep copy shares the user's HTTP clients, which cannot be copied."""
    client = object()
    made = full(http_client=client, extra_body={"a": []})
    other = copy.deepcopy(made)
    assert other.http_client is client
    assert other.extra_body is not made.extra_body


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_instance_is_unchanged_by_use(sim: Simulator, mode: str) -> None:
    """A used and closed instance equals its earlier copy, and it and its copies work again."""
    made = GatewayModel(model="m", api_key=sim.api_key, base_url=sim.base_url)
    before = copy.deepcopy(made)

    async def list_models(instance: GatewayModel) -> Catalog:
        async with instance:
            return await instance.amodels()

    def list_models_sync(instance: GatewayModel) -> Catalog:
        with instance:
            return instance.models()

    for instance in (made, made, copy.deepcopy(made), pickled(made)):
        found = (
            asyncio.run(list_models(instance)) if mode == "async" else list_models_sync(instance)
        )
        assert len(found)
        assert instance == before
