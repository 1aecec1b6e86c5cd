"""Every public callable on nonsense, and files that are spoilt: documented errors or sound results.

The callables come from ``__all__`` of the public modules, so that a new one is tried without being
listed here. Each gets nonsense for all of its arguments, and, where its arguments are known by
their names, good ones of which a single one is spoilt.
"""

import importlib
import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kanerva
from kanerva import InputError, bits, functional, similarity, theory
from kanerva.lab import data, density, recall, runner
from kanerva.lab.papers import RECIPES
from kanerva.separation import Linear, Softmax

# The run-time shape checks would refuse nonsense before the library does.
pytestmark = pytest.mark.untyped

MODULES = (
    "kanerva",
    *(f"kanerva.{name}" for name in ("activation", "bits", "check", "correlated", "density")),
    *(f"kanerva.{name}" for name in ("diffusion", "dynamics", "entropic", "estimators")),
    "kanerva.functional",
    *(f"kanerva.{name}" for name in ("memory", "models", "nn", "nn.projection", "probe")),
    *(f"kanerva.{name}" for name in ("quarks", "quarks.circuits")),
    "kanerva.quarks.capacity",
    *(f"kanerva.{name}" for name in ("separation", "similarity")),
    *(f"kanerva.theory.{name}" for name in ("approximation", "beta", "cap", "capacity", "circle")),
    *(f"kanerva.theory.{name}" for name in ("critical", "crp", "entropic", "jaeckel")),
    *(f"kanerva.theory.{name}" for name in ("kernel", "overview", "pull", "radius", "ring")),
    *(f"kanerva.lab.{name}" for name in ("citations", "data", "recall", "recipe", "runner")),
)
# Classes that only hold results, bases of classes, and what others test: why they are left out.
LEFT_OUT = {
    "ContractError": "an error",
    "Activation": "a base class",
    "Associative": "a base class",
    "Case": "a row of CASES",
    "Circuit": "a base class",
    "Identity": "a row of IDENTITIES",
    "Memory": "a base class",
    "Separation": "a base class",
    "Spread": "a base class",
    "DataSet": "a result; DataSet.of is tried",
    "Scorer": "built from a data set by compare",
    "Annealed": "built by memory",
    "Exact": "built by exact",
    "FromDiffusers": "built by from_diffusers",
    "ToDiffusers": "built by to_diffusers",
    "from_diffusers": "tried in test_diffusion_diffusers",
    "to_diffusers": "tried in test_diffusion_diffusers",
    "Wiener": "built by gaussian",
    "Gate": "a base class",
    "Heads": "a result of watch",
    "Shared": "a result of share",
    "Store": "a result of feedforward",
    "Tally": "a result of watch",
}
QUICK, SLOW = 2000, 50_000

X, KEYS, VALUES = (
    torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    for seed, shape in enumerate(((3, 8), (5, 8), (5, 3)))
)
LEVELS, LABELS = KEYS.abs().round().clamp(max=3), torch.tensor([0, 1, 0, 1, 1])
B, CORNERS = bits.random(3, 8, seed=0), bits.random(5, 8, seed=1)


def memory() -> kanerva.Patterns:
    made = kanerva.modern_hopfield(8, 1.0)
    made.write(KEYS)
    return made


def linked() -> kanerva.correlated.Linked:
    made = kanerva.cdam(8, 1.0)
    made.write(KEYS)
    made.link([0, 1], [1, 2])
    return made


def mixture() -> kanerva.density.Mixture:
    made = kanerva.density.crp(8, 1.0, 2.0, 1.0)
    made.write(KEYS)
    return made


def gaussian() -> kanerva.density.Density:
    made = kanerva.density.kernel(8, 1.0)
    made.write(KEYS)
    return kanerva.density.Density(made)


def boltzmann() -> kanerva.density.Density:
    made = kanerva.hopfield(8)
    made.write(CORNERS)
    return kanerva.density.Density(made, temperature=4.0)


def register() -> kanerva.entropic.EntropicMemory:
    made = kanerva.entropic.EntropicMemory(8, 4, xi=2)
    made.write(LEVELS)
    return made


def classes() -> kanerva.entropic.EntropicClasses:
    made = kanerva.entropic.EntropicClasses(2, 8, 4)
    made.write(LEVELS, LABELS)
    return made


