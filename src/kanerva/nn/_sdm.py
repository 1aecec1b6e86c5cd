"""Sparse distributed memory as a layer whose addresses are trained, for tasks one after another."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse, warn
from kanerva.nn._heads import SHORT, check_rule, no_autocast, sound, widen
from kanerva.nn._reader import check_dtype
from kanerva.separation import Inhibition, Separation

__all__ = ["SDMLayer"]


class SDMLayer(nn.Module):
    r"""Classifies by a sparse distributed memory with learned addresses, and keeps what it learned.

    .. math:: y = \sum_i w_i v_i, \quad w_i = [[s_i]_+ - g_i t]_+, \quad
        s_i = \cos([x]_+, a_i)

    where t is the (k + 1)-th largest of the rectified scores, and the gains g are 1 without a
    switch (``separation.Inhibition``).

    Each neuron has an address a and a value v, none of them negative, and there is no bias. An
    input changes the weights of the few neurons that it activates, so that inputs far away from it
    are read as before. Train it without momentum and weight decay, which move neurons that are not
    active, and at a rate at which a task is learned by few neurons: on digits 1 is far better than
    0.05.

    With k alone, neurons that are far from all data never fire and never learn. The switch prevents
    that: a neuron that has fired for c samples is inhibited by the gain

    .. math:: g_i = \mathrm{clip}(2 c_i / \text{switch} - 1, -1, 1)

    so that a young neuron is excited by what inhibits the others, and takes part for all inputs.

    Args:
        dim: width of the input, >= 1.
        neurons: number of neurons, >= 1.
        classes: width of the output, >= 1.
        k: how many neurons are not inhibited, >= 1. With ``k >= neurons`` none is, and the layer is
            a rectifier. None with ``separation`` alone.
        switch: > 0, the number of samples after which a neuron is inhibited in full; without one
            all neurons are, from the start.
        seed: an integer >= 0 or a CPU generator, for the first weights.
        masked: keep the scores of the k strongest neurons as they are, without subtracting the next
            largest; without a switch only.
        separation: a rule in place of the inhibition, without self-coupling.

    Attributes:
        address: ``(neurons, dim)``, trained.
        value: ``(neurons, classes)``, trained.
        count: ``(neurons,)`` int64, for how many samples each neuron fired in training; a buffer,
            which the state dict holds, so that the switch goes on from there.

    Raises:
        InputError: sizes out of range, or options that exclude each other.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> layer = nn.SDMLayer(dim=64, neurons=1000, classes=10, k=3, switch=3000)
        >>> optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        >>> handle = layer.follow(optimizer)  # weights stay positive, addresses of length one
        >>> image, label = torch.rand(32, 64), torch.arange(32) % 10
        >>> torch.nn.functional.cross_entropy(layer(image), label).backward()
        >>> optimizer.step()
        >>> round(layer.address.norm(dim=1).max().item(), 4), layer.count.min().item()
        (1.0, 32)

    Source: Bricken and others 2023, Sparse Distributed Memory is a Continual Learner.
    """

    count: Tensor

    @door
    def __init__(
        self,
        dim: int,
        neurons: int,
        classes: int,
        k: int | None,
        switch: float | None = None,
        seed: int | torch.Generator = 0,
        *,
        masked: bool = False,
        separation: Separation | None = None,
    ) -> None:
        super().__init__()
        self.dim = checks.integer("dim", dim, 1, checks.LONGEST)
        self.neurons = checks.integer("neurons", neurons, 1, checks.LONGEST)
        self.classes = checks.integer("classes", classes, 1, checks.LONGEST)
        self._set_rule(k, switch, checks.flag("masked", masked), separation)
        size = f"{self.dim}, with {self.neurons} neurons of {self.classes} classes"
        numbers, source = self.neurons * (self.dim + self.classes), arrays.generator(seed)
        with checks.room("dim", size, 8 * numbers):  # as many again while they are drawn
            self.address = nn.Parameter(torch.empty(self.neurons, self.dim))
            self.value = nn.Parameter(torch.empty(self.neurons, self.classes))
            self.register_buffer("count", torch.zeros(self.neurons, dtype=torch.int64))
            self.reset(source)

    def _set_rule(self, k: Any, switch: Any, masked: bool, separation: Any) -> None:
        """Check which neurons take part, and how much."""
        self.separation, self.switch, self.masked = separation, None, masked
        self.k: int | None = None
        self._place: Tensor | None = None
        if separation is not None:
            check_rule("cosine", separation)
            for name, value, none in (("k", k, None), ("switch", switch, None)):
                if value is not none:
                    must, do = "None with a separation", "give one of the two"
                    refuse(name, value, must=must, do=do)
            if masked:
                refuse("masked", True, must="False with a separation", do="give one of the two")
            return
        do = "give the number of neurons that are not inhibited"
        self.k = self.active = checks.integer("k", k, 1, checks.LONGEST, do)
        if switch is not None:
            if masked:
                must = "None where masked is True, which inhibits no neuron by degrees"
                refuse("switch", switch, must=must, do="leave out one of the two")
            self.switch = checks.number("switch", switch, 0, open_low=True)

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "SDMLayer":
        """Draw all weights again, start the switch of every neuron from 0, and undo ``narrow``.

        Addresses are uniform in [-1, 1], values within 1 / sqrt(neurons) of zero; then they are
        projected.

        Args:
            seed: an integer >= 0, or a CPU generator to be shared by the layers of a model.

        Returns:
            the module itself.

        Example:
            >>> from kanerva import nn
            >>> layer = nn.SDMLayer(64, 100, 10, k=3)
            >>> first = layer.address.clone()
            >>> (layer.reset(1).address == first).all().item()
            False
        """
        source = arrays.generator(seed)
        for weight, bound in ((self.address, 1.0), (self.value, self.neurons**-0.5)):
            weight.copy_((2 * arrays.draw(torch.rand, weight, source) - 1) * bound)
        self.count.zero_()
        if self.k is not None:
            self.active, self._place = self.k, None
        return self.project()

    @torch.no_grad()
    def project(self) -> "SDMLayer":
        """Make addresses and values >= 0, and addresses of length one.

        An address without any number above 0 becomes the one of equal numbers.

        Returns:
            the module itself.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> layer = nn.SDMLayer(2, 2, 1, k=1)
            >>> _ = layer.address.data.copy_(torch.tensor([[3.0, -4.0], [-1.0, -1.0]]))
            >>> layer.project().address
            Parameter containing:
            tensor([[1.0000, 0.0000],
                    [0.7071, 0.7071]], requires_grad=True)
        """
        self.value.clamp_(min=0)
        self.address.clamp_(min=0)
        # A length of half precision would overflow, or lose digits.
        length = torch.linalg.vector_norm(widen(self.address), dim=-1, keepdim=True)
        if self.address.dtype == length.dtype:
            self.address.div_(length.clamp_min(SHORT))
        else:
            self.address.copy_(self.address / length.clamp_min(SHORT))
        even = length < SHORT
        # Where numbers cannot be read, whether there are such addresses is not known.
        if self.address.is_meta or arrays.tracing() or even.any():
            self.address.masked_fill_(even, self.dim**-0.5)
        return self

    @door
    def follow(self, optimizer: torch.optim.Optimizer) -> RemovableHandle:
        """Project after every step of an optimizer.

        Torch does not copy or save what follows an optimizer: call this again for a copy of the
        layer and its optimizer, and after both were loaded.

        Args:
            optimizer: one that trains the address and the value of this layer, without momentum and
                weight decay.

        Returns:
            a handle; ``handle.remove()`` ends it.

        Raises:
            InputError: an optimizer that does not train both.

        Warns:
            UserWarning: it moves neurons that are not active, and so can overwrite earlier tasks:
                by momentum, by weight decay (of ``ASGD``: ``lambd``), or, as ``LBFGS`` does, by
                steps along earlier gradients. What the optimizers of torch change is known; of
                others, momentum and weight decay are found by the names that torch has for them.

        Example: see ``SDMLayer``.
        """
        do = "give one of torch.optim"
        checks.instance("optimizer", optimizer, torch.optim.Optimizer, do, "an optimizer of torch")
        groups = {id(one): group for group in optimizer.param_groups for one in group["params"]}
        mine = [groups.get(id(weight)) for weight in (self.address, self.value)]
        names = ("address", "value")
        absent = [name for name, group in zip(names, mine, strict=True) if group is None]
        if absent:
            must, got = "one that trains the layer", f"one without its {' and '.join(absent)}"
            refuse("optimizer", got=got, must=must, do="build it with layer.parameters()")
        moving = _moving(optimizer, [group for group in mine if group is not None])
        if moving:
            has = f"{type(optimizer).__name__} has {' and '.join(moving)}"
            words = "it moves neurons that are not active, and so can overwrite earlier tasks"
            do = "take SGD without momentum and weight decay"
            warn(f"SDMLayer.follow: {has}; {words}; {do}")

        def after(*_: Any) -> None:
            self.project()

        return optimizer.register_step_post_hook(after)

    @door
    def narrow(self, epoch: int, epochs: int) -> int:
        r"""Lower the number of neurons that are not inhibited from all of them to k.

        .. math:: k_t = k + \lfloor (n - k) \max(0, 1 - t / T) \rfloor

        This is another way to give every neuron a part in the beginning, without a switch. Call it
        before each epoch; the number is not a part of the state dict, and ``reset`` sets it to k. A
        compiled layer has two graphs: one for k, and a slower one for all other numbers.

        Args:
            epoch: t, >= 0; 0 for the first.
            epochs: T, >= 1, after which k is reached.

        Returns:
            the number that is not inhibited from now on.

        Raises:
            InputError: a layer with a switch or with another rule.

        Example:
            >>> from kanerva import nn
            >>> layer = nn.SDMLayer(64, 1000, 10, k=10, masked=True)
            >>> [layer.narrow(epoch, epochs=50) for epoch in (0, 25, 50, 60)]
            [1000, 505, 10, 10]
        """
        epoch = checks.integer("epoch", epoch, 0, checks.LONGEST)
        epochs = checks.integer("epochs", epochs, 1, checks.LONGEST)
        if self.k is None or self.switch is not None:
            got = "one with a separation" if self.k is None else "one with a switch"
            must, do = "one of k without a switch", "build it with k alone"
            refuse("the layer", got=got, must=must, do=do)
        more = max(0, self.neurons - self.k)
        self.active = self.k + more * max(0, epochs - epoch) // epochs
        self._place = None  # the graph of a constant k selects, where that of any number sorts
        if self.active != self.k:
            device = "cpu" if self.address.is_meta else self.address.device
            self._place = torch.tensor([self.active], device=device)
        return self.active

    def gain(self) -> Float[Tensor, " neurons"] | float:
        """Return how much each neuron is inhibited: from -1, excited, to 1; 1 without a switch.

        Example:
            >>> from kanerva import nn
            >>> nn.SDMLayer(64, 2, 10, k=1, switch=3000).gain()
            tensor([-1., -1.])
        """
        if self.switch is None:
            return 1.0
        # Counts are whole, so a switch below 1 is one of 1; that of 1e-40 would overflow.
        count = self.count.to(torch.promote_types(self.value.dtype, torch.float32))
        return (count * (2 / max(1.0, self.switch)) - 1).clamp(-1, 1)

    @door("SDMLayer")
    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch classes"]:
        """Read the values, and in training count which neurons fired.

        The read is ``functional.read`` of ``x.relu()`` by the cosine. Scores, weights and sums are
        computed in float32 or wider. In training the weights are those of the counts before this
        batch, so that a sample does not depend on the others beside it; a batch that is refused is
        not counted. The count is changed in place, which the transforms of ``torch.func`` refuse
        unless the count itself is mapped over: call ``eval()`` before the others. A call that
        activation checkpointing repeats counts nothing, and is refused where there is a switch.

        Args:
            x: ``(..., dim)``, finite; numbers below 0 count as 0.

        Returns:
            ``(..., classes)``, of the dtype of ``x``; zeros for an input of zeros, unless another
            ``separation`` gives weight to scores of 0.

        Raises:
            InputError: another width or dtype, or numbers that are not finite. In a compiled
                module, what reads them is NaN, and not counted. Or training in a transform of
                ``torch.func`` that cannot change the count.

        Example: see ``SDMLayer``.
        """
        repeated = self.training and arrays.backward()
        if repeated and self.switch is not None:
            must, got = "called once for each backward pass", "repeated by activation checkpointing"
            do = "leave it out of the checkpoint, as its switch has moved on since the first call"
            refuse("the layer", got=got, must=must, do=do)
        scores = self._scores(x)
        with no_autocast(x):
            weights = self._weigh(scores)
            read = (weights @ self.value.to(weights.dtype)).to(x.dtype)
        read = sound(read.reshape(*x.shape[:-1], self.classes), x=x)
        if self.training and not repeated:
            self._tally(weights)
        return read

    @door
    def weights(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch neurons"]:
        """Return the weights with which ``forward`` reads the values; nothing is counted.

        Args:
            x: as in ``forward``.

        Returns:
            ``(..., neurons)``, of the dtype of ``x``; a neuron fires where it is above 0.

        Raises:
            InputError: as in ``forward``.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> layer = nn.SDMLayer(64, 1000, 10, k=3)
            >>> (layer.weights(torch.ones(2, 64)) > 0).sum(-1).tolist()
            [3, 3]
        """
        scores = self._scores(x)
        with no_autocast(x):
            weights = self._weigh(scores).to(x.dtype)
        return sound(weights.reshape(*x.shape[:-1], self.neurons), x=x)

    def extra_repr(self) -> str:
        """Return the arguments that the module was built with, and the number set by ``narrow``."""
        sizes = f"dim={self.dim}, neurons={self.neurons}, classes={self.classes}"
        if self.separation is not None:
            return f"{sizes}, separation={self.separation}"
        switch = "" if self.switch is None else f", switch={self.switch:g}"
        active = "" if self.active == self.k else f", active={self.active}"
        return f"{sizes}, k={self.k}{active}{switch}" + (", masked=True" if self.masked else "")

    def _scores(self, x: Tensor) -> Tensor:
        """Check an input, and return the cosines ``(b, neurons)`` of its rows."""
        arrays.finite("x", arrays.floats("x", x, self.dim))
        check_dtype("x", x, self.address.dtype)
        if arrays.tracing():  # a rectifier would hide what is -inf
            x = torch.where(x.isfinite(), x, math.nan)
        with no_autocast(x):
            scores = _cosines(x.reshape(-1, self.dim).relu(), self.address)
        # Inhibition keeps a NaN, which the check of the result finds.
        return scores if self.separation is None else sound(scores, x=x)

    def _weigh(self, scores: Tensor) -> Tensor:
        """Weigh scores ``(b, neurons)``."""
        rule = self.separation
        if self._place is not None and torch.compiler.is_compiling():
            weights, compares = _inhibited(scores, self._place), True
        else:
            rule = Inhibition(self.active, self.gain()) if rule is None else rule
            weights, compares = rule.unchecked_weights(scores), rule.compares
        if compares and arrays.tracing():
            weights = weights.masked_fill(~scores.isfinite(), math.nan)
        return scores * (weights > 0) if self.masked else weights

    @torch.no_grad()
    def _tally(self, weights: Tensor) -> None:
        """Add for how many of the samples with these weights each neuron fired."""
        fired = (weights > 0).sum(0, dtype=torch.int32)
        if torch.compiler.is_compiling():
            self.count.add_(fired)
            return
        try:
            self.count.add_(fired)
        except RuntimeError:
            if torch._C._functorch.peek_interpreter_stack() is None:
                raise
            must, got = "in evaluation within this transform of torch.func", "in training"
            refuse("the layer", must=must, got=got, do="call .eval() first, which counts nothing")


class _Cosines(torch.autograd.Function):
    r"""Cosines of rows of length one and addresses of any length.

    .. math:: \bar a = \frac{\bar s^T r - a \, (\bar s \cdot s) / |a|}{|a|}

    Where there are many neurons, most of the time goes into passes over their addresses. The
    gradient that torch derives takes six of them beside the product; this one takes one.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, address: Tensor) -> Tensor:
        lengths = _lengths(address)
        scores = (rows @ address.mT).div_(lengths)
        ctx.save_for_backward(rows, address, scores, lengths)
        return scores

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, Tensor | None]:
        rows, address, scores, lengths = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative
            lengths = _lengths(address)
        along = (slopes * scores).sum(0) / lengths.square()
        along = torch.where(lengths > SHORT, along, 0.0)
        slopes = slopes / lengths
        of_rows = slopes @ address if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return of_rows, None
        return of_rows, torch.addcmul(slopes.mT @ rows, address, along.unsqueeze(-1), value=-1)


