"""Codes that a network learns: an encoder, a decoder, and with labels a classifier."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from kanerva._core import arrays, checks, machine
from kanerva._core.errors import door, refuse
from kanerva._engine import threads
from kanerva.lab.codec._codec import Codec
from kanerva.lab.codec._nets import LAYOUTS, network, start
from kanerva.lab.codec._train import trained

__all__ = ["Autoencoder"]

# Numbers in one block of rows, between two layers: a convolution has 32 filters of 9 products.
BLOCK, SPREAD = 2**23, 288


class Autoencoder(Codec):
    r"""Features from which a network decodes the pattern, and with labels classifies it, too.

    .. math::

        c(x) = \mathrm{norm}(E(u)), \quad u = \frac{x - l}{h - l}, \quad
        L = 5 \left\langle |D(c) - u|^2 / n \right\rangle - \log p(\mathrm{label} \mid c)

    E, D and the classifier are trained together on L, without its second term where there are no
    labels; l and h are the least and the largest number of the fitted patterns. The norm of a code
    is a layer norm, from four features on.

    The layout ``"small"`` is for small pictures and for vectors. Its encoder has convolutions of 16
    and 32 filters for pictures, and a layer of 256 units for vectors; its decoder has 256 units,
    its classifier is linear. Normal noise of 0.2 ranges is added to what is encoded (Vincent and
    others 2008), so that damaged cues have similar codes.

    The layout ``"paper"`` is that of Hernandez, Morales and Pineda (2024) for colour pictures of
    32 x 32: convolutions of 32, 16, 8 and 4 filters of 3 x 3, the largest of each 2 x 2, and a
    layer norm; the decoder is the mirror image. Its features are as many as a picture has pixels:
    1,024, from 15,991 parameters. The classifier is trained on the features beside it and leaves
    them as they are, since those of the source are trained apart.

    Training takes one thread of torch, so that the same seed gives the same weights on any number
    of threads. Codes are computed in float64 and rounded to float32: the code of a row is the same
    among other rows, up to that rounding.

    Args:
        shape: of a pattern: ``(height, width)`` or ``(height, width, colours)`` of a picture,
            ``(n,)`` of a vector, and ``()`` of vectors of any length.
        features: the length of a code, >= 1; in the layout ``"paper"`` height times width.
        layout: ``"small"`` or ``"paper"``; the second is for pictures whose sides are even.
        epochs: how often each pattern is shown in training, >= 1.
        seed: an integer >= 0, of the initial weights, of the order of patterns, and of noise.

    Raises:
        InputError: an argument out of range, or a layout that does not fit the shape; in ``fit``,
            rows of another length than the shape has.

    Example:
        >>> from kanerva.lab import codec, data
        >>> digits = data.load("digits", domain="real", patterns=300)
        >>> code = codec.Autoencoder((8, 8), 16, epochs=20).fit(digits.real, digits.labels)
        >>> features = code.encode(digits.real)
        >>> features.shape, bool((code.classify(features) == digits.labels).float().mean() > 0.95)
        (torch.Size([300, 16]), True)

    Source:
        Hernandez, Morales and Pineda (2024), arXiv:2405.12500, for the layout "paper".
    """

    domain = "real"

    @door("Autoencoder")
    def __init__(
        self,
        shape: Sequence[int],
        features: int,
        layout: str = "small",
        epochs: int = 30,
        seed: int = 0,
    ) -> None:
        must = "a tuple of up to three sizes, such as (8, 8)"
        sizes = checks.several("shape", shape, must)
        if len(sizes) > 3:
            refuse("shape", shape, must=must, do="give (height, width, colours)")
        self.shape = tuple(checks.integer("shape", size, 1, checks.LONGEST) for size in sizes)
        self.features = checks.integer("features", features, 1, checks.LONGEST)
        self.layout = checks.choice("layout", layout, tuple(LAYOUTS))
        self.epochs = checks.integer("epochs", epochs, 1, checks.LONGEST)
        self.seed = checks.integer("seed", seed, 0)
        super().__init__(
            shape=list(self.shape),
            features=self.features,
            layout=self.layout,
            epochs=self.epochs,
            seed=self.seed,
        )
        if self.shape:  # a layout that does not fit is refused at once
            network(self.layout, self.shape, self.features, 0)
        self.name = f"ae:{self.features}" + ("" if self.layout == "small" else f":{self.layout}")
        shown = "1 epoch" if self.epochs == 1 else f"{self.epochs:,} epochs"
        self.about = (
            f"{self.features:,} learned feature{'' if self.features == 1 else 's'} of an "
            f"autoencoder, layout {self.layout}, {shown}, seed {self.seed}"
        )
        self._classes = 0
        self._built: tuple[dict[str, Tensor], nn.ModuleDict] | None = None

    @property
    def length(self) -> int | None:
        """The number of features of a code."""
        return self.features

    @property
    def parameters(self) -> int:
        """The number of trained numbers of encoder, norm and decoder; the classifier has its own.

        Raises:
            InputError: the codec is of vectors of any length, and not fitted yet.
        """
        if not self.shape:
            self._ready()
        shape = self.shape or self._shape(self.fitted["mean"].numel())
        parts = network(self.layout, shape, self.features, 0)
        return sum(weight.numel() for weight in parts.parameters())

    @door("Autoencoder.classify")
    def classify(self, codes: Float[Tensor, "*batch code"]) -> Int64[Tensor, "*batch"]:
        """Return the class of each code, as the labels of ``fit`` number them.

        Args:
            codes: ``(..., k)`` floating and finite, as ``encode`` or a memory returns them.

        Returns:
            ``(...)`` int64, the label of the largest score of the classifier.

        Raises:
            InputError: the codec is not fitted, or was fitted without labels, or the codes have
                another length.

        Example:
            >>> import torch
            >>> from kanerva.lab import codec
            >>> x = torch.eye(4).repeat(8, 1)
            >>> code = codec.Autoencoder((), 8).fit(x, torch.tensor([7, 7, 3, 3]).repeat(8))
            >>> code.classify(code.encode(torch.eye(4))).tolist()
            [7, 7, 3, 3]
        """
        rows = self._rows("codes", codes, self.features)
        if not self._classes:
            do = "fit with labels, as fit(images, labels)"
            refuse("codec", must="one with a classifier", got="fitted without labels", do=do)
        net, found = self._net(), []
        with torch.no_grad():
            for part in torch.split(rows, self._block()):
                found.append(net["head"](part.double()).argmax(-1))
        return self.fitted["classes"][torch.cat(found)].reshape(codes.shape[:-1])

    def _fit(
        self, x: Float[Tensor, "m n"], mean: Float64[Tensor, "n"], labels: Tensor | None
    ) -> dict[str, Tensor]:
        shape = self._shape(x.shape[1])
        if math.prod(shape) != x.shape[1]:
            must = f"rows of {math.prod(shape):,} numbers, as patterns of shape {shape} have"
            refuse("x", x, must=must, do="give the shape of the patterns to Autoencoder")
        low, high = x.min().double(), x.max().double()
        classes, targets = torch.empty(0, dtype=torch.int64), None
        if labels is not None:
            classes, targets = torch.unique(labels.long(), return_inverse=True)
        net = network(self.layout, shape, self.features, len(classes))
        size = sum(weight.numel() for weight in net.parameters())
        # Weights, gradients and two moments, and the patterns in float32 and float64.
        machine.fit("features", 16 * size + 12 * x.numel(), f"{self.features:,}")
        source = arrays.generator(self.seed)
        with threads.using(1), torch.inference_mode(False), torch.enable_grad():
            unit = ((x.double() - low) / (high - low)).float()
            targets = None if targets is None else targets.clone()
            net = net.to_empty(device="cpu")
            start(net, source)
            more = (self.layout, self.epochs, source, self._progress)
            weights = trained(net, unit, targets, *more)
        self._classes = len(classes)
        return {"range": torch.stack((low, high)), "classes": classes, **weights}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take what was fitted from the tensors of a file, as ``Codec.restore`` does."""
        classes = tensors.get("classes")
        self._classes = 0 if classes is None else classes.numel()
        super().restore(tensors)

    def _shapes(self, n: int) -> dict[str, tuple[int, ...]]:
        if n != math.prod(self._shape(n)):
            must, got = f"of patterns of shape {self.shape}", f"of {n}"
            refuse("tensors", must=must, got=got, do="fit again")
        net = network(self.layout, self._shape(n), self.features, self._classes)
        shapes = {name: tuple(weight.shape) for name, weight in net.named_parameters()}
        return {"range": (2,), "classes": (self._classes,), **shapes}

    def _shape(self, n: int) -> tuple[int, ...]:
        return self.shape or (n,)

    def _net(self) -> nn.ModuleDict:
        """Return the fitted network in float64, built once."""
        if self._built is None or self._built[0] is not self.fitted:
            shape = self._shape(self.fitted["mean"].numel())
            net = network(self.layout, shape, self.features, self._classes)
            weights = {name: self.fitted[name].double() for name, _ in net.named_parameters()}
            net.load_state_dict(weights, assign=True)
            self._built = self.fitted, net.double().eval().requires_grad_(False)
        return self._built[1]

    def _block(self) -> int:
        """Return how many rows are computed at once."""
        return max(1, BLOCK // (SPREAD * self.fitted["mean"].numel()))

    def _encode(self, x: Float[Tensor, "rows n"]) -> Float[Tensor, "rows code"]:
        net, (low, high) = self._net(), self.fitted["range"].double()
        found = x.new_empty(len(x), self.features)
        with torch.no_grad():
            for part, out in zip(
                torch.split(x, self._block()), torch.split(found, self._block()), strict=True
            ):
                unit = (part.double() - low) / (high - low)
                out.copy_(net["norm"](net["encoder"](unit)))
        return found

    def _decode(self, code: Float[Tensor, "rows code"]) -> Float[Tensor, "rows n"]:
        net, (low, high) = self._net(), self.fitted["range"].double()
        found = code.new_empty(len(code), self.fitted["mean"].numel())
        size = self._block()
        with torch.no_grad():
            for part, out in zip(torch.split(code, size), torch.split(found, size), strict=True):
                out.copy_(low + (high - low) * net["decoder"](part.double()))
        return found