def quantiser() -> kanerva.entropic.Quantiser:
    return kanerva.entropic.Quantiser.fit(KEYS, 4)


def counters() -> kanerva.Locations:
    made = kanerva.sdm(8, 50, 2)
    made.write(CORNERS)
    return made


def energies() -> kanerva.density.InContext:
    return kanerva.density.InContext(8, 16)


def exact() -> kanerva.diffusion.Exact:
    return kanerva.diffusion.exact(KEYS)


def dia_cell() -> kanerva.nn.DIACell:
    return kanerva.nn.DIACell(8)


def sdm_layer() -> kanerva.nn.SDMLayer:
    return kanerva.nn.SDMLayer(8, 20, 3, k=2)


def contexts(source: torch.Generator) -> torch.Tensor:
    return torch.randn(2, 3, 8, generator=source)


# Good arguments by name, for functions that take them; some functions take others of that name.
GOOD: dict[str, Any] = {
    "bits": 8,
    "dim": 8,
    "radius": 2,
    "locations": 100,
    "patterns": 5,
    "count": 3,
    "seed": 0,
    "beta": 1.0,
    "order": 3,
    "heads": 2,
    "ones": 4,
    "coordinates": 2,
    "x": B,
    "a": B,
    "b": B,
    "words": bits.pack(B),
    "query": X,
    "keys": KEYS,
    "values": torch.ones(5, 3),
    "similarity": similarity.dot,
    "separation": Softmax(1.0),
    "step": torch.cos,
    "memory": kanerva.hopfield(8),
    "addresses": bits.Packed.random(5, 8, seed=0),
    "distance": 2,
    "log_weights": np.zeros(9),
    "cosine": 0.5,
    "share": 0.1,
    "fidelity": 0.5,
    "latents": 2,
    "dim_in": 4,
    "dim_out": 3,
    "part": Softmax(1.0),
    "recipe": RECIPES["sdm.weights"],
    "source": "letters",
    "level": 0.1,
    "kind": "flip",
}
READS = ("write", "read", "recall", "trace", "explain", "scores", "weights", "nearest", "forget")
METHODS = {
    linked: ("link", "unlink", "connect", "at", "write", "recall", "explain", "forget", "save"),
    energies: ("energy", "score", "sample"),
    memory: (*READS, "settle", "energy", "save", "pattern_weights", "certify"),
    mixture: (
        *("write", "fit", "read", "recall", "settle", "explain", "energy", "posterior", "elbo"),
        *("flow", "pattern_weights", "save"),
    ),
    register: (
        *("write", "forget", "recognise", "recall", "weights", "read", "energy", "settle"),
        *("explain", "pattern_weights", "chain", "fit", "save"),
    ),
    classes: ("write", "recognise", "answer", "read", "settle", "explain", "pattern_weights"),
    quantiser: ("encode", "decode"),
    exact: ("__call__", "trace", "score", "energy", "log_prob", "weights", "effective"),
    gaussian: ("log_prob", "score", "posterior", "leave_one_out", "sample"),
    boltzmann: ("log_prob", "annealed", "sample"),
    dia_cell: ("forward", "reset"),
    sdm_layer: ("forward", "reset", "project", "follow", "narrow", "gain"),
    counters: (*READS, "kill", "save", "pattern_weights", "addresses_of"),
}


def nonsense() -> list[Any]:
    """List objects that hardly any argument takes."""
    one = torch.ones(3, 8)
    dtypes = ("float64", "float16", "int64", "bool", "complex64", "uint8")
    tensors = [one.to(getattr(torch, name)) for name in dtypes]
    tensors += [torch.ones(shape) for shape in ((), (0,), (3,), (0, 8), (3, 0), (1, 2, 3, 8))]
    tensors += [one * value for value in (math.nan, math.inf, 1e-45, 3e38)]
    tensors += [one.to("meta"), one.to_sparse(), one.T, one.expand(2, 3, 8)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a prototype
        tensors += [torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])]
    arrays = [np.ones((3, 8)), np.float64(0.5), np.int64(3), np.array("a"), np.array([None])]
    numbers = [0, 1, -1, 3, 2**31, 2**63, 2**70, 0.5, 1e-320, 1e300, -0.0, 1 + 1j]
    plain = [None, True, False, math.nan, math.inf, -math.inf, "", "junk", b"junk", "\0"]
    plain += [[], {}, (), set(), [1.0], [[1.0, 2.0]], {"a": 1}, object(), object]
    plain += [lambda *a: None, lambda *a: "text", (each for each in "ab"), range(3), slice(1)]
    plain += [Path("junk"), torch.float32, torch.int8, torch.device("cpu"), torch.Generator()]
    return [*tensors, *arrays, *numbers, *plain, similarity.dot, Softmax(1.0), KEYS, CORNERS]


