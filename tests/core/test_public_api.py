"""The public API: what is exported, under which names, and what an import costs."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

import onerouter_core
from onerouter_core import Ledger, LedgerEntry, Reply, ReplyDelta, errors, wire

ROOT = Path(__file__).parents[2]
PUBLIC_MODULES = (onerouter_core, errors, wire)
EXPORTED = {name for module in PUBLIC_MODULES for name in module.__all__}
FRAMEWORK_PACKAGES = ("langchain_onerouter", "llama_index_onerouter")


@pytest.mark.parametrize("module", PUBLIC_MODULES, ids=lambda module: module.__name__)
def test_all_is_sorted(module: ModuleType) -> None:
    """`__all__` is sorted, constants first, as ruff sorts it, and has no duplicates."""
    names = sorted(set(module.__all__), key=lambda name: (not name.isupper(), name))
    assert names == module.__all__


def test_all_lists_every_public_name() -> None:
    """`__all__` is the set of names that the package imports."""
    names = {
        name
        for name, value in vars(onerouter_core).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert {*onerouter_core.__all__} - {"__version__"} == names


def test_import_loads_no_sdk_and_no_framework() -> None:
    """Importing the core imports neither the SDK, nor an HTTP library, nor a framework."""
    heavy = {"openai", "httpx", "httpx2", "aiohttp", "langchain_core", "llama_index"}
    code = f"import onerouter_core, sys; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own code
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# --- every type that a public type mentions is public ---


def annotated_names(tree: ast.AST) -> Iterator[str]:
    """Yield the names in the annotations of fields, and of public methods and functions."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name.startswith("_") and name != "__init__":
                    continue
                arguments = node.args
                every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                annotations = [argument.annotation for argument in every] + [node.returns]
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                annotations = [node.annotation]
            case _:
                continue
        for annotation in filter(None, annotations):
            yield from (part.id for part in ast.walk(annotation) if isinstance(part, ast.Name))


def defined_in_core(name: str, module: ModuleType) -> bool:
    """Tell whether a name in a module is a type, or an alias of one, that the core defines."""
    value = getattr(module, name, None)
    if name.startswith("_") or value is None or isinstance(value, TypeVar):
        return False
    source_of = [m for m in sys.modules if m.startswith("onerouter_core.")]
    return any(defines(sys.modules[m], name) for m in source_of if hasattr(sys.modules[m], name))


def defines(module: ModuleType, name: str) -> bool:
    """Tell whether a module's source assigns or defines a name at its top level."""
    for node in ast.parse(inspect.getsource(module)).body:
        match node:
            case ast.ClassDef(name=found) if found == name:
                return True
            case ast.AnnAssign(target=ast.Name(id=found)) if found == name:
                return True
            case ast.Assign(targets=[ast.Name(id=found)]) if found == name:
                return True
    return False


# Aliases that stand in constructor fields for type checkers, and are spelled out in the docs.
FIELD_ALIASES = {
    *("ApiKeyOrStr", "ReasoningOrDict", "ProviderRoutingOrDict", "FallbackRulesOrDict"),
    *("WebSearchOrDict", "RuleOrDict", "Seconds", "UnitInterval", "Penalty"),
}


@pytest.mark.parametrize("name", sorted(set(onerouter_core.__all__) - {"__version__"}))
def test_mentioned_types_are_exported(name: str) -> None:
    """A public class or function mentions no type of the core that is not exported."""
    value = getattr(onerouter_core, name)
    is_alias = hasattr(value, "__origin__")  # a class to `inspect` on Python 3.10
    if is_alias or not (inspect.isclass(value) or inspect.isfunction(value)):
        pytest.skip("an alias or a constant has no annotations")
    module = importlib.import_module(value.__module__)
    mentioned = set(annotated_names(ast.parse(inspect.getsource(value))))
    missing = {n for n in mentioned if defined_in_core(n, module)} - EXPORTED - FIELD_ALIASES
    assert missing == set()


@pytest.mark.parametrize(
    "cls",
    [
        value
        for value in vars(onerouter_core).values()
        if is_dataclass(value) or hasattr(value, "_fields")
    ],
)
def test_every_field_of_a_value_type_has_a_docstring(cls: type) -> None:
    """The docstring under a field is what an editor shows for it."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    body = definition.body  # type: ignore[attr-defined]
    undocumented = [
        ast.unparse(statement.target)
        for statement, following in pairwise(body)
        if isinstance(statement, ast.AnnAssign)
        and not ast.unparse(statement.target).startswith("_")
        and not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant))
    ]
    assert undocumented == []


@pytest.mark.parametrize("package", FRAMEWORK_PACKAGES)
def test_framework_packages_import_exported_names_only(package: str) -> None:
    """A third framework can be built on the same names."""
    for path in (ROOT / package).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "onerouter_core"
            ):
                public = importlib.import_module(str(node.module))
                assert public in PUBLIC_MODULES, f"{path.name} imports from {node.module}"
                assert {alias.name for alias in node.names} <= {*public.__all__, "errors"}


# --- names of version 1.0 ---


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CacheMark", "CacheControl"),
        ("Connection", "ConnectionSettings"),
        ("Entry", "LedgerEntry"),
        ("Parameters", "GatewayFields"),
        ("Piece", "ReplyDelta"),
    ],
)
def test_old_names_warn(old: str, new: str) -> None:
    """A name of version 1.0 is an alias that says the new name."""
    with pytest.warns(DeprecationWarning, match=f"is now onerouter_core.{new}"):
        assert getattr(onerouter_core, old) is getattr(onerouter_core, new)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The aliases do not hide a misspelt name."""
    with pytest.raises(AttributeError, match="no attribute 'Conection'"):
        _ = onerouter_core.Conection  # type: ignore[attr-defined]


def test_old_attributes_warn() -> None:
    """`Ledger.book` and `end` of a delta are aliases, too."""
    ledger = Ledger()
    with pytest.warns(DeprecationWarning, match="Ledger.record"):
        ledger.book(LedgerEntry.of(Reply(), 0.0))
    assert len(ledger.entries) == 1
    with pytest.warns(DeprecationWarning, match="final_reply"):
        assert ReplyDelta(final_reply=Reply(text="Hi")).end == Reply(text="Hi")
