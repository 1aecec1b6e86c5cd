"""``kanerva codec``: fit a code to data, and write it to a file."""

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from kanerva._core import checks, files, machine
from kanerva._core.errors import InputFileError, door, named, refuse
from kanerva.cli._app import app, bar, interruptible
from kanerva.cli._tables import bullets, console, grid
from kanerva.cli.recall import COLOUR, CROP, DATA, DROP, LABEL, SCALE, THRESHOLD, Recall

__all__: list[str] = []  # the command is the interface

KINDS = ("ae", "pca")
LAYOUTS = ("small", "paper")
FEATURES = (
    "Numbers of a code  [default: 64; 32 of pca; in the layout paper height times width of a "
    "picture]"
)
LAYOUT = (
    "Layout of an autoencoder: small, for small pictures and vectors; or paper, the published one "
    "for pictures whose sides are even"
)
KIND = "Kind of code: ae, an autoencoder; or pca, principal components"
EPOCHS = "How often each pattern is shown in training"
SEED = "Seed of the training, and of the choice of patterns"
PATTERNS = "Fit to this many patterns of the data, chosen at random; all unless given"
DOMAIN = "What to fit to, of data that can be either: real or bits"
OUT = "The file to write, which kanerva recall --codec reads"
# The columns of the table, with heads that fit into a terminal of 80 columns.
HEADS = {
    "codec": "codec",
    "features": "features",
    "parameters": "parameters",
    "rmse": "RMSE",
    "accuracy": "accuracy",
    "seconds": "seconds",
}


@app.command(cls=Recall)
@door
def codec(
    source: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    out: Annotated[Path, typer.Option(help=OUT, metavar="FILE")],
    features: Annotated[int | None, typer.Option(help=FEATURES)] = None,
    layout: Annotated[str, typer.Option(help=LAYOUT)] = "small",
    kind: Annotated[str, typer.Option(help=KIND)] = "ae",
    epochs: Annotated[int, typer.Option(help=EPOCHS)] = 30,
    seed: Annotated[int, typer.Option(help=SEED)] = 0,
    domain: Annotated[str, typer.Option(help=DOMAIN)] = "real",
    patterns: Annotated[int | None, typer.Option(help=PATTERNS)] = None,
    threshold: Annotated[float | None, typer.Option(help=THRESHOLD)] = None,
    label: Annotated[str | None, typer.Option(help=LABEL, metavar="COLUMN")] = None,
    drop: Annotated[list[str] | None, typer.Option(help=DROP, metavar="COLUMN")] = None,
    crop: Annotated[bool, typer.Option("--crop", help=CROP)] = False,
    colour: Annotated[bool, typer.Option("--colour", help=COLOUR)] = False,
    scale: Annotated[str, typer.Option(help=SCALE)] = "auto",
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Fit a code to DATA, and write it to a file that ``kanerva recall --codec`` reads.

    Where the data have classes, an autoencoder learns to name them, too.
    """
    from kanerva.lab import data

    for name, value, options in (
        ("kind", kind, KINDS),
        ("layout", layout, LAYOUTS),
        ("domain", domain, ("real", "bits")),
    ):
        checks.choice(name, value, options)
    out = _writable(out)
    reading: dict[str, Any] = {"label": label, "drop": drop or (), "crop": crop, "scale": scale}
    reading |= {
        "colour": colour,
        "threshold": threshold,
        "domain": "real" if domain == "real" else "auto",
    }
    loaded = data.load(source, patterns=patterns, seed=seed, **reading)
    made = _made(kind, features, layout, epochs, seed, loaded.shape)
    with interruptible(lambda: "Nothing is kept: a codec is written when it is complete"):
        with bar() as show:
            row, notes = _fitted(made, loaded, domain, show)
        _save(made, out)
    row |= {"file": str(out), "bytes": out.stat().st_size}
    if json_:
        typer.echo(json.dumps({**row, "notes": notes}))
        return
    _print(row, notes)


def _writable(out: Path) -> Path:
    """Refuse a file that could not be written after the training."""
    if out.is_dir() or not out.name:
        got = f"{str(out)!r}, a folder"
        refuse("out", must="a file", got=got, do="add a file name", error=InputFileError)
    with files.writing(out.parent), tempfile.TemporaryFile(dir=out.parent):
        return out


@named(path="out")
def _save(made: Any, path: Path) -> None:
    """Write a codec."""
    made.save(path)


def _made(
    kind: str, features: int | None, layout: str, epochs: int, seed: int, shape: tuple[int, ...]
) -> Any:
    """Make the codec."""
    from kanerva.lab import codec as codec_

    checks.integer("seed", seed, 0)
    checks.integer("epochs", epochs, 1, checks.LONGEST)
    if kind == "pca":
        return codec_.PCA(32 if features is None else features)
    if features is None:
        features = math.prod(shape[:2]) if layout == "paper" and shape else 64
    return codec_.Autoencoder(shape, features, layout, epochs, seed)


def _fitted(made: Any, data: Any, domain: str, show: Any) -> tuple[dict[str, Any], list[str]]:
    """Fit a codec, and measure how well it decodes and classifies what it was fitted to."""
    x = data.bits if domain == "bits" else data.real
    start = time.perf_counter()
    made.fit(x, data.labels, progress=lambda done, total, loss: show("Training", done, total))
    seconds = time.perf_counter() - start
    code = made.encode(x)
    error = (made.decode(code) - x).double().square().mean().sqrt().item()
    accuracy = None
    if data.labels is not None and hasattr(made, "classify"):
        accuracy = (made.classify(code) == data.labels).double().mean().item()
    row = {
        "codec": made.name,
        "about": made.about,
        "features": made.length,
        "parameters": made.parameters,
        "rmse": error,
        "accuracy": accuracy,
        "seconds": seconds,
        "patterns": len(x),
    }
    notes = [*data.notes, f"Fitted to {len(x):,} patterns of {x.shape[1]:,} numbers."]
    notes.append(
        "RMSE is the root mean square error of these patterns after encoding and decoding, where "
        "the least number is -1 and the greatest 1."
    )
    if accuracy is not None:
        notes.append(
            "Accuracy is the share of these patterns to whose code the classifier gives their "
            "class; of patterns that were not shown in training it is lower."
        )
    return row, notes


def _print(row: dict[str, Any], notes: list[str]) -> None:
    """Print the table, how to read it, and where the file is."""
    screen = console()
    shown = {
        "codec": row["codec"],
        "features": f"{row['features']:,}",
        "parameters": f"{row['parameters']:,}",
        "rmse": f"{row['rmse']:.3g}",
        "accuracy": None if row["accuracy"] is None else f"{row['accuracy']:.1%}",
        "seconds": f"{row['seconds']:.2g}" if row["seconds"] < 10 else f"{row['seconds']:.0f}",
    }
    used = [name for name in HEADS if shown[name] is not None]
    table = grid(*(HEADS[name] for name in used))
    table.add_row(*(Text(str(shown[name])) for name in used))
    for column in table.columns[1:]:
        column.justify = "right"
    screen.print(table)
    screen.print()
    bullets(screen, notes)
    screen.print()
    screen.print(Text(f"File: {row['file']} ({machine.size(row['bytes'])})"))
