"""Security audit: ask pip-audit for known vulnerabilities of our dependencies.

    python -m tests.audit

pip-audit exits with 1 both for a vulnerable package and for an unreachable database, and with 0 if
the database knows none of the packages. This module tells these apart: only a known vulnerability
fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

COMMAND = [
    *(sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--format=json"),
    *("--progress-spinner=off", "--requirement=constraints.txt"),
]
HINT = "Run `make audit` again with access to PyPI itself: its mirrors have no advisories."


def vulnerabilities(packages: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each known vulnerability."""
    for package in packages:
        for vulnerability in package.get("vulns", ()):
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
            name = f"{package['name']} {package['version']}"
            yield f"{name}: {vulnerability['id']}, fixed in {fixed}"


def summarize(output: str, error_output: str) -> tuple[list[str], bool]:
    """Return the lines of a report, and False if there is a known vulnerability.

    Args:
        output: standard output of pip-audit: JSON, or nothing if it could not ask the database.
        error_output: standard error of pip-audit; its last line is the reason.

    """
    try:
        packages = json.loads(output)["dependencies"]
    except ValueError:
        *_, reason = ["no error message", *error_output.strip().split("\n")]
        return [f"NOT AUDITED: the advisory database cannot be reached ({reason})."], True
    found = list(vulnerabilities(packages))
    unknown = sum("skip_reason" in package for package in packages)
    audited = len(packages) - unknown
    lines = [f"{audited} packages audited, {len(found)} known vulnerabilities.", *found]
    if unknown:
        lines.insert(0, f"NOT AUDITED: {unknown} packages that are not in the database.")
    return lines, not found


def main() -> int:
    """Run pip-audit, print the report, and return the exit status."""
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)  # noqa: S603 -- our own command
    lines, passed = summarize(done.stdout, done.stderr)
    hint = [HINT] if lines[0].startswith("NOT AUDITED") else []
    sys.stdout.write("\n".join([*lines, *hint, ""]))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
