"""Attention as a mixture of von Mises-Fisher distributions on the sphere, and its EM algorithm."""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.theory import kernel

__all__ = ["Sphere", "SphereEM", "attention_as_vmf", "sphere_em"]


class Sphere(NamedTuple):
    """The mixture of von Mises-Fisher distributions whose posterior is attention.

    Attributes:
        kappa: ``(m,)``, or ``(..., m)`` for query norms ``(...)``: the concentration of each key.
        direction: ``(m, d)``, the unit vector of each key; zeros for a key of length 0, whose
            kappa is 0.
        log_weight: ``(m,)``, the logarithm of what each key weighs in attention before it is
            compared.
        log_prior: shaped as ``kappa``, the logarithm of the mixing weight of each key, up to a
            constant.
    """

    kappa: Float[Tensor, "*batch m"]
    direction: Float[Tensor, "m d"]
    log_weight: Float[Tensor, "m"]
    log_prior: Float[Tensor, "*batch m"]


class SphereEM(NamedTuple):
    """A mixture of von Mises-Fisher distributions after steps of the EM algorithm.

    Attributes:
        means: ``(k, d)``, unit vectors.
        weights: ``(n, k)``, the posterior of the means for each row; each row sums to one.
        log_likelihood: ``(steps + 1,)`` float64, the mean over the rows before each step and after
            the last, in nats.
    """

    means: Float[Tensor, "k d"]
    weights: Float[Tensor, "n k"]
    log_likelihood: Float64[Tensor, "steps"]


@door("density.attention_as_vmf")
def attention_as_vmf(
    keys: Float[Tensor, "m d"],
    gamma: Float[Tensor, "d"] | None = None,
    delta: Float[Tensor, "d"] | None = None,
    scale: float | Float[Tensor, "*batch"] | None = None,
) -> Sphere:
    r"""Read softmax attention with normalised queries as the posterior of a mixture on the sphere.

    .. math:: q = \gamma \circ \tilde q + \delta, \quad |\tilde q| = c: \quad
        e^{k_i \cdot q} = e^{\kappa_i m_i \cdot \tilde q / c} \, e^{k_i \cdot \delta}

        \kappa_i = c\, |k_i \circ \gamma|, \quad m_i = \frac{k_i \circ \gamma}{|k_i \circ \gamma|},
        \quad \log \pi_i = k_i \cdot \delta - \log C_D(\kappa_i)

    Attention has no factor :math:`C_D(\kappa_i)`, which normalises the density of a key. So the
    mixing weights :math:`\pi` of the mixture that it is the posterior of grow with kappa: long keys
    have a larger prior. Each norm of a transformer is a case of this:

    * LayerNorm of queries: ``gamma`` and ``delta`` are its weight and bias, and c is sqrt(D). The
      keys have different kappa, and the weights exp(k delta).
    * LayerNorm without weight and bias: kappa = sqrt(D) \|k\|, equal weights.
    * RMSNorm, or any norm before the projection to queries: the length of queries varies. With
      their lengths as ``scale`` kappa_ij = \|q_i\| \|k_j\|, and there are no weights.
    * Normalised queries and keys with one scale g: unit ``keys`` and ``scale=g``. All kappa are g
      and the mixing weights are equal, so attention is the posterior of an ordinary mixture.
    * A norm after attention normalises the read: it is the M-step of ``sphere_em``.

    Where attention multiplies its scores by beta, such as 1 / sqrt(D), give ``beta * keys``.

    Args:
        keys: ``(m, d)``, floating.
        gamma: ``(d,)`` in the dtype of the keys, the weight of the norm; ones where it is None.
        delta: ``(d,)`` in the dtype of the keys, its bias; zeros where it is None.
        scale: the length c > 0 of the normalised query: a number, or a floating tensor ``(...)``
            with one for each query, where 0 is allowed; sqrt(d) where it is None.

    Returns:
        a ``Sphere`` in float64 for keys of float64 and in float32 otherwise, computed in float64
        and without a gradient.

    Raises:
        InputError: shapes or dtypes do not fit, or numbers are not finite or beyond 1e300.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> keys = torch.tensor([[3.0, 4.0], [0.0, 0.5], [0.0, 0.0]])
        >>> found = density.attention_as_vmf(keys, scale=2.0)
        >>> found.kappa.tolist(), found.direction[0].tolist()
        ([10.0, 1.0, 0.0], [0.6000000238418579, 0.800000011920929])
        >>> weights = (found.kappa * (found.direction @ torch.tensor([1.0, 0.0]))).softmax(-1)
        >>> torch.allclose(weights, (keys @ torch.tensor([2.0, 0.0])).softmax(-1))
        True

    Source:
        Schaeffer et al. (2024), Bridging associative memory and probabilistic modeling; the factor
        C in the prior is derived here.
    """
    arrays.finite("keys", arrays.floats("keys", arrays.rows("keys", keys)))
    lengths = _lengths(scale, keys)
    with torch.no_grad():
        exact = keys.double()
        scaled = exact * _affine("gamma", gamma, keys, 1.0)
        log_weight = exact @ _affine("delta", delta, keys, 0.0)
        direction, size = _unit(scaled)
        kappa = lengths[..., None] * size
        _check_size("scale", kappa)
        _check_size("delta", log_weight)
        log_prior = log_weight + _log_normaliser(keys.shape[1], kappa)
        wide = torch.promote_types(keys.dtype, torch.float32)
        kept = [part.to(wide) for part in (kappa, direction, log_weight, log_prior)]
        if not all(map(arrays.sound, kept)):
            must = f"so small that every number stays within {wide}"
            refuse("scale", scale, must=must, do="scale it down, or give keys in torch.float64")
        return Sphere(*kept)


