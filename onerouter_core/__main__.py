"""Command line: `python -m onerouter_core models` lists models, `doctor` finds out why calls fail.

This module knows the arguments, and how a table is printed; models are found by `Catalog`, faults
by `diagnose`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from itertools import chain
from time import monotonic
from typing import Any

from onerouter_core.budgets import as_usd
from onerouter_core.catalog import Catalog
from onerouter_core.doctor import MAX_COST, CheckResult, diagnose
from onerouter_core.environment import network_variables, package_versions
from onerouter_core.errors import OneRouterError
from onerouter_core.html_table import per_million
from onerouter_core.types import ModelInfo

_HEAD = ("model", "context", "input $/M", "output $/M", "modalities", "features")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        exit_code: int = options.run(options)
    except (OneRouterError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return exit_code


def _list_models(options: argparse.Namespace) -> int:
    models = _find_models(options)
    if options.json:
        _print_json([_to_json(model) for model in models])
    else:
        _print_table([_HEAD, *map(_row, models)])
    return 0


def _run_doctor(options: argparse.Namespace) -> int:
    """Make the checks; the exit code is 1 if one has failed."""
    started = monotonic()
    found = diagnose(options.model)
    seconds = round(monotonic() - started, 2)
    if options.json:
        facts = {"ok": found.ok, "base_url": found.base_url, "model": found.model}
        spent = {"spent_usd": f"{found.spent:f}", "limit_usd": f"{MAX_COST:f}", "seconds": seconds}
        environment = {"packages": package_versions(), "variables": network_variables()}
        checks = [asdict(check) for check in found.checks]
        _print_json({**facts, **spent, **environment, "checks": checks})
    else:
        _print_table([("check", "result", "found"), *chain(*map(_check_rows, found.checks))])
        sys.stdout.write(f"Spent {found.spent:f} USD (limit {MAX_COST:f}) in {seconds} s.\n")
    return 0 if found.ok else 1


def _check_rows(check: CheckResult) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of a check: a line of what was found in each, then the hint."""
    first, *others = check.detail.splitlines() or [""]
    yield check.name, check.result, first
    hint = [f"-> {check.hint}"] if check.hint else []
    yield from (("", "", line) for line in [*others, *hint])


def _find_models(options: argparse.Namespace) -> tuple[ModelInfo, ...]:
    catalog = Catalog.load(options.file) if options.file else Catalog.fetch()
    return catalog.find(
        text=" ".join(options.text),
        free=options.free or None,
        vision=options.vision or None,
        tools=options.tools or None,
        max_price=options.max_price and as_usd(options.max_price, "--max-price"),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m onerouter_core",
        description="Lists and checks the models of a OneRouter gateway.",
    )
    commands = parser.add_subparsers(required=True)
    doctor = commands.add_parser("doctor", help="check environment, address, key and a model")
    doctor.add_argument("--model", metavar="ID", help="model to ask; default: a cheap one")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.set_defaults(run=_run_doctor)
    models = commands.add_parser("models", help="list the chat models")
    models.set_defaults(run=_list_models)
    models.add_argument("text", nargs="*", help="words that must be in the id or the name")
    models.add_argument("--free", action="store_true", help="only models that cost nothing")
    models.add_argument("--vision", action="store_true", help="only models that read images")
    models.add_argument("--tools", action="store_true", help="only models that can call tools")
    models.add_argument(
        "--max-price",
        metavar="USD",
        help="highest price per million tokens, for input and for output",
    )
    models.add_argument("--file", help="read a file of Catalog.save instead of the gateway's list")
    models.add_argument(
        "--json", action="store_true", help="print JSON, with prices in USD per token"
    )
    return parser


def _to_json(model: ModelInfo) -> dict[str, Any]:
    fields = asdict(model)
    del fields["raw"]
    return {name: str(v) if isinstance(v, Decimal) else v for name, v in fields.items()}


def _row(model: ModelInfo) -> tuple[str, ...]:
    features = {"tools": model.tools, "json": model.json_mode, "streaming": model.streaming}
    return (
        model.id,
        f"{model.context_window:,}" if model.context_window else "",
        per_million(model.input_price),
        per_million(model.output_price),
        " ".join(model.input_modalities),
        " ".join(name for name, is_supported in features.items() if is_supported),
    )


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table: with rich on a terminal, else as aligned columns, which are never cut."""
    if _print_rich_table(rows):
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _print_rich_table(rows: Sequence[tuple[str, ...]]) -> bool:
    """Print a table with rich; return False without rich, or if stdout is no terminal."""
    try:
        from rich.console import Console  # noqa: PLC0415 -- an optional dependency
        from rich.markup import escape  # noqa: PLC0415 -- as above
        from rich.table import Table  # noqa: PLC0415 -- as above
    except ImportError:
        return False
    console = Console()
    if not console.is_terminal:
        return False
    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*map(escape, row))
    console.print(table)
    return True


if __name__ == "__main__":
    sys.exit(main())
