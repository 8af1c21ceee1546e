"""README and pages of the site: a user with one framework can run every block that is for them."""

from __future__ import annotations

import pytest

from tests.pages import (
    ROOT,
    SECTIONS_OF_THEIR_OWN,
    blocks_in,
    blocks_of,
    code_blocks,
    frameworks_of,
    pages_for,
    readings,
)

PAGES = [
    "README.md",
    *sorted(
        f"docs/{path.name}"
        for path in (ROOT / "docs").glob("*.md")
        if "```python" in path.read_text("utf-8")
    ),
]
TEXT = """
# A page

**LangChain**

```python
import langchain_core
print(1)
# -> 1
```

**LlamaIndex**

`pip install` something:

```python
from llama_index.core import Document
```

```python
# LlamaIndex
print(2)
```

## LlamaIndex

```python
print(3)
```

### Deeper

<!-- not run: it would cost money -->
```python
print(4)
```

## Other

```
LangChain
```
"""


def test_blocks_know_their_framework() -> None:
    """A bold line or a heading names the framework of a block; the rest is for every reader."""
    blocks = blocks_in(TEXT)
    assert [block.framework for block in blocks] == [
        "LangChain",
        "LlamaIndex",
        "",
        "LlamaIndex",
        "LlamaIndex",
        "",
    ]
    assert blocks[0].code == "import langchain_core\nprint(1)\n# -> 1\n"
    assert blocks[0].shown_output == ["1"]
    assert blocks[4].skip_reason == "it would cost money"
    assert frameworks_of(blocks[:1]) == {"LangChain"}
    assert frameworks_of(blocks[1:2]) == {"LlamaIndex"}


@pytest.mark.parametrize(
    ("page", "framework"),
    [
        (page, framework)
        for page in PAGES
        if page not in SECTIONS_OF_THEIR_OWN
        for framework in readings(page)
    ],
)
def test_a_reader_needs_one_framework(page: str, framework: str) -> None:
    """The blocks that a reader runs import packages of one framework only."""
    needed = frameworks_of(blocks_of(page, framework))
    assert needed <= {framework} if framework else len(needed) <= 1


@pytest.mark.parametrize("page", sorted(SECTIONS_OF_THEIR_OWN))
def test_a_section_needs_one_framework(page: str) -> None:
    """Each block of a page of programs imports packages of one framework only."""
    for block in code_blocks(page):
        if block.language == "python":
            assert len(frameworks_of([block])) <= 1, block.code


def test_pages_for_a_framework() -> None:
    """They are README and all pages, but for those whose blocks need the other framework."""
    pages = pages_for("LlamaIndex")
    assert {"README.md", "docs/costs.md", "docs/llama-index.md"} <= set(pages)
    assert "docs/architecture.md" not in pages
    assert blocks_of("docs/llama-index.md", "LangChain") == []
