"""Schemas that lead back to themselves, at the root and anywhere below it."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool, tool
from pydantic import BaseModel
from pydantic.v1 import BaseModel as BaseModelV1

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, completion
from tests.langchain.conftest import Colour


class Node(BaseModel):
    """A node."""

    value: int
    children: list[Node]


class Store(BaseModel):
    """Store a node."""

    root: Node


class NodeV1(BaseModelV1):
    """A node."""

    value: int
    children: list[NodeV1]


NodeV1.update_forward_refs()


class StoreV1(BaseModelV1):
    """Store a node."""

    root: NodeV1


class Leaf(BaseModel):
    """A leaf."""

    value: int


class Twig(BaseModel):
    """Store two leaves."""

    left: Leaf
    right: Leaf


def store(root: Node) -> str:
    """Store a node."""
    return str(root)


class StoreTool(BaseTool):
    """A tool of one's own class."""

    name: str = "store"
    description: str = "Store a node."
    args_schema: Any = Store

    def _run(self, root: Node) -> str:
        return str(root)


LEAF = {"type": "object", "properties": {"value": {"type": "integer"}}}
TO_NODE = {"$ref": "#/$defs/Node"}
BY_NAME = {
    "type": "object",
    "properties": {"root": TO_NODE},
    "required": ["root"],
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"children": {"type": "array", "items": TO_NODE}},
        }
    },
}
LISTED = StructuredTool(name="store", description="Store a node.", args_schema=BY_NAME, func=store)

KINDS: dict[str, Any] = {
    "a class": Store,
    "a class of pydantic's first generation": StoreV1,
    "a function": store,
    "a decorated function": tool(store),
    "a BaseTool": StoreTool(),
    "a tool with a JSON schema": LISTED,
    "a JSON schema": {"title": "store", "description": "Store a node.", **BY_NAME},
    "a function's dict": {"name": "store", "description": "Store a node.", "parameters": BY_NAME},
}


def sent_of(llm: ChatOneRouter, sim: Simulator, *tools: Any, **options: Any) -> dict[str, Any]:
    """Return the first function that arrives."""
    sim.script(Script(json=completion()))
    llm.bind_tools(list(tools), **options).invoke("Hi")
    function: dict[str, Any] = sim.last.body["tools"][0]["function"]
    return function


@pytest.mark.parametrize("strict", [None, True], ids=["loose", "strict"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_recursion_below_the_root(
    llm: ChatOneRouter, sim: Simulator, kind: Any, strict: bool | None
) -> None:
    """The reference arrives with what it leads to; strictness reaches both."""
    function = sent_of(llm, sim, kind, strict=strict)
    assert function["name"].lower() in {"store", "storev1"}
    assert function["description"] == "Store a node."
    parameters = function["parameters"]
    reference = parameters["properties"]["root"]
    _, where, name = reference["$ref"].split("/")
    node = parameters[where][name]
    assert node["properties"]["children"]["items"] == reference
    assert not parameters.keys() & {"title", "description", "$ref"}
    closed = [one.get("additionalProperties") for one in (parameters, node)]
    assert closed == ([False, False] if strict else [None, None])


def test_a_schema_that_leads_to_its_own_root(llm: ChatOneRouter, sim: Simulator) -> None:
    """The shortest reference there is stays as well."""
    items = {"type": "array", "items": {"$ref": "#"}}
    form = {"type": "object", "properties": {"children": items}}
    own = StructuredTool(name="store", description="Store.", args_schema=form, func=store)
    assert sent_of(llm, sim, own)["parameters"] == form


def test_what_does_not_recur_has_no_references(llm: ChatOneRouter, sim: Simulator) -> None:
    """Not every upstream follows them; a class that stands twice is no recursion."""
    parameters = sent_of(llm, sim, Twig)["parameters"]
    leaf = {**LEAF, "description": "A leaf.", "required": ["value"]}
    assert parameters["properties"] == {"left": leaf, "right": leaf}
    assert "$defs" not in parameters


@pytest.mark.parametrize("strict", [None, True], ids=["unsaid", "strict"])
def test_an_object_with_a_recursion_below_its_root(
    llm: ChatOneRouter, sim: Simulator, colour: Colour, strict: bool | None
) -> None:
    """It is asked for strictly, and read."""
    root = '{"value": 1, "children": [{"value": 2, "children": []}]}'
    sim.script(Script(json=completion(f'{{"root": {root}}}')))
    found = colour.invoke(llm.with_structured_output(Store, strict=strict), "x")
    assert found.root.children[0].value == 2
    sent = sim.last.body["response_format"]["json_schema"]
    assert sent["strict"] is True
    assert sent["schema"]["properties"]["root"] == TO_NODE
    assert sent["schema"]["$defs"]["Node"]["additionalProperties"] is False
