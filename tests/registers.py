"""Keys of whole levels, and entropic memories that hold them."""

import torch

from kanerva.entropic import EntropicMemory


def source(seed):
    return torch.Generator().manual_seed(seed)


def levels_of(count, columns, levels, seed=0):
    return torch.randint(0, levels, (count, columns), generator=source(seed)).float()


def filled(keys, levels, **more):
    memory = EntropicMemory(keys.shape[-1], levels, **more)
    memory.write(keys)
    return memory
