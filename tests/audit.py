"""Ask pip-audit for known weaknesses of what we depend on: `python -m tests.audit`.

It exits with 1 for a package that is called weak as for a database that cannot be reached, and
with 0 where the database knows none of the packages. This tells them apart: only the first fails.
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
HOW = "Run `make audit` once more where PyPI itself answers: mirrors of it know no advisories."


def weaknesses(packages: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is known of each package."""
    for package in packages:
        for one in package.get("vulns", ()):
            fixed = ", ".join(one["fix_versions"]) or "no version"
            yield f"{package['name']} {package['version']}: {one['id']}, mended in {fixed}"


def verdict(answer: str, complaints: str) -> tuple[list[str], bool]:
    """Return what to say of pip-audit's answer, and whether all is well as far as is known."""
    try:
        packages = json.loads(answer)["dependencies"]
    except ValueError:
        *_, reason = ["it said nothing", *complaints.strip().split("\n")]
        return [f"NOT AUDITED: the advisory database cannot be reached ({reason})."], True
    found, unknown = list(weaknesses(packages)), sum("skip_reason" in one for one in packages)
    said = (
        [f"NOT AUDITED: {unknown} packages, which the database does not know."] if unknown else []
    )
    audited = len(packages) - unknown
    return [*said, f"{audited} packages audited, {len(found)} known weaknesses.", *found], not found


def main() -> int:
    """Ask, and say what came of it."""
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)  # noqa: S603 -- our own words
    said, is_well = verdict(done.stdout, done.stderr)
    how = [HOW] if said[0].startswith("NOT AUDITED") else []
    sys.stdout.write("\n".join([*said, *how, ""]))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