@door("density.sphere_em")
def sphere_em(
    x: Float[Tensor, "n d"], means: Float[Tensor, "k d"], kappa: float, steps: int
) -> SphereEM:
    r"""Fit a mixture of von Mises-Fisher distributions with equal kappa and equal mixing weights.

    .. math:: p(x) = \frac1K \sum_k C_D(\kappa)\, e^{\kappa m_k \cdot x}

        w_{nk} = \text{softmax}_k (\kappa\, x_n \cdot m_k), \quad
        m_k \leftarrow \frac{\sum_n w_{nk} x_n}{|\sum_n w_{nk} x_n|}

    One step of the EM algorithm is attention whose queries are the means and whose keys and values
    are the rows, with the softmax over the queries, as in slot attention, and a norm after it. The
    likelihood never falls. Attention with the softmax over the keys is another algorithm: each
    query then climbs to a mode of the density of the rows.

    Args:
        x: ``(n, d)`` floating, at least one row; only directions count, so no row may be zeros.
        means: ``(k, d)`` in the same dtype, where the steps start; as ``x``.
        kappa: concentration of all means, from 0 to 1e300.
        steps: number of steps, >= 0.

    Returns:
        a ``SphereEM``; means and weights are float64 for float64 and float32 for other dtypes, and
        are computed in float64 and without a gradient. A mean with no direction left stays as it
        was.

    Raises:
        InputError: shapes or dtypes do not fit, a row is zeros, or a number is out of range.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> x = torch.tensor([[1.0, 0.1], [1.0, -0.1], [0.1, 1.0], [-0.1, 1.0]])
        >>> found = density.sphere_em(x, means=x[[0, 2]], kappa=20.0, steps=5)
        >>> found.means.round(decimals=3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
        >>> bool((found.log_likelihood.diff() > -1e-12).all())  # up to rounding
        True

    Source:
        Banerjee, Dhillon, Ghosh and Sra (2005), Clustering on the unit hypersphere using von
        Mises-Fisher distributions; Locatello et al. (2020), Object-centric learning with slot
        attention, for the softmax over queries.
    """
    rows = _directions("x", x, None)
    slots = _directions("means", means, x)
    kappa = checks.number("kappa", kappa, 0.0, 1e300)
    steps = checks.integer("steps", steps, 0, checks.LONGEST)
    constant = -kernel.log_normaliser("vmf", x.shape[1], kappa) - math.log(len(slots))
    needed = 24 * len(rows) * len(slots)
    with torch.no_grad(), checks.room("x", f"of shape {tuple(x.shape)}", needed):
        scores, levels = kappa * (rows @ slots.mT), []
        for _ in range(steps):
            levels.append(scores.logsumexp(-1).mean())
            # The queries of this attention are the means, and its softmax is over the queries.
            read, size = _unit(scores.softmax(-1).mT @ rows)
            slots = torch.where(size[:, None] > 0, read, slots)
            scores = kappa * (rows @ slots.mT)
        levels.append(scores.logsumexp(-1).mean())
        weights, level = scores.softmax(-1), torch.stack(levels) + constant
    wide = torch.promote_types(x.dtype, torch.float32)
    return SphereEM(slots.to(wide), weights.to(wide), level)


