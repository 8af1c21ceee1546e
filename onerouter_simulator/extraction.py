"""Answering from a context: which of its sentences shares most words with the question.

Knows the prompts in which frameworks put a context and a question. Knows no message format.
"""

import re
from collections import Counter
from dataclasses import dataclass

NOTHING_FOUND = "The context does not say."

# Two equal lines of dashes fence the context of LlamaIndex's prompts.
FENCED = re.compile(r"^(-{8,})[ \t]*\n(.*?)\n\1[ \t]*$", re.MULTILINE | re.DOTALL)
QUESTION = r"(?:user )?(?:query|question)|the original query is as follows"
CONTEXT = r"(?:new |retrieved )?context"
EXISTING = r"(?:original|existing) answer|we have provided an existing answer"
LABEL = rf"(?:{QUESTION}|{CONTEXT}|{EXISTING}|(?:\w+ )?answer|information|instruction)[ \t]*:"
DOCUMENTS = re.compile(r"relevant documents for the context:\s*\n(.*)", re.DOTALL | re.IGNORECASE)
MORE_CONTEXT = "\nWe have the opportunity"

COMMON = re.compile(
    "a|about|after|all|also|an|and|any|are|as|at|be|because|been|before|being|but|by|can|could|did"
    "|do|does|for|from|had|has|have|how|i|if|in|into|is|it|its|me|more|most|my|no|not|of|on|one"
    "|only|or|our|out|over|so|some|such|than|that|the|their|them|then|there|these|they|this|to"
    "|under|up|us|use|used|using|was|we|were|what|when|where|which|who|whom|whose|why|will|with"
    "|would|you|your"
)
SKIPPED_LINE = re.compile(r"\s*(#|\||```|~~~|={3,}|-{3,}|\w+: ?\S*$)")
BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
SENTENCE_END = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]["')\]]))\s+(?=["'(\[`*]*[A-Z0-9])""")
SHORTEST_SENTENCE = 3


@dataclass(frozen=True)
class Passage:
    """A context, the question about it, and the answer so far (of a refine prompt)."""

    context: str
    question: str
    existing: str = ""


def find_passage(prompt: str, system: str) -> Passage | None:
    """Find context and question in a prompt, or the context in a system text."""
    return in_prompt(prompt) or in_system(system, prompt)


def in_prompt(prompt: str) -> Passage | None:
    """Read a prompt that holds a context and, by a label, the question."""
    fenced = FENCED.search(prompt)
    rest = prompt.replace(fenced[0], "\n") if fenced else prompt
    context = fenced[2] if fenced else section(rest, CONTEXT)
    question = section(rest, QUESTION)
    if not context or not question:
        return None
    return Passage(context, question, section(rest, EXISTING).partition(MORE_CONTEXT)[0].strip())


def in_system(system: str, question: str) -> Passage | None:
    """Read a system text that holds the context of a chat."""
    fenced, documents = FENCED.search(system), DOCUMENTS.search(system)
    context = section(system, CONTEXT)
    if fenced:
        context = fenced[2]
    elif documents:
        context = documents[1].partition("\n  Instruction:")[0]
    existing = section(system, EXISTING).strip().rstrip("-").strip()
    return Passage(context, question, existing) if context.strip() else None


def section(text: str, label: str) -> str:
    """Return what follows the last line that starts with a label, up to the next label."""
    found = re.findall(
        rf"^[ \t]*(?:{label})[ \t]*:(.*?)(?=^[ \t]*{LABEL}|\Z)",
        text,
        re.MULTILINE | re.DOTALL | re.IGNORECASE,
    )
    return found[-1].strip() if found else ""


def extract(passage: Passage) -> str:
    """Choose the sentence or two that answer best; an existing answer stays if none is better."""
    wanted = stems(passage.question)
    all_sentences = sentences(passage.context)
    spread = Counter(stem for sentence in all_sentences for stem in stems(sentence))

    def worth(sentence: str) -> tuple[int, float]:
        shared = stems(sentence) & wanted
        return len(shared), sum(1 / spread[stem] for stem in shared)

    best = max(all_sentences, key=worth, default="")
    if len(stems(best) & wanted) <= len(stems(passage.existing) & wanted):
        return passage.existing or NOTHING_FOUND
    missing = wanted - stems(best)
    second = max(all_sentences, key=lambda sentence: len(stems(sentence) & missing))
    chosen = {best, second} if len(stems(second) & missing) > 1 else {best}
    return " ".join(sentence for sentence in all_sentences if sentence in chosen)


def stems(text: str) -> set[str]:
    """Return the telling words of a text, without the endings that grammar gives them."""
    words = re.findall(r"[^\W_]+", text.lower())
    return {stem(word) for word in words if not COMMON.fullmatch(word)}


def stem(word: str) -> str:
    """Cut the commonest endings: `retries` and `retry`, `cached` and `caches` are alike."""
    for ending, instead in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) > len(ending):
            return (word.removesuffix(ending) + instead).rstrip("e")
    return word.rstrip("e")


def sentences(context: str) -> list[str]:
    """Return the whole sentences of a text, without headings, code, tables and metadata lines."""
    split = (SENTENCE_END.split(paragraph) for paragraph in paragraphs(context))
    found = (sentence.strip() for some in split for sentence in some)
    return list(dict.fromkeys(one for one in found if is_whole(one)))


def is_whole(sentence: str) -> bool:
    """Whether a sentence can stand alone."""
    return len(sentence.split()) >= SHORTEST_SENTENCE and not sentence.endswith(":")


def paragraphs(context: str) -> list[str]:
    """Return runs of lines that belong together, each as one line; a bullet starts a new one."""
    runs: list[list[str]] = [[]]
    for line in re.sub(r"(```|~~~).*?(\1|\Z)", "", context, flags=re.DOTALL).splitlines():
        if not line.strip() or SKIPPED_LINE.match(line):
            runs.append([])
        elif BULLET.match(line):
            runs.append([BULLET.sub("", line).strip()])
        else:
            runs[-1].append(line.strip())
    return [" ".join(run) for run in runs if run]
