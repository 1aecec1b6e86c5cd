"""The base class of every rule, and the helpers that the rules share."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse

Beta = float | Tensor
Scores = Float[Tensor, "*batch m"]
# Which keys take part (bool), or how often each of them counts (floating, >= 0).
Mask = Bool[Tensor, "*_mask"] | Float[Tensor, "*_mask"] | None


class Partial(NamedTuple):
    r"""Weights of some of the keys, from which the weights of all keys can be put together.

    The weights of all keys are
    :math:`e^{\text{shift}}\, \text{weights} / \sum e^{\text{shift}}\, \text{mass}`, block by block.

    Attributes:
        weights: ``(b, m)`` up to one factor a row.
        shift: ``(b, 1)`` logarithm of that factor; None for 0.
        mass: ``(b, 1)`` the divisor, up to the same factor; None for no division.
        coupling: ``(b, 1)`` the self-coupling of the query, up to the same factor; None for none.
            Of a rule with a self-coupling but no mass, the factor itself stays open: only the sign
            of its field is defined.
    """

    weights: Tensor
    shift: Tensor | None = None
    mass: Tensor | None = None
    coupling: Tensor | None = None


def _forget(cls: "type[Separation]") -> None:
    """Take from a class with weights of its own what its parent says of other weights.

    A rule that derives from a complete one, such as ``Softmax``, and overrides one of its methods
    would otherwise be read by the inherited ones where these are faster.
    """
    parents = [base for base in cls.__mro__[1:] if issubclass(base, Separation)]
    if all(base.__module__ == __name__ for base in parents):
        return  # from a base class of rules, which is made to be filled in
    own, away = vars(cls), {"reach", "join", "phi", "difference", "potential"}
    away |= {"level_weights", "level_gains"}
    source: type[Separation] = Separation
    if {"forward", "__call__"} & set(own):
        source, away = Sum if issubclass(cls, Sum) else source, away | {"partial", "log_weights"}
    elif "partial" in own:
        away |= {"forward", "log_weights", "coupling"}
    else:
        source, away = LogWeights, away | {"forward", "partial", "log_weights"}
    for name in away - set(own):
        # A sum without potential cannot be joined either.
        home = Separation if name in ("join", "phi", "potential") else source
        setattr(cls, name, getattr(home, name))
    facts: dict[str, Any] = {"normalised": source is LogWeights, "gradient": False}
    facts |= {"binary": False, "compares": True, "whole": False, "kernel": None}
    facts |= {} if "partial" in own else {"coupled": False}
    for name, value in facts.items():
        if name not in own:
            setattr(cls, name, value)


class Separation:
    """A rule that turns scores ``(..., m)`` into weights ``(..., m)``.

    A new rule is a frozen dataclass that writes one of two methods: ``forward(scores, mask)``, or,
    where the weights of a block of keys do not depend on the other keys up to a factor and a mass,
    ``partial(scores, mask)``. A rule with a potential also writes ``phi(scores, mask)``. Calling
    the rule, and ``potential``, check the input and the result.

    Attributes of the class, or properties where they depend on the instance:

    * ``normalised``: the weights sum to one wherever any of them is not zero;
    * ``gradient``: the weights are the derivative of the potential; set where ``phi`` is written;
    * ``convex``: the potential is convex, so that the energy never rises along a recall;
    * ``compares``: scores that are not finite can give finite weights, so they are refused first;
      False where they always show in the weights;
    * ``binary``: every weight is 0 or 1;
    * ``whole``: the weights of whole scores are whole numbers;
    * ``coupled``: the field is reduced by a self-coupling of the query, which needs values as long
      as the keys;
    * ``bits``: True where keys and queries must be -1/+1; a field of that name has another meaning;
    * ``length``: the length of keys that the rule is made for; None for any;
    * ``expects``: names of the similarities whose scores the rule is made for; empty for any;
    * ``kernel``: what the potential is the logarithm of a sum of: ``"exponential"``, exp(beta s);
      ``"reach"``, [1 + beta s]_+; ``"shared"``, the locations that two of ``bits`` bits share
      within ``radius``; None for no such sum. The rule also writes ``log_kernel``;
    * ``priors``: a mask may also say how often each key counts, by floating numbers >= 0; a rule
      that writes ``forward``, ``partial`` or ``phi`` says so itself. See ``hide``, ``times`` and
      ``logged`` of this module;
    * ``scales``: beta multiplies the scores before anything else is done: the weights at beta are
      those at beta 1 of beta times the scores, and the potential is that one over beta; a rule that
      writes ``forward``, ``partial`` or ``phi`` says so itself.

    Example:
        >>> import torch
        >>> from kanerva.separation import Softmax
        >>> scores = torch.tensor([0.0, 1.0], requires_grad=True)
        >>> rule = Softmax(beta=2.0)
        >>> rule.potential(scores).backward()
        >>> torch.allclose(scores.grad, rule(scores))
        True
    """

    normalised: bool = False
    gradient: bool = False
    convex: bool = True
    compares: bool = True
    binary: bool = False
    whole: bool = False
    coupled: bool = False
    bits: bool | int = False
    length: int | None = None
    expects: tuple[str, ...] = ()
    kernel: str | None = None
    priors: bool = False
    scales: bool = False

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        own = vars(cls)
        if {"__call__", "forward", "partial", "potential", "phi"} & set(own):
            cls.priors = own.get("priors", False)
        if {"__call__", "forward", "partial", "potential", "phi", "logs"} & set(own):
            cls.scales = own.get("scales", False)
        if {"__call__", "forward", "partial", "logs"} & set(own):
            _forget(cls)
            # A class may override the checked method itself.
            plain = Separation.unchecked_weights
            found = plain if "forward" in own else own.get("__call__", plain)
            cls.unchecked_weights = found  # type: ignore[method-assign]
        if {"potential", "phi"} & set(own):
            plain = Separation.unchecked_potential
            found = plain if "phi" in own else own["potential"]
            cls.unchecked_potential = found  # type: ignore[method-assign]
            cls.gradient = own.get("gradient", True)

    @door
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh scores.

        Args:
            scores: ``(..., m)`` floating, finite.
            mask: broadcasts to ``(..., m)``: bool, where False leaves a key out, or floating, how
                often each key counts, >= 0.

        Returns:
            ``(..., m)``; 0 for keys left out, and everywhere where nothing is left.

        Raises:
            InputError: scores that are not finite, or weights that overflow.
        """
        mask = _checked(self, scores, mask)
        weights = self.forward(scores, mask)
        return weights if arrays.sound(weights) else overflows(scores)

    @door
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the scalar potential Phi(scores) of each row.

        Args:
            scores: ``(..., m)`` floating, finite.
            mask: broadcasts to ``(..., m)``: bool, where False leaves a key out, or floating, how
                often each key counts, >= 0.

        Returns:
            ``(...)``; -inf is the logarithm of an empty sum.

        Raises:
            InputError: a rule without potential, scores that are not finite, or a sum that
                overflows.
        """
        mask = _checked(self, scores, mask)
        value = self.phi(scores, mask)
        if not arrays.sound(value) and not (value.detach() < math.inf).all():
            overflows(scores)
        return value

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh scores without checks; the default is made of ``partial``."""
        part = self.partial(scores, mask)
        if part is None:
            raise NotImplementedError(f"{type(self).__name__} writes neither forward nor partial")
        if part.mass is not None:
            return part.weights / nonzero(part.mass)
        if part.shift is None or self.coupled:
            return part.weights
        return part.weights * part.shift.exp()

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the potential without checks; the default refuses."""
        do = "take a rule with one: theory.beta.fit gives the Softmax nearest to a Circle or a Cap"
        refuse("separation", got=repr(self), must="one with a potential", do=do)

    def void(self) -> float | Tensor:
        """Return the potential where no key is left."""
        return -math.inf if self.normalised else 0.0

    def unchecked_weights(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh scores as a call does, without checks."""
        return self.forward(scores, mask)

    def unchecked_potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return what ``potential`` does, without checks."""
        return self.phi(scores, mask)

    def partial(self, scores: Scores, mask: Mask = None) -> Partial | None:
        """Weigh some of the keys; None where a weight depends on the order of all scores."""
        return None

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"] | None:
        """Return the potential of all keys from those of blocks of them; None where impossible."""
        return None

    def reach(self, scores: Scores) -> Float[Tensor, "*batch 1"] | None:
        """Return a score below which every weight is zero, given some of the scores.

        None where every key may have a weight.
        """
        return None

    def log_weights(self, scores: Scores) -> Scores:
        """Return the logarithm of weights that are never negative, up to a constant."""
        must, do = "a separation with weights >= 0", "choose Power, Exponential, Step or Compact"
        refuse("part", got=repr(self), must=must, do=do)

    def log_kernel(self, scores: Scores) -> Scores:
        """Return the logarithm of the kernel, -inf where it is zero; see ``kernel``."""
        do = "take Softmax, Compact or Circle"
        refuse("separation", got=repr(self), must="one of a sum of kernels", do=do)

    def difference(self, scores: Scores, mask: Mask = None) -> Partial:
        """Return weights and self-coupling of the flip of one bit, for ``Difference``."""
        do = "choose Linear, Power or Exponential"
        refuse("part", got=repr(self), must="a sum over patterns", do=do)

    def level_weights(self, levels: Sequence[float]) -> list[float] | None:
        """Return the weights of some scores up to a common factor, as integers where they are.

        For a rule with a self-coupling a score is one from which the bit that is decided is left
        out. None for a rule whose weights depend on the order of all scores.
        """
        part = self.partial(torch.tensor([list(levels)], dtype=torch.float64))
        if part is None or part.coupling is not None:
            return None
        weights: list[float] = part.weights[0].detach().tolist()
        return weights

    def level_gains(self, levels: Sequence[float]) -> list[float] | None:
        """Return F(s + 1) - F(s - 1) of some scores, for ``Difference``; None where not known."""
        return None

    def coupling(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch 1"] | None:
        """Return how strongly each coordinate of the query acts on itself; None for not at all."""
        part = self.partial(scores, mask) if self.coupled else None
        if part is None or part.coupling is None:
            return None
        return part.coupling if part.mass is None else part.coupling / nonzero(part.mass)

    def temperature(self) -> Beta | None:
        """Return the inverse temperature; None where there is none."""
        return getattr(self, "beta", None)

    def with_beta(self, beta: Beta) -> "Separation":
        """Return the same rule at another inverse temperature, such as a trained one."""
        return dataclasses.replace(self, beta=beta)  # type: ignore[type-var]


class Sum(Separation):
    """A rule that weighs each score by itself: its potential is a sum over the keys."""

    priors = True

    def partial(self, scores: Scores, mask: Mask = None) -> Partial:
        """Weigh some of the keys."""
        return Partial(self.unchecked_weights(scores, mask))

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"]:
        """Return the sum."""
        return potentials.sum(0)


class LogWeights(Separation):
    """A normalised rule that is given by the logarithm of its weights, ``logs``."""

    normalised = True
    priors = True

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh scores by the softmax of ``logs``."""
        logs = self.logs(hide(scores, mask))
        known = logs > -math.inf
        kept = known if mask is None else hide(mask, known)
        return softmax(torch.where(known, logs, 0.0), kept).to(scores.dtype)

    def partial(self, scores: Scores, mask: Mask = None) -> Partial:
        """Weigh some of the keys."""
        return of_logs(self.logs(hide(scores, mask)), mask, scores.dtype)

    def log_weights(self, scores: Scores) -> Scores:
        """Return the logarithm of the weights up to a constant, -inf for none."""
        return self.logs(scores).to(scores.dtype)

    def log_kernel(self, scores: Scores) -> Scores:
        """Return the logarithm of the weights up to a constant, as ``logs`` does."""
        return self.logs(scores)

    def logs(self, scores: Scores) -> Scores:
        """Return what ``log_weights``  does, in the precision in which it is known."""
        raise NotImplementedError(f"{type(self).__name__} does not write logs")


