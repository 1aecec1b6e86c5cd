"""Pham and others 2025: from memorisation to generalisation in diffusion models."""

__all__: list[str] = []
