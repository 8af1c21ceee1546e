"""The house holds: who may import whom, and where the API's JSON keys may stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("onerouter_core", "langchain_onerouter", "llama_index_onerouter", "onerouter_simulator")

# What each room may know besides the standard library. A name stands for all that is below it; the
# first row whose room a module is in, or is, decides.
MAY_IMPORT = {
    "onerouter_core.version": set(),
    "onerouter_core.values": set(),
    "onerouter_core.errors": set(),
    "onerouter_core.tracebacks": set(),
    "onerouter_core.retry": {"tenacity", "onerouter_core.errors", "onerouter_core.tracebacks"},
    "onerouter_core.schemas": {"pydantic_core", "onerouter_core.values", "onerouter_core.errors"},
    "onerouter_core.wire": {
        *("pydantic_core", "onerouter_core.values", "onerouter_core.schemas"),
        *("onerouter_core.errors", "onerouter_core.wire"),
    },
    "onerouter_core.tables": set(),
    "onerouter_core.costs": {
        *("pydantic", "typing_extensions", "onerouter_core.tables"),
        *("onerouter_core.values", "onerouter_core.errors"),
    },
    "onerouter_core.options": {"pydantic"},
    "onerouter_core.misspelt": set(),
    "onerouter_core.parameters": {
        *("pydantic", "onerouter_core.values", "onerouter_core.costs"),
        *("onerouter_core.errors", "onerouter_core.misspelt", "onerouter_core.options"),
    },
    "onerouter_core.waits": set(),
    "onerouter_core.refusals": set(),
    "onerouter_core.sdk": {
        *("openai", "onerouter_core.waits", "onerouter_core.refusals"),
        *("onerouter_core.errors", "onerouter_core.version"),
    },
    "onerouter_core.clients": {"typing_extensions", "onerouter_core.sdk"},
    "onerouter_core.transport": {
        *("pydantic", "onerouter_core.clients", "onerouter_core.sdk", "onerouter_core.waits"),
        *("onerouter_core.parameters", "onerouter_core.errors", "onerouter_core.refusals"),
        "onerouter_core.tracebacks",
    },
    "onerouter_core.call": {
        *("onerouter_core.parameters", "onerouter_core.transport", "onerouter_core.waits"),
        *("onerouter_core.wire", "onerouter_core.errors", "onerouter_core.refusals"),
        *("onerouter_core.values", "onerouter_core.costs"),
    },
    "onerouter_core.gateway": {
        *("onerouter_core.call", "onerouter_core.clients", "onerouter_core.sdk"),
        "onerouter_core.waits",
        *("onerouter_core.parameters", "onerouter_core.transport"),
        *("onerouter_core.wire", "onerouter_core.retry", "onerouter_core.errors"),
        "onerouter_core.values",
    },
    "onerouter_core.catalog": {
        *("pydantic", "typing_extensions", "onerouter_core.gateway", "onerouter_core.wire"),
        *("onerouter_core.parameters", "onerouter_core.errors", "onerouter_core.values"),
        *("onerouter_core.costs", "onerouter_core.tables"),
    },
    "onerouter_core.__main__": {"rich", "onerouter_core"},
    "onerouter_core": {"pydantic", "typing_extensions", "onerouter_core"},
    "langchain_onerouter": {
        *("langchain_core", "pydantic", "typing_extensions", "onerouter_core"),
        "langchain_onerouter",
    },
    "llama_index_onerouter": {
        *("llama_index", "filetype", "pydantic", "typing_extensions", "onerouter_core"),
        "llama_index_onerouter",
    },
    "onerouter_simulator": {"starlette", "uvicorn", "onerouter_simulator"},
}

# Keys that only the API has: neither framework uses these words for anything of its own.
WIRE_KEYS = {
    *("choices", "image_url", "input_audio", "video_url", "file_data", "url_citation"),
    *("stream_options", "include_usage", "prompt_tokens_details", "completion_tokens_details"),
    *("cache_write_1_h", "context_length", "provider_slug", "min_prompt_price", "category_type"),
}
WIRE_ROOMS = ("onerouter_core.wire", "onerouter_simulator")


def modules() -> Iterator[tuple[str, str]]:
    """Yield the name and the source of every module we ship."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), path.read_text("utf-8")


