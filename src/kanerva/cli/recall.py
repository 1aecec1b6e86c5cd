"""``kanerva recall``: compare memories on data."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperCommand

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva._core.locks import locked
from kanerva.cli._app import app, bar, interruptible
from kanerva.cli._tables import bullets, ending, fitted
from kanerva.cli._tables import console as terminal

__all__: list[str] = []  # the command is the interface

MEASURES = ("exact", "nearest", "repaired", "broken", "echoed", "lost", "stored", "class_kept")
COLUMNS = (*MEASURES, "effective", "steps", "seconds", "bytes")
WORDS = {"true": True, "false": False, "none": None}
TERMINAL = ("title", "parameter", "holds", "exact", "repaired", "broken", "seconds")

DATA = (
    "{} (mnist, fashion and cifar10 are downloaded); module:NAME of a function that returns a "
    "DataSet; or a file or folder of your own"
)
MEMORY = (
    "A memory to compare: {}; or module:NAME of your own. Give the option again for more. "
    "All memories that can store the data, unless given"
)
DOMAIN = (
    "What to store of data that can be either: bits or real  [default: bits; real where all codes "
    "are of real numbers, as pca, ae and files are]"
)
PATTERNS = "Store this many patterns of the data, chosen at random; all unless given"
THRESHOLD = "Threshold of the bits of real data, in their own unit"
SET = "A parameter of a memory, such as sdm.radius=24: a number, true, false, none or a word"
LABEL = "The column of a table, or the array of a .npz file, that holds the class of each pattern"
DROP = "A column of a table to leave out. Give the option again for more"
COLOUR = "Keep the red, green and blue of cifar10 or of a folder of pictures, grey otherwise"
CROP = "Keep the middle of pictures of unlike shape, which are refused otherwise"
CODEC = (
    "A code in which the data are stored: none, bits:LENGTH[:WHITENING], pca:FEATURES, "
    "ae:FEATURES[:LAYOUT], or a file that kanerva codec wrote. Give the option again for more  "
    "[default: none and, of bits, bits:2048]"
)
TUNE = "Fit the parameters of each memory to the data"
CAPACITY = "Measure how many patterns each memory holds"
AT = "Damage at which memories are tuned and counted  [default: the middle level]"
SHARE = "Share of the cues that must be recalled for a memory to hold its patterns"
SCALE = "Scale and threshold your own data as one, or each column by itself: whole or columns"
OUT = "Folder for the report and its table  [default: runs/DATA]"


class Recall(TyperCommand):
    """Put the names of data and memories into the help when it is shown, those of plug-ins too."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        from kanerva.lab import data, memories

        names = {"source": data.names(), "memory": memories.names()}
        for parameter in self.params:
            if parameter.name in names:
                listed = ", ".join(names[parameter.name])
                parameter.help = str(parameter.help).format(listed)  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


