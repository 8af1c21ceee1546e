"""What the package offers at its door, and what it costs to open it."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import onerouter_core


def test_all_is_sorted() -> None:
    """The list of public names is sorted, without doubles."""
    assert onerouter_core.__all__ == sorted(set(onerouter_core.__all__))


def test_all_is_what_is_there() -> None:
    """The list of public names is what the door imports, no more and no less."""
    names = {
        name
        for name, value in vars(onerouter_core).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert {*onerouter_core.__all__} - {"__version__"} == names


def test_opening_the_door_imports_no_sdk_and_no_framework() -> None:
    """Importing the core imports neither the SDK, nor an HTTP library, nor a framework."""
    heavy = {"openai", "httpx", "httpx2", "aiohttp", "langchain_core", "llama_index"}
    code = f"import onerouter_core, sys; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own words
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
