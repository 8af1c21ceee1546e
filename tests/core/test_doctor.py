"""The doctor: what it asks, each failure with its hint, what it spends, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trustme

from onerouter_core import Clients
from onerouter_core.__main__ import main
from onerouter_core.doctor import CheckResult, Diagnosis, diagnose
from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.core.payloads import FULL_MODEL_ENTRY, USAGE
from tests.faults.conftest import tls_server
from tests.faults.http_scripts import HTML, response, stream
from tests.faults.server import End, HTTPScript, Server

NAMES = (
    *("environment", "address", "key", "model", "answer"),
    *("stream", "tool call", "object", "usage and cost"),
)
MODEL = "simulated/echo"


@pytest.fixture(autouse=True)
def _environment(sim: Simulator, monkeypatch: pytest.MonkeyPatch, clients: Clients) -> None:
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run a server that sends what a test says."""
    with Server().running() as running:
        yield running


def results(found: Diagnosis) -> dict[str, str]:
    """Return the result of each check."""
    return {check.name: check.result for check in found.checks}


def failed(found: Diagnosis) -> CheckResult:
    """Return the only check that has failed; those that need it are skipped."""
    (check,) = (check for check in found.checks if check.result == "failed")
    assert not found.ok
    return check


def priced(text: str = "ready", **fields: Any) -> Script:
    """Return a complete answer with usage and cost."""
    return Script(json=completion(text, **{"usage": USAGE, "cost": 0.001, **fields}))


def priced_stream() -> Script:
    """Return a streamed answer with usage and cost."""
    end = chunk("", finish_reason="stop", usage=USAGE, cost=0.001)
    return Script(events=[chunk("rea"), chunk("dy"), end])


# --- a sound gateway ---


def test_all_checks_pass(sim: Simulator) -> None:
    """In order; each answer is asked for with few tokens, and the cost is summed up."""
    found = diagnose()
    assert results(found) == dict.fromkeys(NAMES, "ok")
    assert [check.hint for check in found.checks] == [""] * len(NAMES)
    assert (found.base_url, found.model, found.ok) == (sim.base_url, MODEL, True)
    assert Decimal(0) < found.spent < Decimal("0.001")
    paths = [request.path.removeprefix("/v1") for request in sim.requests]
    assert paths == ["/models", "/balance", *["/chat/completions"] * 4]
    asked = [request.body for request in sim.requests[2:]]
    assert [body["max_tokens"] for body in asked] == [400] * 4
    assert {body["model"] for body in asked} == {MODEL}
    assert [body.get("stream", False) for body in asked] == [False, True, False, False]
    assert asked[2]["tools"][0]["function"]["name"] == "multiply"
    assert asked[3]["response_format"]["json_schema"]["strict"] is True


def test_the_balance_is_shown_and_the_account_is_not(sim: Simulator) -> None:
    """The simulator's account has a name."""
    found = {check.name: check.detail for check in diagnose(MODEL).checks}
    assert found["key"] == "accepted; the balance is 9.99 USD"
    assert "simulated" not in found["key"]


def test_a_model_that_only_reasons_within_the_limit_has_answered(sim: Simulator) -> None:
    """The checks of answers that must have content fail then, with a hint."""
    cut = Script(json=completion("", finish_reason="length", usage=USAGE, cost=0.001))
    cut_stream = Script(events=[chunk("", finish_reason="length", usage=USAGE, cost=0.001)])
    sim.script(cut, cut_stream, cut, cut)
    found = diagnose(MODEL)
    expected = {"tool call": "failed", "object": "failed", "usage and cost": "ok"}
    assert results(found) == {**dict.fromkeys(NAMES, "ok"), **expected}
    assert found.checks[4].detail == "no text (finish reason length)"
    assert found.checks[6].hint == "Raise max_tokens."


# --- failures before the first answer: what follows is skipped ---


def check_skipped_after(found: Diagnosis, name: str) -> None:
    """Check that the answers were skipped, and say what they need."""
    skipped = [check for check in found.checks if check.result == "skipped"]
    assert [check.name for check in skipped][-5:] == list(NAMES[4:])
    assert any(name in check.detail for check in skipped)
    assert found.spent == 0