@app.command(cls=Recall)
@door
def recall(
    source: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    memory: Annotated[list[str] | None, typer.Option(help=MEMORY, metavar="NAME")] = None,
    damage: Annotated[str, typer.Option(help="flip, occlude, gaussian or mask")] = "flip",
    levels: Annotated[
        str, typer.Option(help="Levels of damage, such as 0,0.1,0.2", metavar="LIST")
    ] = "",
    cues: Annotated[int, typer.Option(help="Cues recalled at each level and seed")] = 100,
    seeds: Annotated[int, typer.Option(help="Repetitions with other cues and other damage")] = 3,
    seed: Annotated[int, typer.Option(help="The first seed")] = 0,
    patterns: Annotated[int | None, typer.Option(help=PATTERNS)] = None,
    domain: Annotated[str | None, typer.Option(help=DOMAIN)] = None,
    threshold: Annotated[float | None, typer.Option(help=THRESHOLD)] = None,
    label: Annotated[str | None, typer.Option(help=LABEL, metavar="COLUMN")] = None,
    drop: Annotated[list[str] | None, typer.Option(help=DROP, metavar="COLUMN")] = None,
    crop: Annotated[bool, typer.Option("--crop", help=CROP)] = False,
    colour: Annotated[bool, typer.Option("--colour", help=COLOUR)] = False,
    scale: Annotated[str, typer.Option(help=SCALE)] = "auto",
    codec: Annotated[list[str] | None, typer.Option(help=CODEC, metavar="CODEC")] = None,
    tune: Annotated[bool, typer.Option("--tune/--no-tune", help=TUNE)] = False,
    capacity: Annotated[bool, typer.Option("--capacity/--no-capacity", help=CAPACITY)] = True,
    capacity_level: Annotated[float | None, typer.Option(help=AT)] = None,
    share: Annotated[float, typer.Option(help=SHARE)] = 0.95,
    steps: Annotated[int, typer.Option(help="The largest number of reads in a recall")] = 20,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help=SET, metavar="NAME.PARAMETER=VALUE")
    ] = None,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Store DATA in several memories, damage cues, recall them, and report the results."""
    from kanerva.lab import data
    from kanerva.lab import recall as recall_

    domain = domain or _domain(codec or [])
    plan = recall_.Plan(
        memories=tuple(memory or ()),
        kind=checks.choice("damage", damage, data.KINDS),
        levels=_levels(levels),
        seeds=seeds,
        cues=cues,
        steps=steps,
        given=dict(map(_given, set_ or [])),
        seed=seed,
        domain=domain,
        codecs=tuple(codec or ()),
        tune=tune,
        capacity=capacity,
        level=capacity_level,
        share=share,
    )
    wanted = "real" if domain == "real" else "auto"
    loaded = data.load(
        source,
        patterns=patterns,
        seed=seed,
        threshold=threshold,
        domain=wanted,
        label=label,
        drop=drop or (),
        crop=crop,
        colour=colour,
        scale=scale,
    )
    folder = Path("runs", Path(source).stem.replace(":", ".") or "recall") if out is None else out
    show = _print_json if json_ else _print
    show(*_run(loaded, plan, folder))


def _run(loaded: Any, plan: Any, folder: Path) -> tuple[Any, list[Path]]:
    """Run a comparison and write its files, while no other process writes to the folder."""
    from kanerva.lab import recall as recall_

    kept = "Nothing is kept: a comparison is written when it is complete"
    with locked(folder, tidy=True):
        with interruptible(lambda: kept), bar() as show:
            result = recall_.compare(loaded, plan, show)
        with interruptible(lambda: f"The files that were complete are kept in {folder}"):
            return result, recall_.save(result, folder, COLUMNS)


def _print_json(result: Any, files: list[Path]) -> None:
    """Print the numbers and the words as JSON."""
    names = ("rows", "capacity", "parameters", "notes", "best", "verdicts")
    found = {name: getattr(result, name) for name in names}
    typer.echo(json.dumps(found | {"files": [str(path) for path in files]}))


def _print(result: Any, files: list[Path]) -> None:
    """Print the best memories, the table at one level, the findings, and where the report is."""
    from kanerva.lab import recall as recall_
    from kanerva.lab import report

    console, level = terminal(), recall_.shown_level(result.rows)
    if result.best:
        bullets(console, result.best)
    console.print()
    where, (code, *more) = result.manifest["damage"], result.manifest["codecs"]
    coded = "" if more or code == "none" else f" in {code}"
    console.print(Text(f"{result.name}{coded} at {where} {level:g}", style="bold"))
    lines = recall_.overview(result, level)
    console.print(fitted(report.table(lines, [name for name in TERMINAL if name in lines[0]])))
    console.print()
    bullets(console, result.verdicts)
    console.print()
    bullets(console, result.notes)
    console.print()
    ending(console, files, f"Table: {files[0]}")


def _domain(codecs: list[str]) -> str:
    """Return what is stored where nobody says so."""
    of_bits = [name.partition(":")[0] in ("none", "bits") for name in codecs]
    return "bits" if not codecs or any(of_bits) else "real"


def _levels(text: str) -> tuple[float, ...]:
    """Read a list of levels."""
    try:
        return tuple(float(level) for level in text.split(",")) if text else ()
    except ValueError:
        must, do = "numbers with commas between", "write --levels 0,0.1,0.2"
        refuse("levels", must=must, got=repr(text), do=do)


def _given(text: str) -> tuple[str, int | float | str | bool | None]:
    """Read one NAME.PARAMETER=VALUE: a number, true, false, none, or a word."""
    name, equals, value = text.partition("=")
    if not equals or "." not in name or not value:
        must, do = "MEMORY.PARAMETER=VALUE", "write --set sdm.radius=24"
        refuse("set", must=must, got=repr(text), do=do)
    for read in (int, float):
        try:
            return name, read(value)
        except ValueError:
            continue
    return name, WORDS.get(value.lower(), value)