class Wrapper(Separation):
    """A rule made of another rule, its ``part``."""

    part: Separation

    @property
    def expects(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.part.expects

    @property
    def length(self) -> int | None:  # type: ignore[override]
        return self.part.length

    @property
    def priors(self) -> bool:  # type: ignore[override]
        return self.part.priors

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the potential of the rule inside."""
        return self.part.unchecked_potential(scores, mask)

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"] | None:
        """Return the potential of the rule inside."""
        return self.part.join(potentials)

    def temperature(self) -> Beta | None:
        """Return the inverse temperature of the rule inside."""
        return self.part.temperature()

    def with_beta(self, beta: Beta) -> Separation:
        """Return the same rule around one at another inverse temperature."""
        return dataclasses.replace(self, part=self.part.with_beta(beta))  # type: ignore[type-var]


def inner(part: Separation, coupled: bool = True) -> None:
    """Refuse a part that is not a separation, or one with a self-coupling where none can be."""
    if not isinstance(part, Separation):
        do = "wrap a part of kanerva.separation"
        refuse("part", part, must="a separation", do=do, error=InputTypeError)
    if part.coupled and not coupled:
        must, do = "a rule without self-coupling", "choose another, such as Softmax"
        refuse("part", got=repr(part), must=must, do=do)


def hide(scores: Tensor, mask: Mask, by: float = 0.0) -> Tensor:
    """Put ``by`` in the places that the mask leaves out."""
    return scores if mask is None else scores.masked_fill(~there(mask), by)


def there(mask: Tensor) -> Tensor:
    """Say which keys a mask leaves in."""
    return mask if mask.dtype == torch.bool else mask > 0


def times(weights: Tensor, mask: Mask) -> Tensor:
    """Multiply the weights of keys that are left by how often each of them counts."""
    return weights if mask is None or mask.dtype == torch.bool else weights * mask.to(weights)


def logged(logits: Tensor, mask: Mask) -> Tensor:
    """Add the logarithm of how often each key counts, -inf for those left out."""
    if mask is None or mask.dtype == torch.bool:
        return hide(logits, mask, -math.inf)
    # The logarithm of zero would have no slope.
    logs = torch.where(mask > 0, mask, 1.0).log().to(logits)
    return hide(logits + logs, mask, -math.inf)


def nonzero(mass: Tensor) -> Tensor:
    """Return a divisor: 1 where the mass is zero."""
    return torch.where(mass == 0, 1.0, mass)


def softmax(logits: Tensor, mask: Mask = None) -> Tensor:
    """Normalise exponentials; a row with nothing left gets zeros, and a zero gradient."""
    if mask is None:
        return logits.softmax(-1)
    # A row of -inf alone gives NaN, in the gradient too: it is softened whole, then hidden.
    empty = ~there(mask).any(-1, keepdim=True)
    kept = mask | empty if mask.dtype == torch.bool else torch.where(empty, 1.0, mask)
    return hide(logged(logits, kept).softmax(-1), mask)


def of_logs(logs: Tensor, mask: Mask, dtype: torch.dtype) -> Partial:
    """Weigh some of the keys by the exponentials of ``logs``, in ``dtype``."""
    logs = logged(logs, mask)
    top = logs.detach().amax(-1, keepdim=True)
    # -inf cannot be subtracted from itself: a row with nothing left is left as it is.
    weights = (logs - torch.where(top == -math.inf, 0.0, top)).to(dtype).exp()
    return Partial(weights, top.to(dtype), weights.sum(-1, keepdim=True))


def checked_beta(beta: Any, *, open_low: bool = False) -> Beta:
    """Return an inverse temperature: a number, or a tensor of one number unchanged."""
    do = "give an inverse temperature, such as 1 / math.sqrt(d)"
    if not isinstance(beta, Tensor):
        return checks.plain("beta", beta, 0, open_low=open_low, do=do)
    sign = ">" if open_low else ">="
    must = f"a finite number {sign} 0, or a 0-dimensional floating tensor of one"
    if beta.ndim or beta.dtype not in arrays.FLOATS or beta.device.type == "meta":
        refuse("beta", beta, must=must, do=f"{do}, or learn nn.Parameter(torch.tensor(beta))")
    if not arrays.tracing():
        number = beta.item()
        if not math.isfinite(number) or number < 0 or (open_low and number == 0):
            do = f"{do}; learn its logarithm where training takes it below 0"
            refuse("beta", got=f"{number:g}", must=must, do=do)
    return beta


def positive(beta: Beta) -> None:
    """Refuse the potential at beta = 0, where it is infinite."""
    if not arrays.tracing() and float(beta.detach() if isinstance(beta, Tensor) else beta) == 0:
        refuse("beta", got="0", must="> 0", do="give a positive inverse temperature, for an energy")


def _checked(rule: Separation, scores: Any, mask: Any) -> Mask:
    """Refuse scores, or a mask, that the rule cannot weigh; return a mask of one entry a key."""
    arrays.floats("scores", scores)
    if rule.compares:
        arrays.finite("scores", scores)
    if mask is None:
        return None
    must = "a bool tensor, or a floating one >= 0" if rule.priors else "a bool tensor"
    kind = arrays.dense("mask", mask, must, torch.bool).dtype
    if kind != torch.bool and not (rule.priors and kind in arrays.FLOATS):
        do = "give True for the keys that are there"
        refuse("mask", mask, must=must, do=do, error=InputTypeError)
    if kind != torch.bool and not (arrays.sound(mask) and (mask.detach() >= 0).all()):
        refuse("mask", mask, must="finite and >= 0", do="give 0 for keys to leave out")
    if arrays.together(mask.shape, scores.shape) != scores.shape:
        must = f"of a shape that broadcasts to {tuple(scores.shape)}"
        got = f"of shape {tuple(mask.shape)}"
        refuse("mask", got=got, must=must, do="give one entry for each score")
    checked: Tensor = mask.expand(arrays.together(mask.shape, scores.shape[-1:]))
    return checked


def overflows(scores: Tensor) -> NoReturn:
    """Report weights that overflowed, unless the scores were not finite to begin with."""
    arrays.finite("scores", scores)
    must = "small enough that weights and sums stay finite"
    do = "scale scores or beta down, or wrap the rule in Normalised"
    refuse("scores", got="too large: they overflow", must=must, do=do)
