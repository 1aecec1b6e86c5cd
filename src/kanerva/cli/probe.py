"""``kanerva probe``: a thin face over the examination of a transformer."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kanerva._core import checks
from kanerva._core.errors import InputFileError, door, refuse
from kanerva.cli._app import app, bar, grid

__all__: list[str] = []  # what there is to call is the command

MODEL = "A folder with a model of transformers and its tokenizer, an installed package that carries one, or a name on the hub"
REPLACE = "What to put in the place of every head: circles, matched, caps, sparse, topk, settled, nearest or uniform; again for more"
# What is shown of a head, and with how many digits after the point.
HEADS = {
    **{
        "beta": ("beta", 1),
        "radius": ("radius", 0),
        "regime": ("regime", 0),
        "effective": ("tokens\nused", 1),
        "phase": ("phase", 0),
    },
    **{
        "special": ("on\nspecial", 2),
        "variation": ("apart", 2),
        "matched_radius": ("best\nradius", 0),
        "matched_variation": ("apart\nthere", 2),
    },
}
# What is shown of a replacement.
MEASURES = {
    **{
        "embedding": "cosine of\nembeddings",
        "nearest": "nearest\ntext stays",
        "neighbours": "of ten\nstay",
        "last": "cosine of\nlast layer",
    },
    **{
        "divergence": "divergence\n(nats)",
        "loss": "loss\n(nats)",
        "loss_before": "loss\nbefore",
        "unreached": "found\nnothing",
    },
}


@app.command()
@door
def probe(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL)],
    text: Annotated[
        Path | None,
        typer.Option(
            help="A file with a text on each line; 520 sentences of the package, unless given"
        ),
    ] = None,
    texts: Annotated[int, typer.Option(help="Take the first so many texts; 0 for all")] = 0,
    replace: Annotated[
        list[str] | None,
        typer.Option(help=REPLACE + "  [default: circles, matched, nearest, uniform]"),
    ] = None,
    layers: Annotated[
        str,
        typer.Option(help="Attentions to look at, such as 0,5; all unless given", metavar="LIST"),
    ] = "",
    space: Annotated[
        str, typer.Option(help="binary, circles of bits, or continuous, caps of the sphere")
    ] = "binary",
    patterns: Annotated[
        int,
        typer.Option(
            help="Patterns that the best radii are for; 0 for as many as a head attends to"
        ),
    ] = 0,
    sweep: Annotated[
        bool, typer.Option(help="Replace all heads by circles of one radius after another")
    ] = True,
    controls: Annotated[
        bool, typer.Option(help="Compare with random weights, and with keys in another order")
    ] = True,
    batch: Annotated[int, typer.Option(help="Texts a call")] = 32,
    length: Annotated[
        int, typer.Option(help="Tokens a text at most; 0 for as many as the model takes")
    ] = 0,
    device: Annotated[str, typer.Option(help="Where the model works: cpu, cuda, mps")] = "cpu",
    seed: Annotated[int, typer.Option(help="Seed of what is chosen at random")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the report and its tables  [default: runs/probe-MODEL]"),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Read the heads of MODEL as memories, put memories in their place, and report what is lost."""
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
    read = _texts(text)[: checks.integer("texts", texts, 0) or None]
    loaded = probing.load(model, device)
    with bar() as show:
        found = probing.examine(loaded, read, plan, show)
    written = probing.save(found, Path("runs", f"probe-{Path(model).name}") if out is None else out)
    if json_:
        typer.echo(json.dumps(found._asdict() | {"files": [str(path) for path in written]}))
    else:
        _tell(found, written)


def _tell(found: Any, written: list[Path]) -> None:
    """Print the heads, what replacements change, what was found, and where the rest lies."""
    talk = Console(highlight=False)
    table = _whole(grid("head", *(title for title, _ in HEADS.values())))
    for row in found.rows:
        table.add_row(
            f"{row['layer']}.{row['index']}",
            *(_cell(row[name], digits) for name, (_, digits) in HEADS.items()),
        )
    talk.print(table)
    if found.effects:
        known = [name for name in MEASURES if any(row[name] is not None for row in found.effects)]
        table = _whole(grid("in the place\nof these heads", *(MEASURES[name] for name in known)))
        table.columns[0].no_wrap = False
        for row in found.effects:
            table.add_row(Text(row["title"]), *(_cell(row[name], 3) for name in known))
        talk.print(table)
    talk.print(*(Text(f"· {sentence}") for sentence in (*found.notes, *found.verdicts)), sep="\n")
    talk.print()
    if written[-1].suffix == ".html":
        talk.print(Text(f"Report: {written[-1]}"))
    else:
        talk.print(
            Text(
                f'Tables: {written[0].parent}. For figures and a report: pip install "kanerva[plot]"'
            )
        )


def _whole(table: Any) -> Any:
    """Let no number or word of a table be broken on a narrow terminal."""
    table.padding = (0, 1, 0, 0)
    for column in table.columns:
        column.no_wrap = True
    return table


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _layers(text: str) -> tuple[int, ...]:
    """Read a list of layers."""
    try:
        return tuple(int(layer) for layer in text.split(",")) if text else ()
    except ValueError:
        refuse(
            "layers",
            must="whole numbers with commas between",
            got=repr(text),
            do="write --layers 0,5",
        )


def _texts(path: Path | None) -> list[str]:
    """Read a text from each line of a file; without one, the sentences of the package."""
    from kanerva.lab import data

    if path is None:
        return [sentence for _, sentence in data.sentences()]
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        got = f"{str(path)!r} ({type(error).__name__})"
        refuse(
            "text",
            must="a file of UTF-8 text",
            got=got,
            do="name one with a text on each line",
            error=InputFileError,
        )
