"""The laws of the contract: each checks one on a sample, and is False where it does not apply.

Those of weighted sums stand in a module of their own.
"""

import copy
import io
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from kanerva._core.errors import InputError, describe
from kanerva._core.settings import settings
from kanerva.check._sample import STORED, ContractError, Sample, same, that
from kanerva.check._weighted import downhill, falling, gradient, masks, normalised, twice
from kanerva.memory import Associative, load
from kanerva.memory._parts import describe_memory


def shapes(sample: Sample) -> bool:
    """Any leading dimensions of a query are kept, and so is its dtype."""
    memory, whole = sample.filled(), sample.query
    read = memory.read(whole)
    same("leading dimensions", memory.read(whole[0]), read[0])
    same("leading dimensions", memory.read(whole.reshape(3, 2, 2, -1)), read.reshape(3, 2, 2, -1))
    same("leading dimensions", memory.read(whole[:0]), read[:0])
    that("dtype", read.dtype == whole.dtype == memory.dtype, f"{read.dtype} from {whole.dtype}")
    weighted = sample.weighted()
    if weighted is not None:
        shape = weighted.weights(whole).shape
        that("weights", shape == (STORED, weighted.keys.shape[0]), f"of shape {tuple(shape)}")
    same("forward is read", memory(whole), read)
    return True


def batch_mates(sample: Sample) -> bool:
    """a query never depends on its batch mates."""
    memory, query = sample.filled(), sample.query
    reads = torch.stack([memory.read(one) for one in query])
    same("read alone or in a batch", reads, memory.read(query))
    if memory.value_dim != memory.dim:
        return True
    # Few steps, because the states of a linear rule over real numbers grow without bound.
    end = memory.settle(query, steps=3)
    alone = [memory.settle(one, steps=3) for one in query]
    same("recall alone or in a batch", torch.stack([one.state for one in alone]), end.state)
    steps, together = [int(one.steps) for one in alone], end.steps.tolist()
    that("steps alone or in a batch", steps == together, f"{steps} and {together}")
    return True


def chunks(sample: Sample) -> bool:
    """A read in chunks is the whole read."""
    memory = sample.filled()
    whole = memory.read(sample.query)
    with settings.use(budget=1):
        same("chunked and whole", memory.read(sample.query), whole)
    return True


