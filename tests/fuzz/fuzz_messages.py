"""Fuzz both message mappers: `python -m tests.fuzz.fuzz_messages -max_total_time=60`.

Hypothesis makes conversations of the fuzzer's bytes. Whatever they are, there is a body that a
strict gateway takes, or one error of ours, and the conversation is left as it was.
"""

from __future__ import annotations

import sys

import atheris

OURS = ["onerouter_core", "langchain_onerouter", "llama_index_onerouter"]
with atheris.instrument_imports(include=OURS):
    from tests.fuzz.test_fuzz_mappers import (
        test_any_langchain_history,
        test_any_llama_index_history,
    )


def one(data: bytes) -> None:
    """Send a conversation of one framework or of the other."""
    if data[:1] < b"\x80":
        test_any_langchain_history.hypothesis.fuzz_one_input(data[1:])
    else:
        test_any_llama_index_history.hypothesis.fuzz_one_input(data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