def public() -> dict[str, Callable[..., Any]]:
    """Return the public callables by name, each once."""
    found: dict[str, Callable[..., Any]] = {}
    for place in MODULES:
        module = importlib.import_module(place)
        for name in module.__all__:
            one = getattr(module, name)
            kind = isinstance(one, type)
            if not callable(one) or name in LEFT_OUT or one in found.values():
                continue
            if kind and issubclass(one, tuple | BaseException):
                continue
            found[f"{place.removeprefix('kanerva.')}.{name}"] = one
    found["Quantiser.fit"] = kanerva.entropic.Quantiser.fit
    found["bits.Packed.random"] = bits.Packed.random
    found["DataSet.of"] = data.DataSet.of
    for make, verbs in METHODS.items():
        for verb in verbs:
            found[f"{make.__name__}.{verb}"] = lambda *a, m=make, v=verb, **k: getattr(m(), v)(
                *a, **k
            )
            found[f"{make.__name__}.{verb}"].__signature__ = inspect.signature(  # type: ignore[attr-defined]
                getattr(make(), verb)
            )
    return found


PUBLIC = public()


def drawn(
    name: str, pool: list[Any], draw: np.random.Generator
) -> tuple[list[Any], dict[str, Any]]:
    """Draw arguments: nonsense for all, or one spoilt among good ones."""
    parameters = list(inspect.signature(PUBLIC[name]).parameters.values())
    positional, named = [], {}
    known = [each for each in parameters if each.name in GOOD]
    spoil = parameters[draw.integers(len(parameters))].name if parameters else ""
    spoilt = bool(known) and draw.random() < 0.5
    for each in parameters:
        needed = each.default is each.empty
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            continue
        if not needed and each.name != spoil and (spoilt or draw.random() < 0.7):
            continue
        good = spoilt and each.name != spoil and each.name in GOOD
        value = GOOD[each.name] if good else pool[draw.integers(len(pool))]
        # What a function of the caller raises is its own affair; processes take seconds to start.
        if callable(value) if each.name == "progress" else each.name == "jobs":
            value = None
        if each.name in ("step", "transfer", "gating") and value is similarity.dot:
            value = None  # a function that needs one argument more
        if each.kind is each.KEYWORD_ONLY or not needed:
            named[each.name] = value
        else:
            positional.append(value)
    return positional, named


def numbers(result: Any) -> Iterator[torch.Tensor]:
    """Yield the floating tensors in a result."""
    if isinstance(result, torch.Tensor):
        if result.is_floating_point() and result.layout is torch.strided and not result.is_meta:
            yield result
    elif isinstance(result, tuple):
        for part in result:
            yield from numbers(part)


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Call a function; return what went wrong, or nothing where its outcome is documented."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            result = function(*args, **kwargs)
            if inspect.isgenerator(result):
                result = tuple(result)
            if isinstance(result, float) and math.isnan(result):
                return "NaN"
            return "NaN" if any(each.isnan().any() for each in numbers(result)) else ""
        except InputError as error:
            parts = (error.function, error.argument, error.must, error.got, error.do)
            return "" if all(parts) else f"an error with an empty part: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"


def fuzz(calls: int, seed: int) -> dict[str, str]:
    """Make so many calls, in turn over all callables; return the first fault of each kind."""
    draw, names, faults = np.random.default_rng(seed), list(PUBLIC), {}
    pool = nonsense()
    for turn in range(calls):
        name = names[turn % len(names)]
        args, kwargs = drawn(name, pool, draw)
        wrong = outcome(PUBLIC[name], *args, **kwargs)
        if wrong:
            shown = ", ".join([*map(brief, args), *(f"{k}={brief(v)}" for k, v in kwargs.items())])
            faults.setdefault(f"{name}: {wrong[:40]}", f"{name}({shown}): {wrong}")
    return faults


