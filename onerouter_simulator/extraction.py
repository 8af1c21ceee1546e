"""Extractive question answering: the sentences of a context that match the question best.

Knows the prompts in which LangChain and LlamaIndex put a context and a question. Knows no message
format.
"""

import re
from collections import Counter
from dataclasses import dataclass

NO_ANSWER = "The context does not say."

# LlamaIndex's prompts put the context between two equal lines of dashes.
FENCED = re.compile(r"^(-{8,})[ \t]*\n(.*?)\n\1[ \t]*$", re.MULTILINE | re.DOTALL)
QUESTION = r"(?:user )?(?:query|question)|the original query is as follows"
CONTEXT = r"(?:new |retrieved )?context"
EXISTING = r"(?:original|existing) answer|we have provided an existing answer"
LABEL = rf"(?:{QUESTION}|{CONTEXT}|{EXISTING}|(?:\w+ )?answer|information|instruction)[ \t]*:"
DOCUMENTS = re.compile(r"relevant documents for the context:\s*\n(.*)", re.DOTALL | re.IGNORECASE)
MORE_CONTEXT = "\nWe have the opportunity"

STOP_WORDS = re.compile(
    "a|about|after|all|also|an|and|any|are|as|at|be|because|been|before|being|but|by|can|could|did"
    "|do|does|for|from|had|has|have|how|i|if|in|into|is|it|its|me|more|most|my|no|not|of|on|one"
    "|only|or|our|out|over|so|some|such|than|that|the|their|them|then|there|these|they|this|to"
    "|under|up|us|use|used|using|was|we|were|what|when|where|which|who|whom|whose|why|will|with"
    "|would|you|your"
)
SKIPPED_LINE = re.compile(r"\s*(#|\||```|~~~|={3,}|-{3,}|\w+: ?\S*$)")
BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
SENTENCE_END = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]["')\]]))\s+(?=["'(\[`*]*[A-Z0-9])""")
MIN_SENTENCE_WORDS = 3


@dataclass(frozen=True)
class Passage:
    """A context, the question about it, and the existing answer (of a refine prompt)."""

    context: str
    question: str
    existing: str = ""


def find_passage(prompt: str, system: str) -> Passage | None:
    """Return the passage of a prompt, else of a system text; None if neither has a context."""
    return parse_prompt(prompt) or parse_system_text(system, prompt)


def parse_prompt(prompt: str) -> Passage | None:
    """Parse a prompt that contains a context and a labelled question."""
    fenced = FENCED.search(prompt)
    rest = prompt.replace(fenced[0], "\n") if fenced else prompt
    context = fenced[2] if fenced else labelled_section(rest, CONTEXT)
    question = labelled_section(rest, QUESTION)
    if not context or not question:
        return None
    existing = labelled_section(rest, EXISTING).partition(MORE_CONTEXT)[0].strip()
    return Passage(context, question, existing)


def parse_system_text(system: str, question: str) -> Passage | None:
    """Parse a system text that contains the context of a chat."""
    fenced, documents = FENCED.search(system), DOCUMENTS.search(system)
    context = labelled_section(system, CONTEXT)
    if fenced:
        context = fenced[2]
    elif documents:
        context = documents[1].partition("\n  Instruction:")[0]
    existing = labelled_section(system, EXISTING).strip().rstrip("-").strip()
    return Passage(context, question, existing) if context.strip() else None


def labelled_section(text: str, label: str) -> str:
    """Return the text from the last line that starts with a label to the next label."""
    found = re.findall(
        rf"^[ \t]*(?:{label})[ \t]*:(.*?)(?=^[ \t]*{LABEL}|\Z)",
        text,
        re.MULTILINE | re.DOTALL | re.IGNORECASE,
    )
    return found[-1].strip() if found else ""


def extract(passage: Passage) -> str:
    """Return the best sentence of the context, or two; the existing answer if none is better.

    The best sentence shares most stems with the question; among equals, the rarer stems count more.
    A second sentence is added if it shares at least two stems that the best one lacks.
    """
    question_stems = stems(passage.question)
    sentences = split_sentences(passage.context)
    frequency = Counter(stem for sentence in sentences for stem in stems(sentence))

    def score(sentence: str) -> tuple[int, float]:
        shared = stems(sentence) & question_stems
        return len(shared), sum(1 / frequency[stem] for stem in shared)

    best = max(sentences, key=score, default="")
    if len(stems(best) & question_stems) <= len(stems(passage.existing) & question_stems):
        return passage.existing or NO_ANSWER
    missing = question_stems - stems(best)
    second = max(sentences, key=lambda sentence: len(stems(sentence) & missing))
    chosen = {best, second} if len(stems(second) & missing) > 1 else {best}
    return " ".join(sentence for sentence in sentences if sentence in chosen)


def stems(text: str) -> set[str]:
    """Return the stems of all words that are not stop words."""
    words = re.findall(r"[^\W_]+", text.lower())
    return {stem(word) for word in words if not STOP_WORDS.fullmatch(word)}


def stem(word: str) -> str:
    """Remove a common ending: `retries` and `retry`, `cached` and `caches` have the same stem."""
    for ending, replacement in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) > len(ending):
            return (word.removesuffix(ending) + replacement).rstrip("e")
    return word.rstrip("e")


def split_sentences(context: str) -> list[str]:
    """Return the whole sentences of a text, without headings, code, tables and metadata lines."""
    parts = (part.strip() for line in paragraphs(context) for part in SENTENCE_END.split(line))
    return list(dict.fromkeys(part for part in parts if is_sentence(part)))


def is_sentence(text: str) -> bool:
    """Whether a text has enough words for a sentence, and does not end with a colon."""
    return len(text.split()) >= MIN_SENTENCE_WORDS and not text.endswith(":")


def paragraphs(context: str) -> list[str]:
    """Return the paragraphs of a text, each on one line; every bullet point is its own."""
    runs: list[list[str]] = [[]]
    for line in re.sub(r"(```|~~~).*?(\1|\Z)", "", context, flags=re.DOTALL).splitlines():
        if not line.strip() or SKIPPED_LINE.match(line):
            runs.append([])
        elif BULLET.match(line):
            runs.append([BULLET.sub("", line).strip()])
        else:
            runs[-1].append(line.strip())
    return [" ".join(run) for run in runs if run]
