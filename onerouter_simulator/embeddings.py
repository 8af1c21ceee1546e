"""Embeddings: vectors computed from the words of a text, and the reply of POST /embeddings.

Knows vectors and the reply format. Knows no server and no chat completion.
"""

import hashlib
import math
import re
import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, TypeAlias

from onerouter_simulator.counting import count_tokens

Input: TypeAlias = "str | list[int]"  # a text, or the numbers of its tokens

DEFAULT_DIMENSIONS = 1536  # of openai/text-embedding-3-small
PART_LENGTH = 3  # characters


def build_embeddings(request: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the reply to a valid request, served by a model."""
    inputs = list_inputs(request["input"])
    dimensions = request.get("dimensions", DEFAULT_DIMENSIONS)
    encode = encode_base64 if request.get("encoding_format") == "base64" else list
    tokens = sum(map(count_input_tokens, inputs))
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": encode(embed(text, dimensions))}
            for index, text in enumerate(inputs)
        ],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def list_inputs(given: Any) -> list[Input]:
    """Return the inputs of a request: a text and a list of token numbers are one input each."""
    if isinstance(given, str) or isinstance(given[0], int):
        return [given]
    return list(given)


def count_input_tokens(given: Input) -> int:
    """Return the tokens of one input; token numbers are counted exactly."""
    return count_tokens(given) if isinstance(given, str) else len(given)


def embed(given: Input, dimensions: int) -> tuple[float, ...]:
    """Return a vector of length 1; inputs that share words or parts of words are near each other.

    Each word adds 1 or -1 at one position, and so does each part of the word. The
    numbers have single precision, so that both encodings give the same vector.
    """
    vector = [0.0] * dimensions
    for feature in features(given):
        digest = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
        vector[digest // 2 % dimensions] += 1 if digest % 2 else -1
    if not any(vector):  # opposite signs at the same positions
        vector[0] = 1.0
    length = math.hypot(*vector)
    return struct.unpack(f"<{dimensions}f", pack(tuple(value / length for value in vector)))


def features(given: Input) -> Iterator[str]:
    """Yield the words in lower case and their parts of three characters, or the token numbers."""
    if isinstance(given, list):
        yield from map(str, given)
        return
    for word in re.findall(r"\w+", given.lower()) or [given]:
        yield word
        marked = f"<{word}>"
        for start in range(len(marked) - PART_LENGTH + 1):
            yield marked[start : start + PART_LENGTH]


def pack(vector: tuple[float, ...]) -> bytes:
    """Return the numbers in single precision, four bytes each, the lowest byte first."""
    return struct.pack(f"<{len(vector)}f", *vector)


def encode_base64(vector: tuple[float, ...]) -> str:
    """Return the packed numbers as base64."""
    return b64encode(pack(vector)).decode()