def brief(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"<{value.dtype} {'nested' if value.is_nested else tuple(value.shape)}>"
    return repr(value)[:40]


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Let calls write files and change global tables only for this test."""
    monkeypatch.chdir(tmp_path)


def test_2000_calls_end_in_documented_errors_or_sound_results(alone):
    faults = fuzz(QUICK, seed=0)
    assert not faults, "\n".join(faults.values())


@pytest.mark.slow
def test_50000_calls_end_in_documented_errors_or_sound_results(alone):
    faults = fuzz(SLOW, seed=1)
    assert not faults, "\n".join(faults.values())


# Good arguments that differ from those of the same name elsewhere.
OTHERS: dict[str, dict[str, Any]] = {
    "kanerva.sdm": {"radius": 2},
    "kanerva.covariance": {"activity": 0.25},
    "bits.from_binary": {"x": torch.ones(3)},
    "bits.uniform": {"x": bits.pack(B)},
    "dynamics.chain": {"length": 3},
    "dynamics.flips": {"potential": Linear().potential, "query": B, "keys": CORNERS},
    "functional.deposit": {"counters": torch.zeros(5, 3), "values": torch.ones(3, 3)},
    "density.context_energy": {"context": KEYS, "query": X, "memory": memory()},
    "density.fit_in_context": {"model": energies(), "draw": contexts, "updates": 1},
    **{f"energies.{verb}": {"context": KEYS} for verb in ("energy", "score", "sample")},
    "density.Density": {"memory": memory(), "temperature": 2.0},
    "density.bandwidth": {"x": KEYS},
    "density.kernel": {"bandwidth": 0.5},
    "density.vmf": {"kappa": 2.0},
    **{f"gaussian.{verb}": {"x": X, "n": 2} for verb in METHODS[gaussian]},
    "boltzmann.sample": {"n": 2},
    **{f"exact.{verb}": {"x": X, "sigma": 0.5} for verb in METHODS[exact]},
    "diffusion.exact": {"data": KEYS},
    "diffusion.gaussian": {"mean": X[0], "covariance": torch.eye(8)},
    "diffusion.schedule": {"kind": "linear", "steps": 3, "high": 2.0, "low": 0.5},
    "diffusion.vp": {"steps": 3},
    "diffusion.to_ve": {"x": X, "alpha_bar": 0.5},
    "diffusion.to_vp": {"x": X, "sigma": 0.5},
    "diffusion.sample": {"denoiser": exact(), "start": X, "sigmas": [2.0, 0.5]},
    "diffusion.recall": {"denoiser": exact(), "x": X, "sigma": 0.5, "steps": 2},
    "diffusion.memory": {"high": 2.0, "low": 0.5},
    "diffusion.attractors": {"denoiser": exact(), "starts": KEYS, "sigma": 0.1, "steps": 2},
    "diffusion.critical_sigma": {"denoiser": exact(), "rows": X, "trials": 1},
    "diffusion.log_likelihood": {"denoiser": exact(), "x": X, "sigmas": [90.0, 0.5]},
    "diffusion.classify": {"samples": X, "train": KEYS},
    "diffusion.copying": {"samples": X, "train": KEYS, "holdout": KEYS + 1},
    "diffusion.train": {"data": KEYS, "updates": 1},
    "diffusion.Net": {"width": 4},
    "theory.ring.radius": {"sigma": 0.5},
    "theory.ring.energy": {"radius": 0.5, "sigma": 0.5},
    "dynamics.follow": {"steps": [torch.cos], "query": X},
    "density.sphere_em": {"x": X, "means": KEYS, "kappa": 5.0, "steps": 3},
    **{
        f"quarks.capacity.{verb}": {"name": "and", "inputs": 3, "units": 2}
        for verb in ("bounds", "count", "estimate", "functions", "reach")
    },
    "quarks.capacity.Functions": {"inputs": 2, "tables": np.array([1, 2])},
    "separation.Difference": {"part": Linear()},
    "separation.Entmax": {"alpha": 1.5},
    "separation.Inhibition": {"k": 2},
    "separation.Sink": {"score": 0.0},
    "separation.Step": {"threshold": 1.0},
    "separation.TopK": {"k": 2},
    "theory.approximation.log_fraction": {"method": "taylor"},
    "theory.cap.quantile": {"activation": 0.1},
    "theory.radius.quantile": {"probability": 0.1},
    "theory.capacity.covariance": {"activity": 0.25},
    "theory.capacity.dense": {"degree": 3},
    "theory.capacity.modern": {"dim": 20, "beta": 3.0, "scale": 3.0, "failure": 0.001},
    "theory.capacity.kernel": {"unit": "count"},
    "theory.crp.expected": {"n": 10, "concentration": 1.0},
    "theory.entropic.acceptance": {"columns": 32, "levels": 16, "patterns": 60},
    "theory.entropic.entropy": {"levels": 16, "patterns": 60},
    "theory.entropic.capacity": {"columns": 64, "levels": 16, "false": 0.01},
    "theory.kernel.log_normaliser": {"shape": "vmf", "scale": 2.0},
    "theory.kernel.modes": {"distance": 2.0, "sigma": 1.0},
    "lab.citations.bibtex": {"key": "kanerva1988"},
    "lab.citations.short": {"source": "kanerva1988"},
    "DataSet.of": {"values": np.eye(4), "name": "eye"},
    "correlated.attractors": {"memory": linked(), "starts": KEYS},
    "correlated.by_distance": {"correlations": X[:, :3], "graph": [(0, 1), (1, 2)]},
    "correlated.communities": {"correlations": X[:, :3], "count": 2},
    "correlated.overlaps": {"states": X, "patterns": KEYS},
    "correlated.scores": {"states": X, "patterns": X + 1},
    "correlated.Automaton": {"table": {(0, "a"): 1, (1, "a"): 0}, "start": 0, "accept": [1]},
    "entropic.EntropicMemory": {"columns": 8, "levels": 4},
    "entropic.EntropicClasses": {"classes": 2, "columns": 8, "levels": 4},
    "entropic.Quantiser": {"levels": 4, "low": -1.0, "high": 1.0},
    "Quantiser.fit": {"x": KEYS, "levels": 4},
    **{
        f"{make.__name__}.{verb}": {"query": LEVELS, "keys": LEVELS, "patterns": LEVELS}
        for make in (register, classes)
        for verb in METHODS[make]
    },
    "nn.Lookup": {"rows": 5},
    "nn.MemoryAttention": {"capacity": 5, "k": 2},
    "nn.hopfield_lookup": {"rows": 5},
    "register.chain": {"query": LEVELS, "depth": 2},
    "register.fit": {"x": KEYS},
    "register.save": {"path": "register.safetensors"},
    "classes.write": {"keys": LEVELS, "labels": LABELS},
    "quantiser.encode": {"x": KEYS},
    "quantiser.decode": {"level": LEVELS},
    "quarks.multiplex": {"signal": X, "weight": KEYS, "onto": KEYS, "x": X},
    "quarks.output_gate": {"attended": X, "attending": X},
    "quarks.synaptic_gate": {"gate": torch.ones(3, 5, 8), "weight": KEYS, "x": X},
    **{
        f"quarks.{name}": {"inputs": 8, "signals": 2, "outputs": 3}
        for name in ("Unit", "Multiplex", "OutputGate", "SynapticGate")
    },
    "quarks.circuits.attention": {"mha": torch.nn.MultiheadAttention(8, 2, device="meta")},
    "quarks.circuits.content_attention": {"state": 3, "keys": 4, "hidden": 5},
    "quarks.circuits.dot": {"d": 8},
    "quarks.circuits.fast_weights": {"keys": 4, "values": 3},
    "quarks.circuits.film": {"features": 4, "signals": 3},
    "quarks.circuits.glu": {"inputs": 8, "outputs": 3},
    "quarks.circuits.gru": {"cell": torch.nn.GRUCell(8, 3, device="meta")},
    "quarks.circuits.hypernetwork": {"inputs": 8, "outputs": 3, "signals": 2},
    "quarks.circuits.lstm": {"cell": torch.nn.LSTMCell(8, 3, device="meta")},
    "quarks.circuits.mixture": {"inputs": 8, "outputs": 3, "experts": 2},
    "quarks.circuits.parity": {"n": 3},
    "quarks.circuits.power": {"k": 3},
    "quarks.circuits.quadratic": {"matrix": KEYS.T @ KEYS},
    "quarks.circuits.select": {"weight": KEYS, "bias": KEYS[:, 0]},
    "quarks.circuits.squeeze_excite": {"channels": 4, "hidden": 2},
    "linked.link": {"sources": [0], "targets": [3]},
    "linked.unlink": {"sources": [0], "targets": [1]},
    "linked.connect": {"graph": [(0, 1)]},
    "linked.at": {"auto": 0.5},
    "linked.forget": {"ids": [0]},
    "linked.save": {"path": "linked.safetensors"},
    "memory.forget": {"ids": [0]},
    "memory.pattern_weights": {"query": B, "patterns": CORNERS},
    "memory.save": {"path": "memory.safetensors"},
    "density.Mixture": {"rule": mixture().rule},
    "density.clam": {"memories": 3, "sigma": 1.0},
    "density.elbo": {"memories": 3, "sigma": 1.0, "shape": "vmf"},
    "density.crp": {"sigma": 1.0, "prior_sigma": 2.0, "concentration": 1.0, "discount": 0.5},
    **{f"mixture.{verb}": {"x": X, "patterns": KEYS} for verb in METHODS[mixture]},
    "mixture.save": {"path": "mixture.safetensors"},
    "counters.save": {"path": "counters.safetensors"},
    **{
        f"counters.{verb}": {"query": B, "keys": CORNERS, "values": CORNERS, "patterns": CORNERS}
        for verb in METHODS[counters]
        if verb != "save"
    },
}
OTHERS |= {
    "nn.DIACell": {"channels": 8},
    "nn.correlation": {"gates": torch.rand(3, 4, 8, generator=torch.Generator().manual_seed(5))},
    "nn.SDMLayer": {"neurons": 20, "classes": 3, "k": 2},
    "sdm_layer.forward": {"x": X},
    "dia_cell.forward": {"pooled": X},
    "dia_cell.reset": {"seed": 1},
    "sdm_layer.narrow": {"epoch": 1, "epochs": 5},
}
# Arguments that take any object, or that are not looked at before the result is used.
ANYTHING = {
    "estimators.": "parameters are checked in fit, by the conventions of scikit-learn",
    "kanerva.probe": "probes are context managers, checked in tests/test_probe_junk.py",
    "lab.citations.is_bibtex": "says of any object whether it is an entry",
}


def good(name: str) -> dict[str, Any]:
    """Return good arguments of a callable, as far as they are known by name."""
    parameters = inspect.signature(PUBLIC[name]).parameters
    others = {key: value for key, value in OTHERS.get(name, {}).items() if key in parameters}
    known = {
        each.name: GOOD[each.name]
        for each in parameters.values()
        if each.name in GOOD and each.default is each.empty
    }
    return known | others


def finished(result: Any) -> Any:
    """Return a result, of a generator all that it yields."""
    return tuple(result) if inspect.isgenerator(result) else result


WHOLE = [
    name
    for name in PUBLIC
    if not name.startswith(("probe.", *ANYTHING))
    and all(
        each.default is not each.empty
        or each.name in good(name)
        or each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        for each in inspect.signature(PUBLIC[name]).parameters.values()
    )
    # The separation of Linked is one of its further arguments, as all are of each register.
    and name
    not in (
        "kanerva.Locations",
        "counters.nearest",
        "correlated.Linked",
        "entropic.EntropicClasses",
    )
]


@pytest.mark.filterwarnings("ignore:.*would be active")
@pytest.mark.parametrize("name", WHOLE)
def test_every_argument_is_checked_even_where_it_is_unused(name, alone):
    """In a call that works, no argument takes an object of no use."""
    given, function = good(name), PUBLIC[name]
    finished(function(**given))
    for each in inspect.signature(function).parameters.values():
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            with pytest.raises(InputError):  # for each.name
                finished(function(**given | {each.name: object()}))


def test_most_callables_are_called_whole():
    assert len(WHOLE) > 0.75 * len(PUBLIC)


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (lambda: kanerva.sdm(8, 50, 2, "junk"), "patterns"),
        (lambda: theory.radius.optimal(100, 5, 1000, "noise", fidelity="junk"), "fidelity"),
        (lambda: theory.capacity.locations(100, 30, fidelity="junk"), "fidelity"),
        (lambda: bits.hamming(X, X), "a"),
        (lambda: bits.hamming(B, X), "b"),
        (lambda: bits.hamming(B * torch.nan, B), "a"),
        (lambda: functional.coarse(None, VALUES), "keys"),
        (lambda: functional.certify(X, KEYS, VALUES, Softmax(1.0), near=5), "near"),
        (lambda: runner.run(None), "recipe"),
        (lambda: runner.read(RECIPES["sdm.weights"], 3), "folder"),
        (lambda: recall.compare(None, recall.Plan()), "data"),
        (lambda: density.evaluate(None, density.Plan()), "data"),
        (lambda: density.evaluate(data.load("letters"), 3), "plan"),
        (lambda: density.save(None, "."), "result"),
        (lambda: density.likelihoods(None), "result"),
    ],
)
def test_what_was_taken_is_refused_by_name(function, argument):
    with pytest.raises(InputError) as caught:
        function()
    assert caught.value.argument == argument


# Spoilt files


FILES = 400


def written(folder: Path) -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    """Return sound files by their endings, and what reads them."""
    rows = np.random.default_rng(0).integers(0, 2, (12, 6)) * 1.0
    table = "a,b,c,d,e,label\n" + "\n".join(",".join(map(str, row)) for row in rows)
    memory().save(folder / "memory.safetensors")
    counters().save(folder / "counters.safetensors")
    np.save(folder / "a.npy", rows)
    np.savez(folder / "a.npz", rows=rows)
    np.savez_compressed(folder / "b.npz", rows=rows)
    (folder / "a.csv").write_text(table)
    (folder / "a.tsv").write_text(table.replace(",", "\t"))
    runner.run(RECIPES["sdm.weights"], folder / "run", given={"bits": 16, "radius": 3})
    sound = {
        "memory.safetensors": kanerva.load,
        "counters.safetensors": kanerva.load,
        **dict.fromkeys(("a.npy", "a.npz", "b.npz", "a.csv", "a.tsv"), data.load),
        "run/table.csv": lambda path: runner.read(RECIPES["sdm.weights"], path.parent),
        "run/manifest.json": lambda path: runner.read(RECIPES["sdm.weights"], path.parent),
    }
    over = {"over.npy": "a.npy", "over.safetensors": "memory.safetensors"}
    for name, source in over.items():
        (folder / name).write_bytes((folder / source).read_bytes())
    sound["over.npy"] = lambda path: kanerva.Patterns.over(path, separation=Softmax(1.0))
    sound["over.safetensors"] = lambda path: kanerva.Patterns.over(
        (path, "keys"), separation=Softmax(1.0)
    )
    return {name: ((folder / name).read_bytes(), reader) for name, reader in sound.items()}


def spoilt(content: bytes, draw: np.random.Generator) -> bytes:
    """Damage the bytes of a file in one of five ways."""
    place = int(draw.integers(len(content)))
    near = int(draw.integers(min(len(content), 200)))  # most headers lie there
    match draw.integers(5):
        case 0:
            return content[:place]
        case 1:
            flipped = bytearray(content)
            for each in (place, near):
                flipped[each] ^= 1 << int(draw.integers(8))
            return bytes(flipped)
        case 2:
            return (
                content[:near] + bytes(draw.integers(0, 256, 20, np.uint8)) + content[near + 20 :]
            )
        case 3:
            return content + bytes(draw.integers(0, 256, 9, np.uint8))
        case _:
            digits = [at for at, byte in enumerate(content[:2000]) if chr(byte) in "0123456789"]
            at = digits[draw.integers(len(digits))] if digits else place
            return content[:at] + b"9" * int(draw.integers(1, 12)) + content[at + 1 :]


def test_400_spoilt_files_end_in_documented_errors_or_sound_results(tmp_path):
    draw, sound, faults = np.random.default_rng(0), written(tmp_path), []
    names = list(sound)
    for turn in range(FILES):
        name = names[turn % len(names)]
        content, reader = sound[name]
        (tmp_path / name).write_bytes(spoilt(content, draw))
        wrong = outcome(reader, tmp_path / name)
        (tmp_path / name).write_bytes(content)
        if wrong:
            faults.append(f"{turn} {name}: {wrong}")
    for name, (_, reader) in sound.items():
        assert not outcome(reader, tmp_path / name), name
    assert not faults, "\n".join(faults)
