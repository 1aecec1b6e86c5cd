"""Small residual networks that name digits, with and without gates of their blocks."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as plain

from kanerva import nn
from kanerva._core import arrays, checks
from kanerva._core.errors import refuse
from kanerva.lab import data

__all__ = [
    "VARIANTS",
    "Design",
    "Net",
    "Split",
    "accuracy",
    "build",
    "colours_and_classes",
    "split",
    "train",
]

Pictures = Float[Tensor, "n colours h w"]
Labels = Int64[Tensor, " n"]
# What is attached to the blocks: name, scope and reduction of a gate.
VARIANTS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "se": {"gate": "se", "scope": "block", "reduction": 4},
    "shared se": {"gate": "se", "scope": "stage", "reduction": 4},
    "dia": {"gate": "dia", "scope": "stage", "reduction": 4},
    "recall": {"gate": "recall", "scope": "stage", "reduction": 4},
    "constant": {"gate": "constant"},
    "scale": {"gate": "scale"},
}
BATCH = 64


class Design(NamedTuple):
    """A network and how it is trained.

    * ``first``: first weights of the convolutions: ``"he"``, normal with variance 2 / (9 c), or
      ``"torch"``, as torch draws them.
    * ``skip``, ``norm``: whether blocks add their input, and normalise by batch.
    * ``colours``, ``classes``: of the pictures.
    """

    blocks: int = 6
    width: int = 16
    first: str = "he"
    skip: bool = True
    norm: bool = True
    epochs: int = 20
    rate: float = 0.05
    seed: int = 0
    colours: int = 1
    classes: int = 10

    @property
    def example(self) -> Tensor:
        """A picture with which a network can be called."""
        return torch.zeros(1, self.colours, 8, 8)


class Split(NamedTuple):
    """Pictures and labels for training and for testing."""

    train: Pictures
    labels: Labels
    test: Pictures
    answers: Labels


class Block(torch.nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, width: int, skip: bool, norm: bool) -> None:
        super().__init__()
        self.skip = skip
        self.branch = torch.nn.Sequential(
            _convolution(width, width),
            *([torch.nn.BatchNorm2d(width)] if norm else []),
            torch.nn.ReLU(),
            _convolution(width, width),
            *([torch.nn.BatchNorm2d(width)] if norm else []),
        )

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.branch(x)
        return (x + branch if self.skip else branch).relu()


class Net(torch.nn.Module):
    """A convolution, blocks of one width, the mean over places, and a linear map to classes."""

    def __init__(self, design: Design, source: torch.Generator) -> None:
        super().__init__()
        checks.choice("first", design.first, ("he", "torch"))
        width = design.width
        self.stem = torch.nn.Sequential(
            _convolution(design.colours, width),
            *([torch.nn.BatchNorm2d(width)] if design.norm else []),
            torch.nn.ReLU(),
        )
        blocks = (Block(width, design.skip, design.norm) for _ in range(design.blocks))
        self.blocks = torch.nn.ModuleList(blocks)
        self.head = torch.nn.utils.skip_init(torch.nn.Linear, width, design.classes)  # type: ignore[no-untyped-call]
        _draw(self, design.first, source)

    def features(self, x: Tensor) -> Tensor:
        """Return the features before the mean over places."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(x).mean((2, 3)))
        return found


def build(design: Design, variant: str) -> Net:
    """Return a network with the gates of a variant; the same weights of all else for a seed."""
    checks.choice("variant", variant, list(VARIANTS))
    net = Net(design, arrays.generator(design.seed))
    options = VARIANTS[variant]
    if options is not None:
        nn.share(net, "blocks.*.branch", design.example, seed=1000 + design.seed, **options)
    return net


@lru_cache(maxsize=4)
def _loaded(name: str) -> tuple[Pictures, Labels]:
    """Return pictures and their classes."""
    found = data.load(name, domain="real", **({"colour": True} if Path(name).is_dir() else {}))
    if found.labels is None or found.shape is None or len(found.shape) < 2:
        must, do = "a set of pictures with classes", "take digits, or a folder for each class"
        refuse("data", name, must=must, do=do)
    count, classes = len(found.real), int(found.labels.max()) + 1
    if count < 2 * BATCH or classes < 2:
        must = f"{2 * BATCH} pictures of two classes or more"
        got = f"{name!r} with {count} in {classes}"
        refuse("data", must=must, got=got, do="take more")
    rows = found.real.reshape(count, *found.shape[:2], -1)
    return rows.permute(0, 3, 1, 2).contiguous(), found.labels


def colours_and_classes(name: str) -> tuple[int, int]:
    """Return the number of colours of a set of pictures, and that of its classes."""
    pictures, labels = _loaded(name)
    return pictures.shape[1], int(labels.max()) + 1


def split(seed: int, name: str = "digits") -> Split:
    """Return half of the pictures of every class for training, and the rest for testing.

    The pictures have mean 0 and variance 1 over all pixels of those for training.
    """
    pictures, labels = _loaded(name)
    source = arrays.generator(seed)
    halves: tuple[list[Tensor], list[Tensor]] = ([], [])
    for label in range(int(labels.max()) + 1):
        members = (labels == label).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=source)]
        for half, part in zip(halves, members.tensor_split(2), strict=True):
            half.append(part)
    train, test = (torch.cat(half) for half in halves)
    mean, spread = pictures[train].mean(), pictures[train].std()
    rows = (pictures - mean) / spread
    return Split(rows[train], labels[train], rows[test], labels[test])


def train(net: torch.nn.Module, given: Split, design: Design) -> Iterator[float]:
    """Train a network, and yield the mean loss of each epoch."""
    source = arrays.generator(2000 + design.seed)
    weights = net.parameters()
    optimizer = torch.optim.SGD(weights, lr=design.rate, momentum=0.9, weight_decay=1e-4)
    drops = [max(1, design.epochs * part // 4) for part in (2, 3)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, drops, 0.1)
    for _ in range(design.epochs):
        net.train()
        order = torch.randperm(len(given.train), generator=source)
        # An incomplete batch would be normalised by few pictures.
        losses = []
        for batch in order[: len(order) // BATCH * BATCH].reshape(-1, BATCH):
            optimizer.zero_grad()
            loss = plain.cross_entropy(net(given.train[batch]), given.labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
        schedule.step()
        yield torch.stack(losses).mean().item()


@torch.no_grad()
def accuracy(net: torch.nn.Module, given: Split) -> float:
    """Return the share of the test pictures that are named."""
    net.eval()
    return (net(given.test).argmax(1) == given.answers).double().mean().item()


def _convolution(width: int, out: int) -> torch.nn.Conv2d:
    options = {"padding": 1, "bias": False}
    return torch.nn.utils.skip_init(torch.nn.Conv2d, width, out, 3, **options)  # type: ignore[no-untyped-call]


@torch.no_grad()
def _draw(net: torch.nn.Module, first: str, source: torch.Generator) -> None:
    """Draw the weights of convolutions and linear maps."""
    for part in net.modules():
        if isinstance(part, torch.nn.Conv2d) and first == "he":
            drawn = torch.randn(part.weight.shape, generator=source)
            part.weight.copy_(drawn * (2 / (9 * part.out_channels)) ** 0.5)
        elif isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            bound = part.weight[0].numel() ** -0.5
            for weight in (part.weight, part.bias):
                if weight is not None:
                    weight.copy_((2 * torch.rand(weight.shape, generator=source) - 1) * bound)
