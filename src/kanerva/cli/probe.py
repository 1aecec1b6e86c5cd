"""``kanerva probe``: examine the heads of a transformer as memories."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from kanerva._core import checks
from kanerva._core.errors import InputFileError, door, refuse
from kanerva.cli._app import app, bar, interruptible
from kanerva.cli._tables import bullets, console, ending, grid

__all__: list[str] = []  # the command is the interface

MODEL = (
    "A folder with a model of transformers and its tokenizer, an installed package that contains "
    "one, or a name on the hub"
)
TEXT = "A file with a text on each line; 520 sentences of the package, unless given"
REPLACE = (
    "What replaces every head: circles, matched, caps, sparse, topk, settled, nearest or uniform; "
    "again for more  [default: circles, matched, nearest, uniform]"
)
LAYERS = "Attention layers to examine, such as 0,5; all unless given"
SPACE = "binary, circles of bits, or continuous, caps of the sphere"
PATTERNS = "Patterns for which the best radii are computed; 0 for as many as a head attends to"
SWEEP = "Replace all heads by circles of one radius after another"
CONTROLS = "Compare with random weights, and with keys in another order"
LENGTH = "The largest number of tokens in a text; 0 for as many as the model takes"
PICKLE = "Read weights from pickles, such as pytorch_model.bin: a pickle can run code"
OUT = "Folder for the report and its tables  [default: runs/probe-MODEL]"
# The columns of a head: the title, and the digits after the point.
HEADS = {
    "beta": ("beta", 1),
    "noise": ("best for\nnoise of", 2),
    "radius": ("radius", 0),
    "regime": ("regime", 0),
    "effective": ("tokens\nused", 1),
    "phase": ("phase", 0),
    "special": ("on\nspecial", 2),
    "variation": ("apart", 2),
    "matched_radius": ("best\nradius", 0),
    "matched_variation": ("apart\nthere", 2),
}
# The columns of a replacement.
MEASURES = {
    "embedding": "cosine of\nembeddings",
    "nearest": "nearest\ntext stays",
    "neighbours": "of ten\nstay",
    "last": "cosine of\nlast layer",
    "divergence": "divergence\n(nats)",
    "loss": "loss\n(nats)",
    "loss_before": "loss\nbefore",
    "unreached": "found\nnothing",
}


@app.command()
@door
def probe(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL)],
    text: Annotated[Path | None, typer.Option(help=TEXT)] = None,
    texts: Annotated[int, typer.Option(help="Read this many of the texts; 0 for all")] = 0,
    replace: Annotated[list[str] | None, typer.Option(help=REPLACE)] = None,
    layers: Annotated[str, typer.Option(help=LAYERS, metavar="LIST")] = "",
    space: Annotated[str, typer.Option(help=SPACE)] = "binary",
    patterns: Annotated[int, typer.Option(help=PATTERNS)] = 0,
    sweep: Annotated[bool, typer.Option(help=SWEEP)] = True,
    controls: Annotated[bool, typer.Option(help=CONTROLS)] = True,
    batch: Annotated[int, typer.Option(help="Texts in one call of the model")] = 32,
    length: Annotated[int, typer.Option(help=LENGTH)] = 0,
    device: Annotated[str, typer.Option(help="Device of the model: cpu, cuda, mps")] = "cpu",
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help=PICKLE)] = False,
    seed: Annotated[int, typer.Option(help="Seed of all random choices")] = 0,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Read the heads of MODEL as memories, replace them by memories, and report what is lost."""
    from kanerva.lab import probing

    plan = probing.Plan(
        replace=tuple(dict.fromkeys(replace)) if replace else probing.Plan.replace,
        sweep=sweep,
        controls=controls,
        layers=_layers(layers),
        space=space,
        patterns=patterns,
        batch=batch,
        length=length,
        seed=seed,
    )
    sentences = _texts(text)[: checks.integer("texts", texts, 0) or None]
    loaded = probing.load(model, device, allow_pickle=allow_pickle)
    folder = Path("runs", f"probe-{Path(model).name}") if out is None else out
    kept = "Nothing is kept: an examination is written when it is complete"
    with interruptible(lambda: kept), bar() as show:
        result = probing.examine(loaded, sentences, plan, show)
    with interruptible(lambda: f"The files that were complete are kept in {folder}"):
        files = probing.save(result, folder)
    if json_:
        typer.echo(json.dumps(result._asdict() | {"files": [str(path) for path in files]}))
    else:
        _print(result, files)


def _print(result: Any, files: list[Path]) -> None:
    """Print the heads, the effects of replacements, the verdicts, and the name of the report."""
    screen = console()
    table = grid("head", *(title for title, _ in HEADS.values()))
    for row in result.rows:
        cells = (_cell(row[name], digits) for name, (_, digits) in HEADS.items())
        table.add_row(f"{row['layer']}.{row['index']}", *cells)
    screen.print(table)
    if result.effects:
        known = [name for name in MEASURES if any(row[name] is not None for row in result.effects)]
        screen.print()
        table = grid("in the place\nof these heads", *(MEASURES[name] for name in known))
        for row in result.effects:
            table.add_row(Text(row["title"]), *(_cell(row[name], 3) for name in known))
        screen.print(table)
    screen.print()
    bullets(screen, (*result.notes, *result.verdicts))
    screen.print()
    ending(screen, files, f"Tables: {files[0].parent}")


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _layers(text: str) -> tuple[int, ...]:
    """Read a list of layers."""
    try:
        return tuple(int(layer) for layer in text.split(",")) if text else ()
    except ValueError:
        must, do = "whole numbers with commas between", "write --layers 0,5"
        refuse("layers", must=must, got=repr(text), do=do)


def _texts(path: Path | None) -> list[str]:
    """Read a text from each line of a file; without one, the sentences of the package."""
    from kanerva.lab import data

    if path is None:
        return [sentence for _, sentence in data.sentences()]
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        got, do = f"{str(path)!r} ({type(error).__name__})", "name one with a text on each line"
        refuse("text", must="a file of UTF-8 text", got=got, do=do, error=InputFileError)
