"""``kanerva audit``: ask whether the samples of a model copy its training rows."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from kanerva._core.errors import door
from kanerva._core.locks import locked
from kanerva.cli._app import app, bar, interruptible
from kanerva.cli._tables import bullets, console, findings, numbers
from kanerva.cli.recall import CROP, DROP

__all__: list[str] = []  # the command is the interface

SAMPLES = (
    "Samples of a generative model, one a row: a .npy, .npz, .safetensors, .csv, .tsv or .parquet "
    "file, or a folder of pictures"
)
TRAIN = "The rows that the model was trained on, in the same unit"
HOLDOUT = "Rows of the same source that the model was not trained on"
MEMORISED = (
    "Distance to a training row within which a sample is a copy  [default: a quarter of the median "
    "distance between neighbours of the training rows]"
)
SPURIOUS = (
    "Distance to another sample within which a sample that is no copy is a repeat  [default: a "
    "tenth of that median]"
)
LABEL = "The column of tables, or the array of .npz files, that holds the classes; it is left out"
SCALE = (
    "Take the numbers as they are, or divide each column by its range in the training rows: whole "
    "or columns; auto takes columns for tables"
)
FAIL = "End with exit code 1 where the share of copies is above this one"
OUT = "Folder for the report and its tables  [default: runs/audit-SAMPLES]"
# The columns of the table, with heads that fit into a terminal of 80 columns.
HEADS = {
    "kind": "kind",
    "count": "samples",
    "share": "share",
    "interval": "95% interval",
    "holdout": "hold-out",
    "within": "within",
}


@app.command()
@door
def audit(
    samples: Annotated[str, typer.Argument(metavar="SAMPLES", help=SAMPLES)],
    train: Annotated[str, typer.Option(help=TRAIN, metavar="DATA")],
    holdout: Annotated[str | None, typer.Option(help=HOLDOUT, metavar="DATA")] = None,
    memorised: Annotated[float | None, typer.Option(help=MEMORISED)] = None,
    spurious: Annotated[float | None, typer.Option(help=SPURIOUS)] = None,
    fail_above: Annotated[float | None, typer.Option(help=FAIL, metavar="SHARE")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the intervals")] = 0,
    label: Annotated[str | None, typer.Option(help=LABEL, metavar="COLUMN")] = None,
    drop: Annotated[list[str] | None, typer.Option(help=DROP, metavar="COLUMN")] = None,
    crop: Annotated[bool, typer.Option("--crop", help=CROP)] = False,
    scale: Annotated[str, typer.Option(help=SCALE)] = "auto",
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Ask whether SAMPLES of a model copy its training rows, repeat one another, or are new."""
    from kanerva.lab import audit as audit_

    plan = audit_.Plan(memorised, spurious, seed, fail_above)
    reading: dict[str, Any] = {"label": label, "drop": drop or (), "crop": crop, "scale": scale}
    loaded = audit_.load(samples, train, holdout, **reading)
    name = Path(samples).stem.replace(":", ".") or "samples"
    folder = Path("runs", f"audit-{name}") if out is None else out
    kept = "Nothing is kept: an audit is written when it is complete"
    with locked(folder, tidy=True):
        with interruptible(lambda: kept), bar() as show:
            result = audit_.evaluate(loaded, plan, show)
        with interruptible(lambda: f"The files that were complete are kept in {folder}"):
            files = audit_.save(result, folder)
    (_print_json if json_ else _print)(result, files)
    if result.passed is False:
        share, limit = (f"{100 * part:.4g}%" for part in (result.rows[0]["share"], fail_above or 0))
        text = f"kanerva: {share} of the samples are copies, above {limit} (--fail-above)."
        console(stderr=True).print(Text(text))
        raise typer.Exit(1)


def _print_json(result: Any, files: list[Path]) -> None:
    """Print the numbers and the words as JSON; the samples one by one are in their table."""
    hidden = ("pictures", "samples", "curves")
    found = {name: getattr(result, name) for name in result._fields if name not in hidden}
    typer.echo(json.dumps(found | {"files": [str(path) for path in files]}))


def _print(result: Any, files: list[Path]) -> None:
    """Print the table, the findings, and where the report is."""
    from kanerva.lab import audit as audit_

    screen = console()
    screen.print(numbers(audit_.shares(result), HEADS))
    screen.print()
    if result.warnings:
        bullets(screen, (f"Warning: {words}" for words in result.warnings))
        screen.print()
    findings(screen, result.verdicts, result.notes, files)
