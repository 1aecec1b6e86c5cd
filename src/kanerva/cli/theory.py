"""``kanerva theory``: radii, beta, critical distances and capacity of one memory."""

import json
import math
from typing import Annotated, Any

import typer
from rich.text import Text

from kanerva._core.errors import named, refuse
from kanerva.cli._app import app
from kanerva.cli._tables import console as terminal
from kanerva.cli._tables import count, grid

__all__: list[str] = []  # the command is the interface

HEADS = {
    "snr": "most\nsignal\nto noise",
    "capacity": "most\npatterns",
    "noise": "most\nnoise\ncorrected",
    "given": "yours",
}
METHODS = {
    "kl": "least divergence of the two weights",
    "ols": "least squares of their logarithms",
    "published": "the same, as the paper computes it",
    "mse": "least squares of the weights",
    "leading": "first order, at small distances",
    "entropic": "limit of many bits",
}
NOISES = {
    "autoassociative": "each pattern is its own value",
    "heteroassociative": "values are random",
    "independent": "the others lie half the bits away",
    "kanerva": "formula of Kanerva 1988",
}
LOCATIONS = "Number of hard locations, such as 1e6; all is one at every point"
RADIUS = "A radius of your own, beside the optimal ones"
FIDELITY = "Probability that a whole pattern is read correctly, for the capacity"


@app.command()
@named(other="radius")
def theory(
    bits: Annotated[int, typer.Option(help="Dimension n")] = 64,
    patterns: Annotated[int, typer.Option(help="Number of stored patterns")] = 1024,
    locations: Annotated[str, typer.Option(help=LOCATIONS)] = "all",
    radius: Annotated[int | None, typer.Option(help=RADIUS)] = None,
    fidelity: Annotated[float, typer.Option(help=FIDELITY)] = 0.5,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Compute radii, beta, critical distances and capacity of a sparse distributed memory."""
    from kanerva.theory import overview

    designs = overview.describe(bits, patterns, _count(locations), fidelity=fidelity, other=radius)
    if json_:
        given = {"bits": bits, "patterns": patterns, "locations": locations, "fidelity": fidelity}
        typer.echo(json.dumps(given | {"designs": designs}))
        return
    console = terminal()
    where = "a location at every point"
    if locations != "all":
        where = f"{_count(locations):,.15g} location{'s' * (_count(locations) != 1)}"
    size = f"{count(bits, 'bit')}, {count(patterns, 'pattern')}"
    console.print(Text(f"{size}, {where}", style="bold"))
    console.print()
    table = grid("", *(HEADS[design["criterion"]] for design in designs))
    for (name, meaning), cells in _lines(designs, fidelity):
        label = Text.assemble((name, "" if name.startswith(" ") else "bold"), meaning)
        table.add_row(label, *map(Text, cells))
    console.print(table)
    console.print()
    console.print(Text("– marks what theory gives no value for."))
    if len(designs) < 3 + (radius is not None):
        do = "store fewer patterns, or give more bits or locations."
        console.print(Text(f"A criterion that no radius meets is left out: {do}"))


Line = tuple[tuple[str, str], list[str]]


def _lines(designs: list[dict[str, Any]], fidelity: float) -> list[Line]:
    """Lay the designs out: a quantity and its meaning a line, a design a column."""
    none = ["" for _ in designs]

    def line(name: str, meaning: str, write: Any) -> Line:
        return (name, meaning and f": {meaning}"), [write(design) for design in designs]

    def part(words: str, write: Any) -> Line:
        return line(f"  {words}", "", write)

    beta = "of the softmax nearest to the circles, per unit of cosine, fitted by"
    critical = "bits from which one read comes no nearer, where"
    return [
        line("radius", "bits within which a location is active", lambda one: str(one["radius"])),
        part("as good up to this radius", lambda one: str(one["ties"][-1])),
        line("activation p", "share of all points in a circle", lambda one: _share(one)),
        line("active locations", "in one circle", lambda one: _power(one["log2_active"])),
        (("beta", f": {beta}"), none),
        *(
            part(words, lambda one, method=method: _number(one["beta"][method], 3))
            for method, words in METHODS.items()
        ),
        part(
            "caps of a sphere in place of circles", lambda one: _number(one["beta_continuous"], 3)
        ),
        part("R² of the straight line of logarithms", lambda one: _number(one["r2"], 3)),
        (("critical distance", f": {critical}"), none),
        *(
            part(words, lambda one, noise=noise: _number(one["critical"][noise], 0))
            for noise, words in NOISES.items()
        ),
        line("signal to noise", "of one bit, undamaged query", lambda one: _number(one["snr"], 2)),
        line("whole pattern right", "its probability", lambda one: _chance(one["word"])),
        line(
            "capacity",
            f"patterns right with probability {fidelity:g}",
            lambda one: _power(one["log2_capacity"]),
        ),
        line(
            "locations needed",
            "for these patterns at that probability",
            lambda one: _power(one["log2_needed"]),
        ),
    ]


def _share(design: dict[str, Any]) -> str:
    return f"{design['activation']:.4g}"


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if value < 1e6 else f"{value:.3g}"


def _chance(value: float | None) -> str:
    """Write a probability, and never as 0 or 1 one that is only near it."""
    if value is None:
        return "–"
    if value in (0, 1):
        return f"{value:.0f}"
    if value > 0.99995:
        return ">0.9999"
    return "<0.0001" if value < 0.00005 else f"{value:.4f}"


def _power(log2: float | None) -> str:
    """Write a count that may be too large for a float, or less than one."""
    if log2 is None:
        return "–"
    if log2 < 20:
        return f"{2**log2:,.0f}" if log2 > 4 else f"{2**log2:.3g}"
    exponent = math.floor(log2 * math.log10(2))
    return f"{10 ** (log2 * math.log10(2) - exponent):.2f}e{exponent}"


def _count(text: str) -> float:
    """Read a number of locations."""
    if text == "all":
        return math.inf
    try:
        count = float(text)
        if math.isfinite(count):
            return count
    except ValueError:
        pass
    got = repr(text) if len(text) <= 60 else f"of {len(text)} characters"
    refuse("locations", must="a number below 1.8e308, or all", got=got, do="write --locations 1e6")
