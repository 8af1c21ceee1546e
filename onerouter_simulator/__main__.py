"""Command line: `python -m onerouter_simulator` serves until it is interrupted.

Knows the arguments only; the server is the Simulator's.
"""

import argparse
import signal
import sys
import threading

from onerouter_simulator.quirks import QUIRKS
from onerouter_simulator.request_log import RecordedRequest
from onerouter_simulator.server import Simulator

# This event is never set: only an interrupt ends the wait for it.
FOREVER = threading.Event()


def main(arguments: list[str] | None = None) -> None:
    """List the quirks; or start a simulator, print its URL and key, and serve until interrupted."""
    parser = argument_parser()
    options = vars(parser.parse_args(arguments))
    if options.pop("log"):
        options["on_request"] = print_request
    if options.pop("list_quirks"):
        sys.stdout.writelines(f"{quirk.name}: {quirk.sends}\n" for quirk in QUIRKS)
        return
    try:
        simulator = Simulator(**options).start()
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with simulator:
        try:
            print_address(simulator)
            FOREVER.wait()
        except KeyboardInterrupt:
            sys.stdout.write("Stopped.\n")


def print_address(simulator: Simulator) -> None:
    """Print the commands that tell a shell the address and the key."""
    sys.stdout.write(
        "Simulated OneRouter gateway (answers by rules, no model). Ctrl+C stops it.\n"
        f"export ONEROUTER_BASE_URL={simulator.base_url}\n"
        f"export ONEROUTER_API_KEY={simulator.api_key}\n"
    )
    sys.stdout.flush()


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m onerouter_simulator",
        description="Serve a simulated OneRouter gateway: chat completions, embeddings, models and"
        " balance. It answers by rules; it has no model.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0: a free port")
    parser.add_argument("--api-key", default="sk-simulated", help="API key that clients must send")
    parser.add_argument(
        "--failing",
        type=float,
        default=0.0,
        help="share of requests that fail with status 500, 0 to 1; 0.02: every 50th request",
    )
    parser.add_argument(
        "--quirk",
        dest="quirks",
        action="append",
        default=[],
        metavar="NAME",
        help="quirk of real gateways to play; can be given more than once",
    )
    parser.add_argument(
        "--delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="time before each answer, and between the chunks of a stream",
    )
    parser.add_argument("--log", action="store_true", help="print a line for each request")
    parser.add_argument("--list-quirks", action="store_true", help="list the quirks and exit")
    return parser


def print_request(request: RecordedRequest) -> None:
    """Print method, path, model, number of messages or inputs and kind of a request."""
    body = request.body if isinstance(request.body, dict) else {}
    facts = [request.method, request.path]
    if model := body.get("model"):
        counted = "input" if request.path.endswith("/embeddings") else "messages"
        facts += [f"model={model}", f"{counted}={count_items(body.get(counted))}"]
    facts += [name for name in ("stream", "tools", "response_format") if body.get(name)]
    sys.stdout.write(" ".join(map(str, facts)) + "\n")
    sys.stdout.flush()


def count_items(value: object) -> int:
    """Return the number of messages or inputs in a request; a text is one input."""
    return len(value) if isinstance(value, list) else int(isinstance(value, str))


if __name__ == "__main__":
    # A shell starts background jobs with SIGINT ignored: install the default handler again.
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:  # before the server runs, or a second one while it closes
        sys.exit(0)
