"""Write the pages of the documentation that come out of runs: one for each recipe, and published numbers beside ours."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kanerva._core import files
from kanerva._core.errors import InputFileError, door, refuse
from kanerva.lab import plot, runner
from kanerva.lab.citations import SOURCES
from kanerva.lab.recipe import Recipe, Verdict
from kanerva.lab.runner import Result

__all__ = ["fidelity", "index", "page", "values", "write"]

MADE = "<!-- Written by `kanerva pages` from finished runs: change the recipe, not this page. -->"


@door("pages")
def write(
    recipes: Mapping[str, Recipe],
    absent: Mapping[str, str],
    runs: str | Path,
    out: str | Path,
    more: Sequence[str | Path] = (),
) -> list[Path]:
    """Write ``recipes/NAME.md`` with its figure for each recipe, ``recipes/README.md``, ``fidelity.md`` and drawn images.

    Args:
        recipes: by name.
        absent: experiments that are not here, and why.
        runs: the folder that ``kanerva run --all --out`` wrote.
        out: the folder for the pages.
        more: folders of runs of other sizes or other data, for the numbers that the first one leaves open.

    Returns:
        the files written.

    Raises:
        InputFileError: a recipe has no finished run there, or the pages cannot be written.

    Example:
        >>> import tempfile
        >>> from kanerva.lab import pages, runner
        >>> from kanerva.lab.papers import RECIPES
        >>> few = {"sdm.weights": RECIPES["sdm.weights"]}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = runner.run(few["sdm.weights"], folder + "/sdm.weights", given={"bits": 64, "radius": 11})
        ...     [path.name for path in pages.write(few, {}, folder, folder + "/docs")]
        ['sdm.weights.md', 'sdm.weights.png', 'README.md', 'correspondence.png', 'fidelity.md']
    """
    results = {
        name: _together([runner.read(recipe, Path(run, name)) for run in (runs, *more)])
        for name, recipe in recipes.items()
    }
    home = files.folder(Path(out, "recipes"))
    written = []
    for name, recipe in recipes.items():
        written += [_text(home / f"{name}.md", page(recipe, results[name]))]
        drawn = Path(runs, name, "figure.png")
        if not drawn.is_file():
            do = 'pip install "kanerva[plot]" and run it again'
            refuse(
                "runs",
                must="runs with figures",
                got=f"one without {str(drawn)!r}",
                do=do,
                error=InputFileError,
            )
        written.append(_picture(home / f"{name}.png", drawn.read_bytes()))
    written.append(_text(home / "README.md", index(recipes, results)))
    written.append(
        _picture(
            files.folder(Path(out, "images")) / "correspondence.png",
            plot.png(plot.correspondence()),
        )
    )
    written.append(_text(Path(out, "fidelity.md"), fidelity(recipes, results, absent)))
    return written


def page(recipe: Recipe, result: Result) -> str:
    """Write the page of one recipe: what it shows, its figure, its parameters and its numbers.

    Example:
        >>> from kanerva.lab import pages, runner
        >>> from kanerva.lab.papers import RECIPES
        >>> recipe = RECIPES["sdm.weights"]
        >>> pages.page(recipe, runner.run(recipe, given={"bits": 64, "radius": 11})).splitlines()[1] == f"# {recipe.title}"
        True
    """
    source = SOURCES[recipe.source]
    parameters = [
        (
            f"`{one.name}`",
            one.help,
            *(values([cell[one.name] for cell in recipe.cells(size)]) for size in recipe.sizes),
        )
        for one in recipe.parameters
    ]
    checks = [_line(verdict) for verdict in result.verdicts]
    return "\n".join(
        [
            MADE,
            f"# {recipe.title}",
            "",
            f"    kanerva run {recipe.name}                 # in seconds",
            f"    kanerva run {recipe.name} --size paper    # as shown here",
            "",
            recipe.about,
            "",
            f"![{recipe.title}]({recipe.name}.png)",
            "",
            f"Source: {source.short()}, *{source.title}*, {recipe.figure}. `kanerva cite {recipe.name}` prints how to cite it.",
            "",
            "## Parameters",
            "",
            *_table(("parameter", "meaning", "quick", "paper"), parameters),
            "",
            *(["## Numbers", "", *_table(HEADS, checks), ""] if checks else []),
        ]
    )


def index(recipes: Mapping[str, Recipe], results: Mapping[str, Result]) -> str:
    """Write the list of all recipes.

    Example:
        >>> from kanerva.lab import pages
        >>> "| recipe |" in pages.index({}, {})
        True
    """
    lines = [
        (
            f"[{name}]({name}.md)",
            recipe.title,
            SOURCES[recipe.source].short(),
            _duration(results[name].manifest["seconds"]),
        )
        for name, recipe in recipes.items()
    ]
    return "\n".join(
        [
            MADE,
            "# Experiments",
            "",
            "Each is one object: `kanerva show NAME` says what it does, `kanerva run NAME` runs it in seconds, checks its numbers and",
            "draws its figure, and `--size paper` makes it as large as it was published. An interrupted run goes on where it was.",
            "",
            *_table(("recipe", "what it shows", "source", "paper size takes"), lines),
            "",
        ]
    )


HEADS = ("number", "expected", "ours", "tolerance", "verdict", "who says so")


def fidelity(
    recipes: Mapping[str, Recipe], results: Mapping[str, Result], absent: Mapping[str, str]
) -> str:
    """Write every number that a source gives beside ours; first those that differ or could not be run.

    Args:
        recipes: by name.
        results: of their runs.
        absent: experiments that are not here, and why.

    Returns:
        the page.

    Example:
        >>> from kanerva.lab import pages
        >>> "no text" in pages.fidelity({}, {}, {"figure 9": "no text of it was at hand"})
        True
    """
    asked = [verdict for result in results.values() for verdict in result.verdicts]
    good = sum(verdict.ok is True and not verdict.reason for verdict in asked)
    differing = [verdict for verdict in asked if verdict.reason and verdict.ok]
    unrun = {name: [v for v in result.verdicts if v.ok is None] for name, result in results.items()}
    lines = [
        MADE,
        "# Published numbers beside ours",
        "",
        f"Of {len(asked)} numbers {good} come out within their tolerance. Known to differ: {len(differing)}. "
        f"Not run here: {sum(map(len, unrun.values()))}.",
        "",
        '"Computed independently" marks numbers that no source prints: they were worked out from the definitions by other means than',
        "the code here. Made with `make docs`; every number is a check of a recipe, and `kanerva run NAME` repeats it.",
        "",
        "## What differs, and why",
        "",
    ]
    for name, result in results.items():
        for reason, verdicts in _reasons(result.verdicts).items():
            told = "; ".join(
                f"{v.what}: ours {v.value:.6g}, theirs {v.expected:.6g}" for v in verdicts
            )
            lines.append(f"* [{name}](recipes/{name}.md): {reason} ({verdicts[0].source}). {told}.")
    lines += ["", "## What was not run", ""]
    for what, reason in absent.items():
        lines.append(f"* {what}: {reason}")
    for name, verdicts in unrun.items():
        if verdicts:
            ends = f"from “{verdicts[0].what}” to “{verdicts[-1].what}”"
            lines.append(
                f"* [{name}](recipes/{name}.md): {len(verdicts)} numbers of another size or other data, {ends}."
            )
    for name, recipe in recipes.items():
        checks = [_line(verdict) for verdict in results[name].verdicts if verdict.ok is not None]
        if checks:
            lines += ["", f"## [{recipe.title}](recipes/{name}.md)", "", *_table(HEADS, checks)]
    return "\n".join([*lines, ""])


def values(taken: Sequence[object]) -> str:
    """List the values that a parameter takes, each once.

    Example:
        >>> from kanerva.lab.pages import values
        >>> values([64, 64, 0.5])
        '64, 0.5'
    """
    told = [
        f"{value:g}" if isinstance(value, float) else str(value) for value in dict.fromkeys(taken)
    ]
    return ", ".join(told) if len(told) < 13 else f"{told[0]} … {told[-1]} ({len(told)} values)"


def _together(results: Sequence[Result]) -> Result:
    """Fill what the first run leaves open with what the others found."""
    found = [
        next((verdict for verdict in same if verdict.ok is not None), same[0])
        for same in zip(*(r.verdicts for r in results), strict=True)
    ]
    return results[0]._replace(verdicts=found)


def _reasons(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """Gather the verdicts that are known to differ by their reasons."""
    reasons: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.reason and verdict.ok:
            reasons.setdefault(verdict.reason, []).append(verdict)
    return reasons


def _line(verdict: Verdict) -> tuple[str, ...]:
    ours = "not run" if verdict.value is None else f"{verdict.value:.7g}"
    word = {None: "–", True: "differs" if verdict.reason else "ok", False: "**FAILED**"}[verdict.ok]
    return (
        verdict.what,
        f"{verdict.expected:.7g}",
        ours,
        f"{verdict.tolerance:.2g}",
        word,
        verdict.source,
    )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for line in lines:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return "seconds"
    return (
        "half a minute"
        if seconds < 45
        else "a minute"
        if seconds < 90
        else f"{round(seconds / 60)} minutes"
    )


def _picture(path: Path, drawn: bytes) -> Path:
    """Write a picture in 64 colours: a quarter of the bytes, and no difference to the eye."""
    from PIL import Image

    with files.atomic(path) as temporary, Image.open(io.BytesIO(drawn)) as picture:
        few = picture.convert("RGB").quantize(
            64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
        few.save(temporary, format="PNG", optimize=True)
    return path


def _text(path: Path, text: str) -> Path:
    with files.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
