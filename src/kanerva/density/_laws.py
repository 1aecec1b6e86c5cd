"""The density of a memory as it is now."""

import math
from typing import Any

import torch

from kanerva._core.errors import refuse
from kanerva._engine import routes
from kanerva.density._boltzmann import Boltzmann
from kanerva.density._closed import Closed
from kanerva.density._components import Components
from kanerva.density._kinds import kind_of, number
from kanerva.density._law import Law
from kanerva.density._mixture import Mixture
from kanerva.memory import Memory
from kanerva.separation import Separation
from kanerva.similarity import declared

__all__ = ["law_of"]

# A distance at which the energy of a density in space is large.
FAR = 1e9


def law_of(memory: Any, temperature: float | None) -> Law:
    """Return the density of a memory; refuse one that has none."""
    if isinstance(memory, Mixture):
        return _of_mixture(memory, temperature)
    if not isinstance(memory, Memory) or not memory._descends:
        must = "one with an energy, its values the keys"
        do = "store the rows in a Patterns without value_dim, such as sdm_patterns for sdm"
        refuse("memory", got=repr(memory), must=must, do=do)
    if memory._betas is not None:
        must, do = "at one inverse temperature", "give a view at one number"
        refuse("memory", got="a view at several", must=must, do=do)
    empty = torch.zeros(0, memory.dim, dtype=memory.dtype, device=memory.device)
    given = memory._given(empty, None)
    given = given._replace(rows=given.rows.double())
    similarity, rule = memory.similarity, _fixed(given.rule)
    given = given._replace(rule=rule)
    kind = kind_of(similarity, rule, memory.dim, memory.key_bits)
    if kind is not None and (
        temperature is None or math.isclose(temperature, kind.temperature, rel_tol=1e-12)
    ):
        return Closed(given, similarity, kind)
    routes.regulariser(similarity)  # refuses a memory without energy, and so does the next line
    far = rule.unchecked_potential(given.rows.new_full((1, 1), -FAR))
    beta = rule.temperature()
    if temperature is None and (beta is None or number(beta) == 0):
        must, do = "given where the rule has no beta", "give it in units of the energy, such as 1.0"
        refuse("temperature", got="None", must=must, do=do)
    temperature = 1 / number(beta) if temperature is None else temperature
    shape = declared(similarity, "shape")
    space = "sphere" if shape == "vmf" else "real"
    if not memory.key_bits and shape in ("gaussian", "laplace") and far > -1:
        must, do = "one whose energy rises without bound", "take Softmax, Entmax, TopK or Compact"
        refuse("memory", got=f"one with {rule}", must=must, do=do)
    return Boltzmann(given, similarity, "cube" if memory.key_bits else space, temperature)


def _of_mixture(memory: Mixture, temperature: float | None) -> Law:
    """Return the density of a mixture, which has one temperature."""
    law = Components(memory.rule, memory._state(), memory.dim)
    if temperature is not None and not math.isclose(temperature, law.temperature, rel_tol=1e-12):
        must, do = f"sigma^2 for a mixture, {law.temperature:g}", "leave it out"
        refuse("temperature", temperature, must=must, do=do)
    return law


def _fixed(rule: Separation) -> Separation:
    """Return a rule whose inverse temperature is a number: no density is trained through it."""
    beta = rule.temperature()
    return rule.with_beta(number(beta)) if isinstance(beta, torch.Tensor) else rule
