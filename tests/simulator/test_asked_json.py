"""JSON that a prompt asks for in words: schemas and examples, in the forms of the frameworks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.output_parsers import JsonOutputParser
from langchain_core.output_parsers import PydanticOutputParser as LangChainParser
from llama_index.core.output_parsers import PydanticOutputParser as LlamaIndexParser
from llama_index.core.output_parsers.selection import SelectionOutputParser
from llama_index.core.selectors.prompts import DEFAULT_SINGLE_SELECT_PROMPT_TMPL
from pydantic import BaseModel, RootModel

from onerouter_simulator.asked_json import find_example, find_schema
from tests.simulator.conftest import JSON, Complete

SCHEMA: JSON = {"properties": {"a": {"type": "string"}}}

# As LlamaIndex's prompt templates escape it.
DOUBLED = json.dumps(SCHEMA).replace("{", "{{").replace("}", "}}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Follow {json.dumps(SCHEMA)} now", (SCHEMA, "Follow  now")),
        (f"{{a}} {{}} {json.dumps(SCHEMA)}", (SCHEMA, "{a} {} ")),
        (f"Follow {DOUBLED} now", (SCHEMA, "Follow  now")),
        (f"{{a}} {DOUBLED}", (SCHEMA, "{a} ")),
        (json.dumps({"schema": SCHEMA}), None),
        ('{"properties": []}', None),
        ("{broken", None),
        ("", None),
    ],
)
def test_a_schema_is_found_in_a_text(text: str, expected: tuple[JSON, str] | None) -> None:
    """A schema is a JSON object with `properties`, not within another object."""
    assert find_schema(text) == expected


def test_the_last_schema_is_that_of_the_answer() -> None:
    """A schema before it is an example; what stands between them is no text to read values from."""
    text = f'A {{"properties": {{"foo": {{}}}}}} B {json.dumps(SCHEMA)} C'
    assert find_schema(text) == (SCHEMA, "A  C")
    instance = '{"properties": {"foo": ["bar"]}}'
    assert find_schema(f"{json.dumps(SCHEMA)} gives {instance}") == (SCHEMA, f" gives {instance}")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"$ref": "#/$defs/A"}, "$defs": {"A": SCHEMA}},
        {"items": {"type": "string"}, "type": "array"},
        {"$ref": "#/$defs/A", "$defs": {"A": SCHEMA}},
    ],
)
def test_a_schema_of_another_root(schema: JSON) -> None:
    """The schema of a list, and that of a class that contains itself."""
    assert find_schema(json.dumps(schema)) == (schema, "")


STRING, INTEGER = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('Answer in JSON: {"name": "Bob", "age": 1}', {"name": STRING, "age": INTEGER}),
        ("Reply with JSON like {{name: <name>, age: int}}", {"name": STRING, "age": INTEGER}),
        (
            "Return JSON.\nExample:\n```json\n{'ok': true, 's': 0.5,}\n```",
            {"ok": {"type": "boolean"}, "s": {"type": "number"}},
        ),
        (
            'Output JSON in this form:\n{\n"a": string  // see https://x.y\n"b": "..."\n}',
            {"a": STRING, "b": STRING},
        ),
        (
            'The answer is JSON, for example {"a": {"b": [1, ...]}}',
            {
                "a": {
                    "type": "object",
                    "properties": {"b": {"type": "array", "items": INTEGER}},
                    "required": ["b"],
                }
            },
        ),
    ],
)
def test_an_example_gives_a_schema(text: str, fields: JSON) -> None:
    """Keys may be bare, braces doubled; values may be placeholders or types."""
    found = find_example(text)
    assert found
    assert found[0] == {"type": "object", "properties": fields, "required": list(fields)}


@pytest.mark.parametrize(
    "text",
    [
        'Summarise {"a": 1} and answer in JSON.',  # data before the request
        'Answer in JSON. Data: {"a": 1}',
        'Here is an example: {"a": 1}',  # no request
        "The input to the tool, in a JSON format (e.g. {'a': 1})",  # of ReAct's prompts
        "Answer in JSON, for example {a}",
        "Answer in JSON, for example {a: ",
        "Answer in JSON, for example [:]",
        "Answer in JSON, for example [ {a: 1 ]",
        f"Answer in JSON, for example {'[' * 2000}{']' * 2000}",
        "Answer in JSON.",
    ],
)
def test_other_brackets_are_no_example(text: str) -> None:
    """An example follows the request for JSON, and a word that introduces it."""
    assert find_example(text) is None


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class People(BaseModel):
    """People."""

    people: list[Person]


ADA = {"name": "Ada Lovelace", "age": 36}
QUESTION = "Who was 'Ada Lovelace', aged 36?"


@pytest.mark.parametrize("parser", [LangChainParser, JsonOutputParser])
@pytest.mark.parametrize("template", ["{0}\n{1}", "Answer the user query.\n{1}\n{0}\n"])
@pytest.mark.parametrize(("output", "value"), [(Person, ADA), (People, {"people": [ADA]})])
def test_langchain_format_instructions(
    get_message: Complete, parser: Any, template: str, output: type[BaseModel], value: JSON
) -> None:
    """Before and after the question; their own example is not answered."""
    instructions = parser(pydantic_object=output).get_format_instructions()
    answer = get_message(template.format(QUESTION, instructions))["content"]
    assert json.loads(answer) == value


@pytest.mark.parametrize(("output", "value"), [(Person, ADA), (People, {"people": [ADA]})])
def test_llama_index_format(get_message: Complete, output: type[BaseModel], value: JSON) -> None:
    """LlamaIndex's parser of pydantic objects appends the schema, with doubled braces."""
    answer = get_message(LlamaIndexParser(output).format(QUESTION))["content"]
    assert json.loads(answer) == value


def test_a_schema_asked_for_in_words(get_message: Complete) -> None:
    """The schema of a list gives a list."""
    schema = json.dumps(RootModel[list[Person]].model_json_schema())
    prompt = f"{QUESTION}\nRespond only with JSON that follows this schema: {schema}"
    assert json.loads(get_message(prompt)["content"]) == [ADA]


def test_the_developer_asks_for_json(get_message: Complete) -> None:
    """Instructions may be in a message of another role than the question."""
    example = 'Answer in JSON, like {"name": "Bob", "age": 1}'
    messages = [{"role": "developer", "content": example}, {"role": "user", "content": QUESTION}]
    assert json.loads(get_message(messages)["content"]) == ADA


@pytest.mark.parametrize("formats", [1, 2])  # LlamaIndex's selector of several formats twice
def test_llama_index_selection(get_message: Complete, formats: int) -> None:
    """The choice is a number of the prompt's list, the reason a text."""
    prompt = DEFAULT_SINGLE_SELECT_PROMPT_TMPL.format(
        num_choices=2, context_list="(1) Cities\n\n(2) Rivers", query_str="Where is Oslo?"
    )
    for _ in range(formats):
        prompt = SelectionOutputParser().format(prompt)
    answer = json.loads(get_message(prompt)["content"])
    assert answer == [{"choice": 1, "reason": "Where is Oslo?"}]
