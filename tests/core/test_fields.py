"""The fields of both classes: ranges, defaults from the environment, and overrides per call."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from onerouter_core import (
    GatewayFields,
    GatewayModel,
    ProviderRouting,
    Reasoning,
    WebSearchOptions,
    deep_merge,
    resolve_call,
)
from onerouter_core.argument_hints import BODY_KEYS
from onerouter_core.connection import DEFAULT_BASE_URL
from onerouter_core.errors import ConfigurationError

KEY = "sk-very-secret-0123456789"

# --- ranges and types ---

OUT_OF_RANGE: dict[str, list[Any]] = {
    "model": [""],
    "api_key": [3, b"sk"],
    "timeout": [0, -1, float("inf"), float("nan")],
    "deadline": [0, -1, float("inf"), 1e10],
    "max_retries": [-1, 1.5],
    "max_reply_bytes": [0, -1, 1.5],
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
    "cache_prompt": ["2h", 5, 0, 1, "", "true", b"5m", ["5m"]],
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
OUT_OF_RANGE_CASES = [(name, value) for name, values in OUT_OF_RANGE.items() for value in values]


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE_CASES)
def test_an_invalid_value_is_an_error_that_names_the_field(name: str, value: Any) -> None:
    """It is a ValidationError of the constructor, and a ConfigurationError of a call."""
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
        ("cache_prompt", [True, "5m", "1h", False]),
        ("provider", [ProviderRouting(data_collection=kind) for kind in ("allow", "deny")]),
        (
            "web_search_options",
            [WebSearchOptions(search_context_size=size) for size in ("low", "medium", "high")],
        ),
    ],
)
def test_a_value_in_range_is_a_parameter(name: str, values: list[Any]) -> None:
    """The ends of each range are valid, and so are falsy values; a call overrides the field."""
    for value in values:
        with_field, without = GatewayFields(**{"model": "m", name: value}), GatewayFields(model="m")
        assert resolve_call(with_field).parameters[name] == value
        assert resolve_call(without, {name: value}).parameters[name] == value
        assert resolve_call(with_field, {name: values[-1]}).parameters[name] == values[-1]


def test_a_misspelt_name_is_an_error_that_suggests_the_right_one() -> None:
    """A name that resembles no field is an error that points to extra_body."""
    with pytest.raises(ValidationError, match=r"'temperatur'\. Did you mean 'temperature'\?"):
        GatewayFields(model="m", temperatur=1)
    with pytest.raises(ValidationError, match=r"'zzz'.*extra_body"):
        GatewayFields(model="m", zzz=1)


def test_a_value_that_is_no_mapping_is_a_validation_error() -> None:
    """The check of unknown names leaves it to pydantic."""
    with pytest.raises(ValidationError):
        GatewayFields.model_validate(5)


def test_integer_token_ids_become_strings() -> None:
    """JSON has no other keys."""
    assert GatewayFields(model="m", logit_bias={50256: -100}).logit_bias == {"50256": -100}


def test_a_field_of_an_options_class_takes_a_mapping() -> None:
    """In the constructor and per call."""
    fields = GatewayFields(
        model="m", provider={"order": ["a/b"], "x": 1}, reasoning={"effort": "low"}
    )
    assert fields.provider == ProviderRouting(order=["a/b"], x=1)
    assert fields.reasoning == Reasoning(effort="low")
    called = resolve_call(fields, {"provider": {"only": ["c"]}}).parameters["provider"]
    assert called == ProviderRouting(only=["c"])


# --- defaults from the environment ---


def test_key_and_base_url_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONEROUTER_API_KEY comes before INFRON_API_KEY, and an argument before both."""
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


def test_an_invalid_base_url_in_the_environment_is_an_error_only_if_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An instance with a base URL of its own ignores the variable."""
    monkeypatch.setenv("ONEROUTER_BASE_URL", "elsewhere/v1")
    with pytest.raises(ValidationError, match="base_url"):
        GatewayFields(model="m")
    resolve_call(GatewayFields(model="m", base_url="https://given/v1"), {"temperature": 1})


def test_a_call_with_keywords_does_not_read_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fields that a call does not override keep their values."""
    fields = GatewayFields(model="m", api_key="given", base_url="https://given/v1")
    monkeypatch.setenv("ONEROUTER_API_KEY", "onerouter")
    monkeypatch.setenv("ONEROUTER_BASE_URL", "https://elsewhere/v1")
    connection = resolve_call(fields, {"temperature": 1}).connection
    assert (connection.api_key, connection.base_url) == (SecretStr("given"), "https://given/v1")


