"""Denoisers from models of the diffusers library, and models for its schedulers from denoisers."""

import importlib
import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, describe, door, named, refuse
from kanerva.diffusion._noise import Sigma, read_level
from kanerva.diffusion._samples import Denoiser, denoised, vetted

__all__ = ["FromDiffusers", "ToDiffusers", "from_diffusers", "to_diffusers"]

PREDICTIONS = ("epsilon", "v_prediction", "sample")
LEARNED = ("learned", "learned_range")
# The share of the data that is taken to be left where a schedule leaves none.
LEAST = 2.0**-32
# How far above the noise of the last time, as a share of it: rounding.
ABOVE = 1e-3
ROWS = "(..., d)"


class _Times:
    """The noise of the times of a scheduler, and what its models predict.

    Attributes:
        scheduler: of diffusers.
        predicted: ``"epsilon"``, ``"v_prediction"`` or ``"sample"``.
        sigmas: ``(times,)`` float64, of the times 0, 1, 2, ... of its training.
        rising: the largest of them up to each time.
        halved: whether a second half of what its models return is a variance.
    """

    def __init__(self, scheduler: Any) -> None:
        kept, config = getattr(scheduler, "alphas_cumprod", None), getattr(scheduler, "config", {})
        if not isinstance(kept, Tensor) or kept.ndim != 1 or len(kept) < 2:
            must = "one with alphas_cumprod, which keeps the variance"
            do = "take that of a denoising model, such as DDIMScheduler"
            refuse("scheduler", scheduler, must=must, do=do, error=InputTypeError)
        self.scheduler = scheduler
        kind = getattr(config, "prediction_type", "epsilon")
        self.predicted = checks.choice("scheduler.config.prediction_type", kind, PREDICTIONS)
        self.halved = getattr(config, "variance_type", None) in LEARNED
        left = kept.detach().cpu().double().clamp_min(LEAST)
        self.sigmas = ((1 - left) / left).sqrt()
        # Some schedules without a last signal-to-noise ratio do not rise at the very end.
        self.rising = self.sigmas.cummax(0).values
        if not bool(self.rising[-1] > self.rising[0]):
            must, do = "one whose alphas_cumprod fall", "build it with other betas"
            refuse("scheduler", scheduler, must=must, do=do)

    def time(self, sigma: float | Tensor) -> Tensor:
        """Return the time of each noise; between whole times sigma is linear in it."""
        noise = torch.as_tensor(sigma, dtype=torch.float64)
        table, top = self.rising.to(noise.device), float(self.rising[-1])
        if noise.numel() and float(noise.max()) > top * (1 + ABOVE):
            must = f"at most {top:g}, the noise of the last time of the scheduler"
            refuse("sigma", sigma, must=must, do="start at that noise")
        noise = noise.clamp(float(table[0]), top)
        later = torch.searchsorted(table, noise).clamp(1, len(table) - 1)
        low, high = table[later - 1], table[later]
        return later - 1 + (noise - low) / (high - low).clamp_min(torch.finfo(noise.dtype).tiny)

    def sigma(self, time: Tensor) -> Tensor:
        """Return the noise of each time: that of the schedule in use, else by its training."""
        known = getattr(self.scheduler, "sigmas", None)
        times = getattr(self.scheduler, "timesteps", None)
        used = getattr(self.scheduler, "num_inference_steps", None) is not None
        if used and isinstance(known, Tensor) and isinstance(times, Tensor) and not time.ndim:
            place = self._place(float(time), times.tolist())
            if place is not None:
                return known[place].to(time.device, torch.float64)
        last = len(self.sigmas) - 1
        if not bool(((time >= 0) & (time <= last)).all()):
            must = f"from 0 to {last}, or one of scheduler.timesteps"
            refuse("timestep", time, must=must, do="give the times of the scheduler")
        at, table = time.double(), self.sigmas.to(time.device)
        early = at.floor().long().clamp(max=last - 1)
        return table[early] + (at - early) * (table[early + 1] - table[early])

    def _place(self, time: float, times: list[float]) -> int | None:
        """Return the place of a time in the schedule in use; times may repeat, its steps do not."""
        step = getattr(self.scheduler, "step_index", None)
        if step is not None and step < len(times) and times[step] == time:
            return int(step)
        return times.index(time) if time in times else None


