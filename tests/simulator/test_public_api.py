"""The public API of onerouter_simulator: `__all__`, the types it mentions, and deprecated names."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import onerouter_simulator
from onerouter_simulator import End, Event, RecordedRequest, Script, Simulator

PUBLIC = {name: getattr(onerouter_simulator, name) for name in onerouter_simulator.__all__}
# Names in annotations that are Python's own.
STANDARD = {
    *("Any", "Callable", "Literal", "Mapping", "Path", "Sequence", "Iterator", "TracebackType"),
    "BaseException",
    *("bool", "bytes", "dict", "float", "int", "list", "str", "type"),
}


def annotation_names(value: Any) -> set[str]:
    """Return the names in the annotations of a class or function, without private members."""
    (definition,) = ast.parse(inspect.getsource(value)).body
    functions = [node for node in ast.walk(definition) if isinstance(node, ast.FunctionDef)]
    public = [node for node in functions if node.name[0] != "_" or node.name[:2] == "__"]
    arguments = [arg for node in public for arg in ast.walk(node.args) if isinstance(arg, ast.arg)]
    fields = definition.body if isinstance(definition, ast.ClassDef) else []
    annotations = [
        *(node.returns for node in public),
        *(argument.annotation for argument in arguments),
        *(node.annotation for node in fields if is_public_field(node)),
    ]
    return {name for node in annotations if node for name in names_in(node)}


def is_public_field(node: ast.stmt) -> bool:
    """Whether a statement of a class declares a field without a leading underscore."""
    return isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_")


def names_in(annotation: ast.expr) -> set[str]:
    """Return the names in an annotation, also in a quoted one."""
    unquoted = ast.parse(ast.unparse(annotation).replace("'", ""))
    return {node.id for node in ast.walk(unquoted) if isinstance(node, ast.Name)}


def test_all_is_sorted_and_complete() -> None:
    """`__all__` lists every public name of the package, except modules."""
    names = {
        name
        for name, value in vars(onerouter_simulator).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert onerouter_simulator.__all__ == sorted(names)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in {"End", "Event"}])
def test_types_in_public_annotations_are_exported(name: str) -> None:
    """A caller can import every type that a public function or class mentions."""
    assert annotation_names(PUBLIC[name]) - STANDARD <= PUBLIC.keys()


def test_annotation_names_are_found() -> None:
    """The check of the annotations sees fields, properties, methods and quoted names."""
    assert {"End", "Event", "Iterator"} <= annotation_names(Script)
    assert {"RecordedRequest", "Script", "Simulator"} <= annotation_names(Simulator)


def test_end_and_event_accept_their_values() -> None:
    """The two aliases are types for annotations of scripts."""
    end: End = "cut"
    events: list[Event] = [{"a": 1}, "b", b"c", 0.5]
    assert Script(events=events, end=end).events == events


def test_the_docstring_has_the_rules() -> None:
    """The docstring of the package, shown in the documentation, has all six rules."""
    documentation = onerouter_simulator.__doc__ or ""
    assert all(f"\n{number}.  " in documentation for number in range(1, 7))
    assert "max_tokens" in documentation


def test_received_is_a_deprecated_name_of_recorded_request() -> None:
    """The old name still works and warns with the new one."""
    with pytest.warns(DeprecationWarning, match=r"Received is now onerouter_simulator\.Recorded"):
        from onerouter_simulator import Received  # noqa: PLC0415 - the import is under test
    assert Received is RecordedRequest


@pytest.mark.parametrize("name", ["dialects", "other_servers"])
def test_the_replies_of_other_servers_have_left_the_package(name: str) -> None:
    """The error says what takes their place."""
    with pytest.raises(ImportError, match=rf"{name} is no longer .* Simulator\(quirks="):
        exec(f"from onerouter_simulator import {name}")  # noqa: S102 -- the import is under test


def test_the_import_loads_no_server_and_dir_lists_all_names() -> None:
    """Pytest imports the package at each start, for the plugin."""
    heavy = {"starlette", "uvicorn", "h11", "asyncio", "ssl"}
    code = (
        f"import sys, onerouter_simulator as s; print(sorted({heavy} & sys.modules.keys()));"
        "print({*s.__all__} <= {*dir(s)}, s.Simulator.__name__)"
    )
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own code
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n") == ["[]", "True Simulator", ""]


def test_without_the_extra_a_name_says_what_to_install() -> None:
    """The plugin is imported without it, and does not end the user's pytest."""
    code = """
import sys
sys.modules["starlette"] = None
import onerouter_simulator.pytest_plugin
from onerouter_simulator import Simulator
"""
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert 'pip install "onerouter-integrations[simulator]"' in done.stderr
    assert "line 5" in done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    """`__getattr__` of the module does not hide misspelt names."""
    with pytest.raises(AttributeError, match="'onerouter_simulator' has no attribute 'Scrpt'"):
        onerouter_simulator.Scrpt  # noqa: B018 - reading the attribute is under test
