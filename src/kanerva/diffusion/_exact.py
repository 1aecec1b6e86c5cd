"""The exact denoiser of stored rows: one read of a memory whose temperature is the noise."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputTypeError, door, named, refuse
from kanerva._core.settings import settings
from kanerva._engine import routes
from kanerva._engine.cues import Cue, partly, scaled
from kanerva._engine.scores import blocks, mask_of, narrow, pieces
from kanerva.diffusion._noise import LARGEST, SMALLEST, Sigma, read_level, sound
from kanerva.memory import Associative, Patterns
from kanerva.memory._inputs import Inputs
from kanerva.separation import Argmax, Separation, Softmax
from kanerva.similarity import closeness, declared, dot

__all__ = ["Exact", "exact"]

Known = Bool[Tensor, "*_known"] | None
Work = Callable[["_Asked"], Tensor]


class _Asked(NamedTuple):
    """Checked queries, and the memory at their level of noise.

    Attributes:
        rows: ``(b, d)`` the queries.
        variance: of the kernel around each stored row, for all queries, or ``(b,)`` for each.
        noise: of it, the square of sigma.
        keys: ``(m, d)`` the stored rows.
        kept: their prior; None for equal shares.
        known: ``(b, d)``; None for all coordinates.
    """

    rows: Tensor
    variance: Any
    noise: Any
    keys: Any
    kept: Any
    known: Tensor | None

    def exactly(self) -> "_Asked":
        """Take the queries in float64: at little noise a rounding error of a distance is large."""
        return self._replace(rows=self.rows.double())

    def of(self, places: Tensor) -> "_Asked":
        """Take some of the queries, whose levels differ."""
        known = None if self.known is None else self.known[places]
        variance, noise = self.variance[places], self.noise[places]
        kept = mask_of(self.kept, places)
        return _Asked(self.rows[places], variance, noise, self.keys, kept, known)


class Exact:
    r"""The posterior mean of data under Gaussian noise, where the data are stored rows.

    .. math:: D(x, \sigma) = E[x_0 \mid x] = \sum_i w_i x_i, \quad
        w_i \propto \pi_i\, e^{-|x - x_i|^2 / 2 \sigma^2}, \quad
        x = x_0 + \sigma z, \quad z \sim N(0, I)

    This is one read of a memory that compares by ``closeness``, at :math:`\beta = 1 / \sigma^2`.
    With a bandwidth h the data are a Gaussian of that width around each row,

    .. math:: D = \frac{h^2 x + \sigma^2 \sum_i w_i x_i}{h^2 + \sigma^2}, \quad
        w_i \propto \pi_i\, e^{-|x - x_i|^2 / 2 (h^2 + \sigma^2)}

    Every method takes ``sigma``, the standard deviation of the noise in the unit of the data: a
    number, or one for each query; and ``known``, bool that broadcasts to ``x``: True for the
    coordinates that were observed. The others are completed, whatever stands in ``x``.

    Attributes:
        memory: the stored rows; what is written to it later is seen.
        bandwidth: h >= 0.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> denoise = diffusion.exact(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        >>> x = torch.tensor([0.9, 0.3])
        >>> denoise(x, 0.2).round(decimals=3), denoise(x, 0.0)
        (tensor([1., 0.]), tensor([1., 0.]))
        >>> round(denoise.effective(x, 10.0).item(), 3)  # far from the data, all count
        2.0

    Source: Hoover and others 2023; Ambrogioni 2023, for the identity with dense associative
    memories; Robbins 1956, for Tweedie's formula.
    """

    def __init__(self, memory: Inputs, bandwidth: float) -> None:
        self.memory, self.bandwidth = memory, bandwidth

    @property
    def spread(self) -> float:
        """Root mean square of the numbers of the data, which noise must exceed to hide them."""
        keys, _, _, prior, _ = self.memory._held()
        total, squares = 0.0, 0.0
        for rows, part in zip(pieces(*keys.shape), blocks(keys, torch.float64), strict=True):
            shares = torch.ones(len(part)).to(part) if prior is None else prior[rows].to(part)
            squares += float((shares @ part.square()).sum())
            total += float(shares.sum())
        mean = squares / (total * self.memory.dim) if total else 0.0
        return math.sqrt(mean + self.bandwidth**2)

    def __repr__(self) -> str:
        return f"Exact({len(self.memory)} rows of {self.memory.dim}, bandwidth={self.bandwidth:g})"

    @named(query="x")
    def __call__(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma, known: Known = None
    ) -> Float[Tensor, "*batch d"]:
        """Return the posterior mean.

        Args:
            x: ``(..., d)`` in the memory's dtype.
            sigma: >= 0; 0 gives the nearest row, the mean of several that are equally near.
            known: True for observed coordinates.

        Returns:
            ``(..., d)`` in the memory's dtype.

        Raises:
            InputError: nothing is stored, or an argument does not fit.
        """
        asked, batch = self._asked(x, sigma, known)
        mean = _each(asked, _mean)
        value = mean
        if self.bandwidth:
            noise, variance = _column(asked.noise, mean), _column(asked.variance, mean)
            value = mean + self.bandwidth**2 / variance * (asked.rows - mean)
            value = torch.where(noise == 0, asked.rows.to(mean), value)
            if asked.known is not None:
                value = torch.where(asked.known, value, mean)
        return narrow(value, asked.rows).reshape(*batch, self.memory.dim)

    @named(query="x")
    def score(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma, known: Known = None
    ) -> Float[Tensor, "*batch d"]:
        r"""Return the gradient of the log density of noisy data: Tweedie's formula.

        .. math:: \nabla \log p_\sigma(x) = \frac{D(x, \sigma) - x}{\sigma^2}

        Args:
            x: ``(..., d)``.
            sigma: > 0, unless there is a bandwidth.
            known: True for observed coordinates; the density is that of these, so the gradient of
                the others is 0.

        Returns:
            ``(..., d)`` in the memory's dtype.
        """
        asked, batch = self._asked(x, sigma, known, smooth=True)
        mean = _each(asked, _mean)
        value = (mean - asked.rows) / _column(asked.variance, mean)
        if asked.known is not None:
            value = torch.where(asked.known, value, 0.0)
        return narrow(value, asked.rows).reshape(*batch, self.memory.dim)

    @named(query="x")
    def energy(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma, known: Known = None
    ) -> Float[Tensor, "*batch"]:
        r"""Return the energy of the memory, whose gradient is ``x`` less what is read.

        .. math:: E_\sigma(x) = -v \log \sum_i \pi_i\, e^{-|x - x_i|^2 / 2 v}, \quad
            v = \sigma^2 + h^2

        Args:
            x: ``(..., d)``.
            sigma: >= 0; where v is 0, half the squared distance to the nearest row.
            known: True for observed coordinates.

        Returns:
            ``(...)`` float64.
        """
        asked, batch = self._asked(x, sigma, known)
        return sound(_each(asked.exactly(), _energy)).reshape(batch)

    @named(query="x")
    def log_prob(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma, known: Known = None
    ) -> Float[Tensor, "*batch"]:
        r"""Return the log density of noisy data, normalised, in nats.

        .. math:: \log p_\sigma(x) = -\frac{E_\sigma(x)}{v} - \log \sum_i \pi_i
            - \frac d2 \log 2 \pi v

        Args:
            x: ``(..., d)``.
            sigma: > 0, unless there is a bandwidth.
            known: True for observed coordinates, of which it is the density then.

        Returns:
            ``(...)`` float64.
        """
        asked, batch = self._asked(x, sigma, known, smooth=True)
        energy = _each(asked.exactly(), _energy)
        dim = self.memory.dim if asked.known is None else asked.known.sum(-1).double()
        total = float(len(asked.keys)) if asked.kept is None else float(asked.kept.prior[0].sum())
        variance = torch.as_tensor(asked.variance, dtype=torch.float64, device=energy.device)
        spread = (dim / 2 * (2 * torch.pi * variance).log()).to(energy)
        count = torch.tensor(total, dtype=torch.float64).log().to(energy)
        return sound(-energy / variance.to(energy) - count - spread).reshape(batch)

    @named(query="x")
    def trace(self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma) -> Float[Tensor, "*batch"]:
        r"""Return the trace of the Jacobian of the posterior mean.

        .. math:: \operatorname{tr} \frac{\partial D}{\partial x}
            = \frac{d h^2}{v} + \frac{\sigma^2}{v^2}
            \Bigl(\sum_i w_i |x_i|^2 - \Bigl|\sum_i w_i x_i\Bigr|^2\Bigr), \quad
            v = \sigma^2 + h^2

        The bracket is the variance of the rows in a read: 0 where the memory has condensed.

        Args:
            x: ``(..., d)``.
            sigma: > 0, unless there is a bandwidth.

        Returns:
            ``(...)`` in the memory's dtype.
        """
        asked, batch = self._asked(x, sigma, None, smooth=True)
        keys = asked.keys
        # The middle of the rows as the origin keeps the digits of the difference.
        middle = torch.stack([part.sum(0) for part in blocks(keys, torch.float64)]).sum(0)
        middle = middle / len(keys)
        square = [(part - middle).square().sum(-1) for part in blocks(keys, torch.float64)]
        mean = _each(asked, _mean)
        around = _each(asked, partial(_mean, values=torch.cat(square).to(mean).unsqueeze(-1)))
        spread = (around.squeeze(-1) - (mean - middle.to(mean)).square().sum(-1)).clamp_min(0)
        noise, variance = (torch.as_tensor(one).to(mean) for one in (asked.noise, asked.variance))
        own = self.memory.dim * self.bandwidth**2
        found = own / variance + noise / variance.square() * spread
        return narrow(found, asked.rows).reshape(batch)

    @named(query="x")
    def weights(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma, known: Known = None
    ) -> Float[Tensor, "*batch m"]:
        """Return how probable each stored row is as the one that noise was added to.

        Args:
            x: ``(..., d)``.
            sigma: >= 0.
            known: True for observed coordinates.

        Returns:
            ``(..., m)`` that sum to one.

        Raises:
            InputError: the weights of all queries together would exceed ``settings.budget``.
        """
        asked, batch = self._asked(x, sigma, known)
        size, most = len(asked.rows) * len(asked.keys) * 8, settings.budget
        if size > most and len(asked.rows) > 1:
            do = "give fewer at a time, or raise kanerva.settings.budget"
            got = f"{len(asked.rows)} against {len(asked.keys)} rows: {size} bytes"
            refuse("x", got=got, must=f"few enough for {most} bytes of weights", do=do)
        return _each(asked, _weights).reshape(*batch, len(asked.keys))

    @named(query="x")
    def effective(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma, known: Known = None
    ) -> Float[Tensor, "*batch"]:
        r"""Return the effective number of rows that a read is made of.

        .. math:: \frac{1}{\sum_i w_i^2}

        Near 1 the memory has condensed: one row has all the weight.

        Args:
            x: ``(..., d)``.
            sigma: >= 0.
            known: True for observed coordinates.

        Returns:
            ``(...)``, from 1 to the number of rows.
        """
        asked, batch = self._asked(x, sigma, known)
        return _each(asked, _effective).reshape(batch)

    def _asked(
        self, x: Any, sigma: Any, known: Any, smooth: bool = False
    ) -> tuple[_Asked, torch.Size]:
        """Check queries and their noise."""
        memory = self.memory
        rows = memory._vectors("x", x, memory.dim)
        batch = rows.shape[:-1]
        noise = read_level(sigma, batch, memory.device)
        noise = noise**2
        variance = noise + self.bandwidth**2
        if smooth and not bool(torch.as_tensor(variance > 0).all()):
            must, do = "> 0, unless there is a bandwidth", "give the noise of the queries"
            refuse("sigma", got="0", must=must, do=do)
        if known is not None:
            known = arrays.coordinates("known", known, rows.shape, memory.device)
            rows = torch.where(known, rows, 0.0)
            known = known.reshape(-1, memory.dim)
        given = memory._given(arrays.finite("x", rows.reshape(-1, memory.dim)), None)
        if not len(given.keys):
            refuse("memory", got="empty", must="one that stores rows", do="write to it first")
        return _Asked(given.rows, variance, noise, given.keys, given.kept, known), batch


@door
def exact(data: Float[Tensor, "m d"] | Listed | Associative, bandwidth: float = 0.0) -> Exact:
    """Build the exact denoiser of data.

    Args:
        data: rows ``(m, d)``, m >= 1; or a memory whose values are its keys and which compares by
            ``closeness``, such as ``density.kernel``, a ``density.Mixture``, or ``Patterns.over`` a
            file: its rows and their priors are used, whatever its own temperature, and it stays as
            it is. The rows of a ``Mixture`` are its means.
        bandwidth: h >= 0 in the unit of the data.

    Returns:
        an ``Exact``.

    Raises:
        InputError: no rows, or a memory that compares in another way.

    Example:
        >>> import torch
        >>> from kanerva import density, diffusion
        >>> memory = density.kernel(dim=2, bandwidth=1.0)
        >>> ids = memory.write(torch.eye(2), prior=[3.0, 1.0])
        >>> diffusion.exact(memory)(torch.zeros(2), 100.0).round(decimals=2)
        tensor([0.7500, 0.2500])

    Source: as ``Exact``.
    """
    bandwidth = checks.number("bandwidth", bandwidth, 0, LARGEST)
    if 0 < bandwidth < SMALLEST:
        must = f"0, or from {SMALLEST:g} to {LARGEST:g}"
        refuse("bandwidth", bandwidth, must=must, do="give 0 for none")
    if isinstance(data, Associative):
        return Exact(_vetted(data), bandwidth)
    rows = arrays.listed(data, torch.get_default_dtype(), torch.device("cpu"))
    if arrays.rows("data", rows).dtype == torch.uint8:
        must, do = "a floating tensor", "scale pictures down with data / 255"
        refuse("data", rows, must=must, do=do, error=InputTypeError)
    rows = arrays.finite("data", arrays.floats("data", rows))
    if not len(rows):
        refuse("data", got="none", must="one row or more", do="give the data")
    memory = Patterns(
        rows.shape[1], similarity=closeness, separation=Softmax(1.0), dtype=rows.dtype
    ).to(rows.device)
    memory.write(rows)
    return Exact(memory, bandwidth)


def _vetted(memory: Associative) -> Inputs:
    """Return a memory whose rows are Gaussian kernels at any temperature."""
    must = "one that compares by closeness, its values the keys"
    do = "build it with density.kernel, or give its rows"
    if not isinstance(memory, Inputs):
        refuse("data", got=repr(memory), must=must, do=do)
    keys, values, bias, _, _ = memory._held()
    similarity: Any = getattr(memory, "similarity", dot)
    shape = declared(similarity, "shape")
    several = memory._betas is not None  # a view whose queries have a temperature each
    if shape != "gaussian" or values is not keys or bias is not None or several:
        refuse("data", got=repr(memory), must=must, do=do)
    return memory


def _column(value: Any, like: Tensor) -> Tensor:
    """Return a number of each query as a column."""
    found = torch.as_tensor(value, dtype=torch.float64, device=like.device).to(like)
    return found.unsqueeze(-1) if found.ndim else found


def _each(asked: _Asked, work: Work) -> Tensor:
    """Work on all queries; those without any noise apart, for they have another rule."""
    if not isinstance(asked.variance, Tensor):
        return work(asked)
    none = asked.variance == 0
    if not bool(none.any()):
        return work(asked)
    there = [places for part in (none, ~none) if len(places := part.nonzero().squeeze(-1))]
    found = [work(asked.of(places)) for places in there]
    return torch.cat(found)[torch.cat(there).argsort()]


def _cue(asked: _Asked) -> tuple[Cue, Separation]:
    """Return what is compared with the rows, and how scores are weighed."""
    cue = Cue(asked.rows, closeness)
    if asked.known is not None:
        cue = partly(cue, asked.known)
    if not isinstance(asked.variance, Tensor):
        return cue, Argmax() if asked.variance == 0 else Softmax(1 / asked.variance)
    if not len(asked.variance) or bool((asked.variance == 0).all()):
        return cue, Argmax()
    return scaled(cue, 1 / asked.variance), Softmax(1.0)


def _mean(asked: _Asked, values: Tensor | None = None) -> Tensor:
    (rows, similarity), rule = _cue(asked)
    read = asked.keys if values is None else values
    return routes.field(rows, asked.keys, read, similarity, rule, asked.kept).value


def _weights(asked: _Asked) -> Tensor:
    (rows, similarity), rule = _cue(asked)
    return routes.weights(rows, asked.keys, similarity, rule, asked.kept)


def _energy(asked: _Asked) -> Tensor:
    (rows, similarity), rule = _cue(asked)
    found = routes.energy(rows, asked.keys, similarity, rule, asked.kept)
    several = isinstance(asked.variance, Tensor) and bool((asked.variance > 0).all())
    return found * asked.variance.to(found) if several else found


def _effective(asked: _Asked) -> Tensor:
    (rows, similarity), rule = _cue(asked)
    size = max(1, settings.budget // (64 * max(1, len(asked.keys))))
    parts = range(0, max(1, len(rows)), size)
    found = []
    for start in parts:
        some = slice(start, start + size)
        kept = mask_of(asked.kept, some)
        weights = routes.weights(rows[some], asked.keys, similarity, rule, kept)
        found.append(1 / weights.square().sum(-1))
    return torch.cat(found)
