"""The denoiser of normally distributed data, which is linear."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva._engine.scores import HALVES
from kanerva.diffusion._noise import Sigma, read_level, sound

__all__ = ["Wiener", "gaussian"]


class Wiener:
    r"""The posterior mean of normal data under Gaussian noise: Wiener's filter.

    .. math:: D(x, \sigma) = \mu + C\,(C + \sigma^2 I)^{-1} (x - \mu)

    Attributes:
        mean: ``(d,)``.
        variances: ``(d,)`` of the data along the directions.
        directions: ``(d, d)``, the principal directions as columns.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> denoise = diffusion.gaussian(torch.zeros(2), torch.diag(torch.tensor([3.0, 0.0])))
        >>> denoise(torch.ones(2), 1.0).tolist()
        [0.75, 0.0]

    Source: Wiener 1949.
    """

    def __init__(self, mean: Tensor, variances: Tensor, directions: Tensor) -> None:
        self.mean, self.variances, self.directions = mean, variances, directions

    @property
    def spread(self) -> float:
        """Root mean square of the numbers of the data, which noise must exceed to hide them."""
        squares = self.variances.sum() + self.mean.square().sum()
        return math.sqrt(float(squares) / len(self.mean))

    def __repr__(self) -> str:
        return f"Wiener({len(self.mean)} coordinates)"

    @door
    def __call__(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma
    ) -> Float[Tensor, "*batch d"]:
        """Return the posterior mean ``(..., d)`` of states ``(..., d)`` with noise ``sigma``."""
        along, noise, _ = self._along(x, sigma)
        total = self.variances + noise
        # Where there is neither variance nor noise, x is the mean.
        gain = self.variances / torch.where(total > 0, total, 1.0)
        return self._back(gain * along) + self.mean

    @door
    def trace(self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma) -> Float[Tensor, "*batch"]:
        """Return the trace of the Jacobian of the posterior mean ``(...)``, the same for all x."""
        along, _, total = self._along(x, sigma)
        gain = self.variances / torch.where(total > 0, total, 1.0)
        return gain.expand(along.shape).sum(-1)

    @door
    def score(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma
    ) -> Float[Tensor, "*batch d"]:
        """Return the gradient of the log density ``(..., d)`` of noisy data."""
        along, _, total = self._along(x, sigma, smooth=True)
        return self._back(-along / total)

    @door
    def energy(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma
    ) -> Float[Tensor, "*batch"]:
        r"""Return the energy ``(...)``, whose gradient is x - D.

        .. math:: E_\sigma(x) = \frac{\sigma^2}2 (x - \mu)^\top (C + \sigma^2 I)^{-1} (x - \mu)
        """
        along, noise, total = self._along(x, sigma, smooth=True)
        return sound(0.5 * (noise * along.square() / total).sum(-1))

    @door
    def log_prob(
        self, x: Float[Tensor, "*batch d"] | Listed, sigma: Sigma
    ) -> Float[Tensor, "*batch"]:
        """Return the log density ``(...)`` of noisy data, in nats."""
        along, _, total = self._along(x, sigma, smooth=True)
        return sound(-0.5 * (along.square() / total + (2 * torch.pi * total).log()).sum(-1))

    def _along(self, x: Any, sigma: Any, smooth: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return states along the directions, the variance of the noise, and that of both."""
        mean = self.mean
        x = arrays.listed(x, mean.dtype, mean.device)
        arrays.finite("x", arrays.vectors("x", x, len(mean), mean.dtype))
        level = read_level(sigma, x.shape[:-1], mean.device)
        noise = torch.as_tensor(level, dtype=mean.dtype, device=mean.device).square()
        noise = noise.reshape(*x.shape[:-1], 1) if noise.ndim else noise
        total = self.variances + noise
        if smooth and not bool((total > 0).all()):
            must, do = "> 0 where the data have no variance", "give the noise of the states"
            refuse("sigma", got="0", must=must, do=do)
        return (x - mean) @ self.directions, noise, total

    def _back(self, along: Tensor) -> Tensor:
        return along @ self.directions.mT


@door
def gaussian(
    mean: Float[Tensor, "d"] | Listed, covariance: Float[Tensor, "d d"] | Listed
) -> Wiener:
    """Build the denoiser of data with this mean and covariance, as if they were normal.

    Args:
        mean: ``(d,)``.
        covariance: ``(d, d)``, symmetric, without negative variances, in the mean's dtype.

    Returns:
        a ``Wiener``.

    Raises:
        InputError: a covariance that is none.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> diffusion.gaussian(torch.zeros(2), torch.eye(2))(torch.ones(2), 1.0).tolist()
        [0.5, 0.5]

    Source: Wiener 1949.
    """
    cpu = torch.device("cpu")
    given = arrays.listed(mean, torch.get_default_dtype(), cpu)
    centre = arrays.finite("mean", arrays.floats("mean", given))
    if centre.dtype in HALVES:
        do = "convert both with .to(torch.float32)"
        refuse("mean", mean, must="float32 or float64", do=do, error=InputTypeError)
    if centre.ndim != 1:
        refuse("mean", mean, must="of shape (d,)", do="give the mean of the rows")
    rows = arrays.listed(covariance, centre.dtype, centre.device)
    arrays.rows("covariance", rows, len(centre), len(centre), centre.dtype)
    arrays.finite("covariance", arrays.vectors("covariance", rows, len(centre), centre.dtype))
    do = "give the covariance of the rows, such as torch.cov(x.mT)"
    size = rows.abs().max().clamp_min(torch.finfo(rows.dtype).tiny)
    near = torch.finfo(rows.dtype).eps * len(rows) * 16 * size
    if bool(((rows - rows.mT).abs() > near).any()):
        refuse("covariance", got="not symmetric", must="symmetric", do=do)
    variances, directions = torch.linalg.eigh((rows + rows.mT) / 2)
    if bool((variances < -near).any()):
        got = f"one with the variance {float(variances[0]):.3g}"
        refuse("covariance", got=got, must="without negative variances", do=do)
    return Wiener(centre, variances.clamp_min(0), directions)
