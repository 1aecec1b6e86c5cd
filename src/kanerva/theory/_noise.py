"""The noise that an inverse temperature is best for: a softmax read as a posterior."""

import math

import numpy as np

from kanerva._core import checks
from kanerva._core.errors import door

__all__ = ["noise", "of_noise"]


@door("beta.of_noise")
def of_noise(bits: int, flips: int | float) -> float:
    r"""Return the beta at which attention is the posterior over noisy patterns.

    .. math:: \beta = \frac{n}{2} \ln \frac{1 - p}{p}

    A query is one of m stored patterns of n bits, all equally likely, with each bit flipped with
    probability p. Proof (Bayes): a query at d bits from pattern i comes from it with the
    probability p^d (1 - p)^(n - d), which is proportional to (p / (1 - p))^d. With
    cos = 1 - 2 d / n this is exp(beta cos) up to a factor that is the same for all patterns. So the
    posterior is softmax(beta cos), whatever m and the patterns are.

    The same holds for other noise. On the sphere, where a query is drawn from a von Mises-Fisher
    density around a pattern, beta is its concentration kappa. Where Gaussian noise of standard
    deviation s is added to unit vectors, the posterior is the softmax of beta = 1 / s^2 times
    ``similarity.closeness``.

    Args:
        bits: dimension n of the space, >= 1.
        flips: the probability p that a bit is flipped, 0 to 0.5.

    Returns:
        beta per unit of cosine, 0 for p = 0.5 and ``inf`` for p = 0; divide it by ``bits`` for dot
        products of -1/+1 vectors.

    Raises:
        InputError: the probability lies outside [0, 0.5].

    Example:
        >>> from kanerva.theory import beta
        >>> [round(beta.of_noise(64, flips), 1) for flips in (0.2, 0.3, 0.4, 0.5)]
        [44.4, 27.1, 13.0, 0.0]
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    flips = checks.number("flips", flips, 0.0, 0.5)
    if flips == 0:
        return math.inf
    return bits / 2 * (math.log1p(-flips) - math.log(flips))


@door("beta.noise")
def noise(bits: int, beta: int | float) -> float:
    r"""Return the share of wrong bits for which attention of a given beta is the posterior.

    .. math:: p = \frac{1}{1 + \exp(2 \beta / n)}

    It is the inverse of ``of_noise``: the larger beta is, the fewer wrong bits it suits. The sparse
    distributed memory whose weights come nearest has the radius ``beta.radius(bits, beta).radius``.

    Args:
        bits: dimension n of the space, >= 1.
        beta: per unit of cosine, 0 to ``inf``.

    Returns:
        the probability p that a bit is flipped, 0.5 for beta 0 and 0 for ``inf``.

    Raises:
        InputError: beta is negative or NaN.

    Example:
        >>> from kanerva.theory import beta
        >>> [round(beta.noise(64, learned), 2) for learned in (10, 25)]
        [0.42, 0.31]
    """
    bits = checks.integer("bits", bits, 1, checks.BITS)
    if not (isinstance(beta, float | np.floating) and beta == math.inf):
        beta = checks.number("beta", beta, 0.0)
    # exp(-x) of a large x becomes 0, where exp(x) would be too large for floats.
    share = math.exp(-2 * beta / bits)
    return share / (1 + share)
