"""What the tests of watched models share: models that are functions, and watched calls."""

import torch
from torch import nn

from kanerva import quarks

CONTEXTS = [torch.no_grad, torch.enable_grad, torch.inference_mode]
COUNTS = ("output", "synaptic", "contracted", "additive", "linear", "tied", "selected", "depth")


class Of(nn.Module):
    """A model that is a function of its arguments, with constants as buffers."""

    def __init__(self, function, **constants):
        super().__init__()
        self.function = function
        for name, value in constants.items():
            self.register_buffer(name, value)

    def forward(self, *args, **kwargs):
        return self.function(*args, **{**dict(self.named_buffers()), **kwargs})


def normal(*shape, seed=0, dtype=torch.float32):
    """Return normal numbers."""
    made = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=made, dtype=dtype)


def seeded(build, seed=0):
    """Return a module in evaluation mode with the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()


def flat(output):
    """Return every tensor of an output."""
    if isinstance(output, torch.Tensor):
        if output.layout is torch.jagged:
            return [output.values()]
        return list(output.unbind()) if output.is_nested else [output]
    if isinstance(output, dict):
        return flat(list(output.values()))
    if isinstance(output, list | tuple):
        return [tensor for one in output for tensor in flat(one)]
    return flat(list(vars(output).values())) if hasattr(output, "__dict__") else []


def counts(tally, *names):
    """Return the counts that are not zero."""
    return {name: getattr(tally, name) for name in names or COUNTS if getattr(tally, name)}


def watched(model, *args, signals=(), **kwargs):
    """Watch one call, whose output stays the same, bit for bit."""
    plain = flat(model(*args, **kwargs))
    with quarks.watch(model, signals) as tally:
        found = flat(model(*args, **kwargs))
    assert len(plain) == len(found)
    for one, two in zip(plain, found, strict=True):
        assert torch.equal(one.nan_to_num(), two.nan_to_num())
    return tally
