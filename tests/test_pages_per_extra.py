"""README and pages of the site: a user with one framework can run every block that is for them."""

from __future__ import annotations

import pytest

from tests.pages import PACKAGE_NAMES, ROOT, blocks_in, blocks_of, code_blocks, readings

PAGES = [
    "README.md",
    *sorted(
        f"docs/{path.name}"
        for path in (ROOT / "docs").glob("*.md")
        if "```python" in path.read_text("utf-8")
    ),
]
SECTIONS_OF_THEIR_OWN = {"docs/ecosystem.md"}  # each section is a program for one framework

TEXT = """
# A page

=== "LangChain"

    ```python
    import langchain_core
    print(1)
    # -> 1
    ```

=== "LlamaIndex"

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


def frameworks_imported(imports: set[str]) -> set[str]:
    """Return the frameworks to which imported packages belong."""
    return {
        framework
        for framework, beginnings in PACKAGE_NAMES.items()
        for name in imports
        if name.startswith(beginnings)
    }


def test_blocks_know_their_framework() -> None:
    """A tab or a heading names the framework of a block; the rest is for every reader."""
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
    assert frameworks_imported(blocks[0].imports) == {"LangChain"}
    assert frameworks_imported(blocks[1].imports) == {"LlamaIndex"}


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
    imports = set[str]().union(*(block.imports for block in blocks_of(page, framework)))
    needed = frameworks_imported(imports)
    assert needed <= {framework} if framework else len(needed) <= 1


@pytest.mark.parametrize("page", sorted(SECTIONS_OF_THEIR_OWN))
def test_a_section_needs_one_framework(page: str) -> None:
    """Each block of a page of programs imports packages of one framework only."""
    for block in code_blocks(page):
        if block.language == "python":
            assert len(frameworks_imported(block.imports)) <= 1, block.code
