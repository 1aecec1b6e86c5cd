"""Codes of data: patterns become vectors that a memory stores more easily, and back.

A code is fitted to the patterns that are stored. Cues are damaged as data and then encoded.
"""

from kanerva.lab.codec._autoencoder import Autoencoder
from kanerva.lab.codec._codec import Codec
from kanerva.lab.codec._files import load
from kanerva.lab.codec._hyperplanes import Hyperplanes
from kanerva.lab.codec._named import named
from kanerva.lab.codec._pca import PCA
from kanerva.lab.codec._plain import Plain

__all__ = ["Autoencoder", "Codec", "Hyperplanes", "PCA", "Plain", "load", "named"]
