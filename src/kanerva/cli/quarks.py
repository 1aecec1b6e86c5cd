"""``kanerva quarks``: the three quarks of attention, and the gates of any model."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva._core.locks import locked
from kanerva.cli._app import app, bar, interruptible
from kanerva.cli._tables import bullets, console, findings, grid, numbers

__all__: list[str] = []  # the command is the interface

MODEL = (
    "A folder with a model of transformers, or with its config.json alone; an installed package "
    "that contains one; or a name on the hub"
)
TOKENS = "Tokens of the text that is read  [default: 128, or as many as the model takes]"
META = "Build the model from its configuration, without its weights"
OUT = "Folder for the report and its tables  [default: runs/quarks-MODEL]"
SIGNS = {"addition": "+", "multiplication": "×"}
# The columns of the table, with heads that fit into a terminal of 80 columns.
HEADS = {
    "kind": "class of module",
    "modules": "modules",
    "output": "output\ngates",
    "synaptic": "synaptic\ngates",
    "linear": "products\nby weights",
    "additive": "sums of\nsignals",
}


@app.command()
@door
def quarks(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help=MODEL)] = None,
    tokens: Annotated[int | None, typer.Option(help=TOKENS)] = None,
    meta: Annotated[bool, typer.Option("--meta", help=META)] = False,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Count the gates of MODEL; without one, list the 18 ways to attend and the 3 that are kept."""
    if model is None:
        if tokens is not None or meta or out is not None:
            must, do = (
                "named where --tokens, --meta or --out is given",
                "write kanerva quarks MODEL",
            )
            refuse("model", got="left out", must=must, do=do)
        (_print_cases_json if json_ else _print_cases)()
        return
    if tokens is not None:
        checks.integer("tokens", tokens, 1, 10**9)
    from kanerva.lab import quarks as quarks_

    folder = Path("runs", f"quarks-{Path(model).name}") if out is None else out
    kept = "Nothing is kept: a count is written when it is complete"
    with interruptible(lambda: kept), bar() as show:
        result = quarks_.count(quarks_.load(model, meta=meta), tokens, show)
    with locked(folder, tidy=True), interruptible(lambda: f"The complete files are in {folder}"):
        files = quarks_.save(result, folder)
    (_print_json if json_ else _print)(result, files)


def _print(result: Any, files: list[Path]) -> None:
    """Print the table of classes, the findings, and where the report is."""
    from kanerva.lab import quarks as quarks_

    screen = console()
    screen.print(numbers(quarks_.kinds(result), HEADS))
    screen.print()
    findings(screen, result.verdicts, result.notes, files)


def _print_json(result: Any, files: list[Path]) -> None:
    typer.echo(json.dumps(result._asdict() | {"files": [str(path) for path in files]}))


def _print_cases() -> None:
    """Print the 18 cases as a table, and why three of them remain."""
    from kanerva.quarks import CASES

    possible = [case for case in CASES if case.possible]
    kept = [case for case in possible if case.kept]
    screen = console()
    screen.print(Text(f"{len(CASES)} cases, {len(possible)} possible, {len(kept)} kept", "bold"))
    screen.print()
    table = grid("a signal from", "meets", "by", "equation", "what remains")
    for case in CASES:
        remains = case.becomes if case.kept else "rewritten" if case.possible else "no signal"
        style = None if case.kept else "dim"
        cells = (case.source, case.target, SIGNS[case.mechanism], case.equation, remains)
        table.add_row(*map(Text, cells), style=style)
    screen.print(table)
    screen.print()
    reasons = dict.fromkeys(case.reason for case in CASES if not case.possible)
    bullets(screen, reasons)
    rewritten = [case for case in possible if not case.kept]
    bullets(
        screen, (f"{_large(case.name)} becomes {case.becomes}. {case.reason}" for case in rewritten)
    )
    bullets(
        screen, (f"{_large(case.name)} is kept: kanerva.quarks.{case.becomes}." for case in kept)
    )


def _print_cases_json() -> None:
    from kanerva.quarks import CASES

    words = ("source", "target", "mechanism", "name", "equation", "becomes", "reason")
    names = (*words, "possible", "kept")
    rows = [{name: getattr(case, name) for name in names} for case in CASES]
    typer.echo(json.dumps({"cases": rows}))


def _large(text: str) -> str:
    return text[:1].upper() + text[1:]
