"""The command line, `python -m onerouter_simulator`: its output, its exit and its errors."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx
import pytest

from onerouter_simulator.__main__ import FOREVER, argument_parser, main
from onerouter_simulator.quirks import QUIRKS


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_a_signal(signal_number: int) -> None:
    """The command prints URL and key, answers requests, and exits with 0 on the signal."""
    arguments = ["--port", "0", "--api-key", "sk-mine"]
    with subprocess.Popen(  # noqa: S603 - the command is this interpreter and this package
        [sys.executable, "-W", "error", "-m", "onerouter_simulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "no model" in process.stdout.readline()
        base_url = process.stdout.readline().strip().removeprefix("export ONEROUTER_BASE_URL=")
        assert process.stdout.readline() == "export ONEROUTER_API_KEY=sk-mine\n"
        headers = {"authorization": "Bearer sk-mine"}
        assert httpx.get(f"{base_url}/balance", headers=headers).status_code == 200
        process.send_signal(signal_number)
        assert process.communicate(timeout=5) == ("Stopped.\n", "")
        assert process.returncode == 0


def test_main_serves_and_stops_on_an_interrupt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers while `main` waits, and is closed after KeyboardInterrupt."""
    urls: list[str] = []

    def interrupt() -> None:
        url = capsys.readouterr().out.partition("ONEROUTER_BASE_URL=")[2].splitlines()[0]
        assert httpx.get(f"{url}/models").is_success
        urls.append(url)
        raise KeyboardInterrupt

    monkeypatch.setattr(FOREVER, "wait", interrupt)
    main(["--port", "0", "--host", "127.0.0.1"])
    assert capsys.readouterr().out == "Stopped.\n"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{urls[0]}/models")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "99999"], "port must be from 0 to 65535, not 99999"),
        (["--failing", "2"], "failing must be a share of requests from 0 to 1, not 2.0"),
        (["--port", "http"], "invalid int value: 'http'"),
        (["--quirk", "call-in-pieces"], "there is no quirk 'call-in-pieces'; did you mean call-in"),
    ],
)
def test_a_wrong_argument_is_an_error_message(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """The command prints the reason without a traceback and exits with 2."""
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    output = capsys.readouterr().err
    assert "python -m onerouter_simulator: error: " in output
    assert message in output


def test_the_command_can_wait_and_print_requests(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--delay` is the time before each answer; a body that is no chat is a line, too."""

    def ask() -> None:
        url = capsys.readouterr().out.partition("ONEROUTER_BASE_URL=")[2].splitlines()[0]
        body = {"model": "a/b", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
        headers = {"authorization": "Bearer sk-simulated"}
        for json in (body, []):
            httpx.post(f"{url}/chat/completions", json=json, headers=headers)
        httpx.get(f"{url}/models")
        raise KeyboardInterrupt

    monkeypatch.setattr(FOREVER, "wait", ask)
    main(["--port", "0", "--delay", "0.001", "--log"])
    assert capsys.readouterr().out.splitlines() == [
        "POST /v1/chat/completions model=a/b messages=1 stream",
        "POST /v1/chat/completions",
        "GET /v1/models",
        "Stopped.",
    ]
    assert argument_parser().parse_args(["--delay", "0.5"]).delay == 0.5


def test_quirks_are_played_by_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--quirk` can be given more than once."""
    models: list[object] = []

    def interrupt() -> None:
        url = capsys.readouterr().out.partition("ONEROUTER_BASE_URL=")[2].splitlines()[0]
        models.append(httpx.get(f"{url}/models").json())
        raise KeyboardInterrupt

    monkeypatch.setattr(FOREVER, "wait", interrupt)
    main(["--port", "0", "--quirk", "id-empty", "--quirk", "models-in-another-envelope"])
    assert [list(body) for body in models] == [["models"]]


def test_the_list_of_quirks_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    """The command lists names and sentences, and does not serve."""
    main(["--list-quirks"])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{quirk.name}: {quirk.sends}" for quirk in QUIRKS]


def test_the_help_shows_every_default() -> None:
    """Each option has a help text with its default."""
    text = " ".join(argument_parser().format_help().split())
    for default in ("127.0.0.1", "8000", "sk-simulated", "0.0"):
        assert f"(default: {default})" in text
