"""Architecture: which module may import which, and where the API's JSON keys may stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("onerouter_core", "langchain_onerouter", "llama_index_onerouter", "onerouter_simulator")

# What each module may import besides the standard library. A name includes everything below it; the
# first row that names a module, or a package that contains it, decides.
MAY_IMPORT = {
    "onerouter_core.version": set(),
    "onerouter_core.types": set(),
    "onerouter_core.errors": set(),
    "onerouter_core.model_ids": set(),
    "onerouter_core.suggestions": set(),
    "onerouter_core.html_table": set(),
    "onerouter_core.deadlines": set(),
    "onerouter_core.http_errors": set(),
    "onerouter_core.request_options": {"pydantic"},
    "onerouter_core.retry": {"tenacity", "onerouter_core.errors"},
    "onerouter_core.strict_schema": {"onerouter_core.types", "onerouter_core.errors"},
    "onerouter_core.json_text": {"pydantic_core", "onerouter_core.types"},
    "onerouter_core.wire": {
        *("pydantic_core", "onerouter_core.types", "onerouter_core.errors", "onerouter_core.wire"),
    },
    "onerouter_core.ledger": {
        *("pydantic", "typing_extensions", "onerouter_core.html_table"),
        *("onerouter_core.types", "onerouter_core.errors"),
    },
    "onerouter_core.connection": {"pydantic", "onerouter_core.errors", "onerouter_core.ledger"},
    "onerouter_core.fields": {
        *("pydantic", "onerouter_core.types", "onerouter_core.ledger", "onerouter_core.errors"),
        *("onerouter_core.connection", "onerouter_core.suggestions"),
        "onerouter_core.request_options",
    },
    "onerouter_core.sdk_clients": {
        *("openai", "onerouter_core.deadlines", "onerouter_core.http_errors"),
        *("onerouter_core.errors", "onerouter_core.version"),
    },
    "onerouter_core.client_pool": {"typing_extensions", "onerouter_core.sdk_clients"},
    "onerouter_core.transport": {
        *("pydantic", "onerouter_core.client_pool", "onerouter_core.sdk_clients"),
        *("onerouter_core.connection", "onerouter_core.deadlines", "onerouter_core.errors"),
        "onerouter_core.http_errors",
    },
    "onerouter_core.call_state": {
        *("onerouter_core.connection", "onerouter_core.transport", "onerouter_core.deadlines"),
        *("onerouter_core.wire", "onerouter_core.errors", "onerouter_core.http_errors"),
        *("onerouter_core.types", "onerouter_core.ledger"),
    },
    "onerouter_core.gateway": {
        *("onerouter_core.call_state", "onerouter_core.client_pool", "onerouter_core.sdk_clients"),
        *("onerouter_core.connection", "onerouter_core.deadlines", "onerouter_core.transport"),
        *("onerouter_core.wire", "onerouter_core.retry", "onerouter_core.errors"),
        "onerouter_core.types",
    },
    "onerouter_core.catalog": {
        *("pydantic", "typing_extensions", "onerouter_core.gateway", "onerouter_core.wire"),
        *("onerouter_core.connection", "onerouter_core.fields", "onerouter_core.errors"),
        *("onerouter_core.types", "onerouter_core.ledger", "onerouter_core.html_table"),
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
WIRE_PACKAGES = ("onerouter_core.wire", "onerouter_simulator")


def modules() -> Iterator[tuple[str, str]]:
    """Yield the name and the source of every module we ship."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), path.read_text("utf-8")


MODULES = list(modules())


def is_in(name: str, package: str) -> bool:
    """Tell whether a module is this module, or in this package."""
    return name == package or name.startswith(package + ".")


def imported(source: str) -> set[str]:
    """Return the modules a source imports, standard library left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` imports the module, if there is one
            deeper = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name for name in deeper if _is_module(name)} or {node.module}
    return {name for name in names if name.partition(".")[0] not in STANDARD}


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


STANDARD = set(__import__("sys").stdlib_module_names)


def forbidden_imports(name: str, source: str) -> set[str]:
    """Return the imports that a module may not have."""
    allowed = next(may for listed, may in MAY_IMPORT.items() if is_in(name, listed))
    return {
        other for other in imported(source) if not any(is_in(other, listed) for listed in allowed)
    }


def wire_keys(name: str, source: str) -> set[str]:
    """Return the API's keys that a module outside the wire packages uses as keys."""
    if any(is_in(name, package) for package in WIRE_PACKAGES):
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
def test_imports_are_allowed(name: str, source: str) -> None:
    """Each module imports only what its row of MAY_IMPORT lists."""
    assert forbidden_imports(name, source) == set()


@pytest.mark.parametrize(("name", "source"), MODULES, ids=[name for name, _ in MODULES])
def test_wire_keys_stand_only_in_wire_packages(name: str, source: str) -> None:
    """Only onerouter_core.wire and the simulator know the wire format."""
    assert wire_keys(name, source) == set()


@pytest.mark.parametrize(("name", "source"), MODULES, ids=[name for name, _ in MODULES])
def test_every_module_has_a_docstring(name: str, source: str) -> None:
    """Every module says first what it does."""
    assert ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("langchain_onerouter.chat_models", "import openai"),
        ("langchain_onerouter.chat_models", "from openai import OpenAI"),
        ("langchain_onerouter.messages", "import llama_index_onerouter"),
        ("llama_index_onerouter.llm", "import httpx"),
        ("onerouter_core.types", "from onerouter_core import errors"),
        ("onerouter_core.wire.stream", "import onerouter_core.gateway"),
        ("onerouter_core.gateway", "import tenacity"),
        ("onerouter_core.catalog", "from onerouter_core import base_model"),
        ("onerouter_simulator.app", "from onerouter_core.types import Text"),
    ],
)
def test_a_forbidden_import_is_found(name: str, source: str) -> None:
    """The import check can fail."""
    assert forbidden_imports(name, source)


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
def test_a_wire_key_is_found(source: str) -> None:
    """The wire key check can fail."""
    assert wire_keys("langchain_onerouter.messages", source)


def test_no_test_imports_a_leading_underscore() -> None:
    """Tests use the public API."""
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
