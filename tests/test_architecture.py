"""Architecture: allowed imports, the place of the API's JSON keys, and a test for every module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("onerouter_core", "langchain_onerouter", "llama_index_onerouter", "onerouter_simulator")

# The imports that each module may have besides the standard library. A name includes everything
# below it; the first row that names a module, or a package that contains it, decides.
MAY_IMPORT = {
    "onerouter_core.version": set(),
    "onerouter_core.types": set(),
    "onerouter_core.errors": set(),
    "onerouter_core.model_ids": set(),
    "onerouter_core.suggestions": set(),
    "onerouter_core.html_table": set(),
    "onerouter_core.deadlines": set(),
    "onerouter_core.tracebacks": set(),
    "onerouter_core.aiohttp_sessions": {"aiohttp", "onerouter_core.http_internals"},
    "onerouter_core.response_body": {"onerouter_core.aiohttp_sessions", "onerouter_core.errors"},
    "onerouter_core.network_backend": {"onerouter_core.deadlines", "onerouter_core.http_internals"},
    "onerouter_core.http_errors": {"onerouter_core.errors"},
    "onerouter_core.request_options": {"pydantic"},
    "onerouter_core.retry": {"tenacity", "onerouter_core.errors"},
    "onerouter_core.strict_schema": {"onerouter_core.types", "onerouter_core.errors"},
    "onerouter_core.json_text": {
        *("pydantic_core", "onerouter_core.types", "onerouter_core.model_json"),
    },
    "onerouter_core.model_json": set(),
    "onerouter_core.wire": {
        *("pydantic_core", "onerouter_core.types", "onerouter_core.errors", "onerouter_core.wire"),
        *("onerouter_core.strict_schema", "onerouter_core.model_json"),
        "onerouter_core.json_text",
    },
    "onerouter_core.inherited_context": set(),
    "onerouter_core.argument_hints": {"onerouter_core.suggestions"},
    "onerouter_core.atomic_write": set(),
    "onerouter_core.budgets": {
        *("typing_extensions", "onerouter_core.errors", "onerouter_core.inherited_context"),
        "onerouter_core.ledger_entry",
    },
    "onerouter_core.cache_savings": {"onerouter_core.types", "onerouter_core.wire"},
    "onerouter_core.ledger_entry": {
        *("pydantic", "typing_extensions", "onerouter_core.types"),
        "onerouter_core.cache_savings",
    },
    "onerouter_core.ledger": {
        *("pydantic", "typing_extensions", "onerouter_core.html_table", "onerouter_core.errors"),
        *("onerouter_core.budgets", "onerouter_core.ledger_entry", "onerouter_core.atomic_write"),
    },
    "onerouter_core.connection": {
        *("pydantic", "onerouter_core.errors", "onerouter_core.ledger"),
        "onerouter_core.ledger_entry",
    },
    "onerouter_core.fields": {
        *("pydantic", "onerouter_core.types", "onerouter_core.ledger", "onerouter_core.errors"),
        *("onerouter_core.connection", "onerouter_core.argument_hints"),
        *("onerouter_core.request_options", "onerouter_core.response_format"),
    },
    "onerouter_core.response_format": {
        *("pydantic", "typing_extensions", "onerouter_core.strict_schema"),
        *("onerouter_core.types", "onerouter_core.errors"),
    },
    "onerouter_core.sdk_clients": {
        *("openai", "onerouter_core.deadlines", "onerouter_core.errors"),
        *("onerouter_core.aiohttp_sessions", "onerouter_core.response_body"),
        *("onerouter_core.version", "onerouter_core.http_internals"),
        "onerouter_core.network_backend",
    },
    "onerouter_core.client_pool": {
        *("typing_extensions", "onerouter_core.sdk_clients", "onerouter_core.errors"),
        *("onerouter_core.lingering", "onerouter_core.sent_secrets"),
    },
    "onerouter_core.sent_secrets": {
        *("pydantic", "onerouter_core.errors", "onerouter_core.tracebacks"),
    },
    "onerouter_core.foreign_errors": {"onerouter_core.tracebacks"},
    "onerouter_core.redirects": {"onerouter_core.errors", "onerouter_core.foreign_errors"},
    "onerouter_core.transport_errors": {
        *("onerouter_core.errors", "onerouter_core.foreign_errors", "onerouter_core.tracebacks"),
    },
    "onerouter_core.transport": {
        *("pydantic", "onerouter_core.client_pool", "onerouter_core.sdk_clients"),
        *("onerouter_core.connection", "onerouter_core.deadlines", "onerouter_core.errors"),
        *("onerouter_core.response_body", "onerouter_core.tracebacks"),
        "onerouter_core.transport_errors",
        "onerouter_core.redirects",
        "onerouter_core.model_json",
    },
    "onerouter_core.call_limits": {"onerouter_core.connection", "onerouter_core.errors"},
    "onerouter_core.call_accounting": {
        *("onerouter_core.connection", "onerouter_core.ledger_entry", "onerouter_core.model_ids"),
        *("onerouter_core.types", "onerouter_core.budgets", "onerouter_core.wire"),
        "onerouter_core.cache_savings",
    },
    "onerouter_core.call_errors": {
        *("onerouter_core.call_accounting", "onerouter_core.call_limits", "onerouter_core.errors"),
        *("onerouter_core.connection", "onerouter_core.foreign_errors", "onerouter_core.types"),
        "onerouter_core.model_json",
    },
    "onerouter_core.call_state": {
        *("onerouter_core.call_accounting", "onerouter_core.call_limits", "onerouter_core.wire"),
        *("onerouter_core.call_errors", "onerouter_core.connection", "onerouter_core.deadlines"),
        *("onerouter_core.errors", "onerouter_core.transport", "onerouter_core.types"),
    },
    "onerouter_core.gateway": {
        *("onerouter_core.call_state", "onerouter_core.client_pool", "onerouter_core.sdk_clients"),
        *("onerouter_core.connection", "onerouter_core.deadlines", "onerouter_core.transport"),
        *("onerouter_core.wire", "onerouter_core.retry", "onerouter_core.errors"),
        *("onerouter_core.types", "onerouter_core.http_errors"),
    },
    "onerouter_core.catalog": {
        *("pydantic", "typing_extensions", "onerouter_core.gateway", "onerouter_core.wire"),
        *("onerouter_core.connection", "onerouter_core.fields", "onerouter_core.errors"),
        *("onerouter_core.types", "onerouter_core.budgets", "onerouter_core.html_table"),
        *("onerouter_core.model_ids", "onerouter_core.suggestions"),
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
    "onerouter_simulator.pytest_plugin": {"pytest", "onerouter_simulator"},
    "onerouter_simulator": {"starlette", "uvicorn", "onerouter_simulator"},
}

# Keys that only the API has: neither framework uses these names for anything of its own.
WIRE_KEYS = {
    *("choices", "image_url", "input_audio", "video_url", "file_data", "url_citation"),
    *("stream_options", "include_usage", "prompt_tokens_details", "completion_tokens_details"),
    *("cache_write_1_h", "context_length", "provider_slug", "min_prompt_price", "category_type"),
}
WIRE_PACKAGES = ("onerouter_core.wire", "onerouter_simulator")


def modules() -> Iterator[tuple[str, str]]:
    """Yield the name and the source of every module of the four packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), path.read_text("utf-8")


