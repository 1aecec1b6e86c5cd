"""Training of a denoiser on rows, with averaged weights and checkpoints."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import astuple, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn, TypeVar, overload

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import archive, arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputError, InputFileError, InputTypeError, door, named, refuse
from kanerva.diffusion._net import Net

__all__ = ["Training", "train"]

Progress = Callable[[int, int, float], None]
Model = TypeVar("Model", bound=nn.Module)
Rows = Float[Tensor, "m d"] | Listed

# Beyond so many standard deviations of log(sigma) hardly any noise is drawn.
REACH = 3.0
KIND = "checkpoint"


@dataclass(frozen=True)
class Training:
    """How a denoiser is trained.

    * ``batch``: rows of an update.
    * ``rate``: of Adam at the start, > 0; it falls to 0 by a cosine.
    * ``middle``, ``spread``: mean and standard deviation of the normal distribution from which
      log(sigma) is drawn, sigma in the unit of the data. Those of the source are -1.2 and 1.2.
    * ``average``: from 0 to 1; after each update the averaged weights keep so much of themselves,
      and less over the first updates.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> from kanerva.diffusion import Training
        >>> Training(batch=64).rate
        0.003
    """

    batch: int = 128
    rate: float = 3e-3
    middle: float = -1.0
    spread: float = 0.9
    average: float = 0.999

    @door
    def __post_init__(self) -> None:
        checks.keep(
            self,
            batch=checks.integer("batch", self.batch, 1, checks.LONGEST),
            rate=checks.number("rate", self.rate, 0, open_low=True),
            middle=checks.number("middle", self.middle, -20, 20),
            spread=checks.number("spread", self.spread, 0, 10),
            average=checks.number("average", self.average, 0, 1),
        )


@overload
def train(
    data: Rows,
    updates: int = 5000,
    *,
    net: None = None,
    training: Training | None = None,
    seed: int | torch.Generator = 0,
    checkpoint: str | Path | None = None,
    every: int = 500,
    progress: Progress | None = None,
) -> Net: ...
@overload
def train(
    data: Rows,
    updates: int = 5000,
    *,
    net: Model,
    training: Training | None = None,
    seed: int | torch.Generator = 0,
    checkpoint: str | Path | None = None,
    every: int = 500,
    progress: Progress | None = None,
) -> Model: ...
@named(path="checkpoint")
def train(
    data: Rows,
    updates: int = 5000,
    *,
    net: nn.Module | None = None,
    training: Training | None = None,
    seed: int | torch.Generator = 0,
    checkpoint: str | Path | None = None,
    every: int = 500,
    progress: Progress | None = None,
) -> nn.Module:
    r"""Train a denoiser on rows, and return it with averaged weights.

    .. math:: L = \left\langle \frac{\sigma^2 + s^2}{(\sigma s)^2}\,
        \frac 1d |D(x_0 + \sigma z, \sigma) - x_0|^2 \right\rangle, \quad z \sim N(0, I), \quad
        \log \sigma \sim N(m, v^2)

    with s the standard deviation of the data. The minimum over all functions is the exact denoiser
    of the rows, which returns nothing but rows. What a network finds instead is smoother, the more
    so the more rows there are.

    Args:
        data: ``(m, d)``, m >= 1, float32 or float64.
        updates: number of updates, >= 0.
        net: the module to be trained, which stays as it is: a copy is trained. It takes states
            ``(b, d)`` and sigmas ``(b,)`` and returns ``(b, d)``, as ``Net`` does. ``Net(d)`` with
            the standard deviation and the dtype of the data if omitted. If it draws numbers
            itself, these are not of ``seed``.
        training: batch, rate, noise and average; ``Training()`` if omitted.
        seed: of the weights of the default net and of all draws, an integer >= 0 or a CPU
            generator.
        checkpoint: a file for the state of the training, written whole or not at all. If it
            exists, the training goes on from there and ends with the same weights, to the byte, as
            one that was not stopped.
        every: updates between two checkpoints, >= 1.
        progress: called after each update with the number of updates, that of all, and the loss.

    Returns:
        the trained copy, a ``Net`` unless another module was given, in evaluation mode.

    Raises:
        InputError: rows that are no training data, such as pictures from 0 to 255, whose spread is
            beyond the noise; a net that does not fit; a training that diverges; or a checkpoint of
            another training.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> data = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        >>> net = diffusion.train(data, updates=200)
        >>> bool((net(data, 0.2) - data).norm(dim=-1).max() < 0.2)
        True

    Source: Karras and others 2022, for the loss, its weight and the noise.
    """
    rows = _rows(data)
    updates = checks.integer("updates", updates, 0, checks.LONGEST)
    every = checks.integer("every", every, 1, checks.LONGEST)
    plan = Training() if training is None else training
    checks.instance("training", plan, Training, "make one with diffusion.Training()")
    checks.function("progress", progress, "give one of two numbers and a loss")
    path = None if checkpoint is None else checks.path(checkpoint, "checkpoint")
    spread, source = _spread(rows, plan), arrays.generator(seed)
    with torch.inference_mode(False), torch.enable_grad():
        model = _copied(net, rows, spread, source)
        state = _State(model, rows.clone(), spread, plan, source)
        if path is not None:
            state.resume(path, updates)
        while state.done < updates:
            loss = state.update(updates)
            if path is not None and (state.done % every == 0 or state.done == updates):
                state.save(path, updates)
            if progress is not None:
                progress(state.done, updates, loss)
    return state.averaged()


class _State:
    """A training: a model, its averaged weights, Adam's moments, and where the draws stand.

    Args:
        model: changed in place.
        rows: ``(m, d)``.
        spread: standard deviation of the data.
        plan: of the updates.
        source: of all draws.
    """

    def __init__(
        self, model: nn.Module, rows: Tensor, spread: float, plan: Training, source: torch.Generator
    ) -> None:
        self.model, self.rows, self.spread, self.plan = model.train(), rows, spread, plan
        self.source, self.done = source, 0
        self.trained: list[Tensor] = [
            weight for weight in model.parameters() if weight.requires_grad
        ]
        if not self.trained:
            must, do = "one with weights that are trained", "thaw them"
            refuse("net", got="one without", must=must, do=do)
        if len({weight.dtype for weight in self.trained}) > 1:
            refuse("net", got="one of several", must="of one dtype", do="convert it with net.to()")
        self.mean = [weight.detach().clone() for weight in self.trained]
        self.adam = torch.optim.Adam(self.trained, lr=plan.rate)
        parts = [rows, *model.state_dict().values(), source.get_state()]
        digest = sha256(repr(astuple(plan)).encode())
        for part in parts:
            digest.update(str((part.dtype, tuple(part.shape))).encode())
            digest.update(part.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        self.name = digest.hexdigest()

    def update(self, updates: int) -> float:
        """Take one update of so many, and return its loss."""
        for group in self.adam.param_groups:
            group["lr"] = self.plan.rate * (1 + math.cos(math.pi * self.done / updates)) / 2
        try:
            loss = self._loss()
        except InputError as error:
            if error.argument != "x":  # a net that refuses its own numbers names its states
                raise
            _diverged(self.done, self.plan.rate)
        self.adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if not math.isfinite(value := loss.item()):
            _diverged(self.done, self.plan.rate)
        self.adam.step()
        self.done += 1
        kept = min(self.plan.average, self.done / (self.done + 9))
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, self.trained, 1 - kept)
        return value

    def _loss(self) -> Tensor:
        count, plan, source = self.plan.batch, self.plan, self.source
        places = torch.randint(len(self.rows), (count,), generator=source)
        drawn = torch.randn(count, generator=source, dtype=torch.float64)
        noise = torch.randn(count, self.rows.shape[1], generator=source, dtype=self.rows.dtype)
        sigma = (plan.middle + plan.spread * drawn).exp().to(self.rows)
        clean = self.rows[places.to(self.rows.device)]
        x = clean + sigma.unsqueeze(-1) * noise.to(self.rows.device)
        found = self.model(x, sigma)
        if not isinstance(found, Tensor) or found.shape != x.shape or found.dtype != x.dtype:
            must = f"a module that returns {x.dtype} of shape {tuple(x.shape)} for such states"
            do = "return the mean of the data, as diffusion.Net does"
            refuse("net", found, must=must, do=do)
        weight = (sigma**2 + self.spread**2) / (sigma * self.spread) ** 2
        return (weight * (found - clean).square().mean(-1)).mean()

    def averaged(self) -> nn.Module:
        """Return the model with its averaged weights."""
        with torch.no_grad():
            for weight, mean in zip(self.trained, self.mean, strict=True):
                weight.copy_(mean)
        self.adam.zero_grad()
        return self.model.eval()

    def save(self, path: Path, updates: int) -> None:
        """Write the state to a file."""
        # A weight that no loss has depended on yet has no moments.
        moments = [self._moments(weight) for weight in self.trained]
        tensors = {
            "weights": _flat(self.trained),
            "mean": _flat(self.mean),
            "first": _flat([one["exp_avg"] for one in moments]),
            "second": _flat([one["exp_avg_sq"] for one in moments]),
            "steps": torch.stack([one["step"] for one in moments]),
            "draws": self.source.get_state(),
        }
        buffers = {f"buffer {name}": one for name, one in self.model.named_buffers()}
        config = {"kind": KIND, "name": self.name, "updates": updates, "done": self.done}
        archive.write(path, tensors | buffers, config)

    def _moments(self, weight: Tensor) -> dict[str, Tensor]:
        none = {"step": torch.tensor(0.0), "exp_avg": weight * 0, "exp_avg_sq": weight * 0}
        found: dict[str, Tensor] = self.adam.state.get(weight) or none
        return found

    def resume(self, path: Path, updates: int) -> None:
        """Go on from a file, if there is one."""
        if not path.exists():
            return
        tensors, config = archive.read(path, KIND)
        if (config.get("name"), config.get("updates")) != (self.name, updates):
            must = "that of a training of the same data, net, seed and updates"
            do = "name another file, or remove it"
            got = f"{str(path)!r}, that of another"
            refuse("checkpoint", must=must, got=got, do=do, error=InputFileError)
        try:
            self._load(tensors, config)
        except (KeyError, RuntimeError, TypeError, ValueError):
            must, got = "a whole file", f"{str(path)!r}, which is damaged"
            refuse("checkpoint", must=must, got=got, do="remove it", error=InputFileError)

    def _load(self, tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
        done = checks.integer("done", config["done"], 1, config["updates"])
        parts = {name: _parts(tensors[name], self.trained) for name in ("weights", "mean")}
        moments = zip(
            _parts(tensors["first"], self.trained),
            _parts(tensors["second"], self.trained),
            strict=True,
        )
        state = {
            place: {"step": step, "exp_avg": first, "exp_avg_sq": second}
            for place, (step, (first, second)) in enumerate(
                zip(tensors["steps"].unbind(), moments, strict=True)
            )
        }
        self.adam.load_state_dict(self.adam.state_dict() | {"state": state})
        self.source.set_state(tensors["draws"])
        with torch.no_grad():
            for weight, mean, *given in zip(self.trained, self.mean, *parts.values(), strict=True):
                weight.copy_(given[0])
                mean.copy_(given[1])
            for name, buffer in self.model.named_buffers():
                buffer.copy_(tensors[f"buffer {name}"])
        self.done = done


def _copied(net: Any, rows: Tensor, spread: float, source: torch.Generator) -> nn.Module:
    """Return a copy of the module that was given, or the default one."""
    if net is None:
        return Net(rows.shape[1], data_sigma=spread, seed=source, dtype=rows.dtype).to(rows.device)
    checks.instance("net", net, nn.Module, "give one, such as diffusion.Net(dim)")
    if isinstance(net, Net) and net.dim != rows.shape[1]:
        must, do = f"one of rows of {rows.shape[1]}, as the data are", "build another"
        refuse("net", got=f"one of rows of {net.dim}", must=must, do=do)
    kind = next((weight.dtype for weight in net.parameters()), rows.dtype)
    if kind != rows.dtype:
        must, do = f"of {rows.dtype}, as the data are", "convert one of them"
        refuse("net", got=f"of {kind}", must=must, do=do, error=InputTypeError)
    return deepcopy(net)


def _flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.detach().reshape(-1) for part in parts])


def _parts(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    found = torch.split(flat, [part.numel() for part in like])
    return [one.reshape(part.shape).to(part) for one, part in zip(found, like, strict=True)]


def _rows(data: Any) -> Tensor:
    """Return the rows, float32 or float64."""
    rows = arrays.listed(data, torch.get_default_dtype(), torch.device("cpu"))
    rows = arrays.rows("data", rows)
    if rows.dtype not in (torch.float32, torch.float64):
        do = "convert it with data.to(torch.float32)"
        if rows.dtype == torch.uint8:
            do = "scale them to a range of 1, such as with data / 255"
        must = "float32 or float64 of shape (m, d)"
        refuse("data", data, must=must, do=do, error=InputTypeError)
    if not len(rows):
        refuse("data", got="none", must="one row or more", do="give the data")
    return arrays.finite("data", rows).detach()


def _spread(rows: Tensor, plan: Training) -> float:
    """Return the standard deviation of all numbers; refuse one that the noise does not cover."""
    found = float(rows.double().std(correction=0))
    low, high = (math.exp(plan.middle + side * REACH * plan.spread) for side in (-1, 1))
    if plan.spread and not low <= found <= high:
        must = f"of a standard deviation from {low:.2g} to {high:.2g}, within the noise"
        got = f"of {found:.3g}, with values from {float(rows.min()):g} to {float(rows.max()):g}"
        do = "scale them to a standard deviation near 0.5, or set Training.middle"
        if found > high:
            do = "scale them, such as pictures from 0 to 255 with data / 255, or raise middle"
        refuse("data", must=must, got=got, do=do)
    return found if found else 1.0


def _diverged(done: int, rate: float) -> NoReturn:
    refuse(
        "rate",
        got=f"{rate:g}, with which it is not after {done} updates",
        must="so small that the loss stays finite",
        do="lower it in Training",
    )