def _unit(
    rows: Float64[Tensor, "m d"],
) -> tuple[Float64[Tensor, "m d"], Float64[Tensor, "m"]]:
    """Return the direction and the length of each row; zeros for rows of zeros."""
    largest = rows.abs().amax(-1, keepdim=True)
    scaled = rows / torch.where(largest > 0, largest, 1.0)
    size = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    return scaled / size.clamp_min(1.0), (size * largest).squeeze(-1)


def _log_normaliser(dim: int, kappa: Float64[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
    """Return -log C of each concentration, on its device."""
    logs = kernel.log_normaliser("vmf", dim, kappa.cpu().numpy())
    return torch.from_numpy(logs).to(kappa.device)


def _affine(argument: str, value: Any, keys: Tensor, otherwise: float) -> Float64[Tensor, "d"]:
    """Return the weight or the bias of a norm in float64."""
    if value is None:
        return torch.full(keys.shape[1:], otherwise, dtype=torch.float64, device=keys.device)
    must = f"a tensor of shape ({keys.shape[1]},) or None"
    arrays.dense(argument, value, must, keys.dtype)
    if value.shape != keys.shape[1:]:
        refuse(argument, value, must=must, do="give a number for each coordinate of a key")
    _same(argument, value, keys, "keys")
    return arrays.finite(argument, value).double()


def _lengths(scale: Any, keys: Tensor) -> Float64[Tensor, "*batch"]:
    """Return the lengths of the normalised queries."""
    if isinstance(scale, Tensor):
        must = "a number > 0, or a floating tensor of lengths >= 0"
        arrays.dense("scale", scale, must)
        if not scale.is_floating_point() or scale.device != keys.device:
            refuse(
                "scale", scale, must=must, do="convert it with scale.to(keys)", error=InputTypeError
            )
        if bool((arrays.finite("scale", scale) < 0).any()):
            got = f"one with {float(scale.detach().min()):g} in it"
            refuse("scale", must=must, got=got, do="give the lengths of the queries")
        return scale.detach().double()
    if scale is None:
        scale = math.sqrt(keys.shape[1])
    length = checks.number("scale", scale, 0.0, open_low=True)
    return torch.tensor(length, dtype=torch.float64, device=keys.device)


def _directions(argument: str, value: Any, like: Tensor | None) -> Float64[Tensor, "m d"]:
    """Check rows with directions, and return these."""
    dim = None if like is None else like.shape[1]
    arrays.finite(argument, arrays.floats(argument, arrays.rows(argument, value, dim=dim)))
    if like is not None:
        _same(argument, value, like, "x")
    if not len(value):
        refuse(argument, value, must="one row or more", do="give at least one")
    unit, size = _unit(value.detach().double())
    if not bool((size > 0).all()):
        place = int((size == 0).nonzero()[0])
        must, got = "rows of a length above 0", f"one with zeros in row {place}"
        refuse(argument, must=must, got=got, do="drop them, as they have no direction")
    return unit


def _same(argument: str, value: Tensor, like: Tensor, name: str) -> None:
    """Refuse a tensor of another dtype or on another device."""
    if value.dtype != like.dtype or value.device != like.device:
        must = f"{like.dtype} on {like.device}, as {name} is"
        got, do = f"{value.dtype} on {value.device}", f"convert it with {argument}.to({name})"
        refuse(argument, must=must, got=got, do=do, error=InputTypeError)


def _check_size(argument: str, value: Float64[Tensor, "*shape"]) -> None:
    """Refuse an argument whose product with the keys is beyond the range of a concentration."""
    if value.numel() and not bool(value.abs().max() <= 1e300):
        must, got = "small enough for products with the keys below 1e300", "larger"
        refuse(argument, must=must, got=got, do="give smaller numbers")