MODULES = list(modules())


def is_in(name: str, room: str) -> bool:
    """Tell whether a module is a room, or in it."""
    return name == room or name.startswith(room + ".")


def imported(source: str) -> set[str]:
    """Return the modules a source imports, standard library left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` is an arrow to the module, if there is one
            deeper = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name for name in deeper if _is_module(name)} or {node.module}
    return {name for name in names if name.partition(".")[0] not in STANDARD}


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


STANDARD = set(__import__("sys").stdlib_module_names)


def strangers(name: str, source: str) -> set[str]:
    """Return the imports that a module may not have."""
    allowed = next(may for room, may in MAY_IMPORT.items() if is_in(name, room))
    return {other for other in imported(source) if not any(is_in(other, room) for room in allowed)}


def wire_keys(name: str, source: str) -> set[str]:
    """Return the API's keys that a module outside the wire rooms uses as keys."""
    if any(is_in(name, room) for room in WIRE_ROOMS):
        return set()
    return {key for node in ast.walk(ast.parse(source)) for key in _keys(node)} & WIRE_KEYS


def _keys(node: ast.AST) -> Iterator[object]:
    match node:
        case ast.Dict(keys=keys):
            yield from (key.value for key in keys if isinstance(key, ast.Constant))
        case ast.Subscript(slice=ast.Constant(value=value)):
            yield value
        case ast.Call(
            func=ast.Attribute(attr="get" | "pop" | "setdefault"),
            args=[ast.Constant(value=value), *_],
        ):
            yield value
        case ast.MatchMapping(keys=keys):
            yield from (key.value for key in keys if isinstance(key, ast.Constant))


@pytest.mark.parametrize(("name", "source"), MODULES, ids=[name for name, _ in MODULES])
def test_a_room_imports_only_what_it_may_know(name: str, source: str) -> None:
    """Each module keeps to the arrows."""
    assert strangers(name, source) == set()


@pytest.mark.parametrize(("name", "source"), MODULES, ids=[name for name, _ in MODULES])
def test_a_wire_key_stands_only_in_the_wire_rooms(name: str, source: str) -> None:
    """One room knows the wire format, and the simulator the other side of it."""
    assert wire_keys(name, source) == set()


@pytest.mark.parametrize(("name", "source"), MODULES, ids=[name for name, _ in MODULES])
def test_a_module_says_first_what_it_is(name: str, source: str) -> None:
    """Every module begins with its law."""
    assert ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("langchain_onerouter.chat_models", "import openai"),
        ("langchain_onerouter.chat_models", "from openai import OpenAI"),
        ("langchain_onerouter.messages", "import llama_index_onerouter"),
        ("llama_index_onerouter.llm", "import httpx"),
        ("onerouter_core.values", "from onerouter_core import errors"),
        ("onerouter_core.wire.stream", "import onerouter_core.gateway"),
        ("onerouter_core.gateway", "import tenacity"),
        ("onerouter_core.catalog", "from onerouter_core import model"),
        ("onerouter_simulator.app", "from onerouter_core.values import Text"),
    ],
)
def test_a_stranger_is_seen(name: str, source: str) -> None:
    """The check of the arrows can fail."""
    assert strangers(name, source)


@pytest.mark.parametrize(
    "source",
    [
        'reply["choices"]',
        'part = {"image_url": url}',
        'chunk.get("choices")',
        'match part:\n case {"input_audio": x}: pass',
        'entry["context_length"]',
    ],
)
def test_a_wire_key_is_seen(source: str) -> None:
    """The check of the keys can fail."""
    assert wire_keys("langchain_onerouter.messages", source)


def test_no_test_imports_a_leading_underscore() -> None:
    """Tests go through the doors."""
    private = re.compile(
        r"^\s*from (?:onerouter|langchain_onerouter|llama_index_onerouter)\S* import .*\b_(?!_)\w",
        re.MULTILINE,
    )
    guilty = [
        path.name
        for path in (ROOT / "tests").rglob("*.py")
        if private.search(path.read_text("utf-8"))
    ]
    assert guilty == []
