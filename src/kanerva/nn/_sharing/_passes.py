"""One forward pass of a model with shared gates: its states, and what a recomputation needs."""

import math
import threading
import weakref
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map_only

from kanerva._core import arrays
from kanerva._core.errors import refuse
from kanerva.nn._gates import Gate
from kanerva.nn._heads import no_autocast

__all__ = ["Block", "Frame", "Link"]

# Recomputed features are those of an earlier pass, if they differ by no more than this share.
CLOSE = 1e-2


class Block(NamedTuple):
    """A residual branch that is gated.

    Attributes:
        name: of its module in the model.
        stage: name of its stage.
        gate: name of its gate among those of the model.
        place: number of the block among those that share its gate.
        linked: whether it takes a state from the block before.
        last: whether its channels are the last axis.
        channels: number of channels with the example.
    """

    name: str
    stage: str
    gate: str
    place: int
    linked: bool
    last: bool
    channels: int


class Step(NamedTuple):
    """What a recomputation of one block needs of an earlier pass; no graph is kept by it.

    Attributes:
        sample: some of the features of the block.
        before: the state that it took.
        gates: all gates of the model, or of the replica of it.
    """

    sample: Tensor
    before: Any
    gates: Any


class Trace:
    """The steps of one pass by the name of the block."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}


class Pass:
    """The states and gates of one forward pass, by gate and by block."""

    def __init__(self, gates: Any) -> None:
        self.gates = gates
        self.states: dict[str, Any] = {}
        # The block that left a state, and the size of its batch.
        self.left: dict[str, tuple[str, int]] = {}
        self.found: dict[str, Tensor] = {}
        self.trace = Trace()


class Frame:
    """What the hooks of a model with shared gates have in common.

    Attributes:
        name: of the module in which the model holds the gates.
        blocks: all gated branches, in the order of calls.
        recording: where the gates of a pass are written; None where they are not.
    """

    def __init__(self, name: str, blocks: tuple[Block, ...]) -> None:
        self.name, self.blocks = name, blocks
        self._start()

    def _start(self) -> None:
        """Begin without any pass."""
        self.recording: dict[str, Tensor] | None = None
        self._local = threading.local()
        self._traces: weakref.WeakSet[Trace] = weakref.WeakSet()
        # Replicas of a model run in threads of their own.
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has in common with this: no pass, and no recording."""
        return {"name": self.name, "blocks": self.blocks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.name, self.blocks = state["name"], state["blocks"]
        self._start()

    @property
    def run(self) -> Pass | None:
        """Return the pass of this thread; None outside of a call of the model."""
        return getattr(self._local, "run", None)

    def begin(self, model: nn.Module, args: Any) -> None:
        """Start a pass before the model is called, with the gates of this replica of it."""
        shared: Any = model._modules.get(self.name)
        if not hasattr(shared, "gates"):
            must, do = "in the model", "call remove() on what nn.share returned, and share it again"
            refuse(f"the gates of {self.name!r}", got="deleted", must=must, do=do)
        self._local.run = Pass(shared.gates)

    def finish(self, model: nn.Module, args: Any, output: Any) -> None:
        """Check the gates of a pass, and record them."""
        run = self.run
        if run is None:
            return
        if not arrays.tracing():
            self._check(run.found)
        if self.recording is not None:
            self._record(run.found, self.recording)

    def keep(self, trace: Trace) -> None:
        """Find a trace in recomputations, for as long as the graph of its pass holds it."""
        with self._lock:
            self._traces.add(trace)

    def kept(self) -> list[Trace]:
        """Return the traces of all passes whose graph is there."""
        with self._lock:
            return list(self._traces)

    def close(self, model: nn.Module, args: Any, output: Any) -> None:
        """Forget the states of a pass, also of one that was broken off."""
        self._local.run = None

    def _check(self, found: dict[str, Tensor]) -> None:
        """Refuse gates that are not finite, and name the first block with one."""
        if not found:
            return
        sound = torch.stack([gate.isfinite().all() for gate in found.values()]).tolist()
        if not all(sound):
            name = list(found)[sound.index(False)]
            do = "look at the output of this block, and lower the learning rate if it diverged"
            got = "NaN or infinite, as the first of the gates"
            refuse(f"the gate of block {name!r}", got=got, must="finite", do=do)

    def _record(self, found: dict[str, Tensor], recording: dict[str, Tensor]) -> None:
        """Write the gates of a pass, by stage."""
        stages: dict[str, list[Tensor]] = {}
        for block in self.blocks:
            if block.name not in found:
                do = "record in evaluation mode, in which no block is skipped"
                must = "called in every forward pass that is recorded"
                refuse(f"block {block.name!r}", got="skipped", must=must, do=do)
            stages.setdefault(block.stage, []).append(found[block.name])
        recording.clear()
        recording.update({name: torch.stack(all_) for name, all_ in stages.items()})


class Link:
    """The hook of one gated branch."""

    def __init__(self, frame: Frame, block: Block) -> None:
        self.frame, self.block = frame, block

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Return the output of the branch with its first tensor gated."""
        features = output[0] if isinstance(output, tuple) else output
        run = self.frame.run
        gated = self._again(features) if run is None else self._first(features, run)
        gated = gated.movedim(1, -1) if self.block.last else gated
        if not isinstance(output, tuple):
            return gated
        fields = getattr(output, "_fields", ())
        named: Any = output
        return named._replace(**{fields[0]: gated}) if fields else (gated, *output[1:])

    def _first(self, features: Tensor, run: Pass) -> Tensor:
        """Gate features in a forward pass."""
        block = self.block
        if block.name in run.found:
            got, must = "called again", "called once in a forward pass"
            do = "leave it out of the branches"
            refuse(f"block {block.name!r}", got=got, must=must, do=do)
        before = run.states.get(block.gate) if block.linked else None
        # Sizes of a graph for any batch cannot be compared.
        if before is not None and not arrays.tracing():
            self._same_batch(features.shape[0], *run.left[block.gate])
        rows, gate, after = self._gate(features, run.gates, before)
        run.states[block.gate] = after
        run.left[block.gate] = block.name, features.shape[0]
        run.found[block.name] = _channels(gate.detach(), rows)
        gated = rows * gate.to(rows.dtype)
        if not arrays.tracing() and torch.is_grad_enabled():
            # A recomputation under gradient checkpointing needs values, and no graph. The graph
            # itself holds them, so that they go with it.
            step = Step(_sample(features), _detached(before), run.gates)
            run.trace.steps[block.name] = step
            if gated.grad_fn is not None:
                held: Any = gated.grad_fn.metadata
                held["kanerva"] = run.trace
                self.frame.keep(run.trace)
        return gated

    def _same_batch(self, size: int, other: str, before: int) -> None:
        """Refuse features of another batch than those that left the state."""
        if size != before:
            got, must = f"one of {size}", f"of {before} samples, as that of {other!r} before it"
            do = 'choose scope="block", or leave it out of the branches'
            refuse(f"the batch of block {self.block.name!r}", got=got, must=must, do=do)

    def _again(self, features: Tensor) -> Tensor:
        """Gate features in a recomputation, as in the forward pass."""
        name = self.block.name
        if not arrays.backward():
            must, do = "called by the model as a whole", "call model(...), not a part or .forward"
            refuse(f"block {name!r}", got="called outside of that", must=must, do=do)
        traces = [trace for trace in self.frame.kept() if name in trace.steps]
        step = None if _reentrant() else self._nearest(features, traces)
        if step is None:
            must = "recomputed by checkpointing without reentry"
            do = "pass use_reentrant=False, or gradient_checkpointing_kwargs with it"
            got = "recomputed without the state of its forward pass, and a gradient would be lost"
            refuse(f"block {name!r}", got=got, must=must, do=do)
        # Statistics of a batch that was seen before are not followed again.
        held = [(one, one.clone()) for one in step.gates[self.block.gate].buffers()]
        rows, gate, _ = self._gate(features, step.gates, step.before)
        for one, kept in held:
            one.copy_(kept)
        return rows * gate.to(rows.dtype)

    def _nearest(self, features: Tensor, traces: list[Trace]) -> Step | None:
        """Return the step of the pass that had these features; None where there is none."""
        sample = _sample(features)
        steps = [trace.steps[self.block.name] for trace in traces]
        apart = [_apart(sample, step.sample) for step in steps]
        if not steps or min(apart) > CLOSE:
            return None
        nearest = [step for step, far in zip(steps, apart, strict=True) if far == min(apart)]
        # Passes of the same features at this block can have come from different ones before.
        alike = all(_alike(step.before, nearest[0].before) for step in nearest)
        return nearest[0] if alike else None

    def _gate(self, features: Any, gates: Any, state: Any) -> tuple[Tensor, Tensor, Any]:
        """Return features with the channels second, their gate, and the state."""
        block = self.block
        rows = features.movedim(-1, 1) if block.last else features
        if rows.shape[1] != block.channels:
            got, must = f"of {rows.shape[1]}", f"of {block.channels} channels, as with the example"
            other = "False" if block.last else "True"
            do = f"share with channels_last={other} if they are another axis"
            refuse(f"the output of block {block.name!r}", got=got, must=must, do=do)
        gate: Gate = gates[block.gate]
        more = (block.place,) if gate.indexed else ()
        with no_autocast(features):
            found = gate(rows, state, *more)
        must = "a tensor that broadcasts to the features, and a state"
        do = "return these two from the forward of the gate"
        if not isinstance(found, tuple) or len(found) != 2:
            refuse(f"what the gate of block {block.name!r} returns", found, must=must, do=do)
        fits = isinstance(found[0], Tensor) and found[0].is_floating_point()
        if not fits or arrays.together(found[0].shape, rows.shape) != tuple(rows.shape):
            refuse(f"the gate of block {block.name!r}", found[0], must=must, do=do)
        return rows, *found


def _sample(features: Tensor) -> Tensor:
    """Return a copy of some numbers of every row of the batch, by which a pass is recognised."""
    parts = (slice(None, None, max(1, size // 4)) for size in features.shape[1:])
    return features.detach()[(slice(None), *parts)].clone()


def _apart(one: Tensor, other: Tensor) -> float:
    """Return the largest difference relative to the size; infinite where shapes differ."""
    if one.shape != other.shape:
        return math.inf
    finite = one.isfinite()
    if not torch.equal(finite, other.isfinite()):
        return math.inf
    one, other = one[finite], other[finite]
    if not one.numel():
        return 0.0
    far = (one - other).abs().max() / other.abs().max().clamp_min(torch.finfo(other.dtype).tiny)
    return float(far)


def _reentrant() -> bool:
    """Return whether checkpointing with reentry repeats a call: it saves no tensors by hooks."""
    top = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return top is not None and top(True) is None


def _alike(one: Any, other: Any) -> bool:
    """Return whether two nests of tuples and tensors hold the same numbers."""
    (parts, form), (others, second) = tree_flatten(one), tree_flatten(other)
    if form != second:
        return False
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a is b or a == b
        for a, b in zip(parts, others, strict=True)
    )


def _channels(gate: Tensor, rows: Tensor) -> Tensor:
    """Return a gate as ``(b, c)``, the mean over the places."""
    gate = gate[(None,) * (rows.ndim - gate.ndim)]
    if gate.ndim > 2:
        gate = gate.flatten(2).mean(2)
    return gate.expand(rows.shape[:2])


def _detached(state: Any) -> Any:
    """Return a nest of tuples and tensors without the graph behind it.

    Checkpointing counts what is saved for gradients, so that a recomputation needs as many of them.
    """
    return tree_map_only(Tensor, lambda one: one.detach().requires_grad_(one.requires_grad), state)
