"""Hoover and others 2023: diffusion models as associative memories."""

__all__: list[str] = []
