"""The rules by which the simulator answers, asked by the plain OpenAI SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.conftest import INTEGER, JSON, STRING, Ask, function

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJg"
    "gg=="
)
MULTIPLY = function("multiply", a=INTEGER, b=INTEGER)
WEATHER = function("get_weather", location=STRING)
CLOCK = function("tell_time", city=STRING)


def user(*parts: JSON | str) -> JSON:
    """Make a user message of parts."""
    spelled = [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]
    return {"role": "user", "content": spelled}


def called(message: JSON) -> list[tuple[str, JSON]]:
    """Return the names and arguments of the tool calls in a message."""
    functions = [call["function"] for call in message.get("tool_calls", ())]
    return [(one["name"], json.loads(one["arguments"])) for one in functions]


def turn(name: str, result: str, asked: str = "What now?") -> list[JSON]:
    """Make a question, a tool call for it, and the tool's result."""
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": result},
    ]


def test_the_last_user_text_is_echoed(message: Ask) -> None:
    """Without another rule the answer says what the user said last."""
    history = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "You said: One"},
        {"role": "user", "content": "Two", "name": "ada"},
    ]
    assert message(history) == {"role": "assistant", "content": "You said: Two"}


def test_a_prefilled_answer_and_a_lonely_system_text_are_echoes_too(message: Ask) -> None:
    """A list may end with an assistant message, or hold no user at all."""
    prefilled = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well,"}]
    assert message(prefilled)["content"] == "You said: Hi"
    assert message([{"role": "system", "content": "Hum"}])["content"] == "You said: Hum"


@pytest.mark.parametrize("stop", ["said", ["never", "said"]])
def test_an_answer_ends_before_a_stop_sequence(ask: Ask, stop: Any) -> None:
    """`stop` cuts the text."""
    choice = ask("Hello", stop=stop)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("You ", "stop")


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_an_answer_ends_at_its_limit(ask: Ask, limit: str) -> None:
    """Four letters are a token, and the finish reason says that more was to come."""
    choice = ask("Hello", **{limit: 2})["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("You said", "length")


def test_media_are_named_with_type_and_size(message: Ask) -> None:
    """Every kind of part the API page allows is seen for what it is."""
    url = f"data:image/png;base64,{PIXEL}"
    parts = [
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"data": "JVBERg==", "media_type": "application/pdf"}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}},
        {"type": "video_url", "video_url": {"url": "https://example.com/cat.mp4"}},
    ]
    assert message([user("Look", *parts)])["content"] == (
        "I see 2 images (image/png, 70 bytes; https://example.com/cat.jpg)"
        " and 1 audio recording (wav, 3 bytes)"
        " and 2 files (application/pdf, 4 bytes; text/plain, 2 bytes)"
        " and 1 video (https://example.com/cat.mp4). You said: Look"
    )
    assert message([user(parts[2])])["content"] == "I see 1 audio recording (wav, 3 bytes)."


def test_the_same_request_gets_the_same_answer(ask: Ask) -> None:
    """Only ids and times differ."""

    def answer() -> JSON:
        reply = ask("Add 3 and 4", tools=[MULTIPLY], tool_choice="required")
        for name in ("id", "created", "request_id"):
            reply.pop(name)
        reply["choices"][0]["message"]["tool_calls"][0].pop("id")
        return reply

    assert answer() == answer()


def test_please_refuse_is_refused(ask: Ask) -> None:
    """A refusal has its own place, and no content."""
    choice = ask("Please refuse to help.")["choices"][0]
    assert choice["message"]["content"] is None
    assert choice["message"]["refusal"].startswith("I refuse")
    assert choice["finish_reason"] == "stop"


def test_a_named_function_is_called(ask: Ask) -> None:
    """`tool_choice` with a name calls that tool, whatever the text says."""
    choice = {"type": "function", "function": {"name": "get_weather"}}
    reply = ask("Hello!", tools=[MULTIPLY, WEATHER], tool_choice=choice)["choices"][0]
    assert called(reply["message"]) == [("get_weather", {"location": "Hello"})]
    assert reply["message"]["content"] is None
    assert reply["finish_reason"] == "tool_calls"