@pytest.mark.parametrize(
    ("variables", "name", "detail", "hint"),
    [
        ({"ONEROUTER_API_KEY": "wrong"}, "key", "AuthenticationError", "ONEROUTER_API_KEY"),
        ({"ONEROUTER_API_KEY": ""}, "key", "there is no API key", "Set ONEROUTER_API_KEY"),
        ({"ONEROUTER_API_KEY": "schlüssel"}, "key", "must be printable ASCII", "Correct"),
        ({"ONEROUTER_BASE_URL": "gateway"}, "address", "must start with https", "ONEROUTER_BASE"),
        (
            {"ONEROUTER_BASE_URL": "http://127.0.0.1:1/v1"},
            "address",
            "APIConnectionError",
            "Nothing listens there",
        ),
    ],
)
def test_a_wrong_variable_is_found(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    name: str,
    detail: str,
    hint: str,
) -> None:
    """With the check that fails, and what to do."""
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    found = diagnose(MODEL)
    check = failed(found)
    assert (check.name, detail in check.detail, hint in check.hint) == (name, True, True)
    check_skipped_after(found, name)


@pytest.mark.parametrize("path", ["/nowhere", "/nowhere/v1", ""])
def test_a_wrong_path_is_found(sim: Simulator, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """As one without /v1."""
    host = sim.base_url.removesuffix("/v1")
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url + path if path else host)
    check = failed(diagnose(MODEL))
    assert (check.name, "status 404" in check.detail) == ("address", True)
    assert "must end with the path of the API, as in https://llm.onerouter.pro/v1" in check.hint


@pytest.mark.parametrize(
    ("script", "detail", "hint"),
    [
        (
            response(b"<html>Hello</html>", kind=HTML),
            "MalformedReplyError",
            "must end with the path",
        ),
        (response({"error": {"message": "Down"}}, 503), "UpstreamError", "Retry later"),
        ((End.CLOSE,), "APIConnectionError", "Check base_url, proxy and certificates."),
        (response({}, 301, location="https://gateway.test/v1/models"), "redirect", "."),
    ],
    ids=["page", "down", "closed", "redirect"],
)
def test_a_server_that_is_no_gateway_is_found(
    server: Server, monkeypatch: pytest.MonkeyPatch, script: HTTPScript, detail: str, hint: str
) -> None:
    """A page, an error, a closed connection, a redirect."""
    monkeypatch.setenv("ONEROUTER_BASE_URL", server.endpoint(script).base_url)
    check = failed(diagnose(MODEL))
    assert (check.name, detail in check.detail, hint in check.hint) == ("address", True, True)


def test_an_unknown_certificate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a company's proxy."""
    with contextmanager(tls_server)(trustme.CA(), "127.0.0.1") as secure:
        monkeypatch.setenv("ONEROUTER_BASE_URL", secure.endpoint(response({})).base_url)
        check = failed(diagnose(MODEL))
    assert (check.name, "certificate" in check.detail) == ("address", True)
    assert "SSL_CERT_FILE" in check.hint


