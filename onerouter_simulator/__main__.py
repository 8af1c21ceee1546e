"""`python -m onerouter_simulator`: serve until interrupted.

Knows the command line. Everything else is the Simulator's.
"""

import argparse
import signal
import sys
import threading

from onerouter_simulator.server import Simulator

# Never set: only an interrupt ends the waiting.
FOREVER = threading.Event()


def main(arguments: list[str] | None = None) -> None:
    """Serve a simulated gateway and say where."""
    parser = argparse.ArgumentParser(
        prog="python -m onerouter_simulator",
        description="A simulated OneRouter gateway: it answers by rules, there is no model.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--api-key", default="sk-simulated")
    parser.add_argument("--failing", type=float, default=0.0, help="share that fails, as 0.02")
    options = parser.parse_args(arguments)
    try:
        simulator = Simulator(**vars(options)).start()
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with simulator as sim:
        sys.stdout.write(
            f"Simulated OneRouter gateway (answers by rules, no model).\n"
            f"ONEROUTER_BASE_URL={sim.base_url}\nONEROUTER_API_KEY={sim.api_key}\n"
        )
        sys.stdout.flush()
        wait()


def wait() -> None:
    """Sleep until Ctrl+C."""
    try:
        FOREVER.wait()
    except KeyboardInterrupt:
        sys.stdout.write("Stopped.\n")


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(number, signal.default_int_handler)
    main()
