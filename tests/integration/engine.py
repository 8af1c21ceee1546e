"""The server of llama.cpp, as a program: python engine.py WEIGHTS PORT KEY.

It has two slots of 4,096 tokens each; `/slots` shows which of them are processing a request.
"""

from __future__ import annotations

import sys
import threading

SLOTS = 2
CONTEXT_WINDOW = 4096  # tokens of each slot


def serve(weights: str, port: int, key: str) -> None:
    """Serve until the process is killed."""
    import xllamacpp  # noqa: PLC0415 -- the tests import the constants above without it

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {"smollm2"}
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], port, [key]
    params.n_parallel, params.n_ctx = SLOTS, SLOTS * CONTEXT_WINDOW
    params.n_threads_http = 32  # one for each open connection
    params.cpuparams.n_threads = 1  # on a busy machine several threads wait for each other
    params.cpuparams_batch.n_threads = 1
    params.warmup = False
    _server = xllamacpp.Server(params)
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
