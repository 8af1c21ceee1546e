"""Check a built site.

Every internal link leads somewhere, nothing loads from another host, and the search has a section
for what newcomers look for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SEARCHED = (
    *("api key", "base url", "budgets", "docker", "embedding", "jupyter", "logging", "memory"),
    *("metrics", "progress", "proxies", "retries", "security", "tracing", "windows"),
)
_LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src"}


class Page(HTMLParser):
    """The anchors of a page, what it links to, and what a browser loads with it."""

    def __init__(self, path: Path) -> None:
        """Read a page."""
        super().__init__()
        self.path = path
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag says."""
        known = {name: value for name, value in attrs if value}
        self.anchors |= {known[name] for name in ("id", "name") if name in known}
        if tag == "a" and "href" in known:
            self.links.append(known["href"])
        if tag in _LOADED and known.get("rel") != "canonical" and _LOADED[tag] in known:
            self.loads.append(known[_LOADED[tag]])


def faults(root: Path) -> Iterator[str]:
    """Yield what is wrong in a site."""
    pages = {path: Page(path) for path in sorted(root.rglob("*.html"))}
    for page in pages.values():
        where = page.path.relative_to(root)
        yield from (f"{where} loads {url}" for url in page.loads if urlsplit(url).netloc)
        if page.path.name == "404.html":  # its links begin at the root of a server
            continue
        for url in page.links + page.loads:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            if not target.exists():
                yield f"{where} links to {url}, which is not there"
            elif parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{where} links to {url}, but there is no such anchor"


def not_found(root: Path) -> Iterator[str]:
    """Yield a line for each searched word that no title of a section has."""
    index = json.loads((root / "search" / "search_index.json").read_text("utf-8"))
    titles = [section["title"].lower() for section in index["docs"]]
    for word in SEARCHED:
        if not any(word in title for title in titles):
            yield f"the search finds no section about {word!r}"


def main() -> None:
    """Print the faults of the site given, and fail if there are any."""
    root = Path(sys.argv[1]).resolve()
    if found := "\n".join([*faults(root), *not_found(root)]):
        raise SystemExit(found)


if __name__ == "__main__":
    main()
