"""The gates of a model, what they were attached to, and how they are recorded and removed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core.errors import door, refuse
from kanerva.nn._sharing._passes import Frame, Link

__all__ = ["Shared"]

Gates = dict[str, Float[Tensor, "_blocks b c"]]


class Shared(nn.Module):
    """The gates that ``share`` has attached to a model.

    Attributes:
        gates: the gates by name: one a stage, or one a block.
        stages: the names of the blocks of each stage, in the order of calls.
        parameters_added: the number of weights of all gates.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8))
        >>> shared = nn.share(model, "?", torch.ones(1, 8))
        >>> shared.stages, shared.parameters_added
        ({'stage1': ('0', '1')}, 228)
    """

    def __init__(self, model: nn.Module, gates: dict[str, nn.Module], frame: Frame) -> None:
        super().__init__()
        self.gates = nn.ModuleDict(gates)
        self.frame = frame
        # In a list, so that the model is not a module of its own gates.
        self._model = [model]
        self._handles = [
            model.register_forward_pre_hook(frame.begin),
            model.register_forward_hook(frame.finish),
            model.register_forward_hook(frame.close, always_call=True),
        ]
        for block in frame.blocks:
            branch = model.get_submodule(block.name)
            self._handles.append(branch.register_forward_hook(Link(frame, block)))
        model.add_module(frame.name, self)
        self.train(model.training)

    @property
    def stages(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the blocks of each stage, in the order of calls."""
        found: dict[str, list[str]] = {}
        for block in self.frame.blocks:
            found.setdefault(block.stage, []).append(block.name)
        return {name: tuple(blocks) for name, blocks in found.items()}

    @property
    def parameters_added(self) -> int:
        """Return the number of weights of all gates."""
        return sum(weight.numel() for weight in self.parameters())

    @door
    def record(self) -> AbstractContextManager[Gates]:
        """Record the gates of every forward pass inside a block of code.

        Returns:
            a context, which gives a dict by stage of ``(blocks, b, c)``, without gradients: the
            gates of the last forward pass. A gate that differs from place to place is averaged over
            the places.

        Raises:
            InputError: a recording within another one; and in the call of the model, if a block is
                skipped.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8))
            >>> shared = nn.share(model, "?", torch.ones(1, 8))
            >>> with shared.record() as gates:
            ...     _ = model(torch.ones(5, 8))
            >>> gates["stage1"].shape
            torch.Size([2, 5, 8])
        """
        if self.frame.recording is not None:
            must, do = "made once at a time", "use the dict of the recording outside"
            refuse("the recording", got="made inside another one", must=must, do=do)
        return self._recorded()

    @contextmanager
    def _recorded(self) -> Iterator[Gates]:
        gates: Gates = {}
        self.frame.recording = gates
        try:
            yield gates
        finally:
            self.frame.recording = None

    @door
    def remove(self) -> nn.Module:
        """Take the gates from the model, which then is as it was before.

        Returns:
            the model.

        Raises:
            InputError: they were removed before.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8))
            >>> list(nn.share(model, "0", torch.ones(1, 8)).remove().state_dict())
            ['0.weight', '0.bias']
        """
        (model,) = self._model
        if not self._handles:
            must, do = "attached to the model", "call nn.share again"
            refuse("the gates", got="removed before", must=must, do=do)
        while self._handles:
            self._handles.pop().remove()
        if model._modules.get(self.frame.name) is self:
            del model._modules[self.frame.name]
        return model

    @door("share")
    def forward(self, x: Any) -> Any:
        """Return the input, so that a ``Sequential`` which holds the gates computes the same.

        Raises:
            InputError: another model calls all of its children, and would take the gates for one of
                its blocks.
        """
        if type(self._model[0]).forward is not nn.Sequential.forward:
            must, got = "one that does not call all of its children", "one that calls the gates"
            do = "remove them, and share a module that holds the model: nn.Sequential(model)"
            refuse("the model", got=got, must=must, do=do)
        return x

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        """Keep the weights of the gates, if those that are loaded were saved before ``share``."""
        if prefix and not any(key.startswith(prefix) for key in state_dict):
            state_dict.update(self.state_dict(prefix=prefix))
        super()._load_from_state_dict(state_dict, prefix, *others)

    def extra_repr(self) -> str:
        """Return the number of blocks of each stage."""
        counts = {name: len(blocks) for name, blocks in self.stages.items()}
        lines = (f"{name}: {count} block{'s' * (count > 1)}" for name, count in counts.items())
        return ", ".join(lines)