# --- overrides per call ---


def test_unset_fields_are_not_sent() -> None:
    """Only fields with a default that is not None are parameters of a bare instance."""
    expected = {"stream_usage": True, "file_form": "data"}
    assert resolve_call(GatewayFields(model="m")).parameters == expected
    assert resolve_call(GatewayFields(model="m"), {}).parameters == expected


def test_a_keyword_overrides_the_field() -> None:
    """A falsy keyword does, too; None means not given."""
    fields = GatewayFields(model="m", temperature=1, max_retries=5, timeout=9, stop=["x"])
    overrides = {"temperature": 0, "max_retries": 0, "model": "n", "stop": None}
    settings = resolve_call(fields, overrides)
    assert (settings.model, settings.parameters["temperature"]) == ("n", 0)
    assert (settings.connection.max_retries, settings.connection.timeout) == (0, 9)
    assert settings.parameters["stop"] == ["x"]
    assert (fields.temperature, fields.max_retries, fields.model) == (1, 5, "m")


def test_connection_settings_can_be_overridden_per_call() -> None:
    """Those that are not overridden keep the instance's values, not the defaults."""
    fields = GatewayFields(model="m", api_key="one", base_url="https://one/v1", timeout=None)
    settings = resolve_call(fields, {"api_key": "two", "deadline": 3})
    assert settings.connection.api_key == SecretStr("two")
    assert settings.connection.base_url == "https://one/v1"
    assert (settings.connection.timeout, settings.connection.deadline) == (None, 3)


def test_extra_headers_are_added_to_default_headers() -> None:
    """Of two headers with one name, the call's is sent."""
    fields = GatewayFields(model="m", default_headers={"a": "1", "b": "1"})
    assert resolve_call(fields).connection.headers == {"a": "1", "b": "1"}
    settings = resolve_call(fields, {"extra_headers": {"b": "2"}})
    assert settings.connection.headers == {"a": "1", "b": "2"}
    replaced = resolve_call(fields, {"default_headers": {"c": "3"}})
    assert replaced.connection.headers == {"c": "3"}


@pytest.mark.parametrize("header", [("x", "\xe9"), ("x", "a\nb"), ("\xe9", "a")])
def test_an_illegal_header_is_an_error(header: tuple[str, str]) -> None:
    """In the constructor and per call."""
    name, value = header
    with pytest.raises(ValidationError, match=f"header {name!r} cannot be sent"):
        GatewayFields(model="m", default_headers={name: value})
    with pytest.raises(ConfigurationError, match=f"header {name!r} cannot be sent"):
        resolve_call(GatewayFields(model="m"), {"extra_headers": {name: value}})


def test_reasoning_per_call_replaces_the_fields_reasoning_effort() -> None:
    """reasoning_effort is short for a part of reasoning, which the call gives as a whole."""
    fields = GatewayFields(model="m", reasoning_effort="low")
    parameters = resolve_call(fields, {"reasoning": {"max_tokens": 9}}).parameters
    assert parameters["reasoning"].to_dict() == {"max_tokens": 9}
    assert "reasoning_effort" not in parameters
    overrides = {"reasoning": {"exclude": True}, "reasoning_effort": "high"}
    assert resolve_call(fields, overrides).parameters["reasoning_effort"] == "high"


def test_extra_body_is_merged_at_every_level() -> None:
    """A key that a call adds to an object removes no other key of it."""
    fields = GatewayFields(model="m", extra_body={"plugins": {"a": 1, "b": {"c": 1}}, "x": [1]})
    body = resolve_call(fields, {"extra_body": {"plugins": {"b": {"d": 2}}, "x": [2]}})
    assert body.parameters["extra_body"] == {"plugins": {"a": 1, "b": {"c": 1, "d": 2}}, "x": [2]}
    assert fields.extra_body == {"plugins": {"a": 1, "b": {"c": 1}}, "x": [1]}


