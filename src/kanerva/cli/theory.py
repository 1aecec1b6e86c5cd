"""``kanerva theory``: a thin face over the theory of one memory."""

import json
import math
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kanerva._core.errors import named, refuse
from kanerva.cli._app import app, grid

__all__: list[str] = []  # what there is to call is the command

HEADS = {
    "snr": "most\nsignal\nto noise",
    "capacity": "most\npatterns",
    "noise": "most\nnoise\ncorrected",
    "given": "yours",
}
METHODS = {
    "kl": "least divergence",
    "ols": "least squares",
    "published": "as published",
    "mse": "of weights",
    "leading": "first order",
    "entropic": "large n",
}
NOISES = {
    "autoassociative": "patterns under themselves",
    "heteroassociative": "random values",
    "independent": "others half the bits away",
    "kanerva": "Kanerva 1988",
}


@app.command()
@named(other="radius")
def theory(
    bits: Annotated[int, typer.Option(help="Dimension n")] = 64,
    patterns: Annotated[int, typer.Option(help="How many patterns are to be stored")] = 1024,
    locations: Annotated[
        str, typer.Option(help="How many hard locations, such as 1e6; all is one at every point")
    ] = "all",
    radius: Annotated[
        int | None, typer.Option(help="A radius of your own, beside the optimal ones")
    ] = None,
    fidelity: Annotated[
        float, typer.Option(help="Probability that a whole pattern is read right, for the capacity")
    ] = 0.5,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Say what theory knows of a sparse distributed memory: radii, beta, critical distances, capacity."""
    from kanerva.theory import overview

    designs = overview.describe(bits, patterns, _count(locations), fidelity=fidelity, other=radius)
    if json_:
        typer.echo(
            json.dumps(
                {
                    "bits": bits,
                    "patterns": patterns,
                    "locations": locations,
                    "fidelity": fidelity,
                    "designs": designs,
                }
            )
        )
        return
    talk = Console(highlight=False)
    where = (
        "a location at every point"
        if locations == "all"
        else f"{_count(locations):,.15g} locations"
    )
    talk.print(Text(f"{bits:,} bits, {patterns:,} patterns, {where}", style="bold"))
    table = grid("", *(HEADS[design["criterion"]] for design in designs))
    for place, column in enumerate(table.columns):
        column.no_wrap = place > 0  # on a narrow terminal names are broken, never numbers
    for name, cells in _lines(designs, fidelity):
        table.add_row(Text(name, style="" if name.startswith(" ") else "bold"), *map(Text, cells))
    talk.print(table)
    talk.print(
        Text(
            "beta is per unit of cosine; distances are in bits. What theory has no answer for is –."
        )
    )
    if len(designs) < 3 + (radius is not None):
        talk.print(
            Text(
                "A criterion that no radius meets is left out: store fewer patterns, or give more bits or locations."
            )
        )


def _lines(designs: list[dict[str, Any]], fidelity: float) -> list[tuple[str, list[str]]]:
    """Lay the designs out: a quantity a line, a design a column."""
    lines: list[tuple[str, list[str]]] = [
        ("radius", [str(design["radius"]) for design in designs]),
        ("  as good up to", [str(design["ties"][-1]) for design in designs]),
        ("activation p", [f"{design['activation']:.4g}" for design in designs]),
        ("active locations", [_power(design["log2_active"]) for design in designs]),
        ("beta", ["" for _ in designs]),
    ]
    lines += [
        (f"  {words}", [_number(design["beta"][method], 3) for design in designs])
        for method, words in METHODS.items()
    ]
    lines.append(("  on the sphere", [_number(design["beta_continuous"], 3) for design in designs]))
    lines.append(("  straightness R²", [_number(design["r2"], 3) for design in designs]))
    lines.append(("critical distance", ["" for _ in designs]))
    lines += [
        (f"  {words}", [_number(design["critical"][noise], 0) for design in designs])
        for noise, words in NOISES.items()
    ]
    lines += [
        ("signal to noise", [_number(design["snr"], 2) for design in designs]),
        ("whole pattern right", [_chance(design["word"]) for design in designs]),
        (f"capacity at {fidelity:g}", [_power(design["log2_capacity"]) for design in designs]),
        ("locations needed", [_power(design["log2_needed"]) for design in designs]),
    ]
    return lines


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}" if value < 1e6 else f"{value:.3g}"


def _chance(value: float | None) -> str:
    """Write a probability, never as sure or impossible what is only near it."""
    if value is None or value in (0, 1):
        return "–" if value is None else f"{value:.0f}"
    return ">0.9999" if value > 0.99995 else "<0.0001" if value < 0.00005 else f"{value:.4f}"


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
