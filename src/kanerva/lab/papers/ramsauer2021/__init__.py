"""Ramsauer and others 2021: Hopfield layers."""

__all__: list[str] = []
