"""object_reader: the object in complete replies and in streams, and the error that says why not."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from onerouter_core import (
    GrowingObject,
    ObjectReader,
    Reply,
    ReplyDelta,
    ToolCall,
    ToolCallDelta,
    excerpt,
    object_converter,
)
from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
)
from onerouter_core.wire import decode_tool_call

SONG = '{"title": "Moon", "year": 1999}'


class Song(BaseModel):
    """A song."""

    title: str
    year: int


def calls(*arguments: str, name: str = "Song") -> tuple[ToolCall, ...]:
    """Return calls of a tool."""
    return tuple(
        decode_tool_call(f"c{number}", name, text, cut=False)
        for number, text in enumerate(arguments)
    )


READER = ObjectReader(object_converter(Song, Song.model_json_schema()), "Song")


def read_error(reply: Reply) -> OneRouterError:
    """Return the error that `read` raises."""
    with pytest.raises(OneRouterError) as caught:
        READER.read(reply)
    return caught.value


# --- complete replies ---


@pytest.mark.parametrize(
    "reply",
    [
        Reply(SONG),
        Reply(f"```json\n{SONG}\n```"),
        Reply(tool_calls=calls(SONG, "{")),
        Reply("Well.", tool_calls=(*calls("{}", name="look_up"), *calls(SONG))),
        Reply(SONG, tool_calls=calls("{}", name="look_up")),
        Reply(SONG, refusal=""),
    ],
    ids=["text", "fenced", "first call", "beside another call", "text beside a call", "refusal ''"],
)
def test_read_returns_an_object_of_the_class(reply: Reply) -> None:
    """The JSON is in the text, or in the arguments of the first call of the tool."""
    assert READER.read(reply) == Song(title="Moon", year=1999)


@pytest.mark.parametrize(
    ("reply", "error_class", "message"),
    [
        (Reply(SONG, finish_reason="length"), LengthLimitError, "Raise max_tokens"),
        (Reply(SONG, finish_reason="content_filter"), ContentFilterError, "Moderation"),
        (Reply('{"title": "Moon"}'), MalformedReplyError, "not a valid Song: year: Field"),
        (Reply("No."), MalformedReplyError, "not a valid Song"),
        (Reply(tool_calls=calls('{"title": "Mo')), MalformedReplyError, "not a valid Song"),
        (
            Reply(tool_calls=calls(SONG, name="look_up")),
            MalformedReplyError,
            "the model called look_up instead",
        ),
        (Reply(SONG, refusal="I will not sing."), RefusalError, "refused: I will not sing."),
    ],
    ids=["length", "content filter", "missing field", "prose", "cut", "other tool", "refusal"],
)
def test_read_raises_the_class_of_the_failure(
    reply: Reply, error_class: type[OneRouterError], message: str
) -> None:
    """A cut answer is an error even if its JSON is complete."""
    error = read_error(reply)
    assert type(error) is error_class
    assert message in error.message


def test_an_error_has_the_reply_its_ids_the_attempts_and_the_cause() -> None:
    """`partial` is the reply itself."""
    reply = Reply('{"title": 1}', model="m", provider="p", id="g", request_id="r", attempts=2)
    error = read_error(reply)
    assert (error.model, error.provider, error.generation_id) == ("m", "p", "g")
    assert (error.request_id, error.attempts) == ("r", 2)
    assert error.partial is reply
    assert isinstance(error.__cause__, ValidationError)


def test_an_error_is_redacted_when_it_is_raised() -> None:
    """By the function that the framework gives."""

    def redact(error: OneRouterError) -> OneRouterError:
        error.message = error.message.replace("secret", "***")
        return error

    with pytest.raises(MalformedReplyError) as caught:
        ObjectReader(READER.convert, redact=redact).read(Reply("A secret."))
    assert "A ***." in caught.value.message


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply('{"a": 1}'), '{"a": 1}'),
        (Reply("x", tool_calls=calls('{"a"')), '{"a"'),
        (Reply(tool_calls=calls('{"a": 1}', name="look_up")), '{"a": 1}'),
    ],
    ids=["text", "call", "other tool"],
)
def test_text_of_is_what_the_model_wrote(reply: Reply, text: str) -> None:
    """A retry shows it to the model again."""
    assert READER.text_of(reply) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "It sent no text."), (None, "It sent no text."), ("Hi", "It sent: 'Hi'")],
)
def test_an_excerpt_is_a_sentence(text: str | None, expected: str) -> None:
    """It quotes what was sent."""
    assert excerpt(text) == expected


def test_an_excerpt_of_a_long_text_is_its_beginning() -> None:
    """200 characters."""
    assert excerpt("a" * 201) == f"It sent: '{'a' * 200}…'"


# --- converters ---


def test_a_strict_class_is_validated_as_json() -> None:
    """JSON has no tuples: pydantic's JSON mode takes a list for one."""

    class Exact(BaseModel, strict=True):
        """A strict class with a tuple."""

        pair: tuple[int, int]

    assert object_converter(Exact, {})({"pair": [1, 2]}) == Exact(pair=(1, 2))