def test_an_address_with_tls_of_a_server_without_it_is_found(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheme of the address is wrong."""
    url = server.endpoint(response({})).base_url
    monkeypatch.setenv("ONEROUTER_BASE_URL", url.replace("http:", "https:"))
    check = failed(diagnose(MODEL))
    assert (check.name, "http:// or https://" in check.hint) == ("address", True)


def test_a_missing_file_of_certificates_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other checks go on, and say what follows from it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    check = diagnose(MODEL).checks[0]
    assert (check.result, check.hint) == ("failed", "Correct the variable, or unset it.")
    assert "SSL_CERT_FILE" in check.detail


@pytest.mark.parametrize(
    ("model", "similar"), [("simulated/ecko", "'simulated/echo'"), ("simulated/embedding", "")]
)
def test_an_unknown_model_is_found(model: str, similar: str) -> None:
    """With similar ids; a model that is no chat model is as unknown."""
    found = diagnose(model)
    check = failed(found)
    assert check.name == "model"
    assert model in check.detail
    assert similar in check.detail
    assert check.hint == "`python -m onerouter_core models` lists the ids."
    check_skipped_after(found, "model")


# --- failures of answers: the others go on ---


@pytest.mark.parametrize(
    ("scripts", "name", "detail", "hint"),
    [
        ([failure(402, "No credit")], "answer", "InsufficientCreditsError", "Top up"),
        ([failure(429, "Slow down")], "answer", "RateLimitError", "Wait"),
        (
            [priced(), Script(events=[chunk("rea")], end="cut")],
            "stream",
            "IncompleteStreamError",
            "a proxy or firewall on the way may cut",
        ),
        (
            [priced(), Script(events=[chunk("rea")], done=False)],
            "stream",
            "IncompleteStreamError",
            "a proxy or firewall on the way may cut",
        ),
        (
            [priced(), priced_stream(), failure(400, "tools are not supported")],
            "tool call",
            "tools are not supported",
            "onerouter_core models --tools",
        ),
        (
            [priced(), priced_stream(), failure(404, "No endpoints found that support tool use")],
            "tool call",
            "ModelNotFoundError",
            "onerouter_core models --tools",
        ),
        (
            [priced(), priced_stream(), priced("It is 84.")],
            "tool call",
            "no tool was called; 'It is 84.'",
            "onerouter_core models --tools",
        ),
        (
            [
                priced(),
                priced_stream(),
                priced(message={"tool_calls": [tool_call("multiply", "{")]}),
            ],
            "tool call",
            "wrong arguments: {",
            "onerouter_core models --tools",
        ),
        (
            [priced(), priced_stream(), ..., failure(400, "response_format is not supported")],
            "object",
            "response_format is not supported",
            "Both classes fall back to tool calls",
        ),
        (
            [priced(), priced_stream(), ..., priced("In Paris.")],
            "object",
            "no object of the schema; 'In Paris.'",
            "Both classes fall back to tool calls",
        ),
        (
            [priced(), priced_stream(), ..., priced('{"town": "Paris"}')],
            "object",
            "no object of the schema",
            "Both classes fall back to tool calls",
        ),
        (
            [priced(usage=None)],
            "usage and cost",
            "not every answer has its token counts",
            "ask the operator",
        ),
        ([priced(cost=None)], "usage and cost", "reports no cost", "catalog=Catalog.fetch()"),
    ],
)
def test_a_failed_answer_is_found(
    sim: Simulator, scripts: list[Any], name: str, detail: str, hint: str
) -> None:
    """With what the gateway or the model did; the checks that do not need it are made."""
    call = {"tool_calls": [tool_call("multiply", {"a": 12, "b": 7})]}
    sim.script(*(priced(None, message=call) if item is ... else item for item in scripts))
    found = diagnose(MODEL)
    check = failed(found)
    assert (check.name, detail in check.detail, hint in check.hint) == (name, True, True), check
    expected = dict.fromkeys(NAMES, "ok") | {name: "failed"}
    if name == "answer":
        expected |= dict.fromkeys(NAMES[5:], "skipped")
    assert results(found) == expected


def test_a_model_that_calls_no_tools_is_not_asked_to(sim: Simulator) -> None:
    """The model list says it."""
    check = failed(diagnose("simulated/boundless:free"))
    assert check.name == "tool call"
    assert "the model list says that the model cannot call tools" in check.detail
    assert "onerouter_core models --tools" in check.hint
    assert not any(request.body and "tools" in request.body for request in sim.requests)


# --- other gateways, and what may be spent ---


def entry(price: float, **fields: Any) -> dict[str, Any]:
    """Return an entry of the model list with these prices in USD per million tokens."""
    names = ("min_prompt_price", "min_completion_price")
    return {
        **FULL_MODEL_ENTRY,
        "id": "a/b",
        "providers": [],
        **dict.fromkeys(names, price),
        **fields,
    }


def answers(cost: float | None = 0.001) -> list[HTTPScript]:
    """Return the answers of a gateway to the four requests."""
    fields = {"usage": USAGE} | ({} if cost is None else {"cost": cost})
    call = {"tool_calls": [tool_call("multiply", {"a": 12, "b": 7})]}
    return [
        response(completion("ready", **fields)),
        stream(chunk("ready"), chunk("", finish_reason="stop", **fields)),
        response(completion(None, message=call, **fields)),
        response(completion('{"city": "Paris"}', **fields)),
    ]


def gateway_of(server: Server, monkeypatch: pytest.MonkeyPatch, *scripts: HTTPScript) -> Any:
    """Name an endpoint with these answers in the environment."""
    endpoint = server.endpoint(*scripts)
    monkeypatch.setenv("ONEROUTER_BASE_URL", endpoint.base_url)
    return endpoint


BALANCE = response({"account_name": "me@example.org", "credit_balance": 5})


def test_a_gateway_without_balance_and_model_list_is_checked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not tell is not checked, and says so."""
    gateway_of(
        server, monkeypatch, response({"data": []}), response({"error": "?"}, 404), *answers()
    )
    found = diagnose("my/model")
    assert found.ok
    details = {check.name: check.detail for check in found.checks}
    assert "not checked" in details["key"]
    assert "not checked" in details["model"]


def test_a_model_list_that_needs_a_key_does_not_hide_the_wrong_key(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is right: the key is not."""
    refused = response({"error": {"message": "No token provided"}}, 401)
    gateway_of(server, monkeypatch, refused)
    check = failed(diagnose("my/model"))
    assert (check.name, check.hint) == ("key", "Check api_key or ONEROUTER_API_KEY.")


def test_a_model_list_that_needs_a_key_gets_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first it is asked for without: a key that cannot be sent is not a wrong address."""
    refused = response({"error": {"message": "No token provided"}}, 401)
    models = response({"data": [entry(1)]})
    endpoint = gateway_of(server, monkeypatch, refused, models, BALANCE, *answers())
    found = diagnose("a/b")
    assert found.ok
    assert "1 chat models" in found.checks[1].detail
    keys = [request.headers.get("authorization") for request in endpoint.requests[:2]]
    assert keys == [None, "Bearer sk-simulated"]


def test_an_empty_account_is_found_and_not_named(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In no form of output."""
    empty = response({"account_name": "me@example.org", "credit_balance": 0})
    gateway_of(server, monkeypatch, response({"data": [entry(1)]}), empty)
    assert main(["doctor", "--json"]) == 1
    shown = capsys.readouterr().out
    assert "the balance is 0.0 USD" in shown
    assert "Top up the account." in shown
    assert "me@" not in shown


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([entry(5), entry(2, id="c/d"), entry(0, id="e/f:free")], "c/d"),
        ([entry(1), entry(9, id="deepseek/deepseek-v4-flash")], "deepseek/deepseek-v4-flash"),
        ([entry(1, deprecated=True), entry(2, id="c/d")], "c/d"),
        ([entry(1, supports_function_calling=False)], "deepseek/deepseek-v4-flash"),
    ],
)
def test_the_model_is_the_usual_one_or_the_cheapest_with_tools(
    server: Server, monkeypatch: pytest.MonkeyPatch, models: list[Any], expected: str
) -> None:
    """Free ones are often refused; deprecated ones are not chosen."""
    gateway_of(server, monkeypatch, response({"data": models}), BALANCE, *answers())
    assert diagnose().model == expected


@pytest.mark.parametrize(
    ("price", "cost", "tokens"),
    [
        (1, 0.0001, [400, 400, 400, 400]),
        (20, 0.001, [250, 200, 150, 100]),
        (30, 0.003, [83]),
        (100, 0, []),
        (1, 0.006, [400, 400]),
    ],
)
def test_no_more_is_spent_than_a_cent(
    server: Server, monkeypatch: pytest.MonkeyPatch, price: float, cost: float, tokens: list[int]
) -> None:
    """Answers of expensive models get fewer tokens; those that may be too expensive are skipped."""
    models = response({"data": [entry(price)]})
    endpoint = gateway_of(server, monkeypatch, models, BALANCE, *answers(cost))
    found = diagnose("a/b")
    assert [request.json["max_tokens"] for request in endpoint.requests[2:]] == tokens
    assert found.spent == Decimal(str(cost)) * len(tokens)
    skipped = [check.detail for check in found.checks if check.result == "skipped"]
    assert all("more than 0.01 USD" in text or text == "needs: answer" for text in skipped)
    assert bool(skipped) == (len(tokens) < 4)
    assert found.ok


def test_unknown_prices_are_no_reason_to_stop(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum is that of known costs."""
    gateway_of(server, monkeypatch, response({"data": [{"id": "a/b"}]}), BALANCE, *answers(None))
    found = diagnose("a/b")
    assert [check.result for check in found.checks[4:]] == ["ok", "ok", "ok", "ok", "failed"]
    assert found.spent == 0


# --- the command ---


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """With a row per check, and what was spent."""
    assert main(["doctor"]) == 0
    head, *lines, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["check", "result", "found"]
    assert [line[:14].strip() for line in lines if line[:14].strip()] == list(NAMES)
    assert last.startswith("Spent 0.000")
    assert "(limit 0.01) in " in last


def test_the_command_prints_hints_and_fails(
    sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is for scripts."""
    sim.script(failure(402, "No credit"))
    assert main(["doctor", "--model", MODEL]) == 1
    assert "-> Top up the account; a retry will not help." in capsys.readouterr().out


def test_the_command_prints_one_json_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the credentials of a proxy, and without the key."""
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.test:3128")
    assert main(["doctor", "--json", "--model", MODEL]) == 0
    shown = capsys.readouterr().out
    found = json.loads(shown)
    assert (found["ok"], found["model"], found["limit_usd"]) == (True, MODEL, "0.01")
    assert [check["name"] for check in found["checks"]] == list(NAMES)
    assert set(found["checks"][0]) == {"name", "result", "detail", "hint"}
    assert Decimal(found["spent_usd"]) > 0
    assert found["variables"]["https_proxy"] == "http://***@proxy.test:3128"
    assert "secret" not in shown
    assert "sk-simulated" not in shown


def test_the_command_runs_in_a_process_of_its_own(sim: Simulator) -> None:
    """It prints no warning, and its exit code is that of the checks."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "onerouter_core",
        "doctor",
        "--model",
        "no/such",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own interpreter
    assert (done.returncode, done.stderr) == (1, "")
    assert "no/such: The catalogue has no such model." in done.stdout