MODULES = list(modules())


def is_in(name: str, package: str) -> bool:
    """Tell whether a module is this module, or is in this package."""
    return name == package or name.startswith(package + ".")


def imported(source: str) -> set[str]:
    """Return the modules that a source imports, without those of the standard library."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` imports the module, if it is one.
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name for name in submodules if _is_module(name)} or {node.module}
    return {name for name in names if name.partition(".")[0] not in STANDARD}


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


STANDARD = set(__import__("sys").stdlib_module_names)


def forbidden_imports(name: str, source: str) -> set[str]:
    """Return the imports that a module may not have."""
    allowed = next(names for row, names in MAY_IMPORT.items() if is_in(name, row))
    return {other for other in imported(source) if not any(is_in(other, name) for name in allowed)}


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
    """Every module has a docstring."""
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
    found = [
        path.name
        for path in (ROOT / "tests").rglob("*.py")
        if private.search(path.read_text("utf-8"))
    ]
    assert found == []


# --- no cycles ---


def cycles(sources: dict[str, str]) -> list[set[str]]:
    """Return the sets of modules that import each other, in functions and for types included."""
    reachable = {name: _imported_among(source, sources) for name, source in sources.items()}
    for middle in sources:  # Warshall's algorithm
        for others in reachable.values():
            if middle in others:
                others.update(reachable[middle])
    in_cycles = [name for name in sources if name in reachable[name]]
    groups = {
        frozenset(
            other for other in in_cycles if {name, other} <= reachable[name] & reachable[other]
        )
        for name in in_cycles
    }
    return sorted(map(set, groups), key=sorted)


def _imported_among(source: str, sources: dict[str, str]) -> set[str]:
    """Return the modules among the sources that a module imports; a package is its `__init__`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {each if each in sources else node.module for each in names}
    return found & sources.keys()


