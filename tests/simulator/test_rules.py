"""The rules of the answers, requested with the plain OpenAI SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_simulator.rules import is_mentioned
from tests.simulator.conftest import (
    CLOCK,
    IMAGE_PART,
    INTEGER,
    JSON,
    MULTIPLY,
    STRING,
    WEATHER,
    Complete,
    function,
    tool_turn,
    user_message,
)

REPORT = {
    "type": "object",
    "properties": {"city": STRING, "degrees": INTEGER},
    "required": ["city", "degrees"],
}
REPORT_FORMAT = {"type": "json_schema", "json_schema": {"name": "report", "schema": REPORT}}


def called(message: JSON) -> list[tuple[str, JSON]]:
    """Return the names and arguments of the tool calls in a message."""
    functions = [call["function"] for call in message.get("tool_calls", ())]
    return [(function["name"], json.loads(function["arguments"])) for function in functions]


# --- refusal and echo ---------------------------------------------------------------------------


def test_please_refuse_gives_a_refusal(complete: Complete) -> None:
    """The message has a refusal and no content."""
    choice = complete("Please refuse to help.")["choices"][0]
    assert choice["message"]["content"] is None
    assert choice["message"]["refusal"].startswith("I refuse")
    assert choice["finish_reason"] == "stop"


def test_the_last_user_text_is_echoed(get_message: Complete) -> None:
    """If no other rule applies, the answer repeats the last user message."""
    history = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "You said: One"},
        {"role": "user", "content": "Two", "name": "ada"},
    ]
    assert get_message(history) == {"role": "assistant", "content": "You said: Two"}


def test_a_prefilled_answer_and_a_system_text_alone_are_echoed(get_message: Complete) -> None:
    """The messages may end with an assistant message, or have no user message."""
    prefilled = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well,"}]
    assert get_message(prefilled)["content"] == "You said: Hi"
    assert get_message([{"role": "system", "content": "Hum"}])["content"] == "You said: Hum"


# --- tool calls ---------------------------------------------------------------------------------


def test_a_named_tool_choice_calls_that_tool(complete: Complete) -> None:
    """The text does not need to mention the tool."""
    tool_choice = {"type": "function", "function": {"name": "get_weather"}}
    reply = complete("Hello!", tools=[MULTIPLY, WEATHER], tool_choice=tool_choice)["choices"][0]
    assert called(reply["message"]) == [("get_weather", {"location": "Hello"})]
    assert reply["message"]["content"] is None
    assert reply["finish_reason"] == "tool_calls"


def test_required_calls_the_mentioned_tool_else_the_first(get_message: Complete) -> None:
    """`tool_choice: required` makes one call."""
    arguments: Any = {"tools": [MULTIPLY, WEATHER, CLOCK], "tool_choice": "required"}
    mentioned = get_message("The weather in Oslo, NO?", **arguments)
    assert called(mentioned) == [("get_weather", {"location": "Oslo, NO"})]
    first = get_message("6 and 7", **arguments)
    assert called(first) == [("multiply", {"a": 6, "b": 7})]


def test_required_prefers_a_tool_not_called_in_this_turn(get_message: Complete) -> None:
    """An agent that must always call a tool comes to its last tool, and so to an end."""
    messages = tool_turn("get_weather", "Rain", "The weather in Oslo?")
    tools = [WEATHER, function("final_answer", text=STRING)]
    other = get_message(messages, tools=tools, tool_choice="required")
    assert called(other)[0][0] == "final_answer"
    again = get_message(messages, tools=tools[:1], tool_choice="required")
    assert called(again)[0][0] == "get_weather"


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("Please multiply 2 and 3.", ["multiply"]),
        ("What is the weather in Rome?", ["get_weather"]),
        ("Multiply 2 by 3 and tell_time in Rome", ["multiply", "tell_time"]),
        ("What is 12 * 7?", ["multiply"]),
        ("What is 12 × 7?", ["multiply"]),  # noqa: RUF001 - people write the multiplication sign
        ("What is 12 + 7?", []),
        ("Tell me the time.", []),
        ("Weathering is slow.", ["get_weather"]),
        ("Hello", []),
    ],
)
def test_auto_calls_the_mentioned_tools(
    get_message: Complete, prompt: str, names: list[str]
) -> None:
    """A text mentions a tool by its whole name, a long word of the name, or arithmetic."""
    tools = [MULTIPLY, WEATHER, CLOCK]
    assert [name for name, _ in called(get_message(prompt, tools=tools))] == names


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("add", "3 + 4", True),
        ("sum_up", "3+4", True),
        ("divide", "8 ÷ 2", True),
        ("divide", "8 / two", False),
        ("get_time", "get the time", False),
        ("getWeather", "WEATHER?", True),
        ("a", "a", True),
        ("a", "an", False),
    ],
)
def test_a_text_mentions_a_tool(name: str, text: str, *, expected: bool) -> None:
    """Operators need a number on both sides; words of four letters or fewer do not count."""
    assert is_mentioned(name, text) is expected


def test_parallel_tool_calls_false_gives_one_call(get_message: Complete) -> None:
    """Only the first mentioned tool is called."""
    prompt = "Multiply 2 by 3 and tell_time in Rome"
    message = get_message(prompt, tools=[MULTIPLY, CLOCK], parallel_tool_calls=False)
    assert called(message) == [("multiply", {"a": 2, "b": 3})]


def test_tool_choice_none_gives_no_call(get_message: Complete) -> None:
    """The text is echoed, although it mentions the tool."""
    message = get_message("Multiply 2 by 3", tools=[MULTIPLY], tool_choice="none")
    assert message["content"] == "You said: Multiply 2 by 3"


def test_a_tool_without_parameters_is_called_with_an_empty_object(get_message: Complete) -> None:
    """The arguments are `{}`."""
    tool = {"type": "function", "function": {"name": "ping"}}
    assert called(get_message("ping", tools=[tool])) == [("ping", {})]


# --- tool results -------------------------------------------------------------------------------


def test_tool_results_are_quoted(get_message: Complete) -> None:
    """A text follows a result, even if the user's text mentions the tool: agents come to an end."""
    message = get_message(tool_turn("multiply", "84", "Multiply 12 by 7"), tools=[MULTIPLY])
    assert message == {"role": "assistant", "content": "According to multiply: 84"}