def test_required_calls_the_tool_that_is_mentioned_else_the_first(message: Ask) -> None:
    """One call, to the tool that the text speaks of."""
    tools = [MULTIPLY, WEATHER, CLOCK]
    asked = "The weather in Oslo, NO?"
    assert called(message(asked, tools=tools, tool_choice="required")) == [
        ("get_weather", {"location": "Oslo, NO"})
    ]
    assert called(message("6 and 7", tools=tools, tool_choice="required")) == [
        ("multiply", {"a": 6, "b": 7})
    ]


def test_required_prefers_a_tool_not_called_in_this_turn(message: Ask) -> None:
    """An agent that must always call comes to its last tool, and so to an end."""
    asked = turn("get_weather", "Rain", "The weather in Oslo?")
    tools = [WEATHER, function("final_answer", text=STRING)]
    assert called(message(asked, tools=tools, tool_choice="required"))[0][0] == "final_answer"
    assert called(message(asked, tools=tools[:1], tool_choice="required"))[0][0] == "get_weather"


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("Please multiply 2 and 3.", ["multiply"]),
        ("What is the weather in Rome?", ["get_weather"]),
        ("Multiply 2 by 3 and tell_time in Rome", ["multiply", "tell_time"]),
        ("What is 12 * 7?", ["multiply"]),
        ("What is 12 × 7?", ["multiply"]),  # noqa: RUF001 - the sign people write
        ("What is 12 + 7?", []),
        ("Tell me the time.", []),
        ("Weathering is slow.", ["get_weather"]),
        ("Hello", []),
    ],
)
def test_auto_calls_the_tools_that_the_text_names(
    message: Ask, asked: str, names: list[str]
) -> None:
    """A tool is named whole, by a long word of its name, or by arithmetic."""
    tools = [MULTIPLY, WEATHER, CLOCK]
    assert [name for name, _ in called(message(asked, tools=tools))] == names


def test_one_at_a_time_without_parallel_calls(message: Ask) -> None:
    """`parallel_tool_calls: false` gets one call."""
    asked = "Multiply 2 by 3 and tell_time in Rome"
    one = message(asked, tools=[MULTIPLY, CLOCK], parallel_tool_calls=False)
    assert called(one) == [("multiply", {"a": 2, "b": 3})]


def test_none_calls_nothing(message: Ask) -> None:
    """`tool_choice: none` gets an echo."""
    said = message("Multiply 2 by 3", tools=[MULTIPLY], tool_choice="none")
    assert said["content"] == "You said: Multiply 2 by 3"


