"""Penalties that hold weights near those of earlier tasks, each by its importance."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from kanerva.lab.papers.bricken2023._tasks import Part

__all__ = ["METHODS", "Penalty"]

METHODS = ("plain", "ewc", "mas", "si", "l2")
# What the squared way of a weight is raised by in the quotient of synaptic intelligence.
DAMPING = 0.1
# Pictures whose gradients are kept at once.
CHUNK = 64

Weights = dict[str, Tensor]


class Penalty:
    r"""Adds to a loss how far weights moved since the last task, by the importance of each.

    .. math:: \frac{c}{2} \sum_i \Omega_i (\theta_i - \theta_i^*)^2

    The importances of all earlier tasks are summed.

    Args:
        method: ``"ewc"``: mean square of the slope of the log-likelihood (Kirkpatrick and others
            2017); ``"mas"``: mean size of the slope of the squared output (Aljundi and others
            2018); ``"si"``: what a weight contributed to the fall of the loss, over the square of
            its way (Zenke and others 2017); ``"l2"``: the same for all weights; ``"plain"``: no
            penalty.
        strength: c.
        network: its weights are the parameters.
    """

    def __init__(self, method: str, strength: float, network: nn.Module) -> None:
        self.method, self.strength, self.network = method, strength, network
        self.importance: Weights = {}
        self.start: Weights = self._now()
        self.way: Weights = {name: torch.zeros_like(one) for name, one in self.start.items()}
        self._before: Weights = {}
        self._slopes: Weights = {}

    def __call__(self) -> Tensor:
        """Return the penalty; zero during the first task."""
        total = torch.zeros(())
        for name, weight in self.network.named_parameters():
            if name in self.importance:
                moved = (weight - self.start[name]).square()
                total = total + (self.importance[name] * moved).sum()
        return self.strength / 2 * total

    def before_step(self, loss: Tensor) -> None:
        """Take down the weights and the slopes of the loss of the task."""
        if self.method == "si":
            names, weights = zip(*self.network.named_parameters(), strict=True)
            slopes = torch.autograd.grad(loss, weights, retain_graph=True)
            self._before, self._slopes = self._now(), dict(zip(names, slopes, strict=True))

    def after_step(self) -> None:
        """Add to each weight what its step took from the loss."""
        if self.method == "si":
            for name, weight in self.network.named_parameters():
                step = weight.detach() - self._before[name]
                self.way[name] -= self._slopes[name] * step

    def end(self, part: Part) -> None:
        """Add the importance of a task that was learned, and start from the weights of now."""
        now = self._now()
        if self.method != "plain":
            for name, found in self._found(part, now).items():
                before = self.importance.get(name)
                self.importance[name] = found if before is None else before + found
        self.start = now
        self.way = {name: torch.zeros_like(one) for name, one in now.items()}

    def _found(self, part: Part, now: Weights) -> Weights:
        if self.method == "l2":
            # All distances are measured from the end of the last task.
            return {} if self.importance else {name: torch.ones_like(w) for name, w in now.items()}
        if self.method == "si":
            gone = {name: (now[name] - self.start[name]).square() + DAMPING for name in now}
            return {name: self.way[name].clamp_min(0) / gone[name] for name in now}
        ewc = self.method == "ewc"
        size: Callable[[Tensor], Tensor] = torch.square if ewc else torch.abs
        slope = vmap(grad(self._loss if ewc else self._output), in_dims=(None, 0, 0))
        total = {name: torch.zeros_like(one) for name, one in now.items()}
        self.network.eval()
        for x, labels in zip(*(torch.split(one, CHUNK) for one in part), strict=True):
            for name, found in slope(now, x, labels).items():
                total[name] += size(found).sum(0)
        self.network.train()
        return {name: one / len(part.x) for name, one in total.items()}

    def _loss(self, weights: Weights, x: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(self._read(weights, x), label[None])

    def _output(self, weights: Weights, x: Tensor, label: Tensor) -> Tensor:
        return self._read(weights, x).square().sum()

    def _read(self, weights: Weights, x: Tensor) -> Any:
        return functional_call(self.network, weights, (x[None],))

    def _now(self) -> Weights:
        return {name: one.detach().clone() for name, one in self.network.named_parameters()}