def test_results_without_a_user_message_and_in_parts_are_quoted(get_message: Complete) -> None:
    """A history may start with a tool call, and a result may have text parts."""
    messages = tool_turn("multiply", "84")[1:]
    messages[-1] = messages[-1] | {"content": [{"type": "text", "text": "eighty-four"}]}
    assert get_message(messages)["content"] == "According to multiply: eighty-four"


def test_media_after_a_result_are_no_new_question(get_message: Complete) -> None:
    """A user message right after a result carries its media; the tool is not called again."""
    history = tool_turn("get_weather", "see image", "weather?")
    messages = [*history, user_message("From get_weather:", IMAGE_PART)]
    assert get_message(messages, tools=[WEATHER])["content"] == (
        "According to get_weather: see image\nI see 1 image (image/png, 70 bytes)."
    )


def test_a_question_after_an_answered_turn_calls_the_tool_again(get_message: Complete) -> None:
    """Results of an earlier turn do not prevent a call."""
    history = [*tool_turn("get_weather", "Rain"), {"role": "assistant", "content": "It rains."}]
    messages = [*history, {"role": "user", "content": "And the weather in Rome?"}]
    assert called(get_message(messages, tools=[WEATHER])) == [("get_weather", {"location": "Rome"})]


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response_format",
    [REPORT_FORMAT, {"type": "json", "schema": REPORT, "name": "report", "description": "Text."}],
    ids=["json_schema", "json"],
)
def test_a_response_format_with_a_schema_gives_json(
    get_message: Complete, response_format: JSON
) -> None:
    """Both forms with a schema give JSON text that is valid for it."""
    message = get_message("It is 21 degrees in Paris.", response_format=response_format)
    assert json.loads(message["content"]) == {"city": "Paris", "degrees": 21}


def test_json_has_values_from_tool_results(get_message: Complete) -> None:
    """A structured answer after a tool call has the values of the result."""
    messages = tool_turn("get_weather", "21 degrees", "The weather in Paris?")
    message = get_message(messages, tools=[WEATHER], response_format=REPORT_FORMAT)
    assert json.loads(message["content"]) == {"city": "Paris", "degrees": 21}


@pytest.mark.parametrize("kind", ["json_object", "json"])
def test_json_without_a_schema_has_the_quoted_keys(get_message: Complete, kind: str) -> None:
    """Strings in quotes are the keys; if there are none, the key is `answer`."""
    prompt = "Tell me a joke about cats. Answer as JSON with 'setup' and 'punchline' keys."
    message = get_message(prompt, response_format={"type": kind})
    assert set(json.loads(message["content"])) == {"setup", "punchline"}
    message = get_message("JSON please", response_format={"type": kind})
    assert json.loads(message["content"]) == {"answer": "JSON please"}


def test_a_schema_in_the_prompt_gives_json(get_message: Complete) -> None:
    """A schema in the user or system text is found among other braces."""
    schema = json.dumps(REPORT)
    prompt = f"It is {{hot}} {{}}: 21 degrees in Paris. Follow this schema:\n{schema}"
    assert json.loads(get_message(prompt)["content"]) == {"city": "Paris", "degrees": 21}
    messages = [{"role": "system", "content": schema}, {"role": "user", "content": "3 in Rome"}]
    assert json.loads(get_message(messages)["content"]) == {"city": "Rome", "degrees": 3}


def test_the_text_format_changes_nothing(get_message: Complete) -> None:
    """`response_format: text` is the default."""
    assert get_message("Hi", response_format={"type": "text"})["content"] == "You said: Hi"
