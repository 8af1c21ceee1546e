"""LangChain's standard tests, run against the simulator: no retries, every feature declared."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.integration_tests import chat_models as suite
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_onerouter import ChatOneRouter, register
from onerouter_simulator import Script, Simulator, chunk, completion
from tests.langchain.media import PDF, PNG, WAV, WAV_64

register()  # otherwise `loads` of LangChain loads its own classes only

DETAILS = [
    *("audio_input", "audio_output", "reasoning_output"),
    *("cache_read_input", "cache_creation_input"),
]
CACHED = {
    "prompt_tokens": 300,
    "completion_tokens": 5,
    "total_tokens": 305,
    "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 150},
}


def fake_download(url: str, **_: Any) -> SimpleNamespace:
    """Return a local file instead of the one that the suite would download."""
    files = {"wav": WAV, "pdf": PDF, "jpg": PNG, "jpeg": PNG, "png": PNG}
    return SimpleNamespace(content=files[url.rpartition(".")[2].lower()])


class TestUnit(ChatModelUnitTests):
    """Tests without a server."""

    chat_model_class = ChatOneRouter
    init_from_env_params = (
        {"ONEROUTER_API_KEY": "from-env", "ONEROUTER_BASE_URL": "https://from-env/v1"},
        {"model": "simulated/echo"},
        {"api_key": "from-env", "base_url": "https://from-env/v1"},
    )

    @property
    def chat_model_params(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        return {"model": "simulated/echo", "max_retries": 0}


class TestIntegration(ChatModelIntegrationTests):
    """Tests with a server, for each method of structured output and each output version."""

    chat_model_class = ChatOneRouter
    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_image_tool_message = True
    supports_pdf_inputs = True
    supports_pdf_tool_message = True
    supports_audio_inputs = True
    supports_anthropic_inputs = True
    model_override_value = "simulated/senses"

    @pytest.fixture(
        autouse=True,
        params=[
            ("json_schema", "v0"),
            ("json_schema", "v1"),
            ("function_calling", "v0"),
            ("function_calling", "v1"),
            ("json_mode", "v0"),
            ("json_mode", "v1"),
        ],
        ids=" ".join,
    )
    def _server(
        self, request: pytest.FixtureRequest, sim: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.sim = sim
        self.method, self.output_version = request.param
        monkeypatch.setattr(suite, "httpx", SimpleNamespace(get=fake_download))
        monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "nothing is downloaded")

    @property
    def chat_model_params(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        return {
            "model": "simulated/echo",
            "api_key": self.sim.api_key,
            "base_url": self.sim.base_url,
            "max_retries": 0,
            "output_version": self.output_version,
        }

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        """Return all token details, for invoke and stream."""
        return {"invoke": DETAILS, "stream": DETAILS}

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        """Return the method of structured output."""
        return {"method": self.method}

    def invoke_with_audio_input(self, *, stream: bool = False) -> AIMessage:
        """Return the answer to a recording."""
        block = {"type": "audio", "base64": WAV_64, "mime_type": "audio/wav"}
        return self._answer([("user", [block])], stream=stream)

    def invoke_with_audio_output(self, *, stream: bool = False) -> AIMessage:
        """Return an answer with audio."""
        return self._answer("Speak", stream=stream, modalities=["text", "audio"])

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        """Return an answer with reasoning."""
        return self._answer("Think", stream=stream, reasoning={"effort": "low"})

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        """Return an answer with cached prompt tokens."""
        events = [chunk("Hello!", finish_reason="stop"), chunk(usage=CACHED)]
        complete = Script(json=completion(usage=CACHED))
        self.sim.script(Script(events=events) if stream else complete)
        return self._answer("Read this", stream=stream)

    def invoke_with_cache_creation_input(self, *, stream: bool = False) -> AIMessage:
        """Return an answer with prompt tokens that were written to the cache."""
        return self.invoke_with_cache_read_input(stream=stream)

    def _answer(self, input: Any, *, stream: bool, **options: Any) -> AIMessage:
        model = ChatOneRouter(**self.chat_model_params)
        if not stream:
            return model.invoke(input, **options)
        message = AIMessageChunk(content="")
        for part in model.stream(input, **options):
            message += part
        return message
