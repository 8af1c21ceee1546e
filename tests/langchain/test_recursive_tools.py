"""Tools and structured output with recursive schemas."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool, tool
from pydantic import BaseModel
from pydantic.v1 import BaseModel as BaseModelV1

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, completion
from tests.langchain.conftest import Mode


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
    """A BaseTool subclass."""

    name: str = "store"
    description: str = "Store a node."
    args_schema: Any = Store

    def _run(self, root: Node) -> str:
        return str(root)


LEAF = {"type": "object", "properties": {"value": {"type": "integer"}}}
NODE_REF = {"$ref": "#/$defs/Node"}
NODE_SCHEMA = {
    "type": "object",
    "properties": {"root": NODE_REF},
    "required": ["root"],
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"children": {"type": "array", "items": NODE_REF}},
        }
    },
}
JSON_SCHEMA_TOOL = StructuredTool(
    name="store", description="Store a node.", args_schema=NODE_SCHEMA, func=store
)

TOOLS: dict[str, Any] = {
    "a class": Store,
    "a pydantic.v1 class": StoreV1,
    "a function": store,
    "a decorated function": tool(store),
    "a BaseTool": StoreTool(),
    "a tool with a JSON schema": JSON_SCHEMA_TOOL,
    "a JSON schema": {"title": "store", "description": "Store a node.", **NODE_SCHEMA},
    "a function's dict": {
        "name": "store",
        "description": "Store a node.",
        "parameters": NODE_SCHEMA,
    },
}


def sent_function(
    llm: ChatOneRouter, sim: Simulator, *tools: Any, **options: Any
) -> dict[str, Any]:
    """Bind tools, send a request, and return its first function."""
    sim.script(Script(json=completion()))
    llm.bind_tools(list(tools), **options).invoke("Hi")
    function: dict[str, Any] = sim.last.body["tools"][0]["function"]
    return function


@pytest.mark.parametrize("strict", [None, True], ids=["default", "strict"])
@pytest.mark.parametrize("tool_input", TOOLS.values(), ids=TOOLS)
def test_a_recursive_reference_below_the_root_is_sent(
    llm: ChatOneRouter, sim: Simulator, tool_input: Any, strict: bool | None
) -> None:
    """The definition is sent with the reference; strict applies to both."""
    function = sent_function(llm, sim, tool_input, strict=strict)
    assert function["name"].lower() in {"store", "storev1"}
    assert function["description"] == "Store a node."
    parameters = function["parameters"]
    reference = parameters["properties"]["root"]
    _, definitions, name = reference["$ref"].split("/")
    node = parameters[definitions][name]
    assert node["properties"]["children"]["items"] == reference
    assert not parameters.keys() & {"title", "description", "$ref"}
    additional = [schema.get("additionalProperties") for schema in (parameters, node)]
    assert additional == ([False, False] if strict else [None, None])


def test_a_reference_to_the_root_is_sent(llm: ChatOneRouter, sim: Simulator) -> None:
    """The reference `#` is recursive as well."""
    items = {"type": "array", "items": {"$ref": "#"}}
    schema = {"type": "object", "properties": {"children": items}}
    self_referencing_tool = StructuredTool(
        name="store", description="Store.", args_schema=schema, func=store
    )
    assert sent_function(llm, sim, self_referencing_tool)["parameters"] == schema


def test_references_without_recursion_are_inlined(llm: ChatOneRouter, sim: Simulator) -> None:
    """Not every upstream follows references; a class used twice is not recursive."""
    parameters = sent_function(llm, sim, Twig)["parameters"]
    leaf = {**LEAF, "description": "A leaf.", "required": ["value"]}
    assert parameters["properties"] == {"left": leaf, "right": leaf}
    assert "$defs" not in parameters


@pytest.mark.parametrize("strict", [None, True], ids=["default", "strict"])
def test_structured_output_with_a_recursive_reference(
    llm: ChatOneRouter, sim: Simulator, mode: Mode, strict: bool | None
) -> None:
    """The schema is strict, and the answer is parsed."""
    root = '{"value": 1, "children": [{"value": 2, "children": []}]}'
    sim.script(Script(json=completion(f'{{"root": {root}}}')))
    value = mode.invoke(llm.with_structured_output(Store, strict=strict), "x")
    assert value.root.children[0].value == 2
    json_schema = sim.last.body["response_format"]["json_schema"]
    assert json_schema["strict"] is True
    assert json_schema["schema"]["properties"]["root"] == NODE_REF
    assert json_schema["schema"]["$defs"]["Node"]["additionalProperties"] is False