def test_no_module_imports_itself_through_others() -> None:
    """Also not in a function, and not for type checkers only."""
    assert cycles(dict(MODULES)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import p.a",
        "from p import a",
        "from p.a import name",
        "if TYPE_CHECKING:\n    from p.a import name",
        "def f():\n    from p import a",
    ],
)
def test_a_cycle_is_found(source: str) -> None:
    """The cycle check can fail."""
    sources = {"p": "from p.a import x", "p.a": "import p.c", "p.b": source, "p.c": "import p.b"}
    assert cycles(sources) == [{"p.a", "p.b", "p.c"}]
    assert cycles(sources | {"p.b": "from q import a\nimport ast"}) == []


# --- every test has an assertion ---

# Functions of pytest that fail a test, and prefixes of helpers that contain an assertion.
FAILING_CALLS = {"pytest.raises", "pytest.warns", "pytest.fail"}
HELPER_PREFIXES = ("assert_", "check_", "expect_")


def functions_without_assertion(source: str) -> list[str]:
    """Return the names of the test functions in a source that cannot fail by an assertion."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not any(map(_is_assertion, ast.walk(node)))
    ]


def _is_assertion(node: ast.AST) -> bool:
    match node:
        case ast.Assert(test=ast.Constant()):
            return False  # `assert True` cannot fail
        case ast.Assert():
            return True
        case ast.Call(func=function):
            called = ast.unparse(function)
            is_helper = called.rpartition(".")[2].startswith(HELPER_PREFIXES)
            return is_helper or called in FAILING_CALLS
        case _:
            return False


TEST_FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", TEST_FILES, ids=str)
def test_every_test_has_an_assertion(path: Path) -> None:
    """A test asserts, expects an error or a warning, or calls a helper that asserts."""
    assert functions_without_assertion((ROOT / path).read_text("utf-8")) == []


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "assert True",
        "call()",
        "checked = call()",
        "with suppress(ValueError): call()",
        "recheck_text(call())",
    ],
)
@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_a_test_without_assertion_is_found(keyword: str, body: str) -> None:
    """The assertion check can fail."""
    assert functions_without_assertion(f"{keyword} test_it():\n    {body}") == ["test_it"]


@pytest.mark.parametrize(
    "body",
    [
        "assert call()",
        "with pytest.raises(ValueError): call()",
        "with pytest.warns(UserWarning): call()",
        "pytest.fail('no answer')",
        "check_text(call())",
        "tracer.check_newest_span('stop')",
        "server.assert_called_once()",
    ],
)
def test_a_test_with_assertion_is_accepted(body: str) -> None:
    """The assertion check can pass."""
    assert functions_without_assertion(f"def test_it():\n    {body}") == []


# --- every module has a test file ---

TESTS_BY_PACKAGE = {
    "onerouter_core": "core",
    "langchain_onerouter": "langchain",
    "llama_index_onerouter": "llama_index",
    "onerouter_simulator": "simulator",
}
# `__init__` has imports only, which tests/core/test_public_api.py checks; `version` has one line.
WITHOUT_TEST_FILE = {"__init__", "version"}


def paths_of_tests(module: Path) -> list[Path]:
    """Return the paths that the test file of a module may have, relative to the project.

    `onerouter_core/wire/encode.py` has tests/core/wire/test_encode.py or tests/core/test_encode.py.
    """
    package, *folders, _ = module.parts
    tests, name = Path("tests", TESTS_BY_PACKAGE[package]), f"test_{module.stem.strip('_')}.py"
    return [tests.joinpath(*folders, name), tests / name]


def modules_without_tests(modules: list[Path], files: set[Path]) -> list[str]:
    """Return the modules that have no test file named after them among these files."""
    return [
        str(module)
        for module in modules
        if module.stem not in WITHOUT_TEST_FILE and files.isdisjoint(paths_of_tests(module))
    ]


def test_every_module_has_a_test_file() -> None:
    """The tests of a module are in a file named after it."""
    modules = [
        path.relative_to(ROOT)
        for package in TESTS_BY_PACKAGE
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    assert modules_without_tests(modules, set(TEST_FILES)) == []


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("onerouter_core/retry.py", "tests/langchain/test_retry.py"),
        ("onerouter_core/wire/encode.py", "tests/core/wire/test_decode.py"),
        ("llama_index_onerouter/llm.py", "tests/llama_index/test_llm_streams.py"),
    ],
)
def test_a_module_without_test_file_is_found(module: str, file: str) -> None:
    """The test file check can fail."""
    assert modules_without_tests([Path(module)], {Path(file)}) == [module]


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("onerouter_core/retry.py", "tests/core/test_retry.py"),
        ("onerouter_core/__main__.py", "tests/core/test_main.py"),
        ("onerouter_core/wire/encode.py", "tests/core/test_encode.py"),
        ("onerouter_core/wire/encode.py", "tests/core/wire/test_encode.py"),
    ],
)
def test_a_test_file_named_after_its_module_is_accepted(module: str, file: str) -> None:
    """The test file check can pass."""
    assert modules_without_tests([Path(module)], {Path(file)}) == []