def test_a_dict_needs_the_required_keys() -> None:
    """And is an object; without a schema, any JSON fits."""
    convert = object_converter(None, {"type": "object", "required": ["a"]})
    assert convert({"a": 1, "b": 2}) == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match=r"the keys \['a'\] are missing"):
        convert({"b": 2})
    with pytest.raises(TypeError, match="expected an object, got list"):
        convert([1])
    assert object_converter(None, {})([1]) == [1]


# --- streams ---


def test_a_growing_object_tells_when_its_value_changes() -> None:
    """Text that begins no object, and JSON syntax that adds no value, do not change it."""
    growing = GrowingObject()
    texts = ["Here is", ' {"title": "Mo"', ", ", '"year": 1']
    assert [growing.add(ReplyDelta(text)) for text in texts] == [False, True, False, True]
    assert growing.value == {"title": "Mo", "year": 1}


def call_delta(index: int, name: str | None, arguments: str) -> ReplyDelta:
    """Return an increment of a call."""
    return ReplyDelta(tool_calls=(ToolCallDelta(index, name and "c", name, arguments),))


def test_a_growing_object_is_the_first_call_of_its_tool() -> None:
    """Text before it, other calls and later calls are left out."""
    growing = GrowingObject("Song")
    deltas = [
        ReplyDelta("Well, {"),
        call_delta(0, "look_up", '{"a": 1}'),
        call_delta(1, "Song", '{"title'),
        call_delta(2, "Song", '{"title": "No"}'),
        call_delta(1, None, '": "Mo"}'),
        ReplyDelta("Done."),
    ]
    assert [growing.value for delta in deltas if growing.add(delta)] == [{}, {"title": "Mo"}]
    assert growing.take_new_text() == '{"title": "Mo"}'


@pytest.mark.parametrize("in_call", [False, True])
def test_new_text_is_the_json_added_since_it_was_taken(in_call: bool) -> None:
    """The results add up to the whole text, or to the arguments of the call."""
    growing, taken = GrowingObject("Song"), []
    for number, text in enumerate((SONG[:5], "", SONG[5:9], SONG[9:])):
        name = None if number else "Song"
        growing.add(call_delta(0, name, text) if in_call else ReplyDelta(text))
        taken.append(growing.take_new_text())
    assert taken == [SONG[:5], "", SONG[5:9], SONG[9:]]


def test_the_name_of_a_streamed_call_may_come_after_its_first_arguments() -> None:
    """The object has what came before the name, too."""
    growing = GrowingObject("Song")
    assert not growing.add(ReplyDelta(tool_calls=(ToolCallDelta(0, "c", None, '{"ti'),)))
    assert growing.add(ReplyDelta(tool_calls=(ToolCallDelta(0, None, "Song", 'tle": "M"'),)))
    assert growing.value == {"title": "M"}
    assert growing.take_new_text() == '{"title": "M"'
    assert not growing.take_new_text()