class FromDiffusers(nn.Module):
    """A denoiser made of a model that predicts noise, velocity or data; see ``from_diffusers``.

    Attributes:
        model: the model, whose parameters are those of this module.
        shape: of one sample, such as ``(channels, height, width)``; None for plain rows.
        nearest: whether the model is given whole times only.

    Example:
        >>> from types import SimpleNamespace
        >>> import torch
        >>> from kanerva import diffusion
        >>> config = SimpleNamespace(prediction_type="sample")
        >>> scheduler = SimpleNamespace(alphas_cumprod=torch.tensor([0.9, 0.5]), config=config)
        >>> denoise = diffusion.from_diffusers(lambda x, time: x / 2, scheduler)
        >>> round(denoise(torch.tensor([2.0]), 1.0).item(), 4)  # half of 2 / sqrt(2)
        0.7071

    Source: Ho, Jain and Abbeel 2020; Salimans and Ho 2022, on the velocity.
    """

    def __init__(self, model: Any, times: _Times, shape: Any, nearest: bool) -> None:
        super().__init__()
        self.model, self.shape, self.nearest = model, shape, nearest
        self._times = times

    @door("FromDiffusers")
    def forward(self, x: Float[Tensor, "*batch d"], sigma: Sigma) -> Float[Tensor, "*batch d"]:
        """Return the posterior mean ``(..., d)`` of states ``(..., d)`` with noise ``sigma``."""
        dim = None if self.shape is None else math.prod(self.shape)
        arrays.finite("x", arrays.floats("x", x, dim))
        level = read_level(sigma, x.shape[:-1], x.device)
        noise = torch.as_tensor(level, dtype=torch.float64, device=x.device)
        rows = x.reshape(-1, x.shape[-1])
        time = self._times.time(noise)
        time = time.round().long() if self.nearest else time.to(torch.float32)
        noise = noise.to(x).unsqueeze(-1) if noise.ndim else noise.to(x)
        kept = (1 + noise.square()).rsqrt()
        found = self._predicted(kept * rows, time)
        if self._times.predicted == "epsilon":
            mean = rows - noise * found
        elif self._times.predicted == "v_prediction":
            mean = kept.square() * rows - noise * kept * found
        else:
            mean = found
        return mean.reshape(x.shape)

    def _predicted(self, rows: Tensor, time: Tensor) -> Tensor:
        """Return what the model predicts, as rows, without the variance that some predict."""
        first = next(self.parameters(), rows)
        given = rows.to(first.dtype).reshape(len(rows), *(self.shape or rows.shape[1:]))
        found = _sample(self.model(given, time))
        if self._times.halved and isinstance(found, Tensor) and found.ndim > 1:
            found = found[:, : given.shape[1]]
        if not isinstance(found, Tensor) or found.shape != given.shape:
            must = f"a function that returns a tensor of shape {tuple(given.shape)}, as its input"
            got, do = f"one that returned {describe(found)}", "give the shape of one sample"
            refuse("model", must=must, got=got, do=do)
        return found.to(rows.dtype).reshape(rows.shape)