def halves(sample: Sample) -> bool:
    """Written in two halves is written at once."""
    once, twice = sample.filled(), copy.deepcopy(sample.memory)
    for half in (slice(None, STORED // 2), slice(STORED // 2, None)):
        sample.store(twice, half)
    same("in halves and at once", twice.read(sample.query), once.read(sample.query))
    that("count", len(twice) == len(once), f"{len(twice)} and {len(once)}")
    return True


def count(sample: Sample) -> bool:
    """As many items are stored as were written."""
    stored = len(sample.filled())
    that("count", stored == STORED, f"{stored} of {STORED}")
    return True


def order(sample: Sample) -> bool:
    """The order of writing leaves a read unchanged."""
    turned = sample.turned().filled()
    same("in another order", turned.read(sample.query), sample.filled().read(sample.query))
    return True


def empty(sample: Sample) -> bool:
    """An empty memory reads zeros, and its explanation has no mass."""
    memory, query = sample.memory, sample.query
    if memory.empty != "zero":
        return False
    zero = len(memory) == 0 and (memory.read(query) == 0).all()
    that("empty memory", zero, "a read is not 0")
    that("empty memory", (memory.explain(query).mass == 0).all(), "the mass is not 0")
    return True


def copies(sample: Sample) -> bool:
    """Copies, state dicts and files read as the memory does."""
    memory = sample.filled()
    expected = memory.read(sample.query)
    same("deepcopy", copy.deepcopy(memory).read(sample.query), expected)
    file = io.BytesIO()
    torch.save(memory.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(sample.memory)
    other.load_state_dict(torch.load(file, weights_only=True))
    same("state_dict", other.read(sample.query), expected)
    try:
        foreign = describe_memory(memory)[2]
    except InputError as error:
        raise ContractError(f"save and load: it cannot be saved: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        memory.save(Path(folder, "memory.safetensors"))
        loaded = load(Path(folder, "memory.safetensors"), allow=foreign)
    same("save and load", loaded.read(sample.query), expected)
    # The default repr of an object holds its address.
    shown = [re.sub(" at 0x[0-9a-f]+", "", repr(each)) for each in (loaded, memory)]
    that("save and load", shown[0] == shown[1], "the loaded memory has another repr")
    return True


def clearing(sample: Sample) -> bool:
    """A cleared memory is empty, and can be written again."""
    memory = sample.filled()
    expected = memory.read(sample.query)
    memory.clear()
    that("cleared", len(memory) == 0, f"{len(memory)} items are left")
    sample.store(memory)
    same("cleared and written again", memory.read(sample.query), expected)
    return True


def randomness(sample: Sample) -> bool:
    """The same query gives the same read, and the global generator is not used."""
    state = torch.get_rng_state()
    memory = sample.filled()
    same("read twice", memory.read(sample.query), memory.read(sample.query))
    that("global generator", torch.equal(state, torch.get_rng_state()), "its state changed")
    return True


def backward(sample: Sample) -> bool:
    """Gradients are finite, with everything masked too."""
    memory, weighted = sample.filled(), sample.weighted()
    applies = _slopes(memory, memory.read, sample.query)
    if weighted is not None and applies:
        nothing = torch.zeros(weighted.keys.shape[0], dtype=torch.bool)
        _slopes(weighted, lambda query: weighted.read(query, nothing), sample.query)
    return applies


def _slopes(memory: Associative, read: Callable[[Tensor], Tensor], query: Tensor) -> bool:
    """Check the gradients of a read; False where it has none."""
    query = query.detach().requires_grad_()
    found = read(query)
    if not found.requires_grad:
        return False
    leaves = [query, *memory.parameters()]
    slopes = torch.autograd.grad(found.sum(), leaves, allow_unused=True)
    finite = all(slope is None or slope.isfinite().all() for slope in slopes)
    that("gradient", finite, "it is not finite")
    return True


def arraylike(sample: Sample) -> bool:
    """Arrays and lists of numbers read as tensors do."""
    memory, query = sample.filled(), sample.query
    read = memory.read(query)
    same("a list", memory.read(query.tolist()), read)
    if query.dtype != torch.bfloat16:
        same("an array", memory.read(query.numpy()), read)
    return True


def transforms(sample: Sample) -> bool:
    """``torch.func.vmap`` of a read is the read of the batch, and ``jvp`` is finite."""
    memory, query = sample.filled(), sample.query
    if memory.empty == "raise":
        return False
    same("vmap", torch.func.vmap(memory.read)(query), memory.read(query))
    if memory.key_bits or memory.dtype not in (torch.float32, torch.float64):
        return True
    with warnings.catch_warnings():
        # The first forward derivative compiles what torch itself has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        slope = torch.func.jvp(memory.read, (query,), (torch.ones_like(query),))[1]
    that("jvp", slope.isfinite().all(), "it is not finite")
    return True


def recorded(sample: Sample) -> bool:
    """The operations that ``make_fx`` records of a read are the read of any other query."""
    memory, query = sample.filled(), sample.query
    if memory.empty == "raise":
        return False
    with warnings.catch_warnings():
        # The first trace compiles what torch itself has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = make_fx(lambda query: memory.read(query))(query)
    other = query.flip(0)
    same("recorded and replayed", graph(other), memory.read(other))
    return True


def inference(sample: Sample) -> bool:
    """What is written in inference mode can be changed, and trained through, outside it."""
    with torch.inference_mode():
        memory = sample.filled()
    made = [part for part in memory.buffers() if part.is_inference()]
    that("inference mode", not made, "a buffer can only be changed in inference mode")
    sample.store(memory)
    return True


def sentences(sample: Sample) -> bool:
    """Bad input raises an error: the argument, what it must be, what it was, what to do."""
    memory = sample.filled()
    wrong: list[Any] = [
        sample.query[..., :-1],
        sample.query.to(torch.int64),
        sample.query * torch.nan,
        [1.0],
        torch.ones(()),
    ]
    if memory.key_bits:
        wrong.append(sample.query * 0.5)
    verbs: tuple[Callable[..., Any], ...] = (memory.read, memory.write, memory.explain)
    for verb in verbs:
        for value in wrong:
            _refused(verb, value)
    return True


def _refused(verb: Callable[..., Any], value: Any) -> None:
    what = f"{verb.__name__} of {describe(value)}"
    try:
        verb(value)
    except InputError as error:
        parts = (error.function, error.argument, error.must, error.got, error.do)
        that("bad input", all(parts), f"{what} raises an error with an empty part: {error}")
    except Exception as error:
        raise ContractError(f"bad input: {what} raises {type(error).__name__}: {error}") from error
    else:
        raise ContractError(f"bad input: {what} raises no error")


CHECKS: tuple[Callable[[Sample], bool], ...] = (
    shapes,
    batch_mates,
    chunks,
    halves,
    count,
    order,
    twice,
    empty,
    masks,
    normalised,
    gradient,
    downhill,
    falling,
    copies,
    clearing,
    randomness,
    backward,
    arraylike,
    transforms,
    recorded,
    inference,
    sentences,
)
