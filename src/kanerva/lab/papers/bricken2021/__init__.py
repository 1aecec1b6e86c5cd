"""Bricken and Pehlevan 2021, Attention Approximates Sparse Distributed Memory: its experiments."""

__all__: list[str] = []
