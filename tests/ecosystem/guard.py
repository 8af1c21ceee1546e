"""Environment of the packages under test: no telemetry, and no network but loopback.

Import it before the packages: most of them read their variables when they are imported.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# Switches of the packages' anonymous telemetry and downloads; DO_NOT_TRACK is read by several.
NO_TELEMETRY = {
    "DO_NOT_TRACK": "true",
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "DEEPEVAL_DISABLE_DOTENV": "1",
    "DEEPEVAL_UPDATE_WARNING_OPT_IN": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it downloads the prices when it is imported
    "LITERAL_DISABLE": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # to make its database takes many seconds
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "NEMO_GUARDRAILS_NO_USAGE_STATS": "1",
    "OPIK_SENTRY_ENABLE": "false",
    "RAGAS_DO_NOT_TRACK": "true",
    "TRACELOOP_TELEMETRY": "false",
}
_LOOPBACK = {"127.0.0.1", "::1", "localhost", "", None}

_ASKED_BY_NLTK = {"raw.githubusercontent.com"}  # guardrails downloads a tokenizer; works without

attempts: list[str] = []  # hosts that are not on loopback


class NetworkUseError(OSError):
    """A package has tried to reach another host."""


def install() -> None:
    """Switch the telemetry off, and forbid connections of this process to other hosts."""
    os.environ.update(NO_TELEMETRY)
    sys.addaudithook(_forbid_network)


def _forbid_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise for a connection or a look-up of a host that is not on loopback."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in _LOOPBACK:
        if host not in _ASKED_BY_NLTK:
            attempts.append(str(host))
        raise NetworkUseError(f"only loopback may be reached, not {host}")
