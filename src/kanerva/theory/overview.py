"""The results of the theory for one sparse distributed memory, at each of its optimal radii."""

import math
from collections.abc import Callable
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import InputError, door
from kanerva.theory import _inputs, beta, capacity, circle, critical, radius

__all__ = ["describe"]

BITS = 2**14


@door
def describe(
    bits: int,
    patterns: int,
    locations: int | float = math.inf,
    *,
    fidelity: float = 0.5,
    other: int | None = None,
) -> list[dict[str, Any]]:
    """Describe sparse distributed memory at each of the three optimal radii, and at a given one.

    Args:
        bits: dimension n, 2 to 16,384; with more bits the search for some radii would take minutes.
        patterns: how many patterns m are to be stored, >= 1.
        locations: how many locations r, >= 1; ``math.inf`` is one at each of the 2^n points.
        fidelity: the probability q that a whole pattern is read correctly, above 2^-n and below 1;
            for the capacity.
        other: one more radius, 0 to ``bits - 1``.

    Returns:
        a dict for each radius, with None for a value that is not defined there:

        * ``criterion``: ``"snr"``, ``"capacity"``, ``"noise"`` or ``"given"``. A criterion that no
          radius meets is left out.
        * ``radius`` in bits, and its ``ties``.
        * ``activation``: the share p of the space in its circle; ``log2_active``: the logarithm of
          p r.
        * ``beta``: by method, per unit of cosine; ``beta_continuous``: on the sphere.
        * ``r2`` and ``residual`` of the fit ``"kl"``.
        * ``critical``: the distance in bits from which reads converge, by model of the noise.
        * ``snr`` and ``word``: signal-to-noise ratio of a bit, and probability of a whole pattern,
          for queries without errors.
        * ``log2_capacity``: the logarithm of the number of patterns at ``fidelity``.
        * ``log2_needed``: the logarithm of the number of locations for ``patterns`` at that
          fidelity.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva.theory import overview
        >>> for found in overview.describe(64, 1024):
        ...     print(found["criterion"], found["radius"], round(found["beta"]["published"], 1))
        snr 11 15.9
        capacity 5 35.5
        noise 15 10.1

    Source:
        Bricken and Pehlevan (2021), Attention approximates sparse distributed memory; Kanerva
        (1988, 1993).
    """
    do = f"give 2 to {BITS}, or call the other modules of kanerva.theory one by one"
    bits = checks.integer("bits", bits, 2, BITS, do)
    patterns = checks.integer("patterns", patterns, 1, _inputs.PATTERNS)
    _inputs.log_locations(bits, locations)
    capacity.squared_quantile(bits, fidelity)
    designs: list[tuple[str, int, tuple[int, ...]]] = []
    for criterion in radius.CRITERIA:
        best = _if(radius.optimal, bits, patterns, locations, criterion, fidelity=fidelity)
        if best is not None:
            designs.append((criterion, best.radius, best.ties))
    if other is not None:
        chosen = checks.integer("other", other, 0, bits - 1)
        designs.append(("given", chosen, (chosen,)))
    return [
        {"criterion": criterion, "radius": size, "ties": list(ties)}
        | _design(bits, size, patterns, locations, fidelity)
        for criterion, size, ties in designs
    ]


def _design(
    bits: int, size: int, patterns: int, locations: int | float, fidelity: float
) -> dict[str, Any]:
    log2_locations = bits if locations == math.inf else math.log2(locations)
    fit = _if(beta.fit, bits, size)
    fitted = {method: _if(beta.fit, bits, size, method) for method in beta.METHODS}
    sphere = _if(beta.fit, bits, size, space="continuous")
    memory = (bits, size, patterns, locations)
    return {
        "activation": circle.activation(bits, size),
        "log2_active": circle.log_activation(bits, size) / math.log(2) + log2_locations,
        "beta": {
            **{method: found and found.beta for method, found in fitted.items()},
            "leading": _if(beta.leading, bits, size),
            "entropic": _if(beta.entropic, bits, size),
        },
        "beta_continuous": sphere and sphere.beta,
        "r2": fit and fit.r2,
        "residual": fit and fit.residual,
        "critical": {noise: _if(critical.distance, *memory, noise) for noise in critical.NOISES},
        "snr": _if(capacity.snr, *memory),
        "word": _if(capacity.word, *memory),
        "log2_capacity": _if(capacity.patterns, bits, size, locations, fidelity, "log2"),
        "log2_needed": _if(capacity.locations, bits, size, patterns, fidelity, "log2"),
    }


def _if(function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Return the result of a function of the theory, or None where it refuses its arguments."""
    try:
        return function(*arguments, **more)
    except InputError:
        return None
