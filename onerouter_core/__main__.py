"""`python -m onerouter_core models`: what the gateway offers, as a table or as JSON.

This module knows the command line and what a table looks like; what a model is, the catalogue does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from onerouter_core.catalog import Catalog
from onerouter_core.errors import OneRouterError
from onerouter_core.html_table import per_million
from onerouter_core.ledger import as_usd
from onerouter_core.types import ModelInfo

_HEAD = ("model", "context", "in $/M", "out $/M", "takes", "can")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        models = _find_models(options)
    except (OneRouterError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps([_to_json(model) for model in models], indent=1) + "\n")
    else:
        _print_table([_HEAD, *map(_row, models)])
    return 0


def _find_models(options: argparse.Namespace) -> tuple[ModelInfo, ...]:
    catalog = Catalog.load(options.file) if options.file else Catalog.fetch()
    return catalog.find(
        text=" ".join(options.text),
        free=options.free or None,
        vision=options.vision or None,
        tools=options.tools or None,
        max_price=options.max_price and as_usd(options.max_price, "--max-price").scaleb(-6),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m onerouter_core", description="What models the gateway offers."
    )
    models = parser.add_subparsers(required=True).add_parser("models", help="list what can chat")
    models.add_argument("text", nargs="*", help="words that are in the id or the name")
    models.add_argument("--free", action="store_true", help="what costs nothing")
    models.add_argument("--vision", action="store_true", help="what sees images")
    models.add_argument("--tools", action="store_true", help="what calls functions")
    models.add_argument("--max-price", metavar="USD", help="per million tokens, in and out alike")
    models.add_argument("--file", help="a catalogue that was saved, not the gateway's own")
    models.add_argument("--json", action="store_true", help="as JSON, prices in USD per token")
    return parser


def _to_json(model: ModelInfo) -> dict[str, Any]:
    known = asdict(model)
    del known["raw"]
    return {name: str(v) if isinstance(v, Decimal) else v for name, v in known.items()}


def _row(model: ModelInfo) -> tuple[str, ...]:
    can = {"tools": model.tools, "json": model.json_mode, "streaming": model.streaming}
    return (
        model.id,
        f"{model.context_window:,}" if model.context_window else "",
        per_million(model.input_price),
        per_million(model.output_price),
        " ".join(model.input_modalities),
        " ".join(name for name, able in can.items() if able),
    )


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table: rich's on a screen if it is there, else aligned columns, never cut."""
    try:
        from rich.console import Console  # noqa: PLC0415 -- an extra
        from rich.markup import escape  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        console = Console()
        on_a_screen = console.is_terminal
    except ImportError:
        on_a_screen = False
    if not on_a_screen:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            sys.stdout.write("  ".join(cells).rstrip() + "\n")
        return
    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*map(escape, row))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