def _cosines(rows: Tensor, address: Tensor) -> Tensor:
    """Return cosines as ``similarity.cosine`` does; the product is divided, not the addresses."""
    rows, address = widen(rows), widen(address)
    rows = rows / _lengths(rows).unsqueeze(-1)
    # A traced graph, and the derivatives of torch.func, take the plain computation.
    if arrays.tracing():
        return rows @ address.mT / _lengths(address)
    scores: Tensor = _Cosines.apply(rows, address)  # type: ignore[no-untyped-call]
    return scores


def _lengths(rows: Tensor) -> Tensor:
    """Return lengths to divide by; NaN where one overflows, which is no direction."""
    lengths = torch.linalg.vector_norm(rows, dim=-1)
    return torch.where(lengths.isfinite(), lengths.clamp_min(SHORT), math.nan)


def _inhibited(scores: Tensor, place: Tensor) -> Tensor:
    """Weigh as ``Inhibition`` does with a gain of 1, by a graph that holds for every k.

    Args:
        scores: ``(b, m)``.
        place: ``(1,)`` int64, k, no more than m.
    """
    ranked = scores.detach().relu().sort(-1, descending=True).values
    taken = nn.functional.pad(ranked, (0, 1)).index_select(-1, place.to(scores.device))
    return (scores.relu() - taken).relu()


def _moving(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> list[str]:
    """Return by what an optimizer moves weights without a gradient; nothing if it does not."""

    def given(*names: str) -> bool:
        return any(bool(group.get(name)) for group in groups for name in names)

    first = any(bool(group.get("betas", (0,))[0]) for group in groups)
    found = {
        "momentum": given("momentum") or first,
        "weight decay": given("weight_decay", "lambd"),
        "steps along earlier gradients": isinstance(optimizer, torch.optim.LBFGS),
    }
    return [name for name, holds in found.items() if holds]