class ToDiffusers(nn.Module):
    """A denoiser as a model that loops and pipelines of diffusers call; see ``to_diffusers``.

    Attributes:
        denoiser: the denoiser.
        config: ``in_channels``, ``out_channels`` and ``sample_size``; None without a shape.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> from diffusers import DDIMScheduler
        >>> scheduler = DDIMScheduler(clip_sample=False)
        >>> row = torch.ones(1, 4)
        >>> model = diffusion.to_diffusers(diffusion.exact(row), scheduler)
        >>> noise = torch.zeros(2, 1, 2, 2)  # all that a single row lacks is noise
        >>> kept = scheduler.alphas_cumprod[500]
        >>> found = model(noise, 500).sample
        >>> bool(((kept / (1 - kept)).sqrt() + found).abs().max() < 1e-5)
        True
    """

    def __init__(self, denoiser: Denoiser, times: _Times, shape: Any, output: Any) -> None:
        super().__init__()
        self.denoiser, self._times, self._output = denoiser, times, output
        channels, *sides = shape or (None, None)
        size = sides[0] if len(set(sides)) == 1 else tuple(sides)
        self.config = SimpleNamespace(in_channels=channels, out_channels=channels, sample_size=size)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the states of the denoiser."""
        memory = getattr(self.denoiser, "memory", None)
        kinds = (one.dtype for one in self.parameters() if one.is_floating_point())
        found = next(kinds, getattr(memory, "dtype", None))
        return found if isinstance(found, torch.dtype) else torch.get_default_dtype()

    @property
    def device(self) -> torch.device:
        """Device of the states of the denoiser."""
        memory = getattr(self.denoiser, "memory", None)
        found = next((one.device for one in self.parameters()), getattr(memory, "device", None))
        return found if isinstance(found, torch.device) else torch.device("cpu")

    @door("ToDiffusers")
    def forward(
        self,
        sample: Float[Tensor, "batch *shape"],
        timestep: int | float | Tensor,
        *_: Any,
        return_dict: bool = True,
        **__: Any,
    ) -> Any:
        """Return what the scheduler's models predict.

        Args:
            sample: ``(b, ...)``, scaled as the scheduler scales the input of its models: data and
                noise whose variances sum to one.
            timestep: a time of the scheduler, or one for each sample.
            return_dict: whether the result has the attribute ``sample``, or is a tuple.
        """
        arrays.finite("sample", arrays.floats("sample", sample))
        time = torch.as_tensor(timestep, device=sample.device)
        rows = sample.flatten(1)
        if time.ndim and time.shape != (len(rows),):
            time = time.reshape(()) if time.numel() == 1 else time
        if time.ndim and time.shape != (len(rows),):
            must = f"a number, or {len(rows)}, one for each sample"
            refuse("timestep", timestep, must=must, do="give one for each")
        noise = self._times.sigma(time)
        level: Any = noise if noise.ndim else float(noise)
        noise = noise.unsqueeze(-1)
        total = (1 + noise.square()).sqrt().to(rows)
        noise, state = noise.to(rows), rows * total
        mean = denoised(lambda x, _: self.denoiser(x, level), state, 0.0)
        epsilon = (state - mean) / noise
        kind = self._times.predicted
        if kind == "epsilon":
            found = epsilon
        else:
            found = mean if kind == "sample" else (epsilon - noise * mean) / total
        found = found.reshape(sample.shape)
        return self._output(sample=found) if return_dict else (found,)


@named()
def from_diffusers(
    model: Callable[..., Any],
    scheduler: Any,
    shape: Sequence[int] | None = None,
    nearest: bool = False,
) -> FromDiffusers:
    r"""Make a denoiser of a model that was trained for a scheduler of the diffusers library.

    .. math:: D = x - \sigma \epsilon, \quad
        D = \bar\alpha x - \sqrt{1 - \bar\alpha}\, v, \quad
        \bar\alpha = \frac1{1 + \sigma^2}

    for models of the noise epsilon and of the velocity v, which are given
    :math:`\sqrt{\bar\alpha}\, x` and the time of sigma; a model of the data is D itself.

    The times of the scheduler's training are whole numbers. Between them sigma is taken to be
    linear in the time, as ``EulerDiscreteScheduler`` has it, and the model is given a fraction; or
    the nearest whole time. Below the noise of time 0 it is given time 0.

    Args:
        model: a module or function ``model(sample, timestep)`` that returns a tensor, a tuple of
            one, or an object with ``sample``, such as ``UNet2DModel``. A condition is bound with
            ``functools.partial``. Call ``model.eval()`` first. States are converted to the dtype
            of its parameters, and its results back.
        scheduler: of diffusers, with ``alphas_cumprod`` and ``config.prediction_type``: epsilon,
            v_prediction or sample. Only its training schedule is used.
        shape: of one sample, whose product is d; None for that of ``model.config``, and for plain
            rows where it has none.
        nearest: whether times are rounded, for a model that looks them up in a table.

    Returns:
        a module ``denoise(x, sigma)`` for x of shape ``(..., d)`` and a sigma, or one for each
        state, up to that of the last time.

    Raises:
        InputError: a scheduler of another kind, such as one for flow matching.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> from diffusers import DDIMScheduler
        >>> scheduler = DDIMScheduler(prediction_type="epsilon")
        >>> denoise = diffusion.from_diffusers(lambda x, time: 0 * x, scheduler)
        >>> denoise(torch.ones(3), 2.0).tolist()  # no noise is found
        [1.0, 1.0, 1.0]

    Source: Salimans and Ho 2022, on predictions of a velocity.
    """
    if not callable(model) or isinstance(model, type):
        must, do = "a module, or a function of samples and times", "give the model itself"
        refuse("model", model, must=must, do=do, error=InputTypeError)
    shape = _shape(shape) if shape is not None else _own_shape(model)
    return FromDiffusers(model, _Times(scheduler), shape, checks.flag("nearest", nearest))


@named()
def to_diffusers(
    denoiser: Denoiser, scheduler: Any, shape: Sequence[int] | None = None
) -> ToDiffusers:
    r"""Make a model for the loops and pipelines of the diffusers library of a denoiser.

    .. math:: \epsilon = \frac{x - D(x, \sigma)}\sigma, \quad
        v = \sqrt{\bar\alpha}\, \epsilon - \sqrt{1 - \bar\alpha}\, D, \quad
        x = \frac{x_t}{\sqrt{\bar\alpha}}

    whichever the scheduler's ``config.prediction_type`` says; the loop may then be any of its
    samplers. In a schedule that the scheduler has been set to, its own sigma of a time counts.

    Args:
        denoiser: as in ``sample``; it is given the samples as rows ``(b, d)``, in their dtype.
        scheduler: of diffusers, with ``alphas_cumprod``: the one that runs the loop. Set
            ``clip_sample=False`` where the data are not in [-1, 1].
        shape: ``(channels, height, width)``, which pipelines look up in ``config``; a loop of your
            own needs none.

    Returns:
        a module ``model(sample, timestep)`` whose result has the attribute ``sample``.

    Raises:
        InputError: a scheduler of another kind, or the extra is missing.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> from diffusers import DDIMScheduler
        >>> scheduler = DDIMScheduler(clip_sample=False)
        >>> rows = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        >>> model = diffusion.to_diffusers(diffusion.exact(rows), scheduler)
        >>> x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
        >>> scheduler.set_timesteps(20)
        >>> for time in scheduler.timesteps:
        ...     x = scheduler.step(model(x, time).sample, time, x).prev_sample
        >>> x.round(decimals=3).abs().tolist()
        [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]

    Source: Song, Meng and Ermon 2021; Salimans and Ho 2022.
    """
    vetted(denoiser)
    times = _Times(scheduler)
    shape = None if shape is None else _shape(shape)
    try:
        output = importlib.import_module("diffusers.models.unets.unet_2d").UNet2DOutput
    except ImportError:
        got, do = "a library that is not installed", 'install it: pip install "kanerva[diffusion]"'
        refuse("diffusers", must="at hand", got=got, do=do)
    return ToDiffusers(denoiser, times, shape, output)


def _sample(found: Any) -> Any:
    """Return the tensor in the result of a model."""
    if isinstance(found, tuple) and len(found):
        return found[0]
    return getattr(found, "sample", None) if not isinstance(found, Tensor) else found


def _shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the checked shape of one sample."""
    must = "the lengths of the sides of one sample, such as (1, 28, 28)"
    sides = checks.several("shape", shape, must)
    return tuple(checks.integer("shape", side, 1, checks.LONGEST) for side in sides)


def _own_shape(model: Any) -> tuple[int, ...] | None:
    """Return the shape of the samples of a model that states it."""
    config = getattr(model, "config", None)
    channels = getattr(config, "in_channels", None)
    size = getattr(config, "sample_size", None)
    if not isinstance(channels, int) or size is None:
        return None
    sides = (size, size) if isinstance(size, int) else tuple(size)
    return (channels, *sides)
