"""Walk over all that an exception holds: frames, their locals, causes, contexts, notes, attributes.

It sees what an error tracker can see, and more: containers and the attributes of all objects are
followed to any depth. A secret of the tests contains the word "canary".
"""

from __future__ import annotations

import traceback
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

from pydantic import BaseModel, Secret, SecretStr

from onerouter_core import ConnectionSettings

# The values that the user has set are in the user's own objects, and in those that the package
# makes of them: a debugger shows them, but no repr does (tests/faults/test_secrets.py).
_SETTINGS = {"default_headers", "headers"}
_TESTS = Path(__file__).parents[1]
_OPAQUE = (
    *(ModuleType, type, BuiltinFunctionType, Secret, SecretStr, int, float, type(None)),
    AbstractEventLoop,  # it has the open generators of all calls
)


def iter_errors(error: BaseException | None, seen: set[int] | None = None) -> Iterator[Any]:
    """Yield an exception, its causes, its contexts and the members of groups, each once."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    members = getattr(error, "exceptions", ())
    for linked in (error.__cause__, error.__context__, *members):
        yield from iter_errors(linked, seen)


def iter_frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames of an exception's traceback, without those of the tests."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if _TESTS not in Path(frame.f_code.co_filename).parents:
            yield frame


def find_secrets(error: BaseException, is_walked: Callable[[FrameType], bool]) -> list[str]:
    """Return the paths at which an exception holds a secret; of its frames, only these."""
    found: list[str] = []
    seen: dict[int, Any] = {}
    for linked in iter_errors(error):
        name = type(linked).__name__
        values = {"args": linked.args, **vars(linked)}
        found += [f"{name}.{path}" for path in _paths_of_secrets(values, seen)]
        for frame in filter(is_walked, iter_frames(linked)):
            place = f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}"
            found += [f"{place} {path}" for path in _paths_of_secrets(frame.f_locals, seen)]
    return found


def _paths_of_secrets(root: Any, seen: dict[int, Any]) -> Iterator[str]:
    """Yield the paths, below an object, of all texts that contain a secret."""
    pending: list[tuple[str, Any]] = [("", root)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, str | bytes | bytearray):
            if "canary" in (value if isinstance(value, str) else value.decode("latin-1")):
                yield path
        elif not isinstance(value, _OPAQUE) and id(value) not in seen:
            seen[id(value)] = value  # kept: another object at the same address would count as seen
            pending += [(f"{path}.{name}", child) for name, child in _children(value)]


def _children(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from ((repr(key)[:40], child) for key, child in list(value.items()))
        yield "keys()", list(value)
    elif isinstance(value, list | tuple | AbstractSet):
        yield from enumerate(value)
    elif isinstance(value, FunctionType):
        yield from enumerate(cell.cell_contents for cell in value.__closure__ or ())
    elif isinstance(value, MethodType):
        yield "__self__", value.__self__
    elif isinstance(value, partial):
        yield from (("func", value.func), ("args", value.args), ("keywords", value.keywords))
    elif isinstance(value, FrameType):
        yield "f_locals", value.f_locals
    else:
        yield from _attributes(value)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    names = {name for kind in type(value).__mro__ for name in _slots(kind)}
    names |= vars(value).keys() if hasattr(value, "__dict__") else set()
    for name in (*names, "gi_frame", "cr_frame", "ag_frame"):
        is_setting = isinstance(value, ConnectionSettings | BaseModel) and name in _SETTINGS
        if name != "__dict__" and not is_setting:
            try:
                yield name, getattr(value, name)
            except Exception:  # noqa: BLE001, S112 -- not set, or not readable
                continue


def _slots(kind: type) -> Iterable[str]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots
