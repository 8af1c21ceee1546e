"""llama.cpp's own server, as a program: python engine.py WEIGHTS PORT KEY.

Two slots of 4,096 tokens each; `/slots` shows which of them are at work.
"""

from __future__ import annotations

import sys
import threading

SLOTS = 2
WINDOW = 4096


def serve(weights: str, port: int, key: str) -> None:
    """Serve until killed."""
    import xllamacpp  # noqa: PLC0415 -- the tests read the numbers above without it

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {"smollm2"}
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], port, [key]
    params.n_parallel, params.n_ctx = SLOTS, SLOTS * WINDOW
    params.n_threads_http = 32  # one for each connection that is open at once
    params.cpuparams.n_threads = 1  # several would wait for each other on a busy machine
    params.cpuparams_batch.n_threads = 1
    params.warmup = False
    _server = xllamacpp.Server(params)
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
