"""Extractive question answering: prompts with a context, and the chosen sentences."""

from __future__ import annotations

import pytest

from onerouter_simulator.extraction import Passage, find_passage, split_sentences, stem
from tests.simulator.conftest import JSON, Complete

CONTEXT = """file_path: docs/retry.md

# How long does a client wait before a retry?

The gateway sends no Retry-After header. A client that is told to
try again after some seconds waits that long, at most sixty seconds.

| wait | retry |
|------|-------|

```python
wait(seconds=60)  # How long does a client wait before a retry
```

Cats sleep for most of the day. They like boxes.
Clients wait:
- A cancelled stream closes the connection.
- "Budgets are checked first." Then the request is sent."""

ANSWER = (
    "A client that is told to try again after some seconds waits that long, at most sixty seconds."
)
QUESTION = "How many seconds does a client wait?"
FENCE = "---------------------"


def qa_prompt(context: str, question: str) -> str:
    """Return LlamaIndex's default prompt of a query engine."""
    return (
        f"Context information is below.\n{FENCE}\n{context}\n{FENCE}\nGiven the context information"
        f" and not prior knowledge, answer the query.\nQuery: {question}\nAnswer: "
    )


def system_chat(context: str, question: str) -> list[JSON]:
    """Return a chat with the context in its system message."""
    return [{"role": "system", "content": context}, {"role": "user", "content": question}]


@pytest.mark.parametrize(
    "prompt",
    [
        qa_prompt(CONTEXT, QUESTION),
        f"Answer.\nQuestion: {QUESTION} \nContext: {CONTEXT} \nAnswer:",
        f"Context:\n{CONTEXT}\n\nQuestion: {QUESTION}\nHelpful answer:",
        system_chat(f"Use the context.\n{FENCE}\n{CONTEXT}\n{FENCE}\n", QUESTION),
        system_chat(f"Answer from the context.\n\nContext: {CONTEXT}", QUESTION),
        system_chat(
            "Here are the relevant documents for the context:\n\n"
            f"  {CONTEXT}\n\n  Instruction: Based on the above documents, answer.",
            QUESTION,
        ),
    ],
    ids=["llama-index", "langchain-hub", "plain", "chat-engine", "langchain-chain", "condense"],
)
def test_the_context_is_found_in_every_prompt(
    get_message: Complete, prompt: str | list[JSON]
) -> None:
    """The answer is the sentence that shares most words with the question."""
    assert get_message(prompt)["content"] == ANSWER


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What do cats like?", "Cats sleep for most of the day."),
        ("Do cats like boxes?", "They like boxes."),
        (
            "Do cats sleep all day, and what does a cancelled stream do to the connection?",
            "Cats sleep for most of the day. A cancelled stream closes the connection.",
        ),
        ("Which budgets are checked?", '"Budgets are checked first."'),
        ("Who painted the Mona Lisa?", "The context does not say."),
    ],
)
def test_the_answer_is_one_sentence_or_two(
    get_message: Complete, question: str, answer: str
) -> None:
    """The second has at least two words of the question that the first does not have."""
    assert get_message(qa_prompt(CONTEXT, question))["content"] == answer


def test_a_context_without_sentences_has_no_answer(get_message: Complete) -> None:
    """Headings and code are not sentences."""
    assert get_message(qa_prompt("# Retry\n```\nretry = 3\n```", "Retry?"))["content"] == (
        "The context does not say."
    )


REFINE = (
    "The original query is as follows: {question}\n"
    "We have provided an existing answer: {existing}\n"
    "We have the opportunity to refine the existing answer (only if needed) with some more context"
    " below.\n------------\n{context}\n------------\nGiven the new context, refine the original"
    " answer to better answer the query.\nRefined Answer: "
)
CHAT_REFINE = (
    "You are an expert.\nNew Context: {context}\nQuery: {question}\nOriginal Answer: {existing}\n"
    "New Answer: "
)


@pytest.mark.parametrize("prompt", [REFINE, CHAT_REFINE])
def test_an_existing_answer_stays_unless_a_sentence_is_better(
    get_message: Complete, prompt: str
) -> None:
    """A better sentence of the new context shares more words with the question."""
    worse, better = "A client waits.", "A client waits many seconds."
    values = {"context": CONTEXT, "question": QUESTION}
    assert get_message(prompt.format(existing=worse, **values))["content"] == ANSWER
    values["context"] = "Cats sleep for most of the day."
    assert get_message(prompt.format(existing=better, **values))["content"] == better


def test_an_existing_answer_is_found_in_the_system_message(get_message: Complete) -> None:
    """In the refine prompt of a chat engine it follows the fenced context."""
    text = f"Refine.\n{FENCE}\nCats sleep.\n{FENCE}\nExisting Answer:\nIt waits.\n{FENCE}\n"
    assert get_message(system_chat(text, "How long does it wait?"))["content"] == "It waits."


def test_json_has_values_from_the_chosen_sentence(get_message: Complete) -> None:
    """A structured answer about a context is generated from the extracted answer."""
    schema = {"type": "object", "properties": {"says": {"type": "string"}}, "required": ["says"]}
    response_format = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    prompt = qa_prompt("Cats sleep by day. Dogs bark at night.", "When do dogs bark?")
    message = get_message(prompt, response_format=response_format)
    assert message["content"] == '{"says": "Dogs bark at night"}'


def test_a_follow_up_question_is_repeated(get_message: Complete) -> None:
    """A condense prompt asks for a standalone question; the answer is the user's own."""
    prompt = (
        "Rephrase the follow up question.\nChat History:\nuser: Hi\n"
        "Follow Up Input: And how long?\nStandalone question:"
    )
    assert get_message(prompt)["content"] == "And how long?"


def test_a_passage_is_found_in_the_prompt_before_the_system_text() -> None:
    """Without a context there is no passage."""
    prompt = "Context:\nCats sleep all day.\n\nQuestion: Do cats sleep?\nAnswer:"
    expected = Passage("Cats sleep all day.", "Do cats sleep?")
    assert find_passage(prompt, "Context: Dogs bark at night.") == expected
    assert find_passage("Do dogs bark?", "Context: Dogs bark at night.") == Passage(
        "Dogs bark at night.", "Do dogs bark?"
    )
    assert find_passage("Do dogs bark?", "Be brief.") is None


@pytest.mark.parametrize(
    ("context", "sentences"),
    [
        ("Cats sleep.\nDogs bark at night.", ["Dogs bark at night."]),
        ("One two three. Four five\nsix. Seven.", ["One two three.", "Four five six."]),
        ("- One two three\n- Four five six", ["One two three", "Four five six"]),
        ("Here it is:\n\nOne two three", ["One two three"]),
        ("key: value\n| one | two | three |", []),
    ],
)
def test_sentences_have_three_words_or_more(context: str, sentences: list[str]) -> None:
    """Lines are joined; bullet points are sentences; tables and metadata are not."""
    assert split_sentences(context) == sentences


@pytest.mark.parametrize(
    ("first", "second"),
    [("retries", "retry"), ("cached", "caches"), ("waiting", "waits"), ("cache", "caching")],
)
def test_forms_of_a_word_have_one_stem(first: str, second: str) -> None:
    """Common endings are removed."""
    assert stem(first) == stem(second)
