"""Documentation pages: their code blocks run, and they cover every error, field and page."""

from __future__ import annotations

import inspect
import re
import runpy
from collections import Counter
from pathlib import Path

import pytest

import onerouter_core
from onerouter_core import ProviderRouting, errors
from onerouter_simulator import Simulator
from tests.pages import ROOT, check_page, code_blocks, readings

PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
NEED_OTHER_PACKAGES = {"ecosystem.md"}  # tests/ecosystem/test_page.py runs its blocks
NOT_RUN: dict[tuple[str, str], int] = {}  # blocks that are run nowhere: page, reason, number
RUN_ELSEWHERE = {
    "observability.md": 2,  # tests/integration/test_pages.py
    "recipes.md": 2,  # tests/ecosystem/test_embeddings.py
}
READ_ON_GITHUB = [
    *(f"docs/{page}" for page in PAGES),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
]
ONLY_THE_SITE = r'^\s*(=== "|!!! |\?\?\?|-+8<-+ |:::)|\{[:.#] ?[\w-]'  # GitHub shows these as text
CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
SITE = runpy.run_path(str(ROOT / "docs" / "site" / "hooks.py"))
LABEL = re.compile(r"^\*\*([^*\n]+)\*\*$", re.MULTILINE)
ERRORS = [
    name
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.OneRouterError)
]


def text_of(page: str) -> str:
    """Return the text of a page of the site."""
    return (ROOT / "docs" / page).read_text("utf-8")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the frameworks' own
@pytest.mark.parametrize(
    ("page", "framework"),
    [
        (page, framework)
        for page in PAGES
        if "```python" in text_of(page) and page not in NEED_OTHER_PACKAGES
        for framework in readings(f"docs/{page}")
    ],
)
def test_code_blocks_run_and_print_the_shown_output(
    page: str,
    framework: str,
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The Python blocks of a page run from top to bottom, for each framework, on the simulator."""
    monkeypatch.chdir(tmp_path)  # for blocks that write files
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    check_page(f"docs/{page}", framework)


def test_few_blocks_are_not_run() -> None:
    """A block that is run nowhere, or only in another environment, is in a table of this file."""
    skipped = [
        (page, block.skip_reason)
        for page in PAGES
        for block in code_blocks(f"docs/{page}")
        if block.skip_reason
    ]
    elsewhere = Counter(page for page, reason in skipped if reason.startswith("needs "))
    assert elsewhere <= Counter(RUN_ELSEWHERE)
    nowhere = Counter(item for item in skipped if not item[1].startswith("needs "))
    assert nowhere == NOT_RUN


@pytest.mark.parametrize("page", READ_ON_GITHUB)
def test_github_renders_all_of_a_page(page: str) -> None:
    """A page has no mark that only the site's extensions of Markdown know, outside of code."""
    text = CODE.sub("", (ROOT / page).read_text("utf-8"))
    assert re.search(ONLY_THE_SITE, text, re.MULTILINE) is None


@pytest.mark.parametrize("page", PAGES)
def test_the_site_shows_labelled_blocks_as_tabs(page: str) -> None:
    """Labels come in pairs at least; each has one code block, and is a tab of the site."""
    text = text_of(page)
    with_tabs = SITE["with_tabs"](text)
    labels = LABEL.findall(text)
    assert re.findall(r'^=== "(.+)"$', with_tabs, re.MULTILINE) == labels
    assert not LABEL.search(with_tabs)
    for tabs in re.findall(r'(?:^=== ".+"\n(?:(?:    .*)?\n)+)+', with_tabs + "\n", re.MULTILINE):
        assert tabs.count('=== "') > 1, tabs
        assert tabs.count("    ```") == 2 * tabs.count('=== "'), tabs
        assert not re.search(r"^    #+ \w.*\n\n    ```", tabs, re.MULTILINE), tabs


def test_cells_of_the_site_know_their_column() -> None:
    """A narrow screen shows a row as lines: each cell has the title of its column."""
    head = '<table>\n<tr>\n<th></th>\n<th style="x"><code>a=</code> "b" &amp; c</th>\n</tr>\n'
    rows = "<tr>\n<td>1</td>\n<td style='x'>2</td>\n</tr>\n"
    rows += "<tr>\n<td></td>\n<td>4</td>\n</tr>\n</table>"
    titled = SITE["with_titled_cells"](f"<p>{head}{rows}<p>")
    title = 'data-title="a= &quot;b&quot; &amp; c"'
    assert titled.startswith(f"<p>{head}")
    cells = re.findall(r"<td.*</td>", titled)
    assert cells == [
        '<td data-title="">1</td>',
        f"<td {title} style='x'>2</td>",
        '<td data-title=""></td>',
        f"<td {title}>4</td>",
    ]
    assert re.sub(r' data-title="[^"]*"', "", titled) == f"<p>{head}{rows}<p>"


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_class_has_a_cause_and_a_remedy(name: str) -> None:
    """The table of errors.md has a row for each class."""
    row = re.search(
        rf"^\|[^|]*`{name}`[^|]*\|([^|]+)\|([^|]*)\|$", text_of("errors.md"), re.MULTILINE
    )
    assert row, f"docs/errors.md has no row for {name}"
    assert row[1].strip()
    assert row[2].strip() or name == "OneRouterError"


@pytest.mark.parametrize("name", ERRORS)
def test_transient_errors_are_marked_in_the_table(name: str) -> None:
    """The mark ↻ in errors.md agrees with the attribute `transient` of the class."""
    marked = re.search(rf"`{name}` ↻", text_of("errors.md")) is not None
    assert marked == getattr(errors, name).transient


def test_every_provider_routing_field_is_documented() -> None:
    """routing.md names every field of `provider`."""
    text = text_of("routing.md")
    assert [name for name in ProviderRouting.model_fields if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_in_the_navigation(page: str) -> None:
    """site/mkdocs.yml lists every page."""
    assert page in re.findall(r": ([\w/-]+\.md)$", text_of("site/mkdocs.yml"), re.MULTILINE)


def test_the_reference_has_every_exported_name_of_the_core() -> None:
    """Each name is on the page for users, or on that of the building blocks, and on one only."""
    lists = re.findall(
        r"members: \[(.*)\]", text_of("api/core.md") + text_of("api/building-blocks.md")
    )
    shown = re.findall(r"\w+", " ".join(lists))
    assert sorted(set(shown)) == sorted(shown)
    not_here = {"__version__", "OneRouterError"}  # the latter is in the section of errors
    assert set(onerouter_core.__all__) - set(shown) == not_here