@pytest.mark.parametrize("key", sorted(BODY_KEYS))
def test_a_key_of_the_gateway_without_a_field_goes_into_extra_body(key: str) -> None:
    """It overrides a key of extra_body; None means not given."""
    fields = GatewayFields(model="m", extra_body={"a": 1, "b": 1, key: 1})
    assert resolve_call(fields).parameters["extra_body"] == {"a": 1, "b": 1, key: 1}
    other = "top_k" if key != "top_k" else "min_p"
    body = resolve_call(fields, {"extra_body": {"b": 2, key: 2}, key: 0, other: None})
    assert body.parameters["extra_body"] == {"a": 1, "b": 2, key: 0}
    assert fields.extra_body == {"a": 1, "b": 1, key: 1}
    without = resolve_call(GatewayFields(model="m"), {key: 3})
    assert without.parameters["extra_body"] == {key: 3}


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [
        ("model_name", "Did you mean 'model'"),
        ("temprature", "Did you mean 'temperature'"),
        ("max_token", "Did you mean 'max_tokens'"),
        ("request_timeout", "Did you mean 'timeout'"),
        ("openai_api_key", "Did you mean 'api_key'"),
        ("headers", "Did you mean 'default_headers'"),
        ("extra_header", "Did you mean 'extra_headers'"),
        ("odd", "goes into extra_body"),
    ],
)
def test_an_unknown_keyword_of_a_call_is_an_error_with_the_right_name(
    keyword: str, hint: str
) -> None:
    """Sent in the body it would have no effect, or be a secret there. None is no exception."""
    with pytest.raises(ConfigurationError, match=f"Unknown keyword '{keyword}'.*{hint}"):
        resolve_call(GatewayFields(model="m"), {keyword: "secret", "top_k": 1})


@pytest.mark.parametrize("variable", [None, "https://other.example/v1"])
def test_a_base_url_of_none_is_the_default(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    """Programs pass a variable that may not be set."""
    if variable is not None:
        monkeypatch.setenv("ONEROUTER_BASE_URL", variable)
    fields = GatewayFields(model="m", base_url=None)  # type: ignore[arg-type]
    assert fields.base_url == (variable or "https://llm.onerouter.pro/v1")


@pytest.mark.parametrize("end", ["/chat/completions", "/chat/completions/", "/"])
def test_the_end_of_a_base_url_is_put_right(end: str) -> None:
    """The address that the API page shows is one of the chat completions."""
    fields = GatewayFields(model="m", base_url="https://llm.onerouter.pro/v1" + end)
    assert fields.base_url == "https://llm.onerouter.pro/v1"


@pytest.mark.parametrize(
    ("base", "override", "merged"),
    [
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": 1}, {"a": None}, {"a": 1}),
        ({"a": 1}, None, {"a": 1}),
        (None, {"a": 1}, {"a": 1}),
        (None, None, None),
    ],
)
def test_deep_merge(base: Any, override: Any, merged: Any) -> None:
    """Mappings are merged; of other values the override wins, unless it is None."""
    assert deep_merge(base, override) == merged


# --- secrets ---


@pytest.mark.parametrize("key", [KEY, SecretStr(KEY), lambda: KEY])
def test_secrets_are_not_in_repr_and_dumps(key: Any) -> None:
    """Neither the key nor header values."""
    model = GatewayModel(model="m", api_key=key, default_headers={"x-token": KEY})
    settings = resolve_call(model, {"extra_headers": {"x-other": KEY}})
    texts = [repr(model), str(model), model.model_dump_json(), repr(model.model_dump())]
    texts += [repr(settings), repr(settings.connection)]
    assert not any(KEY in text for text in texts)
    assert not {"api_key", "default_headers"} & model.model_dump().keys()


def test_secrets_are_not_in_validation_errors() -> None:
    """Pydantic's own message would quote the input."""
    with pytest.raises(ValidationError) as constructed:
        GatewayFields(model="m", api_key=KEY, default_headers={"x": KEY}, temperature=5)
    assert KEY not in str(constructed.value)
    with pytest.raises(ConfigurationError) as called:
        resolve_call(GatewayFields(model="m"), {"api_key": {"key": KEY}, "temperature": 5})
    assert KEY not in str(called.value)
    assert called.value.__cause__ is None


@pytest.mark.parametrize("name", GatewayFields.model_fields)
def test_every_field_has_a_description(name: str) -> None:
    """`help` and editors show it."""
    assert GatewayFields.model_fields[name].description
