"""Sections of docs/ecosystem.md: the Python blocks of each run as one program.

`python -m tests.ecosystem.sections "Phoenix"` runs one, with the guard against network use.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from onerouter_simulator import Simulator
from tests.ecosystem import guard
from tests.ecosystem.table import PAGE
from tests.pages import ROOT, blocks_in

_SECTION = re.compile(r"^##+ (.+)\n((?:(?!^##+ ).*\n)*)", re.MULTILINE)


def programs() -> dict[str, str]:
    """Return the Python code of each section that has some."""
    found = {}
    for heading, text in _SECTION.findall(PAGE.read_text("utf-8")):
        code = [block.code for block in blocks_in(text) if block.language == "python"]
        if code:
            found[heading] = "\n".join(code)
    return found


def run(heading: str, sim: Simulator, **variables: str) -> str:
    """Run a section in a process of its own, with these variables; return what it prints."""
    env = {**os.environ, **variables}
    env |= {"ONEROUTER_BASE_URL": sim.base_url, "ONEROUTER_API_KEY": sim.api_key}
    done = subprocess.run(  # noqa: S603 -- our own page
        [sys.executable, "-W", "ignore", "-m", __name__, heading],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


if __name__ == "__main__":
    guard.install()
    exec(compile(programs()[sys.argv[1]], sys.argv[1], "exec"), {"__name__": "page"})  # noqa: S102
    sys.stdout.flush()
    if guard.attempts:
        sys.exit(f"only loopback may be reached, not {guard.attempts}")
