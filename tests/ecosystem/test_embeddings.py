"""docs/recipes.md: the blocks on embeddings run on the simulator, and similar texts are found."""

from __future__ import annotations

import pytest

from onerouter_simulator import Simulator
from tests.pages import check_page, code_blocks

BLOCKS = {"LangChain": "langchain_openai", "LlamaIndex": "llama_index.embeddings.openai_like"}


@pytest.mark.parametrize(
    "framework",
    [
        pytest.param("LangChain", marks=pytest.mark.package("langchain-openai", "embeddings")),
        pytest.param(
            "LlamaIndex",
            marks=pytest.mark.package("llama-index-embeddings-openai-like", "embeddings"),
        ),
    ],
)
def test_the_blocks_on_embeddings_run(
    framework: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No block is left out; each one asks the simulator for the vector of its text."""
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    blocks = [b for b in code_blocks("docs/recipes.md") if BLOCKS[framework] in b.code]
    assert [block.skip_reason for block in blocks] == [""]
    check_page("docs/recipes.md", framework)
    (request,) = [one for one in sim.requests if one.path == "/v1/embeddings"]
    assert request.body["input"] in ("Hello", ["Hello"])
