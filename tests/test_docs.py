"""The site tells the truth: its blocks run and print what they say, its pages are all there."""

from __future__ import annotations

import inspect
import re

import pytest

from onerouter_core import ProviderRouting, errors
from onerouter_simulator import Simulator
from tests.pages import ROOT, blocks, run

PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
MOST_NOT_RUN = 6
ERRORS = [
    name
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, errors.OneRouterError)
]


def text_of(page: str) -> str:
    """Return the text of a page of the site."""
    return (ROOT / "docs" / page).read_text("utf-8")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the frameworks' own
@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in text_of(p)])
def test_the_blocks_of_a_page_run_and_print_what_they_say(
    page: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader who types a page in, from top to bottom, sees what it shows."""
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    run(f"docs/{page}", capsys)


def test_few_blocks_are_not_run() -> None:
    """What is not run says why (`<!-- not run: … -->`), and is rare."""
    found = [block for page in PAGES for block in blocks(f"docs/{page}") if block.why_not]
    assert len(found) <= MOST_NOT_RUN


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_has_a_cause_and_a_cure(name: str) -> None:
    """The tree of the errors page has a row for each class."""
    row = re.search(
        rf"^\|[^|]*`{name}`[^|]*\|([^|]+)\|([^|]*)\|$", text_of("errors.md"), re.MULTILINE
    )
    assert row, f"docs/errors.md has no row for {name}"
    assert row[1].strip()
    assert row[2].strip() or name == "OneRouterError"


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_asked_again_is_marked(name: str) -> None:
    """The mark in the tree is the error's own word."""
    marked = re.search(rf"`{name}` ↻", text_of("errors.md")) is not None
    assert marked == getattr(errors, name).transient


def test_every_wish_for_a_provider_is_told() -> None:
    """The routing page has all that `provider` can say."""
    said = text_of("routing.md")
    assert [name for name in ProviderRouting.model_fields if f"`{name}`" not in said] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_found(page: str) -> None:
    """Every page stands in the navigation."""
    assert page in re.findall(r": ([\w/-]+\.md)$", text_of("site/mkdocs.yml"), re.MULTILINE)
