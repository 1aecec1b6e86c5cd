"""Keeler 1988, comparison of sparse distributed memory and Hopfield networks: its experiment."""

__all__: list[str] = []
