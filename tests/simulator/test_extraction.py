"""Extractive answers: the prompts that hold a context, and the sentences that are chosen."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import JSON, Ask

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

LONG = (
    "A client that is told to try again after some seconds waits that long, at most sixty seconds."
)
QUESTION = "How many seconds does a client wait?"
FENCE = "---------------------"


def qa(context: str, question: str) -> str:
    """Fill LlamaIndex's default prompt."""
    return (
        f"Context information is below.\n{FENCE}\n{context}\n{FENCE}\nGiven the context information"
        f" and not prior knowledge, answer the query.\nQuery: {question}\nAnswer: "
    )


def system(context: str, question: str) -> list[JSON]:
    """Make a chat whose context stands in the system message."""
    return [{"role": "system", "content": context}, {"role": "user", "content": question}]


@pytest.mark.parametrize(
    "asked",
    [
        qa(CONTEXT, QUESTION),
        f"Answer.\nQuestion: {QUESTION} \nContext: {CONTEXT} \nAnswer:",
        f"Context:\n{CONTEXT}\n\nQuestion: {QUESTION}\nHelpful answer:",
        system(f"Use the context.\n{FENCE}\n{CONTEXT}\n{FENCE}\n", QUESTION),
        system(f"Answer from the context.\n\nContext: {CONTEXT}", QUESTION),
        system(
            "Here are the relevant documents for the context:\n\n"
            f"  {CONTEXT}\n\n  Instruction: Based on the above documents, answer.",
            QUESTION,
        ),
    ],
    ids=["llama-index", "langchain-hub", "plain", "chat-engine", "langchain-chain", "condense"],
)
def test_the_sentence_that_shares_most_words_answers(message: Ask, asked: str | list[JSON]) -> None:
    """In every place where frameworks put a context, the same whole sentence is found."""
    assert message(asked)["content"] == LONG


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
def test_one_sentence_or_two(message: Ask, question: str, answer: str) -> None:
    """A second sentence comes where it knows at least two words that the first does not."""
    assert message(qa(CONTEXT, question))["content"] == answer


def test_an_empty_context_says_nothing(message: Ask) -> None:
    """Headings and code alone answer nothing."""
    assert message(qa("# Retry\n```\nretry = 3\n```", "Retry?"))["content"] == (
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
def test_a_refined_answer_is_replaced_by_a_better_one_only(message: Ask, prompt: str) -> None:
    """The existing answer stays unless a sentence of the new context shares more words."""
    poor, good = "A client waits.", "A client waits many seconds."
    fill = {"context": CONTEXT, "question": QUESTION}
    assert message(prompt.format(existing=poor, **fill))["content"] == LONG
    fill["context"] = "Cats sleep for most of the day."
    assert message(prompt.format(existing=good, **fill))["content"] == good


def test_a_chat_engine_refines_in_the_system_message(message: Ask) -> None:
    """The existing answer of a chat is found behind the fenced context."""
    text = f"Refine.\n{FENCE}\nCats sleep.\n{FENCE}\nExisting Answer:\nIt waits.\n{FENCE}\n"
    assert message(system(text, "How long does it wait?"))["content"] == "It waits."


def test_json_is_made_from_the_answer(message: Ask) -> None:
    """Structured answers over a context are made from the chosen sentence."""
    schema = {"type": "object", "properties": {"says": {"type": "string"}}, "required": ["says"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    asked = qa("Cats sleep by day. Dogs bark at night.", "When do dogs bark?")
    said = message(asked, response_format=wanted)
    assert said["content"] == '{"says": "Dogs bark at night"}'


def test_a_follow_up_question_is_repeated(message: Ask) -> None:
    """A question that is to be made to stand alone stays as the user put it."""
    asked = (
        "Rephrase the follow up question.\nChat History:\nuser: Hi\n"
        "Follow Up Input: And how long?\nStandalone question:"
    )
    assert message(asked)["content"] == "And how long?"
