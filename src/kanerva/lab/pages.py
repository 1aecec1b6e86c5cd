"""Write documentation pages from finished runs: one for each recipe, and published numbers."""

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kanerva._core import files
from kanerva._core.errors import InputFileError, door, refuse
from kanerva.lab import plot, runner
from kanerva.lab.citations import SOURCES, short
from kanerva.lab.recipe import Recipe, Verdict
from kanerva.lab.runner import Result

__all__ = ["fidelity", "index", "page", "values", "write"]

MADE = "<!-- Written by `kanerva pages` from finished runs: change the recipe, not this page. -->"
HEADS = ("number", "expected", "ours", "tolerance", "verdict", "source")
INDEX = """# Experiments

Each experiment is one recipe. `kanerva show NAME` describes it. `kanerva run NAME` runs it in
seconds, checks its numbers and draws its figure; `--size paper` runs it in the size of the
publication. An interrupted run is resumed by the same command.
"""
INDEPENDENT = """\
"Computed independently" marks numbers that no source prints: they were computed from the
definitions by other means than the code here. This page is made with `make docs`; every number is a
check of a recipe, and `kanerva run NAME` repeats it.
"""


@door("pages")
def write(
    recipes: Mapping[str, Recipe],
    absent: Mapping[str, str],
    runs: str | Path,
    out: str | Path,
    more: Sequence[str | Path] = (),
) -> list[Path]:
    """Write the pages of all recipes, with their figures.

    The files are ``recipes/NAME.md`` and ``recipes/NAME.png`` for each recipe,
    ``recipes/README.md``, ``images/correspondence.png`` and ``fidelity.md``.

    Args:
        recipes: by name.
        absent: experiments without a recipe, and why.
        runs: the folder that ``kanerva run --all --out`` wrote.
        out: the folder for the pages.
        more: folders of runs of other sizes or other data, for the numbers that are not in the
            first one.

    Returns:
        the files written.

    Raises:
        InputFileError: a recipe has no finished run, or the pages cannot be written.

    Example:
        >>> import tempfile
        >>> from kanerva.lab import pages, runner
        >>> from kanerva.lab.papers import RECIPES
        >>> weights = RECIPES["sdm.weights"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     given = {"bits": 64, "radius": 11}
        ...     _ = runner.run(weights, folder + "/sdm.weights", given=given)
        ...     written = pages.write({weights.name: weights}, {}, folder, folder + "/docs")
        >>> [path.name for path in written]
        ['sdm.weights.md', 'sdm.weights.png', 'README.md', 'correspondence.png', 'fidelity.md']
    """
    results = {
        name: _merge([runner.read(recipe, Path(run, name)) for run in (runs, *more)])
        for name, recipe in recipes.items()
    }
    home = files.folder(Path(out, "recipes"))
    written = []
    for name, recipe in recipes.items():
        written.append(_text(home / f"{name}.md", page(recipe, results[name])))
        for drawn in _figures(recipe, results[name]):
            picture = home / _beside(name, drawn)
            written.append(_picture(picture, _figure(Path(runs, name), drawn)))
    written.append(_text(home / "README.md", index(recipes, results)))
    correspondence = files.folder(Path(out, "images")) / "correspondence.png"
    written.append(_picture(correspondence, plot.png(plot.correspondence())))
    written.append(_text(Path(out, "fidelity.md"), fidelity(recipes, results, absent)))
    return written


def page(recipe: Recipe, result: Result) -> str:
    """Return the page of a recipe: its text, its figure, its parameters and its numbers.

    Example:
        >>> from kanerva.lab import pages, runner
        >>> from kanerva.lab.papers import RECIPES
        >>> recipe = RECIPES["sdm.weights"]
        >>> result = runner.run(recipe, given={"bits": 64, "radius": 11})
        >>> pages.page(recipe, result).splitlines()[1] == f"# {recipe.title}"
        True
    """
    title = f", *{SOURCES[recipe.source].title}*" if recipe.source in SOURCES else ""
    origin = f"Source: {short(recipe.source)}{title}, {recipe.figure}."
    cells = [recipe.cells(size) for size in recipe.sizes]
    parameters = [
        (f"`{one.name}`", one.help, *(values([cell[one.name] for cell in size]) for size in cells))
        for one in recipe.parameters
    ]
    lines = [
        MADE,
        f"# {recipe.title}",
        "",
        f"    kanerva run {recipe.name}                 # in seconds",
        f"    kanerva run {recipe.name} --size paper    # as shown here",
        "",
        recipe.about,
        "",
        *_shown(recipe, result),
        f"{origin} `kanerva cite {recipe.name}` prints how to cite it.",
        "",
        "## Parameters",
        "",
        *_table(("parameter", "meaning", "quick", "paper"), parameters),
        "",
    ]
    if result.verdicts:
        lines += ["## Numbers", "", *_table(HEADS, [_line(one) for one in result.verdicts]), ""]
    return "\n".join(lines)


def index(recipes: Mapping[str, Recipe], results: Mapping[str, Result]) -> str:
    """Return the list of all recipes.

    Example:
        >>> from kanerva.lab import pages
        >>> "| recipe |" in pages.index({}, {})
        True
    """
    heads = ("recipe", "what it shows", "source", "paper size takes")
    lines = []
    for name, recipe in recipes.items():
        seconds = results[name].manifest["seconds"]
        source = short(recipe.source)
        lines.append((f"[{name}]({name}.md)", recipe.title, source, _duration(seconds)))
    return "\n".join([MADE, INDEX, *_table(heads, lines), ""])