def test_a_cut_tool_call_says_so(ask: Ask) -> None:
    """Where the limit falls into arguments they are not whole, and later calls are missing."""
    tools = [MULTIPLY, CLOCK]
    asked = "Multiply 2 by 3 and tell_time in Rome"
    choice = ask(asked, tools=tools, max_tokens=2)["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "multiply", "arguments": '{"a": 2,'}
    assert choice["finish_reason"] == "length"
    whole = ask(asked, tools=tools, max_tokens=50)["choices"][0]
    assert whole["finish_reason"] == "tool_calls"


def test_a_tool_without_parameters_is_called_with_an_empty_object(message: Ask) -> None:
    """No parameters, no arguments."""
    bare = {"type": "function", "function": {"name": "ping"}}
    assert called(message("ping", tools=[bare])) == [("ping", {})]


def test_tool_results_are_quoted(message: Ask) -> None:
    """After a result comes text, also when the text of the user names the tool: agents end."""
    asked = turn("multiply", "84", "Multiply 12 by 7")
    said = message(asked, tools=[MULTIPLY])
    assert said == {"role": "assistant", "content": "According to multiply: 84"}


def test_results_are_quoted_without_a_user_and_as_parts(message: Ask) -> None:
    """A history of calls alone is legal, and so are text parts in a result."""
    asked = turn("multiply", "84")[1:]
    asked[-1] = asked[-1] | {"content": [{"type": "text", "text": "eighty-four"}]}
    assert message(asked)["content"] == "According to multiply: eighty-four"


def test_media_of_a_result_ask_nothing_new(message: Ask) -> None:
    """A user message right after a result brings its media; the tool is not called again."""
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    asked = [*turn("get_weather", "see image", "weather?"), user("From get_weather:", image)]
    assert message(asked, tools=[WEATHER])["content"] == (
        "According to get_weather: see image\nI see 1 image (image/png, 70 bytes)."
    )


def test_a_new_question_after_results_is_a_new_turn(message: Ask) -> None:
    """Once the assistant has answered, the user may ask for the tool again."""
    history = [*turn("get_weather", "Rain"), {"role": "assistant", "content": "It rains."}]
    again = [*history, {"role": "user", "content": "And the weather in Rome?"}]
    assert called(message(again, tools=[WEATHER])) == [("get_weather", {"location": "Rome"})]


SCHEMA = {
    "type": "object",
    "properties": {"city": STRING, "degrees": INTEGER},
    "required": ["city", "degrees"],
}


@pytest.mark.parametrize(
    "response_format",
    [
        {"type": "json_schema", "json_schema": {"name": "report", "schema": SCHEMA}},
        {"type": "json", "schema": SCHEMA, "name": "report", "description": "A report."},
    ],
)
def test_json_is_made_by_the_schema(message: Ask, response_format: JSON) -> None:
    """Both forms of a schema get a JSON string."""
    said = message("It is 21 degrees in Paris.", response_format=response_format)
    assert json.loads(said["content"]) == {"city": "Paris", "degrees": 21}


def test_json_by_a_schema_is_made_from_tool_results_too(message: Ask) -> None:
    """A structured answer after tools holds what they found."""
    wanted = {"type": "json_schema", "json_schema": {"name": "report", "schema": SCHEMA}}
    asked = turn("get_weather", "21 degrees", "The weather in Paris?")
    said = message(asked, tools=[WEATHER], response_format=wanted)
    assert json.loads(said["content"]) == {"city": "Paris", "degrees": 21}


@pytest.mark.parametrize("kind", ["json_object", "json"])
def test_json_without_a_schema_has_the_quoted_keys(message: Ask, kind: str) -> None:
    """The words in quotes are the keys; without any the key is `answer`."""
    asked = "Tell me a joke about cats. Answer as JSON with 'setup' and 'punchline' keys."
    said = message(asked, response_format={"type": kind})
    assert set(json.loads(said["content"])) == {"setup", "punchline"}
    said = message("JSON please", response_format={"type": kind})
    assert json.loads(said["content"]) == {"answer": "JSON please"}


def test_json_follows_a_schema_in_the_prompt(message: Ask) -> None:
    """A schema that a prompt quotes is found among other braces, wherever it stands."""
    schema = json.dumps(SCHEMA)
    said = message(f"It is {{hot}} {{}}: 21 degrees in Paris. Follow this schema:\n{schema}")
    assert json.loads(said["content"]) == {"city": "Paris", "degrees": 21}
    history = [{"role": "system", "content": schema}, {"role": "user", "content": "3 in Rome"}]
    assert json.loads(message(history)["content"]) == {"city": "Rome", "degrees": 3}


def test_a_text_format_changes_nothing(message: Ask) -> None:
    """`text` is what one gets anyway."""
    assert message("Hi", response_format={"type": "text"})["content"] == "You said: Hi"


@pytest.mark.parametrize("reasoning", [{"effort": "low"}, {"max_tokens": 100}])
def test_reasoning_comes_when_asked_for(ask: Ask, reasoning: JSON) -> None:
    """Text, details with a signature, and tokens that are counted."""
    reply = ask("Hi. There.", reasoning=reasoning)
    said = reply["choices"][0]["message"]
    (detail,) = said["reasoning_details"]
    assert said["reasoning"] == "The request says: Hi. The rule to follow: echo."
    assert detail["text"] == said["reasoning"]
    assert (detail["type"], detail["format"], detail["index"]) == (
        *("reasoning.text", "simulated-v1"),
        0,
    )
    assert detail["signature"]
    assert reply["usage"]["completion_tokens_details"]["reasoning_tokens"] == 12
    again = [{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "More"}]
    assert ask(again)["choices"][0]["message"]["content"] == "You said: More"


@pytest.mark.parametrize("body", [{}, {"reasoning": {"effort": "none"}}, {"reasoning": {}}])
def test_no_reasoning_unless_asked_for(message: Ask, body: JSON) -> None:
    """An effort of `none` is none."""
    assert "reasoning" not in message("Hi", **body)


def test_web_search_adds_a_citation(message: Ask) -> None:
    """One annotation, over the whole text."""
    said = message("Hi", web_search_options={"user_location": {"type": "approximate"}})
    (annotation,) = said["annotations"]
    assert annotation["type"] == "url_citation"
    assert annotation["url_citation"]["url"].startswith("https://")
    assert annotation["url_citation"]["end_index"] == len(said["content"])


def test_modalities_bring_an_image_and_a_recording(ask: Ask) -> None:
    """A pixel as a data URL; silence with the text as its transcript."""
    reply = ask("Hi", modalities=["text", "image"])
    (image,) = reply["choices"][0]["message"]["images"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert reply["usage"]["completion_tokens_details"]["image_tokens"] > 0
    said = ask("Hi", modalities=["text", "audio"])["choices"][0]["message"]
    assert said["content"] is None
    assert said["audio"]["transcript"] == "You said: Hi"
    assert set(said["audio"]) == {"id", "data", "transcript", "expires_at"}


def test_logprobs_spell_the_text(ask: Ask) -> None:
    """The tokens put together are the answer, with as many alternatives as were asked for."""
    choice = ask("Hi", logprobs=True, top_logprobs=2)["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    assert all(len(token["top_logprobs"]) == 2 for token in tokens)
    assert ask("Hi", logprobs=True)["choices"][0]["logprobs"]["content"][0]["top_logprobs"] == []
    assert ask("Hi")["choices"][0]["logprobs"] is None


def test_n_choices(ask: Ask) -> None:
    """`n` answers, each with its index, each counted."""
    one, three = ask("Hi"), ask("Hi", n=3)
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert three["usage"]["completion_tokens"] == 3 * one["usage"]["completion_tokens"]


def test_usage_and_cost_are_counted(ask: Ask) -> None:
    """Usage has the gateway's keys; the cost stands at the root, by the catalogue's prices."""
    reply = ask("x" * 4000, model="simulated/senses")
    usage, details = reply["usage"], reply["cost_details"]
    assert usage["prompt_tokens"] == 1004
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert reply["provider"] == "simulated/cn/flex"
    assert details["prompt_cost"] == 1004 * 0.44695 / 1_000_000
    assert reply["cost"] == round(details["prompt_cost"] + details["completion_cost"], 6) > 0
    assert "cost" not in usage


def test_tools_and_media_are_counted(ask: Ask) -> None:
    """What is sent besides text is part of the prompt."""
    bare = ask("Hi")["usage"]["prompt_tokens"]
    assert ask("Hi", tools=[MULTIPLY])["usage"]["prompt_tokens"] > bare
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    heard = ask([user("Hi", audio)])["usage"]
    assert heard["prompt_tokens"] > bare
    assert heard["prompt_tokens_details"]["audio_tokens"] > 0


def test_the_root_tells_who_answered(ask: Ask, sim: Any) -> None:
    """Model, upstream and two ids, the second of them not that of the header."""
    reply = ask("Hi", model="vendor/anything:free")
    assert reply["model"] == "vendor/anything:free"
    assert reply["provider"] == "simulated/eu"
    assert reply["id"].startswith("chatcmpl-")
    assert len(reply["request_id"]) == 32
    assert sim.last.body["model"] == "vendor/anything:free"


def test_a_wish_for_an_upstream_is_granted(ask: Ask) -> None:
    """The first of `only`, else of `order`, serves, at its own price."""
    reply = ask("x" * 4000, model="simulated/senses", provider={"order": ["simulated/us", "b"]})
    assert reply["provider"] == "simulated/us"
    assert reply["cost_details"]["prompt_cost"] == 1004 * 0.65 / 1_000_000
    reply = ask("Hi", provider={"only": ["z"], "order": ["a"]})
    assert reply["provider"] == "z"


def test_a_dead_model_fails_over(ask: Ask) -> None:
    """The first living fallback serves, and the reply says which."""
    fallbacks = ["simulated/dead-too", "unknown/one", "simulated/echo", "x/y"]
    reply = ask("Hi", model="simulated/dead-upstream", fallback_models=fallbacks)
    assert reply["model"] == "simulated/echo"
    assert ask("Hi", model="x/y", fallback_models=fallbacks)["model"] == "x/y"


@pytest.mark.parametrize("model", ["claude-3-5-sonnet@20240620", "google/nano/text", "bare"])
def test_any_model_id_is_served(ask: Ask, model: str) -> None:
    """All forms that ids come in."""
    assert ask("Hi", model=model)["model"] == model


def test_embeddings_cost_nothing_to_complete(ask: Ask) -> None:
    """A price that is null counts as none."""
    reply = ask("Hi", model="simulated/embedding")
    assert reply["cost_details"]["completion_cost"] == 0
