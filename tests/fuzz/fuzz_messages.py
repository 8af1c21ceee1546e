"""Fuzz both message mappers: `python -m tests.fuzz.fuzz_messages -max_total_time=60`.

Hypothesis makes histories from the fuzzer's bytes. Each must become a request body that a strict
gateway accepts, or a OneRouterError, and must not be changed.
"""

from __future__ import annotations

import sys

import atheris

OUR_PACKAGES = ["onerouter_core", "langchain_onerouter", "llama_index_onerouter"]
with atheris.instrument_imports(include=OUR_PACKAGES):
    from tests.fuzz.test_fuzz_mappers import (
        test_any_langchain_history_is_encoded_or_an_error,
        test_any_llama_index_history_is_encoded_or_an_error,
    )


def fuzz_one_input(data: bytes) -> None:
    """Encode a history of LangChain or of LlamaIndex; the first byte decides."""
    if data[:1] < b"\x80":
        test_any_langchain_history_is_encoded_or_an_error.hypothesis.fuzz_one_input(data[1:])
    else:
        test_any_llama_index_history_is_encoded_or_an_error.hypothesis.fuzz_one_input(data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_one_input)
    atheris.Fuzz()