def fidelity(
    recipes: Mapping[str, Recipe], results: Mapping[str, Result], absent: Mapping[str, str]
) -> str:
    """Return every expected number beside that of the run, those that differ or were not run first.

    Args:
        recipes: by name.
        results: of their runs, by name.
        absent: experiments without a recipe, and why.

    Returns:
        the page.

    Example:
        >>> from kanerva.lab import pages
        >>> "no text" in pages.fidelity({}, {}, {"figure 9": "no text of it was at hand"})
        True
    """
    verdicts = [verdict for result in results.values() for verdict in result.verdicts]
    good = sum(verdict.ok is True and not verdict.reason for verdict in verdicts)
    differing = sum(bool(verdict.reason and verdict.ok) for verdict in verdicts)
    missing = sum(verdict.ok is None for verdict in verdicts)
    lines = [
        MADE,
        "# Published numbers beside ours",
        "",
        f"Of {len(verdicts)} numbers {good} come out within their tolerance. "
        f"Known to differ: {differing}. Not run here: {missing}.",
        "",
        INDEPENDENT,
        "## What differs, and why",
        "",
        *(line for name, result in results.items() for line in _differences(name, result)),
        "",
        "## What was not run",
        "",
        *(f"* {what}: {reason}" for what, reason in absent.items()),
        *(line for name, result in results.items() for line in _not_run(name, result)),
    ]
    for name, recipe in recipes.items():
        checks = [_line(verdict) for verdict in results[name].verdicts if verdict.ok is not None]
        if checks:
            lines += ["", f"## [{recipe.title}](recipes/{name}.md)", "", *_table(HEADS, checks)]
    return "\n".join([*lines, ""])


def values(taken: Sequence[object]) -> str:
    """Return the values that a parameter takes, each once.

    Example:
        >>> from kanerva.lab.pages import values
        >>> values([64, 64, 0.5])
        '64, 0.5'
    """
    words = [
        f"{value:g}" if isinstance(value, float) else str(value) for value in dict.fromkeys(taken)
    ]
    return (
        ", ".join(words) if len(words) < 13 else f"{words[0]} … {words[-1]} ({len(words)} values)"
    )


def _merge(results: Sequence[Result]) -> Result:
    """Return the first result, with the numbers that it lacks taken from the others."""
    verdicts = [
        next((verdict for verdict in same if verdict.ok is not None), same[0])
        for same in zip(*(result.verdicts for result in results), strict=True)
    ]
    return results[0]._replace(verdicts=verdicts)


def _differences(name: str, result: Result) -> Iterator[str]:
    """Yield a line for each reason why numbers are known to differ."""
    reasons: dict[str, list[Verdict]] = {}
    for verdict in result.verdicts:
        if verdict.reason and verdict.ok:
            reasons.setdefault(verdict.reason, []).append(verdict)
    for reason, verdicts in reasons.items():
        numbers = "; ".join(
            f"{one.what}: ours {one.value:.6g}, theirs {one.expected:.6g}" for one in verdicts
        )
        yield f"* [{name}](recipes/{name}.md): {reason} ({verdicts[0].source}). {numbers}."


def _not_run(name: str, result: Result) -> Iterator[str]:
    """Yield a line about the numbers that no run has, where there are any."""
    missing = [verdict.what for verdict in result.verdicts if verdict.ok is None]
    if missing:
        count = f"{len(missing)} numbers of another size or other data"
        yield (f"* [{name}](recipes/{name}.md): {count}, from “{missing[0]}” to “{missing[-1]}”.")


def _shown(recipe: Recipe, result: Result) -> Iterator[str]:
    """Yield the figures, each with a caption where its drawing has one."""
    for name, figure in _figures(recipe, result).items():
        yield from (f"![{recipe.title}]({_beside(recipe.name, name)})", "")
        words = figure.get_label()
        if words:
            yield from (*textwrap.wrap(f"*{words}*", 100), "")


def _figures(recipe: Recipe, result: Result) -> dict[str, Any]:
    return recipe.figures([dict(row) for row in result.rows])


def _beside(name: str, drawn: str) -> str:
    """Return the name of a picture beside the page of a recipe."""
    return f"{name}{drawn.removeprefix('figure')}.png"


def _line(verdict: Verdict) -> tuple[str, ...]:
    ours = "not run" if verdict.value is None else f"{verdict.value:.7g}"
    word = {None: "–", True: "differs" if verdict.reason else "ok", False: "**FAILED**"}[verdict.ok]
    expected, tolerance = f"{verdict.expected:.7g}", f"{verdict.tolerance:.2g}"
    return verdict.what, expected, ours, tolerance, word, verdict.source


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for line in lines:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return "seconds"
    if seconds < 45:
        return "half a minute"
    return "a minute" if seconds < 90 else f"{round(seconds / 60)} minutes"


def _figure(run: Path, name: str) -> bytes:
    """Return a figure of a run."""
    drawn = run / f"{name}.png"
    if not drawn.is_file():
        got, do = f"one without {str(drawn)!r}", 'pip install "kanerva[plot]" and run it again'
        refuse("runs", must="runs with figures", got=got, do=do, error=InputFileError)
    return drawn.read_bytes()


def _picture(path: Path, drawn: bytes) -> Path:
    """Write a picture in 64 colours, which takes a quarter of the bytes and looks the same."""
    from PIL import Image

    with files.atomic(path) as temporary, Image.open(io.BytesIO(drawn)) as picture:
        median, plain = Image.Quantize.MEDIANCUT, Image.Dither.NONE
        few = picture.convert("RGB").quantize(64, method=median, dither=plain)
        few.save(temporary, format="PNG", optimize=True)
    return path


def _text(path: Path, text: str) -> Path:
    with files.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
